"""Which digits are to be seen in scenes of several: any of ten labels hold, or none of them."""

import numpy as np

from jaxdl.data import Data, parts, register, scenes, tabular
from jaxdl.data.digits import digits


@register("digits_seen")
def digits_seen(
    image_size: int = 32,
    channels: int = 1,
    least: int = 1,
    most: int = 3,
    scales: tuple[float, ...] = (1.0, 1.5),
    examples: int = 4096,
    test_examples: int = 1024,
    data_seed: int = 0,
    split: str = "random",
    test_fraction: float = 0.2,
    split_seed: int = 0,
    eval_on: str = "test",
) -> Data:
    """`jaxdl.data.scenes`, small ones, and which of the digits 0 to 9 are in each.

    ``image`` (n, size, size, channels) uint8 and ``labels`` (n, 10) uint8. The test part, and the
    validation part to choose by, are of ``test_examples`` scenes, each of digits that the others
    have none of.

    Args:
      image_size: as of `scenes`; so are the others.
      channels: 1 for grey, 3 for colour.
      least: digits of a scene, at least.
      most: at most.
      scales: of the digits.
      examples: training scenes.
      test_examples: of each of the other parts.
      data_seed: of all that is drawn.
      split: of the digits: "random" or "halves".
      test_fraction: of the digits, that training scenes have none of; and, of the rest, of the
        validation part.
      split_seed: of that draw.
      eval_on: "test", or "validation" for that part alone.
    """
    how = dict(split=split, test_fraction=test_fraction, split_seed=split_seed, eval_on="test")
    outer = parts.divided(digits().train, None, None, how)
    inner = parts.divided(
        outer.train, None, None, dict(how, split="random", split_seed=split_seed + 1)
    )
    counts = {"train": examples, "test": test_examples, "validation": test_examples}
    found = dict(train=inner.train, test=outer.test, validation=inner.test)
    drawn = dict(size=image_size or 32, channels=channels, least=least, most=most, scales=scales)
    scenes.check(**drawn, examples=examples, test_examples=test_examples)
    made = {
        part: _seen(scenes.draw(found[part].arrays, count, (data_seed, i), **drawn))
        for i, (part, count) in enumerate(counts.items())
    }
    cut = tabular.Cut(split, test_fraction, split_seed, eval_on, 0.0)
    return tabular.data(made, cut, class_names="0123456789")


def _seen(scene: dict[str, np.ndarray]) -> tabular.Examples:
    labels = np.zeros((len(scene["image"]), 10), np.uint8)
    which, _ = np.nonzero(scene["present"])
    labels[which, scene["classes"][scene["present"]]] = 1
    return tabular.Examples({"image": scene["image"], "labels": labels}, (), "0123456789")
