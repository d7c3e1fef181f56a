"""Reads a compiled module's text: collectives, and bytes to and from memory.

XLA's own analysis says nothing of collectives and counts the body of a loop once.
"""

import collections
import math
import re
from typing import Any, NamedTuple

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


def read(text: str, devices: int) -> Module:
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
    """Counts each channel once: an asynchronous collective appears in several fusions.

    In one computation each counts: all that `jax.shard_map` wrote have the same channel.
    """
    found: dict[Any, tuple[str, int, float, float]] = {}
    for name, times in weights.items():
        before = collections.Counter()
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
            before[key] += 1
            key = (key, before[key])
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
