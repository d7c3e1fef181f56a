"""Softmax cross-entropy."""

import jax
import jax.numpy as jnp

from jaxdl.ops.wide import widen
from jaxdl.per_member import any_on


def cross_entropy(
    logits: jax.Array, labels: jax.Array, label_smoothing: jax.Array | float = 0.0
) -> jax.Array:
    """``-Σ_c p_c log softmax(logits)_c`` for each position, in nats.

    As ``log Σ exp(x) Σ p - Σ p x`` of logits less their largest: the log probabilities are never
    written. A backward pass by hand was tried and gained nothing: compilers find the same.

    Args:
      logits: (…, classes), of any finite size.
      labels: integers (…) in [0, classes), or distributions (…, classes).
      label_smoothing: ε in [0, 1]: the target becomes ``(1 - ε) p + ε / classes`` (Szegedy et
        al., 2015, section 7).

    Returns:
      (…), in at least float32. A label out of range gives NaN rather than a wrong number.
    """
    logits = widen(logits)
    top = jax.lax.stop_gradient(logits.max(axis=-1, keepdims=True))
    shifted = logits - top
    log_sum = jnp.log(jnp.exp(shifted).sum(axis=-1))
    if jnp.issubdtype(labels.dtype, jnp.integer):
        picked = jnp.take_along_axis(
            shifted, labels[..., None], axis=-1, mode="fill", fill_value=jnp.nan
        )[..., 0]
        # take_along_axis counts negative labels from the end.
        picked = jnp.where(labels >= 0, picked, jnp.nan)
    else:
        labels = labels.astype(logits.dtype)
        picked = (labels * shifted).sum(axis=-1)
        log_sum = log_sum * labels.sum(axis=-1)
    if isinstance(label_smoothing, jax.Array) or any_on(label_smoothing):
        picked = (1 - label_smoothing) * picked + label_smoothing * shifted.mean(axis=-1)
    return log_sum - picked
