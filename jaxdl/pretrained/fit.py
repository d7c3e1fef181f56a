"""Which library's names a checkpoint has, and whether all its tensors are what a module needs."""

import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import NamedTuple, Protocol

import numpy as np
from flax import linen as nn

from jaxdl.errors import UserError
from jaxdl.pretrained.architecture import Architecture, is_under
from jaxdl.pretrained.differences import compare, complain, first_ten
from jaxdl.pretrained.mapping import Rule, Shape, Table

# Counters of batch norms and of averaged models, which no computation reads.
IGNORED = r".*num_batches_tracked|(?:.*\.)?n_averaged"

# How many of the prefixes that a checkpoint's names may have are looked at.
_PREFIXES = 3


class Found(Protocol):
    """The tensors of a checkpoint, of which single ones are read; is_own if `save` wrote it.

    ``others`` are things that are no tensors and have names among theirs, {name: what it is}.
    """

    names: Collection[str]
    others: Mapping[str, str]
    is_own: bool

    def shape(self, name: str) -> Shape:
        """Of one."""

    def is_floating(self, name: str) -> bool:
        """Whether one has numbers of 16 bits or more with a fraction."""

    def read(self, name: str) -> np.ndarray:
        """One."""


class Fit(NamedTuple):
    """A reading of a checkpoint's names.

    Attributes:
      naming: whose names they are taken for.
      table: of that naming.
      wrapper: what stands in front of all names, those of copies too.
      prefix: in front of the table's names, wrapper included.
      rules: of the module's parameters, by their names in the table.
    """

    naming: str
    table: Table
    wrapper: str
    prefix: str
    rules: Mapping[str, Rule]

    def hits(self, found: Found) -> int:
        """How many of the tensors that the module needs are there."""
        return sum(self.prefix + name in found.names for name in self.rules)

    def fitting(self, shapes: Mapping[str, Shape], found: Found) -> int:
        """How many of them have the shape that they should."""
        wanted = self.wanted(shapes).items()
        return sum(name in found.names and found.shape(name) == shape for name, shape in wanted)

    def wanted(self, shapes: Mapping[str, Shape]) -> dict[str, Shape]:
        """The shapes of the tensors in the file, from those of the module's parameters."""
        return {
            self.prefix + name: rule.shape([shapes[ours] for ours in rule.ours])
            for name, rule in self.rules.items()
        }

    def tensor_shapes(self, found: Found) -> dict[str, Shape]:
        """The file's shapes by whole name, and by the table's."""
        whole = {name: found.shape(name) for name in found.names}
        return whole | {name.removeprefix(self.prefix): shape for name, shape in whole.items()}

    def has(self, part: str, found: Found) -> bool:
        """Whether a tensor of this submodule or collection of ours is there."""
        return any(
            is_under(rule.ours[0], (part,)) and self.prefix + name in found.names
            for name, rule in self.rules.items()
        )

    def without(self, unwanted: Callable[[str], bool]) -> "Fit":
        """The same without the rules of those of our parameters."""
        kept = {name: rule for name, rule in self.rules.items() if not unwanted(rule.ours[0])}
        return self._replace(rules=kept)

    def check(
        self, shapes: Mapping[str, Shape], found: Found, where: str, unread: Iterable[str] = ()
    ) -> None:
        """Raises UserError if tensors are missing, extra, misshapen or untied, with their names.

        Args:
          shapes: what there should be, by our names.
          found: what there is.
          where: it was found.
          unread: regular expressions, on the table's names, of what may be there in excess.
        """
        wanted = self.wanted(shapes)
        if wanted and not any(name in found.names for name in wanted):
            raise UserError(
                f"{where} has none of the model's tensors, which {self.naming} calls "
                f"{_few(wanted)}: it has {_few(found.names)}"
            )
        tied = {self.wrapper + copy: self.prefix + of for copy, of in self.table.tied.items()}
        tied = {copy: of for copy, of in tied.items() if copy in found.names}
        patterns = [re.escape(self.prefix) + p for p in (*self.table.ignored, *unread)]
        ignored = re.compile("|".join(f"(?:{pattern})" for pattern in (*patterns, IGNORED)))
        known = lambda name: name in tied or (name not in wanted and ignored.fullmatch(name))
        missing, extra, misshapen = compare(
            wanted, {name: found.shape(name) for name in found.names if not known(name)}
        )
        present = [name for name in wanted if name in found.names]
        missing = [
            f"{name} (it is a {found.others[name]})" if name in found.others else name
            for name in missing
        ]
        misshapen += [f"{name} holds no floats" for name in present if not found.is_floating(name)]
        untied = [
            f"{copy} is not {of}"
            for copy, of in tied.items()
            if of in present and not np.array_equal(found.read(copy), found.read(of))
        ]
        what = f"{where}, read by {self.naming}'s names, does not fit the model"
        outside = [name for name in extra if not name.startswith(self.prefix)]
        if outside == extra and extra and not (missing or misshapen or untied):
            key = self.prefix[:-1]
            what = (
                f"{where} has more than the model: checkpoint_key={key} reads what is under {key}"
            )
        complain(what, missing, extra, misshapen, untied)

    def read(self, shapes: Mapping[str, Shape], found: Found) -> Iterator[tuple[str, np.ndarray]]:
        """Our parameters by name, float32, one tensor after the other."""
        for name, rule in self.rules.items():
            tensor = found.read(self.prefix + name).astype(np.float32, copy=False)
            arrays = rule.to_ours(tensor, [shapes[ours] for ours in rule.ours])
            yield from zip(rule.ours, arrays, strict=True)


