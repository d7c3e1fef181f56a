"""What a step costs: products in its jaxpr, collectives in its compiled module, and time at least.

XLA's own analysis counts the body of a loop once, however often it runs, and says nothing of
collectives. Here the text of the compiled module is read for both.
"""

import collections
import math
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from jax.extend.core import ClosedJaxpr, Jaxpr

# Products


class Products(NamedTuple):
    """Floating-point operations of products and convolutions, a multiplication and an addition 2.

    Attributes:
      full: with the body of every `scan` as often as it runs.
      once: with the body of every loop once, as XLA's analysis has it.
    """

    full: float
    once: float


def products(jaxpr: Jaxpr | ClosedJaxpr) -> Products:
    """Counts the products of a program.

    A `while` loop counts once in both figures, since its length is not known, and of the branches
    of a `cond` the cheapest counts: what is returned is never more than what is computed. What a
    custom kernel does inside is not seen.
    """
    full = once = 0.0
    for eqn in getattr(jaxpr, "jaxpr", jaxpr).eqns:
        name = eqn.primitive.name
        if name == "dot_general":
            found = Products(*[_dot(eqn)] * 2)
        elif name == "conv_general_dilated":
            found = Products(*[_convolution(eqn)] * 2)
        elif name == "cond":
            found = min((products(branch) for branch in eqn.params["branches"]), default=(0, 0))
        else:
            inner = [products(sub) for sub in _inside(eqn.params)]
            times = eqn.params["length"] if name == "scan" else 1
            found = Products(times * sum(x.full for x in inner), sum(x.once for x in inner))
        full, once = full + found[0], once + found[1]
    return Products(full, once)


def _inside(params: dict[str, Any]) -> Iterator[Jaxpr | ClosedJaxpr]:
    for value in params.values():
        for item in value if isinstance(value, tuple | list) else (value,):
            if isinstance(item, Jaxpr | ClosedJaxpr):
                yield item


def _dot(eqn: Any) -> float:
    (contracted, _), _ = eqn.params["dimension_numbers"]
    depth = math.prod(eqn.invars[0].aval.shape[i] for i in contracted)
    return 2.0 * depth * eqn.outvars[0].aval.size


def _convolution(eqn: Any) -> float:
    """Pairs of a kernel tap and an element under it; padding and the zeros of dilation are free."""
    p, (x, kernel), out = eqn.params, (v.aval.shape for v in eqn.invars), eqn.outvars[0].aval
    numbers = p["dimension_numbers"]
    taps = 1.0
    for i, at in enumerate(numbers.lhs_spec[2:]):
        o = np.arange(out.shape[numbers.out_spec[2 + i]])[:, None]
        k = np.arange(kernel[numbers.rhs_spec[2 + i]])
        place = o * p["window_strides"][i] + k * p["rhs_dilation"][i] - p["padding"][i][0]
        last = (x[at] - 1) * p["lhs_dilation"][i]
        taps *= ((place >= 0) & (place <= last) & (place % p["lhs_dilation"][i] == 0)).sum()
    features = out.shape[numbers.out_spec[0]] * out.shape[numbers.out_spec[1]]
    return 2.0 * taps * features * kernel[numbers.rhs_spec[1]] / p["batch_group_count"]


# Compiled modules

KINDS = ("all-reduce", "all-gather", "reduce-scatter", "collective-permute", "all-to-all")


class Collective(NamedTuple):
    """All collectives of one kind in a step.

    Attributes:
      count: how often one runs.
      bytes: of their results on a chip.
      sent: bytes that a chip must send for them at least, by the best algorithm there is.
    """

    count: int
    bytes: float
    sent: float


class Module(NamedTuple):
    """What the text of a compiled module tells.

    Attributes:
      collectives: by kind, each in a loop as often as the loop runs.
      moved: bytes that instructions read from and write to the chip's memory, those in a loop as
        often as it runs; of an operand that is only sliced, the slices.
      loops: number of loops.
      unknown: those of them whose length was not found; they count once.
    """

    collectives: dict[str, Collective]
    moved: float
    loops: int
    unknown: int


class _Instruction(NamedTuple):
    name: str
    type: str
    op: str
    operands: list[str]
    line: str


