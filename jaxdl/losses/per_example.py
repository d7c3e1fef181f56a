"""Losses as pure functions: one number an example, in float32 or wider; the caller weighs them.

Every function takes arrays with a leading batch axis and reduces all the others, so that
``Mean.of(loss(...), mask)`` (see `jaxdl.metrics`) counts each example once. Logits of any finite
size give finite losses and gradients. `sparsity` alone is of a batch, not of an example.
"""

import math

import jax
import jax.numpy as jnp

from jaxdl import ops


def _wide(*arrays: jax.Array) -> tuple[jax.Array, ...]:
    """In at least float32: a bf16 loss loses the digits that its gradient needs."""
    # Of numbers of Python's own nothing follows: they are as wide as what they stand beside.
    given = [ops.wide_dtype(a.dtype) for a in arrays if hasattr(a, "dtype")]
    dtype = max(given, key=lambda dtype: dtype.itemsize, default=jnp.float32)
    return tuple(jnp.asarray(a, dtype) for a in arrays)


def _per_example(x: jax.Array) -> jax.Array:
    """Mean over all axes but the first."""
    return x.reshape(x.shape[0], -1).mean(axis=1)


def cross_entropy(
    logits: jax.Array, labels: jax.Array, *, label_smoothing: float = 0.0
) -> jax.Array:
    """Categorical cross-entropy ``-Σ_c p_c log softmax(logits)_c``, in nats.

    Args:
      logits: (batch, …, classes).
      labels: integers (batch, …) in [0, classes), or distributions (batch, …, classes).
      label_smoothing: ε in [0, 1]: the target becomes ``(1 - ε) p + ε / classes`` (Szegedy et
        al., 2015, section 7).

    Returns:
      (batch,): the mean over the middle axes, if there are any. A label out of range gives NaN
      rather than a wrong number.
    """
    return _per_example(ops.cross_entropy(logits, labels, label_smoothing))


def binary_cross_entropy(
    logits: jax.Array, targets: jax.Array, *, positive_weight: jax.Array | None = None
) -> jax.Array:
    """``-w t log σ(x) - (1 - t) log(1 - σ(x))``, in nats, through ``log(1 + e^±x)``.

    Args:
      logits: (batch, …).
      targets: same shape, probabilities in [0, 1].
      positive_weight: w ≥ 0, of as many axes as the logits, broadcast to them; None is 1.

    Returns:
      (batch,), the mean over all other axes.
    """
    logits, targets = _wide(logits, targets)
    (weight,) = (1.0,) if positive_weight is None else _wide(positive_weight)
    return _per_example(_bce(logits, targets, weight))


def _bce(logits: jax.Array, targets: jax.Array, weight: jax.Array | float = 1.0) -> jax.Array:
    # Two terms, not log(1 + e^x) - x t: that difference cancels where a positive is sure.
    positive = targets * jnp.logaddexp(-logits, 0.0) * weight
    return positive + (1 - targets) * jnp.logaddexp(logits, 0.0)


def focal(
    logits: jax.Array, targets: jax.Array, *, gamma: float = 2.0, alpha: float | None = 0.25
) -> jax.Array:
    """Focal loss ``-α_t (1 - p_t)^γ log p_t`` (Lin et al., 2017, equation 5).

    Args:
      logits: (batch, …), one binary decision each.
      targets: same shape, 0 or 1.
      gamma: ≥ 0; 0 gives binary cross-entropy.
      alpha: weight of the positives, 1 - α that of the negatives; None weighs both by 1.

    Returns:
      (batch,), the mean over all other axes.
    """
    logits, targets = _wide(logits, targets)
    # 1 - p_t = σ(-x) for a positive: never computed as a difference, which would cancel. As a
    # power of an exponential it also has a gradient where it underflows, for any γ.
    log_miss = -jnp.logaddexp(jnp.where(targets > 0.5, logits, -logits), 0.0)
    loss = jnp.exp(gamma * log_miss) * _bce(logits, targets)
    if alpha is not None:
        loss = jnp.where(targets > 0.5, alpha, 1 - alpha) * loss
    return _per_example(loss)


