"""Answers that are to end a sentence and hold no digit: PPO, DPO and the best of n drawn.

    python -m benchmarks.preferences.rule [--workdir=runs/rule] [--seed=0]

A GPT of bytes learns to go on in Python's documentation by up to 48 bytes. It answers prompts twice
each; of answers that differ by the rule the better one is preferred, but for a tenth, in which it
is the other way round. From these pairs DPO learns, and a reward model, by which PPO learns and the
best of n answers is chosen. On prompts of the part held out each policy draws as many answers as
the start: told are the mean reward by the rule itself, the share of answers that win against the
start's (a draw is half a win), and the nats that the policy is apart from the start. Runs that are
there are taken. Writes benchmarks/results/preferences/rule.json and docs/preferences.svg.
"""

import argparse
import json
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

from benchmarks import machine
from benchmarks.workloads import ROOT

CONFIG = Path(__file__).with_name("config.py")
RESULTS = ROOT / "benchmarks" / "results" / "preferences" / "rule.json"
CHART = ROOT / "docs" / "preferences.svg"

# Bytes of prompts, and of answers at least and at most.
PROMPT, SHORTEST, LONGEST = 32, 8, 48
NOISE, HELD_OUT = 0.1, 256
BETAS = {"dpo": (0.05, 0.2, 0.8), "ppo": (0.02, 0.1, 0.4)}
BEST_OF = (1, 2, 4, 8, 16, 32)


def reward(answer: str) -> int:
    """By the rule: 1 for the end of a sentence, and 1 for no digit."""
    return int(answer.rstrip().endswith((".", "!", "?"))) + int(not any(map(str.isdigit, answer)))


def cut(text: str, count: int, rng: np.random.Generator) -> list[dict[str, str]]:
    """Prompts with what follows them in a text: a quarter up to a sentence's end, if one is near.

    Both begin with a word; the others end with one.
    """
    found = []
    while len(found) < count:
        at = text.find(" ", int(rng.integers(len(text) - 2 * (PROMPT + LONGEST)))) + 1
        middle = text.rfind(" ", at, at + PROMPT) + 1
        if middle <= at:
            continue
        behind = text[middle : middle + LONGEST]
        stop = behind.find(". ", SHORTEST - 1) + 1
        if not (stop and rng.random() < 0.25):
            stop = behind.rfind(" ", SHORTEST, int(rng.integers(SHORTEST + 8, LONGEST)))
        if stop > 0 and text[at:middle].isascii() and behind.isascii():
            found.append({"prompt": text[at:middle], "completion": behind[:stop]})
    return found


def pairs(said: Sequence[dict[str, str]], rng: np.random.Generator) -> list[dict[str, str]]:
    """Of two answers to each prompt, one behind the other, those that differ by the rule."""
    found = []
    for a, b in zip(said[::2], said[1::2], strict=True):
        both = sorted((a["completion"], b["completion"]), key=reward)
        if reward(both[0]) < reward(both[1]) and all(both):
            wrong = rng.random() < NOISE
            chosen, rejected = both if wrong else both[::-1]
            found.append({"prompt": a["prompt"], "chosen": chosen, "rejected": rejected})
    return found


class Runs:
    """The runs in a folder, made where they are not there."""

    def __init__(self, folder: Path, seed: int):
        self.folder, self.seed = folder, seed

    def train(self, kind: str, name: str, table: Path, *more: str) -> Path:
        """The folder of a run of `config.RUNS`."""
        from jaxdl import launch

        workdir = self.folder / name
        flags = [f"--config={CONFIG}:{kind}", f"--workdir={workdir}", *more]
        flags += [f"--config.seed={self.seed}", f"--config.data.path={table}"]
        if launch.main(flags):
            raise SystemExit(1)
        return workdir

    def say(self, workdir: Path, table: Path) -> list[dict[str, Any]]:
        """What a run predicts of a table."""
        from jaxdl import launch

        flags = [f"--workdir={workdir}", "--mode=predict", f"--input={table}"]
        if launch.main([*flags, "--config.eval.batch_size=512"]):
            raise SystemExit(1)
        lines = (workdir / "predictions.jsonl").read_text().splitlines()
        return [json.loads(line) for line in lines]

    def write(self, name: str, rows: Sequence[dict[str, str]]) -> Path:
        """A table of them."""
        file = self.folder / f"{name}.jsonl"
        file.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
        return file


def parameters(workdir: Path) -> tuple[Any, Any, Any]:
    """A run's module of logits, and its variables: as learned, and as they were at first."""
    from etils import epath

    from jaxdl import experiment
    from jaxdl.launch import flags
    from jaxdl.train import evaluate

    folder = epath.Path(workdir)
    options = flags.parse([f"--workdir={workdir}", "--mode=export"])
    made = experiment.to_use(options.config, folder, lambda line: None)
    state = evaluate.state_to_use(made, folder)
    return made.task.answer.args[0].module, state.learner.best_variables, state.reference


