"""What an augmentation is: a function of a key and a batch that says what of the batch it moves."""

from collections.abc import Callable, Mapping
from typing import Any

import jax

from jaxdl.errors import UserError

Batch = Mapping[str, Any]
Transform = Callable[..., dict[str, Any]]

# What stands in an image's own coordinates. Whatever else a batch has, a transform leaves alone
# unless it says otherwise.
SPATIAL = ("image", "mask", "boxes", "visible")


def moves(*names: str) -> Callable[[Transform], Transform]:
    """Decorator of a transform (key, batch, settings as keywords) -> batch.

    Args:
      *names: the arrays that it changes, of those that are there: ``image`` (batch, h, w, c)
        floating in [0, 1], ``mask`` (batch, h, w) or (batch, h, w, c) of any dtype, ``boxes``
        (batch, n, 4) and ``visible`` (batch, n), the share of each that is left, floating, and
        ``label``.

    The transform has them as ``moves``.
    """

    def add(transform: Transform) -> Transform:
        transform.moves = names
        return transform

    return add


def need_no(transform: str, batch: Batch, *names: str) -> None:
    """Raises UserError if the batch has one of ``names``, of which the transform makes no sense."""
    for name in names:
        if name in batch:
            raise UserError(f"config.augment.{transform} is not for examples with {name!r}")


def changed(batch: Batch, **how: Callable[[jax.Array], jax.Array]) -> dict[str, Any]:
    """The batch with ``how[name]`` of each array of that name which it has."""
    return {name: how[name](x) if name in how else x for name, x in batch.items()}
