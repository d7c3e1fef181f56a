"""Recurrent layers with their parameters."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from jaxdl.ops import recurrent
from jaxdl.ops.recurrent import Carry


def orthogonal_blocks(key: jax.Array, shape: tuple[int, int], dtype: Any = jnp.float32):
    """(hidden, gates · hidden): an orthogonal matrix for each gate (Saxe et al., 2013)."""
    hidden, width = shape
    draw = nn.initializers.orthogonal()
    keys = jax.random.split(key, width // hidden)
    return jnp.concatenate([draw(k, (hidden, hidden), dtype) for k in keys], axis=1)


class _Recurrent(nn.Module):
    """What the layers share: fields, weights and their dtype.

    Parameters: ``kernel_in`` (features, gates · hidden), ``kernel_hidden`` (hidden, gates · hidden)
    and ``bias`` (gates · hidden).
    """

    hidden: int
    reverse: bool = False
    kernel_init: Callable = nn.initializers.lecun_normal()
    hidden_init: Callable = orthogonal_blocks
    dtype: Any = None

    def _weights(self, x: jax.Array, gates: int, *biases: str) -> list[jax.Array]:
        """[x, kernel_in, kernel_hidden, each of ``biases``], in ``dtype``."""
        width = gates * self.hidden
        found = [
            self.param("kernel_in", self.kernel_init, (x.shape[-1], width), jnp.float32),
            self.param("kernel_hidden", self.hidden_init, (self.hidden, width), jnp.float32),
        ]
        for name in biases:
            found.append(self.param(name, nn.initializers.zeros_init(), (width,), jnp.float32))
        return nn.dtypes.promote_dtype(x, *found, dtype=self.dtype)


class LSTM(_Recurrent):
    """`jaxdl.ops.recurrent.lstm`; see `_Recurrent` for the parameters.

    ``forget_bias`` is added to the forget gate's: a cell that keeps its state at first learns long
    gaps sooner (Jozefowicz, Zaremba and Sutskever, 2015, section 4). PyTorch's is 0.
    """

    forget_bias: float = 1.0

    @nn.compact
    def __call__(
        self, x: jax.Array, initial: Carry | None = None, *, lengths: jax.Array | None = None
    ) -> tuple[jax.Array, Carry]:
        """(batch, T, features) -> (batch, T, hidden), and the last (h, c)."""
        x, w_in, w_hidden, bias = self._weights(x, 4, "bias")
        bias = bias.at[self.hidden : 2 * self.hidden].add(self.forget_bias)
        return recurrent.lstm(
            x, w_in, w_hidden, bias, initial, lengths=lengths, reverse=self.reverse
        )


class GRU(_Recurrent):
    """`jaxdl.ops.recurrent.gru`; a second bias, ``bias_hidden``, of the hidden state's share."""

    @nn.compact
    def __call__(
        self, x: jax.Array, initial: Carry | None = None, *, lengths: jax.Array | None = None
    ) -> tuple[jax.Array, Carry]:
        """(batch, T, features) -> (batch, T, hidden), and the last (h,)."""
        weights = self._weights(x, 3, "bias", "bias_hidden")
        return recurrent.gru(*weights, initial, lengths=lengths, reverse=self.reverse)


class RNN(_Recurrent):
    """`jaxdl.ops.recurrent.rnn`, with ``activation`` "tanh" or "relu"."""

    activation: str = "tanh"

    @nn.compact
    def __call__(
        self, x: jax.Array, initial: Carry | None = None, *, lengths: jax.Array | None = None
    ) -> tuple[jax.Array, Carry]:
        """(batch, T, features) -> (batch, T, hidden), and the last (h,)."""
        return recurrent.rnn(
            *self._weights(x, 1, "bias"),
            initial,
            activation=self.activation,
            lengths=lengths,
            reverse=self.reverse,
        )


class Bidirectional(nn.Module):
    """Two layers over the same sequence, one from each end (Schuster and Paliwal, 1997).

    ``layer`` makes one of them: ``Bidirectional(functools.partial(LSTM, 256))``. Submodules:
    ``forward`` and ``backward``.
    """

    layer: Callable[..., nn.Module]

    @nn.compact
    def __call__(
        self,
        x: jax.Array,
        initial: tuple[Carry, Carry] | None = None,
        *,
        lengths: jax.Array | None = None,
    ) -> tuple[jax.Array, tuple[Carry, Carry]]:
        """(batch, T, features) -> (batch, T, 2 hidden), and both last carries.

        The second of the ``initial`` carries is what the backward layer has seen behind the end.
        """
        before, behind = (None, None) if initial is None else initial
        there, last = self.layer(name="forward")(x, before, lengths=lengths)
        back, first = self.layer(name="backward", reverse=True)(x, behind, lengths=lengths)
        return jnp.concatenate([there, back], axis=-1), (last, first)
