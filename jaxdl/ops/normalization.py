"""Normalisation of activations, statistics in float32 whatever the inputs' dtype."""

import jax
import jax.numpy as jnp
from jax import lax

from jaxdl.ops import forms
from jaxdl.ops.derivatives import with_backward
from jaxdl.ops.wide import widen


def layer_norm(x: jax.Array, scale: jax.Array, bias: jax.Array, epsilon: float) -> jax.Array:
    """``(x - mean) / √(var + ε) · scale + bias`` over the last axis (Ba, Kiros and Hinton, 2016).

    The variance is the mean of squared differences: E[x²] - E[x]² loses all digits at a large
    mean. The backward pass is written out, one read of x and one of its gradient.

    Args:
      x: (…, features).
      scale: (features,).
      bias: (features,).
      epsilon: added to the variance.

    Returns:
      (…, features) in x's dtype, computed in at least float32.
    """
    wide = widen(x)
    return (
        _layer_norm(wide.reshape(-1, x.shape[-1]), scale, bias, epsilon)
        .reshape(x.shape)
        .astype(x.dtype)
    )


def _row_mean(x_NxD: jax.Array) -> jax.Array:
    """Mean of each row, (N, 1). A CPU reduces rows several times faster as a product with ones."""
    ones = lambda x: x @ jnp.full((x.shape[-1], 1), 1 / x.shape[-1], x.dtype)
    return forms.by_platform(lambda x: x.mean(-1, keepdims=True), x_NxD, cpu=ones)


def _column_sum(x_NxD: jax.Array) -> jax.Array:
    """Sum of each column, (D,)."""
    ones = lambda x: jnp.ones((x.shape[0],), x.dtype) @ x
    return forms.by_platform(lambda x: x.sum(0), x_NxD, cpu=ones)


def _forward(x_NxD, scale, bias, epsilon):
    centred = x_NxD - _row_mean(x_NxD)
    rstd_Nx1 = lax.rsqrt(_row_mean(centred * centred) + epsilon)
    normal_NxD = centred * rstd_Nx1
    return normal_NxD * scale + bias, (normal_NxD, rstd_Nx1, scale)


def _backward(epsilon, kept, g_NxD):
    # With y the normalised rows: dx = rstd · (gs - mean(gs) - y mean(gs y)), gs = g · scale.
    normal_NxD, rstd_Nx1, scale = kept
    gs = g_NxD * scale
    dx = rstd_Nx1 * (gs - _row_mean(gs) - normal_NxD * _row_mean(gs * normal_NxD))
    return dx, _column_sum(g_NxD * normal_NxD), _column_sum(g_NxD)


_layer_norm = with_backward(_forward, _backward, static=(3,))


def rms_norm(x: jax.Array, scale: jax.Array, epsilon: float) -> jax.Array:
    """``x / √(mean(x²) + ε) · scale`` over the last axis (Zhang and Sennrich, 2019).

    Layer norm without the mean and without the bias.

    Args:
      x: (…, features).
      scale: (features,).
      epsilon: added to the mean square.

    Returns:
      (…, features) in x's dtype, computed in at least float32.
    """
    wide = widen(x).reshape(-1, x.shape[-1])
    return _rms_norm(wide, scale, epsilon).reshape(x.shape).astype(x.dtype)


def _rms_forward(x_NxD, scale, epsilon):
    rstd_Nx1 = lax.rsqrt(_row_mean(x_NxD * x_NxD) + epsilon)
    normal_NxD = x_NxD * rstd_Nx1
    return normal_NxD * scale, (normal_NxD, rstd_Nx1, scale)


def _rms_backward(epsilon, kept, g_NxD):
    # As above, but nothing was centred.
    normal_NxD, rstd_Nx1, scale = kept
    gs = g_NxD * scale
    dx = rstd_Nx1 * (gs - normal_NxD * _row_mean(gs * normal_NxD))
    return dx, _column_sum(g_NxD * normal_NxD)


_rms_norm = with_backward(_rms_forward, _rms_backward, static=(2,))


def group_norm(
    x: jax.Array, scale: jax.Array, bias: jax.Array, groups: int, epsilon: float
) -> jax.Array:
    """``(x - mean) / √(var + ε) · scale + bias``, a mean and a variance a group of an example.

    Wu and He, 2018, "Group Normalization". A group is all places of channels / groups channels next
    to each other; one group is layer norm over the whole example, as many as channels is instance
    norm. The variance is the mean of squared differences, as in `layer_norm`.

    Args:
      x: (batch, …, channels).
      scale: (channels,).
      bias: (channels,).
      groups: divides channels.
      epsilon: added to the variance.

    Returns:
      (batch, …, channels) in x's dtype, computed in at least float32.
    """
    wide_BxSxC = widen(x)
    wide_BxSxC = wide_BxSxC.reshape(x.shape[0], -1, x.shape[-1])

    def mean(x_BxSxC: jax.Array) -> jax.Array:
        # Places first: channels lie next to each other, so that this adds whole rows.
        by_channel = x_BxSxC.mean(1)
        by_group = by_channel.reshape(x_BxSxC.shape[0], groups, -1).mean(-1)
        return jnp.repeat(by_group, x_BxSxC.shape[-1] // groups, axis=-1)[:, None]

    centred_BxSxC = wide_BxSxC - mean(wide_BxSxC)
    rstd_Bx1xC = lax.rsqrt(mean(centred_BxSxC * centred_BxSxC) + epsilon)
    # What is the same in all places is put together first: one product and one sum a value.
    result = centred_BxSxC * (rstd_Bx1xC * scale) + bias
    return result.reshape(x.shape).astype(x.dtype)
