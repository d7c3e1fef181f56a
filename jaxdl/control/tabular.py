"""What a policy is worth in a world given by a table, exactly; and the best there is."""

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from scipy import sparse
from scipy.sparse import linalg

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


def policy_values(world: World, policy: np.ndarray, discount: float) -> np.ndarray:
    """``v = r + γ P v`` solved for v: what following a random policy for ever is worth.

    Bellman's equation of a policy is linear (Sutton and Barto, 2018, section 4.1).

    Args:
      world: with S states and A actions.
      policy: (S, A), how probable actions are; each row sums to 1.
      discount: γ in [0, 1].

    Returns:
      (S,) float64. Where γ is 1, NaN for states from which the policy may get to where no episode
      ever ends.
    """
    states = len(policy)
    # In float32 thirds do not add up to 1, which 1 / (1 - γ) makes larger.
    outcome = np.float64(world.probability)
    weight = np.float64(policy)[..., None] * outcome / outcome.sum(axis=-1, keepdims=True)
    goes_on = (weight > 0) & ~world.terminal
    origin = np.broadcast_to(np.arange(states)[:, None, None], weight.shape)
    # Several outcomes that lead to one state add up.
    places = origin[goes_on], world.next_state[goes_on]
    step = sparse.csc_array((weight[goes_on], places), shape=(states, states))
    reward = (weight * world.reward).sum(axis=(1, 2))
    known = np.ones(states, bool)
    if discount == 1:
        stuck = ~_reach(step, ((weight > 0) & world.terminal).any(axis=(1, 2)))
        known = ~_reach(step, stuck)
    values = np.full(states, np.nan)
    if known.any():
        system = sparse.eye_array(known.sum(), format="csc") - discount * step[known][:, known]
        values[known] = linalg.splu(system).solve(reward[known])
    return values


def _reach(step: sparse.csc_array, places: np.ndarray) -> np.ndarray:
    """(S,) bool: the states from which one of ``places`` (S,) bool is ever reached."""
    while True:
        more = places | (step @ places > 0)
        if (more == places).all():
            return places
        places = more
