"""A replay buffer: the last transitions of every environment, to learn from more than once."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax


class Replay(NamedTuple):
    """A ring an environment; every leaf has the environments as its first axis.

    Attributes:
      content: pytree of (environments, capacity, …).
      added: (environments,) int32, transitions put in since the beginning.
    """

    content: Any
    added: jax.Array

    @property
    def capacity(self) -> int:
        """Transitions of each environment that are kept."""
        return jax.tree.leaves(self.content)[0].shape[1]


def create(like: Any, environments: int, capacity: int) -> Replay:
    """An empty one.

    Args:
      like: pytree of one transition's arrays or their shapes, without any axis in front.
      environments: rings.
      capacity: transitions in each.
    """
    empty = lambda x: jnp.zeros((environments, capacity, *x.shape), x.dtype)
    return Replay(jax.tree.map(empty, like), jnp.zeros(environments, jnp.int32))


def add(replay: Replay, transitions: Any) -> Replay:
    """Puts in transitions (time, environments, …) over the oldest; time divides the capacity."""
    time = jax.tree.leaves(transitions)[0].shape[0]
    # All rings are filled alike, so that one place serves all of them.
    place = replay.added[0] % replay.capacity
    put = lambda ring, new: lax.dynamic_update_slice_in_dim(ring, new.swapaxes(0, 1), place, 1)
    content = jax.tree.map(put, replay.content, transitions)
    return Replay(content, replay.added + time)


def sample(replay: Replay, keys: jax.Array, count: int) -> Any:
    """Transitions drawn evenly, with replacement, from each environment's own.

    Args:
      replay: with at least one transition.
      keys: (environments,), so that the draws are the same on any number of devices.
      count: of each environment.

    Returns:
      Pytree of (environments * count, …), environment by environment.
    """
    filled = jnp.minimum(replay.added, replay.capacity)
    draw = lambda key, most: jax.random.randint(key, (count,), 0, most, jnp.int32)
    places = jax.vmap(draw)(keys, filled)
    take = jax.vmap(lambda ring, at: ring[at])
    flat = lambda x: x.reshape(-1, *x.shape[2:])
    return jax.tree.map(lambda ring: flat(take(ring, places)), replay.content)
