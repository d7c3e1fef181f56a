"""What is learned of recordings with texts: their spectrograms, and what was said in them."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxdl.data import without_padding
from jaxdl.data.source_target import Specials, specials
from jaxdl.errors import UserError
from jaxdl.metrics import HIGH, LOW, edits
from jaxdl.tasks.shared import hearing
from jaxdl.tasks.shared.contract import Run
from jaxdl.tasks.shared.hearing import Hear, Hearing
from jaxdl.tasks.shared.reading import Example, Reader


class Listener(NamedTuple):
    """How batches of recordings become examples.

    Attributes:
      hears: the spectrograms.
      hear: what a step of training hears.
      special: tokens that are no part of a text.
      longest: tokens of a target, its end among them.
      prompt: tokens that stand in front of every target, and are learned like it.
    """

    hears: Hearing
    hear: Hear
    special: Specials
    longest: int
    prompt: tuple[int, ...] = ()

    def prepare(self, batch: Mapping, key: jax.Array | None) -> Example:
        """Spectrograms and targets of a batch; without a key nothing is drawn.

        The mask says which frames begin before their recording ends; where silence fills them up
        to what the model hears, it hears all of them, and there is none.
        """
        if key is None:
            batch = {**batch, "spectrogram": self.hears.spectrogram(batch["samples"])}
        else:
            batch = self.hear(batch, key)
        frames, _ = self.hears.shape
        begins = jnp.arange(frames) * self.hears.hop
        weight = without_padding(batch, jnp.ones(len(batch["length"]), jnp.float32))
        mask = None if self.hears.frames else begins[None] < batch["length"][:, None]
        target = batch["target"]
        if self.prompt:
            front = jnp.broadcast_to(
                jnp.array(self.prompt, target.dtype), (len(target), len(self.prompt))
            )
            target = jnp.concatenate([front, target], axis=1)
        return Example(batch["spectrogram"], mask, target, weight)

    @property
    def reader(self) -> Reader:
        """For tasks that write: the sources are frames."""
        frames, bands = self.hears.shape
        fields = {"bands": bands, "frames": frames}
        longest = self.longest + len(self.prompt)
        return Reader(self.prepare, self.special, (frames, longest), longest, fields)


def of_run(
    run: Run,
    bands: int,
    window: float,
    hop: float,
    frames: int = 0,
    prompt: tuple[int, ...] = (),
) -> Listener:
    """How a run's recordings are listened to; settings as of `hearing.of_run` and `Listener`.

    Raises:
      UserError: the data are no recordings with texts, or settings that do not fit them.
    """
    hears = hearing.of_run(run, bands, window, hop, frames)
    # What is drawn for training shows the shape of its targets at evaluation alone.
    found = {} if run.data.test is None else run.data.test.take(np.arange(1))
    if "target" not in found:
        raise UserError(
            f"task {run.config.task.name!r} learns from sounds with texts, such as "
            f"data.name='recordings' or 'dial_tones', and data set {run.config.data.name!r} has "
            "no texts"
        )
    special = specials(run.data.tokenizer)
    longest = found["target"].shape[1]
    return Listener(hears, hearing.training(run, hears), special, longest, prompt)


def recorded(samples: jax.Array) -> dict[str, jax.Array]:
    """A batch of sounds (batch, N) that nobody told the lengths of: silence behind them is none.

    ``length`` is at least 1.
    """
    behind = jnp.argmax(samples[:, ::-1] != 0, axis=1).astype(jnp.int32)
    length = jnp.where((samples != 0).any(axis=1), samples.shape[1] - behind, 1)
    return {"samples": samples, "length": length}


def figures(
    said: Sequence[str], written: Sequence[str], snr: np.ndarray | None = None
) -> dict[str, float]:
    """``exact_match``, ``wer`` and ``cer`` of texts and what was written for each.

    Args:
      said: n texts.
      written: as many.
      snr: (n,) decibels: where they differ there is ``exact_match_10db`` and the like of each.
    """
    right = np.array([a == b for a, b in zip(said, written, strict=True)])
    found = {
        "exact_match": float(right.mean()),
        "wer": edits.words(said, written).rate,
        "cer": edits.characters(said, written).rate,
    }
    ratios = [] if snr is None else sorted(set(snr.tolist()))
    if len(ratios) > 1:
        at = lambda ratio: hearing.at("exact_match", ratio)
        found |= {at(ratio): float(right[snr == ratio].mean()) for ratio in ratios}
    return found


def directions(run: Run) -> dict[str, str]:
    """Whichever is better, of all `figures` that a run may have."""
    ratios = getattr(run.data.train, "snrs", ())
    named = {hearing.at("exact_match", ratio): HIGH for ratio in ratios}
    return {"exact_match": HIGH, "wer": LOW, "cer": LOW, **named}
