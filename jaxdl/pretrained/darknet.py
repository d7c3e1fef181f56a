"""Darknet's files of weights: numbers without names, in the order of a network's layers.

As Darknet's parser.c reads and writes them: three int32, major, minor and revision of a version;
the number of images that the network has seen, int32 before version 0.2 and int64 since; then
float32, all little-endian. A convolution is its biases, then, with batch norm, whose biases they
are, its scales, rolling means and rolling variances, then its kernel (out, in, h, w).
"""

import itertools
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
from flax import linen as nn

from jaxdl.errors import UserError
from jaxdl.pretrained.architecture import Architecture, is_under
from jaxdl.pretrained.mapping import Rule, Shape, Table, rule, transpose

SUFFIX = ".weights"
NAMING = "darknet"

# That is written: the first with 64 bits of what was seen.
_VERSION = 0, 2, 0

# A version above that says that matrices lie the other way round.
_TRANSPOSED = 1000

_VARIANCE = "rolling_variance"


class Header(NamedTuple):
    """What a file begins with.

    Attributes:
      version: major, minor, revision.
      seen: images that the network has learned from.
      size: bytes of the header.
    """

    version: tuple[int, int, int]
    seen: int
    size: int


def header(path: Path) -> Header:
    """Of a file.

    Raises:
      UserError: it has none, or one of another kind.
    """
    with open(path, "rb") as file:
        start = file.read(20)
    major, minor, revision = np.frombuffer(start[:12].ljust(12, b"\xff"), "<i4").tolist()
    if min(major, minor, revision) < 0 or max(major, minor) > _TRANSPOSED:
        raise UserError(f"{path} does not begin as Darknet's files of weights do: no known version")
    size = 20 if major * 10 + minor >= 2 else 16
    if len(start) < size:
        raise UserError(f"{path} is cut: it ends within its header")
    seen = int.from_bytes(start[12:size], "little", signed=True)
    return Header((major, minor, revision), seen, size)


