"""The dispatches that a run is cut into, and their batches, made while the devices work."""

import collections
import math
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import jax

from jaxdl.anatomy import flops
from jaxdl.experiment import Experiment
from jaxdl.train import pace


class Call(NamedTuple):
    """One dispatch.

    Attributes:
      first: the step that it begins with.
      count: updates.
      per_call: updates that its program has room for.
    """

    first: int
    count: int
    per_call: int


def cut(start: int, steps: int, per_call: Callable[[], int], events: list[int]) -> Iterator[Call]:
    """The dispatches of a run: none crosses a multiple of any of ``events``."""
    step = start
    while step < steps:
        most = per_call()
        until = min([steps, step + most, *((step // e + 1) * e for e in events)])
        yield Call(step, until - step, most)
        step = until


def shapes(experiment: Experiment, start: int, steps: int) -> list[int]:
    """Steps whose batches are of each shape that the next epoch has, one of each.

    The longest comes first: what memory cannot hold is found at once. A shape that begins to be
    used in a later epoch is rare enough to wait for its program then.
    """
    if not experiment.has_groups:
        return [0]
    stop = min(steps, start + math.ceil(experiment.run.steps_per_epoch))
    found = {experiment.group(step): step for step in reversed(range(start, stop))}
    return [found[group] for group in sorted(found, reverse=True)]


def most_updates(experiment: Experiment, between_events: int) -> int:
    """The most updates that a call of this experiment may have."""
    batch = sum(x.size * x.dtype.itemsize for x in jax.tree.leaves(experiment.abstract_batch))
    return pace.limit(between_events, batch)


def first_updates(experiment: Experiment, most: int) -> int:
    """The updates a call that a run begins with, where its settings leave that to the clock."""
    jaxpr, _ = experiment.traced_step
    return pace.first_guess(flops.count(jaxpr).full, jax.default_backend(), most)


def prefetched(
    load: Callable[[Call], Any], calls: Iterator[Call], ahead: int = 2
) -> Iterator[tuple[Call, Any]]:
    """(call, batches), made on a thread while the devices work."""
    with ThreadPoolExecutor(1) as thread:
        queue: collections.deque = collections.deque()
        for call in calls:
            queue.append((call, thread.submit(load, call)))
            if len(queue) > ahead:
                call, future = queue.popleft()
                yield call, future.result()
        while queue:
            call, future = queue.popleft()
            yield call, future.result()
