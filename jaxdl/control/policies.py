"""Random policies: distributions over actions, given by what a network puts out, or over all."""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxdl.envs import Environment

# Where means over a standard normal number are taken, and the weight of each place: to 2e-5 of
# what `SquashedGaussian.entropy` needs, for deviations up to 4.
_PLACES = np.linspace(-6, 6, 65)
_WEIGHTS = np.exp(-(_PLACES**2) / 2) / np.exp(-(_PLACES**2) / 2).sum()


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

    @staticmethod
    def units(drawn: jax.Array) -> jax.Array:
        """What the environment is told of an action: itself."""
        return drawn

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
    """n numbers, independent of each other, of which the environment clips what is out of range.

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

    @staticmethod
    def units(drawn: jax.Array) -> jax.Array:
        """Actions in units of their range, yet to be clipped: themselves."""
        return drawn

    def log_prob(self, action: jax.Array) -> jax.Array:
        """Log density of actions (…, n), in nats, (…)."""
        log_std = _along_last(self.log_std, self.mean)
        scaled = (action - self.mean) * jnp.exp(-log_std)
        return -(0.5 * scaled**2 + log_std + 0.5 * jnp.log(2 * jnp.pi)).sum(-1)

    def entropy(self) -> jax.Array:
        """(…), in nats."""
        each = self.log_std + 0.5 * (1 + jnp.log(2 * jnp.pi))
        return jnp.broadcast_to(each.sum(), self.mean.shape[:-1])


class SquashedGaussian(NamedTuple):
    """``tanh x`` of n independent normal numbers: actions within their range, in (-1, 1).

    An action is kept as the x that was drawn, from which its density follows exactly; of an action
    near ±1 no x could be found again. (Haarnoja et al., 2018, appendix C.)

    Attributes:
      mean: of x, (…, n).
      log_std: of x, (n,).
    """

    mean: jax.Array
    log_std: jax.Array

    @property
    def before(self) -> Gaussian:
        """The distribution of x."""
        return Gaussian(self.mean, self.log_std)

    noise = staticmethod(Gaussian.noise)

    def sample(self, noise: jax.Array) -> jax.Array:
        """Numbers x (…, n), not squashed yet."""
        return self.before.sample(noise)

    def mode(self) -> jax.Array:
        """The x (…, n) of the median actions."""
        return self.mean

    @staticmethod
    def units(drawn: jax.Array) -> jax.Array:
        """Actions in units of their range: ``tanh x``."""
        return jnp.tanh(drawn)

    def log_prob(self, drawn: jax.Array) -> jax.Array:
        """Log density of ``tanh x`` for x (…, n), in nats, (…).

        It is ``log p(x) - Σ log(1 - tanh² x)``, by the change of variables.
        """
        return self.before.log_prob(drawn) - _log_slope(drawn).sum(-1)

    def entropy(self) -> jax.Array:
        """(…), in nats: that of x and the mean of ``Σ log(1 - tanh² x)``, summed over _PLACES."""
        std = jnp.exp(_along_last(self.log_std, self.mean))
        places = jnp.asarray(_PLACES.reshape(-1, *[1] * self.mean.ndim), self.mean.dtype)
        slopes = _log_slope(self.mean[None] + std[None] * places).sum(-1)
        weights = jnp.asarray(_WEIGHTS, self.mean.dtype)
        return self.before.entropy() + jnp.tensordot(weights, slopes, axes=1)


def _log_slope(x: jax.Array) -> jax.Array:
    """``log(1 - tanh² x)``, which is ``2 (log 2 - x - log(1 + e^(-2x)))``, and even in x."""
    size = jnp.abs(x)
    return 2 * (float(np.log(2)) - size - jnp.log1p(jnp.exp(-2 * size)))


# By name, how continuous actions are distributed.
CONTINUOUS = {"gaussian": Gaussian, "squashed": SquashedGaussian}
