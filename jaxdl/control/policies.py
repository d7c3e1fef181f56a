"""Random policies: distributions over actions, given by what a network puts out, or over all."""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxdl.envs import Environment


def evenly(env: Environment, keys: jax.Array) -> jax.Array:
    """Actions drawn evenly from all there are, (n,) int32 or (n, action_size), by n keys."""
    uniform = functools.partial(jax.random.uniform, dtype=jnp.float32)
    if env.actions:
        # Not jax.random.randint: it divides, which takes as long as a step of CartPole.
        draw = lambda key: (uniform(key, ()) * env.actions).astype(jnp.int32)
    else:
        low, high = env.action_low, env.action_high
        draw = lambda key: uniform(key, (env.action_size,), minval=low, maxval=high)
    return jax.vmap(draw)(keys)


def epsilon_greedy(values: Any, epsilon: Any) -> Any:
    """How probable each action is, (…, n), where all are drawn evenly for a share of the time.

    Args:
      values: of actions, (…, n), arrays of JAX or NumPy; the rest is shared by the best.
      epsilon: that share, in [0, 1].
    """
    best = values == values.max(-1, keepdims=True)
    return (1 - epsilon) * best / best.sum(-1, keepdims=True) + epsilon / values.shape[-1]


class Categorical(NamedTuple):
    """One of n actions.

    Attributes:
      logits: (…, n).
    """

    logits: jax.Array

    @staticmethod
    def noise(key: jax.Array, shape: tuple[int, ...]) -> jax.Array:
        """What `sample` needs: ``shape`` is (…, n)."""
        return jax.random.gumbel(key, shape, jnp.float32)

    def sample(self, noise: jax.Array) -> jax.Array:
        """Actions (…) int32: the largest of logits + Gumbel noise is distributed as softmax."""
        return (self.logits + noise).argmax(-1).astype(jnp.int32)

    def mode(self) -> jax.Array:
        """The likeliest actions, (…) int32."""
        return self.logits.argmax(-1).astype(jnp.int32)

    def log_prob(self, action: jax.Array) -> jax.Array:
        """Of actions (…), in nats."""
        chosen = jax.nn.one_hot(action, self.logits.shape[-1], dtype=bool)
        return jnp.where(chosen, jax.nn.log_softmax(self.logits), 0).sum(-1)

    def entropy(self) -> jax.Array:
        """(…), in nats."""
        log_probs = jax.nn.log_softmax(self.logits)
        # p log p is 0 where p is, also of an action that is ruled out by a logit of -inf.
        finite = jnp.where(log_probs > -jnp.inf, log_probs, 0)
        return -(jnp.exp(log_probs) * finite).sum(-1)


def _along_last(vector: jax.Array, like: jax.Array) -> jax.Array:
    """(n,) -> (1, …, n), to go with ``like`` (…, n)."""
    return vector.reshape(*[1] * (like.ndim - 1), -1)


class Gaussian(NamedTuple):
    """n numbers, independent of each other.

    Attributes:
      mean: (…, n).
      log_std: (n,).
    """

    mean: jax.Array
    log_std: jax.Array

    @staticmethod
    def noise(key: jax.Array, shape: tuple[int, ...]) -> jax.Array:
        """What `sample` needs: ``shape`` is (…, n)."""
        return jax.random.normal(key, shape, jnp.float32)

    def sample(self, noise: jax.Array) -> jax.Array:
        """Actions (…, n)."""
        return self.mean + jnp.exp(_along_last(self.log_std, self.mean)) * noise

    def mode(self) -> jax.Array:
        """The likeliest actions, (…, n)."""
        return self.mean

    def log_prob(self, action: jax.Array) -> jax.Array:
        """Log density of actions (…, n), in nats, (…)."""
        log_std = _along_last(self.log_std, self.mean)
        scaled = (action - self.mean) * jnp.exp(-log_std)
        return -(0.5 * scaled**2 + log_std + 0.5 * jnp.log(2 * jnp.pi)).sum(-1)

    def entropy(self) -> jax.Array:
        """(…), in nats."""
        each = self.log_std + 0.5 * (1 + jnp.log(2 * jnp.pi))
        return jnp.broadcast_to(each.sum(), self.mean.shape[:-1])
