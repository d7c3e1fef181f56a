"""Whisper: an encoder-decoder that writes what is said in a sound, and when.

Radford et al., 2022, "Robust Speech Recognition via Large-Scale Weak Supervision". A
log-mel spectrogram (batch, frames, bands) and token ids (batch, T) in, logits (batch, T,
vocab_size) float32 out. Parameters: whisper_tiny 37,184,640; whisper_base 71,825,920; whisper_small
240,582,912; whisper_medium 762,321,920; whisper_large and whisper_large_v2 1,541,384,960;
whisper_large_v3 1,541,570,560; whisper_large_v3_turbo 806,958,080; those of English alone
(whisper_tiny_en) have a token less. The encoder's fixed positions, which the published files hold
and which nobody trains, are not counted: they are a variable of the collection "constants".
"""

import functools
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from jaxdl import layers, ops
from jaxdl.errors import UserError
from jaxdl.models import register
from jaxdl.models.encoder_decoder import EncoderDecoder


def _size(width: int, depth: int, **others: Any) -> dict[str, Any]:
    sizes = dict(width=width, heads=width // 64, hidden=4 * width)
    return {**sizes, "encoder_depth": depth, "decoder_depth": depth, **others}


_SIZES = dict(tiny=(384, 4), base=(512, 6), small=(768, 12), medium=(1024, 24), large=(1280, 32))
_V3 = dict(bands=128, vocab_size=51866)
VARIANTS = {
    **{f"whisper_{name}": _size(*size) for name, size in _SIZES.items()},
    **{
        f"whisper_{name}_en": _size(*_SIZES[name], vocab_size=51864)
        for name in ("tiny", "base", "small", "medium")
    },
    "whisper_large_v2": _size(*_SIZES["large"]),
    "whisper_large_v3": _size(*_SIZES["large"], **_V3),
    "whisper_large_v3_turbo": _size(*_SIZES["large"], decoder_depth=4, **_V3),
}

# Frames that one of the encoder's vectors stands for.
STRIDE = 2
_INIT, _EPSILON = nn.initializers.normal(0.02), 1e-5


@register("whisper", VARIANTS)
class Whisper(EncoderDecoder):
    """A pre-norm encoder-decoder whose encoder reads frames by two convolutions.

    The second has stride 2, so that the encoder gives ⌈frames / 2⌉ vectors. A frame is 10 ms; the
    published models learned from 30 s each time, silence or zeros behind what is shorter, and
    without a mask, so that fewer frames, and masks, are for models of one's own. A ``source_mask``
    (batch, frames) hides the vectors whose first frame is padding. The keys have no bias. The
    output layer is the table of tokens.

    Attributes:
      bands: of the spectrogram: 80, of large-v3 128.
      frames: that a source has at most.
      context: tokens that a target has at most.
      activation_dropout: rate behind the activation of the feed-forward layers.
    """

    # A text before a window may be of any length, and is filled up to one.
    counts_padding = False
    vocab_size: int = 51865
    width: int = 384
    encoder_depth: int = 4
    decoder_depth: int = 4
    heads: int = 6
    hidden: int = 1536
    activation: str = "gelu"
    bands: int = 80
    frames: int = 3000
    context: int = 448
    activation_dropout: float = 0.0

    def setup(self):
        """Declares the layers."""
        block = functools.partial(
            layers.Block,
            self.heads,
            hidden=self.hidden,
            activation=self.activation,
            norm_epsilon=_EPSILON,
            key_bias=False,
            dropout=self.dropout,
            attention_dropout=self.attention_dropout,
            activation_dropout=self.activation_dropout,
            kernel_init=_INIT,
            bias_init=nn.initializers.zeros_init(),
            remat=self.remat,
            dtype=self.dtype,
        )
        norm = functools.partial(layers.LayerNorm, _EPSILON, self.dtype)
        conv = functools.partial(
            layers.Conv1D, self.width, kernel_init=nn.initializers.he_normal(), dtype=self.dtype
        )
        self.drop = layers.Dropout(self.dropout)
        self.conv_1, self.conv_2 = conv(), conv(stride=STRIDE)
        # Whoever has parameters alone has those of the formula.
        made = self.is_initializing() or self.has_variable("constants", "encoder_position")
        self.position = (
            self.variable("constants", "encoder_position", self._sines) if made else None
        )
        self.encoder_block = [block() for _ in range(self.encoder_depth)]
        self.encoder_norm = norm()
        if self.decoder_depth:
            self.token = layers.TokenEmbedding(
                self.vocab_size, self.width, embedding_init=_INIT, dtype=self.dtype
            )
            self.decoder_position = layers.learned_positions(
                self, self.context, self.width, "decoder_position"
            )
            self.decoder_block = [block() for _ in range(self.decoder_depth)]
            self.decoder_norm = norm()

    def _sines(self) -> jax.Array:
        return layers.sinusoids(jnp.arange(self.states(self.frames)), self.width)[None]

    def enter(self, tokens, place, keys, side, *, train):
        """Frames through the convolutions, or tokens, and where they stand."""
        if side == "encoder":
            if tokens.ndim != 3 or tokens.shape[-1] != self.bands:
                raise UserError(
                    f"a source must be (batch, frames, {self.bands} bands), got the shape "
                    f"{tokens.shape}"
                )
            gelu = ops.activation("gelu")
            x = gelu(self.conv_2(gelu(self.conv_1(tokens))))
            position = (self._sines() if self.position is None else self.position.value)[0, place]
        else:
            x, position = self.token(tokens), self.decoder_position[0, place]
        return self.drop(x + position.astype(self.dtype), train=train), None

    def leave(self, x, side, *, train):
        """A norm."""
        return getattr(self, f"{side}_norm")(x)

    def logits(self, x: jax.Array) -> jax.Array:
        """By the table of tokens."""
        return layers.tied_logits(x, self.token.embedding)

    @property
    def source_features(self) -> int:
        """Of a frame."""
        return self.bands

    @nn.nowrap
    def states(self, length: int) -> int:
        """One vector for two frames."""
        return -(-length // STRIDE)

    @nn.nowrap
    def source_length(self, states: int) -> int:
        """Two frames for one vector."""
        return min(STRIDE * states, self.frames)

    @nn.nowrap
    def states_mask(self, mask: jax.Array | None) -> jax.Array | None:
        """A vector is padding where the first of its frames is."""
        return None if mask is None else mask[:, ::STRIDE]

    @nn.nowrap
    def check_source(self, length: int, what: str) -> None:
        """Raises UserError for more frames than there are positions."""
        if length > self.frames:
            raise UserError(
                f"a {what} of {length} frames is longer than the model's: {self.frames}"
            )
