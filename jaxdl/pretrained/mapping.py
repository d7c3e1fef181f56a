"""One table a architecture: how jaxdl's parameters and a published file's tensors correspond.

A `Rule` names a tensor and the one or several parameters that it holds, and the steps between their
layouts; each step goes both ways, so one table serves reading and writing.
"""

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import NamedTuple, Protocol

import numpy as np

from jaxdl.errors import UserError

Shape = tuple[int, ...]


class Step(NamedTuple):
    """A change of layout.

    Attributes:
      to_theirs: arrays, of jaxdl's side, to arrays.
      to_ours: its inverse; the shapes are those of the arrays that to_theirs took.
    """

    to_theirs: Callable[[list[np.ndarray]], list[np.ndarray]]
    to_ours: Callable[[list[np.ndarray], list[Shape]], list[np.ndarray]]


def merge(first: int, last: int) -> Step:
    """Neighbouring axes of ours are one of theirs: heads and head_dim, or an axis of length 1."""
    stop = last + 1
    return Step(
        lambda xs: [x.reshape(*x.shape[:first], -1, *x.shape[stop:]) for x in xs],
        lambda xs, shapes: [x.reshape(shape) for x, shape in zip(xs, shapes, strict=True)],
    )


def transpose(*axes: int) -> Step:
    """Axis i of theirs is axis ``axes[i]`` of ours."""
    back = tuple(np.argsort(axes))
    return Step(
        lambda xs: [x.transpose(axes) for x in xs],
        lambda xs, shapes: [x.transpose(back) for x in xs],
    )


def expand_dims(axis: int) -> Step:
    """Theirs has an axis of length 1 here, ours none."""
    return Step(
        lambda xs: [np.expand_dims(x, axis) for x in xs],
        lambda xs, shapes: [x.squeeze(axis) for x in xs],
    )


def concatenate(axis: int) -> Step:
    """Several of ours lie one behind the other in one of theirs."""
    return Step(
        lambda xs: [np.concatenate(xs, axis)],
        lambda xs, shapes: np.split(xs[0], np.cumsum([s[axis] for s in shapes])[:-1], axis),
    )


class Rule(NamedTuple):
    """A tensor of theirs and what it holds of ours.

    Attributes:
      theirs: a name with places such as {i} for numbers.
      ours: names with the same places, such as ``block_{i}/attention/out/kernel``; those of other
        collections than "params" begin with the collection's.
      steps: from our layout to theirs, first to last.
    """

    theirs: str
    ours: tuple[str, ...]
    steps: tuple[Step, ...] = ()

    def stages(self, arrays: Sequence[np.ndarray]) -> list[list[np.ndarray]]:
        """Ours, and what every step makes of the stage before it."""
        stages = [list(arrays)]
        for step in self.steps:
            stages.append(step.to_theirs(stages[-1]))
        return stages

    def to_theirs(self, arrays: Sequence[np.ndarray]) -> np.ndarray:
        """The tensor."""
        (tensor,) = self.stages(arrays)[-1]
        return tensor

    def to_ours(self, tensor: np.ndarray, shapes: Sequence[Shape]) -> list[np.ndarray]:
        """The parameters, of these shapes."""
        arrays = [tensor]
        stages = self.stages([_hollow(shape) for shape in shapes])
        for step, before in zip(reversed(self.steps), reversed(stages[:-1]), strict=True):
            arrays = step.to_ours(arrays, [x.shape for x in before])
        return arrays


def rule(theirs: str, *ours: str, steps: Sequence[Step] = ()) -> Rule:
    """A `Rule`, in the form in which tables are written."""
    return Rule(theirs, ours, tuple(steps))


def norm(theirs: str, ours: str) -> tuple[Rule, Rule]:
    """The two rules of a normalisation layer."""
    return rule(f"{theirs}.weight", f"{ours}/scale"), rule(f"{theirs}.bias", f"{ours}/bias")


def dense(theirs: str, ours: str) -> tuple[Rule, Rule]:
    """The two rules of a dense layer, whose matrix is (out, in) there."""
    return (
        rule(f"{theirs}.weight", f"{ours}/kernel", steps=[transpose(1, 0)]),
        rule(f"{theirs}.bias", f"{ours}/bias"),
    )


def conv(theirs: str, ours: str) -> tuple[Rule, Rule]:
    """The two rules of a convolution, grouped or not, whose kernel is (out, in, h, w) there."""
    return (
        rule(f"{theirs}.weight", f"{ours}/kernel", steps=[transpose(3, 2, 0, 1)]),
        rule(f"{theirs}.bias", f"{ours}/bias"),
    )


def pointwise(theirs: str, ours: str) -> tuple[Rule, Rule]:
    """The two rules of a dense layer that is a 1x1 convolution there."""
    return (
        rule(
            f"{theirs}.weight",
            f"{ours}/kernel",
            steps=[transpose(1, 0), expand_dims(2), expand_dims(3)],
        ),
        rule(f"{theirs}.bias", f"{ours}/bias"),
    )


def batch_norm(theirs: str, ours: str) -> tuple[Rule, ...]:
    """The four rules of a batch norm; a module without one of them has no use for its rule."""
    return (
        *norm(theirs, ours),
        rule(f"{theirs}.running_mean", f"batch_stats/{ours}/mean"),
        rule(f"{theirs}.running_var", f"batch_stats/{ours}/var"),
    )


