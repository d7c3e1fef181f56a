"""Recurrent networks that say where a series goes.

At every step one forecast, from all that came before it (Elman, 1990, "Finding Structure in Time";
with LSTM cells Gers, Eck and Schmidhuber, 2001, "Applying LSTM to Time Series Predictable through
Time-Window Approaches"). Series (batch, T, features) in and forecasts of the same shape out, in
float32. Parameters with the defaults and one feature: 4·64·(1 + 64 + 1) and 64 + 1, 16,961;
gru_forecaster 12,929; rnn_forecaster 4,289.
"""

from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from jaxdl import layers, ops
from jaxdl.models import register

VARIANTS = {"gru_forecaster": dict(cell="gru"), "rnn_forecaster": dict(cell="rnn")}


@register("lstm_forecaster", VARIANTS)
class RecurrentForecaster(nn.Module):
    """Recurrent layers, and a dense one that says how much the series will have changed.

    How far ahead is what it is trained for.

    Attributes:
      hidden: features of each layer's state.
      depth: recurrent layers.
      cell: "lstm", "gru" or "rnn".
      dropout: rate between the layers.
      dtype: of the computation; parameters, gates and forecasts stay float32.
    """

    hidden: int = 64
    depth: int = 1
    cell: str = "lstm"
    dropout: float = 0.0
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool = False) -> jax.Array:
        """(batch, T, features) -> (batch, T, features); no position sees a later one."""
        y, _ = layers.Stacked(
            self.hidden,
            self.depth,
            self.cell,
            dropout=self.dropout,
            dtype=self.dtype,
            name="recurrent",
        )(x, train=train)
        y = ops.widen(y)
        return x + layers.Dense(x.shape[-1], name="head")(y)
