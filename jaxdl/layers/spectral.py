"""Convolution and dense layers whose weights have the spectral norm 1."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from jaxdl import ops
from jaxdl.ops.convolution import Padding


def spectral_norm(matrix: jax.Array, u: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Largest singular value, by a turn of power iteration (Miyato et al., 2018, algorithm 1).

    Args:
      matrix: (m, n) float32.
      u: (n,), the last turn's estimate of the right singular vector; any vector to begin with.

    Returns:
      (σ, new u): σ = vᵀ W u is at most the largest singular value, and no gradient flows through
      the vectors.
    """
    unit = lambda x: x / (jnp.linalg.norm(x) + 1e-12)
    fixed = jax.lax.stop_gradient(matrix)
    v = unit(fixed @ u)
    u = unit(fixed.T @ v)
    return v @ matrix @ u, u


def _normalised(module: nn.Module, kernel: jax.Array, train: bool) -> jax.Array:
    """``kernel`` over its spectral norm as a matrix (all that goes in, features)."""
    start = lambda: jax.random.normal(module.make_rng("params"), kernel.shape[-1:], jnp.float32)
    u = module.variable("spectral", "u", start)
    sigma, turned = spectral_norm(kernel.reshape(-1, kernel.shape[-1]), u.value)
    if train and module.is_mutable_collection("spectral") and not module.is_initializing():
        u.value = turned
    return kernel / sigma


class SpectralConv(nn.Module):
    """`Conv` with its kernel, as a matrix (k · k · c, features), over that matrix's spectral norm.

    Parameters as `Conv`'s; the collection "spectral" keeps the power iteration's vector ``u``
    (features,), which turns once in every pass with ``train``.
    """

    features: int
    kernel_size: int = 3
    stride: int = 1
    padding: Padding = "half"
    use_bias: bool = True
    kernel_init: Callable = nn.initializers.he_normal()
    dtype: Any = None

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool = False) -> jax.Array:
        """(batch, h, w, c) -> (batch, h', w', features)."""
        k = self.kernel_size
        shape = (k, k, x.shape[-1], self.features)
        kernel = self.param("kernel", self.kernel_init, shape, jnp.float32)
        kernel = _normalised(self, kernel, train)
        bias = None
        if self.use_bias:
            bias = self.param("bias", nn.initializers.zeros_init(), (self.features,), jnp.float32)
        x, kernel, bias = nn.dtypes.promote_dtype(x, kernel, bias, dtype=self.dtype)
        y = ops.conv(x, kernel, stride=self.stride, padding=self.padding)
        return y if bias is None else y + bias


class SpectralDense(nn.Module):
    """`Dense` with its kernel over that matrix's spectral norm; collection as `SpectralConv`'s."""

    features: int
    use_bias: bool = True
    kernel_init: Callable = nn.initializers.lecun_normal()
    dtype: Any = None

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool = False) -> jax.Array:
        """(…, features_in) -> (…, features)."""
        shape = (x.shape[-1], self.features)
        kernel = self.param("kernel", self.kernel_init, shape, jnp.float32)
        kernel = _normalised(self, kernel, train)
        bias = None
        if self.use_bias:
            bias = self.param("bias", nn.initializers.zeros_init(), (self.features,), jnp.float32)
        return ops.dense(*nn.dtypes.promote_dtype(x, kernel, bias, dtype=self.dtype))
