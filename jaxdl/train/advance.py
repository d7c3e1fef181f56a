"""The compiled heart of the loop: several updates of a task in one dispatch."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxdl import keys, metrics, tasks


class Carry(NamedTuple):
    """What goes from one call of the compiled step to the next, all of it on the devices.

    Attributes:
      state: the task's.
      step: updates done, int32; an array with one a member in a population.
      window: metrics summed since the last log line.
      active: False once a step had a non-finite metric, or a member was stopped early; of such a
        run or member no later step changes anything. Shaped as ``step``.
    """

    state: Any
    step: jax.Array
    window: metrics.Metrics
    active: jax.Array


class Status(NamedTuple):
    """What the host looks at, one call late."""

    step: jax.Array
    active: jax.Array


def create(task: tasks.Task, chunks: int = 1) -> Callable[..., tuple[Carry, Status]]:
    """Several updates in one dispatch.

    Args:
      task: what is learned.
      chunks: parts that a population is cut into, each of which takes all of a call's updates
        before the next one begins; divides the number of members.

    Returns:
      A function (carry, root key, batches, count) -> (carry, status). The arrays of ``batches``
      have an axis of updates in front, of which ``count``, a traced integer, are used: an update is
      the body of a loop whose length the program does not know, so that neither how many there are
      to a call nor where a run is interrupted leaves a trace in its numbers.
    """

    def one(carry: Carry, root: jax.Array, batch: tasks.Batch) -> Carry:
        state, found = task.train_step(carry.state, batch, keys.at_step(root, carry.step))
        active = carry.active
        for leaf in jax.tree.leaves(found):
            active &= jnp.isfinite(leaf).reshape(*active.shape, -1).all(-1)

        def keep(new: jax.Array, old: jax.Array) -> jax.Array:
            own = active.reshape(active.shape + (1,) * (new.ndim - active.ndim))
            return jnp.where(own, new, old)

        return Carry(
            jax.tree.map(keep, state, carry.state),
            carry.step + active.astype(carry.step.dtype),
            jax.tree.map(keep, metrics.add(carry.window, found), carry.window),
            active,
        )

    def several(carry: Carry, root: jax.Array, batches: tasks.Batch, count: jax.Array) -> Carry:
        def body(loop: tuple[jax.Array, Carry]) -> tuple[jax.Array, Carry]:
            i, carry = loop
            return i + 1, one(carry, root, jax.tree.map(lambda x: x[i], batches))

        goes_on = lambda loop: (loop[0] < count) & loop[1].active.any()
        return jax.lax.while_loop(goes_on, body, (jnp.int32(0), carry))[1]

    def advance(
        carry: Carry, root: jax.Array, batches: tasks.Batch, count: jax.Array
    ) -> tuple[Carry, Status]:
        if chunks == 1:
            carry = several(carry, root, batches, count)
        else:
            cut = lambda x: x.reshape(chunks, -1, *x.shape[1:])
            cut_behind = lambda x: jnp.moveaxis(x.reshape(len(x), chunks, -1, *x.shape[2:]), 1, 0)
            parts = (*jax.tree.map(cut, (carry, root)), jax.tree.map(cut_behind, batches))
            carry = jax.lax.map(lambda part: several(*part, count), parts)
            carry = jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), carry)
        return carry, Status(carry.step, carry.active)

    return advance