_Computations = dict[str, list[_Instruction]]

# The first lower-case word that stands directly before a parenthesis is the operation: types, and
# their layouts as in f32[8,128]{1,0:T(8,128)}, have no such word.
_INSTRUCTION = re.compile(r"^\s+(?:ROOT )?%?(\S+) = (.*?) ([a-z][\w\-]*)\(([^)]*)")
_COMPUTATION = re.compile(r"^(ENTRY )?%?([\w.\-]+) \(.*\{\s*$")
_ARRAY = re.compile(r"\b(pred|[a-z]+(\d+)\w*)\[([\d,]*)\](\{[^}]*\})?")


def read_module(text: str, devices: int) -> Module:
    """Reads a module's text, as ``compiled.as_text()`` gives it after all optimisation.

    XLA's own count of bytes is of no use here: the body of a loop is in it once, and an
    asynchronous slice with the whole of what it is cut from.

    Args:
      text: HLO of one device's program.
      devices: that run it together.
    """
    computations, entry = _parse(text)
    counts = collections.Counter()
    weights, scheduled = _walk(computations, entry, 1, devices, counts)
    moved = sum(weights[name] * _moved(computations, name) for name in scheduled)
    return Module(
        _collectives(computations, weights, devices), moved, counts["loops"], counts["unknown"]
    )


def _walk(
    computations: _Computations,
    name: str,
    times: float,
    devices: int,
    counts: collections.Counter,
) -> tuple[collections.Counter, set[str]]:
    """How often each computation under ``name`` runs, and which are no fusions.

    Of a conditional's branches the one that sends least counts.
    """
    weights, scheduled = collections.Counter({name: times}), {name}

    def enter(inner: str, times: float, fused: bool = False) -> None:
        more, steps = _walk(computations, inner, times, devices, counts)
        weights.update(more)
        scheduled.update(set() if fused else steps)

    for x in computations.get(name, ()):
        if x.op == "while":
            length = _trip_count(x, computations)
            counts["loops"] += 1
            counts["unknown"] += length is None
            enter(_called(x, "body"), times * (length or 1))
        elif x.op in ("fusion", "call", "async-start"):
            called = _called(x, "calls|to_apply|called_computation")
            enter(called, times, fused=x.op == "fusion")
        elif x.op == "conditional":
            sent = lambda branch: sum(
                found.sent
                for found in _collectives(
                    computations,
                    _walk(computations, branch, times, devices, collections.Counter())[0],
                    devices,
                ).values()
            )
            enter(min(_branches(x.line), key=sent), times)
    return weights, scheduled


def _parse(text: str) -> tuple[_Computations, str]:
    computations: _Computations = {}
    entry, current = "", []
    for line in text.splitlines():
        if header := _COMPUTATION.match(line):
            current = computations.setdefault(header[2], [])
            entry = header[2] if header[1] else entry
        elif found := _INSTRUCTION.match(line):
            operands = re.findall(r"%([\w.\-]+)", found[4])
            current.append(_Instruction(found[1], found[2], found[3], operands, line))
    return computations, entry


def _called(x: _Instruction, how: str) -> str:
    found = re.search(rf"\b(?:{how})=%?([\w.\-]+)", x.line)
    return found[1] if found else ""


def _branches(line: str) -> list[str]:
    found = re.search(r"branch_computations=\{([^}]*)\}", line)
    text = found[1] if found else " ".join(re.findall(r"_computation=(%?[\w.\-]+)", line))
    return re.findall(r"%?([\w.\-]+)", text)


def _trip_count(loop: _Instruction, computations: _Computations) -> int | None:
    """The length that the compiler wrote down, or the n of a condition ``i < n``; i starts at 0."""
    if known := re.search(r'"known_trip_count":\{"n":"(\d+)"', loop.line):
        return int(known[1])
    condition = list(computations.get(_called(loop, "condition"), ()))
    for x in list(condition):
        condition += computations.get(_called(x, "calls"), ()) if x.op == "fusion" else ()
    limits = [re.search(r" constant\((\d+)\)", x.line) for x in condition if x.op == "constant"]
    compares = [x for x in condition if x.op == "compare"]
    if len(limits) == len(compares) == 1 and limits[0] and "direction=LT" in compares[0].line:
        return int(limits[0][1])
    return None


