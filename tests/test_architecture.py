"""The house is built as README draws it: nothing imports from above, and nothing stands outside."""

import ast
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