def poly1(
    logits: jax.Array, labels: jax.Array, *, epsilon: float = 1.0, label_smoothing: float = 0.0
) -> jax.Array:
    """Cross-entropy with another coefficient of its first power: ``CE + ε₁ Σ_c p_c (1 - q_c)``.

    Leng et al., 2022, "PolyLoss", equation 4; q is softmax(logits), p the smoothed target.

    Args:
      logits: (batch, …, classes).
      labels: as of `cross_entropy`; so is label_smoothing.
      epsilon: ε₁ ≥ -1; 0 gives cross-entropy.
      label_smoothing: ε of the target.

    Returns:
      (batch,), the mean over the middle axes.
    """
    (logits,) = _wide(logits)
    target = _smoothed(logits, labels, label_smoothing)
    miss = (target * -jnp.expm1(jax.nn.log_softmax(logits))).sum(axis=-1)
    plain = cross_entropy(logits, labels, label_smoothing=label_smoothing)
    return plain + epsilon * _per_example(miss)


def softmax_focal(
    logits: jax.Array, labels: jax.Array, *, gamma: float = 2.0, label_smoothing: float = 0.0
) -> jax.Array:
    """``-Σ_c p_c (1 - q_c)^γ log q_c`` of a softmax q and smoothed targets p.

    Lin et al., 2017, equation 4, over classes that exclude one another, with the target of
    `cross_entropy` in place of one class.

    Args:
      logits: (batch, …, classes).
      labels: as of `cross_entropy`; so is label_smoothing.
      gamma: ≥ 0; 0 gives cross-entropy.
      label_smoothing: ε of the target.

    Returns:
      (batch,), the mean over the middle axes.
    """
    (logits,) = _wide(logits)
    log_q = jax.nn.log_softmax(logits)
    # The logarithm of 1 - q_c, the sum of the others: as a power of an exponential the factor has
    # a derivative for any γ. Where all the others are nothing, it is the largest that is finite.
    room = jnp.finfo(log_q.dtype)
    log_miss = jnp.log(jnp.maximum(-jnp.expm1(log_q), room.tiny))
    target = _smoothed(logits, labels, label_smoothing)
    return _per_example(-(target * jnp.exp(gamma * log_miss) * log_q).sum(axis=-1))


def _smoothed(logits: jax.Array, labels: jax.Array, label_smoothing: float) -> jax.Array:
    """Targets (batch, …, classes) as `cross_entropy` has them; NaN of a label out of range."""
    classes = logits.shape[-1]
    if jnp.issubdtype(labels.dtype, jnp.integer):
        known = (labels >= 0) & (labels < classes)
        hot = jax.nn.one_hot(labels, classes, dtype=logits.dtype)
        labels = jnp.where(known[..., None], hot, jnp.nan)
    return (1 - label_smoothing) * labels.astype(logits.dtype) + label_smoothing / classes


def mse(predictions: jax.Array, targets: jax.Array) -> jax.Array:
    """Mean squared error: (batch, …), (batch, …) -> (batch,)."""
    predictions, targets = _wide(predictions, targets)
    return _per_example(jnp.square(predictions - targets))


def mae(predictions: jax.Array, targets: jax.Array) -> jax.Array:
    """Mean absolute error: (batch, …), (batch, …) -> (batch,)."""
    predictions, targets = _wide(predictions, targets)
    return _per_example(jnp.abs(predictions - targets))


def huber(predictions: jax.Array, targets: jax.Array, *, delta: float = 1.0) -> jax.Array:
    """``e²/2`` up to \\|e\\| = δ, then ``δ (|e| - δ/2)`` (Huber, 1964): (batch, …) -> (batch,)."""
    predictions, targets = _wide(predictions, targets)
    size = jnp.abs(predictions - targets)
    # Both pieces in one expression, so that the gradient is finite on both sides of the seam.
    inner = jnp.minimum(size, delta)
    return _per_example(inner * (size - 0.5 * inner))


def quantile(predictions: jax.Array, targets: jax.Array, levels: jax.Array) -> jax.Array:
    """Quantile (pinball) loss ``max(τ e, (τ - 1) e)`` of e = target - prediction.

    Koenker and Bassett, 1978, "Regression quantiles": its mean is least where the share τ of the
    targets lies below the prediction.

    Args:
      predictions: (batch, …, levels), one for each level.
      targets: (batch, …).
      levels: τ in (0, 1), (levels,).

    Returns:
      (batch,), the mean over all other axes.
    """
    predictions, targets, levels = _wide(predictions, targets, levels)
    levels = levels.reshape((1,) * targets.ndim + (-1,))
    error = targets[..., None] - predictions
    return _per_example(jnp.maximum(levels * error, (levels - 1) * error))