def _bytes(type_text: str, on_chip: bool = True) -> float:
    """Bytes of all arrays in a type such as ``(f32[8,16]{1,0}, bf16[4]{0:T(128)S(1)})``.

    Args:
      type_text: as the module has it.
      on_chip: whether to count arrays in memory spaces, S(1) and so on, other than the main one.
    """
    total = 0.0
    for name, bits, shape, layout in _ARRAY.findall(type_text):
        if on_chip or "S(" not in layout:
            size = math.prod(int(n) for n in shape.split(",") if n)
            total += size * (8 if name == "pred" else int(bits)) / 8
    return total


_MOVE_NOTHING = (
    *("parameter", "tuple", "get-tuple-element", "bitcast", "constant", "after-all"),
    *("while", "call", "conditional", "optimization-barrier", "async-start"),
)
_SLICES = ("dynamic-slice", "slice", "gather")


def _moved(computations: _Computations, name: str) -> float:
    """Bytes between the chip's memory and what computes, for one run of a computation."""
    types = {x.name: x.type for x in computations.get(name, ())}
    main = lambda type_text: _bytes(type_text, on_chip=False)
    total = 0.0
    for x in computations.get(name, ()):
        if x.op in _MOVE_NOTHING or x.op.endswith(("-done", "-update")):
            continue
        if x.op == "custom-call" and "AllocateBuffer" in x.line:
            continue
        if x.op in ("copy-start", "slice-start", "dynamic-slice-start"):
            # The result is (copy, source, …), or ((source), slice, …).
            sides = types.get(x.operands[0], ""), _split(x.type[1:-1])[x.op != "copy-start"]
            total += min(map(_bytes, sides)) * sum(main(side) > 0 for side in sides)
            continue
        total += main(_result(x) if x.op.endswith("-start") else x.type)
        for at, operand in enumerate(x.operands):
            if size := main(types.get(operand, "")):
                total += min(size, _read(computations, x, at))
    return total


def _read(computations: _Computations, x: _Instruction, at: int) -> float:
    """Bytes that an instruction reads of operand ``at``, at most: slices, where it only slices."""
    if x.op in _SLICES and at == 0:
        return _bytes(x.type)
    if x.op != "fusion":
        return math.inf
    inside = computations.get(_called(x, "calls"), ())
    own = [y.name for y in inside if y.op == "parameter" and f" parameter({at})" in y.line]
    return sum(
        _read(computations, y, i)
        for y in inside
        for i, name in enumerate(y.operands)
        if name in own
    )


def _collectives(
    computations: _Computations, weights: dict[str, float], devices: int
) -> dict[str, Collective]:
    """Counts each channel once: an asynchronous collective appears in several fusions."""
    found: dict[Any, tuple[str, int, float, float]] = {}
    for name, times in weights.items():
        for x in computations.get(name, ()):
            kind = x.op.removesuffix("-start")
            group = _group_size(x.line, devices)
            if kind not in KINDS or group < 2:
                continue
            size = _bytes(_result(x))
            if kind == "all-reduce" and "all-reduce-scatter" in name:  # how TPUs spell it
                kind, size = "reduce-scatter", size / group
            channel = re.search(r"channel_id=(\d+)", x.line)
            key = (kind, channel[1]) if channel else x.line
            if key not in found or found[key][1] < times:
                found[key] = (kind, int(times), size, _sent(kind, size, group))
    result = {}
    for kind in KINDS:
        own = [x[1:] for x in found.values() if x[0] == kind]
        if own:
            result[kind] = Collective(
                sum(n for n, _, _ in own),
                sum(n * size for n, size, _ in own),
                sum(n * sent for n, _, sent in own),
            )
    return result


def _result(x: _Instruction) -> str:
    """The type of what a collective returns; ``-start`` returns (operands, results, …)."""
    if x.op in ("all-reduce-start", *KINDS):
        return x.type
    parts = _split(x.type[1:-1])
    return parts[1] if len(parts) > 1 else x.type


