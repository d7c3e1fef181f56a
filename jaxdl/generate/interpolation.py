"""Between two images: Ho, Jain and Abbeel, 2020, section 4.3.

Both get noise up to a timestep, are mixed there, and the mixture is taken back to an image. The
more noise, the less of either is left, and the more the network makes of it itself.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from jaxdl import keys
from jaxdl.generate import diffusion


def interpolated(
    network: Callable[[jax.Array, jax.Array], jax.Array],
    key: jax.Array,
    first: jax.Array,
    second: jax.Array,
    shares: jax.Array,
    signal: np.ndarray,
    *,
    timesteps: int,
    steps: int,
    prediction: str = "epsilon",
    eta: float = 1.0,
) -> jax.Array:
    """What is between ``first`` and ``second``, with x_t = (1 - λ) x_t + λ x'_t for each share λ.

    Each of the two has one draw of noise for all shares, and all share the noise on the way back,
    so that what is made differs by the share alone.

    Args:
      network: as of `jaxdl.generate.diffusion.sample`, as prediction and eta are.
      key: of the noise.
      first: (h, w, c) in [-1, 1].
      second: the same.
      shares: (n,) λ in [0, 1], how much of the second.
      signal: ᾱ of all timesteps.
      timesteps: of noise that both get, at least 1; 500 of 1000 in the paper.
      steps: how many of these are used on the way back, at most all.

    Returns:
      (n, h, w, c) in [-1, 1].
    """
    left = jnp.asarray(signal[timesteps - 1 : timesteps], first.dtype)
    noise = jax.random.normal(keys.named(key, "noise"), (2, *first.shape), first.dtype)
    both = diffusion.add_noise(jnp.stack([first, second]), noise, left.repeat(2))
    share = shares.reshape(-1, *[1] * first.ndim).astype(first.dtype)
    chosen = diffusion.chosen_steps(timesteps, steps)
    return diffusion.denoised(
        network, keys.named(key, "steps"), (1 - share) * both[0] + share * both[1], signal, chosen,
        prediction=prediction, eta=eta, alike=True,
    )[0]  # fmt: skip
