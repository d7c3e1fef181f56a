"""Adversarial losses as pure functions of logits: one number an example, float32 or wider.

Logits are the discriminator's, (batch,), high for what it takes to be real.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxdl import ops


class Game(NamedTuple):
    """What each of the two minimises.

    Attributes:
      discriminator: (logits of real images, logits of generated ones) -> (batch,).
      generator: (logits of generated images) -> (batch,).
    """

    discriminator: Callable[[jax.Array, jax.Array], jax.Array]
    generator: Callable[[jax.Array], jax.Array]


def _wide(x: jax.Array) -> jax.Array:
    return jnp.asarray(x, ops.wide_dtype(jnp.result_type(x)))


def _softplus(x: jax.Array) -> jax.Array:
    return jnp.logaddexp(_wide(x), 0.0)


# -log D(x) - log(1 - D(G(z))) and -log D(G(z)) with D = σ(logit): Goodfellow et al., 2014, section
# 3. The generator does not minimise what the discriminator maximises, whose gradient vanishes where
# the discriminator is sure.
non_saturating = Game(
    lambda real, fake: _softplus(-real) + _softplus(fake), lambda fake: _softplus(-fake)
)

# D(G(z)) - D(x) and -D(G(z)): Arjovsky, Chintala and Bottou, 2017, algorithm 1. Without the sign it
# estimates the earth mover's distance, if the critic's slope is at most 1.
wasserstein = Game(lambda real, fake: _wide(fake) - _wide(real), lambda fake: -_wide(fake))

# ½ (D(x) - 1)² + ½ D(G(z))² and ½ (D(G(z)) - 1)²: Mao et al., 2017, equation 9.
least_squares = Game(
    lambda real, fake: 0.5 * (jnp.square(_wide(real) - 1) + jnp.square(_wide(fake))),
    lambda fake: 0.5 * jnp.square(_wide(fake) - 1),
)

# max(0, 1 - D(x)) + max(0, 1 + D(G(z))) and -D(G(z)): Miyato et al., 2018, equations 16 and 17.
hinge = Game(
    lambda real, fake: jnp.maximum(0, 1 - _wide(real)) + jnp.maximum(0, 1 + _wide(fake)),
    lambda fake: -_wide(fake),
)

GAMES = {
    "non_saturating": non_saturating,
    "wasserstein": wasserstein,
    "least_squares": least_squares,
    "hinge": hinge,
}

# Of translations: as Isola et al., 2017, section 3.3, and Zhu et al., 2017, section 4, have it, the
# discriminator's is half of what tells real from generated, and the generator's is whole.
TRANSLATIONS = {
    "cross_entropy": Game(
        lambda real, fake: 0.5 * non_saturating.discriminator(real, fake), non_saturating.generator
    ),
    "least_squares": Game(
        least_squares.discriminator, lambda fake: 2.0 * least_squares.generator(fake)
    ),
}


def of_patches(losses: jax.Array) -> jax.Array:
    """Losses (batch, h, w) of patches, to one number a picture, their mean (batch,)."""
    return losses.mean(axis=(1, 2))


def gradient_penalty(
    critic: Callable[[jax.Array], jax.Array], real: jax.Array, fake: jax.Array, key: jax.Array
) -> jax.Array:
    """``(‖∇ critic(x̂)‖₂ - 1)²`` at a random point x̂ between each pair (Gulrajani et al., 2017, 3).

    Args:
      critic: images (batch, …) -> logits (batch,), each a function of its own image alone.
      real: (batch, …), floating.
      fake: same shape.
      key: typed random key; one uniform number an example is drawn.

    Returns:
      (batch,), to be weighed by 10 as published.
    """
    share = jax.random.uniform(key, (real.shape[0], *[1] * (real.ndim - 1)), real.dtype)
    between = share * real + (1 - share) * fake
    slopes = jax.grad(lambda x: critic(x).sum())(between)
    square = _wide(jnp.square(slopes.reshape(slopes.shape[0], -1)).sum(axis=1))
    # Where the discriminator is flat none flows.
    return jnp.square(ops.safe_sqrt(square) - 1)


def r1_penalty(critic: Callable[[jax.Array], jax.Array], real: jax.Array) -> jax.Array:
    """``½ ‖∇ critic(x)‖₂²`` at real images (Mescheder, Geiger and Nowozin, 2018, equation 9).

    Args:
      critic: images (batch, …) -> logits (batch,).
      real: (batch, …), floating.

    Returns:
      (batch,), to be weighed by the paper's γ. Where the critic looks at several images at once,
      each has its part of the slope of the sum of all logits.
    """
    slopes = _wide(jax.grad(lambda x: critic(x).sum())(real))
    return 0.5 * jnp.square(slopes.reshape(slopes.shape[0], -1)).sum(axis=1)


def path_lengths(
    synthesise: Callable[[jax.Array], jax.Array], styles: jax.Array, noise: jax.Array
) -> jax.Array:
    """``‖Jᵀ y‖₂`` of how images follow from styles (Karras et al., 2020, equation 4).

    As their code has it: y is over √(h w), and with a style for each layer the square is the mean
    over layers.

    Args:
      synthesise: styles -> images (batch, h, w, c), each a function of its own styles alone.
      styles: (batch, layers, width), floating.
      noise: of the images' shape, standard normal.

    Returns:
      (batch,), whose distance to its own average is to be small.
    """
    _, height, width, _ = noise.shape
    along = noise / math.sqrt(height * width)
    slopes = _wide(jax.grad(lambda styles: (synthesise(styles) * along).sum())(styles))
    square = jnp.square(slopes).sum(axis=2).mean(axis=1)
    return ops.safe_sqrt(square)
