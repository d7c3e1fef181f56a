"""An experiment's steps, compiled and called as the loop does it."""

import collections
import functools
import time
from typing import Any

import jax
import numpy as np

from jaxdl import experiment, metrics, parallel
from jaxdl.plan import step as planned
from jaxdl.train import advance, dispatch

# Different batches that the steps go through.
BATCHES = 4


class Steps:
    """Steps on the devices, as `jaxdl.train` runs them.

    Attributes:
      made: the experiment.
      per_call: updates in one dispatch; given as 0, the launcher's first guess.
    """

    def __init__(self, made: experiment.Experiment, per_call: int = 0):
        self.made = made
        self.per_call = per_call or _per_call(self.made)
        layout = self.made.layout
        zeros = functools.partial(metrics.zeros, self.made.abstract_window)
        window = jax.jit(zeros, out_shardings=layout.replicated)()
        put = lambda x: jax.device_put(x, layout.replicated)
        self._carry = advance.Carry(
            self.made.init_state(), put(np.int32(0)), window, put(np.bool_(True))
        )
        self._batches = [self._load(i * self.per_call) for i in range(BATCHES)]
        example = (self._carry, self.made.key, self._batches[0], np.int32(1))
        began = time.perf_counter()
        self._advance = layout.compile(advance.create(self.made.task), example)
        self.compile_seconds = time.perf_counter() - began

    def _load(self, step: int) -> Any:
        """The batches of one call, on the devices; only BATCHES different ones are drawn."""
        return self.made.stacked([(step + i) % BATCHES for i in range(self.per_call)])

    def run(self, steps: int) -> int:
        """Takes at least ``steps`` updates, waits for the last, and returns how many it took."""
        count = -(-steps // self.per_call)
        in_flight: collections.deque[advance.Status] = collections.deque()
        for i in range(count):
            self._carry, status = self._advance(
                self._carry,
                self.made.key,
                self._batches[i % BATCHES],
                np.int32(self.per_call),
            )
            in_flight.append(status)
            if len(in_flight) >= parallel.steps_in_flight():
                _check(in_flight.popleft())
        while in_flight:
            _check(in_flight.popleft())
        jax.block_until_ready(self._carry)
        return count * self.per_call

    @property
    def loss(self) -> float:
        """The mean over all steps taken."""
        return metrics.divide(jax.device_get(self._carry.window))["loss"]

    @property
    def model_flops(self) -> float:
        """Of one update, by the operations' references: what the model is, not how it is done."""
        return planned.products_of(self.made).full


def _check(status: advance.Status) -> None:
    if not bool(status.active):
        raise FloatingPointError(f"step {int(status.step)} gave a non-finite number")


def _per_call(made: experiment.Experiment) -> int:
    """What the loop begins with when steps_per_call is 0."""
    return dispatch.first_updates(made, dispatch.most_updates(made, between_events=100))
