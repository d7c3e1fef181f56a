"""What a side of a comparison does, and what of it must be the other's."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple


class Job(NamedTuple):
    """One side, ready to be timed.

    Attributes:
      run: does it once; what it returns is kept of the first time.
      check: what is compared instead, where it is not that; called before.
    """

    run: Callable[[], Any]
    check: Callable[[], Any] | None = None


class Row(NamedTuple):
    """One comparison.

    Attributes:
      title: what the table says, with everything that a reader needs to build it himself.
      sides: {name: (folder) -> Job}, "ours" and others; in the order in which they begin, so that
        one may leave its weights in the folder for the next. All but ours run where torch is.
      agreement: (what ours made, what another made) -> (whether they agree, in words).
      plain: the others that count; all but those beside if empty.
      beside: others that are told in every round and do not count, for they need not be installed.
    """

    title: str
    sides: Mapping[str, Callable[[str], Job]]
    agreement: Callable[[Any, Any], tuple[bool, str]]
    plain: tuple[str, ...] = ()
    beside: tuple[str, ...] = ()
