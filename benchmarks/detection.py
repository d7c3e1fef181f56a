"""Faster R-CNN R50-FPN on one picture, beside torchvision's on its own operators.

    python -m benchmarks.detection [--size=640] [--rounds=11] [--torch-python=PATH]

Both have the same drawn weights, by which regions are proposed and nothing is found; what both say
of the 1000 regions is compared first. Then rounds time a picture on each side in turn, each a
process of its own, which is stopped while the other runs. Prints the medians of both, and of the
rounds' ratios.
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks import machine, sides

# Largest difference in the mean of what is said of regions.
_AGREE = 1e-3


def main() -> int:
    """Runs the command line; 1 if the sides disagree."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--size", type=int, default=640)
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--torch-python", default=sys.executable)
    parser.add_argument("--side", choices=("ours", "theirs"))
    parser.add_argument("--file", type=Path)
    options = parser.parse_args()
    if options.side:
        serve({"ours": ours, "theirs": theirs}[options.side](options.file, options.size))
        return 0
    sides.end_with_us()
    machine.say_if_busy()
    with tempfile.TemporaryDirectory() as folder:
        flags = [f"--size={options.size}", f"--file={folder}/weights.safetensors"]
        command = lambda python, side: [python, "-m", "benchmarks.detection", f"--side={side}"]
        with sides.Process("ours", [*command(sys.executable, "ours"), *flags]) as mine:
            said = mine.ask("say")["said"]  # its weights are written by now
            theirs_command = [*command(options.torch_python, "theirs"), *flags]
            with sides.Process("theirs", theirs_command) as other:
                return compare(mine, other, said, options.rounds)


def compare(mine: sides.Process, other: sides.Process, said: list[float], rounds: int) -> int:
    """Prints what both say and take."""
    wrong = np.abs(np.subtract(said, other.ask("say")["said"])).max()
    print(f"what is said of regions differs by {wrong:.1e} at most")
    times = []
    for _ in range(rounds):
        times.append((mine.ask("run")["seconds"], other.ask("run")["seconds"]))
    ratios = [b / a for a, b in times]
    ours_took, theirs_took = (statistics.median(x) for x in zip(*times, strict=True))
    print(f"ours {ours_took:.3f} s, theirs {theirs_took:.3f} s a picture")
    spread = f"{min(ratios):.2f} to {max(ratios):.2f}"
    print(f"theirs takes {statistics.median(ratios):.2f} times as long ({spread})")
    return int(wrong > _AGREE)


def picture(size: int) -> np.ndarray:
    """(size, size, 3) float32 in [0, 1]."""
    return np.random.default_rng(0).random((size, size, 3), np.float32)


def ours(file: Path, size: int):
    """(what is said of regions, a call on the picture), of weights that are written to ``file``."""
    import jax
    import jax.numpy as jnp

    from jaxdl import keys, models, pretrained

    module = models.create("faster_rcnn")
    variables = jax.jit(module.init)(keys.root(0), jnp.zeros((1, 64, 64, 3)))
    pretrained.save(module, variables, file, naming="torchvision")
    x = jnp.asarray(picture(size)[None])
    raw = jax.jit(lambda variables, x: module.apply(variables, x, raw=True))
    detect = jax.jit(module.apply)

    def say() -> list[float]:
        found = raw(variables, x)
        return np.asarray(found.logits, np.float64).mean((0, 1)).tolist()

    return say, lambda: jax.block_until_ready(detect(variables, x))


def theirs(file: Path, size: int):
    """The same of torchvision."""
    import safetensors.torch
    import torch
    from torchvision.models.detection import fasterrcnn_resnet50_fpn

    net = fasterrcnn_resnet50_fpn(
        weights=None, weights_backbone=None, min_size=size, max_size=size
    ).eval()
    net.load_state_dict(safetensors.torch.load_file(file), strict=False)
    x = [torch.from_numpy(picture(size)).permute(2, 0, 1)]
    kept = {}
    net.roi_heads.box_predictor.register_forward_hook(
        lambda module, inputs, outputs: kept.update(logits=outputs[0])
    )

    @torch.inference_mode()
    def run() -> None:
        net(x)

    def say() -> list[float]:
        run()
        return kept["logits"].double().mean(0).tolist()

    return say, run


def serve(side) -> None:
    """Answers orders, a JSON object a line each, until stdin ends."""
    say, run = side
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    for line in sys.stdin:
        if json.loads(line)["do"] == "say":
            answer = {"said": say()}
            run()  # compiled, and warm
        else:
            began = time.perf_counter()
            run()
            answer = {"seconds": time.perf_counter() - began}
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    sys.exit(main())
