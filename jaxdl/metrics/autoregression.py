"""Linear autoregression: a series' value as a weighted sum of those before it.

The baseline that any forecaster has to beat; Yule, 1927, for the model, and least squares a horizon
for its direct forecasts (Marcellino, Stock and Watson, 2006).
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from jaxdl.errors import UserError

ORDERS = tuple(range(1, 21))

# Weights of one forecast from which further orders are left out: a bound on the work for series of
# many features.
_MOST = 400


class Autoregression(NamedTuple):
    """x(t + horizon) = bias + Σ_k weights[k] x(t - k).

    Attributes:
      weights: (order, features, features) float64, the last axis is the forecast's.
      bias: (features,) float64.
      horizon: steps ahead.
    """

    weights: np.ndarray
    bias: np.ndarray
    horizon: int

    def __call__(self, series: np.ndarray, start: int, stop: int) -> np.ndarray:
        """The forecasts of ``series[start:stop]``, each from what is ``horizon`` before it.

        Args:
          series: (n, features).
          start: at least horizon + order - 1.
          stop: at most n + horizon.

        Returns:
          (stop - start, features) float64.
        """
        past = _past(series, len(self.weights), start - self.horizon, stop - self.horizon)
        return past @ self.weights.reshape(past.shape[1], -1) + self.bias


def fit(series: np.ndarray, order: int, horizon: int) -> Autoregression:
    """Least squares over every pair of a past and a future in ``series`` (n, features), float64."""
    last = len(series) - horizon
    past = _past(series, order, order - 1, last)
    inputs = np.concatenate([past, np.ones((len(past), 1))], axis=1)
    found = np.linalg.lstsq(inputs, series[order - 1 + horizon :], rcond=None)[0]
    features = series.shape[1]
    return Autoregression(found[:-1].reshape(order, features, features), found[-1], horizon)


def best(
    series: np.ndarray, horizon: int, orders: Sequence[int] = ORDERS, held_out: float = 0.2
) -> Autoregression:
    """The autoregression of the best order, which is chosen on the end of ``series``.

    Args:
      series: (n, features).
      horizon: steps ahead.
      orders: to choose from. Those that ask for more weights than there are pairs are left out,
        and, above 1, those that ask for more than 400 a forecast.
      held_out: share of the series, its end, that orders are compared on; the best is then fitted
        to the whole series.

    Raises:
      UserError: the series is too short for any of the orders.
    """
    n, features = series.shape
    start = n - max(1, int(n * held_out))
    pairs = lambda order: start - horizon - order + 1
    few = lambda order: order == 1 or order * features <= _MOST
    possible = [order for order in orders if few(order) and pairs(order) > order * features]
    if not possible:
        raise UserError(
            f"a series of {n} steps is too short for an autoregression {horizon} steps ahead"
        )

    def error(order: int) -> float:
        forecasts = fit(series[:start], order, horizon)(series, start, n)
        return float(np.square(forecasts - series[start:]).mean())

    return fit(series, min(possible, key=error), horizon)


def _past(series: np.ndarray, order: int, start: int, stop: int) -> np.ndarray:
    """(stop - start, order · features): the ``order`` values up to each of [start, stop)."""
    places = np.arange(start, stop)[:, None] - np.arange(order)
    return series[places].reshape(len(places), -1)
