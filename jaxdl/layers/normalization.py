"""Normalisation with the published models' constants; statistics always in float32."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax import lax

from jaxdl import ops
from jaxdl.errors import UserError
from jaxdl.parallel import replicas


class BatchNorm(nn.Module):
    """Batch normalisation (Ioffe and Szegedy, 2015) over the whole batch, on all devices together.

    Parameters ``scale`` and ``bias`` (channels); ``mean`` and ``var`` (channels) of the collection
    "batch_stats" follow the batches. As in PyTorch, and so in published checkpoints: the batch is
    normalised by its biased variance, but ``var`` follows the unbiased one.

    Attributes:
      use_running_average: normalise by ``mean`` and ``var`` instead of the batch's own.
      momentum: share of ``mean`` and ``var`` that is kept in an update; one minus PyTorch's.
      epsilon: added to the variance.
      scale_init: of ``scale``.
      dtype: of the result; x's if None. Statistics are in at least float32.
    """

    use_running_average: bool
    momentum: float = 0.9
    epsilon: float = 1e-5
    scale_init: Callable = nn.initializers.ones_init()
    dtype: Any = None

    @nn.compact
    def __call__(
        self,
        x: jax.Array,
        *,
        weights: jax.Array | None = None,
        frozen: bool = False,
        epsilon: float | None = None,
    ) -> jax.Array:
        """(batch, …, channels) in and out.

        Args:
          x: what is normalised.
          weights: (batch, …), 1 for what statistics are of and 0 for padding, whatever stands
            there; None is 1 everywhere.
          frozen: by ``mean`` and ``var`` in training too, and ``scale`` and ``bias`` are no
            parameters but stand in "batch_stats" (`frozen_norms`).
          epsilon: in place of the attribute.
        """
        channels = (x.shape[-1],)
        kept = lambda name, init: self.variable("batch_stats", name, init, channels, jnp.float32)
        running_mean, running_var = kept("mean", jnp.zeros), kept("var", jnp.ones)
        if frozen:
            scale, bias = kept("scale", jnp.ones).value, kept("bias", jnp.zeros).value
        else:
            scale = self.param("scale", self.scale_init, channels, jnp.float32)
            bias = self.param("bias", nn.initializers.zeros_init(), channels, jnp.float32)
        epsilon = self.epsilon if epsilon is None else epsilon
        wide = ops.widen(x)
        if self.use_running_average or frozen:
            mean, var = running_mean.value, running_var.value
        else:
            # Before there is a run there is one device.
            over_devices = (lambda x: x) if self.is_initializing() else replicas.mean
            mean, square, share = _moments(wide, weights, over_devices)
            var = jnp.maximum(square - jnp.square(mean), 0)
            if not self.is_initializing():
                count = x.size // x.shape[-1] * replicas.count()
                if weights is None:
                    unbiased = var * (count / max(count - 1, 1))
                else:
                    unbiased = var * (share * count / jnp.maximum(share * count - 1, 1))
                follow = lambda old, new: self.momentum * old + (1 - self.momentum) * new
                running_mean.value = follow(running_mean.value, mean)
                running_var.value = follow(running_var.value, unbiased)
        result = (wide - mean) * (lax.rsqrt(var + epsilon) * scale) + bias
        return result.astype(self.dtype or x.dtype)


def _moments(
    x: jax.Array, weights: jax.Array | None, over_devices: Callable[[Any], Any]
) -> tuple[jax.Array, jax.Array, jax.Array | None]:
    """Mean and mean square (channels) of what is weighted, and its share; None without weights."""
    axes = tuple(range(x.ndim - 1))
    if weights is None:
        return *over_devices((x.mean(axes), jnp.square(x).mean(axes))), None
    counted = jnp.where(weights[..., None] > 0, x, 0)
    of_all = counted.mean(axes), jnp.square(counted).mean(axes), weights.astype(x.dtype).mean()
    mean, square, share = over_devices(of_all)
    some = jnp.where(share > 0, share, 1)  # a batch may be of padding alone
    return mean / some, square / some, share


def frozen_norms(epsilon: float | None = None) -> AbstractContextManager[None]:
    """Where a module is called within it, all its batch norms are constants of its training.

    So detectors take a classifier whose statistics are of larger batches than theirs (He et al.,
    2015, "Deep Residual Learning", appendix A), whatever it is made of.

    Args:
      epsilon: of all of them, in place of their own.
    """

    def freeze(call: Callable, args: tuple, kwargs: dict, context: Any) -> Any:
        if isinstance(context.module, BatchNorm) and context.method_name == "__call__":
            kwargs = {**kwargs, "frozen": True, "epsilon": epsilon}
        return call(*args, **kwargs)

    return nn.intercept_methods(freeze)


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


class RMSNorm(nn.Module):
    """Root-mean-square normalisation over the last axis; parameter ``scale`` (features)."""

    epsilon: float = 1e-6
    dtype: Any = None

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """(…, features) in and out; statistics in float32, the result in ``dtype`` or x's."""
        scale = self.param("scale", nn.initializers.ones_init(), (x.shape[-1],), jnp.float32)
        return ops.rms_norm(x.astype(self.dtype or x.dtype), scale, self.epsilon)


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


class InstanceNorm(nn.Module):
    """Instance normalisation (Ulyanov et al., 2016, equation 5), without parameters."""

    epsilon: float = 1e-5
    dtype: Any = None

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """(batch, h, w, channels) in and out; statistics in float32, in ``dtype`` or x's."""
        channels = x.shape[-1]
        plain = jnp.ones(channels, jnp.float32), jnp.zeros(channels, jnp.float32)
        return ops.group_norm(x.astype(self.dtype or x.dtype), *plain, channels, self.epsilon)
