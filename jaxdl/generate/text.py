"""Texts from language models, token after token: greedy, sampled, or by beam search.

A language model is a linen module that maps tokens (batch, T) to logits (batch, T, vocabulary), in
which no position sees a later one. If it has ``init_cache(batch, length)``, and
``apply(variables, tokens, cache=cache)`` returns (logits, cache), each token is computed once; a
model without is run on the whole text again for every token. Its fields ``vocab_size`` and
``context``, if it has them, bound the tokens and the length of the text.
"""

import functools
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import linen as nn

from jaxdl import keys
from jaxdl.generate.requests import (
    check_beams,
    check_penalty,
    check_prompt,
    check_sampling,
    check_stop,
)

# The temperatures between which float32 has both a number and its reciprocal.
_COLDEST, _HOTTEST = 2.0**-126, 2.0**126
# What a nucleus may lack of ``top_p``: a sum of shares in float32 is no more exact.
_SUM = 1e-6


def log_probabilities(
    logits: jax.Array, *, temperature: float = 1.0, top_k: int = 0, top_p: float = 1.0
) -> jax.Array:
    """The logarithm of the distribution that the next token is drawn from.

    Logits are divided by the temperature; then all but the ``top_k`` most likely tokens are left
    out; then all but the nucleus, the fewest of the likeliest tokens that together have at least
    ``top_p``, to 1e-6 (Holtzman et al., 2020, section 3.1). Of equally likely tokens the first
    comes first.

    Args:
      logits: (…, vocabulary).
      temperature: at least 0; 0 is the likeliest token alone.
      top_k: tokens; 0 is all.
      top_p: in (0, 1]; 1 is all.

    Returns:
      (…, vocabulary) float32, -inf for what is left out; its exponential adds up to 1.
    """
    logits = logits.astype(jnp.float32)
    if temperature == 0:
        temperature, top_k, top_p = 1.0, 1, 1.0
    # Less the largest, and by what float32 has: near 0 a temperature leaves the largest alone, and
    # however high one is it leaves out what was left out before.
    scale = min(max(temperature, _COLDEST), _HOTTEST)
    logits = (logits - logits.max(axis=-1, keepdims=True)) / scale
    if top_k or top_p < 1:
        order = jnp.argsort(logits, axis=-1, descending=True, stable=True)
        ranked = jnp.take_along_axis(logits, order, axis=-1)
        if top_k:
            kept = jnp.arange(logits.shape[-1]) < min(top_k, logits.shape[-1])
            ranked = jnp.where(kept, ranked, -jnp.inf)
        if top_p < 1:
            share = jax.nn.softmax(ranked, axis=-1)
            likelier = jnp.cumsum(share, axis=-1) - share
            ranked = jnp.where(likelier < max(top_p - _SUM, _SUM), ranked, -jnp.inf)
        logits = jnp.put_along_axis(logits, order, ranked, axis=-1, inplace=False)
    return jax.nn.log_softmax(logits, axis=-1)


def sample(
    module: nn.Module,
    variables: Any,
    prompt: Any,
    key: jax.Array,
    *,
    tokens: int,
    temperature: float = 1.0,
    top_k: int = 0,
    top_p: float = 1.0,
    stop: int | Sequence[int] | None = None,
) -> jax.Array:
    """Texts that go on from prompts, each token drawn from `log_probabilities`.

    Args:
      module: a language model.
      variables: its own.
      prompt: (batch, P) integers, P at least 1.
      key: typed random key.
      tokens: how many to add.
      temperature: at least 0; 0 takes the likeliest token and draws nothing.
      top_k: tokens that are drawn from, the likeliest; 0 is all.
      top_p: what the tokens that are drawn from have together, in (0, 1].
      stop: a token that ends a text, or several that do; what follows it is filled with it.

    Returns:
      (batch, tokens) int32, without the prompt.

    Raises:
      UserError: an empty prompt, a token id that the model does not have, a text longer than its
        context, or a setting out of range.
    """
    check_sampling(temperature, top_k, top_p)
    prompt = check_prompt(module, prompt, tokens)
    return _sample(
        module, variables, prompt, key, tokens=tokens, temperature=float(temperature),
        top_k=top_k, top_p=float(top_p), stops=check_stop(module, stop),
    )  # fmt: skip


