"""Charts that share their axes are what they are on axes of their own, to the byte."""

import numpy as np

from jaxdl.report import draw

STEPS = np.arange(30)
GAPS = np.where(STEPS % 3, np.nan, STEPS * 1e6)
# Each after others: two lines, decades, few points, large numbers with a common factor, no number.
CHARTS = [
    ({"train": (STEPS, STEPS / 30), "eval": (STEPS[-1:], [0.3])}, False),
    ({"train": (STEPS, 10.0 ** (STEPS / 8)), "eval": (STEPS, STEPS + 1.0)}, True),
    ({"train": (STEPS, STEPS * 1e-7)}, False),
    ({"train": (STEPS, 1 + STEPS / 100)}, True),
    ({"train": (STEPS, GAPS)}, False),
    ({"train": (STEPS, np.full(30, np.nan))}, False),
    ({"train": (STEPS * 1000, np.full(30, 2.5))}, False),
    ({"train": (STEPS, STEPS / 30)}, False),
]


def test_charts_on_the_same_axes_are_those_on_their_own():
    charts = draw.Charts()
    for i, (lines, log) in enumerate(CHARTS):
        together = charts.draw(f"figure {i}", lines, log=log)
        assert together == draw.curves(f"figure {i}", lines, log=log)
        assert together.data.count(b"<path") > 5
