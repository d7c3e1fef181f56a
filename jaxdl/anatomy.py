"""What an image model is made of: layer by layer, how far each looks and what it costs.

    python -m jaxdl.anatomy resnet18 --size=224

A model is traced, not run, and every array of the program is followed: which of its axes are places
of the image, how many pixels apart neighbouring places are, and which pixels a place has seen
through convolutions, pooling and patches (the arithmetic of `jaxdl.ops.convolution.out_size` and
`receptive_field`, here for any graph of layers). So it holds for models that are written any way.
"""

import argparse
import functools
import inspect
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax.extend.core import ClosedJaxpr, Jaxpr, Literal

from jaxdl import keys, models


class Seen(NamedTuple):
    """The pixels that place i of an axis has seen: from ``first + step · i``, ``field`` of them.

    Beyond the image's edge there are pixels that are padding.
    """

    step: int
    first: int
    field: int

    def windows(self, size: int, stride: int, padding: int) -> "Seen":
        """Through windows of this many neighbouring places."""
        reach = self.field + (size - 1) * self.step
        return Seen(self.step * stride, self.first - padding * self.step, reach)

    def join(self, other: "Seen") -> "Seen":
        """By either of two, of one step."""
        first = min(self.first, other.first)
        end = max(self.first + self.field, other.first + other.field)
        return Seen(self.step, first, end - first)


class Layer(NamedTuple):
    """A convolution, a pooling or a cut into patches; sizes are (vertical, horizontal).

    Attributes:
      name: of the module, ``block_0_0/conv_0/conv``; of pooling, that of the module around it.
      kind: "convolution", "max pool", "average pool" or "patches".
      window: pixels of what goes in, dilation included.
      stride: between windows.
      size: of the map that comes out.
      seen: by its places; None where they have lost their order, as behind attention with a class
        token.
      whole: besides, something that sees the whole image had a say: attention, squeeze-excite.
      multiply_adds: for one image, padding counted.
    """

    name: str
    kind: str
    window: tuple[int, int]
    stride: tuple[int, int]
    size: tuple[int, int]
    seen: tuple[Seen, Seen] | None
    whole: bool
    multiply_adds: int


class Map(NamedTuple):
    """A map: its size, and what its places have seen, as a `Layer`'s."""

    size: tuple[int, int]
    seen: tuple[Seen, Seen] | None
    whole: bool

    @property
    def field(self) -> float:
        """Side of the square of pixels that a place has seen; inf where it is the whole image."""
        if self.whole or self.seen is None:
            return math.inf
        return max(seen.field for seen in self.seen)


class Anatomy(NamedTuple):
    """What is told of a model.

    Attributes:
      layers: in the order of the forward pass.
      last: the map that is pooled or flattened in the end.
      parameters: trainable ones.
      multiply_adds: of all products and convolutions for one image, padding counted.
    """

    layers: tuple[Layer, ...]
    last: Map
    parameters: int
    multiply_adds: int


