"""Recurrent networks that read an image row by row, or any sequence, and say what it shows.

The sequential view of images is Le, Jaitly and Hinton's, 2015, "A Simple Way to Initialize
Recurrent Networks of Rectified Linear Units", who read pixel by pixel; both directions as in
Schuster and Paliwal, 1997. Images (batch, h, w, c), or sequences (batch, T, features), in; logits
(batch, num_classes) float32 out. Parameters with the defaults on 8x8x1 images: 4·128·(8 + 128 + 1)
and 128·10 + 10, 71,434; gru_rows 54,282; rnn_rows 18,826.
"""

from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from jaxdl import layers
from jaxdl.errors import UserError
from jaxdl.models import register

VARIANTS = {"gru_rows": dict(cell="gru"), "rnn_rows": dict(cell="rnn")}


@register("lstm_rows", VARIANTS)
class RecurrentClassifier(nn.Module):
    """Recurrent layers, and a dense one that reads the top layer's last state.

    Attributes:
      num_classes: logits at the end.
      hidden: features of each layer's state.
      depth: recurrent layers.
      cell: "lstm", "gru" or "rnn".
      bidirectional: read from both ends; the last states of both directions are then read.
      dropout: rate behind every layer.
      dtype: of the computation; parameters, gates and logits stay float32.
    """

    num_classes: int = 10
    hidden: int = 128
    depth: int = 1
    cell: str = "lstm"
    bidirectional: bool = False
    dropout: float = 0.0
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(
        self, x: jax.Array, *, lengths: jax.Array | None = None, train: bool = False
    ) -> jax.Array:
        """(batch, h, w, c) or (batch, T, features) -> (batch, num_classes).

        An image's rows are its steps, from the first. ``lengths``, integers (batch,), are the steps
        of each example that count; all do if None.

        Raises:
          UserError: ``x`` has another number of axes.
        """
        if x.ndim not in (3, 4):
            raise UserError(
                "images must be (batch, h, w, c), or sequences (batch, T, features), not of shape "
                f"{x.shape}"
            )
        _, carries = layers.Stacked(
            self.hidden,
            self.depth,
            self.cell,
            dropout=self.dropout,
            bidirectional=self.bidirectional,
            dtype=self.dtype,
            name="recurrent",
        )(x.reshape(*x.shape[:2], -1), lengths=lengths, train=train)
        last = carries[-1] if self.bidirectional else (carries[-1],)
        h = jnp.concatenate([state for state, *_ in last], axis=-1)
        h = layers.Dropout(self.dropout)(h, train=train)
        return layers.Dense(self.num_classes, name="head")(h)
