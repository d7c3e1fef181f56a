"""The house is built as README draws it: nothing imports from above, and nothing stands outside."""

import ast
import importlib
import re
from pathlib import Path

import pytest
from launching import ROOT

import jaxdl

PACKAGE = ROOT / "jaxdl"

# Arrows that would lead downwards and are wrong all the same: {what must not import: whom}.
FORBIDDEN = {
    "metrics": ("models",),  # a Fréchet distance takes features, not a network
    "losses": ("models",),  # a perceptual loss takes a function to features
    "ops": ("keys",),
    "runs": ("report",),
    "report": ("tasks",),
    **dict.fromkeys(("tasks", "pretrained", "anatomy", "models", "report", "layers", "data"),
                    ("experiment",)),
}  # fmt: skip


def drawn() -> list[tuple[str, ...]]:
    """The floors of README's drawing from the top; the last holds the modules at the root."""
    drawing = re.search(r"^jaxdl/\n(.*?)^```", (ROOT / "README.md").read_text(), re.M | re.S)[1]
    floors = []
    for line in drawing.splitlines():
        if found := re.match(r"  (\w+)/ ", line):
            floors.append((found[1],))
        elif ".py" in line:
            floors.append(tuple(re.findall(r"(\w+)\.py", line)))
    return floors


FLOORS = drawn()
FLOOR_OF = {name: i for i, names in enumerate(reversed(FLOORS)) for name in names}


