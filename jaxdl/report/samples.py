"""What a run generates, kept as files: a few times on the way, and on demand."""

import re
from collections.abc import Mapping

import jax
from etils import epath

from jaxdl.report.draw import Picture

# How often in a run, evenly over its evaluations.
TIMES = 6

_STEP = re.compile(r"step_(\d+)$")


def due(step: int, steps: int, eval_every: int) -> bool:
    """Whether the evaluation at ``step`` is one of the TIMES of a run of ``steps`` updates."""
    number = lambda step: -(-step // eval_every)
    share = lambda n: n * TIMES // number(steps)
    return share(number(step)) > share(number(step) - 1)


def folder_of(workdir: epath.Path, step: int) -> epath.Path:
    """Where the samples of one step are."""
    return workdir / "samples" / f"step_{step:08d}"


def write(folder: epath.Path, made: Mapping[str, Picture | str]) -> list[epath.Path]:
    """Writes each as a file that is called like it; process 0 alone does.

    Returns:
      The files.
    """
    if jax.process_index() != 0:
        return []
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for name, item in made.items():
        picture = isinstance(item, Picture)
        file = folder / f"{name}.{item.kind.removesuffix('+xml') if picture else 'txt'}"
        file.write_bytes(item.data) if picture else file.write_text(item)
        files.append(file)
    return files


def over_time(workdir: epath.Path) -> dict[str, dict[int, Picture | str]]:
    """{name: {step: what was written}} of a run, earliest first."""
    found: dict[str, dict[int, Picture | str]] = {}
    top = workdir / "samples"
    for folder in sorted(top.iterdir()) if top.exists() else []:
        if not (step := _STEP.search(folder.name)):
            continue
        for file in sorted(folder.iterdir()):
            item = file.read_text() if file.suffix == ".txt" else _picture(file)
            found.setdefault(file.stem, {})[int(step[1])] = item
    return found


def _picture(file: epath.Path) -> Picture:
    kind = {".svg": "svg+xml"}.get(file.suffix, file.suffix[1:])
    return Picture(file.read_bytes(), kind)
