"""Images with the boxes of what is in them, and of what was found."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from jaxdl.report import draw

TRUE, FOUND = draw.COLORS[2], draw.COLORS[1]


class Boxes(NamedTuple):
    """Boxes in an image.

    Attributes:
      boxes: (n, 4) x0, y0, x1, y1 in pixels.
      words: n, written at the boxes.
    """

    boxes: np.ndarray
    words: Sequence[str]


def scenes(
    images: np.ndarray,
    true: Sequence[Boxes],
    found: Sequence[Boxes],
    captions: Sequence[str],
    caption: str = "",
    columns: int = 4,
) -> draw.Picture:
    """Images side by side, true boxes in green, dashed, and those found in orange.

    Args:
      images: (n, h, w, c), uint8 or in [0, 1].
      true: what is in each.
      found: what a model says.
      captions: n lines.
      caption: of the whole.
      columns: images a row.
    """

    height, width = images.shape[1:3]
    word_height = 0.06 * width  # of 6 points, in pixels

    def over(axes: Any, i: int, y: int, x: int) -> None:
        for boxes, color, style, line in ((true[i], TRUE, "--", 0), (found[i], FOUND, "-", 1)):
            for (x0, y0, x1, y1), word in zip(boxes.boxes, boxes.words, strict=True):
                # Edges lie between pixels, whose centres are at whole numbers.
                corners = (x + x0 - 0.5, x + x1 - 0.5), (y + y0 - 0.5, y + y1 - 0.5)
                across, down = (
                    np.take(corners[0], [0, 1, 1, 0, 0]),
                    np.take(corners[1], [0, 0, 1, 1, 0]),
                )
                axes.plot(across, down, color=color, linestyle=style, linewidth=0.9)
                # Above a true box, below one that was found; within it where a caption is there.
                fits = y0 >= word_height if line == 0 else y1 <= height - word_height
                above = fits == (line == 0)
                axes.text(
                    across[0], down[0 if line == 0 else 2], word, color=color, fontsize=6,
                    va="bottom" if above else "top",
                )  # fmt: skip

    return draw.image_grid(images, captions, caption, columns, inch=2.1, over=over)
