"""The Mackey-Glass series: chaos from one equation with a delay, which forecasters are tried on."""

import numpy as np

from jaxdl.data import Data, register
from jaxdl.data.series import windowed
from jaxdl.errors import UserError


@register("mackey_glass")
def mackey_glass(
    length: int = 5000,
    tau: float = 17.0,
    window: int = 128,
    stride: int = 64,
    test_fraction: float = 0.2,
    eval_on: str = "test",
) -> Data:
    """`solution`, a value each unit of time, the first 500 units left out.

    Args:
      length: steps.
      tau: the delay; from 16.8 on the series is chaotic, at 17 mildly so.
      window: steps of an example.
      stride: steps of an evaluation window that are forecast, its last.
      test_fraction: the end of the series, which is held out.
      eval_on: "test", or "validation" for as large a share of what is then left.
    """
    if length < 1:
        raise UserError(f"data.length={length} must be at least 1")
    if not 0.1 <= tau < float("inf"):
        raise UserError(f"data.tau={tau} must be at least 0.1")
    values = solution(length + 500, tau)[500:]
    return windowed(values, "mackey_glass", window, stride, test_fraction, eval_on)


def solution(
    length: int, tau: float = 17.0, *, start: float = 1.2, steps_per_unit: int = 10
) -> np.ndarray:
    """x(0), x(1), … of x' = .2 x(t - τ) / (1 + x(t - τ)¹⁰) - .1 x(t), x = ``start`` up to 0.

    Mackey and Glass, 1977, "Oscillation and Chaos in Physiological Control Systems", equation 4b
    with the constants of the studies that forecast it (Farmer and Sidorowich, 1987). Runge and
    Kutta's method of order 4; the delayed value in the middle of a step is that of the cubic
    through the values and slopes at its ends, which has the same order.

    Args:
      length: values.
      tau: a multiple of 1 / steps_per_unit; rounded to one.
      start: the constant past.
      steps_per_unit: steps of the integration a unit of time.

    Returns:
      (length,) float64. Sums and products in an order of their own, so that machines agree to the
      bit: in a chaotic series a last bit becomes a first one after some thousands of units.
    """
    h, lag = 1 / steps_per_unit, round(tau * steps_per_unit)
    x, slope = [start], []

    def change(now: float, delayed: float) -> float:
        square = delayed * delayed
        fourth = square * square
        return 0.2 * delayed / (1 + fourth * fourth * square) - 0.1 * now

    for i in range((length - 1) * steps_per_unit):
        now, j = x[i], i - lag
        # The past is constant: neither its end nor its slope of 0 is that of the solution at 0.
        first, last = (x[j] if j >= 0 else start), (x[j + 1] if j >= 0 else start)
        k1 = change(now, first)
        slope.append(k1)
        middle = (first + last) / 2 + (h / 8 * (slope[j] - slope[j + 1]) if j >= 0 else 0.0)
        k2 = change(now + h / 2 * k1, middle)
        k3 = change(now + h / 2 * k2, middle)
        k4 = change(now + h * k3, last)
        x.append(now + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4))
    return np.array(x[::steps_per_unit])
