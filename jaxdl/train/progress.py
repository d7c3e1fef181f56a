"""What a person sees while a run learns: a live line on a terminal, plain lines elsewhere."""

import sys
import time
from types import TracebackType
from typing import Any

import jax

# Without a terminal, training lines come no faster than this; metrics.jsonl has them all.
SECONDS_A_LINE = 2.0


class Progress:
    """Shows step, epoch, figures, examples a second and the time left.

    Args:
      steps: updates in the run.
      start: the step that it goes on from.
      steps_per_epoch: None where there are no epochs.
      batch_size: examples an update.
    """

    def __init__(self, steps: int, start: int, steps_per_epoch: float | None, batch_size: int):
        self._steps, self._start, self._batch_size = steps, start, batch_size
        self._steps_per_epoch = steps_per_epoch
        self._began: float | None = None
        self._figures = ""
        self._last_line = -SECONDS_A_LINE
        self._visible = jax.process_index() == 0
        self._live = None
        if self._visible and sys.stdout.isatty():
            from rich import progress

            self._live = progress.Progress(
                progress.TextColumn("[bold]{task.description}"),
                progress.BarColumn(bar_width=24),
                progress.MofNCompleteColumn(),
                progress.TextColumn("{task.fields[figures]}"),
                progress.TimeRemainingColumn(),
            )

    def __enter__(self) -> "Progress":
        if self._live is not None:
            self._live.start()
            self._task = self._live.add_task(
                "train", total=self._steps, completed=self._start, figures="compiling"
            )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: Any, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def compiled(self) -> None:
        """The first update is about to run: speed counts from here."""
        self._began = time.monotonic()

    def step(self, step: int) -> None:
        """So many updates were dispatched."""
        if self._live is not None:
            rate = self._rate(step)
            speed = f"{rate * self._batch_size:.0f} examples/s" if rate else ""
            shown = " ".join(filter(None, (self._at(step), self._figures, speed)))
            self._live.update(self._task, completed=step, figures=shown)

    def measuring(self, step: int) -> None:
        """An evaluation has begun: a terminal's live line says so until its figures come."""
        if self._live is not None:
            self._live.update(self._task, completed=step, figures="measuring", refresh=True)

    def figures(self, step: int, split: str, figures: dict[str, Any]) -> None:
        """New figures: remembered on a terminal's live line, printed elsewhere."""
        short = " ".join(
            f"{name} {value:.4g}"
            for name, value in figures.items()
            if isinstance(value, float) and not name.endswith(("_norm", "_rate"))
        )
        if split == "eval":
            self.say(f"step {step:>6} {self._at(step)} eval  {short}")
            self.step(step)
        elif self._live is not None:
            self._figures = short
        elif time.monotonic() - self._last_line >= SECONDS_A_LINE:
            self._last_line = time.monotonic()
            self.say(f"step {step:>6} {self._at(step)} {split:<5} {short}{self._speed(step)}")

    def say(self, text: str) -> None:
        """One line of plain text."""
        if not self._visible:
            return
        if self._live is not None:
            self._live.console.print(text, highlight=False, markup=False)
        else:
            print(text, flush=True)

    def _at(self, step: int) -> str:
        if self._steps_per_epoch is None:
            return ""
        return f"epoch {step / self._steps_per_epoch:6.1f}"

    def _rate(self, step: int) -> float | None:
        """Updates a second since the first one; None before that."""
        if self._began is None or step <= self._start:
            return None
        return (step - self._start) / max(time.monotonic() - self._began, 1e-9)

    def _speed(self, step: int) -> str:
        rate = self._rate(step)
        if not rate:
            return ""
        left = (self._steps - step) / rate
        return f"  {rate * self._batch_size:.0f} examples/s, {left:.0f} s left"
