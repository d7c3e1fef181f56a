"""What data say of themselves: all that the weights which learned from them take for granted.

Class names and their order, what images are standardised by, shapes, and by which examples they
are known. A run keeps it (`jaxdl.runs.meaning`), so that what its weights mean does not depend on
what lies in a folder later.
"""

import unicodedata
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from jaxdl.data import Data, fingerprint, tokens
from jaxdl.data.absent import Absent
from jaxdl.data.graph import Graph

# The parts that data may have, and what their examples are for.
PARTS = {
    "train": "to learn from",
    "test": "to be measured on",
    "validation": "to choose by",
}

# Of a deviation; below that is what other versions of NumPy round otherwise.
_SAME = 1e-4


class Part(NamedTuple):
    """One of the parts that data are in.

    Attributes:
      examples: how many.
      arrays: {name: [dtype, *shape of one example]}.
      class_counts: examples of each class; empty where there are no labels.
      about: what the split tells of itself in its ``about``, such as the length of its windows.
      fingerprint: of `jaxdl.data.fingerprint`.
    """

    examples: int
    arrays: dict[str, list]
    class_counts: list[int]
    about: dict[str, Any]
    fingerprint: str


class Facts(NamedTuple):
    """All of it; plain values, so that it is its own JSON.

    Attributes:
      class_names: one a class, in the order of the labels.
      anomaly: the class that was not learned from, or None.
      mean: of each channel, or of each feature of a series; empty where there is none.
      std: theirs.
      tokens: size of the vocabulary; 0 where there is none.
      tokenizer: fingerprint of the tokenizer's file, "bytes", or "" for none or another kind.
      whole: fingerprint of what is learned from as one piece, "" of nothing.
      parts: by the names in PARTS; none where there are no batches.
      units: [mean, std] that the data have of themselves, where the run goes on with its own; else
        empty.
      class_ids: by which the data know the classes, in their order; empty where by 0, 1, 2 ….
    """

    class_names: list[str]
    anomaly: int | None
    mean: list[float]
    std: list[float]
    tokens: int
    tokenizer: str
    whole: str
    parts: dict[str, Part]
    units: list[list[float]] = []
    class_ids: list[int | str] = []

    @property
    def examples(self) -> int | None:
        """That are learned from; None where there are no batches."""
        return self.parts["train"].examples if "train" in self.parts else None

    @property
    def side(self) -> int:
        """Pixels a side of square images; 0 of anything else."""
        shape = self.parts["train"].arrays.get("image", []) if "train" in self.parts else []
        return shape[1] if len(shape) == 4 and shape[1] == shape[2] else 0

    @property
    def restorable(self) -> bool:
        """Whether `restored` gives data that are enough to use a model."""
        return not self.whole and bool(self.tokens) == bool(self.tokenizer)

    def restored(self, tokenizer: str = "") -> Data:
        """Data without examples: shapes, and what is known of them.

        Args:
          tokenizer: the file of the tokenizer; "" where it is bytes.
        """
        return Data(
            class_names=tuple(self.class_names),
            mean=np.float32(self.mean) if self.mean else None,
            std=np.float32(self.std) if self.std else None,
            tokenizer=tokens.create(tokenizer) if self.tokens else None,
            anomaly=self.anomaly,
            class_ids=tuple(self.class_ids),
            **{name: Absent(p.examples, p.arrays, p.about) for name, p in self.parts.items()},
        )


def of(data: Data) -> Facts:
    """What these data say of themselves."""
    names = data.whole.class_names if isinstance(data.whole, Graph) else data.class_names
    return Facts(
        list(names),
        data.anomaly,
        listed(data.mean),
        listed(data.std),
        0 if data.tokenizer is None else data.tokenizer.size,
        getattr(data.tokenizer, "fingerprint", ""),
        _of_whole(data.whole),
        {name: _of_part(split, len(names)) for name, split in parts(data).items()},
        class_ids=list(data.class_ids),
    )


def listed(array: np.ndarray | None) -> list[float]:
    """Its numbers; [] of none."""
    return [] if array is None else [float(value) for value in array]


def parts(data: Data) -> dict[str, Any]:
    """The splits that data have, by their names in PARTS."""
    found = {name: getattr(data, name) for name in PARTS}
    return {name: split for name, split in found.items() if split is not None}


def _of_part(split: Any, classes: int) -> Part:
    example = split.take(np.arange(1))
    return Part(
        len(split),
        {name: [x.dtype.name, *x.shape[1:]] for name, x in example.items()},
        class_counts(split, classes),
        {k: getattr(v, "item", lambda v=v: v)() for k, v in getattr(split, "about", {}).items()},
        fingerprint.of(split),
    )


