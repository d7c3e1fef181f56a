"""What a policy is worth in a world given by a table, exactly; and the best there is."""

import jax
import jax.numpy as jnp
from jax import lax

from jaxdl.envs.tabular import World


def action_values(world: World, values: jax.Array, discount: float) -> jax.Array:
    """``Σ p (r + γ v(s'))``, no more after a terminal outcome.

    Args:
      world: with S states and A actions.
      values: (S,) of being in each state.
      discount: γ in [0, 1].

    Returns:
      (S, A) float32.
    """
    after = jnp.where(world.terminal, 0.0, values[world.next_state])
    return (world.probability * (world.reward + discount * after)).sum(axis=-1)


def value_iteration(world: World, discount: float, sweeps: int = 2000) -> jax.Array:
    """The optimal action values (S, A), by Bellman's equation taken as an assignment.

    Sutton and Barto, 2018, section 4.4.
    """
    states, actions = world.next_state.shape[:2]
    sweep = lambda _, q: action_values(world, q.max(axis=-1), discount)
    return lax.fori_loop(0, sweeps, sweep, jnp.zeros((states, actions), world.reward.dtype))


def expected_return(world: World, policy: jax.Array) -> jax.Array:
    """The undiscounted return of following ``policy`` (S,) int from the start to the time limit."""
    take = lambda q: jnp.take_along_axis(q, policy[:, None], axis=1)[:, 0]
    sweep = lambda _, values: take(action_values(world, values, 1.0))
    values = lax.fori_loop(0, world.max_steps, sweep, jnp.zeros(policy.shape, world.reward.dtype))
    return world.start @ values
