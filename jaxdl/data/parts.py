"""Which examples are learned from, which a run is measured on, and which it never sees."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from jaxdl.data.split import Split
from jaxdl.errors import UserError


class Parts(NamedTuple):
    """A data set divided.

    Attributes:
      train: what is learned from.
      test: what is measured on; the validation part, with eval_on=validation.
      validation: what a run is measured on while it learns, in place of ``test``, which it is not
        chosen by then; None where the data have no such part of their own, and eval_on is not
        "both", or it is ``test``.
    """

    train: Split
    test: Split
    validation: Split | None = None


def divided(
    train: Split, test: Split | None, validation: Split | None, settings: Mapping[str, Any]
) -> Parts:
    """The parts that data come in, and by ``config.data`` those that they do not.

    Raises:
      UserError: too few examples.
    """
    fraction, seed, wanted = (settings[name] for name in ("test_fraction", "split_seed", "eval_on"))
    if wanted == "validation" and validation is not None:
        return Parts(train, validation)
    if wanted != "both" and test is None and validation is not None:
        return Parts(train, validation)
    if test is None:
        train, test = _split_off(train, fraction, seed, settings["split"])
    if validation is None and wanted != "test":
        train, validation = _split_off(train, fraction, seed + 1, "random")
    return Parts(train, validation) if wanted == "validation" else Parts(train, test, validation)


def held_out(size: int, fraction: float) -> int:
    """The whole part of ``fraction`` of ``size``, as in decimals: .29 of 100 are 29, not 28."""
    return math.floor(round(size * fraction, 6))


def _split_off(pool: Split, fraction: float, seed: int, how: str) -> tuple[Split, Split]:
    size = len(pool)
    if size < 2:
        raise UserError(
            f"data: {size} example cannot be split: one part is to learn from, the other to be "
            "measured on"
        )
    if how == "halves":
        return pool.subset(np.arange(size // 2)), pool.subset(np.arange(size // 2, size))
    try:
        first, second = stratified(pool.labels, fraction, seed)
    except ValueError as error:
        raise UserError(
            f"data: {size} examples cannot be split {fraction:g} off: {error}"
        ) from None
    return pool.subset(first), pool.subset(second)


def stratified(labels: np.ndarray, fraction: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Indices of a draw that leaves each class its share of both parts, and one at least to train.

    The only example of a class is for training; the others are drawn as scikit-learn does it.

    Args:
      labels: (n,).
      fraction: the second part's share, in (0, 1).
      seed: of the draw.

    Returns:
      The indices of both parts, (n - m,) and (m,).

    Raises:
      ValueError: too few examples.
    """
    from sklearn.model_selection import train_test_split

    _, number, counts = np.unique(labels, return_inverse=True, return_counts=True)
    alone = counts[number] < 2
    drawn, single = np.flatnonzero(~alone), np.flatnonzero(alone)
    if not len(drawn):
        raise ValueError("no class has two of them")
    second_size = int(np.ceil(fraction * len(drawn)))
    if second_size < np.count_nonzero(counts > 1):  # scikit-learn stratifies no so small part
        second = _of_as_many_classes(number, drawn, second_size, np.random.default_rng(seed))
        return np.setdiff1d(np.arange(len(labels)), second), second
    first, second = train_test_split(
        drawn, test_size=fraction, random_state=seed, stratify=labels[drawn]
    )
    # Where most is held out, all of a small class may be.
    _, at = np.unique(number[second], return_index=True)
    back = [i for i in at if not (number[first] == number[second[i]]).any()]
    return np.concatenate([first, second[back], single]), np.delete(second, back)


def _of_as_many_classes(
    number: np.ndarray, drawn: np.ndarray, size: int, rng: np.random.Generator
) -> np.ndarray:
    """One example each of ``size`` classes, as likely as they have many examples."""
    order = rng.permutation(drawn)
    _, first = np.unique(number[order], return_index=True)
    return order[np.sort(first)[:size]]


def of_single_examples(train: Split, test: Split, class_names: Sequence[str]) -> tuple[str, ...]:
    """A line on the classes whose one example is learned from; none without such."""
    found, counts = np.unique(np.concatenate([train.labels, test.labels]), return_counts=True)
    single = [class_names[i] for i in found[counts == 1] if (train.labels == i).any()]
    if not single:
        return ()
    shown = ", ".join(map(repr, single[:10])) + (", …" if len(single) > 10 else "")
    return (f"classes whose one example is learned from are not measured: {shown}",)
