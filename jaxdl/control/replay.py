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
      priority: (environments, capacity) float32, how much there is to be learned from each, above 0
        of those that are there; None where all are drawn evenly.
    """

    content: Any
    added: jax.Array
    priority: jax.Array | None = None

    @property
    def capacity(self) -> int:
        """Transitions of each environment that are kept."""
        return jax.tree.leaves(self.content)[0].shape[1]


def create(like: Any, environments: int, capacity: int, priorities: bool = False) -> Replay:
    """An empty one.

    Args:
      like: pytree of one transition's arrays or their shapes, without any axis in front.
      environments: rings.
      capacity: transitions in each.
      priorities: whether they have any.
    """
    empty = lambda x: jnp.zeros((environments, capacity, *x.shape), x.dtype)
    priority = jnp.zeros((environments, capacity), jnp.float32) if priorities else None
    return Replay(jax.tree.map(empty, like), jnp.zeros(environments, jnp.int32), priority)


def add(replay: Replay, transitions: Any) -> Replay:
    """Puts in transitions (time, environments, …) over the oldest; time divides the capacity.

    Their priority is the highest of their ring, 1 in an empty one: what is new is soon seen.
    """
    time = jax.tree.leaves(transitions)[0].shape[0]
    # All rings are filled alike, so that one place serves all of them.
    place = replay.added[0] % replay.capacity
    put = lambda ring, new: lax.dynamic_update_slice_in_dim(ring, new.swapaxes(0, 1), place, 1)
    content = jax.tree.map(put, replay.content, transitions)
    priority = replay.priority
    if priority is not None:
        most = priority.max(axis=1, keepdims=True)
        most = jnp.where(most > 0, most, 1.0)
        new = jnp.broadcast_to(most.T, (time, len(priority)))
        priority = put(priority, new)
    return Replay(content, replay.added + time, priority)


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


def _filled(replay: Replay) -> tuple[jax.Array, jax.Array]:
    """(how many transitions are in each ring, the place of the oldest), (environments,) each."""
    full = replay.added >= replay.capacity
    oldest = jnp.where(full, replay.added % replay.capacity, 0)
    return jnp.minimum(replay.added, replay.capacity), oldest


def evenly(replay: Replay, keys: jax.Array, count: int, length: int) -> jax.Array:
    """Places (environments, count) that ``length`` transitions in a row begin at, drawn evenly.

    Args:
      replay: with at least ``length`` transitions in each ring.
      keys: (environments,).
      count: of each environment.
      length: in a row.
    """
    filled, oldest = _filled(replay)
    draw = lambda key, most: jax.random.randint(key, (count,), 0, most, jnp.int32)
    ages = jax.vmap(draw)(keys, filled - length + 1)
    return (oldest[:, None] + ages) % replay.capacity


def prioritised(
    replay: Replay, keys: jax.Array, count: int, exponent: float, length: int = 1
) -> tuple[jax.Array, jax.Array]:
    """The same drawn in proportion to ``priority^exponent``, each environment from its own.

    Schaul et al., 2016, equation 1.

    Args:
      replay: with priorities, and at least ``length`` transitions in each ring.
      keys: (environments,).
      count: of each environment.
      exponent: α; 0 is evenly.
      length: in a row.

    Returns:
      (places (environments, count), how many times as likely as evenly each was, of that shape).
    """
    filled, oldest = _filled(replay)
    ages = (jnp.arange(replay.capacity)[None] - oldest[:, None]) % replay.capacity
    whole = ages <= (filled - length)[:, None]
    weight = jnp.where(whole, replay.priority**exponent, 0.0)
    added_up = jnp.cumsum(weight, axis=1)
    draw = lambda key: jax.random.uniform(key, (count,), jnp.float32)
    at = jax.vmap(draw)(keys) * added_up[:, -1:]
    places = jax.vmap(lambda row, u: jnp.searchsorted(row, u, side="right"))(added_up, at)
    # Rounding may lead behind the last that has any weight.
    last = replay.capacity - 1 - jnp.argmax(whole[:, ::-1], axis=1)
    places = jnp.minimum(places, last[:, None]).astype(jnp.int32)
    own = jnp.take_along_axis(weight, places, axis=1)
    even = weight.sum(axis=1, keepdims=True) / whole.sum(axis=1, keepdims=True, dtype=jnp.float32)
    return places, own / even


def windows(replay: Replay, places: jax.Array, length: int) -> Any:
    """What follows places (environments, count) in time: (environments * count, length, …)."""
    times = (places[..., None] + jnp.arange(length)[None, None]) % replay.capacity
    take = jax.vmap(lambda ring, at: ring[at])
    flat = lambda x: x.reshape(-1, *x.shape[2:])
    return jax.tree.map(lambda ring: flat(take(ring, times)), replay.content)


def judged(replay: Replay, places: jax.Array, priority: jax.Array) -> Replay:
    """The priorities (n,) of what lies at places (environments, count) taken down."""
    put = jax.vmap(lambda ring, at, new: ring.at[at].set(new))
    return replay._replace(priority=put(replay.priority, places, priority.reshape(places.shape)))
