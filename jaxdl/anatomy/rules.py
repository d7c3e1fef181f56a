"""What each operation does to what is known of its operands.

A rule is a function (tracer, equation, views of the operands, their factors by axis) -> views of
the results; it tells the tracer of layers and products that it is.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from jaxdl.anatomy.views import (
    Factor,
    Groups,
    Map,
    Seen,
    View,
    both,
    grouped,
    hull,
    merged,
    plain,
)


def _lose(tracer: Any, view: View, kept: Iterable[Factor]) -> tuple[dict[str, Seen], bool]:
    """What is left of what a view's places have seen if these factors of it are."""
    tags = {factor.tag for factor in kept}
    seen = {tag: seen for tag, seen in view.seen.items() if tag in tags}
    if len(seen) < len(view.seen):
        size = {factor.tag: factor.size for factor in view.factors}
        if {"y", "x"} <= size.keys():
            tracer.lost = Map((size["y"], size["x"]), both(view), view.whole)
    return seen, view.whole or len(seen) < len(view.seen)


def _regroup(tracer: Any, view: View, groups: Groups) -> View:
    """A view whose axes are now these."""
    factors = [factor for group in groups for factor in group]
    seen, whole = _lose(tracer, view, factors)
    return View(merged(factors), seen, whole)


def _joined(tracer: Any, views: Sequence[View], shape: Sequence[int]) -> View:
    """Place by place of arrays of this shape: of places that are alike, by any of them."""
    whole = any(view.whole for view in views)
    if any(view.factors != views[0].factors for view in views):
        views = [_upright(view, shape) for view in views]
    first = max(views, key=lambda view: len(view.seen), default=plain(shape))
    seen = dict(first.seen)
    for view in views:
        alike = view.factors == first.factors and view.seen.keys() == seen.keys()
        if alike and all(view.seen[tag].step == seen[tag].step for tag in seen):
            seen = {tag: seen[tag].join(view.seen[tag]) for tag in seen}
        else:
            whole |= _lose(tracer, view, ())[1]
    return View(first.factors, seen, whole)


def _upright(view: View, shape: Sequence[int]) -> View:
    """With one factor for an axis of places that are cut up further, as those that are repeated."""
    found = grouped(view, shape)
    # What attention has mixed has no places that could be looked at further.
    if view.whole or found is None or found[1]:
        return view
    seen = dict(view.seen)
    factors = [factor for group in found[0] for factor in _as_one(group, seen)]
    return View(merged(factors), seen, view.whole)


def _as_one(group: tuple[Factor, ...], seen: dict[str, Seen]) -> tuple[Factor, ...]:
    """The factors of an axis; one where each place is cut up further, which ``seen`` then knows."""
    tags = [factor.tag for factor in group]
    if len(group) < 2 or not tags[0] or any(tags[1:]):
        return group
    times = math.prod(factor.size for factor in group[1:])
    seen[tags[0]] = seen[tags[0]].repeated(times)
    return (Factor(group[0].size * times, tags[0]),)


def elementwise(tracer, eqn, views, groups):
    """Of operands whose shapes broadcast to the result's; of all others little is known."""
    results = []
    for v in eqn.outvars:
        shape, wide = v.aval.shape, []
        for view, operand, given in zip(views, groups, eqn.invars, strict=True):
            axes = list(zip(operand, given.aval.shape, shape, strict=False))
            if len(given.aval.shape) == len(shape) and all(n in (1, m) for _, n, m in axes):
                new = [group if n == m else (Factor(m),) for group, n, m in axes]
                wide.append(_regroup(tracer, view, new))
            else:
                wide.append(plain(shape, _lose(tracer, view, ())[1]))
        results.append(_joined(tracer, wide, shape))
    return results


def _reshape(tracer, eqn, views, groups):
    (view, *_), shape = views, eqn.outvars[0].aval.shape
    found = grouped(view, shape)
    if found is None:
        return [plain(shape, _lose(tracer, view, ())[1])]
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
    new = [(Factor(n),) for n in shape]
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