def class_counts(split: Any, classes: int) -> list[int]:
    """Examples of each class; [] where there are no classes, or no labels (n,) that number them."""
    labels = np.asarray(getattr(split, "labels", ()) if classes else ())
    if labels.ndim != 1 or labels.dtype.kind not in "iu" or labels.min(initial=0) < 0:
        return []
    return np.bincount(labels, minlength=classes).tolist()


def _of_whole(whole: Any) -> str:
    if whole is None:
        return ""
    fields = whole._asdict() if hasattr(whole, "_asdict") else {}
    return fingerprint.digest({k: v for k, v in fields.items() if isinstance(v, np.ndarray)})


def changes(old: Facts, new: Facts) -> list[str]:
    """What is another in the new, in words; [] where all is the same.

    The order of the classes is no matter: they are known by their names. Mean and deviation follow
    from the examples, but where these come standardised, as a series does.
    """
    return [*_changed_classes(old, new), *_changed_parts(old, new), *_changed_units(old, new)]


def _changed_classes(old: Facts, new: Facts) -> Iterator[str]:
    gone, come = _gone_and_come(old, new)
    if gone:
        yield f"{named(gone)} gone"
    if come:
        yield f"{named(come)} new"
    if old.tokenizer != new.tokenizer or old.tokens != new.tokens:
        yield "another tokenizer"
    if old.whole != new.whole:
        yield "another graph" if not new.parts else "other data"


def _changed_parts(old: Facts, new: Facts) -> Iterator[str]:
    for name, called in PARTS.items():
        was, now = old.parts.get(name), new.parts.get(name)
        if was is None or now is None:
            if was != now:
                yield f"{'no' if now is None else 'now'} examples {called}"
            continue
        shapes = [f"{k} {_shape(was.arrays.get(k))} → {_shape(x)}"
                  for k, x in now.arrays.items() if x != was.arrays.get(k)]  # fmt: skip
        yield from shapes
        if was.examples != now.examples:
            yield f"{was.examples} → {now.examples} examples {called}"
        elif was.fingerprint != now.fingerprint and not shapes:
            yield f"other examples {called} ({now.examples} as before)"


def _changed_units(old: Facts, new: Facts) -> Iterator[str]:
    was, now = old.parts.get("train"), new.parts.get("train")
    if was is None or now is None or was.fingerprint != now.fingerprint:
        return
    mean, std = old.units or (old.mean, old.std)
    for called, before, after in (("mean", mean, new.mean), ("deviation", std, new.std)):
        for a, b, spread in zip(before, after, std, strict=False):
            if not abs(a - b) <= _SAME * spread:
                yield f"{called} {a:.4g} → {b:.4g} of the same examples"
                break


def renamed(old: Facts, new: Facts) -> tuple[str, str] | None:
    """(name before, name now) where the classes differ by one name; None where by none, or more."""
    gone, come = _gone_and_come(old, new)
    return (gone[0], come[0]) if len(gone) == len(come) == 1 else None


def _gone_and_come(old: Facts, new: Facts) -> tuple[list[str], list[str]]:
    before, now = old.class_names, new.class_names
    return [n for n in before if n not in now], [n for n in now if n not in before]


def named(classes: list[str], most: int = 5) -> str:
    """``class 'a' is``, or of several ``classes 'a', 'b', … are``."""
    if len(classes) == 1:
        return f"class {classes[0]!r} is"
    shown = ", ".join(map(repr, classes[:most])) + (", …" if len(classes) > most else "")
    return f"classes {shown} are"


def _shape(array: list | None) -> str:
    return f"{array[0]}{array[1:]}" if array else "none"


def read(content: Mapping[str, Any]) -> Facts:
    """Facts of their own JSON.

    Raises:
      ValueError: it is none.
    """
    try:
        parts = {name: Part(**part) for name, part in content["parts"].items()}
        found = Facts(**{**content, "parts": parts})
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(str(error)) from None
    names = found.class_names
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise ValueError("class_names must be a list of texts")
    names[:] = [unicodedata.normalize("NFC", name) for name in names]  # as folders' are read
    if len(set(names)) < len(names):
        raise ValueError("class_names has a name twice")
    if len(found.class_ids) not in (0, len(names)):
        raise ValueError(f"class_ids has {len(found.class_ids)} ids of {len(names)} classes")
    for part in parts.values():
        if part.class_counts and len(part.class_counts) != len(names):
            raise ValueError(f"class_names has {len(names)} names of {len(part.class_counts)}")
    return found


def written(facts: Facts) -> dict[str, Any]:
    """`read`'s JSON."""
    parts = {name: part._asdict() for name, part in facts.parts.items()}
    return {**facts._asdict(), "parts": parts}
