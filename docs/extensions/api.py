"""Writes docs/api: every public function and class with its docstring, which is Markdown, and a link to its source."""

import ast
import copy
import inspect
import re
from pathlib import Path

DOCS = Path(__file__).resolve().parents[1]
ROOT = DOCS.parent
PACKAGE = ROOT / "fasterfpn"
FOLDER = DOCS / "api"
SECTIONS = ("Args:", "Returns:", "Raises:", "Yields:")
LINES: dict[tuple[str, str], int] = {}  # of each definition by module and name, filled with the pages


def page(room: Path) -> str:
    """Return the page of a folder of the package: a section for each module that has something to say."""
    parts = [f"# {dotted(room)}\n"]
    for file in sorted(room.glob("*.py"), key=lambda file: (file.stem != "__init__", file.stem)):
        tree, lines = ast.parse(file.read_text(encoding="utf-8")), []
        for node in tree.body:
            lines += entry(node, dotted(file), "")
        if lines or file.stem == "__init__":
            path = file.relative_to(ROOT)
            heading = [] if file.stem == "__init__" else [f"## {dotted(file)}\n"]
            source = f"[`{path}`](../../{path})\n"
            parts += [*heading, markdown(ast.get_docstring(tree) or ""), "", source, *lines]
    return "\n".join(parts) + "\n"


def entry(node: ast.stmt, module: str, owner: str) -> list[str]:
    """Return the Markdown of a public function or class, its public methods inside; nothing for anything else."""
    documented = isinstance(node, ast.FunctionDef | ast.ClassDef) and ast.get_docstring(node)
    if not documented or node.name.startswith("_"):
        return []
    if isinstance(node, ast.ClassDef):
        kind, signature = "class", _fields(node)
        inner = [line for child in node.body for line in entry(child, module, node.name)]
    else:
        names = {decorator.id for decorator in node.decorator_list if isinstance(decorator, ast.Name)}
        kind = "property" if "property" in names else "method" if owner else "function"
        returns = f" -> {ast.unparse(node.returns)}" if node.returns else ""
        signature = f"({_arguments(node.args, bool(owner))}){returns}" if kind != "property" else ""
        inner = []
    LINES[module, f"{owner}.{node.name}".lstrip(".")] = node.lineno
    fence = "`" * (4 if owner else 5)
    body = [f"{fence}{{py:{kind}}} {node.name}{signature}", f":module: {module}", "", markdown(ast.get_docstring(node))]
    return [*body, "", *inner, fence, ""]


class Readable(ast.NodeTransformer):
    """Leaves out of a signature what a reader does not need: notes for the command line, defaults that are computed."""

    def visit_Subscript(self, node: ast.Subscript) -> ast.AST:
        """`Annotated[str, ...]` is a `str`."""
        return node.slice.elts[0] if ast.unparse(node.value) == "Annotated" else self.generic_visit(node)

    def visit_IfExp(self, node: ast.AST) -> ast.AST:
        """A default that is computed is `...`."""
        return ast.Constant(...)

    visit_GeneratorExp = visit_Call = visit_Lambda = visit_IfExp


def _readable(node: ast.AST) -> str:
    return ast.unparse(Readable().visit(copy.deepcopy(node)))


def _arguments(arguments: ast.arguments, bound: bool) -> str:
    arguments = copy.deepcopy(arguments)
    if bound and arguments.args and arguments.args[0].arg in ("self", "cls"):
        arguments.args.pop(0)
    return _readable(arguments)


def _fields(node: ast.ClassDef) -> str:
    """Return what a class is made from: the arguments of its `__init__`, else the fields of a dataclass."""
    for child in node.body:
        if isinstance(child, ast.FunctionDef) and child.name == "__init__":
            return f"({_arguments(child.args, True)})"
    fields = [_readable(child) for child in node.body if isinstance(child, ast.AnnAssign)]
    return f"({', '.join(fields)})" if node.decorator_list and fields else ""


def markdown(docstring: str) -> str:
    """Return a docstring with its sections (Args, Returns, Raises) as lists and its examples as blocks of code."""
    docstring = re.sub(r"^>>>.*(?:\n.+)*", r"```pycon\n\g<0>\n```", inspect.cleandoc(docstring), flags=re.M)
    lines, inside = [], False
    for line in docstring.splitlines():
        item = re.match(r"    ([\w.*]+): (.*)", line)
        if line in SECTIONS:
            inside = True
            lines += ["", f"**{line[:-1]}**", ""]
        elif inside and line.startswith("    "):
            lines.append(f"- `{item[1]}`: {item[2]}" if item else line[6:] if line.startswith(" " * 8) else line[4:])
        else:
            inside = inside and not line
            lines.append(line)
    return "\n".join(lines)


def dotted(path: Path) -> str:
    """Return the name under which a file or folder of the package is imported."""
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def linkcode_resolve(domain: str, names: dict[str, str]) -> str:
    """Return the address of a definition's first line, from a page of docs/api."""
    module = ROOT / names["module"].replace(".", "/")
    file = module / "__init__.py" if module.is_dir() else module.with_suffix(".py")
    return f"../sources/{file.relative_to(ROOT)}.html#L{LINES[names['module'], names['fullname']]}"


def write(app) -> None:
    """Write a page for each folder of the package; leave those alone that have not changed."""
    rooms = sorted({file.parent for file in PACKAGE.rglob("*.py")})
    names = "\n".join(dotted(room) for room in rooms)
    index = f"# API\n\nFrom the docstrings; each name links to its source.\n\n```{{toctree}}\n{names}\n```\n"
    written = {f"{dotted(room)}.md": page(room) for room in rooms} | {"index.md": index}
    FOLDER.mkdir(exist_ok=True)
    for old in FOLDER.glob("*.md"):
        if old.name not in written:
            old.unlink()
    for name, text in written.items():
        file = FOLDER / name
        if not file.exists() or file.read_text(encoding="utf-8") != text:
            file.write_text(text, encoding="utf-8")


def setup(app) -> dict:
    """Write the pages before Sphinx looks for them."""
    app.connect("builder-inited", write)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
