"""Links told by the product of two nodes' vectors, and what counting tells of the same links.

Kipf and Welling, 2016, "Variational Graph Auto-Encoders", section 2 (the non-probabilistic model).
"""

from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from jaxdl import losses
from jaxdl.metrics import HIGH, Mean, links, ranking
from jaxdl.report import draw

DIRECTIONS = {"common_neighbours_auroc": HIGH, "adamic_adar_auroc": HIGH}


def logits(told: Any, pairs: Any) -> Any:
    """(pairs,): the product of the vectors ``told`` (nodes, d) of each of ``pairs`` (pairs, 2)."""
    return (told[pairs[:, 0]] * told[pairs[:, 1]]).sum(axis=-1)


def loss(scores: jax.Array, is_link: jax.Array, weights: jax.Array | None = None) -> Mean:
    """Nats a pair, of a link or of a pair that is not joined, over ``weights`` (n,)."""
    return Mean.of(losses.binary_cross_entropy(scores, is_link), weights)


def counted(
    indptr: np.ndarray, indices: np.ndarray, asked: np.ndarray, absent: np.ndarray
) -> dict[str, np.ndarray]:
    """What common neighbours, and Adamic and Adar's sum over them, tell of pairs.

    Args:
      indptr: of the known edges both ways in compressed sparse rows; so is indices.
      indices: of it.
      asked: (n, 2) links, and absent (m, 2) other pairs.
      absent: see there.

    Returns:
      {"common neighbours", "Adamic-Adar"}: (n + m,) each.
    """
    pairs = np.concatenate([asked, absent])
    common = lambda weighted: links.common_neighbours(indptr, indices, pairs, weighted)
    return {"common neighbours": common(False), "Adamic-Adar": common(True)}


def figures(scores: np.ndarray, others: Mapping[str, np.ndarray], asked: int) -> dict[str, float]:
    """``auroc`` and ``loss`` of ``scores``, and the AUROC of `counted`.

    Args:
      scores: (n + m,) logits, of the links first.
      others: of `counted`.
      asked: n.
    """
    is_link = np.arange(len(scores)) < asked
    wide = np.asarray(scores, np.float64)
    nats = np.logaddexp(0, np.where(is_link, -wide, wide)).mean()
    return {
        "loss": float(nats),
        "auroc": ranking.auroc(scores, is_link),
        "common_neighbours_auroc": ranking.auroc(others["common neighbours"], is_link),
        "adamic_adar_auroc": ranking.auroc(others["Adamic-Adar"], is_link),
    }


def picture(scores: np.ndarray, others: Mapping[str, np.ndarray], asked: int) -> draw.Picture:
    """How many links each way of telling them finds, by what else it takes for one.

    Arguments as of `figures`.
    """
    is_link = np.arange(len(scores)) < asked
    every = {"product of vectors": scores, **others}
    lines = {name: ranking.roc(values, is_link) for name, values in every.items()}
    return draw.curves("links found", lines, xlabel="other pairs taken for links")
