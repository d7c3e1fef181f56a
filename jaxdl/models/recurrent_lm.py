"""Recurrent language models: a text's past in a state of fixed size.

Mikolov et al., 2010, "Recurrent neural network based language model"; with LSTM cells and this
dropout Zaremba, Sutskever and Vinyals, 2014, "Recurrent Neural Network Regularization". Token ids
(batch, T) in, logits (batch, T, vocab_size) float32 out. Parameters with the defaults: 256·128 of
the tokens, 4·512·(128 + 512 + 1) of the LSTM, 512·256 + 256 of the logits: 1,476,864; gru_lm
1,150,208; rnn_lm 492,288.
"""

from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from jaxdl import layers
from jaxdl.models import register

VARIANTS = {"gru_lm": dict(cell="gru"), "rnn_lm": dict(cell="rnn")}


@register("lstm_lm", VARIANTS)
class RecurrentLM(nn.Module):
    """Recurrent layers over a table of tokens; texts of any length, each from a state of zeros.

    Attributes:
      vocab_size: ids are 0 … vocab_size - 1. Others are not an error that a compiled program can
        raise: an id of vocab_size or more makes NaN of what follows it, a negative one counts from
        the end.
      width: features of a token.
      hidden: features of each layer's state.
      depth: recurrent layers.
      cell: "lstm", "gru" or "rnn".
      dropout: rate behind the table and behind every layer.
      dtype: of the computation; parameters, gates, carries and logits stay float32.
    """

    vocab_size: int = 256
    width: int = 128
    hidden: int = 512
    depth: int = 1
    cell: str = "lstm"
    dropout: float = 0.0
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(
        self, tokens: jax.Array, *, train: bool = False, cache: layers.Carries | None = None
    ) -> jax.Array | tuple[jax.Array, layers.Carries]:
        """(batch, T) -> (batch, T, vocab_size), and the cache if one was given.

        With a ``cache``, of `init_cache`, the tokens go on where those that it has seen end.
        """
        x = layers.TokenEmbedding(
            self.vocab_size,
            self.width,
            embedding_init=nn.initializers.normal(1.0),
            dtype=self.dtype,
            name="token",
        )(tokens)
        x = layers.Dropout(self.dropout)(x, train=train)
        x, carries = self._recurrent()(x, cache, train=train)
        x = layers.Dropout(self.dropout)(x, train=train)
        logits = layers.Dense(self.vocab_size, dtype=self.dtype, wide=True, name="head")(x)
        return logits if cache is None else (logits, carries)

    @nn.nowrap
    def _recurrent(self) -> layers.Stacked:
        return layers.Stacked(
            self.hidden,
            self.depth,
            self.cell,
            dropout=self.dropout,
            dtype=self.dtype,
            name="recurrent",
        )

    @nn.nowrap
    def init_cache(self, batch: int, length: int) -> layers.Carries:
        """What ``batch`` sequences start from: the layers' carries, as large for any ``length``."""
        return self._recurrent().clone(parent=None).zero_carries(batch)
