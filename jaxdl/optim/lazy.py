"""A regularisation that is added in an update of its own, every few updates, with one optimizer.

Karras et al., 2020, "Analyzing and Improving the Image Quality of StyleGAN", section 3.1 and
appendix B: k updates of the loss have one of the regularisation, k times as heavy, beside them. So
the optimizer counts k + 1 updates where there are k, its rate is k / (k + 1) of what it would be,
and its memories are raised to that power, so that they are as long in updates of the loss.
"""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

from jaxdl.optim import chain
from jaxdl.optim.schedules import Schedule

# Arguments of optimizers that are the share of something which is kept from update to update.
_MEMORIES = ("b1", "b2", "momentum", "decay")


def is_due(count: jax.Array, every: int) -> jax.Array:
    """Whether the optimizer's next update, after ``count``, is one of the regularisation.

    The first of ``every`` updates of the loss has it in front.
    """
    return count % (every + 1) == 0


def updates_of_loss(count: jax.Array, every: int) -> jax.Array:
    """Of ``count`` updates of the optimizer those that were of the loss; 0 ``every`` is all."""
    if not every:
        return count
    return count // (every + 1) * every + jnp.maximum(count % (every + 1) - 1, 0)


def schedule(inner: Schedule, every: int) -> Schedule:
    """The rate by the optimizer's own count, of ``inner``, which counts updates of the loss."""
    if not every:
        return inner
    share = every / (every + 1)
    return lambda count: share * inner(updates_of_loss(count, every))


def settings(given: Mapping[str, Any], every: int) -> dict[str, Any]:
    """`config.optimizer` with the memories of an optimizer that has the further updates.

    Args:
      given: the keys of `config.optimizer`.
      every: updates of the loss to one of the regularisation; 0 changes nothing.
    """
    found = dict(given)
    if not every:
        return found
    usual = chain.arguments(given["name"])
    for name in _MEMORIES:
        value = usual.get(name) if found[name] is None else found[name]
        if value is not None:
            found[name] = value ** (every / (every + 1))
    return found
