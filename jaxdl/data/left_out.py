"""Examples that cannot be used are left out, a line each, and the others go on."""

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from jaxdl.errors import UserError

T, R = TypeVar("T"), TypeVar("R")

# Lines that name one each; what is beyond is counted.
MOST_LINES = 10


class LeftOut:
    """Names what is broken among the examples of a data set, up to a share that is too much.

    What most of a set has wrong is hardly the files' own fault: a library that is not there, a
    download that never came.

    Args:
      most: share of all examples that may be left out, in [0, 1); with 0 the first is an error.
      called: several of them, for messages.

    Raises:
      UserError: there is no such share.
    """

    def __init__(self, most: float, called: str):
        if not 0 <= most < 1:
            raise UserError(f"data.broken={most:g} must be at least 0 and less than 1")
        self.most, self.called, self.lines = most, called, []

    def add(self, line: str) -> None:
        """One more, with what is wrong with it; raises UserError where none may be."""
        if not self.most:
            raise UserError(line)
        self.lines.append(line)

    def tried(self, make: Callable[..., R], *args: T) -> R | None:
        """``make(*args)``; None where it raises UserError, and the example is left out."""
        try:
            return make(*args)
        except UserError as error:
            self.add(str(error))
            return None

    def mapped(self, make: Callable[[T], R], examples: Iterable[T]) -> list[R | None]:
        """`tried` of each, on several threads, in their order."""

        def one(example: T) -> tuple[R | None, str]:
            try:
                return make(example), ""
            except UserError as error:
                return None, str(error)

        with ThreadPoolExecutor(8) as threads:
            found = list(threads.map(one, examples))
        for _, line in found:
            if line:
                self.add(line)
        return [made for made, _ in found]

    def check(self, kept: int) -> None:
        """Raises UserError where nothing is kept, or more than the share is left out.

        Args:
          kept: examples of all parts that were not left out so far.
        """
        count, size = len(self.lines), kept + len(self.lines)
        if count and (not kept or count > self.most * size):
            least = f"more than data.broken={self.most:g} of them" if kept else "which leaves none"
            raise UserError(
                f"{count} of {size} {self.called} cannot be used, {least}; the first: "
                f"{self.lines[0]}"
            )

    def notes(self) -> list[str]:
        """A line on each, and on how many there are."""
        if not self.lines:
            return []
        beyond = len(self.lines) - MOST_LINES
        more = [f"left out: {beyond} more, which are not named"] if beyond > 0 else []
        named = [f"left out: {line}" for line in self.lines[:MOST_LINES]]
        return [f"{len(self.lines)} {self.called} cannot be used, and are left out", *named, *more]


def kept(found: Sequence[R | None]) -> list[int]:
    """The places of what is not None."""
    return [i for i, one in enumerate(found) if one is not None]
