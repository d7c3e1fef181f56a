"""The library's convolution, which the references are made of and a CPU falls back on."""

import jax
from jax import lax

from jaxdl.ops.geometry import Geometry

NHWC = ("NHWC", "HWIO", "NHWC")


def conv(x: jax.Array, kernel: jax.Array, geometry: Geometry) -> jax.Array:
    """``x`` (B, H, W, C) with ``kernel`` (k_h, k_w, C / groups, F), to (B, h, w, F)."""
    return lax.conv_general_dilated(
        x,
        kernel,
        (geometry.stride,) * 2,
        geometry.padding,
        rhs_dilation=(geometry.dilation,) * 2,
        dimension_numbers=NHWC,
        feature_group_count=geometry.groups,
    )
