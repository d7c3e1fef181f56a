"""Convolution of images, its two transposes, and the arithmetic of its sizes."""

import functools
from collections.abc import Sequence

import jax
import jax.numpy as jnp

from jaxdl.ops import convolution_cpu, direct, forms
from jaxdl.ops.derivatives import with_backward
from jaxdl.ops.geometry import Geometry

Padding = int | str | Sequence[tuple[int, int]]


def conv(
    x: jax.Array,
    kernel: jax.Array,
    *,
    stride: int = 1,
    padding: Padding = "half",
    dilation: int = 1,
    groups: int = 1,
) -> jax.Array:
    """Cross-correlates ``x`` with ``kernel``, as the field's "convolution" does.

    Args:
      x: (batch, height, width, channels_in).
      kernel: (k_h, k_w, channels_in / groups, channels_out), in x's dtype.
      stride: step in both directions.
      padding: zeros on every side; ``"half"`` is k // 2, the published models' choice (it differs
        from SAME at stride 2); or a pair (before, after) for each direction.
      dilation: step between the pixels under the kernel (Yu and Koltun, 2016).
      groups: number of channel groups that do not mix; channels_in of them is depthwise.

    Returns:
      (batch, out_size(height, …), out_size(width, …), channels_out), in x's dtype.
    """
    window = kernel.shape[:2]
    pads = tuple(explicit_padding(padding, window))
    geometry = Geometry(x.shape[1:3], window, stride, pads, dilation, groups)
    return apply(x, kernel, geometry)


# A convolution is linear in its image and in its kernel. It and its two transposes are each their
# own derivative forwards, and each other's backwards, so that derivatives of any order and both
# modes run in forms that are chosen here. With x (B, H, W, C), kernel (k_h, k_w, C / groups, F) and
# g (B, h, w, F), where (h, w) are geometry.out:


def _apply(x: jax.Array, kernel: jax.Array, geometry: Geometry) -> jax.Array:
    """The convolution: x, kernel -> (B, h, w, F)."""
    return _choose(direct.conv, convolution_cpu.apply, x, kernel, geometry)


def _image_gradient(g: jax.Array, kernel: jax.Array, geometry: Geometry) -> jax.Array:
    """Its transpose in x: g, kernel -> (B, H, W, C)."""
    return _choose(_image_reference, convolution_cpu.image_gradient, g, kernel, geometry)


def _kernel_gradient(x: jax.Array, g: jax.Array, geometry: Geometry) -> jax.Array:
    """Its transpose in the kernel: x, g -> (k_h, k_w, C / groups, F)."""
    return _choose(_kernel_reference, convolution_cpu.kernel_gradient, x, g, geometry)


def _apply_backward(geometry, kept, y_bar):
    x, kernel = kept
    return image_gradient(y_bar, kernel, geometry), kernel_gradient(x, y_bar, geometry)


def _image_backward(geometry, kept, x_bar):
    g, kernel = kept
    return apply(x_bar, kernel, geometry), kernel_gradient(x_bar, g, geometry)


def _kernel_backward(geometry, kept, kernel_bar):
    x, g = kept
    return image_gradient(g, kernel_bar, geometry), apply(x, kernel_bar, geometry)


def _bilinear(value, backward):
    def forward(a, b, geometry):
        return f(a, b, geometry), (a, b)

    def tangent(geometry, kept, dots):
        (a, b), (a_dot, b_dot) = kept, dots
        parts = [] if a_dot is None else [f(a_dot, b, geometry)]
        parts += [] if b_dot is None else [f(a, b_dot, geometry)]
        return functools.reduce(jnp.add, parts)

    f = with_backward(forward, backward, value=value, tangent=tangent, static=(2,))
    return f


apply = _bilinear(_apply, _apply_backward)
image_gradient = _bilinear(_image_gradient, _image_backward)
kernel_gradient = _bilinear(_kernel_gradient, _kernel_backward)


def _choose(reference, cpu, a, b, geometry):
    return forms.by_platform(
        functools.partial(reference, geometry=geometry),
        a,
        b,
        cpu=functools.partial(cpu, geometry=geometry),
    )


# The references, which are a GPU's and a TPU's forms too: the library's, and its transposes.


def _image_reference(g, kernel, geometry):
    C = kernel.shape[2] * geometry.groups
    x = jax.ShapeDtypeStruct((g.shape[0], *geometry.image, C), g.dtype)
    return jax.linear_transpose(lambda x: direct.conv(x, kernel, geometry), x)(g)[0]


def _kernel_reference(x, g, geometry):
    shape = (*geometry.window, x.shape[-1] // geometry.groups, g.shape[-1])
    kernel = jax.ShapeDtypeStruct(shape, g.dtype)
    return jax.linear_transpose(lambda kernel: direct.conv(x, kernel, geometry), kernel)(g)[0]


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
