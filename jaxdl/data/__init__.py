"""Where batches come from: data sets by name, split, checked and described.

A data set is a function in a module of this package, registered by name, from the settings of
`config.data` to a `Source` of images, which are split and checked here, to a `Whole`, which is
learned from without batches, or to `Data` that are ready.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from jaxdl import paths
from jaxdl.data import (
    balanced,
    class_batches,
    label_noise,
    length_groups,
    parts,
    statistics,
    subsets,
    symmetries,
)
from jaxdl.data.split import (
    IS_REAL,
    Arrays,
    Batch,
    Split,
    member_batches,
    padded_batches,
    step_groups,
    training_batches,
    without_padding,
)
from jaxdl.errors import UserError
from jaxdl.registry import Registry, check_names, choose

__all__ = [
    "IS_REAL",
    "Arrays",
    "Batch",
    "Data",
    "Source",
    "Split",
    "Whole",
    "class_number",
    "load",
    "member_batches",
    "names",
    "padded_batches",
    "register",
    "step_groups",
    "training_batches",
    "without_padding",
]

_registry = Registry("data set", "jaxdl.data")
register = _registry.register
names = _registry.names
own_settings = _registry.settings


class Source(NamedTuple):
    """What a data set's loader returns.

    Attributes:
      train: the examples, ``image`` (n, h, w, c) uint8 or float in [0, 1], ``label`` (n,) integer;
        None where there are only such to be measured on.
      test: the test part, or None where `load` is to split it off.
      class_names: one a class, or () to count the labels.
      validation: the part that data bring to choose by, beside the test part or in its place.
      notes: what is worth knowing of how the data were read, a line each.
    """

    train: Split | None
    test: Split | None = None
    class_names: tuple[str, ...] = ()
    validation: Split | None = None
    notes: tuple[str, ...] = ()


class Whole(NamedTuple):
    """What is learned from as one piece: a graph, or None for systems that make their own data.

    Attributes:
      content: whatever the task understands.
    """

    content: Any


class Data(NamedTuple):
    """What a run learns from and is measured on: batches of examples, or one whole.

    Attributes:
      train: examples for training, the wrong labels of ``label_noise`` among them; None where
        there are no batches.
      test: examples for evaluation (the validation part, with eval_on=validation), or None.
      class_names: one a class.
      mean: of each channel over the training part, images in [0, 1], (c,) float32.
      std: their standard deviation, (c,) float32.
      whole: the content of a `Whole`.
      tokenizer: of texts, `jaxdl.data.tokens.Tokenizer`.
      anomaly: the class that the training part has no examples of, or None.
      validation: what a run is measured on while it learns, so that its best checkpoint is not
        chosen by ``test``; None where ``test`` does for both.
      notes: what is worth knowing of how the data were read, a line each.
      class_ids: one a class, by which the data know their classes; () where by 0, 1, 2 ….
    """

    train: Split | None = None
    test: Split | None = None
    class_names: tuple[str, ...] = ()
    mean: np.ndarray | None = None
    std: np.ndarray | None = None
    whole: Any = None
    tokenizer: Any = None
    anomaly: int | None = None
    validation: Split | None = None
    notes: tuple[str, ...] = ()
    class_ids: tuple[int | str, ...] = ()

    @property
    def watched(self) -> Split | None:
        """What a run is measured on while it learns."""
        return self.test if self.validation is None else self.validation


# What `load` splits by; a loader that splits by itself takes of these what it needs.
_COMMON = (
    *("name", "split", "test_fraction", "split_seed", "eval_on", "anomaly", "label_noise"),
    *("classes", "labels_per_class", "label_seed", "repeat", "symmetries", "unseen"),
    *("class_batches", "balanced"),
)

# What only labelled images can have, and how it is when it is not set.
_OF_IMAGES = dict(
    anomaly="", label_noise=0, classes=(), labels_per_class=0, repeat=1, symmetries=1, unseen=(),
    class_batches=(), balanced=False,
)  # fmt: skip


def load(settings: Mapping[str, Any], learns: bool = True) -> Data:
    """Loads, splits and checks the data set that `config.data` describes.

    Args:
      settings: `config.data`.
      learns: whether there must be something to learn from.

    Raises:
      UserError: unknown name or setting, missing or broken files, labels out of range.
    """
    name = settings["name"]
    loader, takes = _registry.get(name), own_settings(name)
    if settings["eval_on"] == "both" and "eval_on" in takes:
        raise UserError(
            f"data.eval_on='both' is for labelled images: data set {name!r} takes 'test' or "
            "'validation'"
        )
    own = {k: v for k, v in settings.items() if k in takes or k not in _COMMON}
    for key in ("path", "image_size"):  # every config has these; not every data set uses them
        if key not in takes and key in own:
            if own[key]:
                others = [other for other in names() if key in own_settings(other)]
                raise UserError(
                    f"data.{key}={own[key]!r}: data set {name!r} takes none: choose one that does "
                    f"by data.name, of {', '.join(others)}"
                )
            del own[key]
    check_names(f"data set {name!r}", own, takes)
    own = {k: paths.expanded(v) if isinstance(v, str) else v for k, v in own.items()}
    source = loader(**own)
    wanted = bool(settings["class_batches"]) and isinstance(source, Data)
    texts = wanted and _are_labelled_texts(source.train)
    for key, unset in _OF_IMAGES.items():
        fits = isinstance(source, Source) or (texts and key == "class_batches") or key in takes
        if settings[key] != unset and not fits:
            raise UserError(
                f"data.{key}={settings[key]!r} is for labelled images: data set {name!r} has none"
            )
    if texts:
        return source._replace(train=_in_class_batches(source.train, settings))
    if isinstance(source, Data):
        return source
    if isinstance(source, Whole):
        return Data(whole=source.content)
    if source.train is None:
        if learns:
            raise UserError(
                f"data.path={settings['path']!r} has no training part: it can be measured on alone"
            )
        return _to_be_measured(source, settings)
    found = parts.divided(source.train, source.test, source.validation, settings)
    train, measured = found.train, {"test": found.test, "validation": found.validation}
    measured = {name: split for name, split in measured.items() if split is not None}
    class_names = _check_parts({"training": train, **measured}, source.class_names)
    notes = source.notes
    if source.test is None and source.validation is None:
        notes += parts.of_single_examples(train, found.test, class_names)
    if settings["classes"]:
        kept, class_names = _of_classes(
            settings["classes"], {"training": train, **measured}, class_names
        )
        train, measured = kept.pop("training"), kept
    anomaly = _anomaly(settings["anomaly"], train, measured, class_names)
    if anomaly is not None:
        train = train.subset(np.flatnonzero(train.labels != anomaly))
    if settings["unseen"]:
        train, measured = _with_unseen(settings["unseen"], train, measured, class_names)
    if settings["labels_per_class"]:
        train = subsets.few(
            train, settings["labels_per_class"], class_names, settings["label_seed"]
        )
    if settings["label_noise"]:
        train = _with_wrong_labels(train, settings, class_names, anomaly)
    if settings["repeat"] > 1:
        train = train.subset(np.tile(np.arange(len(train)), settings["repeat"]))
    if settings["symmetries"] > 1:
        if anomaly is not None:
            raise UserError("data.symmetries and data.anomaly exclude each other: set one")
        turned = lambda part: symmetries.Symmetries(part, settings["symmetries"], len(class_names))
        train = turned(train)
        if not settings["unseen"]:  # they are judged as they are
            measured = {name: turned(part) for name, part in measured.items()}
        class_names = symmetries.names(class_names, settings["symmetries"])
    mean, std = statistics.of_channels(train)
    if settings["balanced"]:
        train = balanced.create(train, settings["class_batches"])
    if settings["class_batches"]:
        train = _in_class_batches(train, settings)
    return Data(
        train, class_names=class_names, mean=mean, std=std, anomaly=anomaly, notes=notes, **measured
    )


def _are_labelled_texts(train: Split | None) -> bool:
    return train is not None and {"tokens", "label"} <= {*train.take(np.arange(1))}


def _in_class_batches(train: Split, settings: Mapping[str, Any]) -> Split:
    if length_groups.of(train) is not None:
        raise UserError(
            f"data.lengths={settings['lengths']} and data.class_batches exclude each other: a "
            "batch of some classes is of texts of any length; set data.lengths=1"
        )
    return class_batches.ClassBatches(train, *settings["class_batches"])


def _to_be_measured(source: Source, settings: Mapping[str, Any]) -> Data:
    """Of a source without a training part, what a run can be measured on."""
    wants = settings["eval_on"] == "validation" or source.test is None
    test = source.validation if wants else source.test
    if test is None:
        raise UserError(f"data.path={settings['path']!r} has neither training nor validation part")
    part = "validation" if wants else "test"
    class_names = _check_parts({part: test}, source.class_names)
    if settings["classes"]:
        kept, class_names = _of_classes(settings["classes"], {part: test}, class_names)
        test = kept[part]
    anomaly = None
    if settings["anomaly"]:
        anomaly = class_number("data.anomaly", settings["anomaly"], class_names)
    if settings["symmetries"] > 1:
        test = symmetries.Symmetries(test, settings["symmetries"], len(class_names))
        class_names = symmetries.names(class_names, settings["symmetries"])
    return Data(test=test, class_names=class_names, anomaly=anomaly, notes=source.notes)


def _check_parts(everything: Mapping[str, Split], class_names: tuple[str, ...]) -> tuple[str, ...]:
    """The names of the classes of parts that fit together, numbers where there are none."""
    for part, split in everything.items():
        labels = split.labels
        if labels.ndim != 1 or not np.issubdtype(labels.dtype, np.integer):
            raise UserError(
                f"data: labels of the {part} part must be whole numbers, one an example; "
                f"got {labels.dtype} of shape {labels.shape}"
            )
    main, first = next(iter(everything.items()))
    count = len(class_names) or int(first.labels.max()) + 1
    wanted = first.take(np.arange(1))["image"].shape[1:]
    for part, split in everything.items():
        wrong = np.flatnonzero((split.labels < 0) | (split.labels >= count))
        if wrong.size:
            raise UserError(
                f"data: label {split.labels[wrong[0]]} of {part} example {wrong[0]} is out of "
                f"range: with {count} classes labels go from 0 to {count - 1}"
            )
        shape = split.take(np.arange(1))["image"].shape[1:]
        if shape != wanted:
            raise UserError(f"data: images of the {part} part are {shape}, for {main} {wanted}")
    return class_names or tuple(str(i) for i in range(count))


def _of_classes(
    chosen: tuple[str | int, ...], parts: Mapping[str, Split], class_names: tuple[str, ...]
) -> tuple[dict[str, Split], tuple[str, ...]]:
    """All parts and the names of the classes that are called so, or numbered so."""
    found = [class_number("data.classes", str(name), class_names) for name in chosen]
    if len(set(found)) < len(found):
        raise UserError(f"data.classes={chosen!r} has a class twice")
    for part, split in parts.items():
        for name, number in zip(chosen, found, strict=True):
            if not (split.labels == number).any():
                part = {"test": "evaluation"}.get(part, part)
                raise UserError(f"data.classes: the {part} part has no example of class {name!r}")
    kept = {name: subsets.of_classes(part, found) for name, part in parts.items()}
    return kept, tuple(class_names[number] for number in found)


def _with_unseen(
    chosen: tuple[str | int, ...],
    train: Split,
    measured: Mapping[str, Split],
    class_names: tuple[str, ...],
) -> tuple[Split, dict[str, Split]]:
    """The training part without the classes called so, and the other parts with them alone."""
    found = [class_number("data.unseen", str(name), class_names) for name in chosen]
    of_unseen = lambda part: np.isin(part.labels, found)
    if of_unseen(train).all():
        raise UserError(f"data.unseen={chosen!r} leaves no class to learn from")
    for part, split in measured.items():
        if not of_unseen(split).any():
            part = {"test": "evaluation"}.get(part, part)
            raise UserError(f"data.unseen={chosen!r}: the {part} part has no example of them")
    kept = {name: part.subset(np.flatnonzero(of_unseen(part))) for name, part in measured.items()}
    return train.subset(np.flatnonzero(~of_unseen(train))), kept


def class_number(setting: str, name: str, class_names: tuple[str, ...]) -> int:
    """The number of the class that is called ``name``, or else is numbered so.

    Args:
      setting: that asks for it, for the message.
      name: of the class, or its number as text.
      class_names: of all classes.

    Raises:
      UserError: there is none; the message names the nearest.
    """
    numbers = {str(i): i for i in range(len(class_names))}
    names = {class_name: i for i, class_name in enumerate(class_names)}
    return choose(f"class in {setting}", name, numbers | names)


def _anomaly(
    name: str, train: Split, measured: Mapping[str, Split], class_names: tuple[str, ...]
) -> int | None:
    """The number of the class that is called ``name``, or numbered so; None for ""."""
    if not name:
        return None
    anomaly = class_number("data.anomaly", name, class_names)
    if (train.labels == anomaly).all():
        raise UserError(
            f"data.anomaly={name!r} leaves nothing to learn from: there is no other class"
        )
    for part, split in measured.items():
        part = {"test": "evaluation"}.get(part, part)
        found = split.labels == anomaly
        if found.all() or not found.any():
            raise UserError(
                f"data.anomaly={name!r}: {found.sum()} of {found.size} {part} examples are of this "
                "class, but it takes some that are and some that are not"
            )
    return anomaly


def _with_wrong_labels(
    train: Split, settings: Mapping[str, Any], class_names: tuple[str, ...], anomaly: int | None
) -> Split:
    """The training part, ``label_noise`` of whose labels are another class, none the anomaly's."""
    classes = [i for i in range(len(class_names)) if i != anomaly]
    share = settings["label_noise"]
    if len(classes) < 2:
        raise UserError(
            f"data.label_noise={share!r} takes two classes or more to learn from, and there is "
            f"only {class_names[classes[0]]!r}"
        )
    if not round(share * len(train)):
        raise UserError(
            f"data.label_noise={share!r} of {len(train)} training examples is not one of them"
        )
    return label_noise.symmetric(train, share, classes, settings["split_seed"])
