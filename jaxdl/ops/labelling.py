"""What connectionist temporal classification asks of its labels."""

import jax
import jax.numpy as jnp


def needed_frames(labels: jax.Array, lengths: jax.Array | None = None) -> jax.Array:
    """(batch,) int32: how many frames labels (batch, L) need, one each and one between equals.

    Args:
      labels: (batch, L) integers, as `jaxdl.losses.ctc` takes them.
      lengths: (batch,) how many of each count; None: all.
    """
    lengths = jnp.full((len(labels),), labels.shape[1], jnp.int32) if lengths is None else lengths
    pair = jnp.arange(1, labels.shape[1])[None] < lengths[:, None]
    repeated = pair & (labels[:, 1:] == labels[:, :-1])
    return lengths + repeated.sum(axis=1, dtype=jnp.int32)