class DarknetFile:
    """A file's numbers, which have names once it is known whose they are.

    Attributes:
      names: none yet.
      others: none.
      is_own: False; the file does not say.
    """

    names: tuple[str, ...] = ()
    others: Mapping[str, str] = {}
    is_own = False

    def __init__(self, path: Path):
        """Of a file.

        Raises:
          UserError: it is cut, or none of Darknet's.
        """
        self._path, begin = path, header(path).size
        size = os.path.getsize(path) - begin
        if size % 4:
            raise UserError(f"{path} is cut: it ends within a number")
        self._numbers = np.memmap(path, "<f4", "r", begin, (size // 4,)) if size else np.zeros(0)

    def named(
        self, architecture: Architecture, module: nn.Module, shapes: Mapping[str, Shape]
    ) -> "Named":
        """The tensors, with names, of a module's network with as many classes as the file's.

        Args:
          architecture: the module's.
          module: with any number of classes.
          shapes: of its variables.

        Raises:
          UserError: the file is of another network, or cut.
        """
        if NAMING not in architecture.namings:
            raise UserError(
                f"{self._path} is a file of Darknet's, which {architecture.model!r} is not read "
                "from"
            )
        rules = in_file(architecture.namings[NAMING].table_of(module).expand(shapes))
        wanted = {name: r.shape([shapes[ours] for ours in r.ours]) for name, r in rules.items()}
        heads = [name for name, r in rules.items() if architecture.in_head(r.ours[0])]
        of_class, others = architecture.head_size(module)
        ours = of_class * module.num_classes + others
        total, there = sum(map(math.prod, wanted.values())), len(self._numbers)
        # Numbers of one class more: heads are the only layers that have them, in their first axis.
        step = sum(math.prod(wanted[name]) for name in heads) // ours * of_class
        more, rest = divmod(there - total, step)
        classes = module.num_classes + more
        if rest or classes < 1:
            wanted = _begun(wanted, rules, architecture, there)
            if not wanted:
                raise UserError(
                    f"{self._path} is cut, or of another network: it holds {there:,} numbers, and "
                    f"{architecture.model!r} with {module.num_classes} classes has {total:,}, and "
                    f"{step:,} for each class more or less"
                )
        else:
            size = of_class * classes + others
            wanted |= {name: (size, *wanted[name][1:]) for name in heads}
        ends = np.cumsum([math.prod(shape) for shape in wanted.values()])
        parts = np.split(self._numbers[: ends[-1]], ends[:-1])
        arrays = {
            name: part.reshape(shape)
            for (name, shape), part in zip(wanted.items(), parts, strict=True)
        }
        for name, array in arrays.items():
            if name.endswith(_VARIANCE) and not (array >= 0).all():
                raise UserError(
                    f"{self._path} is of another network than {architecture.model!r}: what should "
                    f"be {name} is not all positive"
                )
        return Named(arrays)


def _begun(
    wanted: Mapping[str, Shape], rules: Mapping[str, Rule], architecture: Architecture, there: int
) -> dict[str, Shape]:
    """The tensors of the first layers that ``there`` numbers are; none where they are of no whole
    layer.

    Darknet cuts its files where one network goes on as another: darknet53.conv.74 is what yolov3
    begins with, yolov3-tiny.conv.15 all of the small one in front of its first head. What the first
    is cut out of, darknet53.weights, has a classifier's last layer behind that, which is left out.
    """
    apart = (*architecture.head, *architecture.neck)
    kept, total, features, classifies = {}, 0, 0, True
    for _, names in itertools.groupby(wanted, key=lambda name: name.split(".")[0]):
        own = [*names]
        ours = rules[own[0]].ours[0]
        ends = classifies and is_under(ours, apart)
        classifies = not is_under(ours, apart)
        if there == total or (ends and there > total and not (there - total) % (features + 1)):
            return kept
        if architecture.in_head(ours):
            break
        kept |= {name: wanted[name] for name in own}
        total += sum(math.prod(wanted[name]) for name in own)
        features = wanted[own[-1]][0]
    return {}


class Named:
    """Tensors by name, each a piece of the file; see `jaxdl.pretrained.fit.Found`."""

    others: Mapping[str, str] = {}
    is_own = False

    def __init__(self, arrays: Mapping[str, np.ndarray]):
        self.names, self._arrays = arrays.keys(), arrays

    def shape(self, name: str) -> Shape:
        """Of one."""
        return self._arrays[name].shape

    def is_floating(self, name: str) -> bool:
        """All are."""
        return True

    def read(self, name: str) -> np.ndarray:
        """One."""
        return self._arrays[name]


def write(path: Path, rules: Mapping[str, Rule], theirs: Mapping[str, np.ndarray]) -> None:
    """Writes tensors of these rules, in their order; an older file is replaced once it is whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.part")
    with open(part, "wb") as file:
        file.write(np.array(_VERSION, "<i4").tobytes() + np.zeros((), "<i8").tobytes())
        for name in in_file(rules):
            file.write(theirs[name].astype("<f4").tobytes())
    part.replace(path)


# What the files of other libraries hold beside them, and Darknet keeps in its .cfg.
_BESIDE = "anchors"


def in_file(rules: Mapping[str, Rule]) -> dict[str, Rule]:
    """The rules of what lies in a file of Darknet's."""
    return {name: r for name, r in rules.items() if name != _BESIDE}


def convolution(theirs: str, conv: str, norm: str | None) -> tuple[Rule, ...]:
    """The rules of a convolution, in the order of the file.

    Args:
      theirs: what to call it.
      conv: our `jaxdl.layers.Conv`, without bias where there is a norm.
      norm: our `jaxdl.layers.BatchNorm` behind it, or None.
    """
    kernel = rule(f"{theirs}.weights", f"{conv}/kernel", steps=[transpose(3, 2, 0, 1)])
    if norm is None:
        return rule(f"{theirs}.biases", f"{conv}/bias"), kernel
    return (
        rule(f"{theirs}.biases", f"{norm}/bias"),
        rule(f"{theirs}.scales", f"{norm}/scale"),
        rule(f"{theirs}.rolling_mean", f"batch_stats/{norm}/mean"),
        rule(f"{theirs}.{_VARIANCE}", f"batch_stats/{norm}/var"),
        kernel,
    )


def table(layers: list[str]) -> Table:
    """Of a network whose convolutions are these modules of ours, in the order of the file.

    Those whose names begin with "head" are a convolution with a bias; the others hold a ``conv``
    and a ``norm``.
    """
    rules = []
    for i, layer in enumerate(layers):
        has_norm = not layer.startswith("head")
        names = (f"{layer}/conv", f"{layer}/norm") if has_norm else (layer, None)
        rules += convolution(str(i), *names)
    return Table((*rules, rule(_BESIDE, "constants/anchors")))
