"""The digits that come with scikit-learn, upright and turned: to be turned without being told how.

Which upright digit belongs to which turned one is known of none that is learned from.
"""

import numpy as np

from jaxdl.data import Data, parts, register, statistics
from jaxdl.data.digits import digits
from jaxdl.data.split import Arrays, Split
from jaxdl.data.two_kinds import TwoKinds
from jaxdl.errors import UserError


@register("turned_digits")
def turned_digits(
    degrees: float = 30.0,
    image_size: int = 0,
    split: str = "random",
    test_fraction: float = 0.2,
    split_seed: int = 0,
    eval_on: str = "test",
) -> Data:
    """``image`` (n, s, s, 1), upright, and ``target`` (n, s, s, 1), turned to the left.

    float32 in [0, 1], with ``label`` and ``target_label`` (n,). In the training part they are of
    two halves of its digits, so that no digit is there in both ways; in the part that is measured
    on each is there in both, one beside the other.

    Args:
      degrees: by which they are turned about their middle, bilinearly; from outside comes 0. By
        30 about half of the digits are still taken for what they are by who knows but upright
        ones.
      image_size: pixels a side that digits are brought to, bilinearly; 0 keeps the 8.
      split: "random" or "halves", of other writers.
      test_fraction: size of the random test part.
      split_seed: of the draw.
      eval_on: "test", or "validation" for a share of the training part.
    """
    if not -180 <= degrees <= 180:
        raise UserError(f"data.degrees={degrees} must be from -180 to 180")
    how = dict(split=split, test_fraction=test_fraction, split_seed=split_seed, eval_on=eval_on)
    divided = parts.divided(digits(image_size).train, None, None, how)
    halves = parts.stratified(divided.train.labels, 0.5, split_seed)
    upright, other = (divided.train.subset(np.sort(indices)) for indices in halves)
    train = TwoKinds(upright, turned(other, degrees))
    test = TwoKinds(divided.test, turned(divided.test, degrees))
    mean, std = statistics.of_channels(train)
    return Data(train=train, test=test, mean=mean, std=std)


def turned(part: Split, degrees: float) -> Arrays:
    """All of a part, whose images are turned to the left."""
    from scipy import ndimage

    found = part.take(np.arange(len(part)))
    image = ndimage.rotate(found["image"], degrees, axes=(2, 1), reshape=False, order=1)
    return Arrays({**found, "image": np.clip(image, 0, 1)})