def jensen_shannon(logits: jax.Array) -> jax.Array:
    """How far several answers are from one another: ``mean_i KL(p_i || m)``, in nats.

    The Jensen-Shannon divergence of the distributions p_i = softmax(logits_i), m their mean (Lin,
    1991); of three views of an image it is AugMix's consistency (Hendrycks et al., 2019, arXiv
    1912.02781, section 3).

    Args:
      logits: (batch, views, classes).

    Returns:
      (batch,), from 0, where all say the same, to the logarithm of the number of views.
    """
    (logits,) = _wide(logits)
    log_p = jax.nn.log_softmax(logits)
    log_m = jax.nn.logsumexp(log_p, axis=1, keepdims=True) - math.log(logits.shape[1])
    p = jnp.exp(log_p)
    # A share that underflows adds nothing, and its logarithm may be infinite.
    return (p * jnp.where(p > 0, log_p - log_m, 0)).sum(axis=-1).mean(axis=1)


def kl_divergence(logits_p: jax.Array, logits_q: jax.Array) -> jax.Array:
    """``KL(p ‖ q) = Σ p (log p - log q)`` of two categorical distributions, in nats.

    Args:
      logits_p: (batch, …, classes), unnormalised log probabilities of p.
      logits_q: same shape, of q.

    Returns:
      (batch,), the mean over the middle axes.
    """
    logits_p, logits_q = _wide(logits_p, logits_q)
    log_p = jax.nn.log_softmax(logits_p, axis=-1)
    log_q = jax.nn.log_softmax(logits_q, axis=-1)
    return _per_example((jnp.exp(log_p) * (log_p - log_q)).sum(axis=-1))


def _sum(x: jax.Array) -> jax.Array:
    """Over all axes but the first: log-likelihoods add up over dimensions."""
    return x.reshape(x.shape[0], -1).sum(axis=1)


def normal_log_likelihood(x: jax.Array, mean: jax.Array, log_variance: jax.Array) -> jax.Array:
    """``log N(x; μ, σ²)``, a density in nats: ``-½ Σ (log 2π + log σ² + (x - μ)² / σ²)``.

    Args:
      x: (batch, …).
      mean: broadcast to x's shape.
      log_variance: log σ², broadcast to x's shape.

    Returns:
      (batch,), the sum over all other axes.
    """
    x, mean, log_variance = _wide(x, mean, log_variance)
    # The deviation has twice the room that the variance has in float32.
    squares = jnp.square((x - mean) * jnp.exp(-0.5 * log_variance))
    return -0.5 * _sum(math.log(2 * math.pi) + log_variance + squares)


def normal_kl(mean: jax.Array, log_variance: jax.Array) -> jax.Array:
    """``KL(N(μ, σ²) ‖ N(0, 1)) = ½ Σ (μ² + σ² - 1 - log σ²)``, in nats.

    Kingma and Welling, 2014, "Auto-Encoding Variational Bayes", appendix B.

    Args:
      mean: (batch, …).
      log_variance: log σ², same shape.

    Returns:
      (batch,), the sum over all other axes.
    """
    mean, log_variance = _wide(mean, log_variance)
    # expm1: near the prior, where σ² is about 1, the difference would cancel.
    return 0.5 * _sum(jnp.square(mean) + (jnp.expm1(log_variance) - log_variance))


def elbo(
    log_likelihood: jax.Array, mean: jax.Array, log_variance: jax.Array, *, beta: float = 1.0
) -> jax.Array:
    """Evidence lower bound ``log p(x | z) - β KL(q(z | x) ‖ N(0, 1))``, in nats; high is better.

    Kingma and Welling, 2014, equation 10, with β of Higgins et al., 2017; at 1 it bounds log p(x).

    Args:
      log_likelihood: (batch,), of x given a draw z from q(z | x).
      mean: (batch, latent), of q.
      log_variance: (batch, latent), of q.
      beta: weight of the divergence, a number or traced.

    Returns:
      (batch,).
    """
    return log_likelihood - beta * normal_kl(mean, log_variance)


def sparsity(rates: jax.Array, target: float) -> jax.Array:
    """``Σ_j KL(ρ ‖ ρ_j)`` of units that are on with rates ρ_j and should be with ρ, in nats.

    Ng, 2011, "Sparse autoencoder", CS294A lecture notes, section 3.

    Args:
      rates: (units,), each unit's mean activation over a batch, in (0, 1).
      target: ρ, in (0, 1).

    Returns:
      (), 0 where every rate is the target.
    """
    (rates,) = _wide(rates)
    # Units that are always on or off have rates of 1 or 0 by rounding: the logarithm stays finite.
    room = jnp.finfo(rates.dtype)
    rates = jnp.clip(rates, room.tiny, 1 - room.epsneg)
    on, off = target * (math.log(target) - jnp.log(rates)), jnp.log1p(-rates)
    return (on + (1 - target) * (math.log1p(-target) - off)).sum()
