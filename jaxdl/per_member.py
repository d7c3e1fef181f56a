"""Numbers that differ between the members of a population, where code expects one number.

A task is built once for all members, from a config some of whose numbers are of this kind. With
other plain numbers they calculate as Python does, member by member, so that what a single run has
as a constant a member has to the bit. With arrays they are arrays: the element of the member that
is being traced. A decision by their value is possible where it is the same for all members, since
the program is one; any other is refused.
"""

import math
import numbers
import operator
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core.primitives import convert_element_type_p

from jaxdl.errors import StructureError


class Setting:
    """Which setting a number comes from, and whether a program has used it.

    Args:
      name: of the setting, such as "optimizer.learning_rate".
    """

    def __init__(self, name: str):
        self.name, self.used = name, False


def _plain(x: Any) -> bool:
    return isinstance(x, numbers.Number | np.number)


@jax.tree_util.register_pytree_node_class
class Swept:
    """A number for each member.

    Args:
      index: the member's place in ``values``, an integer, traced or not.
      values: one number a member.
      settings: what they are values of, or were made of.
    """

    # NumPy's numbers leave the operators below to this class.
    __array_ufunc__ = None

    def __init__(self, index: Any, values: Sequence[Any], *settings: Setting):
        self.index, self.values, self.settings = index, tuple(values), settings

    def tree_flatten(self) -> tuple[tuple[Any], tuple[tuple, tuple]]:
        """A pytree, so that it passes through jit and scan."""
        return (self.index,), (self.values, self.settings)

    @classmethod
    def tree_unflatten(cls, aux: tuple[tuple, tuple], children: tuple[Any]) -> "Swept":
        """The inverse of `tree_flatten`."""
        values, settings = aux
        return cls(children[0], values, *settings)

    def __jax_array__(self) -> jax.Array:
        """The member's number: a weakly typed scalar, as a Python number is in JAX."""
        for setting in self.settings:
            setting.used = True
        kind = type(self.values[0]) if len({type(v) for v in self.values}) == 1 else float
        # As JAX has Python's: but a whole number of 32 bits without sign is kept as it is.
        whole = np.uint32 if kind is int and max(self.values) > np.iinfo(np.int32).max else np.int32
        table = np.asarray(self.values, {bool: bool, int: whole}.get(kind, np.float32))
        number = jnp.asarray(table)[self.index]
        # The public form of this operation has no way to say that the result is weakly typed.
        return convert_element_type_p.bind(
            number,
            new_dtype=number.dtype,
            weak_type=table.dtype in (np.int32, np.float32),
            sharding=None,
        )

    # What JAX asks of what may be an array.

    @property
    def aval(self) -> Any:
        """A weakly typed scalar's."""
        return self.__jax_array__().aval

    @property
    def dtype(self) -> Any:
        """float32, int32 or bool."""
        return self.__jax_array__().dtype

    # Arithmetic

    def _with(self, op: Callable, other: Any, swapped: bool = False) -> Any:
        settings = self.settings
        if isinstance(other, Swept):
            pairs = zip(self.values, other.values, strict=True)
            result = [op(b, a) if swapped else op(a, b) for a, b in pairs]
            settings = tuple(dict.fromkeys((*settings, *other.settings)))
        elif _plain(other):
            result = [op(other, v) if swapped else op(v, other) for v in self.values]
        else:
            array = self.__jax_array__()
            return op(other, array) if swapped else op(array, other)
        return Swept(self.index, result, *settings)

    def _alone(self, op: Callable) -> "Swept":
        return Swept(self.index, [op(v) for v in self.values], *self.settings)

    def _refused(self, why: str) -> StructureError:
        return StructureError(why, *(setting.name for setting in self.settings))

    def __round__(self, digits: int | None = None) -> "Swept":
        """Member by member."""
        return self._alone(lambda v: round(v, digits))

    def __neg__(self) -> "Swept":
        """Member by member."""
        return self._alone(operator.neg)

    def __abs__(self) -> "Swept":
        """Member by member."""
        return self._alone(abs)

    # Decisions

    def _agreed(self) -> Any:
        """The value of all members, which is an answer; refused where they differ."""
        if any(answer != self.values[0] for answer in self.values):
            raise self._refused(
                "decides what is computed, and not in the same way for all of its values"
            )
        return self.values[0]

    def _compared(self, op: Callable, other: Any) -> Any:
        if not (_plain(other) or isinstance(other, Swept)):
            if other is None or isinstance(other, str | tuple):
                return op is operator.ne
            return op(self.__jax_array__(), other)
        return self._with(op, other)._agreed()

    def __bool__(self) -> bool:
        """Whether it is other than 0, which must be the same for all members."""
        return self._alone(bool)._agreed()

    def _number(self, kind: type) -> Any:
        if any(v != self.values[0] for v in self.values):
            raise self._refused(
                "fixes the shapes or the structure of the program, which all members share"
            )
        return kind(self.values[0])

    def __float__(self) -> float:
        """Only where all members have the same."""
        return self._number(float)

    def __int__(self) -> int:
        """Only where all members have the same."""
        return self._number(int)

    def __index__(self) -> int:
        """Only where all members have the same."""
        return self._number(operator.index)

    def __hash__(self) -> int:
        """By value."""
        return hash(self.values)

    def __repr__(self) -> str:
        """The range of its values."""
        return f"{min(self.values):g} … {max(self.values):g}"


def _arithmetic(op: Callable) -> tuple[Callable, Callable]:
    return (
        lambda self, other: self._with(op, other),
        lambda self, other: self._with(op, other, swapped=True),
    )


def _comparison(op: Callable) -> Callable:
    return lambda self, other: self._compared(op, other)


for _name in ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow"):
    _forward, _swapped = _arithmetic(getattr(operator, _name))
    setattr(Swept, f"__{_name}__", _forward)
    setattr(Swept, f"__r{_name}__", _swapped)
for _name in ("lt", "le", "gt", "ge", "eq", "ne"):
    setattr(Swept, f"__{_name}__", _comparison(getattr(operator, _name)))


def any_on(x: Any) -> bool:
    """Whether a number is other than 0 for any member.

    For switches of what does nothing at 0: it may then be computed for all members.
    """
    return any(bool(v) for v in x.values) if isinstance(x, Swept) else bool(x)


def each(op: Callable[[Any], Any], x: Any) -> Any:
    """A function of Python's own numbers, member by member where ``x`` differs between them."""
    return x._alone(op) if isinstance(x, Swept) else op(x)


def is_finite(x: Any) -> bool:
    """Whether a number is finite for all members."""
    return all(map(math.isfinite, x.values)) if isinstance(x, Swept) else math.isfinite(x)
