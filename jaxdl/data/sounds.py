"""A folder of class folders of sounds."""

import numpy as np
from etils import epath

from jaxdl.data import Data, audio, layout, left_out, parts, register
from jaxdl.data.left_out import LeftOut
from jaxdl.data.sound_files import Files, InMemory, in_memory
from jaxdl.errors import UserError

SOUNDS = layout.Kind(audio.SUFFIXES, "sounds")


def samples_in(seconds: float, rate: int) -> int:
    """How many samples of a second at ``rate`` there are in ``seconds``.

    Raises:
      UserError: settings that cannot be.
    """
    low, high = audio.RATES
    if not low <= rate <= high:
        raise UserError(f"data.rate={rate} must be from {low} to {high} samples a second")
    if not 0.01 <= seconds <= audio.MOST / rate:
        raise UserError(
            f"data.seconds={seconds:g} must be from 0.01 to {audio.MOST / rate:g}, at "
            f"data.rate={rate}"
        )
    return round(seconds * rate)


@register("sounds")
def sounds(
    path: str = "",
    rate: int = 16000,
    seconds: float = 1.0,
    split: str = "random",
    test_fraction: float = 0.2,
    split_seed: int = 0,
    eval_on: str = "test",
    broken: float = 0.5,
) -> Data:
    """``path/CLASS/*.wav`` …, or the same under ``path/train`` and ``path/val`` or ``path/test``.

    How folders may lie is told by `jaxdl.data.layout`. Classes are numbered in the order of their
    names. Of each sound its beginning is heard.

    Args:
      path: the folder; of files that `jaxdl.data.audio` reads.
      rate: samples a second that all are brought to.
      seconds: of each, cut at the end or filled up with silence.
      split: "random" or "halves", where there is no test part.
      test_fraction: size of the random test part.
      split_seed: of the draw.
      eval_on: "test", or "validation" for the data's own or a share of the training part.
      broken: share of the sounds that may be broken, and are left out, each named; 0 ends with the
        first.
    """
    count, root = samples_in(seconds, rate), epath.Path(path)
    if not path or not root.is_dir():
        raise UserError(f"data.path={path!r} is no folder: name one that holds a folder a class")
    found = layout.find(root, SOUNDS)
    if len(found.class_names) < 2:
        raise UserError(f"{root} holds one class, {found.class_names[0]!r}: nothing to tell apart")
    left = LeftOut(broken, "sounds")
    made = {name: _readable(*labelled, left, rate, count) for name, labelled in found.parts.items()}
    left.check(sum(map(len, made.values())))
    if "train" not in made:
        raise UserError(f"data.path={path!r} has no training part")
    how = dict(split=split, test_fraction=test_fraction, split_seed=split_seed, eval_on=eval_on)
    given = parts.divided(made["train"], made.get("test"), made.get("validation"), how)
    kept = {name: part for name, part in given._asdict().items() if part is not None}
    notes = list(found.notes)
    if len(made) == 1:
        notes += parts.of_single_examples(kept["train"], kept["test"], found.class_names)
    kept = in_memory(kept, left)
    _check_classes(kept["train"].labels, found.class_names, left)
    notes += left.notes() + cut_note(kept.values(), count, rate)
    return Data(**kept, class_names=found.class_names, notes=tuple(notes))


def _readable(
    files: list[epath.Path], labels: list[int], left: LeftOut, rate: int, count: int
) -> Files:
    """Those that are sounds by what stands in front of them."""
    kept = left_out.kept(left.mapped(audio.duration, files))
    label = np.array(labels, np.int32)[kept]
    return Files([files[i] for i in kept], {"label": label}, rate, count, most_broken=left.most)


def _check_classes(labels: np.ndarray, names: tuple[str, ...], left: LeftOut) -> None:
    """Raises UserError for a class that nothing is left of to learn from."""
    lost = sorted(set(range(len(names))) - set(labels.tolist())) if left.lines else []
    if lost:
        raise UserError(
            f"no sound of class {names[lost[0]]!r} can be used; the first that cannot be: "
            f"{left.lines[0]}"
        )


def cut_note(splits, count: int, rate: int) -> list[str]:
    """A line on sounds that fill all of their place, and so may have been cut; none of files."""
    lengths = [part.arrays["length"] for part in splits if isinstance(part, InMemory)]
    full = sum(int((x == count).sum()) for x in lengths)
    if not full:
        return []
    whole = sum(map(len, lengths))
    return [f"{full} of {whole} sounds are {count / rate:g} s long or more, and heard up to there"]
