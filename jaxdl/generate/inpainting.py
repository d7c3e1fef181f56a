"""Images completed: what is missing is drawn to fit what is there.

Lugmayr et al., 2022, "RePaint: Inpainting using Denoising Diffusion Probabilistic Models". What is
known is put in place, with as much noise as the rest has, behind every step; and because a step
fits the two together but once, the way goes back to more noise again and again. The network was
taught nothing of it.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

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
    jump: int = 1,
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
      jump: steps back to more noise at a time, 1 as in their algorithm; their experiments have 10
        of 250. The larger its share of the steps, the less what is drawn fits what is known.
      resamplings: times that a piece of the way is gone, 10 in the paper; 1 is no way back.

    Returns:
      Shaped like ``images``, in [-1, 1], and the same where nothing is missing.
    """
    image_of = choose("prediction", prediction, diffusion.PREDICTIONS).image
    images = jnp.asarray(images)
    table = moves(signal, steps, jump, resamplings, eta)
    rows = jax.tree.map(lambda x: jnp.asarray(x, images.dtype), table)
    rows = rows._replace(up=table.up, step=rows.step._replace(t=table.step.t))

    def go(noisy: jax.Array, now: Any) -> tuple[jax.Array, None]:
        how, key = now
        noise = jax.random.normal(key, noisy.shape, noisy.dtype)
        return move(network, image_of, images, missing, noisy, how, noise), None

    start = jax.random.normal(keys.named(key, "start"), images.shape, images.dtype)
    draws = jax.random.split(keys.named(key, "steps"), len(table.up))
    return jax.lax.scan(go, start, (rows, draws))[0]


class Move(NamedTuple):
    """From a level of noise to a neighbouring one, or an array of each for many.

    Attributes:
      up: whether to more noise.
      kept: of the variance, in a move to more noise; 1 in others.
      step: of `jaxdl.generate.diffusion`, for the others.
    """

    up: Any
    kept: Any
    step: diffusion.Step


def moves(signal: np.ndarray, steps: int, jump: int, resamplings: int, eta: float) -> Move:
    """All of the way, arguments as of `inpainted`: a `Move` of arrays (n,), float64."""
    table = diffusion.steps_back(signal, diffusion.chosen_steps(len(signal), steps), eta)
    passed = levels(steps, jump, resamplings)
    up = passed[1:] > passed[:-1]
    place = steps - 1 - passed[:-1]  # the noisiest stands first in the table
    # One draw takes all the timesteps between two levels: √(ᾱ'/ᾱ) x + √(1 - ᾱ'/ᾱ) ε.
    kept = np.where(up, table.here[place - up] / table.here[place], 1.0)
    return Move(up, kept, diffusion.Step(*(column[place] for column in table)))


def move(
    network: Callable[[jax.Array, jax.Array], jax.Array],
    image_of: Callable[..., jax.Array],
    images: jax.Array,
    missing: jax.Array,
    noisy: jax.Array,
    how: Move,
    noise: jax.Array,
) -> jax.Array:
    """One of `moves`, of ``noisy`` (batch, …), with ``noise`` like it; all else as of `inpainted`.

    ``image_of`` is that of a `jaxdl.generate.diffusion.Prediction`.
    """

    def to_less(noisy: jax.Array) -> jax.Array:
        # One draw does for both: each pixel is either known or not.
        drawn = diffusion.step_back(network, image_of, noisy, how.step, noise)
        known = jnp.sqrt(how.step.after) * images + jnp.sqrt(1 - how.step.after) * noise
        return jnp.where(missing, drawn, known)

    to_more = lambda noisy: jnp.sqrt(how.kept) * noisy + jnp.sqrt(1 - how.kept) * noise
    return jax.lax.cond(how.up, to_more, to_less, noisy)
