"""The compiled heart of the loop: several updates of a task in one dispatch."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxdl import keys, metrics, tasks
from jaxdl.ops import forms


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

        new = state, metrics.add(carry.window, found)
        state, window = _chosen(active, new, (carry.state, carry.window))
        return Carry(state, carry.step + active.astype(carry.step.dtype), window, active)

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


def _chosen(active: jax.Array, new: Any, old: Any) -> Any:
    """``new`` where it is active, else ``old``; ``active`` is a scalar, or one a member."""

    def by_element(active: jax.Array, new: Any, old: Any) -> Any:
        own = lambda x: active.reshape(active.shape + (1,) * (x.ndim - active.ndim))
        return jax.tree.map(lambda new, old: jnp.where(own(new), new, old), new, old)

    def whole(active: jax.Array, new: Any, old: Any) -> Any:
        return jax.lax.cond(active, lambda new, old: new, lambda new, old: old, new, old)

    # On a CPU a choice by element is a program to compile for each array, a copy is none.
    cpu = None if active.ndim else whole
    return forms.by_platform(by_element, active, new, old, cpu=cpu)
