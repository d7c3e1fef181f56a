"""What T5, BART and Whisper have in common: an encoder, a decoder, a cache of its tokens."""

from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from jaxdl import layers, ops
from jaxdl.errors import UserError
from jaxdl.registry import choose

# What a model may be asked for, of those that say so by a field ``output``.
OUTPUTS = ("tokens", "score", "both")


def score_head(module: nn.Module) -> layers.Dense:
    """What makes a number of the decoder's features, for a field ``output``; declared in setup.

    Raises:
      UserError: no such output.
    """
    choose("config.model.output", module.output, {name: name for name in OUTPUTS})
    init = nn.initializers.normal(0.02)
    return layers.Dense(1, use_bias=False, kernel_init=init, dtype=module.dtype, wide=True)


class EncoderDecoder(nn.Module):
    """A transformer from one sequence to another (Vaswani et al., 2017, figure 1).

    The source is a text, unless the model says by ``source_features`` that it is a row of vectors,
    such as the frames of a sound; the target is a text. A model of this kind sets up
    ``encoder_block`` and ``decoder_block``, lists of `layers.Block`, and says by `enter`, `leave`
    and `logits` what stands before and behind them.

    All of it in one call, for training:

    >>> logits = module.apply(variables, source, target, source_mask, target_mask)

    Token after token: the source is encoded once, and the keys and values that cross-attention
    takes of it are computed in the first call of `decode` and kept.

    >>> encoded = module.apply(variables, source, source_mask, method="encode")
    >>> cache = module.init_cache(batch, length=64, source_length=source.shape[1])
    >>> logits, cache = module.apply(
    ...     variables, first, encoded, source_mask, cache=cache, method="decode")
    >>> logits, cache = module.apply(variables, second, cache=cache, method="decode")

    Attributes:
      vocab_size: ids are 0 … vocab_size - 1. Others are not an error that a compiled program can
        raise: an id of vocab_size or more makes NaN of its text, a negative one counts from the
        end.
      width: features of a token.
      encoder_depth: transformer blocks of the encoder.
      decoder_depth: those of the decoder; 0 for an encoder alone.
      heads: attention heads.
      hidden: features of the feed-forward layers.
      activation: of these, a name in `jaxdl.ops.activations`.
      dropout: rate behind the embedding, attention and feed-forward layers; .1 in the published
        configurations.
      attention_dropout: rate on the attention weights. With it attention takes its slow form.
      remat: keep only each block's input for the backward pass, which computes the rest anew: the
        same numbers for less memory and about a third more work.
      dtype: of the computation; parameters, statistics and logits stay float32.
    """

    # No fields: `jaxdl.generate` looks at them.
    is_language_model = False
    source_features = None
    # Whether padding in front of a target takes up positions.
    counts_padding = True
    # Whether positions are only distances between two tokens.
    relative = False
    vocab_size: int = 32128
    width: int = 512
    encoder_depth: int = 6
    decoder_depth: int = 6
    heads: int = 8
    hidden: int = 2048
    activation: str = "relu"
    dropout: float = 0.0
    attention_dropout: float = 0.0
    remat: bool = False
    dtype: Any = jnp.float32

    def __call__(
        self,
        source: jax.Array,
        target: jax.Array | None = None,
        source_mask: jax.Array | None = None,
        target_mask: jax.Array | None = None,
        *,
        segments: tuple[jax.Array, jax.Array] | None = None,
        train: bool = False,
        features: bool = False,
    ) -> jax.Array:
        """(batch, S) and (batch, T) -> (batch, T, vocab_size) float32, or `outputs`.

        Args:
          source: integers, what is read; or floats (batch, S, source_features).
          target: integers, what is written, begun by the token that starts it: logits t are of the
            token that follows target[:, t]. An encoder alone has none, and gives (batch, S, width).
          source_mask: (batch, S), booleans or integers: False (0) where a token is padding, which
            no token attends to. Its own features and logits mean nothing.
          target_mask: (batch, T), the target's.
          segments: (batch, S) and (batch, T) integers, of rows in which several pairs stand one
            behind the other: the pair that each token is of. Tokens attend to those of their own
            alone, and its positions begin anew; padding has a number of its own.
          train: whether there is dropout.
          features: return what the decoder gives, (batch, T, width), and no logits.

        Raises:
          UserError: a text is longer than the model's positions, there is no target, or segments
            come with a mask or of a source that is no text.
        """
        own = None if segments is None else segments[0]
        encoded = self.encode(source, source_mask, segments=own, train=train)
        if not self.decoder_depth:
            if target is not None:
                raise UserError("decoder_depth=0: an encoder alone takes no target")
            return encoded
        if target is None:
            raise UserError("there is no target: method='encode' gives what the encoder gives")
        return self.decode(
            target, encoded, source_mask, target_mask, segments=segments, train=train,
            features=features,
        )  # fmt: skip

    def encode(
        self,
        source: jax.Array,
        mask: jax.Array | None = None,
        *,
        segments: jax.Array | None = None,
        train: bool = False,
    ) -> jax.Array:
        """(batch, S) -> (batch, `states` (S), width); ``mask`` and ``segments`` are the source's.

        Raises:
          UserError: a source is longer than the positions; segments come with a mask, or of a
            source that is no text.
        """
        _check_alone(segments, mask)
        if segments is not None and self.source_features is not None:
            raise UserError("segments are of texts, and this source is none")
        self.check_source(source.shape[1], "sequence")
        place, keys = self._places(self.states(source.shape[1]), segments)
        x, bias = self.enter(source, place, keys, "encoder", train=train)
        seen = _over_keys(self.states_mask(mask)) if segments is None else _same(segments, segments)
        seen = ops.join_masks(bias, seen)
        for block in self.encoder_block:
            x = block(x, train=train, mask=seen)
        return self.leave(x, "encoder", train=train)

    def decode(
        self,
        target: jax.Array,
        encoded: jax.Array | None = None,
        source_mask: jax.Array | None = None,
        target_mask: jax.Array | None = None,
        *,
        segments: tuple[jax.Array, jax.Array] | None = None,
        train: bool = False,
        features: bool = False,
        cache: layers.Cache | None = None,
    ) -> jax.Array | tuple[jax.Array, layers.Cache]:
        """(batch, T) -> (batch, T, vocab_size) float32, and the cache if one was given.

        With a ``cache``, of `init_cache`, the tokens go on where those that it has seen end; the
        logits of a call that goes past its length are NaN. ``encoded`` and ``source_mask`` are then
        for the first call alone: what is needed of them is in the cache from there on. Targets of
        unequal length stand in it with padding in front, which ``target_mask`` tells.
        ``segments``, of source and target, go with neither masks nor a cache.

        Raises:
          UserError: more tokens than there is room for, nothing encoded and no cache, or segments
            with a mask or a cache.
        """
        T = target.shape[1]
        _check_alone(segments, source_mask, target_mask, cache)
        if cache is None:
            if encoded is None:
                raise UserError("decode needs what encode gave, or a cache that has seen it")
            self.check_length(T, "sequence")
            place, keys = self._places(T, None if segments is None else segments[1])
            seen, context_seen = _over_keys(target_mask), _over_keys(self.states_mask(source_mask))
            if segments is not None:
                seen, context_seen = (_same(segments[1], of_keys) for of_keys in segments[::-1])
        else:
            if encoded is None:
                encoded = jnp.zeros((target.shape[0], 0, self.width), self.dtype)
            for count, room in ((T, cache), (encoded.shape[1], cache.context)):
                if count > room.length:
                    raise UserError(
                        f"a sequence of {count} tokens is longer than the cache: {room.length}"
                    )
            source_mask = self.states_mask(source_mask) if encoded.shape[1] else None
            context = cache.context.mark(source_mask)
            cache = cache.mark(target_mask)._replace(context=context)
            place, keys = cache.places(T), jnp.arange(cache.length)
            seen = context_seen = None  # the cache keeps them
            there = place < cache.length
            if not self.counts_padding:
                place = jnp.maximum(place - (~cache.real).sum(1, keepdims=True), 0)
                there = there & (place < self.context)
        x, bias = self.enter(target, place, keys, "decoder", train=train)
        if cache is not None:
            x = jnp.where(there[..., None], x, jnp.nan)
        seen = ops.join_masks(bias, seen)
        for i, block in enumerate(self.decoder_block):
            x = block(
                x, encoded, train=train, mask=seen, causal=True, context_mask=context_seen,
                cache=cache, layer=i,
            )  # fmt: skip
            x, cache = (x, None) if cache is None else x
        y = self.leave(x, "decoder", train=train)
        y = y if features else self.outputs(y)
        return y if cache is None else (y, cache.advance(T, encoded.shape[1]))

    @nn.nowrap
    def init_cache(self, batch: int, length: int, source_length: int) -> layers.Cache:
        """An empty cache for ``batch`` targets of up to ``length`` tokens.

        Its ``context`` has room for what the encoder gives of a source of ``source_length``;
        `decode` fills it.

        Raises:
          UserError: a length exceeds the model's positions.
        """
        if self.counts_padding:
            self.check_length(length, "cache")
        self.check_source(source_length, "cache")
        empty = lambda tokens: layers.Cache.empty(
            self.decoder_depth, batch, tokens, self.heads, self.features_of_a_head, self.dtype
        )
        return empty(length)._replace(context=empty(self.states(source_length)))

    def outputs(self, x: jax.Array) -> Any:
        """What is asked for of the decoder's features (batch, T, width), by a field ``output``.

        Of "tokens", and without that field, `logits`; of "score" (batch, T) float32; of "both" a
        pair of the two.
        """
        kind = getattr(self, "output", "tokens")
        if kind == "tokens":
            return self.logits(x)
        score = self.score(x)[..., 0]
        return score if kind == "score" else (self.logits(x), score)

    @nn.nowrap
    def _places(self, length: int, segments: jax.Array | None) -> tuple[jax.Array, jax.Array]:
        """Where so many tokens stand, as queries and as keys."""
        place = jnp.arange(length)
        if segments is None or self.relative:  # a distance within a segment is one in the row
            return place, place
        return layers.segment_positions(segments), place

    @property
    def features_of_a_head(self) -> int:
        """Of keys and values."""
        return self.width // self.heads

    # What a model of this kind says of itself.

    def enter(
        self, tokens: jax.Array, place: jax.Array, keys: jax.Array, side: str, *, train: bool
    ) -> tuple[jax.Array, jax.Array | None]:
        """What the first block of "encoder" or "decoder" takes.

        Args:
          tokens: (batch, T), or the source as it is, where that is no text.
          place: where they stand, (T,), or (batch, T) where padding in front does not count.
          keys: (S,), where the keys stand that they may attend to.
          side: "encoder" or "decoder".
          train: whether there is dropout.

        Returns:
          (batch, T, width), and what is added to the scores of attention, (1, heads, T, S), or
          None.
        """
        raise NotImplementedError

    def leave(self, x: jax.Array, side: str, *, train: bool) -> jax.Array:
        """What comes behind the last block of "encoder" or "decoder"."""
        return x

    def logits(self, x: jax.Array) -> jax.Array:
        """(batch, T, width) of the decoder -> (batch, T, vocab_size) float32."""
        raise NotImplementedError

    @nn.nowrap
    def states(self, length: int) -> int:
        """How many vectors the encoder gives of a source of this length: one for each token."""
        return length

    @nn.nowrap
    def source_length(self, states: int) -> int:
        """The length of a source that gives so many of them."""
        return states

    @nn.nowrap
    def states_mask(self, mask: jax.Array | None) -> jax.Array | None:
        """Which of them are no padding, (batch, `states`), of the source's mask (batch, S)."""
        return mask

    @nn.nowrap
    def check_source(self, length: int, what: str) -> None:
        """`check_length` of a source, or of a cache for one."""
        self.check_length(length, what)

    @nn.nowrap
    def check_length(self, tokens: int, what: str) -> None:
        """Raises UserError where a sequence or cache has more tokens than the model's ``context``.

        A model without that field takes any number.
        """
        context = getattr(self, "context", None)
        if context is not None and tokens > context:
            raise UserError(f"a {what} of {tokens} tokens is longer than the context: {context}")


def _check_alone(segments: Any, *others: Any) -> None:
    if segments is not None and any(other is not None for other in others):
        raise UserError("segments go with neither a mask nor a cache: padding is one of them")


def _same(queries: jax.Array, keys: jax.Array) -> jax.Array:
    """(batch, T) and (batch, S) -> (batch, 1, T, S): whether both are of the same segment."""
    return queries[:, None, :, None] == keys[:, None, None]


def _over_keys(mask: jax.Array | None) -> jax.Array | None:
    """(batch, S) for the scores (batch, heads, T, S)."""
    return None if mask is None else mask.astype(bool)[:, None, None]
