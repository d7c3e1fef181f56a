"""What is made of recordings by a model that writes: figures, reports, and answers to files."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxdl import keys
from jaxdl.data.decoded import Decoded
from jaxdl.data.split import Arrays
from jaxdl.data.spread import evenly
from jaxdl.metrics import edits
from jaxdl.report import draw, sound
from jaxdl.tasks.shared import transcripts
from jaxdl.tasks.shared.contract import Description
from jaxdl.tasks.shared.hearing import Hearing
from jaxdl.tasks.shared.splits import EachFn, over_split
from jaxdl.tasks.shared.texts import printable

# Recordings that a report is of, those that it tells of, that can be heard, and that are drawn.
_LOOKED_AT, _TOLD, _HEARD, _DRAWN = 256, 24, 4, 8


class Shown(NamedTuple):
    """One recording of a report.

    Attributes:
      source: (1, frames, bands), up to its end.
      said: the text.
      written: (1, T) tokens.
    """

    source: np.ndarray
    said: str
    written: np.ndarray


class Recogniser(NamedTuple):
    """A model that makes texts of recordings.

    Attributes:
      hears: how recordings are heard.
      each: (state, batch, key) -> ``written``, tokens (batch, T); compiled.
      text: of tokens (T,), up to their end.
      most: recordings that figures are of.
      at_once: of them at a time.
    """

    hears: Hearing
    each: EachFn
    text: Callable[[np.ndarray], str]
    most: int
    at_once: int

    def _some(self, state: Any, split: Any, most: int) -> tuple[Any, Mapping, np.ndarray]:
        """Some recordings, what is known of each, and ``written`` for them.

        Those in files are decoded batch after batch: thousands of 30 s are gigabytes.
        """
        places = evenly(len(split), most)
        if isinstance(split, Decoded):
            some = split.subset(places)
            known = some.further
        else:
            some = Arrays(split.take(places))
            known = some.arrays
        return some, known, over_split(self.each, some, self.at_once, state)["written"]

    def score(self, state: Any, split: Any, key: jax.Array) -> dict[str, float]:
        """`Task.score`; ``key`` draws nothing."""
        _, known, written = self._some(state, split, self.most)
        said = [self.text(row) for row in known["target"]]
        made = [self.text(row) for row in written]
        return transcripts.figures(said, made, known.get("snr"))

    def predict(self, state: Any, samples: jax.Array) -> dict[str, jax.Array]:
        """`Task.predict`: ``written`` (batch, T) of sounds (batch, N), silence behind them."""
        batch = transcripts.recorded(samples)
        target = jnp.zeros((len(samples), 1), jnp.int32)
        return self.each(state, {**batch, "target": target}, keys.root(0))

    def describe(self, prediction: Mapping[str, np.ndarray]) -> Description:
        """`Task.describe` of what ``each`` gives."""
        text = self.text(prediction["written"])
        return Description(printable(text), {"text": text})

    def shown(self, state: Any, split: Any) -> tuple[Shown, dict[str, Any]]:
        """The worst recording, and a report: what was said and written, the worst first.

        Args:
          state: the task's.
          split: the evaluation part.
        """
        some, known, written = self._some(state, split, _LOOKED_AT)
        said, made = ([self.text(row) for row in rows] for rows in (known["target"], written))
        worst = np.argsort([-_wrong(a, b) for a, b in zip(said, made, strict=True)], kind="stable")
        snr = known.get("snr")
        noise = lambda i: "" if snr is None else f" at {snr[i]:g} dB"
        told = [_told(said[i], made[i], noise(i)) for i in worst[:_TOLD]]
        drawn = worst[:_DRAWN]
        batch = some.take(drawn)
        heard = {
            f"Sound {n + 1}": sound.of_samples(
                batch["samples"][n][: batch["length"][n]],
                self.hears.sound.rate,
                f"{printable(said[i])!r}{noise(i)}, written as {printable(made[i])!r}",
            )
            for n, i in enumerate(drawn[:_HEARD])
        }
        spectrograms = np.asarray(self.hears.spectrogram(batch["samples"]))
        report = {
            "Written, the worst first": "\n\n".join(told),
            **heard,
            "Spectrograms": _picture(spectrograms, [said[i] for i in drawn]),
        }
        first = worst[0]
        frames = max(2, -(-int(batch["length"][0]) // self.hears.hop))
        return Shown(spectrograms[:1, :frames], said[first], written[first][None]), report


def _wrong(said: str, written: str) -> float:
    return edits.characters([said], [written]).rate


def _told(said: str, written: str, noise: str) -> str:
    if said == written:
        return f"[said and written{noise}] {printable(said)}"
    return f"[said{noise}] {printable(said)}\n[written] {printable(written)}"


def _picture(spectrograms: np.ndarray, said: list[str]) -> draw.Picture:
    return draw.image_grid(
        sound.upright(spectrograms),
        [printable(text) for text in said],
        "Low frequencies below, time to the right; the darker the louder.",
        columns=2,
    )
