"""A generator and a discriminator of whole images, and what each minimises."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxdl.losses import gan as games
from jaxdl.metrics import Mean
from jaxdl.parallel import replicas
from jaxdl.tasks import learner


class Players(NamedTuple):
    """Two networks and their game.

    Attributes:
      module: with ``generate`` and ``discriminate``.
      game: of `jaxdl.losses.gan.GAMES`.
      latent: size of the noise.
      gradient_penalty: its weight; 0 is off.
      classes: of which both are told; 0 is of none.
    """

    module: Any
    game: games.Game
    latent: int
    gradient_penalty: float
    classes: int = 0

    def generate(self, variables: Any, noise: jax.Array, label: jax.Array, **how: Any) -> Any:
        """Noise (n, latent), of labels (n,) if there are classes, to images (n, h, w, c)."""
        given = self.given(noise, label)
        return self.module.apply(variables, *given, method="generate", **how)

    def discriminate(self, variables: Any, images: jax.Array, label: jax.Array, **how: Any) -> Any:
        """Images (n, h, w, c) in [-1, 1], of labels (n,) if there are classes, to logits (n,)."""
        given = self.given(images, label)
        return self.module.apply(variables, *given, method="discriminate", **how)

    def given(self, x: jax.Array, label: jax.Array) -> tuple[jax.Array, ...]:
        """What a network is given with ``x``: of classes that it is not told of nothing."""
        return (x, label) if self.classes else (x,)

    def labels_of(self, batch: Mapping) -> jax.Array:
        """(n,) int32 of ``label``; zeros where there are no classes."""
        return batch["label"] if self.classes else jnp.zeros(len(batch["image"]), jnp.int32)

    def noise(self, key: jax.Array, size: int) -> jax.Array:
        """(size, latent), of this device's own."""
        return jax.random.normal(replicas.own(key), (size, self.latent), jnp.float32)


def discriminator_loss(
    players: Players,
    generator: learner.Learner,
    params: Any,
    model_state: Any,
    batch: Mapping,
    key: jax.Array,
) -> learner.Loss:
    """What the discriminator minimises: of ``image`` (n, h, w, c) and of fakes from ``noise``.

    Both are of the classes that ``label`` (n,) says.
    """
    label = batch["label"]

    def judge(model_state: Any, images: jax.Array) -> tuple[jax.Array, Any]:
        variables = {"params": params, **model_state}
        how = dict(train=True, mutable=list(model_state))
        logits, new = players.discriminate(variables, images, label, **how)
        return logits, {**model_state, **new}

    real = batch["image"]
    how = dict(train=True, mutable=list(generator.model_state))
    fake, _ = players.generate(generator.variables, batch["noise"], label, **how)
    # Each kind has batch statistics of its own, as published.
    real_logits, model_state = judge(model_state, real)
    fake_logits, model_state = judge(model_state, fake)
    per_example = players.game.discriminator(real_logits, fake_logits)
    found = {"real_logit": Mean.of(real_logits), "fake_logit": Mean.of(fake_logits)}
    if players.gradient_penalty:
        penalty = games.gradient_penalty(
            lambda images: judge(model_state, images)[0], real, fake, key
        )
        per_example = per_example + players.gradient_penalty * penalty
        found["gradient_penalty"] = Mean.of(penalty)
    return learner.Loss(Mean.of(per_example), model_state, found)


def generator_loss(
    players: Players,
    discriminator: learner.Learner,
    params: Any,
    model_state: Any,
    batch: Mapping,
    key: jax.Array,
) -> learner.Loss:
    """What the generator minimises: of how its images from ``noise`` and ``label`` are judged."""
    variables, label = {"params": params, **model_state}, batch["label"]
    how = dict(train=True, mutable=list(model_state))
    fake, new = players.generate(variables, batch["noise"], label, **how)
    how = dict(train=True, mutable=list(discriminator.model_state))
    logits, _ = players.discriminate(discriminator.variables, fake, label, **how)
    return learner.Loss(Mean.of(players.game.generator(logits)), {**model_state, **new}, {})
