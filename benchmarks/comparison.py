"""One workload in one precision, side by side: the same losses first, then rounds of steps."""

import argparse
import contextlib
import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks import sides, statistics
from benchmarks.workloads import Workload

Losses = Mapping[str, Sequence[float]]

# How far apart, relative, the first update's losses may be between the two libraries.
#
# float32: its rounding through a deep network.
#
# bf16 has 8 bits: rounding moves a number by up to 2^-8 of itself. Both sides round the same
# weights to the same numbers and sum the loss in float32, but round what is between at places of
# their own. n roundings on an example's way move its loss by about sqrt(n / 3) 2^-8 of it, at
# random, so that the mean over a batch of b moves by sqrt(n / (3 b)) 2^-8: of 50 roundings and 64
# examples half of 2^-8, and .7 of it is between two sides. 2^-7 is three times that. (Seen: at
# most .3 of 2^-8, by DeepCNN.) What is wrong by less hides below that, and an LSTM whose losses
# are near ln n hides more; it is float32 that shows whether a model is the same.
AGREEMENT = {"float32": 1e-4, "bf16": 2.0**-7}


def compare(
    workload: Workload, precision: str, options: argparse.Namespace, env: Mapping[str, str]
) -> dict[str, Any]:
    """One workload's rounds.

    Args:
      workload: what is trained.
      precision: a key of AGREEMENT.
      options: those of the command line.
      env: environment variables of all sides; by them nothing is compiled before.

    Returns:
      What `benchmarks.statistics.compare` does, and ``losses`` of the same updates by side,
      ``agrees``, ``cpu`` (the same of processor time, all threads together), ``memory`` ({side:
      bytes, the most that its process had in memory}), ``ready`` ({side: seconds until its first
      update was done, compilation included}), ``per_call``, and ``without``: {side: why} for sides
      that could not run.

    Raises:
      SideError: ours could not.
    """
    result: dict[str, Any] = {"title": workload.title, "without": {}}
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        flags = {"threads": options.threads, "device": "cpu", "precision": precision}

        def start(side: str) -> sides.Side:
            python = sys.executable if side == "ours" else options.torch_python
            return sides.Side(side, workload, python, env, **flags)

        result["losses"] = _losses(start, os.path.join(folder, "weights.npz"), result["without"])
        result["agrees"] = agree(result["losses"], AGREEMENT[precision])

        names = ["ours", *sides.PLAIN]
        if workload.convolutional:
            names += sides.CHANNELS_LAST
        running = {side: stack.enter_context(start(side)) for side in names}

        def ask(side: str, steps: int) -> dict[str, Any] | None:
            """Its answer; a side of theirs that fails is left out from then on."""
            try:
                return running[side].ask("run", steps=steps)
            except sides.SideError as error:
                if side == "ours":
                    raise
                result["without"][side] = str(error)
                del running[side]
                return None

        steps: dict[str, int] = {}
        answers: dict[str, dict[str, Any]] = {}
        for side in list(running):
            # The second answer, with nothing left to compile, says how many steps a round has.
            answer = ask(side, 1) and ask(side, 1)
            if answer is not None and answer["wall"] / answer["steps"] < options.seconds / 10:
                answer = ask(side, 10)
            if answer is not None:
                each = answer["wall"] / answer["steps"]
                steps[side] = max(1, round(options.seconds / each))
        wall: dict[str, list[float]] = {side: [] for side in running}
        cpu: dict[str, list[float]] = {side: [] for side in running}
        for i in range(options.rounds):
            order = list(running)
            for side in order[i % len(order) :] + order[: i % len(order)]:
                answers[side] = answer = running[side].ask("run", steps=steps[side])
                wall[side].append(answer["wall"] / answer["steps"])
                cpu[side].append(answer["cpu"] / answer["steps"])
    result["per_call"] = answers["ours"]["per_call"]
    result["memory"] = {side: answers[side]["resident"] for side in wall}
    result["ready"] = {side: answers[side]["ready_seconds"] for side in wall}
    result |= statistics.compare(wall, sides.PLAIN)
    result["cpu"] = statistics.compare(cpu, sides.PLAIN)
    return result


def _losses(start: Any, file: str, without: dict[str, str]) -> dict[str, list[float]]:
    """{side: losses of the same updates}, by processes that end then: the others' memory is theirs.

    Args:
      start: (side) -> its process.
      file: for the weights.
      without: is told why PyTorch's side could not.
    """
    losses = {}
    for side in ("ours", "eager"):
        try:
            with start(side) as process:
                losses[side] = process.ask("agree", file=file)["losses"]
        except sides.SideError as error:
            if side == "ours":
                raise
            without["agreement"] = str(error)
    return losses


def agree(losses: Losses, limit: float = AGREEMENT["float32"]) -> bool:
    """Whether the first update's losses are the same, as far as there are two sides to compare.

    Later ones are kept and shown, but not held to it: an update makes much of a small difference.
    """
    if len(losses) < 2:
        return True
    ours, theirs = losses.values()
    return abs(ours[0] - theirs[0]) <= limit * abs(ours[0])


def unrounded(float32: Losses, bf16: Losses) -> list[str]:
    """Sides whose losses in bf16 are float32's to the last digit: they did not compute in it."""
    return [side for side in bf16 if list(bf16[side]) == list(float32.get(side, ()))]