def best(
    architecture: Architecture, module: nn.Module, shapes: Mapping[str, Shape], found: Found
) -> Fit:
    """The reading of a checkpoint that gives most of a module's parameters.

    Raises:
      ValueError: it is one that does not map every parameter once.
    """
    fits = []
    for name, naming in architecture.namings.items():
        table = naming.table_of(module)
        for each in (table, table.alone()) if table.base else (table,):
            rules = each.apply(shapes)
            prefixes = _prefixes(each, rules, found.names)
            fits += [Fit(name, each, wrapper, prefix, rules) for wrapper, prefix in prefixes]
    most = max(fit.hits(found) for fit in fits)
    fits = [fit for fit in fits if fit.hits(found) == most]
    # Shapes tell apart what names do not; the first of equals is the one declared first.
    fit = max(fits, key=lambda fit: fit.fitting(shapes, found)) if len(fits) > 1 else fits[0]
    fit.table.expand(shapes)
    return fit


def _prefixes(table: Table, rules: Collection[str], names: Iterable[str]) -> list[tuple[str, str]]:
    """(wrapper, prefix) of `Fit` by which most names are the table's, whatever is in front."""
    counts = Counter()
    for name in names:
        cuts = [0, *(match.end() for match in re.finditer("[./]", name))]
        counts.update(name[:cut] for cut in cuts if name[cut:] in rules)
    found = [prefix for prefix, _ in counts.most_common(_PREFIXES)] or [table.prefixes[0]]
    own = sorted(table.prefixes, key=len, reverse=True)
    tails = [next((p for p in own if prefix.endswith(p)), "") for prefix in found]
    return [(p.removesuffix(tail), p) for p, tail in zip(found, tails, strict=True)]


def _few(names: Collection[str]) -> str:
    return first_ten(list(names)[:5]) + (", …" if len(names) > 5 else "")


def head_tensors(architecture: Architecture, table: Table) -> list[str]:
    """Regular expressions of the tensors that hold what depends on num_classes."""
    heads = [rule for rule in table.rules if architecture.in_head(rule.ours[0])]
    named = [re.sub(r"\\{\w+\\}", r"\\d+", re.escape(rule.theirs)) for rule in heads]
    return [*named, *table.before_head]


def classes(
    architecture: Architecture,
    fit: Fit,
    shapes: Mapping[str, Shape],
    found: Found,
    module: nn.Module,
) -> int | None:
    """The number of classes of a file's head; None if it has no head, or another one altogether.

    Args:
      architecture: whose head it is.
      fit: how the file is read.
      shapes: of the module.
      found: the file.
      module: one that may have another number of classes.
    """
    ours = getattr(module, "num_classes", None)
    heads = fit.without(lambda name: not architecture.in_head(name)).wanted(shapes)
    if not any(name in found.names for name in heads):
        return None
    of_class, others = architecture.head_size(module)
    numbers = {ours}
    for name, shape in heads.items():
        there = found.shape(name) if name in found.names else shape
        differ = [a != b for a, b in zip(there, shape, strict=False)]
        if len(there) == len(shape) and sum(differ) == 1:
            axis = differ.index(True)
            count, rest = divmod(there[axis] - others, of_class)
            if shape[axis] == of_class * ours + others and not rest:
                numbers.add(count)
    numbers = numbers - {ours} or numbers
    return numbers.pop() if len(numbers) == 1 else ours
