"""Recurrent layers on top of one another."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from jaxdl import keys
from jaxdl.layers.dropout import Dropout
from jaxdl.layers.recurrent import GRU, LSTM, RNN, Bidirectional
from jaxdl.ops.recurrent import Carry
from jaxdl.registry import choose

CELLS = {"rnn": RNN, "lstm": LSTM, "gru": GRU}

# One a layer: a layer's own, or of a bidirectional one those of both directions.
Carries = tuple[Carry | tuple[Carry, Carry], ...]


class Stacked(nn.Module):
    """Recurrent layers, each of which reads what the one below gives out (Graves et al., 2013).

    Dropout lies between the layers and never on the way through time (Zaremba et al., 2014).
    Submodules: ``layer_0``, the lowest, ``layer_1`` and so on.

    Attributes:
      hidden: features of each layer's state.
      depth: layers.
      cell: "rnn", "lstm" or "gru".
      dropout: rate on what one layer hands to the next.
      bidirectional: each layer reads from both ends, and gives 2 hidden features.
      dtype: of the computation; parameters, gates and carries stay float32.
    """

    hidden: int
    depth: int = 1
    cell: str = "lstm"
    dropout: float = 0.0
    bidirectional: bool = False
    dtype: Any = None

    @nn.compact
    def __call__(
        self,
        x: jax.Array,
        initial: Carries | None = None,
        *,
        lengths: jax.Array | None = None,
        train: bool = False,
    ) -> tuple[jax.Array, Carries]:
        """(batch, T, features) -> (batch, T, hidden or 2 hidden), and the layers' last carries.

        With ``initial``, carries of an earlier call, the sequence goes on where that one ended.
        With ``lengths`` (batch,), what is behind an example's own end leaves no trace: outputs
        there are 0, and the last carries are those of its end.
        """
        layer = functools.partial(choose("cell", self.cell, CELLS), self.hidden, dtype=self.dtype)
        if self.bidirectional:
            layer = functools.partial(Bidirectional, layer)
        initial = (None,) * self.depth if initial is None else initial
        carries = []
        for i, carry in enumerate(initial):
            if i:
                x = Dropout(self.dropout)(x, train=train)
            x, carry = layer(name=f"layer_{i}")(x, carry, lengths=lengths)
            carries.append(carry)
        return x, tuple(carries)

    @nn.nowrap
    def zero_carries(self, batch: int) -> Carries:
        """The carries in front of ``batch`` sequences: what `__call__` starts from by itself."""
        inputs = jax.ShapeDtypeStruct((batch, 1, 1), jnp.float32)
        (_, carries), _ = jax.eval_shape(self.init_with_output, keys.abstract(), inputs)
        return jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), carries)
