"""Beam search: the likeliest texts, as far as a few of each length show them."""

import functools
from collections.abc import Sequence
from typing import Any, NamedTuple, Unpack

import jax
import jax.numpy as jnp
from flax import linen as nn

from jaxdl.generate import decoding, processors, requests


def beam_search(
    module: nn.Module,
    variables: Any,
    prompt: Any,
    *,
    tokens: int,
    beams: int = 4,
    returned: int | None = None,
    length_penalty: float = 0.0,
    early_stopping: bool | str = "never",
    stop: int | Sequence[int] | None = None,
    pad: int | None = None,
    prompt_mask: Any = None,
    source: Any = None,
    source_mask: Any = None,
    encoded: Any = None,
    scored: bool = False,
    **rules: Unpack[requests.Rules],
) -> tuple[jax.Array, ...]:
    """The likeliest texts that go on from prompts, as far as ``beams`` of each length show them.

    A text ends with ``stop``, or after ``tokens``. Its score is log p / length^α, with α the length
    penalty; its length counts what was added to the prompt and what ended it. As in transformers a
    text that ends counts if it is among the ``beams`` best of its length, and log p is what the
    rules have made of the model's.

    Args:
      module: a language model or an encoder-decoder.
      variables: its own.
      prompt: as of `jaxdl.generate.sample`, like what is not named here.
      tokens: how many to add at most.
      beams: unfinished texts that are kept after each token.
      returned: texts that are returned, at most ``beams``; all of them if None.
      length_penalty: α; 0 compares texts by log p, in which shorter ones do better; transformers'
        default is 1.
      early_stopping: when the search for a text ends, once as many have ended as there are beams.
        "never": when none that goes on can become better than the worst of them; that is exact.
        False: when the best that goes on, had it ended here, would be no better than the worst of
        them. True: at once.
      stop: a token that ends a text, or several that do.
      pad: what follows the token that ended a text; that token itself if None.
      prompt_mask: (batch, P), False (0) where there is padding, in front.
      source: (batch, S), what an encoder-decoder reads.
      source_mask: (batch, S), False (0) where there is padding.
      encoded: as of `jaxdl.generate.sample`.
      scored: return the texts' log p too, as `jaxdl.generate.sample` does: each token's share of
        what the rules have left, which a score is not made of.
      **rules: `Rules`.

    Returns:
      Texts (batch, returned, tokens) int32 without the prompt, best first, and their scores (batch,
      returned) float32. Where there are fewer texts than that, the rest have the score -inf. With
      ``scored`` log p (batch, returned) float32 besides.

    Raises:
      UserError: as `jaxdl.generate.sample`, or beams below 1, more to return than there are beams,
        or a length penalty for which a text of so many tokens has no score in float32.
    """
    requests.check_beams(beams, returned=returned)
    requests.check_penalty(length_penalty, tokens)
    ending = _Ending(*map(jnp.asarray, requests.check_early_stopping(early_stopping)))
    given = requests.check_given(
        module, prompt, requests.most(tokens, rules), prompt_mask, source, source_mask, encoded
    )
    asked = requests.check_rules(module, given, tokens, stop, rules)
    found = _beam_search(
        module, variables, given, asked, requests.check_pad(module, pad, asked),
        jnp.float32(length_penalty), ending, tokens=tokens, beams=beams, scored=scored,
    )  # fmt: skip
    return tuple(x[:, :returned] for x in (found if scored else found[:2]))


class _Beams(NamedTuple):
    """K texts of a prompt, and how good they are.

    Attributes:
      text: (batch, K, P + tokens) int32, -1 where there is no token.
      score: (batch, K) float32.
      log_p: (batch, K) float32, by what the rules have left; 0 where nobody asks.
    """

    text: jax.Array
    score: jax.Array
    log_p: jax.Array

    def best(self, count: int) -> tuple["_Beams", jax.Array]:
        """The ``count`` best, best first, and which they were, (batch, count)."""
        score, which = jax.lax.top_k(self.score, count)
        return _Beams(_rows(self.text, which), score, _rows(self.log_p, which)), which

    def beside(self, other: "_Beams") -> "_Beams":
        """Both."""
        return jax.tree.map(lambda a, b: jnp.concatenate([a, b], axis=1), self, other)


class _Ending(NamedTuple):
    """When a search ends, see ``early_stopping``: booleans ()."""

    at_once: jax.Array
    never: jax.Array


class _State(NamedTuple):
    """A search.

    Attributes:
      added: int32, how many tokens the texts that go on have beyond their prompts.
      live: those texts, scored by log p.
      done: those that have ended, by their final scores; -inf where there is none.
      open: (batch,) booleans, whether there is any use in going on.
      parent: (batch, K) int32, which of the texts before each of the live ones goes on from.
      cache: the model's, of the texts before, without their last token.
    """

    added: jax.Array
    live: _Beams
    done: _Beams
    open: jax.Array
    parent: jax.Array
    cache: Any


