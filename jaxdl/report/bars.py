"""A number of each class."""

from collections.abc import Sequence

import numpy as np

from jaxdl.report import draw


def by_class(title: str, values: np.ndarray, names: Sequence[str], caption: str) -> draw.Picture:
    """A bar a class, (classes,) in [0, 1]; none of what is NaN."""
    shown = np.nan_to_num(values)

    def paint(axes):
        places = np.arange(len(names))
        axes.barh(places, shown, color=draw.COLORS[0])
        for place, value in zip(places, values, strict=True):
            text = "–" if np.isnan(value) else f"{value:.3f}"
            axes.text(min(float(np.nan_to_num(value)), 1) + 0.01, place, text, va="center")
        axes.set_yticks(places, names)
        axes.invert_yaxis()
        axes.set_xlim(0, 1.12)
        axes.set_title(title, loc="left", y=1)

    around = draw.Margins(0.2 + draw.room(names, 9), 0.1, 0.3, 0.3)
    return draw.figure(5.2, 0.7 + 0.22 * len(names), paint, caption=caption, margins=around)