def _along(tracer, view, groups, shape, steps) -> View:
    """A view whose axes go through windows: (size, stride, padding in front) for each."""
    new, seen = [], dict(view.seen)
    for group, n, (size, stride, padding) in zip(groups, shape, steps, strict=True):
        tags = [factor for factor in group if factor.tag]
        if (size, stride, padding) == (1, 1, 0) and n == math.prod(f.size for f in group):
            new.append(group)
        elif tags and len(group := group if view.whole else _as_one(group, seen)) == 1:
            (tag,) = (factor.tag for factor in group)
            seen[tag] = seen[tag].windows(size, stride, padding)
            new.append((Factor(n, tag),))
        else:
            new.append((Factor(n),))
    return _regroup(tracer, view._replace(seen=seen), new)


def _slice(tracer, eqn, views, groups):
    strides = eqn.params["strides"] or [1] * len(groups[0])
    steps = [(1, s, -first) for first, s in zip(eqn.params["start_indices"], strides, strict=True)]
    return [_along(tracer, views[0], groups[0], eqn.outvars[0].aval.shape, steps)]


def _mirror(tracer, eqn, views, groups):
    view, new = views[0], list(groups[0])
    seen = dict(view.seen)
    for axis in eqn.params["dimensions"]:
        new[axis] = _as_one(new[axis], seen)
        for tag in {factor.tag for factor in new[axis]} & seen.keys():
            if len(new[axis]) > 1:  # what is within a patch has no order of its own
                return [plain(eqn.outvars[0].aval.shape, _lose(tracer, view, ())[1])]
            seen[tag] = seen[tag].mirrored(new[axis][0].size)
    return [_regroup(tracer, view._replace(seen=seen), new)]


def _pad(tracer, eqn, views, groups):
    config = eqn.params["padding_config"]
    view, groups = _apart(views[0], groups[0], [between + 1 for *_, between in config])
    steps = [(1, 1, before) for before, _, _ in config]
    return [_along(tracer, view, groups, eqn.outvars[0].aval.shape, steps)]


def _apart(view: View, groups: Groups, times: Sequence[int]) -> tuple[View, Groups]:
    """A view, and the factors of its axes, with zeros between neighbours along axes of places."""
    if all(n == 1 for n in times):
        return view, groups
    seen, made = dict(view.seen), []
    for group, n in zip(groups, times, strict=True):
        size = (math.prod(factor.size for factor in group) - 1) * n + 1
        if n > 1:
            (first, *rest) = _as_one(group, seen) or (Factor(1),)
            group = (Factor(size, "" if rest else first.tag),)
            if group[0].tag:
                seen[first.tag] = seen[first.tag].apart(n)
        made.append(group)
    return view._replace(seen=seen), made


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
    there = [i for i, given in enumerate(eqn.invars) if given.aval.shape[axis]]
    views, groups = [views[i] for i in there], [groups[i] for i in there]
    if len(there) == 1:  # the others are empty, as what is filled up to a size that it has
        return views
    if any(factor.tag for operand in groups for factor in operand[axis]):
        sizes = [eqn.invars[i].aval.shape[axis] for i in there]
        if (filled := _filled_up(views, groups, axis, sizes)) is not None:
            return [filled]
        whole = any(_lose(tracer, view, ())[1] for view in views)
        return [plain(v.aval.shape, whole)]
    new = lambda operand: [*operand[:axis], (Factor(v.aval.shape[axis]),), *operand[axis + 1 :]]
    widened = [_regroup(tracer, view, new(g)) for view, g in zip(views, groups, strict=True)]
    return [_joined(tracer, widened, v.aval.shape)]