def _split(text: str) -> list[str]:
    """Splits at the commas that stand in no bracket."""
    parts, depth = [""], 0
    for c in text:
        depth += (c in "([{") - (c in ")]}")
        if c == "," and not depth:
            parts.append("")
        else:
            parts[-1] += c
    return parts


def _group_size(line: str, devices: int) -> int:
    """Chips that take part together, from any of the ways in which XLA writes replica groups."""
    if found := re.search(r"replica_groups=mesh\[([^\]]*)\].*?\{([^}]*)\}", line):
        sizes = dict(re.findall(r"'([^']+)'=(\d+)", found[1]))
        return math.prod(
            int(part or sizes[axis])
            for axis, part in re.findall(r"'([^']+)'(?::\(\d+\)(\d+))?", found[2])
        )
    if found := re.search(r"replica_groups=\[\d+,(\d+)\]<=", line):
        return int(found[1])
    if found := re.search(r"replica_groups=\{\{([\d,]*)\}", line):
        return len(found[1].split(","))
    return devices


def _sent(kind: str, size: float, group: int) -> float:
    """Bytes that each of ``group`` chips sends at least, for a result of ``size`` bytes.

    A sum over chips sends each part of it to where it is summed, and the sums back to all.
    """
    share = (group - 1) / group
    return {
        "all-reduce": 2 * share * size,
        "all-gather": share * size,
        "reduce-scatter": share * size * group,
        "all-to-all": share * size,
        "collective-permute": size,
    }[kind]


# Bounds

_GIB = 2**30


class Chip(NamedTuple):
    """Published figures of one chip.

    Attributes:
      name: as topologies call it.
      flops: of bf16 products, per second. Float32 products run on the same units, more slowly.
      bandwidth: bytes per second to and from its memory.
      memory: bytes. Published in GB, meant in GiB: libtpu offers 15.75 GiB of v5e's 16.
      interconnect: bytes per second that it sends over all its links together.
    """

    name: str
    flops: float
    bandwidth: float
    memory: float
    interconnect: float


# From the pages "TPU v5e", "TPU v5p" and "TPU v6e" of the Cloud TPU documentation. They give the
# interconnect in Gbit/s (1600, 4800, 3584) or, newer, as 400 GB/s of both directions for v5e, which
# is the same: a chip sends 200 GB/s while it receives as much. Of v6e the newer page has rounder,
# lower numbers (1600 GB/s, 3200 Gbit/s); a bound takes the higher.
_V5E = Chip("v5e", 197e12, 819e9, 16 * _GIB, 1600e9 / 8)
_V5P = Chip("v5p", 459e12, 2765e9, 95 * _GIB, 4800e9 / 8)
_V6E = Chip("v6e", 918e12, 1640e9, 32 * _GIB, 3584e9 / 8)
# By the name that a device gives itself, on hardware or in a topology.
CHIPS = {
    "TPU v5 lite": _V5E,
    "TPU v5e": _V5E,
    "TPU v5": _V5P,
    "TPU v5p": _V5P,
    "TPU v6 lite": _V6E,
    "TPU v6e": _V6E,
}


def bounds(
    chip: Chip, flops: float, bytes_moved: float, sent: float, model_flops: float, examples: int
) -> dict[str, Any]:
    """The least time that a step can take, by each of three published rates.

    Args:
      chip: whose rates.
      flops: a chip computes.
      bytes_moved: to and from its memory.
      sent: bytes a chip sends to others, as if over all its links at once.
      model_flops: a chip's share of the model's own, for the utilisation.
      examples: in the global batch.

    Returns:
      Seconds ``compute``, ``memory`` and ``interconnect``; ``binds``, the name of the largest;
      ``examples_per_second`` and ``model_flops_utilisation`` if the step took just that long.
    """
    seconds = {
        "compute": flops / chip.flops,
        "memory": bytes_moved / chip.bandwidth,
        "interconnect": sent / chip.interconnect,
    }
    binds = max(seconds, key=seconds.get)
    return {
        **seconds,
        "binds": binds,
        "examples_per_second": examples / seconds[binds],
        "model_flops_utilisation": model_flops / chip.flops / seconds[binds],
    }
