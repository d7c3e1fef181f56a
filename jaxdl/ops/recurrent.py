"""Recurrent layers over a sequence: LSTM, GRU and the vanilla network.

All three are one recurrence. At each step a cell turns ``z``, the sum of what the input and the
last state say, into the next state. What does not depend on the last step is done for all steps in
one product: the input's share, before the loop, and both weights' gradients, behind the backward
loop, instead of as a sum that the loop carries (Appleyard, Kočiský and Blunsom, 2016).
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from jaxdl.ops import forms
from jaxdl.ops.derivatives import with_backward
from jaxdl.ops.linear import dense
from jaxdl.ops.wide import wide_dtype
from jaxdl.registry import choose

Carry = tuple[jax.Array, ...]

# Steps to a turn of the forward loop. Four save its bookkeeping (a language model's step is 6%
# faster); the backward loop gains nothing by it.
UNROLLED = 4


class Cell(NamedTuple):
    """One step of a recurrence, elementwise; its first carry is the hidden state.

    Attributes:
      join: (from the input (batch, gates), from the hidden state (batch, gates)) -> z. Linear.
      update: (z, carry) -> carry.
    """

    join: Callable[[jax.Array, jax.Array], jax.Array]
    update: Callable[[jax.Array, Carry], Carry]


def _lstm_update(z_BxG: jax.Array, carry: Carry) -> Carry:
    _, c = carry
    # σ(z) = ½ + ½ tanh(½ z), so that one function runs over all four blocks as they lie in memory:
    # block by block the forward pass takes 1.5 times as long on a CPU.
    half_G = jnp.repeat(jnp.array([0.5, 0.5, 1, 0.5], z_BxG.dtype), c.shape[-1])
    i, f, g, o = jnp.split(jnp.tanh(half_G * z_BxG) * half_G + (1 - half_G), 4, axis=-1)
    c = f * c + i * g
    return o * jnp.tanh(c), c


def _gru_join(x_BxG: jax.Array, h_BxG: jax.Array) -> jax.Array:
    """The reset gate comes between the two shares of the candidate: they stay apart."""
    both = 2 * x_BxG.shape[-1] // 3
    return jnp.concatenate(
        [x_BxG[:, :both] + h_BxG[:, :both], x_BxG[:, both:], h_BxG[:, both:]], axis=-1
    )


def _gru_update(z_BxG: jax.Array, carry: Carry) -> Carry:
    (h,) = carry
    r, z, n_input, n_hidden = jnp.split(z_BxG, 4, axis=-1)
    n = jnp.tanh(n_input + lax.logistic(r) * n_hidden)
    z = lax.logistic(z)
    return ((1 - z) * n + z * h,)


LSTM = Cell(jnp.add, _lstm_update)
GRU = Cell(_gru_join, _gru_update)
RNN = {
    "tanh": Cell(jnp.add, lambda z, carry: (jnp.tanh(z),)),
    "relu": Cell(jnp.add, lambda z, carry: (jax.nn.relu(z),)),
}


def lstm(
    x: jax.Array,
    w_in: jax.Array,
    w_hidden: jax.Array,
    bias: jax.Array,
    initial: Carry | None = None,
    *,
    lengths: jax.Array | None = None,
    reverse: bool = False,
) -> tuple[jax.Array, Carry]:
    """Long short-term memory (Hochreiter and Schmidhuber, 1997; forget gate of Gers et al., 2000).

    ``i, f, g, o = split(x w_in + h w_hidden + bias)``; ``c' = σ(f) c + σ(i) tanh(g)``;
    ``h' = σ(o) tanh(c')``. PyTorch's cell, its two biases added.

    Args:
      x: (batch, T, features).
      w_in: (features, 4 hidden), blocks i, f, g, o.
      w_hidden: (hidden, 4 hidden).
      bias: (4 hidden,).
      initial: (h, c), each (batch, hidden); zeros if None.
      lengths: integers (batch,): from there on an example's state stays and its outputs are 0.
        All T steps count if None.
      reverse: from the last step to the first; an example starts at its own end.

    Returns:
      Outputs (batch, T, hidden) in x's dtype, and the last (h, c), in at least float32, as the
      gates are.
    """
    return _layer(LSTM, 2, x, w_in, w_hidden, bias, None, initial, lengths, reverse)


def gru(
    x: jax.Array,
    w_in: jax.Array,
    w_hidden: jax.Array,
    bias_in: jax.Array,
    bias_hidden: jax.Array,
    initial: Carry | None = None,
    *,
    lengths: jax.Array | None = None,
    reverse: bool = False,
) -> tuple[jax.Array, Carry]:
    """Gated recurrent unit (Cho et al., 2014), the reset gate behind the product as in cuDNN.

    ``r, z = σ(…)``; ``n = tanh(x w_n + b_n + r (h u_n + c_n))``; ``h' = (1 - z) n + z h``.
    PyTorch's cell: blocks r, z, n. Only n needs both biases.

    Args:
      x: (batch, T, features).
      w_in: (features, 3 hidden).
      w_hidden: (hidden, 3 hidden).
      bias_in: (3 hidden,).
      bias_hidden: (3 hidden,).
      initial: (h,), (batch, hidden); zeros if None.
      lengths: as `lstm`'s.
      reverse: as `lstm`'s.

    Returns:
      Outputs (batch, T, hidden) in x's dtype, and the last (h,).
    """
    return _layer(GRU, 1, x, w_in, w_hidden, bias_in, bias_hidden, initial, lengths, reverse)


def rnn(
    x: jax.Array,
    w_in: jax.Array,
    w_hidden: jax.Array,
    bias: jax.Array,
    initial: Carry | None = None,
    *,
    activation: str = "tanh",
    lengths: jax.Array | None = None,
    reverse: bool = False,
) -> tuple[jax.Array, Carry]:
    """The vanilla network ``h' = tanh(x w_in + h w_hidden + bias)`` (Elman, 1990).

    Args:
      x: (batch, T, features).
      w_in: (features, hidden).
      w_hidden: (hidden, hidden).
      bias: (hidden,).
      initial: (h,), (batch, hidden); zeros if None.
      activation: "tanh" or "relu".
      lengths: as `lstm`'s.
      reverse: as `lstm`'s.

    Returns:
      Outputs (batch, T, hidden) in x's dtype, and the last (h,).
    """
    cell = choose("activation", activation, RNN)
    return _layer(cell, 1, x, w_in, w_hidden, bias, None, initial, lengths, reverse)


def _layer(cell, carries, x, w_in, w_hidden, bias, bias_hidden, initial, lengths, reverse):
    B, T, _ = x.shape
    wide = wide_dtype(x.dtype)
    if initial is None:
        initial = (jnp.zeros((B, w_hidden.shape[0]), wide),) * carries
    initial = tuple(jnp.asarray(carry, wide) for carry in initial)
    # Time first, so that a step is one piece of memory.
    x_TxBxF = x.transpose(1, 0, 2)
    inputs_TxBxG = dense(x_TxBxF.astype(w_in.dtype), w_in, wide=True) + bias
    bias_hidden = jnp.zeros(bias.shape, wide) if bias_hidden is None else bias_hidden.astype(wide)
    live_TxBx1 = None
    if lengths is not None:
        live_TxBx1 = (jnp.arange(T)[:, None] < lengths)[..., None]
    run = _scan if forms.uses_references() else _recurrence
    y_TxBxH, carry = run(cell, reverse, inputs_TxBxG, w_hidden, bias_hidden, initial, live_TxBx1)
    return y_TxBxH.transpose(1, 0, 2).astype(x.dtype), carry


def _times(x: jax.Array, w: jax.Array) -> jax.Array:
    """``x @ w`` in w's dtype, its sums in at least float32."""
    wide = wide_dtype(w.dtype)
    return jnp.matmul(x.astype(w.dtype), w, preferred_element_type=wide)