def greedy(
    module: nn.Module, variables: Any, prompt: Any, *, tokens: int,
    stop: int | Sequence[int] | None = None,
) -> jax.Array:  # fmt: skip
    """`sample` at temperature 0: the likeliest token each time, (batch, tokens) int32."""
    key = keys.root(0)  # draws nothing
    return sample(module, variables, prompt, key, tokens=tokens, temperature=0.0, stop=stop)


def beam_search(
    module: nn.Module,
    variables: Any,
    prompt: Any,
    *,
    tokens: int,
    beams: int = 4,
    length_penalty: float = 0.0,
    stop: int | Sequence[int] | None = None,
) -> tuple[jax.Array, jax.Array]:
    """The likeliest texts that go on from prompts, as far as ``beams`` of each length show them.

    A text ends with ``stop``, or after ``tokens``. Its score is log p / ((5 + length) / 6)^α, with
    α the length penalty (Wu et al., 2016, equation 14); its length counts what ended it.

    Args:
      module: a language model.
      variables: its own.
      prompt: (batch, P) integers, P at least 1.
      tokens: how many to add at most.
      beams: unfinished texts that are kept after each token, and texts that are returned.
      length_penalty: α; 0 compares texts by log p, in which shorter ones do better.
      stop: a token that ends a text, or several that do; what follows it is filled with it.

    Returns:
      Texts (batch, beams, tokens) int32 without the prompt, best first, and their scores (batch,
      beams) float32. Where there are fewer texts than beams, the rest have the score -inf.

    Raises:
      UserError: as `sample`, or beams below 1, or a length penalty for which a text of so many
        tokens has no score in float32.
    """
    check_beams(beams)
    check_penalty(length_penalty, tokens)
    prompt = check_prompt(module, prompt, tokens)
    return _beam_search(
        module, variables, prompt, tokens=tokens, beams=beams,
        length_penalty=float(length_penalty), stops=check_stop(module, stop),
    )  # fmt: skip


# The model, one token after the other


def _is_stop(token: jax.Array, stops: tuple[int, ...]) -> jax.Array:
    return (token[..., None] == jnp.array(stops, jnp.int32)).any(-1)


class _Text(NamedTuple):
    """The cache of a model that has none: the text so far.

    Attributes:
      tokens: (batch, length) int32, zeros behind the text.
      filled: its length, int32.
    """

    tokens: jax.Array
    filled: jax.Array


def _init_cache(module: nn.Module, batch: int, length: int) -> Any:
    if hasattr(module, "init_cache"):
        return module.init_cache(batch, length)
    return _Text(jnp.zeros((batch, length), jnp.int32), jnp.int32(0))


def _next(module: nn.Module, variables: Any, tokens: jax.Array, cache: Any) -> tuple[Any, Any]:
    """Logits (batch, vocabulary) of what follows ``tokens`` (batch, T), and the cache with them."""
    if not isinstance(cache, _Text):
        logits, cache = module.apply(variables, tokens, cache=cache)
        return logits[:, -1], cache
    text = jax.lax.dynamic_update_slice_in_dim(cache.tokens, tokens, cache.filled, axis=1)
    filled = cache.filled + tokens.shape[1]
    logits = module.apply(variables, text)
    return jax.lax.dynamic_index_in_dim(logits, filled - 1, 1, keepdims=False), _Text(text, filled)


@functools.partial(
    jax.jit, static_argnames=("module", "tokens", "temperature", "top_k", "top_p", "stops")
)
def _sample(
    module: nn.Module, variables: Any, prompt: jax.Array, key: jax.Array, *, tokens: int,
    temperature: float, top_k: int, top_p: float, stops: tuple[int, ...],
) -> jax.Array:  # fmt: skip
    B, P = prompt.shape

    def choose(logits_BxV: jax.Array, key: jax.Array) -> jax.Array:
        if temperature == 0:
            return logits_BxV.argmax(-1).astype(jnp.int32)
        log_p = log_probabilities(logits_BxV, temperature=temperature, top_k=top_k, top_p=top_p)
        return jax.random.categorical(key, log_p).astype(jnp.int32)

    def body(carry: Any, key: jax.Array) -> tuple[Any, jax.Array]:
        logits_BxV, cache, last_B = carry
        token_B = choose(logits_BxV, key)
        if stops:
            token_B = jnp.where(_is_stop(last_B, stops), last_B, token_B)
        logits_BxV, cache = _next(module, variables, token_B[:, None], cache)
        return (logits_BxV, cache, token_B), token_B

    start = _next(module, variables, prompt, _init_cache(module, B, P + tokens))
    none_B = jnp.full(B, -1, jnp.int32)  # a prompt may end in such a token, and goes on
    return jax.lax.scan(body, (*start, none_B), jax.random.split(key, tokens))[1].T


