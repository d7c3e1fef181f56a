"""Vision Transformer.

Dosovitskiy et al., 2020, "An Image is Worth 16x16 Words" (B, L, H, table 1); Touvron et al., 2020,
"Training data-efficient image transformers" (Ti, S, table 1).

Images (batch, h, w, c) in, logits (batch, num_classes) float32 out; h and w are multiples of
patch_size. Names are vit_, the size, the patch's side: of ti, s, b, l, h and 8, 14, 16, 32 all
pairs. Parameters at 224x224x3 and 1000 classes: vit_ti16 5,717,416; vit_s16 22,050,664; vit_b16
86,567,656; vit_b32 88,224,232; vit_l16 304,326,632; vit_l32 306,535,400; vit_h14 632,045,800.
"""

from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from jaxdl import layers, ops
from jaxdl.errors import UserError
from jaxdl.models import register
from jaxdl.registry import choose

SIZES = {
    "ti": dict(width=192, depth=12, heads=3),
    "s": dict(width=384, depth=12, heads=6),
    "b": dict(width=768, depth=12, heads=12),
    "l": dict(width=1024, depth=24, heads=16),
    "h": dict(width=1280, depth=32, heads=16),
}
VARIANTS = {
    f"vit_{size}{patch}": dict(patch_size=patch, **fields)
    for size, fields in SIZES.items()
    for patch in (8, 14, 16, 32)
}


@register("vit", VARIANTS)
class ViT(nn.Module):
    """A pre-norm transformer encoder over image patches.

    Attributes:
      num_classes: logits at the end; 0 for the features that they are made of.
      patch_size: pixels along a patch's side.
      width: features of a token.
      depth: transformer blocks.
      heads: attention heads; divides width.
      mlp_ratio: hidden features of the feed-forward layers over width.
      pool: "token" reads the class token, "mean" the mean of all patches, both behind the norm.
      position: "learned", or "sincos" for fixed two-dimensional sines.
      norm_epsilon: of all norms.
      dropout: rate behind the embedding, attention and feed-forward layers.
      drop_path: stochastic depth of the last block; earlier blocks' rise linearly from 0.
      remat: keep only each block's input for the backward pass, which computes the rest anew: the
        same numbers for less memory and about a third more work.
      dtype: of the computation; parameters, statistics and logits stay float32.
    """

    num_classes: int = 1000
    patch_size: int = 16
    width: int = 768
    depth: int = 12
    heads: int = 12
    mlp_ratio: float = 4.0
    pool: str = "token"
    position: str = "learned"
    norm_epsilon: float = 1e-6
    dropout: float = 0.0
    drop_path: float = 0.0
    remat: bool = False
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(
        self, x: jax.Array, *, train: bool = False, features: bool = False
    ) -> jax.Array | dict[int, jax.Array]:
        """(batch, h, w, c) -> (batch, num_classes), or (batch, width) without classes.

        With ``features``: {patch_size: the last block's patches as (batch, h / p, w / p, width)}.
        """
        with_token = choose("pool", self.pool, {"token": True, "mean": False})
        x = layers.PatchEmbed(self.patch_size, self.width, dtype=self.dtype, name="patch_embed")(x)
        B, rows, columns, D = x.shape
        x = x.reshape(B, rows * columns, D)
        if with_token:
            token = self.param("class_token", nn.initializers.zeros_init(), (1, 1, D), jnp.float32)
            x = jnp.concatenate([jnp.tile(token, (B, 1, 1)).astype(x.dtype), x], axis=1)
        x = x + self._positions(rows, columns, with_token).astype(x.dtype)
        x = layers.Dropout(self.dropout)(x, train=train)
        for i in range(self.depth):
            block = layers.Block(
                self.heads,
                mlp_ratio=self.mlp_ratio,
                norm_epsilon=self.norm_epsilon,
                dropout=self.dropout,
                drop_path=self.drop_path * i / max(self.depth - 1, 1),
                remat=self.remat,
                dtype=self.dtype,
                name=f"block_{i}",
            )
            x = block(x, train=train)
        if features:
            return {self.patch_size: x[:, int(with_token) :].reshape(B, rows, columns, D)}
        x = layers.LayerNorm(epsilon=self.norm_epsilon, dtype=self.dtype, name="norm")(x)
        x = x[:, 0] if with_token else x.mean(axis=1)
        x = ops.widen(x)
        if not self.num_classes:
            return x
        return layers.Dense(
            self.num_classes, kernel_init=nn.initializers.zeros_init(), name="head"
        )(x)

    def _positions(self, rows: int, columns: int, with_token: bool) -> jax.Array:
        length = rows * columns + with_token
        if choose("position", self.position, {"learned": True, "sincos": False}):
            there = self.get_variable("params", "position")
            if there is not None and there.shape[1] != length:
                raise UserError(
                    f"images of {rows}x{columns} patches need {length} positions, the table has "
                    f"{there.shape[1]}: jaxdl.layers.resize_positions brings it to that size"
                )
            return layers.learned_positions(self, length, self.width)
        # The class token has no place in the image: it gets zeros.
        table = jnp.asarray(layers.sincos_positions(rows, columns, self.width))
        return jnp.pad(table, ((0, 0), (int(with_token), 0), (0, 0)))