def _rows(x: jax.Array, which_BxK: jax.Array) -> jax.Array:
    """``x[b, which[b, k], …]``: (batch, n, …) -> (batch, K, …)."""
    return jax.vmap(lambda rows, which: rows[which])(x, which_BxK)


@functools.partial(jax.jit, static_argnames=("module", "tokens", "beams", "scored"))
def _beam_search(
    module: nn.Module, variables: Any, given: decoding.Given, asked: processors.Processors,
    pad: jax.Array | None, length_penalty: jax.Array, ending: _Ending, *, tokens: int,
    beams: int, scored: bool,
) -> tuple[jax.Array, jax.Array, jax.Array]:  # fmt: skip
    (B, P), K = given.prompt.shape, beams
    length, most = P + tokens, asked.most(tokens)
    endings = 0 if asked.stops is None else len(asked.stops)
    of_beams, last = asked.repeated(K), jnp.reshape(most, (-1, 1)) - 1

    def penalised(log_p: jax.Array, length: Any) -> jax.Array:
        return log_p / jnp.asarray(length, jnp.float32) ** length_penalty

    def write(state: _State, logits: jax.Array) -> _State:
        added, live, done = state.added, state.live, state.done
        log_p = jax.nn.log_softmax(logits.astype(jnp.float32))
        log_p = of_beams(log_p, live.text.reshape(B * K, length), added=added, tokens=tokens)
        V = log_p.shape[-1]
        grown = (live.score.reshape(B * K, 1) + log_p).reshape(B, K * V)
        # So many that K go on, were all of the others to end.
        score, index = jax.lax.top_k(grown, min((1 + max(1, endings)) * K, K * V))
        parent, token = index // V, (index % V).astype(jnp.int32)
        share = _rows(live.log_p, parent)
        if scored:
            left = jax.nn.logsumexp(log_p, axis=-1).reshape(B, K)
            chosen = jnp.take_along_axis(log_p.reshape(B, K * V), index, axis=1)
            share += chosen - _rows(left, parent)
        text = jnp.where(
            jnp.arange(length) == P + added, token[..., None], _rows(live.text, parent)
        )
        ends = asked.ends(token)
        # The last token ends every text; but for that one those that end are none of the live.
        over = ends | (added == last)
        counts = over & (jnp.arange(score.shape[1]) < K) & state.open[:, None]
        ended = jnp.where(counts, penalised(score, added + 1), -jnp.inf)
        done, _ = done.beside(_Beams(text, ended, share)).best(K)
        live, which = _Beams(text, jnp.where(ends, -jnp.inf, score), share).best(K)
        parent = _rows(parent, which)
        # Whether the best that goes on may still be better than the worst that has ended.
        longer = ending.never & (length_penalty > 0)
        reach = penalised(live.score[:, 0], jnp.where(longer, most, added + 1))
        full = (done.score > -jnp.inf).all(1)
        better = reach > done.score[:, -1]
        open_ = state.open & better & ~(full & ending.at_once)
        open_ &= ~jnp.asarray(asked.full(added + 1, tokens))
        return _State(added + 1, live, done, open_, parent, state.cache)

    def step(state: _State) -> _State:
        which = (jnp.arange(B)[:, None] * K + state.parent).reshape(-1)
        cache = decoding.rows(module, state.cache, which)
        token = jax.lax.dynamic_index_in_dim(state.live.text, P + state.added - 1, 2, False)
        logits, cache = decoding.proceed(module, variables, token.reshape(-1), cache)
        return write(state._replace(cache=cache), logits)

    logits, cache = decoding.begin(module, variables, given, length)
    # All beams are one text at first: only the first of them counts.
    text = jnp.repeat(given.text(tokens)[:, None], K, axis=1)
    nothing, zeros = jnp.full((B, K), -jnp.inf), jnp.zeros((B, K), jnp.float32)
    live = _Beams(text, nothing.at[:, 0].set(0.0), zeros)
    state = _State(
        jnp.int32(0), live, _Beams(text, nothing, zeros),
        jnp.ones(B, bool), jnp.zeros((B, K), jnp.int32), decoding.repeat(module, cache, K),
    )  # fmt: skip
    state = write(state, jnp.repeat(logits, K, axis=0))
    more = lambda state: jnp.any(state.added < most) & state.open.any()
    found = jax.lax.while_loop(more, step, state).done
    made = jnp.where((found.score > -jnp.inf)[..., None], found.text[..., P:], -1)
    return processors.fill(made, pad), found.score, found.log_p
