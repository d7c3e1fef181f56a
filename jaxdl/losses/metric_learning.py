"""Losses that bring together what is alike, by the distances between the vectors of a batch.

Each takes a whole batch, because what is learned from is how its examples lie to one another, and
returns `Terms`: an anchor's sum of terms and how many they are, so that ``total.sum() /
count.sum()`` is their mean, whatever was left out. What they compute is in float32 or wider.

Losses by cosines are in `jaxdl.losses.cosines`.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxdl import ops


class Terms(NamedTuple):
    """What each example of a batch adds to the loss, as the anchor of its terms.

    Attributes:
      total: (batch,) the sum of its terms, 0 where it has none.
      count: (batch,) how many there are; no derivative depends on it.
    """

    total: jax.Array
    count: jax.Array


def distances(rows: jax.Array, columns: jax.Array) -> jax.Array:
    """Euclidean distances, (n, d), (m, d) -> (n, m), by differences rather than by products.

    Of vectors that lie close together products leave nothing but rounding. At distance 0, where
    there is no derivative, it is 0.
    """
    rows, columns = ops.widen(rows), ops.widen(columns)
    squares = jnp.square(rows[:, None] - columns[None]).sum(axis=-1)
    return ops.safe_sqrt(squares)


def pairs(labels: jax.Array, weights: jax.Array | None = None) -> tuple[jax.Array, jax.Array]:
    """Which examples belong together and which do not: two masks (batch, batch), bool.

    Args:
      labels: (batch,) integers.
      weights: (batch,), 0 of examples that are padding, which have no pairs; None of all real.

    Returns:
      True for two different examples of one class, and for two of different classes.
    """
    real = jnp.ones(labels.shape, bool) if weights is None else weights > 0
    both = real[:, None] & real[None]
    alike = labels[:, None] == labels[None]
    return both & alike & ~jnp.eye(labels.size, dtype=bool), both & ~alike


def contrastive(
    embeddings: jax.Array,
    labels: jax.Array,
    weights: jax.Array | None = None,
    *,
    margin: float = 1.0,
) -> Terms:
    """½ d² of two of one class, ½ max(0, m - d)² of two of different ones.

    Hadsell, Chopra and LeCun, 2006, "Dimensionality reduction by learning an invariant mapping",
    equation 4; over all pairs of a batch, each seen from both of its ends.

    Args:
      embeddings: (batch, d).
      labels: (batch,) integers.
      weights: (batch,), 0 of examples that are padding, or None.
      margin: m > 0, beyond which different ones are left alone.
    """
    positive, negative = pairs(labels, weights)
    found = distances(embeddings, embeddings)
    attract = jnp.where(positive, jnp.square(found), 0)
    repel = jnp.where(negative, jnp.square(jnp.maximum(margin - found, 0)), 0)
    count = (positive | negative).sum(axis=1)
    return Terms(0.5 * (attract + repel).sum(axis=1), count.astype(found.dtype))


def triplet(
    embeddings: jax.Array,
    labels: jax.Array,
    weights: jax.Array | None = None,
    *,
    margin: float = 0.2,
    mining: str = "semi_hard",
) -> Terms:
    """max(0, d(a, p) - d(a, n) + m) of an anchor, another of its class, and one of another.

    Args:
      embeddings: (batch, d).
      labels: (batch,) integers.
      weights: (batch,), 0 of examples that are padding, or None.
      margin: m ≥ 0.
      mining: which triplets count, in `MINING`:
        "all" of them, batch³ at most (Hermans et al., 2017, arXiv 1703.07737, "batch all");
        "hard", one an anchor, of its farthest positive and its nearest negative (there, "batch
        hard", equation 5);
        "semi_hard", one a pair (a, p), of the nearest negative that lies farther from a than p
        (Schroff et al., 2015, "FaceNet", section 3.2), or, where none does, the farthest of all.

    Raises:
      ValueError: no such mining.
    """
    if mining not in MINING:
        raise ValueError(f"mining={mining!r} is none of {', '.join(MINING)}")
    return MINING[mining](distances(embeddings, embeddings), *pairs(labels, weights), margin)


def _all(found: jax.Array, positive: jax.Array, negative: jax.Array, margin: float) -> Terms:
    excess = jnp.maximum(found[:, :, None] - found[:, None, :] + margin, 0)
    which = positive[:, :, None] & negative[:, None, :]
    count = positive.sum(axis=1) * negative.sum(axis=1)
    return Terms(jnp.where(which, excess, 0).sum(axis=(1, 2)), count.astype(found.dtype))


def _hard(found: jax.Array, positive: jax.Array, negative: jax.Array, margin: float) -> Terms:
    farthest = jnp.where(positive, found, -jnp.inf).argmax(axis=1)
    nearest = jnp.where(negative, found, jnp.inf).argmin(axis=1)
    of = lambda places: jnp.take_along_axis(found, places[:, None], axis=1)[:, 0]
    excess = jnp.maximum(of(farthest) - of(nearest) + margin, 0)
    has = positive.any(axis=1) & negative.any(axis=1)
    return Terms(jnp.where(has, excess, 0), has.astype(found.dtype))


def _semi_hard(found: jax.Array, positive: jax.Array, negative: jax.Array, margin: float) -> Terms:
    # An anchor's negatives by distance, what is none behind them: batch² numbers, never batch³.
    order = jnp.where(negative, found, jnp.inf).argsort(axis=1)
    sorted_ = jnp.take_along_axis(found, order, axis=1)
    total = negative.sum(axis=1)[:, None]
    asked = jnp.where(jnp.arange(total.size) < total, sorted_, jnp.inf)
    first_beyond = jax.vmap(lambda row, d: jnp.searchsorted(row, d, side="right"))(asked, found)
    chosen = jnp.clip(first_beyond, 0, jnp.maximum(total - 1, 0))
    excess = jnp.maximum(found - jnp.take_along_axis(sorted_, chosen, axis=1) + margin, 0)
    which = positive & (total > 0)
    return Terms(jnp.where(which, excess, 0).sum(axis=1), which.sum(axis=1).astype(found.dtype))


MINING = {"all": _all, "hard": _hard, "semi_hard": _semi_hard}
