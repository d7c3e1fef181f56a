"""How many updates go into one dispatch, so that the host costs next to nothing.

The number changes no bit of the result (see `jaxdl.train.advance.create`), so it may follow from
the clock.
"""

import math
import time

# What the host may cost, as a share of the time that the devices work.
SHARE = 0.02
# The first guess takes a dispatch with its bookkeeping to cost this many seconds, and devices to be
# fast: too large a number costs a little memory, too small a one another compilation.
_HOST_SECONDS = 4e-4
_FLOPS_PER_SECOND = {"cpu": 2e11}
_ACCELERATOR = 2e14
# Larger calls hold more batches, and are noticed later by a signal.
_MOST_BYTES = 2**28
_MOST_UPDATES = 256


def limit(between_events: int, batch_bytes: int) -> int:
    """The most updates that a call may have: none crosses an event, and batches must find room."""
    return max(1, min(between_events, _MOST_UPDATES, _MOST_BYTES // max(batch_bytes, 1)))


def first_guess(flops: float, platform: str, most: int) -> int:
    """Updates a call, from the operations of one; a power of two, ``most`` at most."""
    seconds = flops / _FLOPS_PER_SECOND.get(platform, _ACCELERATOR)
    return _enough(_HOST_SECONDS, seconds, most)


def _enough(host: float, update: float, most: int) -> int:
    """The power of two from which ``host`` seconds a call are under SHARE of the updates' time."""
    wanted = host / (SHARE * max(update, 1e-9))
    return min(most, 2 ** max(0, math.ceil(math.log2(max(wanted, 1)))))


class Stopwatch:
    """Times the first calls of a run.

    Args:
      per_call: updates in each.
    """

    CALLS, SECONDS = 20, 0.3

    def __init__(self, per_call: int):
        self._per_call = per_call
        self._calls = self._updates = 0
        self._host = 0.0
        self._began: float | None = None

    def call(self, count: int, host_seconds: float) -> None:
        """A call of ``count`` updates was dispatched, which took the host so long."""
        if self._began is None:  # the first one also warms up
            self._began = time.perf_counter()
            return
        self._calls += 1
        self._updates += count
        self._host += host_seconds

    def better(self, most: int, updates_left: int, compile_seconds: float) -> int | None:
        """A number of updates a call that pays for its compilation; None before enough is known.

        Args:
          most: see `limit`.
          updates_left: in the run.
          compile_seconds: what changing the number costs.

        Returns:
          The number in use if it is good enough, or if nothing better would pay.
        """
        if self._began is None:
            return None
        seconds = time.perf_counter() - self._began
        if self._calls < self.CALLS or seconds < self.SECONDS:
            return None
        host = self._host / self._calls
        update = max(seconds - self._host, 0.0) / self._updates
        found = max(self._per_call, _enough(host, update, most))
        saved = updates_left * host * (1 / self._per_call - 1 / found)
        return found if saved > compile_seconds else self._per_call
