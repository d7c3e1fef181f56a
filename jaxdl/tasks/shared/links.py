"""Links told by the product of two nodes' vectors, and what counting tells of the same links.

Kipf and Welling, 2016, "Variational Graph Auto-Encoders", section 2 (the non-probabilistic model).
"""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxdl import keys, losses
from jaxdl.metrics import HIGH, Mean, links, ranking
from jaxdl.ops.graph_parts import over_parts
from jaxdl.report import draw

DIRECTIONS = {"common_neighbours_auroc": HIGH, "adamic_adar_auroc": HIGH}


def logits(told: Any, pairs: Any) -> Any:
    """(pairs,): the product of the vectors ``told`` (nodes, d) of each of ``pairs`` (pairs, 2)."""
    return (told[pairs[:, 0]] * told[pairs[:, 1]]).sum(axis=-1)


def is_pair(pairs: jax.Array) -> jax.Array:
    """(…) bool: which of ``pairs`` (…, 2) are of two nodes; others fill up."""
    return pairs[..., 0] != pairs[..., 1]


def loss_of_known(told: jax.Array, pairs: jax.Array, absent: jax.Array, key: jax.Array) -> Mean:
    """`loss` of all known links, and of as many pairs that are drawn of others.

    Args:
      told: (nodes, d), the nodes' vectors.
      pairs: (links, 2) int32; of a graph in parts (parts, links, 2), some of which may be none
        (`is_pair`).
      absent: (n, 2) int32 that are not joined; in parts (parts, n, 2).
      key: of the draw.
    """
    drawn = jax.random.randint(keys.named(key, "absent"), pairs.shape[:-1], 0, absent.shape[-2])
    asked = lambda told, pairs, absent, drawn: logits(told, jnp.concatenate([pairs, absent[drawn]]))
    count = pairs.shape[-2]
    is_link = (jnp.arange(2 * count) < count).astype(jnp.float32)
    if pairs.ndim == 2:
        return loss(asked(told, pairs, absent, drawn), is_link)
    scores = over_parts(asked, told, pairs, absent, drawn)
    real = is_pair(pairs)
    columns = scores, jnp.broadcast_to(is_link, scores.shape), jnp.concatenate([real, real], -1)
    return loss(*(x.reshape(-1) for x in columns))


def logits_of_known(told: jax.Array, pairs: jax.Array) -> jax.Array:
    """(links,) or (parts, links): `logits` of ``pairs`` as of `loss_of_known`."""
    return logits(told, pairs) if pairs.ndim == 2 else over_parts(logits, told, pairs)


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
