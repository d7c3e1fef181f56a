"""How tasks hear: what is drawn or read as samples becomes spectrograms, on the device."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxdl import keys, ops
from jaxdl.data.augment import sound
from jaxdl.data.drawn import drawn
from jaxdl.errors import UserError
from jaxdl.tasks.shared.contract import Run, Sound


class Hearing(NamedTuple):
    """Log-mel spectrograms of a run's sounds (`jaxdl.ops.log_mel`).

    Attributes:
      sound: the rate and the number of samples.
      window: samples of a frame.
      hop: samples from one frame to the next.
      bands: of the mel scale.
      frames: that silence fills all spectrograms up to; 0 is as many as the sounds have.
    """

    sound: Sound
    window: int
    hop: int
    bands: int
    frames: int = 0

    @property
    def shape(self) -> tuple[int, int]:
        """Frames and bands of a spectrogram."""
        return self.frames or self.sound.count // self.hop, self.bands

    def spectrogram(self, samples: jax.Array) -> jax.Array:
        """(batch, count) -> (batch, frames, bands) float32."""
        if self.frames:
            behind = max(0, self.frames * self.hop - samples.shape[1])
            samples = jnp.pad(samples, ((0, 0), (0, behind)))[:, : self.frames * self.hop]
        return ops.log_mel(samples, self.sound.rate, self.window, self.hop, self.bands)


def of_run(run: Run, bands: int, window: float, hop: float, frames: int = 0) -> Hearing:
    """What hears a run's sounds; ``window`` and ``hop`` in seconds.

    Args:
      run: the run's config and data.
      bands: of the mel scale.
      window: seconds of a frame.
      hop: seconds from one frame to the next.
      frames: that a model hears each time, silence behind what is shorter; 0 is those of a sound.

    Raises:
      UserError: the data are no sounds, or settings that do not fit them.
    """
    train, task = run.data.train, run.config.task.name
    rate, count = (getattr(train, name, None) for name in ("rate", "count"))
    if not rate or not count:
        raise UserError(
            f"task {task!r} learns from sounds, such as data.name='sounds' or 'dial_keys', and "
            f"data set {run.config.data.name!r} has none"
        )
    for name, value in (("window", window), ("hop", hop)):
        if not 2 <= value * rate <= count:
            raise UserError(
                f"config.task.{name}={value:g} must be from {2 / rate:g} to {count / rate:g} "
                "seconds, the length of a sound"
            )
    size = round(window * rate)
    if not 1 <= bands <= size // 2:
        raise UserError(
            f"config.task.bands={bands} must be from 1 to {size // 2}, half the samples of a window"
        )
    step = round(hop * rate)
    if frames and count > frames * step:
        raise UserError(
            f"config.data.seconds={count / rate:g}: the model hears {frames} frames, "
            f"{frames * step / rate:g} seconds, at a time: set no more"
        )
    # What is heard of a file is then what the model hears at a time.
    count = frames * step if frames else count
    return Hearing(Sound(int(rate), int(count)), size, step, bands, frames)


# (batch, key) -> the batch that is learned from, with ``spectrogram`` (batch, frames, bands).
Hear = Callable[[Mapping[str, Any], jax.Array], Mapping[str, Any]]


def training(run: Run, hearing: Hearing) -> Hear:
    """What a step of training hears: drawn where the data are, augmented as the config says."""
    settings, train = run.config.augment_sound, run.data.train
    of_samples, of_spectrograms = sound.create(settings, hearing.sound.rate, hearing.hop)

    def hear(batch: Mapping[str, Any], key: jax.Array) -> Mapping[str, Any]:
        batch = drawn(train, keys.named(key, "data"), batch)
        batch = of_samples(keys.named(key, "augment"), batch)
        batch = {**batch, "spectrogram": hearing.spectrogram(batch["samples"])}
        return of_spectrograms(keys.named(key, "augment_spectrogram"), batch)

    return hear


def at(figure: str, snr: float) -> str:
    """The name of a figure at one signal-to-noise ratio, in decibels."""
    return f"{figure}_{snr:g}db"
