"""Attention with its projections."""

from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from jaxdl import ops
from jaxdl.errors import UserError


class Projection(nn.Module):
    """Parameters of a map between a width and (heads, head_dim), as matrices.

    ``kernel`` is (width, heads, head_dim) going in and (heads, head_dim, width) coming ``out``;
    ``bias`` is shaped like the result. The head axis stands by itself so that tensor parallelism
    can split it. ``scale`` is the kernel's initial variance beside Glorot's (Xavier's) uniform one.
    """

    width: int
    heads: int
    head_dim: int
    out: bool = False
    scale: float = 1.0

    @nn.compact
    def __call__(self) -> tuple[jax.Array, jax.Array]:
        """Returns (kernel, bias), reshaped to two dimensions and one."""
        split = (self.heads, self.head_dim)
        shape = (*split, self.width) if self.out else (self.width, *split)
        axes = dict(in_axis=(0, 1), out_axis=2) if self.out else dict(in_axis=0, out_axis=(1, 2))
        init = nn.initializers.variance_scaling(self.scale, "fan_avg", "uniform", **axes)
        kernel = self.param("kernel", init, shape, jnp.float32)
        bias_shape = (self.width,) if self.out else split
        bias = self.param("bias", nn.initializers.zeros_init(), bias_shape, jnp.float32)
        inner = self.heads * self.head_dim
        flat = (inner, self.width) if self.out else (self.width, inner)
        return kernel.reshape(flat), bias.reshape(-1)


class MultiHeadAttention(nn.Module):
    """Multi-head attention (Vaswani et al., 2017, section 3.2.2), self or cross.

    Parameters: ``query``, ``key``, ``value`` and ``out``, each a `Projection`; ``out_scale`` is
    that one's, and 0 starts with no attention.
    """

    heads: int
    head_dim: int | None = None
    out_scale: float = 1.0
    dtype: Any = None

    @nn.compact
    def __call__(
        self,
        x: jax.Array,
        context: jax.Array | None = None,
        *,
        mask: jax.Array | None = None,
        causal: bool = False,
    ) -> jax.Array:
        """Attends from ``x`` (batch, T, width) to ``context`` (batch, S, width), itself if None.

        ``mask`` and ``causal`` are those of `jaxdl.ops.attention`. Returns (batch, T, width).
        """
        width, N = x.shape[-1], self.heads
        if self.head_dim is None and width % N:
            raise UserError(f"a width of {width} does not divide into {N} heads")
        D = self.head_dim or width // N
        context_width = width if context is None else context.shape[-1]
        query = Projection(width, N, D, name="query")()
        key = Projection(context_width, N, D, name="key")()
        value = Projection(context_width, N, D, name="value")()

        def project(inputs: jax.Array, *maps: tuple[jax.Array, jax.Array]) -> list[jax.Array]:
            # Maps of the same inputs are one product: larger, so faster.
            kernel, bias = (jnp.concatenate(parts, axis=-1) for parts in zip(*maps, strict=True))
            y = ops.dense(*nn.dtypes.promote_dtype(inputs, kernel, bias, dtype=self.dtype))
            return [
                part.reshape(*part.shape[:2], N, D) for part in jnp.split(y, len(maps), axis=-1)
            ]

        if context is None:
            q_BxTxNxD, k_BxSxNxD, v_BxSxNxD = project(x, query, key, value)
        else:
            (q_BxTxNxD,) = project(x, query)
            k_BxSxNxD, v_BxSxNxD = project(context, key, value)
        y_BxTxNxD = ops.attention(q_BxTxNxD, k_BxSxNxD, v_BxSxNxD, mask=mask, causal=causal)
        kernel, bias = Projection(width, N, D, out=True, scale=self.out_scale, name="out")()
        y = y_BxTxNxD.reshape(*y_BxTxNxD.shape[:2], N * D)
        return ops.dense(*nn.dtypes.promote_dtype(y, kernel, bias, dtype=self.dtype))
