"""Rows of numbers in files of the user's own, or images in an archive, and what is told of them."""

from collections.abc import Mapping, Sequence

import numpy as np
from etils import epath

from jaxdl.data import Data, arrays, files, npz, register, row_numbers, rows, tabular
from jaxdl.data.labelled_texts import ordered
from jaxdl.data.targets import KINDS, Kind
from jaxdl.errors import UserError
from jaxdl.registry import check_names, choose


@register("table")
def table(
    path: str = "",
    targets: tuple[str, ...] = ("target",),
    kind: str = "numbers",
    ignored: tuple[str, ...] = (),
    split: str = "random",
    test_fraction: float = 0.2,
    validation_fraction: float = 0.2,
    split_seed: int = 0,
    eval_on: str = "test",
    balanced: bool = False,
) -> Data:
    """A table of numbers, .csv, .tsv or .jsonl, or an archive of arrays, .npz.

    An archive has rows (n, columns) or images in ``x_train`` and what is told of them in
    ``y_train``, by the names of data set "npz"; test and validation parts may be there.

    Args:
      path: the file, or a folder with tables called train, test and validation.
      targets: the columns of what is told, of a table.
      kind: what that is: "numbers", one or several; "class", one column of names or whole numbers;
        "labels", columns of 1, for what holds, or 0.
      ignored: columns that are not looked at. All others are features.
      split: how a test part is made where there is none, as `config.data` has it.
      test_fraction: of it.
      validation_fraction: of what is then left, that is held out to choose by where there is no
        validation part: thresholds, and how wide intervals are; 0 holds none out.
      split_seed: of both draws.
      eval_on: "test", or "validation" for the validation part in its place.
      balanced: whether classes are drawn as frequently.
    """
    told = choose("data.kind", kind, KINDS)
    cut = tabular.Cut(split, test_fraction, split_seed, eval_on, validation_fraction)
    if files.of_kind(epath.Path(path), (".npz",)):
        return _archive(path, kind, told, cut, balanced)
    return _tables(path, targets, kind, told, ignored, cut, balanced)


def _tables(
    path: str,
    targets: Sequence[str],
    kind: str,
    told: Kind,
    ignored: Sequence[str],
    cut: tabular.Cut,
    equal: bool,
) -> Data:
    targets = [str(name) for name in targets]
    if not targets or (kind == "class" and len(targets) > 1):
        wanted = "one column" if kind == "class" else "at least one column"
        raise UserError(f"data.targets={tuple(targets)!r} must name {wanted}")
    found = rows.parts(path, "a table of numbers")
    there = rows.columns(found["train"])
    check_names(f"{found['train']}, in data.targets:", targets, there)
    check_names(f"{found['train']}, in data.ignored:", ignored, there)
    columns = [name for name in there if name not in targets and name not in ignored]
    if not columns:
        raise UserError(f"{found['train']} has no column but {', '.join(there)}: none is left")
    read = {part: rows.read(file, (*columns, *targets)) for part, file in found.items()}
    names: Sequence[str] = targets if kind == "labels" else ()
    if kind == "class":
        names = ordered({row.label(targets[0]) for row in read["train"]})
    made = {}
    for part, own in read.items():
        name, values, called = told.of_rows(own, targets, names)
        inputs = row_numbers.features(own, columns)
        made[part] = tabular.Examples({"features": inputs, name: values}, columns, called)
    return tabular.data(made, cut, class_names=names, equal=equal)


def _archive(path: str, kind: str, told: Kind, cut: tabular.Cut, equal: bool) -> Data:
    def examples(x: np.ndarray, y: np.ndarray, where: str) -> tabular.Examples:
        name, values, called = told.of_array(y, where)
        if x.ndim > 2:
            inputs = {"image": arrays.checked(x, len(values), where)}
            return tabular.Examples({**inputs, name: values}, (), called)
        own = row_numbers.checked(x, where)
        if len(own) != len(values):
            raise UserError(f"{where}: {len(own)} rows, but what is told of {len(values)}")
        columns = [f"x{i}" for i in range(own.shape[1])]
        return tabular.Examples({"features": own, name: values}, columns, called)

    made, notes = npz.parts(npz.archive(path), path, examples)
    if "train" not in made:
        raise UserError(f"{path} has nothing to learn from, such as x_train and y_train")
    for part, own in made.items():
        _check_alike(own, made["train"], f"{path}: the {part} part")
    names: Sequence[str] = made["train"].targets if kind == "labels" else ()
    if kind == "class":
        names = _numbers(made, path)
    return tabular.data(made, cut, class_names=names, equal=equal, notes=notes)


def _check_alike(own: tabular.Examples, train: tabular.Examples, where: str) -> None:
    for name, array in train.arrays.items():
        shape = own.arrays[name].shape[1:] if name in own.arrays else None
        if shape != array.shape[1:]:
            raise UserError(
                f"{where} has {name} of shape {shape}, and the training part {array.shape[1:]}"
            )


def _numbers(made: Mapping[str, tabular.Examples], path: str) -> list[str]:
    """Names of classes that are numbers: themselves."""
    count = int(made["train"].arrays["label"].max()) + 1
    for part, own in made.items():
        labels = own.arrays["label"]
        if labels.min() < 0 or labels.max() >= count:
            raise UserError(
                f"{path}: classes of the {part} part go from {labels.min()} to {labels.max()}, but "
                f"must be from 0 to {count - 1}, the highest that is learned from"
            )
    return [str(i) for i in range(count)]
