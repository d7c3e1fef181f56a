"""Normalisation with the published models' constants; statistics always in float32."""

from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from jaxdl import ops, replicas
from jaxdl.errors import UserError


def BatchNorm(**fields: Any) -> nn.BatchNorm:
    """Flax's batch norm (Ioffe and Szegedy, 2015) over the whole batch, on all devices together.

    Flax's momentum is one minus PyTorch's: .9 here is the .1 of the published models, where Flax's
    own default of .99 would lag ten times longer. ε is the published 1e-5.
    """
    return nn.BatchNorm(
        **{"momentum": 0.9, "epsilon": 1e-5, "axis_name": replicas.axis(), **fields}
    )


class LayerNorm(nn.Module):
    """Layer normalisation over the last axis; parameters ``scale`` and ``bias`` (features)."""

    epsilon: float = 1e-6
    dtype: Any = None

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """(…, features) in and out; statistics in float32, the result in ``dtype`` or x's."""
        features = (x.shape[-1],)
        scale = self.param("scale", nn.initializers.ones_init(), features, jnp.float32)
        bias = self.param("bias", nn.initializers.zeros_init(), features, jnp.float32)
        return ops.layer_norm(x.astype(self.dtype or x.dtype), scale, bias, self.epsilon)


class GroupNorm(nn.Module):
    """Group normalisation over places and groups of channels; ``scale`` and ``bias`` (channels)."""

    groups: int = 32
    epsilon: float = 1e-5
    dtype: Any = None

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """(batch, …, channels) in and out; statistics in float32, the result in ``dtype`` or x's.

        Raises:
          UserError: the groups do not divide the channels.
        """
        channels = (x.shape[-1],)
        if x.shape[-1] % self.groups:
            raise UserError(f"{x.shape[-1]} channels do not divide into {self.groups} groups")
        scale = self.param("scale", nn.initializers.ones_init(), channels, jnp.float32)
        bias = self.param("bias", nn.initializers.zeros_init(), channels, jnp.float32)
        x = x.astype(self.dtype or x.dtype)
        return ops.group_norm(x, scale, bias, self.groups, self.epsilon)
