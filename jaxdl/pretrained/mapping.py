"""One table an architecture: how jaxdl's parameters and a published file's tensors correspond.

A `Rule` names a tensor and the one or several parameters that it holds, and the steps between their
layouts; each step goes both ways, so one table serves reading and writing.
"""

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from jaxdl.pretrained.differences import Shape


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

    def shape(self, shapes: Sequence[Shape]) -> Shape:
        """The tensor's, of parameters of these."""
        return self.to_theirs([hollow(shape) for shape in shapes]).shape

    def to_ours(self, tensor: np.ndarray, shapes: Sequence[Shape]) -> list[np.ndarray]:
        """The parameters, of these shapes."""
        arrays = [tensor]
        stages = self.stages([hollow(shape) for shape in shapes])
        for step, before in zip(reversed(self.steps), reversed(stages[:-1]), strict=True):
            arrays = step.to_ours(arrays, [x.shape for x in before])
        return arrays


def rule(theirs: str, *ours: str, steps: Sequence[Step] = ()) -> Rule:
    """A `Rule`, in the form in which tables are written."""
    return Rule(theirs, ours, tuple(steps))


def norm(theirs: str, ours: str, names: tuple[str, str] = ("weight", "bias")) -> tuple[Rule, Rule]:
    """The two rules of a normalisation layer; ``names`` are theirs of scale and bias."""
    scale, bias = names
    return rule(f"{theirs}.{scale}", f"{ours}/scale"), rule(f"{theirs}.{bias}", f"{ours}/bias")


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


QKV = ("query", "key", "value")

# From (in, out), which is ours, to the layout of PyTorch's dense layers.
_OUT_IN = (transpose(1, 0),)


def qkv_packed(theirs: str, ours: str, layout: Sequence[Step] = _OUT_IN) -> tuple[Rule, Rule]:
    """The two rules of query, key and value that are one matrix there.

    Args:
      theirs: what stands in front of "weight" and "bias", separator and all.
      ours: the attention module, whose kernels are (width, heads, head_dim).
      layout: from (in, out) to theirs; none where theirs is the same.
    """
    return (
        rule(
            f"{theirs}weight",
            *(f"{ours}/{name}/kernel" for name in QKV),
            steps=[merge(1, 2), concatenate(1), *layout],
        ),
        rule(
            f"{theirs}bias",
            *(f"{ours}/{name}/bias" for name in QKV),
            steps=[merge(0, 1), concatenate(0)],
        ),
    )


def qkv_apart(theirs: Mapping[str, str], ours: str) -> tuple[Rule, ...]:
    """The six rules of query, key and value that are a matrix each there, from {ours: theirs}."""
    return tuple(
        made
        for name in QKV
        for made in (
            rule(
                f"{theirs[name]}.weight",
                f"{ours}/{name}/kernel",
                steps=[merge(1, 2), transpose(1, 0)],
            ),
            rule(f"{theirs[name]}.bias", f"{ours}/{name}/bias", steps=[merge(0, 1)]),
        )
    )


def attention_out(theirs: str, ours: str, layout: Sequence[Step] = _OUT_IN) -> tuple[Rule, Rule]:
    """The two rules of what brings the heads together; ``layout`` as of `qkv_packed`."""
    return (
        rule(f"{theirs}.weight", f"{ours}/out/kernel", steps=[merge(0, 1), *layout]),
        rule(f"{theirs}.bias", f"{ours}/out/bias"),
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


class Table(NamedTuple):
    """All that is said about an architecture's tensors.

    Attributes:
      rules: of every parameter that a module of it can have.
      prefixes: what may stand in front of all their names; the first is written.
      ignored: regular expressions for tensors that are no parameters, without prefix.
      tied: copies of other tensors, {whole name: name without prefix}: absent or equal.
      before_head: regular expressions for tensors that belong to the file's head and have no rule,
        without prefix: a file with one is read only where its head is not.
      base: what begins all names but the head's, and none in files of the model without its head.
    """

    rules: tuple[Rule, ...]
    prefixes: tuple[str, ...] = ("",)
    ignored: tuple[str, ...] = ()
    tied: Mapping[str, str] = {}
    before_head: tuple[str, ...] = ()
    base: str = ""

    def alone(self) -> "Table":
        """That of files of the model without its head."""
        rules = (r._replace(theirs=r.theirs.removeprefix(self.base)) for r in self.rules)
        ignored = (x.removeprefix(re.escape(self.base)) for x in self.ignored)
        tied = {a.removeprefix(self.base): b.removeprefix(self.base) for a, b in self.tied.items()}
        return self._replace(rules=tuple(rules), ignored=tuple(ignored), tied=tied, base="")

    def apply(self, names: Iterable[str]) -> dict[str, Rule]:
        """The rules that apply to parameters of these names, with numbers in place, by theirs."""
        names, rules = dict.fromkeys(names), {}
        for rule in self.rules:
            for numbers in _places(rule.ours[0], names):
                ours = tuple(name.format(**numbers) for name in rule.ours)
                rules[rule.theirs.format(**numbers)] = rule._replace(ours=ours)
        return rules

    def expand(self, names: Iterable[str]) -> dict[str, Rule]:
        """`apply`, if it is what a table must give: every parameter is mapped once."""
        names = list(names)
        rules = self.apply(names)
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


def _places(pattern: str, names: Collection[str]) -> Iterable[dict[str, str]]:
    """What stands in the places of a pattern, for every name that it fits."""
    if "{" not in pattern:
        return [{}] if pattern in names else []
    expression = re.compile(number_places(pattern))
    return [match.groupdict() for match in map(expression.fullmatch, names) if match]


def number_places(pattern: str) -> str:
    """The regular expression of a name with places such as {i} for numbers."""
    seen = set()

    def group(match):
        name = match[1]
        again = name in seen
        seen.add(name)
        return rf"(?P={name})" if again else rf"(?P<{name}>\d+)"

    return re.sub(r"\\{(\w+)\\}", group, re.escape(pattern))


def hollow(shape: Shape) -> np.ndarray:
    """An array of zeros that takes no memory."""
    return np.broadcast_to(np.bool_(False), shape)
