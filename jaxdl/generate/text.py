"""Texts, token after token: the likeliest each time, or drawn.

Of language models, and of encoder-decoders, which write what follows from a source: of what kind a
model must be says `jaxdl.generate.decoding`. Its fields ``vocab_size`` and ``context``, if it has
them, bound the tokens and the length of the text.
"""

import functools
from collections.abc import Sequence
from typing import Any, NamedTuple, Unpack

import jax
import jax.numpy as jnp
from flax import linen as nn

from jaxdl import keys, ops
from jaxdl.generate import decoding, processors, requests

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
    pad: int | None = None,
    prompt_mask: Any = None,
    source: Any = None,
    source_mask: Any = None,
    encoded: Any = None,
    scored: bool = False,
    **rules: Unpack[requests.Rules],
) -> jax.Array | tuple[jax.Array, jax.Array]:
    """Texts that go on from prompts, each token drawn from `log_probabilities`.

    >>> sample(gpt, variables, prompt, key, tokens=20, top_p=0.9)
    >>> starts = np.zeros((len(source), 1), int)  # T5's texts begin with token 0
    >>> sample(t5, variables, starts, key, tokens=20, stop=1, source=source, source_mask=mask)

    Args:
      module: a language model or an encoder-decoder.
      variables: its own.
      prompt: (batch, P) integers, P at least 1; an encoder-decoder's begins with the token that
        starts every target.
      key: typed random key.
      tokens: how many to add at most.
      temperature: at least 0; 0 takes the likeliest token and draws nothing.
      top_k: tokens that are drawn from, the likeliest; 0 is all.
      top_p: what the tokens that are drawn from have together, in (0, 1].
      stop: a token that ends a text, or several that do.
      pad: what follows the token that ended a text; that token itself if None.
      prompt_mask: (batch, P) booleans or integers, False (0) where a prompt has padding, which
        stands in front of it: so prompts of unequal length are a batch.
      source: (batch, S) integers, what an encoder-decoder reads, once; of Whisper (batch, S, bands)
        floats.
      source_mask: (batch, S), False (0) where it has padding, anywhere.
      encoded: (batch, S', width), what the method "encode" gave of a source without padding, in
        place of it.
      scored: return the texts' log p too.
      **rules: `Rules`.

    Returns:
      (batch, tokens) int32, without the prompt. With ``scored`` log p (batch,) float32 besides, by
      what the rules have left of the model's probabilities, before temperature, top_k and top_p; a
      token that ended the text counts.

    Raises:
      UserError: an empty prompt, a token id that the model does not have, a text longer than its
        context, no source for an encoder-decoder or one for a language model, or a setting out of
        range.
    """
    requests.check_sampling(temperature, top_k, top_p)
    given = requests.check_given(
        module, prompt, requests.most(tokens, rules), prompt_mask, source, source_mask, encoded
    )
    asked = requests.check_rules(module, given, tokens, stop, rules)
    texts, log_p = _sample(
        module, variables, given, key, asked, requests.check_pad(module, pad, asked), tokens=tokens,
        temperature=float(temperature), top_k=top_k, top_p=float(top_p), scored=scored,
    )  # fmt: skip
    return (texts, log_p) if scored else texts


def greedy(
    module: nn.Module, variables: Any, prompt: Any, *, tokens: int,
    stop: int | Sequence[int] | None = None, **others: Any,
) -> jax.Array:  # fmt: skip
    """`sample` at temperature 0: the likeliest token each time, (batch, tokens) int32.

    ``others`` are ``pad``, ``prompt_mask``, ``source``, ``source_mask``, ``encoded``, ``scored``,
    and the `Rules`.
    """
    key = keys.root(0)  # draws nothing
    return sample(module, variables, prompt, key, tokens=tokens, temperature=0.0, stop=stop,
                  **others)  # fmt: skip


class _State(NamedTuple):
    """Texts that are being written.

    Attributes:
      added: int32, how many tokens the longest has beyond its prompt.
      text: (batch, P + tokens) int32, -1 where there is none.
      done: (batch,) booleans, whether it has ended.
      token: (batch,) int32, the last that was chosen.
      log_p: (batch,) float32, of the text so far; 0 where nobody asks.
      cache: the model's, without that token.
    """

    added: jax.Array
    text: jax.Array
    done: jax.Array
    token: jax.Array
    log_p: jax.Array
    cache: Any


_STATIC = ("module", "tokens", "temperature", "top_k", "top_p", "scored")


@functools.partial(jax.jit, static_argnames=_STATIC)
def _sample(
    module: nn.Module, variables: Any, given: decoding.Given, key: jax.Array,
    asked: processors.Processors, pad: jax.Array | None, *, tokens: int, temperature: float,
    top_k: int, top_p: float, scored: bool,
) -> tuple[jax.Array, jax.Array]:  # fmt: skip
    B, P = given.prompt.shape
    every = jax.random.split(key, tokens)

    def write(state: _State, logits_BxV: jax.Array) -> _State:
        scores = logits_BxV.astype(jnp.float32)
        scores = asked(scores, state.text, added=state.added, tokens=tokens)
        if temperature == 0:
            token = ops.argmax(scores)
        else:
            log_p = log_probabilities(scores, temperature=temperature, top_k=top_k, top_p=top_p)
            token = jax.random.categorical(every[state.added], log_p).astype(jnp.int32)
        log_p = state.log_p
        if scored:
            chosen = jnp.take_along_axis(jax.nn.log_softmax(scores), token[:, None], axis=1)[:, 0]
            log_p += jnp.where(state.done, 0.0, chosen)
        new = jnp.where(state.done, -1, token)[:, None]
        text = jax.lax.dynamic_update_slice_in_dim(state.text, new, P + state.added, axis=1)
        done = state.done | asked.ends(token) | asked.full(state.added + 1, tokens)
        return _State(state.added + 1, text, done, token, log_p, state.cache)

    def step(state: _State) -> _State:
        logits, cache = decoding.proceed(module, variables, state.token, state.cache)
        return write(state._replace(cache=cache), logits)

    logits, cache = decoding.begin(module, variables, given, P + tokens)
    nothing = jnp.zeros(B, bool), given.prompt[:, -1], jnp.zeros(B), cache
    state = write(_State(jnp.int32(0), given.text(tokens), *nothing), logits)
    most = asked.most(tokens)
    more = lambda state: jnp.any(state.added < most) & ~state.done.all()
    state = jax.lax.while_loop(more, step, state)
    return processors.fill(state.text[:, P:], pad), state.log_p
