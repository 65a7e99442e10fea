"""The floors of the house: a module imports only from floors under its own, and floors 1 to 3 need little but torch."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "fasterfpn"
FLOORS = {
    "errors": -1,  # the cellar: the standard library is enough
    **dict.fromkeys(("files", "types"), 0),
    "geometry": 1,
    "ops": 2,
    **dict.fromkeys(("models", "data"), 3),
    **dict.fromkeys(("engine", "report"), 4),
    "study": 5,
    **dict.fromkeys(("laws", "cli"), 6),  # laws of the parts, for tests and exercises; what the command lines share
}
COMMAND_LINES, ROOF = 7, 8
TORCH_ALONE = ("geometry", "ops", "models")
MODULES = sorted(PACKAGE.rglob("*.py"))


def part_of(module: str) -> str:
    """ "fasterfpn.ops.nms" -> "ops"; the roof itself is ""."""
    return ".".join(module.split(".")[1:2])


def floor_of(part: str) -> int:
    return ROOF if part == "" else FLOORS.get(part, COMMAND_LINES)


def dotted(file: Path) -> str:
    return ".".join(file.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__")


def imported(tree: ast.AST, known: set[str]) -> set[str]:
    """The modules that `tree` imports anywhere; in `from a import b`, a.b where that is a module, else a."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative imports hide which floor is meant"
            both = {f"{node.module}.{alias.name}" for alias in node.names}
            names |= (both & known) or {node.module}
    return names


def violations(module: str, tree: ast.AST, known: set[str]) -> list[str]:
    """What `module` imports against the rules."""
    part, found = part_of(module), []
    for name in sorted(imported(tree, known)):
        top = name.split(".")[0]
        if top == "fasterfpn":
            target = part_of(name)
            if target != part and floor_of(target) >= floor_of(part):
                found.append(f"{module} (floor {floor_of(part)}) imports {name} (floor {floor_of(target)})")
        elif part in TORCH_ALONE and top != "torch" and top not in sys.stdlib_module_names:
            found.append(f"{module} imports {name}, which is neither torch nor of the standard library")
    return found


KNOWN = {dotted(file) for file in MODULES}


@pytest.mark.parametrize("file", MODULES, ids=dotted)
def test_imports_only_from_floors_below(file):
    assert violations(dotted(file), ast.parse(file.read_text()), KNOWN) == []


@pytest.mark.parametrize(
    ("module", "line", "allowed"),
    [
        ("fasterfpn.geometry.boxes", "from fasterfpn.ops import nms", False),
        ("fasterfpn.geometry.boxes", "from fasterfpn import ops", False),
        ("fasterfpn.geometry.boxes", "import numpy", False),
        ("fasterfpn.models.rpn", "from fasterfpn.data.config import DataConfig", False),
        ("fasterfpn.engine.trainer", "import fasterfpn.report", False),
        ("fasterfpn.engine.trainer", "from fasterfpn import load_detector", False),
        ("fasterfpn.engine.trainer", "def f():\n    import fasterfpn.train", False),
        ("fasterfpn.ops.nms", "from fasterfpn.geometry import box_iou", True),
        ("fasterfpn.ops.nms", "from fasterfpn import errors", True),
        ("fasterfpn.ops.nms", "from fasterfpn.ops.backend import backends\nimport torch.library, json", True),
        ("fasterfpn.train", "from fasterfpn.cli import run\nimport numpy", True),
        ("fasterfpn.train", "from fasterfpn.evaluate import main", False),
        ("fasterfpn.study.metrics", "from fasterfpn.cli import run", False),
        ("fasterfpn", "from fasterfpn.engine import checkpoint", True),
    ],
)
def test_the_rule_tells_right_from_wrong(module, line, allowed):
    known = KNOWN | {"fasterfpn.ops", "fasterfpn.errors", "fasterfpn.engine.checkpoint"}
    assert (violations(module, ast.parse(line), known) == []) is allowed


BLOCKED_IMPORT = """
import sys
from importlib import import_module, metadata
from pathlib import Path
import re

allowed, new = set(), {"torch"}
while new:  # torch and what it requires itself, with what that requires
    name = new.pop()
    allowed.add(name)
    try:
        lines = metadata.requires(name) or []
    except metadata.PackageNotFoundError:
        continue
    new |= {re.match(r"[\\w.-]+", line)[0] for line in lines if "extra ==" not in line} - allowed
allowed = {name.replace("-", "_").lower() for name in allowed} | {"torchgen", "functorch", "fasterfpn", "pkg_resources"}

class Block:
    def find_spec(self, name, path=None, target=None):
        top = name.split(".")[0]
        if top.lower() not in allowed and top not in sys.stdlib_module_names and not top.startswith("_"):
            raise ModuleNotFoundError(f"No module named {name!r}: blocked", name=name)

sys.meta_path.insert(0, Block())
package = Path(sys.argv[1])
for file in sorted(file for part in sys.argv[2:] for file in (package / part).rglob("*.py")):
    import_module(".".join(file.relative_to(package.parent).with_suffix("").parts).removesuffix(".__init__"))
    print(file)
try:
    import PIL
except ModuleNotFoundError:
    print("PIL was blocked")
"""


def test_geometry_ops_and_models_import_with_torch_alone():
    command = [sys.executable, "-c", BLOCKED_IMPORT, str(PACKAGE), *TORCH_ALONE]
    done = subprocess.run(command, capture_output=True, text=True, cwd=PACKAGE.parent)
    assert done.returncode == 0, done.stderr
    expected = [file for file in MODULES if file.relative_to(PACKAGE).parts[0] in TORCH_ALONE]
    assert done.stdout.splitlines() == [*map(str, expected), "PIL was blocked"]


def line_count(files):
    """Lines of the files, with comments and blank lines."""
    return sum(len(file.read_text().splitlines()) for file in files)


def below(*rooms):
    """The package's modules in these rooms."""
    return [file for file in MODULES if any(PACKAGE / room in file.parents for room in rooms)]


ANNEXES = below("data/synthetic", "study", "report")
CLASSROOM = [*below("laws"), PACKAGE / "exercise.py"]  # serves learners and the tests, not the detector
SOURCES = [file for file in (PACKAGE.parent / "csrc").rglob("*") if file.is_file()]


def test_no_file_has_more_than_300_lines():
    assert {file.name: line_count([file]) for file in MODULES if line_count([file]) > 300} == {}


@pytest.mark.parametrize(
    ("files", "most"),  # lower these with the code; they are to reach 8300, 5800, 2400 and 2700
    [
        pytest.param(set(MODULES) - set(CLASSROOM), 10962, id="all"),
        pytest.param(set(MODULES) - set(ANNEXES) - set(CLASSROOM), 7752, id="without the annexes"),
        pytest.param(below("geometry", "ops", "models"), 2780, id="geometry, ops, models"),
        pytest.param(SOURCES, 2700, id="csrc"),
    ],
)
def test_the_house_stays_small(files, most):
    assert 0 < line_count(files) <= most
