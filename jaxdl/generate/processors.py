"""What may be asked of a text as it is written: each a pure function of the next token's scores.

Scores are logits, or logarithms of probabilities as beam search has them; both are (batch,
vocabulary). A text is (batch, length) int32, of which the first ``filled`` places are written; -1
is no token: padding in front, or what is still to come.
"""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp

from jaxdl.generate.timestamps import Timestamps, keep_times

_STATIC = dict(static=True)


def penalise_repetition(scores: jax.Array, text: jax.Array, penalty: jax.Array) -> jax.Array:
    """Scores of tokens that the text has: positive ones over the penalty, others times it.

    Keskar et al., 2019, "CTRL: A Conditional Transformer Language Model", section 4.1.
    """
    less = jnp.where(scores < 0, scores * penalty, scores / penalty)
    return jnp.where(_named(text, scores), less, scores)


def forbid_ngrams(scores: jax.Array, text: jax.Array, filled: jax.Array, size: int) -> jax.Array:
    """-inf for tokens that would end ``size`` tokens which the text has in this order already.

    Paulus, Xiong and Socher, 2017, "A Deep Reinforced Model for Abstractive Summarization", section
    2.5. A text of fewer tokens forbids none.
    """
    length = text.shape[1]
    if length < size:
        return scores
    windows = length - size + 1
    same = jnp.ones((len(text), windows), bool)
    for i in range(size - 1):
        # What the next token would stand behind, against each place of a window.
        at = jnp.maximum(filled - (size - 1) + i, 0)
        last_Bx1 = jax.lax.dynamic_slice_in_dim(text, at, 1, axis=1)
        same &= text[:, i : i + windows] == last_Bx1
    # A window that goes beyond what is written ends in no token.
    ends = jnp.where(same & (filled >= size), text[:, size - 1 :], -1)
    return jnp.where(_named(ends, scores), -jnp.inf, scores)


def forbid(scores: jax.Array, tokens: jax.Array) -> jax.Array:
    """-inf for these tokens (n,)."""
    return jnp.where(_named(tokens[None], scores[:1]), -jnp.inf, scores)


def forbid_words(
    scores: jax.Array, text: jax.Array, filled: jax.Array, words: jax.Array
) -> jax.Array:
    """-inf for tokens that would end one of ``words`` (n, L), whose others the text ends with."""
    before = words.shape[1] - 1
    if text.shape[1] < before:
        return scores
    start = jnp.maximum(filled - before, 0)
    last_BxL = jax.lax.dynamic_slice_in_dim(text, start, before, axis=1)
    same_BxN = (last_BxL[:, None] == words[:, :-1]).all(-1) & (filled >= before)
    return jnp.where(_named(jnp.where(same_BxN, words[:, -1], -1), scores), -jnp.inf, scores)


