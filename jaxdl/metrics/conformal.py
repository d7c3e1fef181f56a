"""Intervals that hold as often as they say, by what is off on examples that were not learned from.

Split conformal prediction (Papadopoulos et al., 2002, "Inductive confidence machines for
regression"; Lei et al., 2018, arXiv 1604.04173), and of quantiles: Romano, Patterson and Candès,
2019, "Conformalized quantile regression", arXiv 1905.03222. Of examples drawn like these, an
interval widened by `margin` holds with at least the probability that is asked for.
"""

import math

import jax
import jax.numpy as jnp


def rank(count: int, coverage: float) -> int:
    """Which of ``count`` ascending scores is the margin, from 1 on: ⌈(count + 1) coverage⌉.

    One above ``count`` says that they are too few.
    """
    return math.ceil(round((count + 1) * coverage, 9))


def fewest(coverage: float) -> int:
    """Examples that are needed for a finite margin."""
    return math.ceil(round(coverage / (1 - coverage), 9))


def scores(low: jax.Array, high: jax.Array, truth: jax.Array) -> jax.Array:
    """How far each truth lies outside of its interval, below 0 inside: equation 6 of 2019.

    Args:
      low: (n, …).
      high: (n, …); equal to ``low`` where there is one prediction, whose absolute error it is then.
      truth: (n, …).
    """
    return jnp.maximum(low - truth, truth - high)


def margin(found: jax.Array, coverage: float) -> jax.Array:
    """(…) what both ends of an interval are moved outwards by.

    Args:
      found: `scores` (n, …) of at least `fewest` examples.
      coverage: probability that the interval is to hold with, in (0, 1).
    """
    return jnp.sort(found, axis=0)[rank(len(found), coverage) - 1]
