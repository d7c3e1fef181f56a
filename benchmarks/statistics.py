"""What interleaved rounds come to: medians, quartiles and paired ratios."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np


def spread(values: Sequence[float]) -> dict[str, float]:
    """{"median", "low", "high"}: the middle of ``values`` and its quartiles."""
    low, median, high = np.quantile(np.asarray(values, np.float64), (0.25, 0.5, 0.75))
    return {"median": float(median), "low": float(low), "high": float(high)}


def compare(wall: Mapping[str, Sequence[float]], plain: Sequence[str] = ()) -> dict[str, Any]:
    """How the other sides' times relate to ours.

    Of the others the one with the lowest median counts. Each round gives one ratio, of times that
    were taken seconds apart: what slows the whole machine for a while cancels.

    Args:
      wall: {side: seconds a step, one a round}; the same rounds for all. One is "ours".
      plain: the sides to compare with; all others if empty.

    Returns:
      {"seconds": {side: spread}, "better": side, "ratio": spread of better / ours}; the last two
      are left out where there is no other side. A ratio above 1 means that we are faster. If there
      are sides beside the plain ones, ``tuned`` holds "better" and "ratio" among all of them.
    """
    result: dict[str, Any] = {"seconds": {side: spread(times) for side, times in wall.items()}}
    others = [side for side in wall if side != "ours"]
    among = [side for side in others if side in plain] if plain else others
    result |= _better(wall, result["seconds"], among)
    if set(others) - set(among):
        result["tuned"] = _better(wall, result["seconds"], others)
    return result


def _better(wall: Mapping, seconds: Mapping, among: Sequence[str]) -> dict[str, Any]:
    if not among:
        return {}
    better = min(among, key=lambda side: seconds[side]["median"])
    pairs = zip(wall[better], wall["ours"], strict=True)
    return {"better": better, "ratio": spread([them / us for them, us in pairs])}
