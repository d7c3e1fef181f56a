"""What evaluation has shown so far of one run, or of one member of a population."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from jaxdl import metrics


class Watch(NamedTuple):
    """Kept with each checkpoint.

    Attributes:
      best: {"step": …, name: figure …} of the best evaluation, or {}.
      last: the same of the newest.
      stalled: evaluations without improvement of early_stopping.metric.
      record: the best value of that metric.
    """

    best: dict[str, Any] = {}
    last: dict[str, Any] = {}
    stalled: int = 0
    record: float | None = None


def after(watch: Watch, found: Mapping[str, Any], best: str, patient: str) -> Watch:
    """The watch after another evaluation.

    Args:
      watch: before it.
      found: {"step": …, name: figure …}.
      best: the metric of config.eval.best.
      patient: the metric of config.early_stopping.metric, or "".
    """
    improved = metrics.is_better(best, found[best], watch.best.get(best))
    progressed = bool(patient) and metrics.is_better(patient, found[patient], watch.record)
    return Watch(
        best=dict(found) if improved else watch.best,
        last=dict(found),
        stalled=0 if progressed else watch.stalled + 1,
        record=found[patient] if progressed else watch.record,
    )


def leader(watches: Sequence[Watch], best: str) -> int:
    """The index of the one with the best figure so far; of equals the first to have it."""

    def place(i: int) -> tuple[float, float]:
        found = watches[i].best
        return (metrics.rank(best, found[best]), -found["step"]) if found else (-math.inf, 0)

    return max(range(len(watches)), key=place)


def rank_of_last(watches: Sequence[Watch], best: str) -> float | None:
    """The rank (`jaxdl.metrics.rank`) of the best newest figure; None where there is none."""
    return max((metrics.rank(best, w.last[best]) for w in watches if w.last), default=None)
