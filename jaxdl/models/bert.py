"""BERT: a transformer that reads a text from both sides at once.

Devlin et al., 2018, "BERT: Pre-training of Deep Bidirectional Transformers for Language
Understanding"; the small sizes are of Turc et al., 2019, "Well-Read Students Learn Better". Token
ids (batch, T) in; what comes out depends on ``output``. Parameters of encoder and pooler (output
"classifier" without classes) at 30,522 tokens: bert_tiny 4,385,920; bert_mini 11,170,560;
bert_small 28,763,648; bert_medium 41,373,184; bert_base 109,482,240; bert_large 335,141,888. With
the masked language model's head in place of the pooler bert_base has 109,514,298.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from jaxdl import layers, ops
from jaxdl.errors import UserError
from jaxdl.models import register
from jaxdl.registry import choose

VARIANTS = {
    "bert_tiny": dict(width=128, depth=2, heads=2),
    "bert_mini": dict(width=256, depth=4, heads=4),
    "bert_small": dict(width=512, depth=4, heads=8),
    "bert_medium": dict(width=512, depth=8, heads=8),
    "bert_base": dict(width=768, depth=12, heads=12),
    "bert_large": dict(width=1024, depth=24, heads=16),
}
OUTPUTS = ("masked_lm", "classifier", "tagger", "span")
POOLINGS = ("first", "mean")


class MaskedHead(nn.Module):
    """What token was masked: (…, width) -> (…, vocabulary) float32, by the table of tokens.

    Parameters: ``transform``, ``norm`` and ``bias`` (vocabulary).
    """

    kernel_init: Callable
    activation: str
    norm_epsilon: float
    dtype: Any

    @nn.compact
    def __call__(self, x: jax.Array, table: jax.Array) -> jax.Array:
        """``table`` is (vocabulary, width)."""
        x = layers.Dense(
            x.shape[-1], kernel_init=self.kernel_init, dtype=self.dtype, name="transform"
        )(x)
        x = ops.activation(self.activation)(x)
        x = layers.LayerNorm(epsilon=self.norm_epsilon, dtype=self.dtype, name="norm")(x)
        bias = self.param("bias", nn.initializers.zeros_init(), table.shape[:1], jnp.float32)
        return layers.tied_logits(x, table) + bias


@register("bert", VARIANTS)
class BERT(nn.Module):
    """A post-norm encoder with learned positions and segments.

    Attributes:
      output: "masked_lm" for logits of every token, (batch, T, vocab_size), whose matrix is the
        table of tokens; "classifier" for logits of the whole text, (batch, num_classes), read off
        its first token behind a dense layer with tanh (the pooler); "tagger" for logits of each
        token, (batch, T, num_classes); "span" for logits of where an answer starts and ends,
        (batch, T, 2).
      num_classes: of a classifier or tagger; 0 for the features that the logits are made of,
        (batch, width) of a classifier and (batch, T, width) of a tagger.
      vocab_size: ids are 0 … vocab_size - 1. Others are not an error that a compiled program can
        raise: an id of vocab_size or more makes NaN of its whole text, a negative one counts from
        the end.
      context: tokens that it sees at most.
      segment_types: kinds of segments; ids are 0 … segment_types - 1.
      width: features of a token.
      depth: transformer blocks.
      heads: attention heads; divides width.
      hidden: features of the feed-forward layers; 4 width if None.
      activation: of these and of the masked language model's head.
      norm_epsilon: of all norms.
      deviation: of the normal distribution that weights and tables begin as, cut off at two.
      position_scale: above 0, positions begin as sinusoids (Vaswani et al., 2017, section 3.5) of
        this amplitude, the longest of 2π times the context, and are learned from there. A masked
        token is guessed from its neighbours, which attention first has to find: among random
        positions a small encoder takes thousands of updates for that. 0 is random, as published.
      pooling: what a classifier reads: "first", the first token, as published; or "mean", the mean
        of all that are no padding, as of sentence-transformers. All tokens then learn from each
        example, where a first one has to find out how to look at the others: of few examples and
        without pretrained weights a mean learns more.
      dropout: rate behind the embedding, attention and feed-forward layers and before the logits
        of classes; .1 in the published configuration.
      attention_dropout: rate on the attention weights; .1 there, too. With it attention takes its
        slow form.
      remat: keep only each block's input for the backward pass, which computes the rest anew: the
        same numbers for less memory and about a third more work.
      dtype: of the computation; parameters, statistics and logits stay float32.
    """

    # No fields: `jaxdl.generate` looks at the first, tasks and embeddings of texts at the second.
    is_language_model = False
    reads_whole_texts = True
    output: str = "masked_lm"
    num_classes: int = 2
    vocab_size: int = 30522
    context: int = 512
    segment_types: int = 2
    width: int = 768
    depth: int = 12
    heads: int = 12
    hidden: int | None = None
    activation: str = "gelu"
    norm_epsilon: float = 1e-12
    deviation: float = 0.02
    position_scale: float = 0.0
    pooling: str = "first"
    dropout: float = 0.0
    attention_dropout: float = 0.0
    remat: bool = False
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(
        self,
        tokens: jax.Array,
        segments: jax.Array | None = None,
        mask: jax.Array | None = None,
        *,
        places: jax.Array | None = None,
        texts: jax.Array | None = None,
        train: bool = False,
        features: bool = False,
    ) -> jax.Array:
        """(batch, T) -> the logits of ``output``, float32.

        Args:
          tokens: (batch, T) integers.
          segments: (batch, T) integers, which segment each token is of; None is all of the first.
          mask: (batch, T), booleans or integers: False (0) where a token is padding, which no token
            attends to. Positions count padding, as in the published model.
          places: (batch, K) integers: the tokens whose logits a masked language model is to give,
            (batch, K, vocab_size). At 30,522 tokens its head does more work than four blocks of
            width 512, and a seventh of the tokens is what it learns from.
          texts: (batch, T) integers, another number in each text of a row, in place of a mask where
            several stand in one: a token attends to those of its own text alone, and positions
            begin anew, so that each text gets the features that it gets alone.
          train: whether there is dropout.
          features: return what the last block gives, (batch, T, width), and no logits.

        Raises:
          UserError: more tokens than the context has room for; texts together with a mask, or for
            a classifier, which makes one answer of a row.
        """
        T = tokens.shape[1]
        choose("output", self.output, dict.fromkeys(OUTPUTS))
        choose("pooling", self.pooling, dict.fromkeys(POOLINGS))
        if self.context < T:
            raise UserError(f"a sequence of {T} tokens is longer than the context: {self.context}")
        whole = self.output == "classifier" and not features
        if texts is not None and (mask is not None or whole):
            raise UserError("texts go with no mask, and with no classes of a whole row")
        # As in the code that was published with the paper: cut off at two deviations, not rescaled.
        init = nn.initializers.truncated_normal(self.deviation)
        embed = lambda count, name: layers.TokenEmbedding(
            count, self.width, embedding_init=init, dtype=self.dtype, name=name
        )
        table, kinds = embed(self.vocab_size, "token"), embed(self.segment_types, "segment")
        x = table(tokens)
        positions = layers.learned_positions(
            self, self.context, self.width, init=self._waves if self.position_scale else init
        )
        place = slice(T) if texts is None else layers.segment_positions(texts)
        x += positions[0, place].astype(self.dtype)
        # Of one segment there is nothing to look up, and nothing to add up in the backward pass.
        x += kinds.embedding[0].astype(self.dtype) if segments is None else kinds(segments)
        x = layers.LayerNorm(epsilon=self.norm_epsilon, dtype=self.dtype, name="norm")(x)
        drop = layers.Dropout(self.dropout)
        x = drop(x, train=train)
        seen = None if mask is None else mask.astype(bool)[:, None, None]
        if texts is not None:
            seen = texts[:, None, :, None] == texts[:, None, None]
        for i in range(self.depth):
            x = layers.Block(
                self.heads,
                hidden=4 * self.width if self.hidden is None else self.hidden,
                activation=self.activation,
                pre_norm=False,
                norm_epsilon=self.norm_epsilon,
                dropout=self.dropout,
                attention_dropout=self.attention_dropout,
                activation_dropout=0.0,
                kernel_init=init,
                bias_init=nn.initializers.zeros_init(),
                remat=self.remat,
                dtype=self.dtype,
                name=f"block_{i}",
            )(x, train=train, mask=seen)
        if features:
            return x
        dense = lambda features, **how: layers.Dense(
            features, kernel_init=init, dtype=self.dtype, **how
        )
        if self.output == "masked_lm":
            head = MaskedHead(init, self.activation, self.norm_epsilon, self.dtype, name="head")
            x = x if places is None else jnp.take_along_axis(x, places[..., None], axis=1)
            return head(x, table.embedding)
        if self.output == "span":
            return dense(2, wide=True, name="head")(x)
        if self.output == "classifier":
            x = x[:, 0] if self.pooling == "first" else self._mean(x, mask)
            x = jnp.tanh(dense(self.width, name="pooler")(x))
        if not self.num_classes:
            return ops.widen(x)
        return dense(self.num_classes, wide=True, name="head")(drop(x, train=train))

    def _mean(self, x: jax.Array, mask: jax.Array | None) -> jax.Array:
        """(batch, T, width) -> (batch, width), summed in float32."""
        x = ops.widen(x)
        if mask is None:
            return x.mean(axis=1).astype(self.dtype)
        weight = mask.astype(bool).astype(x.dtype)[..., None]
        mean = (x * weight).sum(axis=1) / jnp.maximum(weight.sum(axis=1), 1.0)
        return mean.astype(self.dtype)

    def _waves(self, key: jax.Array, shape: tuple[int, ...], dtype: Any) -> jax.Array:
        found = layers.sinusoids(jnp.arange(shape[1]), shape[2], longest=float(self.context))
        return (self.position_scale * found[None]).astype(dtype)