def imports(file: Path) -> dict[str, int]:
    """Modules of jaxdl that a file imports, as written, anywhere in it: {dotted name: line}."""
    found = {}
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name: node.lineno for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module == "jaxdl":
            found |= {f"jaxdl.{alias.name}": node.lineno for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found[node.module] = node.lineno
            # What is imported may be a module itself.
            found |= {f"{node.module}.{alias.name}": node.lineno for alias in node.names}
    return {name: line for name, line in found.items() if name.split(".")[0] == "jaxdl"}


def part(file: Path) -> str:
    """The package, or module at the root, that a file belongs to."""
    return file.relative_to(PACKAGE).parts[0].removesuffix(".py")


ARROWS = [
    (part(file), name.split(".")[1], f"{file.relative_to(ROOT)}:{line}")
    for file in sorted(PACKAGE.rglob("*.py"))
    if file != PACKAGE / "__init__.py"
    for name, line in imports(file).items()
    if name != "jaxdl" and name.split(".")[1] != part(file)
]


def test_the_drawing_covers_every_module_and_names_none_that_is_not_there():
    there = {p.name for p in PACKAGE.iterdir() if p.is_dir() and p.name != "__pycache__"}
    there |= {p.stem for p in PACKAGE.glob("*.py")} - {"__init__"}
    assert set(FLOOR_OF) == there


def test_nothing_imports_from_its_own_floor_or_from_above():
    assert len(ARROWS) > 300
    root = set(FLOORS[-1])
    up = [
        f"{where} imports jaxdl.{to}"
        for source, to, where in ARROWS
        if FLOOR_OF[to] >= FLOOR_OF[source] and not {source, to} <= root
    ]
    assert not up


def test_arrows_that_are_wrong_although_they_lead_down():
    assert not [
        f"{where} imports jaxdl.{to}"
        for source, to, where in ARROWS
        if to in FORBIDDEN.get(source, ())
    ]


def modules() -> dict[str, Path]:
    """{dotted name: file} of all."""
    names = {}
    for file in PACKAGE.rglob("*.py"):
        parts = file.relative_to(ROOT).with_suffix("").parts
        names[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = file
    return names


def test_there_is_no_circle_of_modules():
    # Faces re-export, and registries import all that registers itself: what a package's __init__
    # and its modules want of each other is no circle between packages, which is tested above.
    names = modules()
    graph = {
        name: {to for to in imports(file) if to in names and to != name}
        for name, file in names.items()
        if file.name != "__init__.py"
    }
    done: set[str] = set()

    def visit(name: str, path: tuple[str, ...]) -> None:
        if name in path:
            pytest.fail(" -> ".join([*path[path.index(name) :], name]))
        if name in done:
            return
        for to in graph.get(name, ()):
            visit(to, (*path, name))
        done.add(name)

    for name in graph:
        visit(name, ())


class Attributes(ast.NodeVisitor):
    """Attributes that a file asks of jaxdl's own modules: [(dotted module, attribute, line)]."""

    def __init__(self, file: Path):
        self.found: list[tuple[str, str, int]] = []
        self.scopes: list[dict[str, str]] = []
        self._within(ast.parse(file.read_text()))

    def _within(self, node: ast.AST) -> None:
        """Names that a scope binds: a module's to that module, all others to ""."""
        names = {}
        inner = list(ast.iter_child_nodes(node))
        while inner:
            child = inner.pop()
            if isinstance(child, ast.Import):
                names |= {a.asname: a.name for a in child.names if a.asname}
            elif isinstance(child, ast.ImportFrom):
                names |= {a.asname or a.name: f"{child.module}.{a.name}" for a in child.names}
            elif isinstance(child, ast.arg):
                names[child.arg] = ""
            elif isinstance(child, ast.Name) and isinstance(child.ctx, ast.Store):
                names[child.id] = ""
            if not isinstance(child, SCOPES):
                inner += ast.iter_child_nodes(child)
        self.scopes.append(names)
        self.generic_visit(node)
        self.scopes.pop()

    visit_FunctionDef = visit_AsyncFunctionDef = visit_ClassDef = visit_Lambda = _within

    def visit_Attribute(self, node: ast.Attribute) -> None:
        if isinstance(node.value, ast.Name):
            meant = next((s[node.value.id] for s in self.scopes[::-1] if node.value.id in s), "")
            if meant.split(".")[0] == "jaxdl":
                self.found.append((meant, node.attr, node.lineno))
        self.generic_visit(node)


SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)


def test_what_code_asks_of_a_module_is_there():
    # A function that moved, and one caller in a line that no quick test reaches.
    names = modules()
    asked = [
        (importlib.import_module(module), attribute, f"{file.relative_to(ROOT)}:{line}")
        for folder in (PACKAGE, ROOT / "benchmarks", ROOT / "experiments")
        for file in sorted(folder.rglob("*.py"))
        for module, attribute, line in Attributes(file).found
        if module in names
    ]
    assert len(asked) > 2000
    assert not [
        f"{where} asks for {module.__name__}.{attribute}"
        for module, attribute, where in asked
        if not hasattr(module, attribute)
    ]


def test_few_modules_lie_at_the_root():
    assert len(list(PACKAGE.glob("*.py"))) <= 10


PARTS = (
    "models keys pretrained generate losses config optim schedules data ops checkpoint anatomy "
    "envs recipes metrics tasks"
)


@pytest.mark.parametrize("name", PARTS.split())
def test_the_bare_package_has_its_parts(name):
    # Asked as a fresh process would: by then other tests have imported most of them.
    assert jaxdl.__getattr__(name) is getattr(jaxdl, name)


@pytest.mark.parametrize(
    "line",
    [
        "from jaxdl.metrics import Mean",
        "from jaxdl.tasks import learner",
        "from jaxdl.models import register",
        "from jaxdl.data import register, Source, Arrays",
        "from jaxdl import config, recipes, checkpoint, schedules",
        "from jaxdl.registry import choose",
        "from jaxdl.errors import UserError",
    ],
)
def test_what_research_code_imports_is_where_it_was(line):
    exec(line, {})


def test_the_face_of_the_package_lists_its_parts():
    assert {"pretrained", "generate", "anatomy", "envs", "checkpoint"} <= set(dir(jaxdl))
    with pytest.raises(AttributeError, match="no attribute 'modles'"):
        _ = jaxdl.modles
