"""Large training steps on the device at hand: rate, utilisation, memory, and PyTorch's beside them.

    python -m benchmarks.on_accelerator [--model=vit_b16,resnet50,gpt2] [--tiny]
                                        [--torch-python=PATH]

For each model in bf16 and in float32: examples a second, the share of the device's published bf16
rate that the model's own operations make up, peak memory; and PyTorch's step in bf16 by autocast
and torch.compile, if there is a torch. Each side is a process of its own, one after the other. A
device without a published rate here gets no utilisation. --tiny runs small sizes anywhere.
"""

import argparse
import re
import sys
from collections.abc import Sequence
from typing import Any

from benchmarks import sides, statistics, workloads
from benchmarks.workloads import Workload

# bf16 products with float32 sums, dense, per second: the data sheets "NVIDIA H100 Tensor Core GPU"
# (SXM; the PCIe and NVL boards are slower), "NVIDIA H200 Tensor Core GPU" and "NVIDIA A100 Tensor
# Core GPU". The first two print rates with sparsity, which are twice these.
_GPU_PEAKS = ((r"H100(?!.*(PCIe|NVL))|H200(?!.*NVL)", 989e12), (r"A100", 312e12))

COLUMNS = ("examples/s", "TFLOP/s", "utilisation", "bf16 / float32", "peak memory")


def peak(kind: str) -> float | None:
    """Published bf16 operations per second of a device, by its own name; None if not known."""
    from jaxdl.plan import chips

    if kind in chips.CHIPS:
        return chips.CHIPS[kind].flops
    return next((rate for pattern, rate in _GPU_PEAKS if re.search(pattern, kind)), None)


def measure(
    side: str, workload: Workload, precision: str, options: argparse.Namespace
) -> dict[str, Any]:
    """{"seconds": spread of a step, "memory": bytes or None, "device": name, …} of one side."""
    python = sys.executable if side == "ours" else options.torch_python
    with sides.Side(side, workload, python, precision=precision, device=options.device) as process:
        about = process.ask("about")
        process.ask("run", steps=1)
        answer = process.ask("run", steps=3, flops=True)
        steps = max(1, round(options.seconds * answer["steps"] / answer["wall"]))
        rounds = [process.ask("run", steps=steps) for _ in range(options.rounds)]
    return {
        **about,
        "seconds": statistics.spread([r["wall"] / r["steps"] for r in rounds]),
        "loss": rounds[-1]["loss"],
        "memory": rounds[-1]["memory"],
        "model_flops": answer.get("model_flops"),
    }


def row(found: dict[str, Any], batch_size: int, model_flops: float, bf16: bool) -> dict[str, str]:
    """COLUMNS of one side, as text; what is not known is left out.

    Args:
      found: from `measure`.
      batch_size: examples a step.
      model_flops: operations a step.
      bf16: whether the published rate is that of this precision.
    """
    rate = 1 / found["seconds"]["median"]
    cells = {
        "examples/s": f"{batch_size * rate:,.1f}",
        "TFLOP/s": f"{model_flops * rate / 1e12:.3g}",
    }
    best = peak(found["device"])
    if best and bf16:
        cells["utilisation"] = f"{model_flops * rate / best:.1%}"
    if found["memory"]:
        cells["peak memory"] = f"{found['memory'] / 2**30:.2f} GiB"
    return cells


def describe(workload: Workload, found: dict[str, dict[str, Any]]) -> str:
    """The table of one model, from {"ours bf16": `measure`'s result, …}."""
    model_flops = next(x["model_flops"] for x in found.values() if x["model_flops"])
    rows = {
        name: row(x, workload.batch_size, model_flops, "bf16" in name) for name, x in found.items()
    }
    if {"ours bf16", "ours float32"} <= set(found):
        times = [found[f"ours {p}"]["seconds"]["median"] for p in ("float32", "bf16")]
        rows["ours bf16"]["bf16 / float32"] = f"{times[0] / times[1]:.2f}"
    device = next(iter(found.values()))["device"]
    lines = [f"{workload.title}, on {device}: {model_flops / 1e12:.3g} TFLOP a step", ""]
    lines += [f"| | {' | '.join(COLUMNS)} |", "|---|" + "---|" * len(COLUMNS)]
    for name, cells in rows.items():
        lines.append(f"| {name} | {' | '.join(cells.get(c, '–') for c in COLUMNS)} |")
    if {"ours bf16", "torch.compile bf16"} <= set(found):
        ours, theirs = (
            found[name]["seconds"]["median"] for name in ("ours bf16", "torch.compile bf16")
        )
        lines += ["", f"torch.compile's step takes {theirs / ours:.2f} times ours."]
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; 1 if our side fails on a model."""
    names = [w.name for w in workloads.ACCELERATOR]
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="", help=f"any of {','.join(names)}; all if empty")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3.0, help="of a round")
    parser.add_argument("--device", default="", help="cpu keeps off the accelerator")
    parser.add_argument("--torch-python", default=sys.executable, help="an interpreter with torch")
    parser.add_argument("--tiny", action="store_true", help="small sizes, quickly")
    options = parser.parse_args(argv)
    for name in filter(None, options.model.split(",")):
        if name not in names:
            parser.error(f"no model {name!r}: there are {', '.join(names)}")
    if options.tiny:
        options.rounds, options.seconds = 2, 0.05
    sides.end_with_us()
    code = 0
    for workload in workloads.named(workloads.ACCELERATOR, options.model):
        workload = workload.tiny() if options.tiny else workload
        found = {}
        for side, label, precision in (
            ("ours", "ours bf16", "bf16"),
            ("ours", "ours float32", "float32"),
            (
                "compile_nhwc" if workload.convolutional else "compile",
                "torch.compile bf16",
                "bf16",
            ),
        ):
            try:
                found[label] = measure(side, workload, precision, options)
            except sides.SideError as error:
                print(f"{workload.name}, {label}: {error}", file=sys.stderr)
                code |= side == "ours"
        if any(x["model_flops"] for x in found.values()):
            print(describe(workload, found) + "\n", flush=True)
    return int(code)


if __name__ == "__main__":
    sys.exit(main())
