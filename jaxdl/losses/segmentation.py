"""Losses of pixels: one number an example, in float32 or wider.

All take logits (batch, …, classes), classes (batch, …) and weights of pixels (batch, …) or None for
ones; a pixel of weight 0 counts in nothing, whatever its class. Classes are a choice of one:
probabilities are a softmax. An example without weight gets 0.
"""

import jax
import jax.numpy as jnp

from jaxdl import ops


def pixel_cross_entropy(
    logits: jax.Array, labels: jax.Array, weights: jax.Array | None = None
) -> jax.Array:
    """``Σ w (-log p) / Σ w`` of each example's pixels, p the true class's share: (batch,) nats.

    Args:
      logits: (batch, …, classes).
      labels: (batch, …) integers. One out of range gives NaN rather than a wrong number, unless its
        weight is 0.
      weights: (batch, …), at least 0.
    """
    labels, weights = _counted(labels, weights)
    return _mean(ops.cross_entropy(logits, labels), weights)


def pixel_focal(
    logits: jax.Array,
    labels: jax.Array,
    weights: jax.Array | None = None,
    *,
    gamma: float = 2.0,
) -> jax.Array:
    """``Σ w (1 - p)^γ (-log p) / Σ w``, p the true class's share: (batch,) nats.

    Lin et al., 2017, equation 4, of a softmax in place of the sigmoid.

    Args:
      logits: (batch, …, classes).
      labels: as `pixel_cross_entropy`'s.
      weights: so too.
      gamma: ≥ 0; 0 gives the cross-entropy.
    """
    labels, weights = _counted(labels, weights)
    nats = ops.cross_entropy(logits, labels)
    # 1 - p of a sure pixel is 0 by rounding, where a power of it would have no gradient.
    tiny = jnp.finfo(nats.dtype).tiny
    return _mean(jnp.maximum(-jnp.expm1(-nats), tiny) ** gamma * nats, weights)


def dice(
    logits: jax.Array,
    labels: jax.Array,
    weights: jax.Array | None = None,
    *,
    smooth: float = 1.0,
) -> jax.Array:
    """One less the mean over classes of ``(2 Σ w p t + s) / (Σ w p + Σ w t + s)``: (batch,).

    In 0 … 1. Sums are over an example's pixels, t is 1 where the class is true (Sudre et al., 2017,
    "Generalised Dice overlap as a deep learning loss function", equation 2, of each class in turn;
    Milletari et al., 2016, square what is below).

    Args:
      logits: (batch, …, classes).
      labels: as `pixel_cross_entropy`'s.
      weights: so too.
      smooth: s > 0, in pixels: what keeps a class that is neither there nor found at 0 loss.
    """
    labels, weights = _counted(labels, weights)
    logits = ops.widen(logits)
    B, C = logits.shape[0], logits.shape[-1]
    p = jax.nn.softmax(logits).reshape(B, -1, C)
    t = jax.nn.one_hot(labels, C, dtype=p.dtype).reshape(B, -1, C)
    w = jnp.ones((B, 1, 1), p.dtype) if weights is None else weights.reshape(B, -1, 1)
    w = w.astype(p.dtype)
    shared, both = (w * p * t).sum(axis=1), (w * (p + t)).sum(axis=1)
    return 1 - ((2 * shared + smooth) / (both + smooth)).mean(axis=-1)


def _counted(labels: jax.Array, weights: jax.Array | None) -> tuple[jax.Array, jax.Array | None]:
    """Labels that are classes wherever weights are not 0."""
    labels = jnp.asarray(labels).astype(jnp.int32)
    if weights is None:
        return labels, None
    weights = jnp.asarray(weights)
    return jnp.where(weights > 0, labels, 0), weights


def _mean(x: jax.Array, weights: jax.Array | None) -> jax.Array:
    """Over all axes but the first."""
    x = x.reshape(x.shape[0], -1)
    if weights is None:
        return x.mean(axis=1)
    weights = weights.reshape(x.shape).astype(x.dtype)
    total = weights.sum(axis=1)
    return (weights * x).sum(axis=1) / jnp.where(total > 0, total, 1)