def force(scores: jax.Array, token: jax.Array) -> jax.Array:
    """0 for this token (), -inf for all others."""
    return jnp.where(jnp.arange(scores.shape[-1]) == token, 0.0, -jnp.inf).astype(scores.dtype)


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Processors:
    """All that is asked of a text, in the order in which transformers has them.

    None is not asked for, and costs nothing; the values are data of a compiled program, so that
    others need no other program, but for the size of n-grams.

    Attributes:
      stops: (n,) int32, tokens that end a text.
      repetition_penalty: float32, above 0.
      min_tokens: int32, so many tokens are added before one that ends the text.
      max_tokens: int32, so many are added at most, of those that there is room for; or (batch,).
      forced_first: int32, the first token that is added.
      forced_last: int32, the token that ends a text which has no room for more.
      bad_words: (n, L) int32 for each L, tokens that never stand in this order.
      suppressed: (n,) int32, tokens that are never added.
      suppressed_first: (n,) int32, tokens that are not the first that is added and not forced.
      timestamps: see `keep_times`.
      no_repeat_ngram_size: see `forbid_ngrams`.
    """

    stops: Any = None
    repetition_penalty: Any = None
    min_tokens: Any = None
    max_tokens: Any = None
    forced_first: Any = None
    forced_last: Any = None
    bad_words: tuple[Any, ...] = ()
    suppressed: Any = None
    suppressed_first: Any = None
    timestamps: Timestamps | None = None
    no_repeat_ngram_size: int | None = dataclasses.field(default=None, metadata=_STATIC)

    def __call__(
        self, scores: jax.Array, text: jax.Array, *, added: jax.Array, tokens: int
    ) -> jax.Array:
        """Scores of the next token.

        Args:
          scores: (batch, vocabulary) float32.
          text: (batch, P + tokens), the prompt with what has been added.
          added: int32, how many tokens have been.
          tokens: how many can be.
        """
        filled = text.shape[1] - tokens + added
        if self.repetition_penalty is not None:
            scores = penalise_repetition(scores, text, self.repetition_penalty)
        if self.no_repeat_ngram_size is not None:
            scores = forbid_ngrams(scores, text, filled, self.no_repeat_ngram_size)
        for words in self.bad_words:
            scores = forbid_words(scores, text, filled, words)
        if self.min_tokens is not None and self.stops is not None:
            scores = jnp.where(added < self.min_tokens, forbid(scores, self.stops), scores)
        if self.forced_first is not None:
            scores = jnp.where(added == 0, force(scores, self.forced_first), scores)
        if self.forced_last is not None:
            last = self.most(tokens) - 1
            ends = jnp.reshape(added == last, (-1, 1))  # of each text, or of all
            scores = jnp.where(ends, force(scores, self.forced_last), scores)
        if self.suppressed is not None:
            scores = forbid(scores, self.suppressed)
        if self.suppressed_first is not None:
            first = 0 if self.forced_first is None else 1
            scores = jnp.where(added == first, forbid(scores, self.suppressed_first), scores)
        if self.timestamps is not None:
            scores = keep_times(scores, text, filled, added, self.timestamps)
        return scores

    def most(self, tokens: int) -> int | jax.Array:
        """How many tokens are added at most where there is room for ``tokens``; () or (batch,)."""
        return tokens if self.max_tokens is None else jnp.minimum(self.max_tokens, tokens)

    @property
    def _differ(self) -> bool:
        return self.max_tokens is not None and jnp.ndim(self.max_tokens) > 0

    def full(self, added: jax.Array, tokens: int) -> jax.Array | bool:
        """Whether texts of unequal ``max_tokens`` have all of theirs, (batch,); else False."""
        return self._differ and added >= self.most(tokens)

    def repeated(self, times: int) -> "Processors":
        """Of each text ``times`` times, one behind the other."""
        if not self._differ:
            return self
        return dataclasses.replace(self, max_tokens=jnp.repeat(self.max_tokens, times))

    def ends(self, token: jax.Array) -> jax.Array:
        """Whether each of these tokens (…) ends its text."""
        if self.stops is None:
            return jnp.zeros(token.shape, bool)
        return (token[..., None] == self.stops).any(-1)


def _named(tokens: jax.Array, like: jax.Array) -> jax.Array:
    """Booleans shaped ``like`` (batch, vocabulary): whether it is among ``tokens`` (batch, n)."""
    batch, vocabulary = like.shape
    # A negative index counts from the end; one past the end is dropped.
    index = jnp.where(tokens < 0, vocabulary, tokens)
    empty = jnp.zeros((batch, vocabulary), bool)
    return empty.at[jnp.arange(batch)[:, None], index].set(True, mode="drop")


def fill(made: jax.Array, pad: jax.Array | None) -> jax.Array:
    """Texts (…, tokens) with ``pad`` where they have no token, or, if it is None, their last."""
    if pad is None:
        count = (made >= 0).sum(-1, keepdims=True)
        pad = jnp.take_along_axis(made, jnp.maximum(count - 1, 0), axis=-1)
    return jnp.where(made < 0, jnp.maximum(pad, 0), made)
