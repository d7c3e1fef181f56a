"""Transposed convolution of images."""

import jax

from jaxdl.ops.convolution import Padding, explicit_padding, image_gradient
from jaxdl.ops.geometry import Geometry


def conv_transpose(
    x: jax.Array,
    kernel: jax.Array,
    *,
    stride: int = 1,
    padding: Padding = 0,
    output_padding: int = 0,
    dilation: int = 1,
    groups: int = 1,
) -> jax.Array:
    """The transpose of `conv`: what its gradient does to an image (Dumoulin and Visin, 2016, 4).

    Sizes and arguments mean what PyTorch's ConvTranspose2d makes of them: ``padding`` is that of
    the convolution which goes the other way, so that it takes pixels off here, and
    ``output_padding`` chooses among the ``stride`` image sizes which that one would map to x's.

    Args:
      x: (batch, h, w, channels_in).
      kernel: (k_h, k_w, channels_out / groups, channels_in), the other convolution's; PyTorch's
        weight (channels_in, channels_out / groups, k_h, k_w) with its axes in order (2, 3, 1, 0).
      stride: pixels between the places where two neighbours of x go.
      padding: as `conv`'s.
      output_padding: rows and columns more at the end; below ``stride``.
      dilation: as `conv`'s.
      groups: as `conv`'s.

    Returns:
      (batch, H, W, channels_out) in x's dtype, where along each direction
      ``H = (h - 1) stride - before - after + dilation (k - 1) + 1 + output_padding``.
    """
    if not 0 <= output_padding < stride:
        raise ValueError(f"output_padding {output_padding} must be from 0 to below stride {stride}")
    window = kernel.shape[:2]
    pads = tuple(explicit_padding(padding, window))
    image = tuple(
        (size - 1) * stride - sum(sides) + dilation * (k - 1) + 1 + output_padding
        for size, sides, k in zip(x.shape[1:3], pads, window, strict=True)
    )
    return image_gradient(x, kernel, Geometry(image, window, stride, pads, dilation, groups))
