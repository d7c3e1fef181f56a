"""Diffusion: how noise is added, what a network may predict of it, and how it is taken off again.

Ho, Jain and Abbeel, 2020, "Denoising Diffusion Probabilistic Models" (DDPM); Song, Meng and Ermon,
2021, "Denoising Diffusion Implicit Models" (DDIM); Nichol and Dhariwal, 2021, "Improved Denoising
Diffusion Probabilistic Models"; Salimans and Ho, 2022, "Progressive Distillation" (v).

Throughout, ᾱ is the share of the data's variance that is left: x_t = √ᾱ_t x₀ + √(1 - ᾱ_t) ε, with
t = 0 the least noise and t = timesteps - 1 the most.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxdl.registry import choose

# No step may add all the variance there is (Nichol and Dhariwal, 2021, section 3.2).
_MOST = 0.999


def linear(timesteps: int) -> np.ndarray:
    """Variances β from 1e-4 to .02 in equal steps at 1000 timesteps (Ho et al., 2020, section 4).

    Other numbers of timesteps have β in proportion, so that they end in as much noise; of one
    alone it is the mean of the ends.
    """
    first, last = (1e-4, 0.02) if timesteps > 1 else (0.01005, 0.01005)
    return np.linspace(first, last, timesteps) * 1000 / timesteps


def cosine(timesteps: int, offset: float = 0.008) -> np.ndarray:
    """ᾱ falls like a squared cosine (Nichol and Dhariwal, 2021, equation 17)."""
    t = np.arange(timesteps + 1) / timesteps
    left = np.cos((t + offset) / (1 + offset) * math.pi / 2) ** 2
    return 1 - left[1:] / left[:-1]


SCHEDULES: dict[str, Callable[[int], np.ndarray]] = {"linear": linear, "cosine": cosine}


def signal_shares(schedule: str, timesteps: int) -> np.ndarray:
    """ᾱ at each timestep.

    Args:
      schedule: "linear" or "cosine".
      timesteps: how many.

    Returns:
      (timesteps,) float64, falling, in (0, 1).

    Raises:
      UserError: unknown schedule.
    """
    betas = choose("noise schedule", schedule, SCHEDULES)(timesteps)
    return np.cumprod(1 - np.minimum(betas, _MOST))


def add_noise(x: jax.Array, noise: jax.Array, signal: jax.Array) -> jax.Array:
    """x_t of the images ``x`` and of ``noise`` (batch, …), with ᾱ ``signal`` (batch,)."""
    signal = _like(signal, x)
    return jnp.sqrt(signal) * x + jnp.sqrt(1 - signal) * noise


class Prediction(NamedTuple):
    """What a network is taught to say of x_t.

    Attributes:
      target: (x₀, ε, ᾱ) -> what is right.
      image: (answer, x_t, ᾱ) -> the x₀ that it means.
    """

    target: Callable[..., jax.Array]
    image: Callable[..., jax.Array]


PREDICTIONS = {
    "epsilon": Prediction(
        lambda x, noise, signal: noise,
        lambda answer, noisy, signal: (noisy - jnp.sqrt(1 - signal) * answer) / jnp.sqrt(signal),
    ),
    "x0": Prediction(lambda x, noise, signal: x, lambda answer, noisy, signal: answer),
    "v": Prediction(
        lambda x, noise, signal: jnp.sqrt(signal) * noise - jnp.sqrt(1 - signal) * x,
        lambda answer, noisy, signal: jnp.sqrt(signal) * noisy - jnp.sqrt(1 - signal) * answer,
    ),
}


def target(prediction: str, x: jax.Array, noise: jax.Array, signal: jax.Array) -> jax.Array:
    """What the network should answer: ε, x₀ or v = √ᾱ ε - √(1 - ᾱ) x₀; arguments as `add_noise`.

    Raises:
      UserError: ``prediction`` is none of "epsilon", "x0" and "v".
    """
    return choose("prediction", prediction, PREDICTIONS).target(x, noise, _like(signal, x))


def chosen_steps(timesteps: int, steps: int) -> np.ndarray:
    """``steps`` of the timesteps, evenly spread and with the last, falling; int32."""
    return (-(-timesteps * np.arange(steps, 0, -1) // steps) - 1).astype(np.int32)


def sample(
    network: Callable[[jax.Array, jax.Array], jax.Array],
    key: jax.Array,
    start: jax.Array,
    signal: np.ndarray,
    *,
    steps: int,
    prediction: str = "epsilon",
    eta: float = 1.0,
    seen: int = 0,
) -> tuple[jax.Array, jax.Array]:
    """Images out of noise: Song et al., 2021, equation 12, with x₀ held to [-1, 1].

    Args:
      network: (x_t (batch, …), t (batch,) int32) -> its answer, shaped like x_t.
      key: of the noise that is added on the way.
      start: (batch, …) standard normal.
      signal: ᾱ of all timesteps, from `signal_shares`.
      steps: how many of them are used, at most all.
      prediction: what the network answers: "epsilon", "x0" or "v".
      eta: share of the ancestral noise. 1 is DDPM's ancestral sampling with the posterior's
        variance (Ho et al., 2020, equation 7), 0 is DDIM, which adds none.
      seen: how many of the images are also returned as they were on the way.

    Returns:
      Images (batch, …) in [-1, 1], and (steps, seen, …) x_t before each step, noisiest first.
    """
    chosen = chosen_steps(len(signal), steps)
    return denoised(network, key, start, signal, chosen, prediction=prediction, eta=eta, seen=seen)


def denoised(
    network: Callable[[jax.Array, jax.Array], jax.Array],
    key: jax.Array,
    noisy: jax.Array,
    signal: np.ndarray,
    chosen: np.ndarray,
    *,
    prediction: str = "epsilon",
    eta: float = 1.0,
    seen: int = 0,
    alike: bool = False,
) -> tuple[jax.Array, jax.Array]:
    """Images out of such as are ``noisy`` (batch, …) at the first of the timesteps ``chosen``.

    Args:
      network: as of `sample`; so are key, signal, prediction, eta and seen, and what is returned.
      noisy: x_t of the first timestep.
      chosen: the timesteps that are used, falling.
      alike: whether the noise that is added on the way is the same for all of the batch.
    """
    image_of = choose("prediction", prediction, PREDICTIONS).image
    table = steps_back(signal, chosen, eta)

    def step(noisy: jax.Array, now: Any) -> tuple[jax.Array, jax.Array]:
        how, key = now
        shape = noisy.shape[1:] if alike else noisy.shape
        fresh = jax.random.normal(key, shape, noisy.dtype) if eta else 0.0
        return step_back(network, image_of, noisy, how, fresh), noisy[:seen]

    rows = jax.tree.map(lambda x: jnp.asarray(x, noisy.dtype), table)._replace(t=table.t)
    return jax.lax.scan(step, noisy, (rows, jax.random.split(key, len(chosen))))


class Step(NamedTuple):
    """A step from x_t to one with less noise, or an array of each for many.

    Attributes:
      t: the timestep, int32.
      here: ᾱ at it.
      after: ᾱ behind the step; 1 is the image.
      old: share of the difference between x_t and √ᾱ x₀ that is kept.
      deviation: of the noise that is drawn anew.
    """

    t: Any
    here: Any
    after: Any
    old: Any
    deviation: Any


def steps_back(signal: np.ndarray, chosen: np.ndarray, eta: float) -> Step:
    """Song et al., 2021, equations 12 and 16, for each of the timesteps ``chosen``, falling.

    Args:
      signal: ᾱ of all timesteps.
      chosen: (steps,) int32; behind the last one comes the image.
      eta: as of `sample`.

    Returns:
      A `Step` of arrays (steps,), float64 but for ``t``.
    """
    here = signal[chosen]
    after = np.append(here[1:], 1.0)  # the last step ends in the image
    fresh = eta**2 * (1 - here / after) / (1 - here)  # the share of the noise that is drawn anew
    # In float64: what is left of the old noise is a difference of what may be nearly the same, and
    # below 0 by rounding.
    old = np.sqrt((1 - after) * np.maximum(1 - fresh, 0) / (1 - here))
    return Step(chosen, here, after, old, np.sqrt((1 - after) * fresh))


def step_back(
    network: Callable[[jax.Array, jax.Array], jax.Array],
    image_of: Callable[..., jax.Array],
    noisy: jax.Array,
    how: Step,
    fresh: jax.Array | float,
) -> jax.Array:
    """One step.

    Args:
      network: as of `sample`.
      image_of: ``image`` of a `Prediction`.
      noisy: x_t (batch, …).
      how: of numbers.
      fresh: noise of deviation 1, shaped like ``noisy`` or like one of its images.
    """
    answer = network(noisy, jnp.full(noisy.shape[:1], how.t))
    image = jnp.clip(image_of(answer, noisy, how.here), -1, 1)
    # The noise that leads from this image to x_t: not the answer's where the image was cut.
    mean = jnp.sqrt(how.after) * image + how.old * (noisy - jnp.sqrt(how.here) * image)
    return mean + how.deviation * fresh


def guided(conditional: jax.Array, unconditional: jax.Array, scale: float) -> jax.Array:
    """Classifier-free guidance: (1 + w) · conditional - w · unconditional answers.

    Ho and Salimans, 2022, "Classifier-Free Diffusion Guidance", equation 6; ``scale`` is w, and 0
    leaves the conditional answer.
    """
    # Not as it is written above: of two large products the difference has few digits.
    return conditional + scale * (conditional - unconditional)


def _like(share: jax.Array, x: jax.Array) -> jax.Array:
    """(batch,) -> (batch, 1, …), to go with (batch, …)."""
    return share.reshape(-1, *[1] * (x.ndim - 1))
