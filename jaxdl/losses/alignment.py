"""Connectionist temporal classification: a sequence is told without saying which frame is which."""

import jax
import jax.numpy as jnp
import optax

from jaxdl import ops


def ctc(
    logits: jax.Array,
    labels: jax.Array,
    *,
    frames: jax.Array | None = None,
    lengths: jax.Array | None = None,
    blank: int = 0,
) -> jax.Array:
    """Connectionist temporal classification: ``-log p(labels | logits)``, in nats.

    The sum is over all ways to say the labels in order, each for one frame or more, with blanks
    between and around; two equal ones in a row need a blank between them (Graves et al., 2006,
    section 4.1). It is optax's; what cannot be said is dealt with here.

    Args:
      logits: (batch, frames, tokens), of the blank too.
      labels: (batch, L) integers in [0, tokens), none of them the blank.
      frames: (batch,) how many frames of each example count, those in front; None: all.
      lengths: (batch,) how many labels of each example count, those in front; None: all. What
        stands behind them is not looked at.
      blank: its token.

    Returns:
      (batch,), in float32 or wider. Labels that need more frames than there are give inf, as in
      PyTorch, and a gradient of 0: `jaxdl.ops.needed_frames` tells before training.
    """
    logits = logits.astype(ops.wide_dtype(logits.dtype))
    batch, most = logits.shape[:2]
    frames = jnp.full((batch,), most, jnp.int32) if frames is None else frames
    lengths = jnp.full((batch,), labels.shape[1], jnp.int32) if lengths is None else lengths
    possible = ops.needed_frames(labels, lengths) <= frames
    left_out = jnp.arange(most)[None] >= frames[:, None]
    padding = jnp.arange(labels.shape[1])[None] >= lengths[:, None]
    # An impossible example must reach no gradient, not even by a product with 0.
    logits = jnp.where(possible[:, None, None], logits, 0.0)
    nats = optax.ctc_loss(
        logits,
        left_out.astype(logits.dtype),
        jnp.where(padding, blank, labels),
        padding.astype(logits.dtype),
        blank_id=blank,
        log_epsilon=_NEVER,
    )
    # With jax_enable_x64 optax's sums are float64, whatever it is given.
    return jnp.where(possible, nats.astype(logits.dtype), jnp.inf)


# The logarithm of a probability of zero: so low that no sum of others reaches it, and so near that
# a step above it is still told from it in float32.
_NEVER = -1e5
