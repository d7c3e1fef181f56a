"""What a comparison of optimizers measures, as functions of accuracies over rates and seeds.

Accuracies are float64 in [0, 1]. An axis of rates ascends, one of seeds is the same in all arrays,
so that two methods, or two conditions, differ seed by seed.
"""

from typing import NamedTuple

import numpy as np


class Interval(NamedTuple):
    """A mean, and the interval that holds the true one with 95% confidence."""

    mean: float
    low: float
    high: float


class Width(NamedTuple):
    """How far a learning rate may be off.

    Attributes:
      low: the lowest rate of the range.
      high: the highest.
      open: whether the range reaches an end of the grid, so that it may be wider.
    """

    low: float
    high: float
    open: bool

    @property
    def factor(self) -> float:
        """The highest rate over the lowest, at least 1."""
        return self.high / self.low


def best_rate(accuracy: np.ndarray) -> int:
    """The place of the rate whose mean accuracy over the seeds is highest; of equals the lowest.

    Args:
      accuracy: (rates, seeds), on examples that nothing else is reported of.
    """
    return int(np.argmax(np.round(accuracy.mean(axis=1), 12)))  # equal but for the order of sums


def steps_to(target: float, steps: np.ndarray, accuracy: np.ndarray) -> np.ndarray:
    """The step of the first evaluation at which the accuracy is at least ``target``.

    Args:
      target: in [0, 1].
      steps: (evaluations,) ascending.
      accuracy: (evaluations, seeds); NaN reaches nothing.

    Returns:
      (seeds,) float64; infinite where it is never reached. What comes after does not matter.
    """
    reached = accuracy >= target
    return np.where(reached.any(axis=0), np.asarray(steps)[reached.argmax(axis=0)], np.inf)


def median_steps(steps: np.ndarray) -> float:
    """The median over seeds, of two in the middle the later: infinite where half never arrive."""
    return float(np.quantile(steps, 0.5, method="higher"))


def width(rates: np.ndarray, medians: np.ndarray, margin: float = 0.01) -> Width:
    """The range of rates around the best one whose accuracy is within ``margin`` of the best.

    Between two rates of the grid the accuracy is taken to be linear in the rate's logarithm. The
    range ends where that line first falls below; what rises again further away does not count.

    Args:
      rates: (rates,) ascending, above 0.
      medians: (rates,) median accuracy over seeds of each.
      margin: of accuracy.
    """
    level = medians.max() - margin
    best = int(medians.argmax())
    logs = np.log(rates)

    def end(direction: int) -> tuple[float, bool]:
        inside = best
        while 0 <= inside + direction < len(rates):
            outside = inside + direction
            if medians[outside] < level:
                share = (medians[inside] - level) / (medians[inside] - medians[outside])
                return logs[inside] + share * (logs[outside] - logs[inside]), False
            inside = outside
        return logs[inside], True

    (low, open_below), (high, open_above) = end(-1), end(1)
    return Width(float(np.exp(low)), float(np.exp(high)), open_below or open_above)


def width_interval(
    rates: np.ndarray, accuracy: np.ndarray, margin: float = 0.01, draws: int = 2000
) -> tuple[float, float]:
    """The 95% percentile interval of the factor of `width`, by the bootstrap over seeds.

    Efron, 1979. The same seeds are drawn for all rates.

    Args:
      rates: (rates,) ascending, above 0.
      accuracy: (rates, seeds).
      margin: of accuracy.
      draws: resamples.
    """
    rng = np.random.default_rng(0)
    seeds = accuracy.shape[1]
    factors = [
        width(rates, np.median(accuracy[:, rng.integers(0, seeds, seeds)], axis=1), margin).factor
        for _ in range(draws)
    ]
    low, high = np.quantile(factors, (0.025, 0.975))
    return float(low), float(high)


def interval(values: np.ndarray) -> Interval:
    """Student's t interval of the mean, 95%.

    Of accuracies it tells how far the seeds leave it open, on the test examples at hand; of
    differences by seed, whether they are more than the seeds' doing: 0 lies outside then.

    Args:
      values: (seeds,), two or more.
    """
    from scipy.stats import t

    n = len(values)
    mean = float(np.mean(values))
    half = float(t.ppf(0.975, n - 1) * np.std(values, ddof=1) / np.sqrt(n))
    return Interval(mean, mean - half, mean + half)
