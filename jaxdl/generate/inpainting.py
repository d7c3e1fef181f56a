"""Images completed: what is missing is drawn to fit what is there.

Lugmayr et al., 2022, "RePaint: Inpainting using Denoising Diffusion Probabilistic Models". What is
known is put in place, with as much noise as the rest has, behind every step; and because a step
fits the two together but once, the way goes back to more noise again and again. The network was
taught nothing of it.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxdl import keys
from jaxdl.generate import diffusion
from jaxdl.registry import choose


def levels(steps: int, jump: int, resamplings: int) -> np.ndarray:
    """The levels of noise that are passed, from ``steps`` - 1 to -1, which is the image.

    Lugmayr et al., 2022, appendix B: at every ``jump``-th level, but the highest, ``jump`` steps
    are taken back to more noise, ``resamplings`` - 1 times. Where there are not more steps than
    ``jump``, none are.

    Returns:
      (n,) int32; neighbours differ by 1.
    """
    left = dict.fromkeys(range(0, steps - jump, jump), resamplings - 1)
    passed = [steps - 1]
    while passed[-1] >= 0:
        level = passed[-1]
        if left.get(level, 0):
            left[level] -= 1
            passed += range(level + 1, level + jump + 1)
        passed.append(passed[-1] - 1)
    return np.asarray(passed, np.int32)


def inpainted(
    network: Callable[[jax.Array, jax.Array], jax.Array],
    key: jax.Array,
    images: jax.Array,
    missing: jax.Array,
    signal: np.ndarray,
    *,
    steps: int,
    jump: int = 10,
    resamplings: int = 10,
    prediction: str = "epsilon",
    eta: float = 1.0,
) -> jax.Array:
    """``images`` (batch, …) with what is ``missing`` filled in: Lugmayr et al., 2022, algorithm 1.

    Args:
      network: as of `jaxdl.generate.diffusion.sample`, as steps, prediction and eta are.
      key: of the noise.
      images: in [-1, 1]; what they have where something is missing counts for nothing.
      missing: booleans, of any shape that goes with theirs.
      signal: ᾱ of all timesteps.
      jump: steps back to more noise at a time; 10 of 250 in the paper.
      resamplings: times that a piece of the way is gone, 10 in the paper; 1 is no way back.

    Returns:
      Shaped like ``images``, in [-1, 1], and the same where nothing is missing.
    """
    image_of = choose("prediction", prediction, diffusion.PREDICTIONS).image
    chosen = diffusion.chosen_steps(len(signal), steps)
    table = diffusion.steps_back(signal, chosen, eta)
    passed = levels(steps, jump, resamplings)
    from_level, to_level = passed[:-1], passed[1:]
    place = steps - 1 - from_level  # the noisiest stands first in the table
    moves = diffusion.Step(*(column[place] for column in table))
    # Towards more noise: x = √(ᾱ'/ᾱ) x + √(1 - ᾱ'/ᾱ) ε, in place of a step for each timestep.
    up = to_level > from_level
    kept = np.where(up, table.here[place - up] / moves.here, 1.0)
    images = jnp.asarray(images)
    single = lambda x: jnp.asarray(x, images.dtype)

    def go(noisy: jax.Array, now: Any) -> tuple[jax.Array, None]:
        how, up, kept, key = now
        noise = jax.random.normal(key, noisy.shape, noisy.dtype)

        def to_less(noisy: jax.Array) -> jax.Array:
            # One draw does for both: each pixel is either known or not.
            drawn = diffusion.step_back(network, image_of, noisy, how, noise)
            known = jnp.sqrt(how.after) * images + jnp.sqrt(1 - how.after) * noise
            return jnp.where(missing, drawn, known)

        to_more = lambda noisy: jnp.sqrt(kept) * noisy + jnp.sqrt(1 - kept) * noise
        return jax.lax.cond(up, to_more, to_less, noisy), None

    start = jax.random.normal(keys.named(key, "start"), images.shape, images.dtype)
    moves = jax.tree.map(single, moves)._replace(t=moves.t)
    draws = jax.random.split(keys.named(key, "steps"), len(up))
    return jax.lax.scan(go, start, (moves, up, single(kept), draws))[0]
