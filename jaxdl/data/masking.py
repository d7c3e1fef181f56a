"""Tokens that are hidden from an encoder, so that it learns to guess them: drawn on the device.

Devlin et al., 2018, section 3.1: of the tokens that are chosen most are replaced by [MASK], some by
any token, and some are shown as they are.
"""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxdl.data.encoded_texts import Specials


class Framed(NamedTuple):
    """Texts between [CLS] and [SEP], filled up with [PAD].

    Attributes:
      tokens: (batch, T + 2) int32.
      mask: (batch, T + 2) bool, False in padding.
    """

    tokens: jax.Array
    mask: jax.Array


class Masked(NamedTuple):
    """What is shown of texts, and what is to be guessed.

    Attributes:
      tokens: (batch, T) what is shown.
      places: (batch, K) where the chosen tokens stand.
      targets: (batch, K) those tokens.
      weight: (batch, K) float32, 0 where fewer were chosen than K.
      hidden: (batch, K) bool, whether [MASK] is shown there.
    """

    tokens: jax.Array
    places: jax.Array
    targets: jax.Array
    weight: jax.Array
    hidden: jax.Array


def framed(tokens: jax.Array, real: jax.Array, special: Specials) -> Framed:
    """Texts (batch, T) as `jaxdl.data.encoded_texts.wrapped` has them.

    Args:
      tokens: (batch, T) integers.
      real: (batch, T) bool, True for a text's tokens, which come before its padding.
      special: the special tokens.
    """
    length = real.sum(axis=1, keepdims=True)
    tokens = jnp.where(real, tokens, special.pad)
    tokens = jnp.pad(tokens, ((0, 0), (1, 1)), constant_values=special.pad)
    place = jnp.arange(tokens.shape[1])[None]
    tokens = jnp.where(place == 0, special.cls, tokens)
    tokens = jnp.where(place == length + 1, special.sep, tokens)
    return Framed(tokens, place <= length + 1)


def words(tokens: jax.Array, joins: tuple[np.ndarray, np.ndarray], vocab_size: int) -> jax.Array:
    """The number of each token's word in its text, (batch, T) int32, from 0 on.

    Args:
      tokens: (batch, T) integers.
      joins: of `jaxdl.data.tokens.Tokenizer`; tokens behind these are words of their own.
      vocab_size: of all tokens.
    """
    goes_on, is_open = (np.pad(x, (0, vocab_size - len(x))) for x in joins)
    same = jnp.asarray(is_open)[tokens[:, :-1]] & jnp.asarray(goes_on)[tokens[:, 1:]]
    return jnp.cumsum(jnp.pad(~same, ((0, 0), (1, 0))), axis=1, dtype=jnp.int32)


def most(rate: float, length: int) -> int:
    """The tokens of a text of ``length`` that are chosen at most: K of `Masked`."""
    return min(max(1, round(rate * length)), length)


def mask(
    keys: jax.Array,
    tokens: jax.Array,
    allowed: jax.Array,
    *,
    rate: float,
    special: Specials,
    ordinary: Sequence[int] | np.ndarray,
    random: float = 0.1,
    kept: float = 0.1,
    word: jax.Array | None = None,
) -> Masked:
    """Chooses tokens of each text and hides them.

    Of a text's n tokens that may be chosen, ``rate`` n are, to the nearest whole number, and one at
    least. Whole words are chosen while they fit into that number, so that it is not always reached.

    Args:
      keys: (batch,) a key a text, so that the draw of one does not depend on the others.
      tokens: (batch, T) integers.
      allowed: (batch, T) bool: which of them may be chosen; special ones never are.
      rate: share of tokens that are chosen, in (0, 1].
      special: the special tokens.
      ordinary: (n,) the tokens that may be shown in the place of others.
      random: share of the chosen tokens that any of these takes the place of.
      kept: share of the chosen tokens that are shown as they are.
      word: (batch, T) the number of each token's word, to choose whole words; None for tokens.
    """
    allowed &= ~jnp.isin(tokens, jnp.array(special.ids))
    size, ordinary = most(rate, tokens.shape[1]), jnp.asarray(ordinary, tokens.dtype)

    def one(key: jax.Array, tokens: jax.Array, allowed: jax.Array, word: jax.Array | None):
        choice, how, which = jax.random.split(key, 3)
        places, chosen = _chosen(choice, allowed, rate, size, word)
        draw = jax.random.uniform(how, (size,))
        hidden = chosen & (draw >= random + kept)
        others = ordinary[jax.random.randint(which, (size,), 0, len(ordinary))]
        targets = tokens[places]
        shown = jnp.where(draw < random, others, targets)
        shown = jnp.where(hidden, special.mask, jnp.where(chosen, shown, targets))
        return Masked(
            tokens.at[places].set(shown), places, targets, chosen.astype(jnp.float32), hidden
        )

    return jax.vmap(one)(keys, tokens, allowed, word)


def _chosen(
    key: jax.Array, allowed: jax.Array, rate: float, size: int, word: jax.Array | None
) -> tuple[jax.Array, jax.Array]:
    """(places (size,), whether each is chosen) of one text of T tokens."""
    T = len(allowed)
    draw = jax.random.uniform(key, (T,))
    if word is not None:  # one draw a word
        draw = draw[word]
    # Of equal ones the first comes first, so that a word's tokens stay together.
    draw, order = jax.lax.top_k(-jnp.where(allowed, draw, 2.0), min(size + 1, T))
    places, total = order[:size], allowed.sum()
    count = jnp.clip(jnp.round(rate * total.astype(jnp.float32)).astype(jnp.int32), 1, size)
    chosen = (jnp.arange(size) < count) & allowed[places]
    if word is not None and size < T:
        # The word that would be cut is left out, unless it is the only one.
        last, after = draw[count - 1], draw[count]
        is_cut = (after == last) & (last != draw[0])
        chosen &= ~(is_cut & (draw[:size] == last))
    return places, chosen


def fixed_keys(key: jax.Array, tokens: jax.Array) -> jax.Array:
    """(batch,) a key a text, made of its tokens (batch, T) alone.

    A text is so masked alike in any batch, on any number of devices, in any run.
    """
    T = tokens.shape[1]
    # Odd numbers, so that no token's part is lost modulo 2³² (Knuth's multiplier).
    factors = np.cumprod(np.full(T, 2654435761, np.uint32), dtype=np.uint32)
    sums = (tokens.astype(jnp.uint32) * factors).sum(axis=1, dtype=jnp.uint32)
    return jax.vmap(jax.random.fold_in, (None, 0))(key, sums)
