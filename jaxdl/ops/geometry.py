"""What a convolution is, but for its arrays."""

from collections.abc import Sequence
from typing import NamedTuple

Pads = tuple[tuple[int, int], tuple[int, int]]


class Geometry(NamedTuple):
    """Sizes and steps of a convolution of images; heights before widths, all in pixels.

    Attributes:
      image: (H, W) that go in.
      window: (k_h, k_w).
      stride: step between windows.
      padding: (before, after) in each direction; negative cuts off.
      dilation: step between the pixels of a window.
      groups: of channels.
    """

    image: tuple[int, int]
    window: tuple[int, int]
    stride: int = 1
    padding: Pads = ((0, 0), (0, 0))
    dilation: int = 1
    groups: int = 1

    @property
    def reach(self) -> tuple[int, int]:
        """Pixels from the first to the last of a window."""
        return tuple(self.dilation * (k - 1) + 1 for k in self.window)

    @property
    def out(self) -> tuple[int, int]:
        """(h, w) that come out."""
        return tuple(
            (size + sum(pads) - reach) // self.stride + 1
            for size, pads, reach in zip(self.image, self.padding, self.reach, strict=True)
        )

    @property
    def transposed_padding(self) -> Pads:
        """Around what came out, ``stride`` apart, so that windows of it give back ``image``."""
        return tuple(
            (reach - 1 - before, size + before - 1 - self.stride * (out - 1))
            for size, (before, _), reach, out in zip(
                self.image, self.padding, self.reach, self.out, strict=True
            )
        )


def spread(sides: Sequence[tuple[int, int]], step: int = 1) -> list[tuple[int, int, int]]:
    """`lax.pad`'s configuration for (B, H, W, C): ``sides`` outside, ``step`` between pixels."""
    return [(0, 0, 0), *((before, after, step - 1) for before, after in sides), (0, 0, 0)]
