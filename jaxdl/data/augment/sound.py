"""Sounds otherwise than they were recorded: shifted, noisier, with parts of what is heard missing.

Samples are (batch, N), spectrograms (batch, frames, bands), both floating. Every example draws its
own change.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp

from jaxdl.data.augment.transform import Batch, changed, moves


@moves("samples", "length")
def time_shift(key: jax.Array, batch: Batch, most: int) -> dict[str, Any]:
    """Moves each sound by up to ``most`` samples either way; silence comes in, ends are lost.

    ``length`` (batch,), the samples up to the sound's end, moves with it, from 0 to N.
    """
    B, N = batch["samples"].shape
    by = jax.random.randint(key, (B,), -most, most + 1, jnp.int32)
    move = lambda x, by: jax.lax.dynamic_slice(jnp.pad(x, (most, most)), (most - by,), (N,))
    return changed(
        batch,
        samples=lambda x: jax.vmap(move)(x, by),
        length=lambda n: jnp.clip(n + by, 0, N),
    )


@moves("samples")
def add_noise(key: jax.Array, batch: Batch, low: float, high: float) -> dict[str, Any]:
    """Adds white noise at a signal-to-noise ratio drawn evenly from ``low`` to ``high`` decibels.

    The ratio is of mean squares: of the samples that are not padding (`length`, (batch,); all
    without it), and of the noise, which is added there alone. A silent sound stays silent.
    """
    samples = batch["samples"]
    k_ratio, k_noise = jax.random.split(key)
    B, N = samples.shape
    decibels = jax.random.uniform(k_ratio, (B, 1), jnp.float32, minval=low, maxval=high)
    there = jnp.ones((B, N), jnp.float32)
    if "length" in batch:
        there = (jnp.arange(N)[None] < batch["length"][:, None]).astype(jnp.float32)
    power = jnp.sum(jnp.square(samples) * there, axis=1, keepdims=True)
    power = power / jnp.maximum(there.sum(axis=1, keepdims=True), 1)
    ratio = jnp.exp(decibels * jnp.float32(math.log(10) / 20))
    noise = jax.random.normal(k_noise, (B, N), jnp.float32) * there
    return {**batch, "samples": samples + jnp.sqrt(power) / ratio * noise}


@moves("spectrogram")
def time_masks(key: jax.Array, batch: Batch, count: int, most: int) -> dict[str, Any]:
    """Hides ``count`` stretches of 0 to ``most`` frames of each spectrogram behind its mean.

    SpecAugment's time masks (Park et al., 2019, arXiv:1904.08779, section 2), which hides them
    behind 0 in spectrograms of mean 0.
    """
    return _hidden(key, batch, count, most, axis=1)


@moves("spectrogram")
def frequency_masks(key: jax.Array, batch: Batch, count: int, most: int) -> dict[str, Any]:
    """Hides ``count`` ranges of 0 to ``most`` bands; as `time_masks`."""
    return _hidden(key, batch, count, most, axis=2)


def _hidden(key: jax.Array, batch: Batch, count: int, most: int, axis: int) -> dict[str, Any]:
    seen = batch["spectrogram"]
    B, size = seen.shape[0], seen.shape[axis]
    most = min(most, size)
    k_width, k_place = jax.random.split(key)
    width = jax.random.randint(k_width, (B, count, 1), 0, most + 1, jnp.int32)
    # Uniform in 0 … size - width, whatever that is.
    place = jax.random.uniform(k_place, (B, count, 1), jnp.float32)
    start = jnp.floor(place * (size - width + 1).astype(jnp.float32)).astype(jnp.int32)
    at = jnp.arange(size, dtype=jnp.int32)[None, None]
    mask = ((at >= start) & (at < start + width)).any(axis=1)
    mask = jnp.expand_dims(mask, 3 - axis)
    mean = seen.mean((1, 2), keepdims=True)
    return {**batch, "spectrogram": jnp.where(mask, mean, seen)}


def create(
    settings: Mapping[str, Any], rate: int, hop: int
) -> tuple[Callable[[jax.Array, Batch], dict], Callable[[jax.Array, Batch], dict]]:
    """The augmentation that a config describes: of batches with samples, and with spectrograms.

    Args:
      settings: the keys of `config.augment_sound` (see `jaxdl.config`); 0 or () leaves one out.
      rate: samples a second.
      hop: samples from one frame to the next.

    Returns:
      Two functions (key, batch) -> batch, of ``samples`` and ``length``, and of ``spectrogram``.
    """
    s = settings
    shift, frames = round(s["shift"] * rate), round(s["time_mask"] * rate / hop)

    def of_samples(key: jax.Array, batch: Batch) -> dict[str, Any]:
        k_shift, k_noise = jax.random.split(key)
        if shift:
            batch = time_shift(k_shift, batch, shift)
        if s["snr"]:
            batch = add_noise(k_noise, batch, *s["snr"])
        return dict(batch)

    def of_spectrograms(key: jax.Array, batch: Batch) -> dict[str, Any]:
        k_time, k_frequency = jax.random.split(key)
        if s["time_masks"] and frames:
            batch = time_masks(k_time, batch, s["time_masks"], frames)
        if s["frequency_masks"] and s["frequency_mask"]:
            batch = frequency_masks(k_frequency, batch, s["frequency_masks"], s["frequency_mask"])
        return dict(batch)

    return of_samples, of_spectrograms
