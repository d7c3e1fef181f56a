"""What a run will wait for later, done on a thread while it waits for something else.

The compiler and the devices leave Python alone, and a second processor too: meanwhile programs of
evaluation and report are traced and compiled, and heavy libraries imported.
"""

import contextlib
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Any

import jax


class Ahead:
    """A thread that does one thing after the other, to be waited for, or left at the end."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="ahead")
        self._begun: list[Future[Any]] = []

    def __enter__(self) -> "Ahead":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: object, trace: TracebackType | None
    ) -> None:
        if not kind:
            self.wait()
        self._thread.shutdown(wait=False, cancel_futures=True)

    def begin(self, work: Callable[[], Any]) -> Future[Any]:
        """Does ``work`` behind what was begun before; the future has what it returns.

        None if it failed: what fails will fail where it is needed, and is told of there.
        """
        self._begun.append(self._thread.submit(_try, work))
        return self._begun[-1]

    def wait(self) -> None:
        """Returns when all that was begun is done: nothing is made twice."""
        for future in self._begun:
            future.result()
        self._begun.clear()


def _try(work: Callable[[], Any]) -> Any:
    with contextlib.suppress(Exception):
        return work()


def may_compile() -> bool:
    """Whether programs may be compiled beside others.

    A compiler for GPUs tries forms out on the device, where it must be alone; and several hosts
    must compile the same programs in the same order.
    """
    return jax.default_backend() != "gpu" and jax.process_count() == 1
