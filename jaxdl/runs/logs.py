"""What a run writes while it learns: metrics.jsonl, and TensorBoard events where they can be."""

import contextlib
import json
import math
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import jax
from etils import epath

from jaxdl.errors import UserError

# What every line says of itself.
_OWN = ("step", "split")


def by_split(figures: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """A training step's figures by the line that they belong to.

    A plain name goes to the split "train". Of one with "/" the first part is the split, and so the
    line; the second is the figure, or, where more follows, a group of figures; all behind it names
    the figure in its group, with its own "/" (a layer may have figures of its own beside those of
    its parts, so that groups do not nest).

    Args:
      figures: ``loss``, ``quantiles/median``, ``layers/gradient_norm/block_0/dense``, …; their
        values are not looked at.

    Returns:
      {split: {name: figure, group: {name: figure}}}; "train" is among them, and comes first.

    Raises:
      UserError: a name has an empty part, is taken, or names both a figure and a group.
    """
    splits: dict[str, dict[str, Any]] = {"train": {}}
    for name, value in figures.items():
        split, name_in_split, *part = name.split("/", 2) if "/" in name else ("train", name)
        if "" in name.split("/"):
            raise UserError(f"metric {name!r} has an empty part: name it 'split/group/part'")
        if name_in_split in _OWN:
            raise UserError(f"metric {name!r}: {name_in_split!r} is taken, call it something else")
        line = splits.setdefault(split, {})
        group = line.setdefault(name_in_split, {}) if part else line
        key = part[0] if part else name_in_split
        if not isinstance(group, dict) or key in group:
            raise UserError(
                f"metric {name!r} would be in the place of another: {split}/{name_in_split} is "
                "either a figure or a group of them, and one line has each once"
            )
        group[key] = value
    return splits


def flat(line: Mapping[str, Any]) -> dict[str, Any]:
    """{name: figure} of a line, groups as ``group/part``: without its step and split."""
    found = {}
    for name, value in line.items():
        if isinstance(value, dict):
            found |= {f"{name}/{part}": figure for part, figure in value.items()}
        elif name not in _OWN:
            found[name] = value
    return found


def _finite(value: Any) -> Any:
    """JSON has no NaN: null stands for it."""
    if isinstance(value, dict):
        return {k: _finite(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_finite(v) for v in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def read(workdir: epath.PathLike) -> list[dict[str, Any]]:
    """The lines of a run's metrics.jsonl; a last line that a crash cut short is left out."""
    file = epath.Path(workdir) / "metrics.jsonl"
    lines = []
    for line in file.read_text().splitlines() if file.exists() else []:
        try:
            lines.append(json.loads(line))
        except json.JSONDecodeError:
            break
    return lines


class MetricWriter:
    """Appends one object a line to metrics.jsonl, and the same figures to TensorBoard.

    Args:
      workdir: the run's folder, local or remote. Only process 0 writes.
      resumed_at: the step that the run goes on from; later lines of an earlier life are dropped, so
        that the file reads as if nothing had happened.
    """

    def __init__(self, workdir: epath.Path, resumed_at: int):
        self._file = workdir / "metrics.jsonl"
        self._active = jax.process_index() == 0
        self._remote = "://" in str(workdir)
        kept = [line for line in read(workdir) if line["step"] <= resumed_at]
        self._lines = [json.dumps(line) for line in kept]
        self._events = None
        if self._active:
            text = "".join(line + "\n" for line in self._lines)
            # A file that stays as it is may be one that a run is writing to.
            if not self._file.exists() or self._file.read_text() != text:
                self._file.write_text(text)
            self._events = _tensorboard(workdir, resumed_at)

    def write(self, step: int, split: str, figures: dict[str, Any]) -> None:
        """One line: step, split ("train", "eval" …), and {name: number}, lists or groups."""
        if not self._active:
            return
        line = json.dumps(_finite({"step": step, "split": split, **figures}))
        if self._remote:  # object stores cannot append
            self._lines.append(line)
        else:
            with self._file.open("a") as stream:
                stream.write(line + "\n")
        if self._events is not None:
            self._events.add(step, _tagged(split, figures))

    def flush(self) -> None:
        """Everything so far is safe in its file when this returns."""
        if self._active and self._remote:
            self._file.write_text("".join(line + "\n" for line in self._lines))
        if self._events is not None:
            self._events.flush()


def _tagged(split: str, figures: Mapping[str, Any]) -> dict[str, float]:
    """{TensorBoard's tag: number} of the figures of a line that are finite numbers."""
    found = {}
    for name, value in flat(figures).items():
        numbers = dict(enumerate(value)) if isinstance(value, list) else {None: value}
        for i, number in numbers.items():
            tag = f"{split}/{name}" if i is None else f"{split}/{name}/{i}"
            if isinstance(number, int | float) and math.isfinite(number):
                found[tag] = number
    return found


class _Events:
    """TensorBoard's file, by tensorboardX if that is there; metrics.jsonl has the same figures.

    It is imported, and writes, on a thread. A line is one event: one each figure, as ``add_scalar``
    writes them, goes through two queues by itself, and a step has dozens of figures.
    """

    def __init__(self, folder: epath.Path, purge_step: int | None):
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="events")
        self._begun = [self._thread.submit(self._open, str(folder), purge_step)]

    def add(self, step: int, numbers: Mapping[str, float]) -> None:
        """{tag: number} of a step."""
        self._begun.append(self._thread.submit(self._add, step, numbers))

    def flush(self) -> None:
        """Everything so far is in the file when this returns."""
        self._begun.append(self._thread.submit(self._flush))
        for future in self._begun:
            future.result()
        self._begun.clear()

    def _open(self, folder: str, purge_step: int | None) -> None:
        self._writer = None
        with contextlib.suppress(ImportError):  # the extra "tensorboard"
            from tensorboardX import SummaryWriter, summary

            self._writer, self._summary = SummaryWriter(folder, purge_step=purge_step), summary

    def _add(self, step: int, numbers: Mapping[str, float]) -> None:
        if self._writer is not None and numbers:
            whole, *others = [self._summary.scalar(tag, x) for tag, x in numbers.items()]
            for part in others:
                whole.MergeFrom(part)
            self._writer.file_writer.add_summary(whole, step)

    def _flush(self) -> None:
        if self._writer is not None:
            self._writer.flush()


def _tensorboard(workdir: epath.Path, resumed_at: int) -> _Events:
    return _Events(workdir / "events", resumed_at + 1 if resumed_at else None)
