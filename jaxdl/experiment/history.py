"""What evaluation has shown so far of one run, or of one member of a population."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from jaxdl import metrics


class Goal(NamedTuple):
    """A metric, and which way it is good.

    Attributes:
      metric: its name.
      direction: `jaxdl.metrics.LOW` or `jaxdl.metrics.HIGH`.
      target: a value that is good enough; None where none is.
    """

    metric: str
    direction: str
    target: float | None = None

    def rank(self, figures: Mapping[str, Any]) -> float:
        """A number that is higher the better the figures are; the worst where it is missing."""
        return metrics.rank(figures.get(self.metric, math.nan), self.direction)

    def is_reached(self, figures: Mapping[str, Any]) -> bool:
        """Whether the figures are as good as the target."""
        wanted = None if self.target is None else metrics.rank(self.target, self.direction)
        return wanted is not None and self.rank(figures) >= wanted


class Watch(NamedTuple):
    """Kept with each checkpoint.

    Attributes:
      best: {"step": …, name: figure …} of the best evaluation, or {}.
      last: the same of the newest.
      stalled: evaluations without improvement of early_stopping.metric.
      record: the best value of that metric.
      reached: whether it has been as good as early_stopping.target.
    """

    best: dict[str, Any] = {}
    last: dict[str, Any] = {}
    stalled: int = 0
    record: float | None = None
    reached: bool = False


def after(watch: Watch, found: Mapping[str, Any], best: Goal, patient: Goal | None) -> Watch:
    """The watch after another evaluation.

    An evaluation without a goal's metric, as one between two scores is, says nothing of that goal.

    Args:
      watch: before it.
      found: {"step": …, name: figure …}.
      best: of config.eval.best.
      patient: of config.early_stopping.metric, or None.
    """
    improved = best.metric in found and metrics.is_better(
        found[best.metric], watch.best.get(best.metric), best.direction
    )
    watch = watch._replace(best=dict(found) if improved else watch.best, last=dict(found))
    if patient is not None and patient.metric not in found:
        return watch
    if patient is not None:
        watch = watch._replace(reached=watch.reached or patient.is_reached(found))
    if patient is None or not metrics.is_better(
        found[patient.metric], watch.record, patient.direction
    ):
        return watch._replace(stalled=watch.stalled + 1)
    return watch._replace(stalled=0, record=found[patient.metric])


def leader(watches: Sequence[Watch], best: Goal) -> int:
    """The index of the one with the best figure so far; of equals the first to have it."""

    def place(i: int) -> tuple[float, float]:
        found = watches[i].best
        return (best.rank(found), -found["step"]) if found else (-math.inf, 0)

    return max(range(len(watches)), key=place)


def rank_of_last(watches: Sequence[Watch], best: Goal) -> float | None:
    """The rank (`jaxdl.metrics.rank`) of the best newest figure; None where there is none."""
    return max((best.rank(w.last) for w in watches if best.metric in w.last), default=None)
