"""``--list``: the experiments at hand, a line each by kind, or all that one says of itself.

Files are parsed, not imported: a list of fifty must not take as long as an import of jax.
"""

import ast
import re
import textwrap
from pathlib import Path
from typing import NamedTuple

from jaxdl import paths
from jaxdl.registry import choose

# {what an experiment's docstring says behind "Kind:": the heading}, in the order of the list.
KINDS = {
    "classification": "Pictures: what is on them",
    "vision": "Pictures: where, which pixels, how they look",
    "generation": "Pictures that were never taken",
    "representation": "A few numbers for much",
    "text": "Text, and series",
    "sound": "Sound",
    "graphs": "Graphs",
    "control": "Control",
    "preferences": "Preferences",
    "optimisation": "Optimisation",
    "other": "Other",
}
WIDTH = 100
_NAME, _WHAT, _COST = 12, 50, 8
_RESULT = WIDTH - _NAME - _WHAT - _COST - 2 * 3
# Where a result's first figure ends, and what it is of begins.
_CONDITIONS = re.compile(r" \(|; |, median|,? (?:on|of) (?:the|a|\d+) ")
# "2, 11 and 3 s of training", "11 to 24 s", "about 10 min of processor time".
_SECONDS = re.compile(r"(\d[\d,]*?)((?: to \d+)?)(?:,? (?:and )?\d[\d,]*?)*? (s|min)\b")


class Entry(NamedTuple):
    """What an experiment file says of itself.

    Attributes:
      file: where it is.
      text: its whole docstring.
      facts: {"Kind" | "Cost" | "Result" | "Variants": the sentences behind it, on one line}.
    """

    file: Path
    text: str
    facts: dict[str, str]

    @property
    def kind(self) -> str:
        """A key of KINDS."""
        said = self.facts.get("Kind", "other")
        return said if said in KINDS else "other"


def experiment_files() -> list[Path]:
    """The experiments at hand: ./experiments, or those beside an editable install of jaxdl."""
    here = Path("experiments")
    folder = here if here.is_dir() else Path(__file__).parents[2] / "experiments"
    own = (p for p in folder.glob("*.py") if paths.is_own(p.name))
    return sorted(p for p in own if not p.name.startswith("_"))


def entry(file: Path) -> Entry:
    """Of one file."""
    text = ast.get_docstring(ast.parse(file.read_text())) or "No description."
    facts = re.findall(
        r"^(Kind|Cost|Result|Variants): (.*?)(?=\n\n|\n[A-Z]\w*: |\Z)", text, re.M | re.S
    )
    return Entry(file, text, {name: " ".join(said.split()) for name, said in facts})


def whole(name: str) -> str:
    """All that the experiment called ``name`` ("vit") says of itself.

    Raises:
      UserError: there is none of that name; the message names the nearest ones.
    """
    file = choose("experiment", Path(name).stem, {p.stem: p for p in experiment_files()})
    return f"{file}\n\n{entry(file).text}"


def lines() -> str:
    """Every experiment on a line of at most WIDTH characters, under the heading of its kind."""
    found = [entry(file) for file in experiment_files()]
    if not found:
        return "no experiments/ folder here"
    told = []
    for kind, heading in KINDS.items():
        if of_kind := [one for one in found if one.kind == kind]:
            told += ["", heading, *map(_line, of_kind)]
    return "\n".join(
        [
            _columns("--config=", "what", "takes", "reaches"),
            *told,
            "",
            "experiments/NAME.py is what --config takes; all that one says of itself: --list=NAME",
        ]
    )


def _line(one: Entry) -> str:
    return _columns(
        one.file.stem,
        one.text.splitlines()[0].rstrip("."),
        cost(one.facts.get("Cost", "")),
        _CONDITIONS.split(one.facts.get("Result", ""))[0].rstrip("."),
    )


def cost(said: str) -> str:
    """The first time that a sentence names: "11 to 24 s", or "" where it names none."""
    found = _SECONDS.search(said)
    return f"{found[1]}{found[2].replace(' to ', '-')} {found[3]}" if found else ""


def _columns(name: str, what: str, takes: str, reaches: str) -> str:
    cells = (name.ljust(_NAME), _cut(what, _WHAT).ljust(_WHAT), takes.rjust(_COST))
    return "  ".join([*cells, _cut(reaches, _RESULT)]).rstrip()


def _cut(text: str, width: int) -> str:
    """As many whole words as there is room for."""
    return textwrap.shorten(text, width, placeholder=" …")
