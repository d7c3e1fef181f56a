"""Being told to stop: SIGTERM from a preempted machine, SIGINT from a person."""

import signal
from types import FrameType, TracebackType
from typing import Any

import jax

# What a shell reports for a process that a signal ended: 128 + its number.
EXIT_CODES = {signal.SIGTERM: 143, signal.SIGINT: 130}


class StopSignals:
    """Catches SIGTERM and the first SIGINT; a second SIGINT ends the process at once.

    On several hosts jax.distributed handles SIGTERM itself: a Python handler would never be called,
    or would disable the agreement on a step at which all of them stop.
    """

    def __init__(self):
        self._received: int | None = None
        self._former: dict[int, Any] = {}
        self._together = jax.process_count() > 1
        self._asked = 0

    def __enter__(self) -> "StopSignals":
        wanted = (signal.SIGINT,) if self._together else (signal.SIGINT, signal.SIGTERM)
        for number in wanted:
            try:
                self._former[number] = signal.signal(number, self._note)
            except ValueError:  # not the main thread: whoever runs us handles signals
                break
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: Any, trace: TracebackType | None
    ) -> None:
        for number, handler in self._former.items():
            signal.signal(number, handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self._received = number
        if number == signal.SIGINT:
            signal.signal(signal.SIGINT, signal.SIG_DFL)

    def exit_code(self) -> int | None:
        """The exit code of a run that should stop now; None to go on.

        On several hosts it answers the same on all of them, if all ask equally often.
        """
        self._asked += 1
        if self._together:
            from jax.experimental import multihost_utils

            # It agrees on a count that each host must reach one by one: not on a step, of which a
            # call can do several.
            if multihost_utils.reached_preemption_sync_point(self._asked):
                return EXIT_CODES[signal.SIGTERM]
        return EXIT_CODES[self._received] if self._received is not None else None
