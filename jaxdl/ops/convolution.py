"""Convolution of images, and the arithmetic of its sizes."""

from collections.abc import Sequence

import jax
from jax import lax

Padding = int | str | Sequence[tuple[int, int]]


def conv(
    x: jax.Array,
    kernel: jax.Array,
    *,
    stride: int = 1,
    padding: Padding = "half",
    groups: int = 1,
) -> jax.Array:
    """Cross-correlates ``x`` with ``kernel``, as the field's "convolution" does.

    Args:
      x: (batch, height, width, channels_in).
      kernel: (k_h, k_w, channels_in / groups, channels_out).
      stride: step in both directions.
      padding: zeros on every side; ``"half"`` is k // 2, the published models' choice (it differs
        from SAME at stride 2); or a pair (before, after) for each direction.
      groups: number of channel groups that do not mix; channels_in of them is depthwise.

    Returns:
      (batch, out_size(height, …), out_size(width, …), channels_out), in x's dtype.
    """
    return lax.conv_general_dilated(
        x,
        kernel,
        (stride, stride),
        explicit_padding(padding, kernel.shape[:2]),
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
        feature_group_count=groups,
    )


def explicit_padding(padding: Padding, window: Sequence[int]) -> list[tuple[int, int]]:
    """``padding`` as one (before, after) pair per direction of ``window``."""
    if padding == "half":
        return [(k // 2, k // 2) for k in window]
    if isinstance(padding, int):
        return [(padding, padding) for _ in window]
    return [tuple(pair) for pair in padding]


def out_size(
    size: int, kernel: int, *, stride: int = 1, padding: int = 0, dilation: int = 1
) -> int:
    """Pixels that come out of a convolution or pooling: ``⌊(n + 2p - d(k-1) - 1) / s⌋ + 1``.

    Dumoulin and Visin, 2016, relationship 15. All sizes are in pixels, along one direction.
    """
    return (size + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1


def receptive_field(layers: Sequence[tuple[int, int]]) -> int:
    """Input pixels, along one direction, that one output pixel of a stack of layers can see.

    ``1 + Σ (k_i - 1) Π_{j<i} s_j`` (Araujo, Norris and Sim, 2019, equation 2).

    Args:
      layers: (kernel, stride) of each layer, the first first.
    """
    field, jump = 1, 1
    for kernel, stride in layers:
        field += (kernel - 1) * jump
        jump *= stride
    return field
