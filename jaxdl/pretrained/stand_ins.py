"""What stands for the objects of a pickle that are no tensors: it keeps their items, no more.

Training programs save a model beside much else: arguments, schedules, dates, paths, whole objects
of their own. Pickles make these by calling functions of any installed package. Here nothing is
called and nothing imported: whatever a pickle names becomes a class of ours, and whatever it does
with it gives one more instance.
"""

import pickle
from typing import Any

# How copyreg makes objects of classes: of their first argument.
_REBUILDS = ("copyreg._reconstructor", "copy_reg._reconstructor")

# Where torch.nn.Module keeps the tensors of its state dict.
_OWN, _CHILDREN, _UNSAVED = ("_parameters", "_buffers"), "_modules", "_non_persistent_buffers_set"

# Modules within modules may be the same ones, and then the names of their tensors multiply.
_MOST_NAMES = 1_000_000


class StandIn(dict):
    """An object that a pickle wanted made.

    It keeps what is set by key, so that any kind of mapping is read; of a ``torch.nn.Module`` it
    keeps what its state dict has. Everything else is dropped.

    Attributes:
      what: the whole name of the class or function.
    """

    __slots__ = ()
    what = ""

    def __new__(cls, *arguments: Any, **_: Any) -> "StandIn":
        """What a pickle's call of the class, or of what it stands for, gives."""
        if cls.what in _REBUILDS and arguments and is_stand_in_class(arguments[0]):
            cls = arguments[0]
        return dict.__new__(cls)

    def __init__(self, *_: Any, **__: Any):
        """Looks at nothing that it is given."""

    def __call__(self, *_: Any, **__: Any) -> "StandIn":
        """What it would have returned is unknown too."""
        return self

    # Objects may be keys and in sets.
    __hash__ = object.__hash__
    __eq__ = object.__eq__

    def __setstate__(self, state: Any) -> None:
        """Sets no attribute."""
        if isinstance(state, dict) and all(isinstance(state.get(k), dict) for k in _OWN):
            unsaved = state.get(_UNSAVED) or ()
            for part in _OWN:
                kept = {k: x for k, x in state[part].items() if x is not None and k not in unsaved}
                self.update(kept)
            children = state.get(_CHILDREN)
            for name, child in children.items() if isinstance(children, dict) else ():
                if isinstance(child, StandIn):
                    self.update({f"{name}.{key}": x for key, x in child.items()})
                if len(self) > _MOST_NAMES:
                    raise pickle.UnpicklingError(f"a module of more than {_MOST_NAMES} tensors")

    def append(self, _item: Any) -> None:
        """Of lists' kin."""

    def extend(self, _items: Any) -> None:
        """Of lists' kin."""

    def add(self, _item: Any) -> None:
        """Of sets' kin."""


def stand_in(what: str) -> type[StandIn]:
    """The class that stands for what a pickle calls so."""
    return type("StandIn", (StandIn,), {"__slots__": (), "what": what})


def is_stand_in_class(x: Any) -> bool:
    """Whether it stands for a class or function itself."""
    return isinstance(x, type) and issubclass(x, StandIn)


def kind(x: Any) -> str:
    """What something in a pickle is, for messages."""
    if isinstance(x, StandIn) or is_stand_in_class(x):
        return x.what
    return type(x).__name__