class _Beams(NamedTuple):
    """K texts of a prompt, and how good they are.

    Attributes:
      tokens: (batch, K, length) int32.
      score: (batch, K) float32.
    """

    tokens: jax.Array
    score: jax.Array

    def best(self, count: int) -> tuple["_Beams", jax.Array]:
        """The ``count`` best, best first, and which they were, (batch, count)."""
        score, which = jax.lax.top_k(self.score, count)
        return _Beams(_rows(self.tokens, which), score), which

    def beside(self, other: "_Beams") -> "_Beams":
        """Both."""
        return jax.tree.map(lambda a, b: jnp.concatenate([a, b], axis=1), self, other)


def _rows(x: jax.Array, which_BxK: jax.Array) -> jax.Array:
    """``x[b, which[b, k], …]``: (batch, n, …) -> (batch, K, …)."""
    return jax.vmap(lambda rows, which: rows[which])(x, which_BxK)


@functools.partial(
    jax.jit, static_argnames=("module", "tokens", "beams", "length_penalty", "stops")
)
def _beam_search(
    module: nn.Module, variables: Any, prompt: jax.Array, *, tokens: int, beams: int,
    length_penalty: float, stops: tuple[int, ...],
) -> tuple[jax.Array, jax.Array]:  # fmt: skip
    (B, P), K = prompt.shape, beams
    length = P + tokens
    # The batch axis of each of the cache's arrays is the one that grows with the batch.
    one, two = (jax.eval_shape(lambda n=n: _init_cache(module, n, length)) for n in (1, 2))
    grows = lambda a, b: next((i for i, n in enumerate(a.shape) if n != b.shape[i]), -1)
    axes = jax.tree.map(grows, one, two)
    rows_of = lambda cache, rows: jax.tree.map(
        lambda x, axis: x if axis < 0 else jnp.take(x, rows, axis=axis), cache, axes
    )
    penalised = lambda log_p, length: log_p / ((5 + length) / 6) ** length_penalty
    texts = lambda first: _Beams(
        jnp.full((B, K, tokens), stops[0] if stops else 0, jnp.int32),
        jnp.full((B, K), -jnp.inf).at[:, 0].set(first),
    )

    def body(carry: Any, i: jax.Array) -> tuple[Any, None]:
        live, done, logits, cache = carry
        log_p_BxKxV = jax.nn.log_softmax(logits.astype(jnp.float32)).reshape(B, K, -1)
        V = log_p_BxKxV.shape[-1]
        # So many that K go on, were all of the others to end.
        grown_BxKV = (live.score[..., None] + log_p_BxKxV).reshape(B, K * V)
        score, index = jax.lax.top_k(grown_BxKV, min((1 + max(1, len(stops))) * K, K * V))
        parent, token = index // V, index % V
        # From here on: the rest of what ends, and written over in what goes on.
        rest = jnp.where(jnp.arange(tokens) < i, _rows(live.tokens, parent), token[..., None])
        grown = _Beams(rest, score)
        if stops:
            ends = _is_stop(token, stops)
            ended = penalised(jnp.where(ends, score, -jnp.inf), i + 1)
            done, _ = done.beside(grown._replace(score=ended)).best(K)
            grown = grown._replace(score=jnp.where(ends, -jnp.inf, score))
        live, which = grown.best(K)
        parent, token = _rows(parent, which), _rows(token, which)
        cache = rows_of(cache, (jnp.arange(B)[:, None] * K + parent).reshape(-1))
        logits, cache = _next(module, variables, token.reshape(B * K, 1), cache)
        return (live, done, logits, cache), None

    logits, cache = _next(module, variables, prompt, _init_cache(module, B, length))
    each = jnp.repeat(jnp.arange(B), K)
    start = (texts(0.0), texts(-jnp.inf), logits[each], rows_of(cache, each))
    (live, done, _, _), _ = jax.lax.scan(body, start, jnp.arange(tokens))
    live = live._replace(score=penalised(live.score, tokens))
    found, _ = done.beside(live).best(K)
    return found.tokens, found.score
