"""BART: an encoder-decoder that learned to restore texts that were damaged in any way.

Lewis et al., 2019, "BART: Denoising Sequence-to-Sequence Pre-training for Natural Language
Generation, Translation, and Comprehension". Token ids (batch, S) and (batch, T) in, logits (batch,
T, vocab_size) float32 out. Parameters at 50,265 tokens: bart_base 139,420,416; bart_large
406,291,456. A bias of the logits, which the published files have and which nobody trains, is not
counted: it is a variable of the collection "constants".
"""

import functools

import jax
import jax.numpy as jnp
from flax import linen as nn

from jaxdl import layers
from jaxdl.models import register
from jaxdl.models.encoder_decoder import EncoderDecoder, score_head

VARIANTS = {
    "bart_base": dict(width=768, encoder_depth=6, decoder_depth=6, heads=12, hidden=3072),
    "bart_large": dict(width=1024, encoder_depth=12, decoder_depth=12, heads=16, hidden=4096),
}
# Rows of the tables of positions that stand before the first position's, and that nobody uses.
OFFSET = 2
_INIT, _EPSILON = nn.initializers.normal(0.02), 1e-5


@register("bart", VARIANTS)
class BART(EncoderDecoder):
    """A post-norm encoder-decoder with learned positions and a norm behind the embeddings.

    Positions count padding, as in the published model. The output layer is the table of tokens.

    Attributes:
      context: tokens that source and target have at most, each.
      activation_dropout: rate behind the activation of the feed-forward layers.
      output: as of `jaxdl.models.t5`.
    """

    vocab_size: int = 50265
    width: int = 768
    heads: int = 12
    hidden: int = 3072
    activation: str = "gelu"
    context: int = 1024
    activation_dropout: float = 0.0
    output: str = "tokens"

    def setup(self):
        """Declares the layers."""
        block = functools.partial(
            layers.Block,
            self.heads,
            hidden=self.hidden,
            activation=self.activation,
            pre_norm=False,
            norm_epsilon=_EPSILON,
            dropout=self.dropout,
            attention_dropout=self.attention_dropout,
            activation_dropout=self.activation_dropout,
            kernel_init=_INIT,
            bias_init=nn.initializers.zeros_init(),
            remat=self.remat,
            dtype=self.dtype,
        )
        norm = functools.partial(layers.LayerNorm, _EPSILON, self.dtype)
        position = lambda side: layers.learned_positions(
            self, self.context + OFFSET, self.width, f"{side}_position"
        )
        self.token = layers.TokenEmbedding(
            self.vocab_size, self.width, embedding_init=_INIT, dtype=self.dtype
        )
        self.drop = layers.Dropout(self.dropout)
        self.encoder_position, self.encoder_norm = position("encoder"), norm()
        self.encoder_block = [block() for _ in range(self.encoder_depth)]
        if self.decoder_depth:
            self.decoder_position, self.decoder_norm = position("decoder"), norm()
            self.decoder_block = [block() for _ in range(self.decoder_depth)]
            self.score = score_head(self)
            # Whoever has parameters alone has a bias of zeros.
            shape, name = (1, self.vocab_size), "final_logits_bias"
            made = self.is_initializing() or self.has_variable("constants", name)
            zeros = functools.partial(jnp.zeros, shape, jnp.float32)
            self.logits_bias = self.variable("constants", name, zeros) if made else None

    def enter(self, tokens, place, keys, side, *, train):
        """Tokens and positions, normalised."""
        position = getattr(self, f"{side}_position")[0, place + OFFSET]
        x = self.token(tokens) + position.astype(self.dtype)
        return self.drop(getattr(self, f"{side}_norm")(x), train=train), None

    def logits(self, x: jax.Array) -> jax.Array:
        """By the table of tokens."""
        logits = layers.tied_logits(x, self.token.embedding)
        return logits if self.logits_bias is None else logits + self.logits_bias.value
