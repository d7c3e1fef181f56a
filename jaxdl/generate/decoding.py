"""A model that writes, one token after the other, whatever kind of model it is.

A language model is a linen module that maps tokens (batch, T) to logits (batch, T, vocabulary), in
which no position sees a later one. If it has ``init_cache(batch, length)``, and
``apply(variables, tokens, cache=cache)`` returns (logits, cache), each token is computed once; a
model without is run on the whole text again for every token. Prompts of unequal length need
``apply(variables, tokens, mask, cache=cache)``.

An encoder-decoder has the methods ``encode(source, mask)``, ``decode(target, encoded, source_mask,
target_mask, cache=cache)`` and ``init_cache(batch, length, source_length)``, as of
`jaxdl.models.encoder_decoder`.
"""

import inspect
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import linen as nn


class Given(NamedTuple):
    """What a text goes on from.

    Attributes:
      prompt: (batch, P) int32, padding in front.
      prompt_mask: (batch, P) booleans, False where there is padding; None for none.
      source: (batch, S) int32, or (batch, S, features) float32, what an encoder reads; None for a
        language model.
      source_mask: (batch, S) booleans; None for no padding.
      encoded: what the encoder gave, in place of a source.
    """

    prompt: jax.Array
    prompt_mask: jax.Array | None = None
    source: jax.Array | None = None
    source_mask: jax.Array | None = None
    encoded: jax.Array | None = None

    def text(self, tokens: int) -> jax.Array:
        """(batch, P + tokens) int32: the prompts, -1 in their padding and behind them."""
        prompt = self.prompt
        if self.prompt_mask is not None:
            prompt = jnp.where(self.prompt_mask, prompt, -1)
        return jnp.pad(prompt, ((0, 0), (0, tokens)), constant_values=-1)


class _Text(NamedTuple):
    """The cache of a model that has none: the text so far.

    Attributes:
      tokens: (batch, length) int32, zeros behind the text.
      filled: its length, int32.
    """

    tokens: jax.Array
    filled: jax.Array


def reads_source(module: nn.Module) -> bool:
    """Whether it is an encoder-decoder."""
    parts = ("encode", "decode", "init_cache")
    return all(callable(getattr(module, name, None)) for name in parts)


def takes_mask(module: nn.Module) -> bool:
    """Whether its prompts may be of unequal length."""
    if reads_source(module):
        return True
    known = inspect.signature(type(module).__call__).parameters
    return "mask" in known and hasattr(module, "init_cache")


def begin(module: nn.Module, variables: Any, given: Given, length: int) -> tuple[jax.Array, Any]:
    """Logits (batch, vocabulary) of what follows the prompts, and a cache with them.

    Args:
      module: a language model or an encoder-decoder.
      variables: its own.
      given: prompts, and sources if there is an encoder.
      length: tokens that there is to be room for, the prompt's included.
    """
    batch = len(given.prompt)
    if reads_source(module):
        encoded, read = given.encoded, None if given.source is None else given.source.shape[1]
        if encoded is None:
            encoded = module.apply(variables, given.source, given.source_mask, method="encode")
        else:
            known = getattr(module, "source_length", lambda states: states)
            read = known(encoded.shape[1])
        cache = module.init_cache(batch, length, read)
        logits, cache = module.apply(
            variables, given.prompt, encoded, given.source_mask, given.prompt_mask,
            cache=cache, method="decode",
        )  # fmt: skip
        return logits[:, -1], cache
    mask = () if given.prompt_mask is None else (given.prompt_mask,)
    return _run(module, variables, given.prompt, _init_cache(module, batch, length), *mask)


def proceed(
    module: nn.Module, variables: Any, tokens: jax.Array, cache: Any
) -> tuple[jax.Array, Any]:
    """Logits (batch, vocabulary) of what follows ``tokens`` (batch,), and the cache with them."""
    tokens = tokens[:, None]
    if reads_source(module):
        logits, cache = module.apply(variables, tokens, cache=cache, method="decode")
        return logits[:, -1], cache
    return _run(module, variables, tokens, cache)


def repeat(module: nn.Module, cache: Any, times: int) -> Any:
    """The cache with each text's part ``times`` times, one behind the other."""
    repeated = lambda x, axis: x if axis is None else jnp.repeat(x, times, axis=axis)
    return _by_axis(module, repeated, cache)


def rows(module: nn.Module, cache: Any, which: jax.Array) -> Any:
    """The cache of texts ``which`` (batch,), of any of the same sources.

    So what is kept of the sources stays where it is.
    """
    source = getattr(cache, "context", None)
    if source is not None:
        cache = cache._replace(context=None)
    taken = lambda x, axis: x if axis is None else jnp.take(x, which, axis=axis)
    cache = _by_axis(module, taken, cache)
    return cache if source is None else cache._replace(context=source)


def _by_axis(module: nn.Module, fn: Any, cache: Any) -> Any:
    """``fn(array, axis)`` of the cache's arrays and their batch axes, None for an array of all."""

    # The batch axis is the one that grows with the batch.
    def empty(batch: int) -> Any:
        shapes = jax.eval_shape(lambda: _init_cache(module, batch, 1))
        whole = not hasattr(cache, "context") or cache.context is not None
        return shapes if whole else shapes._replace(context=None)

    grows = lambda a, b: next((i for i, n in enumerate(a.shape) if n != b.shape[i]), -1)
    axes = jax.tree.map(grows, empty(1), empty(2))
    return jax.tree.map(lambda x, axis: fn(x, None if axis < 0 else axis), cache, axes)


def _init_cache(module: nn.Module, batch: int, length: int) -> Any:
    if reads_source(module):
        return module.init_cache(batch, length, 1)
    if hasattr(module, "init_cache"):
        return module.init_cache(batch, length)
    return _Text(jnp.zeros((batch, length), jnp.int32), jnp.int32(0))


def _run(
    module: nn.Module, variables: Any, tokens: jax.Array, cache: Any, *mask: jax.Array
) -> tuple[jax.Array, Any]:
    """A language model's logits behind ``tokens`` (batch, T), and the cache with them."""
    if not isinstance(cache, _Text):
        logits, cache = module.apply(variables, tokens, *mask, cache=cache)
        return logits[:, -1], cache
    text = jax.lax.dynamic_update_slice_in_dim(cache.tokens, tokens, cache.filled, axis=1)
    filled = cache.filled + tokens.shape[1]
    logits = module.apply(variables, text)
    return jax.lax.dynamic_index_in_dim(logits, filled - 1, 1, keepdims=False), _Text(text, filled)
