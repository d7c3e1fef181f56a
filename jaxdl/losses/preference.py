"""Losses of which of two answers is better, as pure functions: one number a pair.

Scores and log-probabilities are (batch,), in float32 or wider; the caller weighs the pairs. How
much more likely than the reference π₀ a policy π makes the better answer than the worse is

    d = (log π(chosen) - log π₀(chosen)) - (log π(rejected) - log π₀(rejected))

and of that the direct losses are functions. They differ in what a text's log-probability is: the
sum of its tokens', or the mean of them (`sequence_log_probabilities`).
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxdl import ops


def _wide(x: jax.Array | float) -> jax.Array:
    return jnp.asarray(x, ops.wide_dtype(jnp.result_type(x)))


def _softplus(x: jax.Array) -> jax.Array:
    return jnp.logaddexp(x, 0.0)


def token_log_probabilities(logits: jax.Array, tokens: jax.Array) -> jax.Array:
    """Log p of each token, in nats.

    Args:
      logits: (…, T, vocabulary), of what is said at each place, by the tokens in front of it.
      tokens: (…, T) integers, what stands there.

    Returns:
      (…, T), at least float32, ≤ 0.
    """
    return -ops.cross_entropy(logits, tokens)


def sequence_log_probabilities(
    log_p: jax.Array, weight: jax.Array, *, mean: bool = False
) -> jax.Array:
    """Log p of texts, in nats, or nats a token.

    Args:
      log_p: (…, T), of `token_log_probabilities`.
      weight: (…, T): 1 for the tokens of the answer, 0 for those of the prompt and for padding,
        whose log p may be anything that is finite.
      mean: over the answer's tokens, in place of the sum; of a text without any it is 0.

    Returns:
      (…), ≤ 0.
    """
    weight = weight.astype(log_p.dtype)
    total = (log_p * weight).sum(axis=-1)
    return total / jnp.maximum(weight.sum(axis=-1), 1) if mean else total


def reward(
    chosen: jax.Array,
    rejected: jax.Array,
    margin: jax.Array | float = 0.0,
    centring: jax.Array | float = 0.0,
) -> jax.Array:
    """``-log σ(r⁺ - r⁻ - m) + c (r⁺ + r⁻)²``, in nats, of two answers' rewards r⁺ and r⁻.

    The first is the likelihood of the preferences by Bradley and Terry, 1952, as of Ouyang et al.,
    2022, equation 1; the margin m is of Touvron et al., 2023 ("Llama 2"), equation 2. Rewards are
    free but for a constant, which the second term draws to 0 (Eisenstein et al., 2023, "Helping or
    Herding?", section 2).

    Args:
      chosen: r⁺ (batch,), of the answer that was preferred.
      rejected: r⁻ (batch,).
      margin: by how much it should be better; a number, or (batch,).
      centring: c, at least 0.

    Returns:
      (batch,).
    """
    chosen, rejected = _wide(chosen), _wide(rejected)
    return _softplus(rejected - chosen + margin) + centring * jnp.square(chosen + rejected)


def dpo(
    difference: jax.Array, beta: jax.Array | float, label_smoothing: jax.Array | float = 0.0
) -> jax.Array:
    """``-(1 - ε) log σ(β d) - ε log σ(-β d)``, in nats; Rafailov et al., 2023, equation 7.

    Args:
      difference: d (batch,) as above, of sums over tokens.
      beta: β > 0, how dear it is to leave the reference: what is learned is the best policy for
        rewards less β KL(π ‖ π₀), the rewards being those of Bradley and Terry's model.
      label_smoothing: ε in [0, ½), the share of preferences that are taken to be the wrong way
        round: "conservative" DPO (Mitchell, 2023, "A note on DPO with noisy preferences").

    Returns:
      (batch,).
    """
    logits = beta * _wide(difference)
    return (1 - label_smoothing) * _softplus(-logits) + label_smoothing * _softplus(logits)


def ipo(difference: jax.Array, beta: jax.Array | float) -> jax.Array:
    """``(d - 1 / (2 β))²``; Azar et al., 2023, "A general theoretical paradigm", equation 17.

    Args:
      difference: d (batch,) as above. trl takes means over tokens, so that long answers' are no
        larger; the paper has sums.
      beta: β > 0, the paper's τ.

    Returns:
      (batch,).
    """
    return jnp.square(_wide(difference) - 1 / (2 * beta))


def hinge(difference: jax.Array, beta: jax.Array | float) -> jax.Array:
    """``max(0, 1 - β d)``; Zhao et al., 2023, "SLiC-HF", equation 1, on d as Liu et al., 2023, do.

    Args:
      difference: d (batch,) as above, of sums over tokens.
      beta: β > 0; 1 / β is the margin.

    Returns:
      (batch,).
    """
    return jnp.maximum(0, 1 - beta * _wide(difference))


class Direct(NamedTuple):
    """A loss by its name, and what it is of.

    Attributes:
      loss: (difference, beta) -> (batch,).
      mean: whether texts' log-probabilities are means over tokens, rather than sums.
    """

    loss: Callable[..., jax.Array]
    mean: bool


# As trl 1.16 has them.
DIRECT = {"dpo": Direct(dpo, False), "ipo": Direct(ipo, True), "hinge": Direct(hinge, False)}


def difference(policy: jax.Array, reference: jax.Array) -> jax.Array:
    """d (batch,) of texts' log-probabilities (batch, 2), of the chosen answer and the rejected."""
    ratio = _wide(policy) - _wide(reference)
    return ratio[:, 0] - ratio[:, 1]