def divergence(workdir: Path, said: Sequence[dict[str, str]]) -> float:
    """Mean nats an answer of a run's policy from its reference, by answers that it has drawn."""
    from jaxdl.data import tokens
    from jaxdl.data.answered import Answered
    from jaxdl.tasks.shared import answering

    module, *both = parameters(workdir)
    byte = tokens.create("")
    end = lambda x: [*x, 256][:LONGEST]  # where there was room for it
    fronts = [byte.encode(row["prompt"]) for row in said]
    behind = [np.array(end(byte.encode(row["completion"]))) for row in said]
    texts = Answered.of(fronts, behind, module.context)
    batch = texts.padded(np.arange(len(said)), int(texts.text.lengths.max()))
    given = answering.END_TO_END.asked(batch)

    @jax.jit
    def log_p(variables: Any) -> jax.Array:
        from jaxdl.losses import preference

        each = preference.token_log_probabilities(
            module.apply(variables, *given.inputs), given.target
        )
        return preference.sequence_log_probabilities(each, given.weight)

    own, before = (log_p(variables) for variables in both)
    return float((own - before).mean())


def figures(said: Sequence[str], start: Sequence[str]) -> dict[str, float]:
    """Of a policy's answers by the rule, and against the start's to the same prompts."""
    own, other = (np.array([reward(x) for x in texts]) for texts in (said, start))
    return {
        "reward": float(own.mean()),
        "right": float((own == 2).mean()),
        "win_rate": float((own > other).mean() + (own == other).mean() / 2),
        "length": float(np.mean([len(x) for x in said])),
    }


def best_of(scored: Sequence[dict[str, Any]], prompts: int, most: int) -> dict[int, list[str]]:
    """{n: the answer of the highest reward of the first n to each prompt}."""
    rewards = np.array([row["reward"] for row in scored]).reshape(prompts, most)
    return {
        n: [scored[i * most + int(rewards[i, :n].argmax())]["completion"] for i in range(prompts)]
        for n in BEST_OF
    }


def measure(runs: Runs) -> dict[str, Any]:
    """All of it, in order."""
    from pydoc_data.topics import topics

    rng = np.random.default_rng(runs.seed)
    text = " ".join("\n".join(topics[name] for name in sorted(topics)).split())
    split = int(0.9 * len(text))
    learned, held_out = text[:split], text[split:]
    start = runs.train("start", "start", runs.write("texts", cut(learned, 20000, rng)))
    twice = lambda rows, times: [row for row in rows for _ in range(times)]
    asked = runs.write("asked", twice(cut(learned, 4000, rng), 2))
    found = pairs(runs.say(start, asked), rng)
    table, first = runs.write("pairs", found), f"--config.pretrained.source={start}"
    judge = runs.train("reward", "reward", table, first)
    prompts = cut(held_out, HELD_OUT, rng)
    drawn = runs.say(start, runs.write("held_out", twice(prompts, 2 * BEST_OF[-1])))
    drawn = [{k: v or " " for k, v in row.items()} for row in drawn]
    by_prompt = np.array([row["completion"] for row in drawn]).reshape(HELD_OUT, -1)
    # The start's own answers are others than those that are chosen from.
    other, many = by_prompt[:, BEST_OF[-1]], by_prompt[:, : BEST_OF[-1]]
    rows = [
        {"prompt": prompt["prompt"], "completion": said}
        for prompt, every in zip(prompts, many.tolist(), strict=True)
        for said in every
    ]
    scored = runs.say(judge, runs.write("drawn", rows))
    points = [
        {"by": "best of n", "n": n, "kl": math.log(n) - (n - 1) / n, **figures(said, other)}
        for n, said in best_of(scored, HELD_OUT, BEST_OF[-1]).items()
    ]
    shown = runs.write("shown", prompts)
    for by, betas in BETAS.items():
        for beta in betas:
            more = [first, f"--config.task.beta={beta}"]
            more += [f"--config.task.reward={judge}"] if by == "ppo" else []
            run = runs.train(by, f"{by}_{beta}", table, *more)
            said = runs.say(run, shown)
            told = figures([row["completion"] for row in said], other)
            points.append({"by": by, "beta": beta, "kl": divergence(run, said), **told})
    accuracy = json.loads((judge / "summary.json").read_text())["final"]["accuracy"]
    about = {"jax": jax.__version__, "machine": machine.model(), "seed": runs.seed}
    return {**about, "pairs": len(found), "reward_model": accuracy, "points": points}


def draw(found: dict[str, Any], file: Path) -> None:
    """The chart: reward by the rule over nats from the start."""
    from jaxdl.report import draw as report

    def paint(axes: Any) -> None:
        for by, mark in (("best of n", "o-"), ("dpo", "s-"), ("ppo", "^-")):
            own = sorted((p["kl"], p["reward"]) for p in found["points"] if p["by"] == by)
            axes.plot(*zip(*own, strict=True), mark, markersize=4, label=by)
        axes.set_xlabel("KL from the start, nats an answer")
        axes.set_ylabel("mean reward by the rule, of 2")
        axes.legend()

    file.write_bytes(report.figure(5.0, 3.2, paint).data)


def main() -> int:
    """Measures, writes, draws, and tells."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workdir", type=Path, default=ROOT / "runs" / "rule")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    options.workdir.mkdir(parents=True, exist_ok=True)
    found = measure(Runs(options.workdir, options.seed))
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    RESULTS.write_text(json.dumps(found, indent=1) + "\n")
    draw(found, CHART)
    for point in found["points"]:
        told = ((k, f"{v:.3f}" if isinstance(v, float) else v) for k, v in point.items())
        print(" ".join(f"{name} {value}" for name, value in told))
    return 0


if __name__ == "__main__":
    sys.exit(main())