def of(module: nn.Module, image: tuple[int, int, int] = (224, 224, 3)) -> Anatomy:
    """The anatomy of a model of images (batch, h, w, c) for ``image`` (h, w, c), in evaluation.

    Nothing is computed, and no parameter is made: a model of any size takes seconds.
    """
    x = jax.ShapeDtypeStruct((2, *image), jnp.float32)  # two, as axes of length 1 are ambiguous
    variables = jax.eval_shape(module.init, keys.abstract(), x)
    tracer = _trace(module.apply, variables, x)
    last = tracer.lost
    if "features" in inspect.signature(module.__call__).parameters:
        maps = _trace(functools.partial(module.apply, features=True), variables, x).maps
        last = maps[-1]
    parameters = sum(p.size for p in jax.tree.leaves(variables.get("params", {})))
    return Anatomy(tuple(tracer.layers), last, parameters, tracer.products // 2)


# How it is followed. An array's elements, in order, are those of a grid of factors, first the
# slowest: a plain (B, H, W, C) has factors B, y, x and C; so has (B · H · W, C), and reshaping
# there and back loses nothing. What is done to places that this can't tell is "whole".


class _Factor(NamedTuple):
    size: int
    tag: str = ""  # "y", "x": vertical and horizontal places of the image; "": anything else


class _View(NamedTuple):
    """What is known of an array.

    Attributes:
      factors: of its elements, plain neighbours merged.
      seen: by tag.
      whole: as of `Layer`.
    """

    factors: tuple[_Factor, ...]
    seen: Mapping[str, Seen] = {}
    whole: bool = False


_Groups = list[tuple[_Factor, ...]]


def _plain(shape: Sequence[int], whole: bool = False) -> _View:
    return _View(_merged([_Factor(math.prod(shape))]), {}, whole)


def _merged(factors: Iterable[_Factor]) -> tuple[_Factor, ...]:
    """Neighbours without a tag as one, and none of length 1."""
    result: list[_Factor] = []
    for factor in factors:
        if not factor.tag and result and not result[-1].tag:
            result[-1] = _Factor(result[-1].size * factor.size)
        elif factor.tag or factor.size != 1:
            result.append(factor)
    return tuple(result)


def _grouped(view: _View, shape: Sequence[int]) -> tuple[_Groups, dict[str, int]] | None:
    """The factors of each axis, and by how much tagged ones had to be cut for that, by tag.

    None where axes and factors do not fit each other.
    """
    rest, groups, cuts = list(view.factors), [], {}
    for n in shape:
        group, product = [], 1
        while product < n or (n == 1 and not group and rest and rest[0].size == 1):
            if not rest:
                return None
            size, tag = rest.pop(0)
            wanted = n // product
            if size > wanted or n % product:
                if size % wanted:
                    return None
                if tag:  # of neighbouring places the number within a patch has no order of its own
                    cuts[tag] = size // wanted
                rest.insert(0, _Factor(size // wanted))
                size = wanted
            group.append(_Factor(size, tag))
            product *= size
        if product != n:
            return None
        groups.append(tuple(group))
    if groups:
        groups[-1] += tuple(rest)
    return groups, cuts


class _Tracer:
    """Follows a program, and keeps what it meets."""

    def __init__(self) -> None:
        self.layers: list[Layer] = []
        self.products = 0
        self.lost = Map((1, 1), None, True)
        self.maps: list[Map] = []

    def run(self, jaxpr: Jaxpr, views: Sequence[_View], name: str) -> list[_View]:
        """The views of a program's results from those of its inputs."""
        known = dict(zip(jaxpr.invars, views, strict=True))
        known |= {v: _plain(v.aval.shape) for v in jaxpr.constvars}
        read = lambda v: _plain(v.aval.shape) if isinstance(v, Literal) else known[v]
        for eqn in jaxpr.eqns:
            found = self._apply(eqn, [read(v) for v in eqn.invars], name)
            known |= dict(zip(eqn.outvars, found, strict=True))
        return [read(v) for v in jaxpr.outvars]

    def _apply(self, eqn: Any, views: list[_View], name: str) -> list[_View]:
        inner = _inside(eqn)
        name = "/".join(filter(None, (name, str(eqn.source_info.name_stack))))
        if inner is not None:
            # A conditional's first operand says which branch it is.
            return self.run(inner, views[len(views) - len(inner.invars) :], name)
        shapes = [v.aval.shape for v in eqn.invars]
        groups = []
        for view, shape in zip(views, shapes, strict=True):
            found = _grouped(view, shape)
            groups.append(found[0] if found else [(_Factor(n),) for n in shape])
        # Without the class of the whole, and its methods: ResNet/ResNet._stem/conv.
        self.name = "/".join(part for part in name.split("/")[1:] if "." not in part)
        rule = _RULES.get(eqn.primitive.name, _elementwise)
        return rule(self, eqn, views, groups)

    def meet(self, kind: str, view: _View, size, window, stride, multiply_adds=0) -> None:
        """Keeps a layer."""
        self.layers.append(
            Layer(
                self.name,
                kind,
                tuple(window),
                tuple(stride),
                tuple(size),
                _both(view),
                view.whole,
                multiply_adds,
            )
        )


def _both(view: _View) -> tuple[Seen, Seen] | None:
    return (view.seen["y"], view.seen["x"]) if {"y", "x"} <= view.seen.keys() else None


def _trace(f: Callable, variables: Any, x: Any) -> _Tracer:
    """Follows ``f(variables, x)`` from the image's pixels to the end."""
    jaxpr = jax.make_jaxpr(f)(variables, x).jaxpr
    B, H, W, C = x.shape
    pixels = _View(
        (_Factor(B), _Factor(H, "y"), _Factor(W, "x"), _Factor(C)),
        {"y": Seen(1, 0, 1), "x": Seen(1, 0, 1)},
    )
    views = [_plain(v.aval.shape) for v in jaxpr.invars[:-1]]
    tracer = _Tracer()
    results = tracer.run(jaxpr, [*views, pixels], "")
    tracer.maps = [
        Map(v.aval.shape[1:3], _both(view), view.whole)
        for v, view in zip(jaxpr.outvars, results, strict=True)
    ]
    return tracer


def _inside(eqn: Any) -> Jaxpr | None:
    """The program that an equation runs once; of one form a platform that which is written."""
    branches = eqn.params.get("branches")
    if branches is not None:
        own = eqn.params.get("branches_platforms") or ()
        found = [b for b, platforms in zip(branches, own, strict=False) if platforms is None]
        return found[0].jaxpr if found else None
    if eqn.primitive.name in ("scan", "while"):
        return None
    found = [p for p in eqn.params.values() if isinstance(p, Jaxpr | ClosedJaxpr)]
    return getattr(found[0], "jaxpr", found[0]) if found else None


def _lose(tracer: _Tracer, view: _View, kept: Iterable[_Factor]) -> tuple[dict[str, Seen], bool]:
    """What is left of what a view's places have seen if these factors of it are."""
    tags = {factor.tag for factor in kept}
    seen = {tag: seen for tag, seen in view.seen.items() if tag in tags}
    if len(seen) < len(view.seen):
        size = {factor.tag: factor.size for factor in view.factors}
        if {"y", "x"} <= size.keys():
            tracer.lost = Map((size["y"], size["x"]), _both(view), view.whole)
    return seen, view.whole or len(seen) < len(view.seen)


def _regroup(tracer: _Tracer, view: _View, groups: _Groups) -> _View:
    """A view whose axes are now these."""
    factors = [factor for group in groups for factor in group]
    seen, whole = _lose(tracer, view, factors)
    return _View(_merged(factors), seen, whole)


def _joined(tracer: _Tracer, views: Sequence[_View], shape: Sequence[int]) -> _View:
    """Place by place of arrays of this shape: of places that are alike, by any of them."""
    whole = any(view.whole for view in views)
    first = max(views, key=lambda view: len(view.seen), default=_plain(shape))
    seen = dict(first.seen)
    for view in views:
        alike = view.factors == first.factors and view.seen.keys() == seen.keys()
        if alike and all(view.seen[tag].step == seen[tag].step for tag in seen):
            seen = {tag: seen[tag].join(view.seen[tag]) for tag in seen}
        else:
            whole |= _lose(tracer, view, ())[1]
    return _View(first.factors, seen, whole)


def _elementwise(tracer, eqn, views, groups):
    """Of operands whose shapes broadcast to the result's; of all others little is known."""
    results = []
    for v in eqn.outvars:
        shape, wide = v.aval.shape, []
        for view, operand, given in zip(views, groups, eqn.invars, strict=True):
            axes = list(zip(operand, given.aval.shape, shape, strict=False))
            if len(given.aval.shape) == len(shape) and all(n in (1, m) for _, n, m in axes):
                new = [group if n == m else (_Factor(m),) for group, n, m in axes]
                wide.append(_regroup(tracer, view, new))
            else:
                wide.append(_plain(shape, _lose(tracer, view, ())[1]))
        results.append(_joined(tracer, wide, shape))
    return results


def _reshape(tracer, eqn, views, groups):
    (view, *_), shape = views, eqn.outvars[0].aval.shape
    found = _grouped(view, shape)
    if found is None:
        return [_plain(shape, _lose(tracer, view, ())[1])]
    new, cuts = found
    seen = dict(view.seen)
    for tag, patch in cuts.items():
        seen[tag] = seen[tag].windows(patch, patch, 0)
    result = _regroup(tracer, view._replace(seen=seen), new)
    if cuts:
        size = {factor.tag: factor.size for factor in result.factors}
        patch = [cuts.get(tag, 1) for tag in "yx"]
        tracer.meet("patches", result, [size.get(tag, 1) for tag in "yx"], patch, patch)
    return [result]


def _transpose(tracer, eqn, views, groups):
    return [_regroup(tracer, views[0], [groups[0][i] for i in eqn.params["permutation"]])]


def _broadcast(tracer, eqn, views, groups):
    shape, at = eqn.params["shape"], eqn.params["broadcast_dimensions"]
    new = [(_Factor(n),) for n in shape]
    for axis, group, n in zip(at, groups[0], eqn.invars[0].aval.shape, strict=True):
        if n == shape[axis]:
            new[axis] = group
    return [_regroup(tracer, views[0], new)]


def _drop(axes: str) -> Callable:
    """A rule for what is left without some axes, which this parameter names."""

    def rule(tracer, eqn, views, groups):
        new = [group for i, group in enumerate(groups[0]) if i not in eqn.params[axes]]
        return [_regroup(tracer, views[0], new)] * len(eqn.outvars)

    return rule


def _along(tracer, view, groups, shape, steps) -> _View:
    """A view whose axes go through windows: (size, stride, padding in front) for each."""
    new, seen = [], dict(view.seen)
    for group, n, (size, stride, padding) in zip(groups, shape, steps, strict=True):
        tags = [factor for factor in group if factor.tag]
        if (size, stride, padding) == (1, 1, 0) and n == math.prod(f.size for f in group):
            new.append(group)
        elif len(group) == 1 and tags:
            (tag,) = (factor.tag for factor in group)
            seen[tag] = seen[tag].windows(size, stride, padding)
            new.append((_Factor(n, tag),))
        else:
            new.append((_Factor(n),))
    return _regroup(tracer, view._replace(seen=seen), new)


def _slice(tracer, eqn, views, groups):
    strides = eqn.params["strides"] or [1] * len(groups[0])
    steps = [(1, s, -first) for first, s in zip(eqn.params["start_indices"], strides, strict=True)]
    return [_along(tracer, views[0], groups[0], eqn.outvars[0].aval.shape, steps)]


def _pad(tracer, eqn, views, groups):
    config = eqn.params["padding_config"]
    if any(between for *_, between in config):
        return _elementwise(tracer, eqn, views, groups)
    steps = [(1, 1, before) for before, _, _ in config]
    return [_along(tracer, views[0], groups[0], eqn.outvars[0].aval.shape, steps)]


def _split(tracer, eqn, views, groups):
    axis, start, results = eqn.params["axis"], 0, []
    for v in eqn.outvars:
        steps = [(1, 1, -start if i == axis else 0) for i in range(len(groups[0]))]
        results.append(_along(tracer, views[0], groups[0], v.aval.shape, steps))
        start += v.aval.shape[axis]
    return results


def _concatenate(tracer, eqn, views, groups):
    """Behind one another along an axis without places, the others are joined."""
    axis, v = eqn.params["dimension"], eqn.outvars[0]
    if any(factor.tag for operand in groups for factor in operand[axis]):
        whole = any(_lose(tracer, view, ())[1] for view in views)
        return [_plain(v.aval.shape, whole)]
    new = lambda operand: [*operand[:axis], (_Factor(v.aval.shape[axis]),), *operand[axis + 1 :]]
    widened = [_regroup(tracer, view, new(g)) for view, g in zip(views, groups, strict=True)]
    return [_joined(tracer, widened, v.aval.shape)]


def _convolution(tracer, eqn, views, groups):
    p, out = eqn.params, eqn.outvars[0].aval.shape
    numbers, kernel = p["dimension_numbers"], eqn.invars[1].aval.shape
    windows = [
        ((kernel[k] - 1) * d + 1, s, before)
        for k, d, s, (before, _) in zip(
            numbers.rhs_spec[2:], p["rhs_dilation"], p["window_strides"], p["padding"], strict=True
        )
    ]
    taps = math.prod(kernel) // kernel[numbers.rhs_spec[0]]
    tracer.products += math.prod(out) * taps
    # Axes in the order (batch, features, places): features come from all features.
    order = lambda spec, xs: [xs[i] for i in spec]
    places = order(numbers.lhs_spec, groups[0])
    places[1] = ()
    shape = order(numbers.out_spec, out)
    steps = [(1, 1, 0), (shape[1], 1, 0), *windows]
    result = _along(tracer, views[0], places, shape, steps)
    back = _grouped(result, shape)[0]
    result = _regroup(tracer, result, [back[numbers.out_spec.index(i)] for i in range(len(out))])
    window, stride = [w for w, _, _ in windows], [s for _, s, _ in windows]
    if len(windows) == 2:
        adds = math.prod(out) * taps // 2
        tracer.meet("convolution", result, shape[2:], window, stride, adds)
    return [result]


def _pool(kind: str) -> Callable:
    def rule(tracer, eqn, views, groups):
        p, out = eqn.params, eqn.outvars[0].aval.shape
        sizes, strides = p["window_dimensions"], p["window_strides"]
        before = [first for first, _ in p["padding"]]
        steps = list(zip(sizes, strides, before, strict=True))
        result = _along(tracer, views[0], groups[0], out, steps)
        if math.prod(sizes[1:3]) > 1 and len(out) == 4:  # not among channels
            tracer.meet(kind, result, out[1:3], sizes[1:3], strides[1:3])
        return [result] * len(eqn.outvars)

    return rule


def _product(tracer, eqn, views, groups):
    (summed, batched), out = eqn.params["dimension_numbers"], eqn.outvars[0].aval.shape
    depth = math.prod(eqn.invars[0].aval.shape[i] for i in summed[0])
    tracer.products += math.prod(out) * depth
    batch = [groups[0][i] for i in batched[0]]
    free = [
        [group for i, group in enumerate(groups[side]) if i not in (*summed[side], *batched[side])]
        for side in (0, 1)
    ]
    # Places of both, as in scores of attention: of all pairs none has seen less than both.
    tagged = [any(factor.tag for group in side for factor in group) for side in free]
    lead = 1 if tagged[1] and not tagged[0] else 0
    plain = [(_Factor(math.prod(f.size for f in group)),) for group in free[1 - lead]]
    sides = [free[0], plain] if lead == 0 else [plain, free[1]]
    result = _regroup(tracer, views[lead], [*batch, *sides[0], *sides[1]])
    whole = result.whole or views[1 - lead].whole or bool(views[1 - lead].seen)
    return [result._replace(whole=whole)]


_RULES = {
    "reshape": _reshape,
    "transpose": _transpose,
    "broadcast_in_dim": _broadcast,
    "squeeze": _drop("dimensions"),
    **dict.fromkeys(("reduce_sum", "reduce_max", "reduce_min", "argmax"), _drop("axes")),
    "slice": _slice,
    "pad": _pad,
    "split": _split,
    "concatenate": _concatenate,
    "conv_general_dilated": _convolution,
    "reduce_window_max": _pool("max pool"),
    "reduce_window_sum": _pool("average pool"),
    "dot_general": _product,
}


def table(anatomy: Anatomy) -> str:
    """The layers as lines of text."""
    by = lambda pair: "x".join(map(str, pair))
    rows = [("layer", "kind", "window", "stride", "map", "step", "field", "multiply-adds")]
    for x in anatomy.layers:
        field = "?" if x.seen is None else by(seen.field for seen in x.seen)
        step = "?" if x.seen is None else by(seen.step for seen in x.seen)
        field += " + whole" if x.whole else ""
        adds = f"{x.multiply_adds:,}"
        rows.append((x.name, x.kind, by(x.window), by(x.stride), by(x.size), step, field, adds))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)) for row in rows]
    last = f"last map {by(anatomy.last.size)}, receptive field {anatomy.last.field}"
    total = f"{anatomy.parameters:,} parameters, {anatomy.multiply_adds:,} multiply-adds"
    return "\n".join([*(line.rstrip() for line in lines), f"{total}, {last}"])


def main() -> None:
    """Prints a model's layers."""
    parser = argparse.ArgumentParser(description="The layers of an image model.")
    parser.add_argument("model", help="one of jaxdl.models")
    parser.add_argument("--size", type=int, default=224, help="pixels a side")
    parser.add_argument("--channels", type=int, default=3, help="of the image")
    args = parser.parse_args()
    image = (args.size, args.size, args.channels)
    print(table(of(models.create(args.model), image)))


if __name__ == "__main__":
    main()
