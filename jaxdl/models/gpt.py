"""GPT-2: a transformer that reads text from left to right and says what comes next.

Radford et al., 2019, "Language Models are Unsupervised Multitask Learners", table 2 and section
2.3. Token ids (batch, T) in, logits (batch, T, vocab_size) float32 out. Parameters at 50,257 tokens
and a context of 1024: gpt2_s 124,439,808; gpt2_m 354,823,168; gpt2_l 774,030,080; gpt2_xl
1,557,611,200. These are the numbers in the published weights, which `jaxdl.pretrained` loads; the
paper's table, with 117M to 1542M, miscounts them.
"""

import math
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from jaxdl import layers
from jaxdl.errors import UserError
from jaxdl.models import register
from jaxdl.registry import choose

VARIANTS = {
    "gpt2_s": dict(width=768, depth=12, heads=12),
    "gpt2_m": dict(width=1024, depth=24, heads=16),
    "gpt2_l": dict(width=1280, depth=36, heads=20),
    "gpt2_xl": dict(width=1600, depth=48, heads=25),
}


@register("gpt", VARIANTS)
class GPT(nn.Module):
    """A pre-norm decoder with learned positions, whose output layer is its table of tokens.

    Attributes:
      vocab_size: ids are 0 … vocab_size - 1. Others are not an error that a compiled program can
        raise: an id of vocab_size or more makes NaN of its whole sequence, a negative one counts
        from the end.
      context: tokens that it sees at most.
      width: features of a token.
      depth: transformer blocks.
      heads: attention heads; divides width.
      dropout: rate behind the embedding, attention and feed-forward layers; .1 in the published
        configuration.
      attention_dropout: rate on the attention weights; .1 there, too. With it attention takes its
        slow form.
      output: "tokens", the logits; "score", a number for the text up to each token, by a head of
        its own, without a bias, as reward models have it; or "both".
      remat: keep only each block's input for the backward pass, which computes the rest anew: the
        same numbers for less memory and about a third more work.
      dtype: of the computation; parameters, statistics and logits stay float32.
    """

    vocab_size: int = 50257
    context: int = 1024
    width: int = 768
    depth: int = 12
    heads: int = 12
    dropout: float = 0.0
    attention_dropout: float = 0.0
    output: str = "tokens"
    remat: bool = False
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(
        self,
        tokens: jax.Array,
        mask: jax.Array | None = None,
        *,
        segments: jax.Array | None = None,
        train: bool = False,
        cache: layers.Cache | None = None,
    ) -> Any:
        """(batch, T) -> (batch, T, vocab_size), and the cache if one was given.

        With ``output`` "score" (batch, T) float32 in its place; with "both" a pair of the two.

        With a ``cache``, of `init_cache`, the tokens go on where those that it has seen end; the
        logits of a call that goes past its length, or the context, are NaN. ``mask`` (batch, T),
        booleans or integers, is False (0) where a token is padding: no token attends to it and its
        position is not counted, so that texts of unequal length get the logits that each gets
        alone, padded in front or behind; the logits of padding mean nothing. ``segments`` (batch,
        T), integers, have another number in each text of a row: a token attends to those of its own
        text alone, and positions begin anew, so that each text gets the logits that it gets alone.
        Where the collection "intermediates" is mutable, ``block_i/attention/weights`` of it are the
        attention maps, (batch, heads, T, T).

        Raises:
          UserError: more tokens than the context, or the cache, has room for; segments together
            with a mask or a cache; or no such output.
        """
        choose("config.model.output", self.output, {k: k for k in ("tokens", "score", "both")})
        if segments is not None and (mask is not None or cache is not None):
            raise UserError("segments go with neither a mask nor a cache: padding is one of them")
        T = tokens.shape[1]
        room, name = (self.context, "context") if cache is None else (cache.length, "cache")
        if room < T:
            raise UserError(f"a sequence of {T} tokens is longer than the {name}: {room}")
        table = layers.TokenEmbedding(
            self.vocab_size,
            self.width,
            embedding_init=nn.initializers.normal(0.02),
            dtype=self.dtype,
            name="token",
        )
        position = layers.learned_positions(self, self.context, self.width)[0]
        seen = None if mask is None else mask.astype(bool)[:, None, None]
        if cache is not None:
            cache, seen = cache.mark(mask), None  # it keeps which of its tokens are padding
            position = jnp.take(position[:room], cache.positions(T), axis=0, mode="fill")
        elif segments is not None:
            position = position[layers.segment_positions(segments)]
            seen = segments[:, None, :, None] == segments[:, None, None]
        elif mask is not None:
            position = position[jnp.maximum(jnp.cumsum(mask.astype(jnp.int32), axis=1) - 1, 0)]
        else:
            position = position[:T]
        x = table(tokens) + position.astype(self.dtype)
        x = layers.Dropout(self.dropout)(x, train=train)
        for i in range(self.depth):
            x = layers.Block(
                self.heads,
                activation="gelu_tanh",
                norm_epsilon=1e-5,
                dropout=self.dropout,
                attention_dropout=self.attention_dropout,
                activation_dropout=0.0,
                kernel_init=nn.initializers.normal(0.02),
                # So that the sum of all branches does not grow with their number.
                out_init=nn.initializers.normal(0.02 / math.sqrt(2 * self.depth)),
                bias_init=nn.initializers.zeros_init(),
                remat=self.remat,
                dtype=self.dtype,
                name=f"block_{i}",
            )(x, train=train, mask=seen, causal=True, cache=cache, layer=i)
            x, cache = (x, None) if cache is None else x
        x = layers.LayerNorm(epsilon=1e-5, dtype=self.dtype, name="norm")(x)
        found = layers.tied_logits(x, table.embedding) if self.output != "score" else None
        if self.output != "tokens":
            head = layers.Dense(
                1,
                use_bias=False,
                kernel_init=nn.initializers.normal(0.02),
                dtype=self.dtype,
                wide=True,
                name="head",
            )
            score = head(x)[..., 0]
            found = score if found is None else (found, score)
        return found if cache is None else (found, cache.advance(T))

    @property
    def is_language_model(self) -> bool:
        """Whether it gives logits alone."""
        return self.output == "tokens"

    @nn.nowrap
    def init_cache(self, batch: int, length: int) -> layers.Cache:
        """An empty cache for ``batch`` sequences of up to ``length`` tokens, padding among them.

        It may be longer than the context, as padding has no position.
        """
        head_dim = self.width // self.heads
        return layers.Cache.empty(self.depth, batch, length, self.heads, head_dim, self.dtype)