class Found(Protocol):
    """The tensors of a checkpoint, of which single ones are read."""

    names: Collection[str]

    def shape(self, name: str) -> Shape:
        """Of one."""

    def is_floating(self, name: str) -> bool:
        """Whether one has numbers of 16 bits or more with a fraction."""

    def read(self, name: str) -> np.ndarray:
        """One."""


class Table(NamedTuple):
    """All that is said about an architecture's tensors.

    Attributes:
      rules: of every parameter that a module of it can have.
      prefixes: what may stand in front of all their names; the first is written.
      ignored: regular expressions for tensors that are no parameters, without prefix.
      tied: copies of other tensors, {whole name: name without prefix}: absent or equal.
    """

    rules: tuple[Rule, ...]
    prefixes: tuple[str, ...] = ("",)
    ignored: tuple[str, ...] = ()
    tied: Mapping[str, str] = {}

    def expand(self, names: Iterable[str]) -> dict[str, Rule]:
        """The rules that apply to parameters of these names, with numbers in place, by theirs."""
        names, rules = list(names), {}
        for rule in self.rules:
            pattern = re.sub(r"\\{(\w+)\\}", r"(?P<\1>\\d+)", re.escape(rule.ours[0]))
            for match in filter(None, (re.fullmatch(pattern, name) for name in names)):
                numbers = match.groupdict()
                ours = tuple(name.format(**numbers) for name in rule.ours)
                rules[rule.theirs.format(**numbers)] = rule._replace(ours=ours)
        mapped = [name for rule in rules.values() for name in rule.ours]
        if sorted(mapped) != sorted(names):
            raise ValueError(f"not mapped once: {sorted(set(mapped) ^ set(names)) or mapped}")
        return rules

    def to_theirs(self, flat: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Their tensors from our parameters by name."""
        return {
            self.prefixes[0] + name: rule.to_theirs([flat[ours] for ours in rule.ours])
            for name, rule in self.expand(flat).items()
        }

    def to_ours(self, shapes: Mapping[str, Shape], found: Found, where: str) -> dict:
        """Our parameters, {name: float32}, from their tensors.

        Args:
          shapes: what there should be, by our names.
          found: what there is.
          where: it was found, for the message.

        Raises:
          UserError: tensors are missing, extra, misshapen or untied.
        """
        rules = self.expand(shapes)
        prefix = self._checked(rules, shapes, found, where)
        flat = {}
        for name, rule in rules.items():
            tensor = found.read(prefix + name).astype(np.float32, copy=False)
            arrays = rule.to_ours(tensor, [shapes[ours] for ours in rule.ours])
            flat.update(zip(rule.ours, arrays, strict=True))
        return flat

    def _checked(self, rules, shapes, found, where) -> str:
        """The prefix of the tensors that are there, if they are what the rules want."""
        has = lambda prefix: sum(prefix + name in found.names for name in rules)
        prefix = max(self.prefixes, key=has)
        wanted = {}
        for name, rule in rules.items():
            hollow = [_hollow(shapes[ours]) for ours in rule.ours]
            wanted[prefix + name] = rule.to_theirs(hollow).shape
        tied = {copy: prefix + of for copy, of in self.tied.items() if copy in found.names}
        ignored = [re.escape(prefix) + pattern for pattern in self.ignored]
        known = lambda name: name in tied or any(re.fullmatch(i, name) for i in ignored)
        missing, extra, misshapen = compare(
            wanted, {name: found.shape(name) for name in found.names if not known(name)}
        )
        present = [name for name in wanted if name in found.names]
        misshapen += [f"{name} holds no floats" for name in present if not found.is_floating(name)]
        untied = [
            f"{copy} is not {of}"
            for copy, of in tied.items()
            if of in present and not np.array_equal(found.read(copy), found.read(of))
        ]
        complain(f"{where} does not fit the model", missing, extra, misshapen, untied)
        return prefix


def compare(
    wanted: Mapping[str, Shape], found: Mapping[str, Shape]
) -> tuple[list[str], list[str], list[str]]:
    """(missing, extra, misshapen) of shapes by name, the last with their shapes."""
    return (
        [name for name in wanted if name not in found],
        [name for name in found if name not in wanted],
        [
            f"{name} is {tuple(found[name])}, should be {tuple(shape)}"
            for name, shape in wanted.items()
            if name in found and tuple(found[name]) != tuple(shape)
        ],
    )


def complain(
    what: str,
    missing: Sequence[str] = (),
    extra: Sequence[str] = (),
    misshapen: Sequence[str] = (),
    untied: Sequence[str] = (),
) -> None:
    """Raises one UserError that begins with ``what`` and lists all of these, if there are any."""
    lists = dict(missing=missing, extra=extra, misshapen=misshapen, untied=untied)
    told = [f"{len(names)} {kind}: {', '.join(names)}" for kind, names in lists.items() if names]
    if told:
        raise UserError(f"{what}: {'; '.join(told)}")


def _hollow(shape: Shape) -> np.ndarray:
    """An array of zeros that takes no memory."""
    return np.broadcast_to(np.float32(0), shape)
