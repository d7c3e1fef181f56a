"""How good an action was: advantages and returns over a stretch of time."""

import jax
import jax.numpy as jnp

from jaxdl.parallel import replicas


def gae(
    rewards: jax.Array,
    values: jax.Array,
    next_values: jax.Array,
    terminated: jax.Array,
    truncated: jax.Array,
    discount: float,
    lam: float,
) -> tuple[jax.Array, jax.Array]:
    """Generalized advantage estimates (Schulman et al., 2016, equation 16).

    ``A_t = δ_t + γ λ A_{t+1}`` with ``δ_t = r_t + γ V(s_{t+1}) - V(s_t)``. At a termination nothing
    follows, so V(s_{t+1}) counts as 0; at a truncation it counts as it is estimated. Neither lets
    anything of the next episode in: ``A_{t+1}`` is left out at both.

    Args:
      rewards: (time, …) float32.
      values: V(s_t), the same shape.
      next_values: V(s_{t+1}), where s_{t+1} is what the step led to, before any new start.
      terminated: whether the step ended its episode by the task's rules, bool.
      truncated: whether the clock ended it, bool.
      discount: γ.
      lam: λ.

    Returns:
      (advantages, targets of the value), both (time, …); the targets are advantages + values.
    """
    errors = rewards + discount * jnp.where(terminated, 0, next_values) - values
    keep = jnp.where(terminated | truncated, 0.0, discount * lam).astype(errors.dtype)

    def back(later, now):
        error, kept = now
        advantage = error + kept * later
        return advantage, advantage

    _, advantages = jax.lax.scan(back, jnp.zeros_like(errors[0]), (errors, keep), reverse=True)
    return advantages, advantages + values


def n_step(rewards: jax.Array, ended: jax.Array, discount: float) -> tuple[jax.Array, jax.Array]:
    """``r_1 + γ r_2 + … + γ^(m-1) r_m``, up to the end of an episode, or of the time.

    Args:
      rewards: (time, …) float32.
      ended: whether the step ended its episode, in either way, bool.
      discount: γ.

    Returns:
      (sums (…), m (…) int32, at least 1).
    """
    ends = ended.astype(jnp.int32)
    before = jnp.cumsum(ends, axis=0) - ends == 0
    times = jnp.arange(len(rewards)).reshape(-1, *[1] * (rewards.ndim - 1))
    weights = discount ** times.astype(rewards.dtype)
    return jnp.where(before, weights * rewards, 0).sum(0), before.sum(0, dtype=jnp.int32)


def normalised(advantage: jax.Array, weight: jax.Array | None = None) -> jax.Array:
    """To mean 0 and deviation 1 over all environments, those of other devices too.

    Args:
      advantage: any shape.
      weight: of each, or None for ones.
    """

    def mean(x: jax.Array) -> jax.Array:
        if weight is None:
            return replicas.mean(x.mean())
        return replicas.total((x * weight).sum()) / replicas.total(weight.sum())

    centred = advantage - mean(advantage)
    return centred / (jnp.sqrt(mean(jnp.square(centred))) + 1e-8)
