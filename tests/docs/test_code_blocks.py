"""Code in the chapters is the present code of its source file, and no other code is copied."""

import ast
import copy
import re
import textwrap

import pytest
from code_blocks import BLOCK, DOCS, ROOT, excerpt, filled
from links import pages

PYTHON = sorted((ROOT / "fasterfpn").rglob("*.py"))
CPP = sorted(file for file in (ROOT / "csrc").rglob("*") if file.is_file())
CPP_HEAD = re.compile(r"^(?!namespace|extern)(?=\w)[^\n;]*?(?<!::)\b(\w+)\((?:[^;{}]|\{\})*?\)[^;{}():]*\{", re.M)
CPP_CLASS = re.compile(r"^(?:struct|class) (\w+) \{", re.M)


def relative(file):
    return str(file.relative_to(ROOT))


@pytest.mark.parametrize("page", pages(), ids=relative)
def test_no_block_is_stale(page):
    text = page.read_text(encoding="utf-8")
    assert filled(text) == text, "run python docs/code_blocks.py"


def definitions(nodes, prefix=""):
    """The first node of each function, class, method and constant of a module, by name."""
    found = {}
    for node in nodes:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            found.setdefault(prefix + node.name, node)
        elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            found.setdefault(prefix + node.targets[0].id, node)
        if isinstance(node, ast.ClassDef):
            found |= definitions(node.body, f"{node.name}.")
    return found


def meaning(node):
    """What a node does, without docstrings, whose indentation an excerpt changes."""
    node = copy.deepcopy(node)
    for inner in ast.walk(node):
        if isinstance(inner, ast.FunctionDef | ast.ClassDef) and ast.get_docstring(inner):
            inner.body = inner.body[1:]
    return ast.dump(node)


@pytest.mark.slow
@pytest.mark.parametrize("file", PYTHON, ids=relative)
def test_every_python_definition_is_found_by_its_name(file):
    for name, node in definitions(ast.parse(file.read_text()).body).items():
        (found,) = ast.parse(excerpt(file, name)).body
        assert meaning(found) == meaning(node), name
        if not isinstance(node, ast.Assign) and len(node.body) > 1:
            assert ast.get_docstring(found) == ast.get_docstring(node), name
            (bare,) = ast.parse(excerpt(file, name, without_docstring=True)).body
            assert ast.get_docstring(bare) is None, name
            assert meaning(bare) == meaning(node), name


@pytest.mark.parametrize("file", CPP, ids=relative)
def test_every_cpp_definition_is_found_by_its_name(file):
    source = file.read_text()
    for pattern in (CPP_HEAD, CPP_CLASS):
        for head in reversed({match[1]: match for match in reversed(list(pattern.finditer(source)))}.values()):
            found = excerpt(file, head[1])
            code = re.sub(r"\A(?:(?://|template)[^\n]*\n)*", "", found)
            assert code.startswith(head[0]), head[1]
            assert found.count("{") == found.count("}") and found[-1] in "};"
            assert textwrap.dedent(found) in source


def test_a_name_that_is_gone_is_an_error():
    for file in ("fasterfpn/geometry/boxes.py", "csrc/cpu/nms.cpp"):
        with pytest.raises(KeyError, match="no_such_name"):
            excerpt(ROOT / file, "no_such_name")
        with pytest.raises(KeyError, match="no_such_name"):
            filled(f"<!-- code: {file} no_such_name -->\n")


def test_a_block_is_filled_and_filled_again():
    empty = "before\n<!-- code: fasterfpn/geometry/boxes.py box_area without docstring -->\nafter\n"
    once = filled(empty)
    assert "def box_area" in once and '"""' not in once and once.endswith("```\nafter\n")
    assert filled(once) == once
    assert filled(once.replace("def box_area", "def area")) == once


RUN = 6


def runs(text):
    """Every run of six lines that hold code, blank lines and imports left out."""
    lines = [line.strip() for line in text.splitlines()]
    lines = [line for line in lines if line and not line.startswith(("import ", "from ", "#include"))]
    return {tuple(lines[i : i + RUN]) for i in range(len(lines) - RUN + 1)}


SOURCE = set().union(*(runs(file.read_text()) for file in (*PYTHON, *CPP)))
WRITTEN = [*pages(), *sorted(DOCS.rglob("*.py"))]


@pytest.mark.parametrize("page", WRITTEN, ids=relative)
def test_no_six_lines_of_the_source_stand_outside_marked_blocks(page):
    assert runs(BLOCK.sub("", page.read_text(encoding="utf-8"))) & SOURCE == set()


def test_six_copied_lines_are_noticed():
    code = excerpt(ROOT / "fasterfpn/geometry/boxes.py", "box_iou", without_docstring=True)
    copied = textwrap.indent("\n\n".join(code.splitlines()[1 : RUN + 1]), "  ")
    assert runs(copied) & SOURCE
