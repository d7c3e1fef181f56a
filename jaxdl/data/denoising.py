"""Texts with parts left out, on the device: pure functions of (tokens, key), free to jit.

Every shape follows from the length of the text, so that one program does for all draws.
"""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxdl import keys
from jaxdl.data.source_target import Specials


class Damaged(NamedTuple):
    """A text to be restored.

    Attributes:
      source: (batch, S) int32, what is left of it, ended and filled up.
      target: (batch, T) int32, what is to be written, ended.
      hidden: (batch, T) booleans: the target's tokens of the text that the source does not have.
    """

    source: jax.Array
    target: jax.Array
    hidden: jax.Array


# Spans of noise


def noise_counts(length: int, density: float, span: float) -> tuple[int, int]:
    """(tokens left out, spans that they are in) of a text of ``length`` tokens.

    As in the paper's own code: density · length tokens, and one span for each ``span`` of them,
    both rounded, but at least one of each left out and kept.
    """
    noise = min(max(round(length * density), 1), length - 1)
    return noise, min(max(round(noise / span), 1), noise, length - noise)


def span_corruption(
    tokens: jax.Array, key: jax.Array, special: Specials, density: float = 0.15, span: float = 3.0
) -> Damaged:
    """Spans of a text are left out, each named by a sentinel: T5's pre-training.

    Raffel et al., 2020, section 3.1.4 and 3.3.4. "Thank you <0> me to your party <1> week" is the
    source, "<0> for inviting <1> last" the target. The text is cut into as many spans that are kept
    as are left out, in turn, the first one kept and the last one left out, of random lengths: every
    way to cut it is as likely as another.

    Args:
      tokens: (batch, L) integers, L at least 2.
      key: typed random key, or (batch,) of them, one an example.
      special: with at least as many sentinels as there are spans, see `noise_counts`.
      density: share of the tokens that is left out, in (0, 1).
      span: mean length of what is left out at a time, at least 1.
    """
    length = tokens.shape[1]
    noise, spans = noise_counts(length, density, span)
    names = jnp.array(special.sentinels[:spans], jnp.int32)

    def one(text_L: jax.Array, key: jax.Array) -> Damaged:
        kept_N = _lengths(keys.named(key, "kept"), length - noise, spans)
        left_N = _lengths(keys.named(key, "left out"), noise, spans)
        ends = jnp.cumsum(jnp.stack([kept_N, left_N], axis=1).reshape(-1))
        # Span 0 is kept, 1 is left out, 2 is kept …
        number_L = jnp.searchsorted(ends, jnp.arange(length), side="right")
        is_noise_L = number_L % 2 == 1
        first_L = jnp.diff(number_L, prepend=-1) > 0
        name_L = names[number_L // 2]

        def written(kept_L: jax.Array, count: int) -> tuple[jax.Array, jax.Array]:
            """The text with one sentinel for each span that is not kept, ended."""
            place = jnp.argsort(~(kept_L | first_L), stable=True)[: count + spans]
            found = jnp.where(kept_L, text_L, name_L)[place].astype(jnp.int32)
            end = jnp.array([special.end], jnp.int32)
            return jnp.concatenate([found, end]), jnp.append(kept_L[place], False)

        source, _ = written(~is_noise_L, length - noise)
        target, hidden = written(is_noise_L, noise)
        return Damaged(source, target, hidden)

    return jax.vmap(one)(tokens, _each(key, len(tokens)))


def _lengths(key: jax.Array, total: int, parts: int) -> jax.Array:
    """(parts,) whole numbers of at least 1 that add up to ``total``, all ways alike."""
    chosen = jnp.argsort(jax.random.uniform(key, (total - 1,)))[: parts - 1]
    cuts = jnp.sort(chosen.astype(jnp.int32)) + 1
    return jnp.diff(cuts, prepend=0, append=total)


# Infilling


def infilling_counts(length: int, density: float, span: float) -> tuple[int, int]:
    """(tokens left out, room for the masks in their place) of a text of ``length`` tokens."""
    noise = min(max(round(length * density), 1), length - 1)
    mean = noise / span
    return noise, math.ceil(mean + 4 * math.sqrt(mean) + 4)


def infilling(
    tokens: jax.Array,
    key: jax.Array,
    special: Specials,
    density: float = 0.3,
    span: float = 3.0,
    sentence_end: np.ndarray | None = None,
) -> Damaged:
    """Spans of a text are left out, a mask in place of each, and its sentences shuffled: BART's.

    Lewis et al., 2020, section 2.2. Lengths are drawn from a Poisson distribution until as many
    tokens as wanted are left out, the last one cut short; a span of none puts a mask where nothing
    is missing. Where spans stand is drawn too, all places between kept tokens alike, so that two
    masks may be neighbours. The target is the text.

    Args:
      tokens: (batch, L) integers, L at least 2.
      key: typed random key, or (batch,) of them, one an example.
      special: its first sentinel is the mask.
      density: share of the tokens that is left out, in (0, 1).
      span: mean of the distribution, λ.
      sentence_end: (size,) booleans, the tokens that end a sentence; what lies behind the last one
        is a sentence too. None shuffles nothing.
    """
    length = tokens.shape[1]
    noise, room = infilling_counts(length, density, span)
    cumulative = jnp.array(_poisson(span), jnp.float32)

    def one(text_L: jax.Array, key: jax.Array) -> Damaged:
        order_L = jnp.arange(length)
        if sentence_end is not None:
            order_L = _shuffled(keys.named(key, "sentences"), jnp.asarray(sentence_end)[text_L])
        drawn_R = jax.random.uniform(keys.named(key, "lengths"), (room,))
        size_R = jnp.searchsorted(cumulative, drawn_R, side="right").astype(jnp.int32)
        size_R = size_R.at[-1].set(length)  # whatever is wanted yet
        before_R = jnp.cumsum(size_R) - size_R
        is_span_R = before_R < noise
        size_R = jnp.where(is_span_R, jnp.minimum(size_R, noise - before_R), 0)
        # Kept tokens in front of each span, in order; behind all for those that are none.
        gap_R = jax.random.randint(keys.named(key, "places"), (room,), 0, length - noise + 1)
        gap_R = jnp.sort(jnp.where(is_span_R, gap_R, length + 1))
        start_R = jnp.where(is_span_R, gap_R + jnp.cumsum(size_R) - size_R, length)
        edges = jnp.zeros(length + 1, jnp.int32).at[start_R].add(is_span_R.astype(jnp.int32))
        edges = edges.at[start_R + size_R].add(-is_span_R.astype(jnp.int32))
        gone_L = jnp.cumsum(edges)[:length] > 0
        # A mask stands in front of the token that its span begins with.
        rank = jnp.concatenate([2 * jnp.arange(length) + 1, 2 * start_R])
        last = 2 * length + 2
        rank = jnp.where(jnp.concatenate([gone_L, ~is_span_R]), last, rank)
        masks_R = jnp.full(room, special.sentinels[0], jnp.int32)
        both = jnp.concatenate([text_L[order_L].astype(jnp.int32), masks_R])
        place = jnp.argsort(rank, stable=True)[: length - noise + room]
        end, size = jnp.array([special.end], jnp.int32), (rank < last).sum()
        source = jnp.where(rank[place] < last, both[place], special.pad)
        source = jnp.append(source, special.pad).at[size].set(special.end)
        hidden = jnp.zeros(length, bool).at[order_L].set(gone_L)
        return Damaged(
            source, jnp.concatenate([text_L.astype(jnp.int32), end]), jnp.append(hidden, False)
        )

    return jax.vmap(one)(tokens, _each(key, len(tokens)))


def _poisson(mean: float) -> np.ndarray:
    """The probabilities of 0, of at most 1, of at most 2 …, as far as float32 tells them from 1."""
    most = math.ceil(mean + 12 * math.sqrt(mean) + 12)
    log_p = [k * math.log(mean) - mean - math.lgamma(k + 1) for k in range(most)]
    return np.cumsum(np.exp(log_p))


def _shuffled(key: jax.Array, ends_L: jax.Array) -> jax.Array:
    """(L,) places in the order of shuffled sentences; ``ends_L`` (L,): where one ends."""
    ends_L = ends_L.astype(jnp.int32)
    number_L = jnp.cumsum(ends_L) - ends_L
    rank_L = jax.random.uniform(key, ends_L.shape)[number_L]
    return jnp.lexsort((jnp.arange(len(ends_L)), number_L, rank_L))


def _each(key: jax.Array, count: int) -> jax.Array:
    return jax.random.split(key, count) if not key.ndim else key


def key_of_text(tokens: jax.Array) -> jax.Array:
    """A key for each text (batch, L) that depends on nothing but its tokens, (batch,).

    What is drawn by it is the same for every seed, batch and number of devices: for evaluation.
    """
    factors = np.cumprod(np.full(tokens.shape[1], 2_654_435_761, np.uint32), dtype=np.uint32)
    mixed = tokens.astype(jnp.uint32) ^ (tokens.astype(jnp.uint32) << 7)
    number = ((mixed + 1) * factors).sum(axis=1, dtype=jnp.uint32)
    return jax.vmap(lambda n: jax.random.fold_in(keys.root(0), n))(number)


def sentence_ends(tokenizer, size: int) -> np.ndarray:
    """(size,) booleans: the tokens whose text ends in a full stop, ! or ?, spaces aside."""
    found = np.zeros(size, bool)
    for token in range(tokenizer.size):
        text = tokenizer.decode(np.array([token])).rstrip()
        found[token] = text.endswith((".", "!", "?"))
    return found
