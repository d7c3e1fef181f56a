"""A network that tells noise from images, and what is made with it."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxdl import keys
from jaxdl.generate import diffusion, inpainting, interpolation
from jaxdl.tasks.shared import generation

# Images of whose way from noise is kept as they are drawn.
SEEN = 5


class Denoiser(NamedTuple):
    """A network that tells noise from images, and what it was told of them.

    Attributes:
      module: noisy images (n, h, w, c), timesteps (n,) and labels (n,) -> the images' shape.
      signal: (timesteps,), the share of the image's variance that is left at each.
      prediction: what it says: "epsilon", "x0" or "v".
      classes: that it knows; the label ``classes`` is that of no class. 0 where it knows none.
      shape: (h, w, c).
    """

    module: Any
    signal: np.ndarray
    prediction: str
    classes: int
    shape: tuple[int, ...]

    def labels_of(self, batch: Mapping) -> jax.Array:
        """(n,) int32; of a network without classes zeros."""
        return batch["label"] if self.classes else jnp.zeros(len(batch["image"]), jnp.int32)

    def asked(
        self, variables: Any, labels: jax.Array, guidance: float
    ) -> Callable[[jax.Array, jax.Array], jax.Array]:
        """What `jaxdl.generate.diffusion` asks of it: (x_t, t (n,)) -> its answer by labels (n,).

        Args:
          variables: its weights.
          labels: of the images that are to be made.
          guidance: weight of classifier-free guidance; 0 is off.
        """

        def network(noisy: jax.Array, t: jax.Array) -> jax.Array:
            if not guidance:
                return self.module.apply(variables, noisy, t, labels)
            twice = lambda x: jnp.concatenate([x, x])
            both = jnp.concatenate([labels, jnp.full_like(labels, self.classes)])
            answers = self.module.apply(variables, twice(noisy), twice(t), both)
            return diffusion.guided(*jnp.split(answers, 2), guidance)

        return network


def drawn(
    net: Denoiser,
    variables: Any,
    key: jax.Array,
    labels: jax.Array,
    *,
    steps: int,
    eta: float,
    guidance: float = 0.0,
) -> tuple[jax.Array, jax.Array]:
    """Images (n, h, w, c) of labels (n,), and the first SEEN before each step, in [0, 1]."""
    start = jax.random.normal(keys.named(key, "start"), (len(labels), *net.shape), jnp.float32)
    images, frames = diffusion.sample(
        net.asked(variables, labels, guidance), keys.named(key, "steps"), start, net.signal,
        steps=steps, prediction=net.prediction, eta=eta, seen=SEEN,
    )  # fmt: skip
    return generation.unit_range(images), generation.unit_range(frames)


def completed(
    net: Denoiser,
    variables: Any,
    key: jax.Array,
    images: jax.Array,
    missing: jax.Array,
    labels: jax.Array,
    *,
    guidance: float,
    **how: Any,
) -> jax.Array:
    """Images (n, h, w, c), uint8 or in [0, 1], filled in where something is ``missing``, in [0, 1].

    Args:
      net: with its variables.
      variables: its weights.
      key: of the noise.
      images: what is known of them counts.
      missing: (h, w) booleans.
      labels: (n,) of what they are to become.
      guidance: as of `Denoiser.asked`.
      **how: steps, jump and resamplings of `jaxdl.generate.inpainting.inpainted`.
    """
    made = inpainting.inpainted(
        net.asked(variables, labels, guidance), key, generation.scaled(images),
        missing[..., None], net.signal, prediction=net.prediction, **how,
    )  # fmt: skip
    return generation.unit_range(made)


def between(
    net: Denoiser,
    variables: Any,
    key: jax.Array,
    images: jax.Array,
    shares: jax.Array,
    labels: jax.Array,
    *,
    guidance: float,
    **how: Any,
) -> jax.Array:
    """What is between two images (2, h, w, c), uint8 or in [0, 1], for each share, in [0, 1].

    Args:
      net: with its variables.
      variables: its weights.
      key: of the noise.
      images: the two.
      shares: (n,) of the second.
      labels: (n,) of what is made.
      guidance: as of `Denoiser.asked`.
      **how: timesteps, steps and eta of `jaxdl.generate.interpolation.interpolated`.
    """
    first, second = generation.scaled(images)
    made = interpolation.interpolated(
        net.asked(variables, labels, guidance), key, first, second, shares, net.signal,
        prediction=net.prediction, **how,
    )  # fmt: skip
    return generation.unit_range(made)