def _filled_up(
    views: Sequence[View], groups: Sequence[Groups], axis: int, sizes: Sequence[int]
) -> View | None:
    """A map whose edge was repeated or mirrored along an axis of places; None of anything else.

    What lies beyond the edge has seen nothing that as many places on this side of it have not,
    which windows over the edge see besides: it is as padding.
    """
    seen = [dict(view.seen) for view in views]
    along = [_as_one(operand[axis], own) for operand, own in zip(groups, seen, strict=True)]
    tags = {factor.tag for group in along for factor in group}
    if len(tags) != 1 or not all(len(group) == 1 for group in along):
        return None
    (tag,), main = tags, max(range(len(sizes)), key=lambda i: sizes[i])
    last = sizes[main] - 1
    for i, own in enumerate(seen):
        if i == main:
            continue
        others = {k: x for k, x in own.items() if k != tag}
        near = min(sum(sizes[:main] if i < main else sizes[main + 1 :]), last)
        places = range(near + 1) if i < main else range(last - near, last + 1)
        edge = hull(seen[main][tag].at(place) for place in places)
        seen_there = [own[tag].at(place) for place in range(sizes[i])]
        inside = all(x is None or (edge[0] <= x[0] and x[1] <= edge[1]) for x in seen_there)
        if not inside or others != {k: x for k, x in seen[main].items() if k != tag}:
            return None
    seen[main][tag] = seen[main][tag].windows(1, 1, sum(sizes[:main]))
    new = [*groups[main][:axis], (Factor(sum(sizes), tag),), *groups[main][axis + 1 :]]
    return View(merged(f for group in new for f in group), seen[main], views[main].whole)


def _convolution(tracer, eqn, views, groups):
    p, out = eqn.params, eqn.outvars[0].aval.shape
    numbers, kernel = p["dimension_numbers"], eqn.invars[1].aval.shape
    windows = [
        ((kernel[k] - 1) * d + 1, s, before)
        for k, d, s, (before, _) in zip(
            numbers.rhs_spec[2:], p["rhs_dilation"], p["window_strides"], p["padding"], strict=True
        )
    ]
    apart = [1] * len(out)
    for axis, n in zip(numbers.lhs_spec[2:], p["lhs_dilation"], strict=True):
        apart[axis] = n
    view, own = _apart(views[0], groups[0], apart)
    products = _taps(p, numbers, kernel, out)
    tracer.products += products
    # Axes in the order (batch, features, places): features come from all features.
    order = lambda spec, xs: [xs[i] for i in spec]
    places = order(numbers.lhs_spec, own)
    places[1] = ()
    shape = order(numbers.out_spec, out)
    steps = [(1, 1, 0), (shape[1], 1, 0), *windows]
    result = _along(tracer, view, places, shape, steps)
    back = grouped(result, shape)[0]
    result = _regroup(tracer, result, [back[numbers.out_spec.index(i)] for i in range(len(out))])
    window, stride = [w for w, _, _ in windows], [s for _, s, _ in windows]
    if len(windows) == 2:
        kind = "up-convolution" if max(apart) > 1 else "convolution"
        tracer.meet(kind, result, shape[2:], window, stride, products // 2)
    return [result]


def _taps(p: Any, numbers: Any, kernel: Sequence[int], out: Sequence[int]) -> int:
    """Products, padding counted, the zeros between neighbours not."""
    found = math.prod(out) * kernel[numbers.rhs_spec[1]]
    for axis, k, d, s, apart, (before, _) in zip(
        numbers.out_spec[2:], numbers.rhs_spec[2:], p["rhs_dilation"], p["window_strides"],
        p["lhs_dilation"], p["padding"], strict=True,
    ):  # fmt: skip
        met = sum((i * s + j * d - before) % apart == 0 for i in range(out[axis])
                  for j in range(kernel[k]))  # fmt: skip
        found = found * met // out[axis]
    return found


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
    plain = [(Factor(math.prod(f.size for f in group)),) for group in free[1 - lead]]
    sides = [free[0], plain] if lead == 0 else [plain, free[1]]
    result = _regroup(tracer, views[lead], [*batch, *sides[0], *sides[1]])
    whole = result.whole or views[1 - lead].whole or bool(views[1 - lead].seen)
    return [result._replace(whole=whole)]


RULES = {
    "reshape": _reshape,
    "transpose": _transpose,
    "broadcast_in_dim": _broadcast,
    "squeeze": _drop("dimensions"),
    **dict.fromkeys(("reduce_sum", "reduce_max", "reduce_min", "argmax"), _drop("axes")),
    "slice": _slice,
    "pad": _pad,
    "rev": _mirror,
    "split": _split,
    "concatenate": _concatenate,
    "conv_general_dilated": _convolution,
    "reduce_window_max": _pool("max pool"),
    "reduce_window_sum": _pool("average pool"),
    "dot_general": _product,
}
