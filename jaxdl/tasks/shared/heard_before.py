"""How the weights that a run begins with have heard so far: it goes on hearing like that."""

from typing import NamedTuple

from etils import epath

from jaxdl.errors import UserError
from jaxdl.ops.spectrogram import HOP, RATE, WINDOW
from jaxdl.runs import meaning, workdir
from jaxdl.tasks.shared.hearing import Hearing


class Heard(NamedTuple):
    """What spectrograms were of.

    Attributes:
      bands: of the mel scale; None where the model says it.
      rate: samples a second.
      window: seconds of a frame.
      hop: seconds from one frame to the next.
      mask_padding: whether what stands behind a recording was hidden.
    """

    bands: int | None
    rate: int
    window: float
    hop: float
    mask_padding: bool


PUBLISHED = Heard(None, RATE, WINDOW / RATE, HOP / RATE, False)


def check(source: str, hears: Hearing, mask_padding: bool) -> None:
    """Raises UserError where a run hears otherwise than ``source``, if that is still there."""
    path = epath.Path(source or ".")
    before = _of(path) if source and path.exists() else None
    if before is None:
        return
    if mask_padding and not before.mask_padding:
        raise UserError(
            f"pretrained.source={source} learned of sounds filled up with silence that it hears: "
            "set config.task.mask_padding=False"
        )
    if before.mask_padding and not mask_padding:
        raise UserError(
            f"pretrained.source={source} never heard what stands behind a recording: set "
            "config.task.mask_padding=True"
        )
    if before.bands not in (None, hears.bands):
        raise UserError(
            f"config.task.bands={hears.bands}, but pretrained.source={source} hears "
            f"{before.bands}: set config.task.bands={before.bands}"
        )
    rate = before.rate
    same = round(before.window * rate), round(before.hop * rate)
    if (hears.sound.rate, hears.window, hears.hop) != (rate, *same):
        raise UserError(
            f"pretrained.source={source} hears {rate} samples a second in frames of "
            f"{before.window:g} s, {before.hop:g} s from one to the next: set config.data.rate, "
            "config.task.window and config.task.hop to these"
        )


def _of(path: epath.Path) -> Heard | None:
    """Of a published folder, or a run of transcription; None of runs that heard nothing."""
    if not (path / "checkpoints").is_dir():
        return PUBLISHED
    said, kept = workdir.stored(path), meaning.read(path)
    if said.get("task.name") != "transcription" or kept is None:
        return None
    own = {name: said[f"task.{name}"] for name in Heard._fields if name != "rate"}
    return Heard(rate=kept.facts.parts["train"].about["rate"], **own)
