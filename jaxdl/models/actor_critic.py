"""Actor and critic: what to do, and what it is worth.

Observations (…, size) in; the policy's parameters and the value (…), float32, out. Actor and critic
share nothing. Parameters with the defaults on CartPole, 4 numbers in and 2 actions:
2 · (4·64 + 64 + 64·64 + 64) + 64·2 + 2 + 64 + 1 = 9,155.
"""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from jaxdl import layers, ops
from jaxdl.models import register


@register("actor_critic")
class ActorCritic(nn.Module):
    """Two perceptrons with tanh, orthogonal weights (Saxe et al., 2014) and zero biases.

    The gain is √2 in the trunks, .01 at the policy's head, so that all actions are alike at first,
    and 1 at the value's.

    Attributes:
      hidden: features of each hidden layer, in each of the two.
      actions: of a discrete policy, or 0.
      action_size: numbers of a continuous one, or 0.
      log_std: of a continuous policy at first, the same in all states.
      dtype: of the trunks' computation; parameters and outputs stay float32.
    """

    hidden: Sequence[int] = (64, 64)
    actions: int = 0
    action_size: int = 0
    log_std: float = 0.0
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool = False) -> tuple[Any, jax.Array]:
        """(…, size) -> (policy, value (…)).

        The policy is logits (…, actions), or (mean (…, action_size), log_std (action_size,)).
        """
        head = self._perceptron("policy", x, self.actions or self.action_size, 0.01)
        value = self._perceptron("value", x, 1, 1.0)[..., 0]
        if self.actions:
            return head, value
        fill = nn.initializers.constant(self.log_std)
        return (head, self.param("log_std", fill, (self.action_size,), jnp.float32)), value

    def _perceptron(self, name: str, x: jax.Array, features: int, gain: float) -> jax.Array:
        orthogonal = nn.initializers.orthogonal
        for i, width in enumerate(self.hidden):
            init = orthogonal(2**0.5)
            x = layers.Dense(width, kernel_init=init, dtype=self.dtype, name=f"{name}_{i}")(x)
            x = jnp.tanh(x)
        head = layers.Dense(features, kernel_init=orthogonal(gain), name=f"{name}_head")
        return head(ops.widen(x))
