"""Losses by the cosines between vectors: one among many must be told from the others.

Vectors are made unit here, so that a product is a cosine whatever the network gave. As in
`jaxdl.losses.metric_learning` each example is an anchor and adds `Terms`; a temperature divides
the cosines. What is computed is in float32 or wider.
"""

import jax
import jax.numpy as jnp

from jaxdl import ops
from jaxdl.losses.metric_learning import Terms, pairs


def unit(x: jax.Array) -> jax.Array:
    """``x / |x|`` along the last axis; 0, with a derivative of 0, where all is 0."""
    x = ops.widen(x)
    # By the largest first: squares of what is very large or small leave float32's range.
    largest = jax.lax.stop_gradient(jnp.abs(x).max(axis=-1, keepdims=True))
    x = x / jnp.where(largest > 0, largest, 1)
    squares = jnp.square(x).sum(axis=-1, keepdims=True)
    return jnp.where(largest > 0, x / jnp.where(largest > 0, ops.safe_sqrt(squares), 1), 0)


def info_nce(
    queries: jax.Array,
    keys: jax.Array,
    weights: jax.Array | None = None,
    *,
    temperature: float = 0.1,
) -> Terms:
    """``-log softmax_j(cos(q_i, k_j) / τ)`` at j = i: query i's own key among all keys.

    van den Oord, Li and Vinyals, 2018, "Representation learning with contrastive predictive
    coding", equation 4, of cosines.

    Args:
      queries: (batch, d).
      keys: (batch, d), one a query.
      weights: (batch,), 0 of rows that are padding, in both; None of all real.
      temperature: τ > 0.
    """
    cosines = unit(queries) @ unit(keys).T / temperature
    real = jnp.ones(len(cosines), bool) if weights is None else weights > 0
    return _told_apart(cosines, jnp.eye(len(cosines), dtype=bool), real[:, None] & real[None])


def nt_xent(
    first: jax.Array,
    second: jax.Array,
    weights: jax.Array | None = None,
    *,
    temperature: float = 0.5,
) -> Terms:
    """Of two views of each example: the other view among all 2 n - 1 other vectors.

    Chen et al., 2020, "A simple framework for contrastive learning", equation 1 and algorithm 1.

    Args:
      first: (batch, d), a view of each example.
      second: (batch, d), another.
      weights: (batch,), 0 of examples that are padding; None of all real.
      temperature: τ > 0.

    Returns:
      Both views' terms, added, and their number, 2 of what is real.
    """
    count = len(first)
    both = unit(jnp.concatenate([first, second]))
    real = jnp.ones(count, bool) if weights is None else weights > 0
    real = jnp.tile(real, 2)
    own = jnp.eye(2 * count, dtype=bool)
    found = _told_apart(
        both @ both.T / temperature,
        jnp.roll(own, count, axis=1),
        real[:, None] & real[None] & ~own,
    )
    return Terms(*(x.reshape(2, count).sum(axis=0) for x in found))


def supervised_contrastive(
    embeddings: jax.Array,
    labels: jax.Array,
    weights: jax.Array | None = None,
    *,
    temperature: float = 0.1,
) -> Terms:
    """The mean over an anchor's positives of ``-log softmax`` among all others.

    Khosla et al., 2020, "Supervised contrastive learning", equation 2 (the sum outside of the
    logarithm).

    Args:
      embeddings: (batch, d).
      labels: (batch,) integers.
      weights: (batch,), 0 of examples that are padding; None of all real.
      temperature: τ > 0.

    Returns:
      One term an anchor that has a positive in the batch.
    """
    positive, negative = pairs(labels, weights)
    vectors = unit(embeddings)
    return _told_apart(vectors @ vectors.T / temperature, positive, positive | negative)


def _told_apart(logits: jax.Array, positive: jax.Array, seen: jax.Array) -> Terms:
    """A row's mean over ``positive`` of -log softmax over ``seen``, masks as ``logits`` (n, m)."""
    positive = positive & seen
    # Rows without anything to see would have a softmax over nothing, whose derivatives are NaN.
    logits = jnp.where(seen | ~seen.any(axis=1, keepdims=True), logits, -jnp.inf)
    misses = jax.nn.logsumexp(logits, axis=1, keepdims=True) - jnp.where(seen, logits, 0)
    count = positive.sum(axis=1)
    mean = jnp.where(positive, misses, 0).sum(axis=1) / jnp.maximum(count, 1)
    return Terms(mean, (count > 0).astype(mean.dtype))


def arcface(
    embeddings: jax.Array,
    centres: jax.Array,
    labels: jax.Array,
    weights: jax.Array | None = None,
    *,
    margin: float = 0.5,
    scale: float = 64.0,
) -> Terms:
    """Cross-entropy of s cos θ_c to the classes' centres, the angle to the true one wider by m.

    Deng et al., 2019, "ArcFace: additive angular margin loss", equation 3. Where θ + m would be
    more than π, so that cos would rise again, the cosine is cos θ - m sin m in its place, as the
    authors' code has it.

    Args:
      embeddings: (batch, d).
      centres: (classes, d), one vector a class, learned too.
      labels: (batch,) integers in [0, classes).
      weights: (batch,), 0 of examples that are padding; None of all real.
      margin: m, radians, at least 0 and below π / 2.
      scale: s > 0.

    Returns:
      One term an example.
    """
    cosines = unit(embeddings) @ unit(centres).T
    own = jnp.take_along_axis(cosines, labels[:, None], axis=1)
    # At angles of 0 and π the sine has no derivative: what rounding is away from them has none.
    sine = ops.safe_sqrt(1 - jnp.square(own), above=float(jnp.finfo(own.dtype).eps))
    cos, sin = jnp.cos(margin), jnp.sin(margin)
    wider = jnp.where(own > -cos, own * cos - sine * sin, own - margin * sin)
    hot = jax.nn.one_hot(labels, len(centres), dtype=bool)
    found = ops.cross_entropy(scale * jnp.where(hot, wider, cosines), labels)
    real = jnp.ones(found.shape, bool) if weights is None else weights > 0
    return Terms(jnp.where(real, found, 0), real.astype(found.dtype))