def _advance(cell: Cell, z: jax.Array, carry: Carry, live: jax.Array | None) -> Carry:
    """The next carry, or the same one for examples that have ended."""
    after = cell.update(z, carry)
    if live is None:
        return after
    return tuple(jnp.where(live, new, old) for new, old in zip(after, carry, strict=True))


def _output(carry: Carry, live: jax.Array | None) -> jax.Array:
    return carry[0] if live is None else jnp.where(live, carry[0], 0)


def _scan(cell, reverse, inputs, w_hidden, bias_hidden, initial, live):
    """The reference: (outputs (T, batch, hidden), last carry)."""

    def step(carry, at):
        x, live = at
        z = cell.join(x, _times(carry[0], w_hidden) + bias_hidden)
        carry = _advance(cell, z, carry, live)
        return carry, _output(carry, live)

    carry, y = lax.scan(step, initial, (inputs, live), reverse=reverse)
    return y, carry


def _forward(cell, reverse, inputs, w_hidden, bias_hidden, initial, live):
    # Kept are z, from which a step's gates are cheap to compute again, and the carries before it.
    def step(carry, at):
        x, live = at
        z = cell.join(x, _times(carry[0], w_hidden) + bias_hidden)
        after = _advance(cell, z, carry, live)
        return after, (_output(after, live), z, carry)

    last, (y, z, before) = lax.scan(step, initial, (inputs, live), reverse=reverse, unroll=UNROLLED)
    return (y, last), (z, before, w_hidden, live)


def _backward(cell, reverse, kept, slopes):
    z, before, w_hidden, live = kept
    dy, dlast = slopes
    H, G = w_hidden.shape
    w_back = w_hidden.T  # turned once, not at every step
    share = jax.ShapeDtypeStruct((dy.shape[1], G), dy.dtype)
    split = jax.linear_transpose(cell.join, share, share)

    # All states are known: what the derivatives take from them is computed for all steps at once,
    # and the loop is left with products and sums.
    pulls = jax.vmap(
        lambda z, before, live: jax.vjp(lambda *now: _advance(cell, *now, live), z, before)[1]
    )(z, before, live)

    def step(dcarry, at):
        pull, live, dy = at
        dcarry = (dcarry[0] + _output((dy,), live), *dcarry[1:])
        dz, dbefore = pull(dcarry)
        _, dhidden = split(dz)
        return (dbefore[0] + _times(dhidden, w_back), *dbefore[1:]), dz

    dinitial, dz = lax.scan(step, dlast, (pulls, live, dy), reverse=not reverse)
    dinputs, dhidden = jax.vmap(split)(dz)
    h, dhidden = before[0].reshape(-1, H), dhidden.reshape(-1, G)
    dw = _times(h.astype(w_hidden.dtype).T, dhidden.astype(w_hidden.dtype))
    return dinputs, dw.astype(w_hidden.dtype), dhidden.sum(axis=0), dinitial, None


_recurrence = with_backward(_forward, _backward, value=_scan, static=(0, 1))
