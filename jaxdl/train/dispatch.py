"""The dispatches that a run is cut into, and their batches, made while the devices work."""

import collections
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
