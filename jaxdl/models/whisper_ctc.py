"""Whisper's encoder with a layer that tells each of its vectors' token, or a blank.

For connectionist temporal classification (Graves et al., 2006) in place of a decoder: log-mel
spectrogram (batch, frames, bands) in, logits (batch, ⌈frames / 2⌉, vocab_size) float32 out. Radford
et al., 2022, have the encoder; there are no published weights of this form. Parameters: those of
the encoder, and (width + 1) · vocab_size.
"""

from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from jaxdl import layers
from jaxdl.models import register
from jaxdl.models.whisper import Whisper


@register("whisper_ctc")
class WhisperCTC(nn.Module):
    """The encoder, and logits a vector.

    Attributes:
      vocab_size: tokens, the blank among them.
      width: features of a vector.
      depth: transformer blocks.
      heads: attention heads.
      hidden: features of the feed-forward layers.
      bands: of the spectrogram.
      frames: that a source has at most.
      dropout: rate behind the convolutions, attention and feed-forward layers.
      remat: keep only each block's input for the backward pass.
      dtype: of the computation; parameters, statistics and logits stay float32.
    """

    vocab_size: int = 258
    width: int = 384
    depth: int = 4
    heads: int = 6
    hidden: int = 1536
    bands: int = 80
    frames: int = 3000
    dropout: float = 0.0
    remat: bool = False
    dtype: Any = jnp.float32

    def setup(self):
        """Declares the layers."""
        self.encoder = Whisper(
            width=self.width,
            encoder_depth=self.depth,
            decoder_depth=0,
            heads=self.heads,
            hidden=self.hidden,
            bands=self.bands,
            frames=self.frames,
            dropout=self.dropout,
            remat=self.remat,
            dtype=self.dtype,
        )
        self.head = layers.Dense(self.vocab_size, dtype=self.dtype, wide=True)

    def __call__(
        self,
        source: jax.Array,
        mask: jax.Array | None = None,
        *,
        train: bool = False,
        features: bool = False,
    ) -> jax.Array:
        """(batch, frames, bands) -> (batch, ⌈frames / 2⌉, vocab_size) float32.

        Args:
          source: a log-mel spectrogram.
          mask: (batch, frames), False (0) where a frame is padding, which no other looks at. The
            logits of what begins with padding mean nothing.
          train: whether there is dropout.
          features: return what the encoder gives, (batch, ⌈frames / 2⌉, width), and no logits.

        Raises:
          UserError: a source of other bands, or of more frames than the model has positions for.
        """
        x = self.encoder(source, source_mask=mask, train=train)
        return x if features else self.head(x)

    @nn.nowrap
    def states(self, frames: int) -> int:
        """Vectors that the encoder makes of so many frames."""
        return -(-frames // 2)
