"""T5: every task of language as one text from another.

Raffel et al., 2020, "Exploring the Limits of Transfer Learning with a Unified Text-to-Text
Transformer"; the sizes called v1_1, with gated GELU and an output layer of their own, are of its
authors' "t5.1.1". Token ids (batch, S) and (batch, T) in, logits (batch, T, vocab_size) float32
out. Parameters at 32,128 tokens: t5_small 60,506,624; t5_base 222,903,552; t5_large 737,668,096;
t5_3b 2,851,598,336; t5_11b 11,307,321,344; t5_v1_1_small 76,961,152; t5_v1_1_base 247,577,856;
t5_v1_1_large 783,150,080; t5_v1_1_xl 2,849,757,184; t5_v1_1_xxl 11,135,332,352.
"""

import functools

import jax
from flax import linen as nn

from jaxdl import layers
from jaxdl.models import register
from jaxdl.models.encoder_decoder import EncoderDecoder, score_head

# Of version 1.1: the paper's models are tied, scale their output, and take ReLU.
_GATED = dict(gated=True, activation="gelu_tanh", tied=False, scale_output=False)


def _size(width: int, depth: int, heads: int, hidden: int, head_dim: int = 64, **others) -> dict:
    sizes = dict(width=width, heads=heads, hidden=hidden, head_dim=head_dim)
    return dict(encoder_depth=depth, decoder_depth=depth, **sizes, **others)


VARIANTS = {
    "t5_small": _size(512, 6, 8, 2048),
    "t5_base": _size(768, 12, 12, 3072),
    "t5_large": _size(1024, 24, 16, 4096),
    "t5_3b": _size(1024, 24, 32, 16384, 128),
    "t5_11b": _size(1024, 24, 128, 65536, 128),
    "t5_v1_1_small": _size(512, 8, 6, 1024, **_GATED),
    "t5_v1_1_base": _size(768, 12, 12, 2048, **_GATED),
    "t5_v1_1_large": _size(1024, 24, 16, 2816, **_GATED),
    "t5_v1_1_xl": _size(2048, 24, 32, 5120, **_GATED),
    "t5_v1_1_xxl": _size(4096, 24, 64, 10240, **_GATED),
}

# 1 / √features going in: attention's scores are not scaled, so that the queries' matrix has to be.
_FAN_IN = nn.initializers.variance_scaling(1.0, "fan_in", "normal")


@register("t5", VARIANTS)
class T5(EncoderDecoder):
    """A pre-norm encoder-decoder with RMSNorm, relative positions and no biases.

    Texts of any length; positions are those between two tokens, by buckets, one table a side that
    all blocks of it share.

    Attributes:
      head_dim: features of a head; heads · head_dim need not be width.
      gated: the feed-forward layers have a gate, of the activation.
      buckets: of distances, see `jaxdl.layers.relative_buckets`.
      longest: distance from which there is one bucket only.
      norm_epsilon: of all norms.
      tied: the output layer is the table of tokens; otherwise it has a matrix of its own.
      scale_output: what the decoder gives is divided by √width before the output layer.
      output: "tokens", the logits; "score", (batch, T), a number for the source with the target up
        to each token, by a layer of its own, as reward models have it; or "both".
    """

    relative = True
    head_dim: int = 64
    gated: bool = False
    buckets: int = 32
    longest: int = 128
    norm_epsilon: float = 1e-6
    tied: bool = True
    scale_output: bool = True
    output: str = "tokens"

    def setup(self):
        """Declares the layers."""
        block = functools.partial(
            layers.Block,
            self.heads,
            head_dim=self.head_dim,
            hidden=self.hidden,
            activation=self.activation,
            gated=self.gated,
            norm=layers.RMSNorm,
            norm_epsilon=self.norm_epsilon,
            scale=1.0,
            use_bias=False,
            dropout=self.dropout,
            attention_dropout=self.attention_dropout,
            kernel_init=_FAN_IN,
            query_init=nn.initializers.normal((self.width * self.head_dim) ** -0.5),
            remat=self.remat,
            dtype=self.dtype,
        )
        norm = functools.partial(layers.RMSNorm, self.norm_epsilon, self.dtype)
        position = functools.partial(
            layers.RelativePositions,
            self.heads,
            self.buckets,
            self.longest,
            embedding_init=nn.initializers.normal(self.width**-0.5),
        )
        self.token = layers.TokenEmbedding(
            self.vocab_size,
            self.width,
            embedding_init=nn.initializers.normal(1.0),
            dtype=self.dtype,
        )
        self.drop = layers.Dropout(self.dropout)
        self.encoder_position = position()
        self.encoder_block = [block() for _ in range(self.encoder_depth)]
        self.encoder_norm = norm()
        if self.decoder_depth:
            self.decoder_position = position(bidirectional=False)
            self.decoder_block = [block() for _ in range(self.decoder_depth)]
            self.decoder_norm = norm()
            self.score = score_head(self)
            if not self.tied:
                self.head = layers.Dense(
                    self.vocab_size,
                    use_bias=False,
                    kernel_init=nn.initializers.normal(1.0),
                    dtype=self.dtype,
                    wide=True,
                )

    def enter(self, tokens, place, keys, side, *, train):
        """The tokens alone; positions are added to the scores."""
        bias = getattr(self, f"{side}_position")(place, keys)
        return self.drop(self.token(tokens), train=train), bias

    def leave(self, x, side, *, train):
        """A norm, and dropout."""
        return self.drop(getattr(self, f"{side}_norm")(x), train=train)

    def logits(self, x: jax.Array) -> jax.Array:
        """By the table of tokens, or by a matrix of their own."""
        if self.scale_output:
            x = x * self.width**-0.5
        if not self.tied:
            return self.head(x)
        return layers.tied_logits(x, self.token.embedding)

    @property
    def features_of_a_head(self) -> int:
        """Of keys and values."""
        return self.head_dim
