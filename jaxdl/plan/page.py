"""A plan as a page of text."""

import math
from typing import Any

_GIB = 2**30


def describe(found: dict[str, Any]) -> str:
    """The plan as a page of text."""
    memory, chip = found["memory"], found["memory"]["chip"]
    mesh = ", ".join(f"{axis}={n}" for axis, n in found["mesh"].items())
    lines = [
        f"one update on {found['topology']}: {found['chips']} x {found['device_kind']} ({mesh}; "
        f"{found['strategy']}), batch {found['batch_size']}, {found['precision']}",
        "",
        "bytes a chip",
        *(f"  {k:<13}{gib(memory[k])}" for k in memory if k not in ("total", "chip")),
        f"  {'total':<13}{gib(memory['total'])}"
        + (f" of {gib(chip)}: {'fits' if found['fits'] else 'does not fit'}" if chip else ""),
    ]
    if "compiler" in found:
        lines += ["", f"the compiler: {found['compiler']}"]
    else:
        lines += ["", *_work(found), "", *_bound_lines(found)]
    if found.get("remedies"):
        lines += ["", "to make it fit"]
        lines += [f"  {_remedy_line(remedy)}" for remedy in found["remedies"]]
    return "\n".join(lines)


def _work(found: dict[str, Any]) -> list[str]:
    lines = [
        "a step, each chip",
        f"  computes     {_short(found['flops'])}FLOP",
        f"  moves        {_short(found['bytes_moved'])}B to and from memory",
    ]
    for kind, x in found["collectives"].items():
        lines.append(
            f"  {kind:<20} {x['count']} x, {_short(x['bytes'])}B; sends at least "
            f"{_short(x['sent'])}B"
        )
    if found["loops_of_unknown_length"]:
        lines.append(
            f"  ({found['loops_of_unknown_length']} loops whose length only the data decide are "
            "counted once)"
        )
    return lines


def _bound_lines(found: dict[str, Any]) -> list[str]:
    limits = found["bounds"]
    if limits is None:
        return [f"bounds: unknown chip {found['device_kind']!r}, no published rates here"]
    binds = lambda name: "  binds" if name == limits["binds"] else ""
    return [
        "bounds: no step takes less, by the chip's published rates; a bound, not a promise",
        *(
            f"  {name:<13}{limits[name] * 1e3:.3g} ms{binds(name)}"
            for name in ("compute", "memory", "interconnect")
        ),
        f"  so at most {limits['examples_per_second']:.4g} examples a second, and a model flops "
        f"utilisation of {limits['model_flops_utilisation']:.1%}",
    ]


def _remedy_line(remedy: dict[str, Any]) -> str:
    flags = " ".join(f"--config.{k}={str(v).lower()}" for k, v in remedy["settings"].items())
    if remedy["fits"] is None:
        outcome = "not enough by itself"
    else:
        outcome = f"{gib(remedy['total'])}, {'fits' if remedy['fits'] else 'does not fit'}"
    return f"{flags}: {outcome} ({remedy['why']})"


def gib(size: float) -> str:
    """Bytes for people: "5.37 GiB", "9.19 MiB"."""
    return f"{size / _GIB:.3g} GiB" if size >= 0.1 * _GIB else f"{size / 2**20:.3g} MiB"


def _short(x: float) -> str:
    power = min(max(0, int(math.log10(max(x, 1)) // 3)), 5)
    return f"{x / 1000**power:.3g} {['', 'k', 'M', 'G', 'T', 'P'][power]}"
