"""Answers that are to end a sentence and hold no digit: PPO, DPO and the best of n drawn.

    python -m benchmarks.preferences.rule [--workdir=runs/rule] [--seed=0]

A GPT of bytes learns to go on in Python's documentation by up to 48 bytes
(experiments/preferences.py:sft). From pairs of answers that differ by the rule of data set
"topic_preferences", a tenth of them the wrong way round, DPO learns (:rule), and a reward model, by
which PPO learns and the best of n answers is chosen. To prompts of the part held out each policy
gives as many answers as the start: told are the mean reward by the rule itself, the share of
answers that win against the start's (a draw is half a win), and the nats that the policy is apart
from the start, by its own answers. Runs that are there are taken. Writes the file of this processor
and this jax in benchmarks/results/preferences/, the chart docs/preferences.svg, and the table in
docs/preferences.md.
"""

import argparse
import json
import math
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import machine, records
from benchmarks.page import renew
from benchmarks.workloads import ROOT
from jaxdl.data.topic_answers import prompts, reward

OWN = Path(__file__).with_name("config.py")
SHARED = ROOT / "experiments" / "preferences.py"
RESULTS = records.RESULTS / "preferences"
PAGE, CHART = ROOT / "docs" / "preferences.md", ROOT / "docs" / "preferences.svg"

HELD_OUT, BEST_OF = 256, (1, 2, 4, 8, 16)
BETAS = {"dpo": (0.05, 0.2, 0.8), "ppo": (0.02, 0.1, 0.4)}
_CONFIGS = {"start": f"{SHARED}:sft", "dpo": f"{SHARED}:rule", "reward": f"{OWN}:reward",
            "ppo": f"{OWN}:ppo"}  # fmt: skip
_TINY = ("--config.steps=2", "--config.optimizer.warmup=0", "--config.eval.every=2",
         "--config.model.width=8", "--config.model.depth=1", "--config.model.heads=1")  # fmt: skip


class Runs:
    """The runs in a folder, made where they are not there.

    Args:
      folder: of all.
      seed: of each.
      tiny: two updates of networks of 8 numbers.
    """

    def __init__(self, folder: Path, seed: int, tiny: bool):
        self.folder, self.seed, self.tiny = folder, seed, tiny

    def train(self, kind: str, name: str, *more: str) -> Path:
        """The folder of a run of `_CONFIGS`, of that name."""
        from jaxdl import launch

        workdir = self.folder / name
        flags = [f"--config={_CONFIGS[kind]}", f"--workdir={workdir}", *more]
        flags += [f"--config.seed={self.seed}", "--config.log.report=false"]
        if launch.main([*flags, *(_TINY if self.tiny else ())]):
            raise SystemExit(1)
        return workdir

    def say(self, workdir: Path, name: str, rows: Sequence[Mapping[str, str]]) -> list[dict]:
        """What a run predicts of a table of that name."""
        from jaxdl import launch

        table = self.folder / f"{name}.jsonl"
        table.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
        flags = [f"--workdir={workdir}", "--mode=predict", f"--input={table}"]
        if launch.main([*flags, "--config.eval.batch_size=512"]):
            raise SystemExit(1)
        lines = (workdir / "predictions.jsonl").read_text().splitlines()
        return [json.loads(line) for line in lines]


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
    import jax

    from jaxdl.data import answered, tokens
    from jaxdl.tasks.shared import answering

    module, *both = parameters(workdir)
    byte = tokens.create()
    end = answered.vocabulary(byte).end
    fronts = [byte.encode(row["prompt"]) for row in said]
    behind = [answered.ended(byte.encode(row["completion"]).astype(int), end) for row in said]
    # An answer that fills the context has no end.
    texts = answered.Answered.of(fronts, behind, module.context)
    batch = texts.padded(np.arange(len(said)), int(texts.text.lengths.max()))
    given = answering.END_TO_END.asked(batch)

    @jax.jit
    def log_p(variables: Any) -> Any:
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


def best_of(scored: Sequence[Mapping[str, Any]], most: int) -> dict[int, list[str]]:
    """{n: the answer of the highest reward of the first n of ``most`` to each prompt}."""
    rewards = np.array([row["reward"] for row in scored]).reshape(-1, most)
    said = np.array([row["completion"] for row in scored]).reshape(-1, most)
    every = np.arange(len(said))
    return {n: said[every, rewards[:, :n].argmax(axis=1)].tolist() for n in BEST_OF if n <= most}


def measure(runs: Runs) -> dict[str, Any]:
    """All of it, in order: "reward_model", its accuracy of 1 - noise, and "points", of a policy."""
    start = runs.train("start", "start")
    first = f"--config.pretrained.source={start}"
    judge = runs.train("reward", "reward", first)
    most = 2 if runs.tiny else BEST_OF[-1]
    asked = [{"prompt": x} for x in prompts(4 if runs.tiny else HELD_OUT, data_seed=runs.seed)]
    drawn = runs.say(start, "held_out", [row for row in asked for _ in range(2 * most)])
    # Nothing said is judged by a space; the start's own answers are others than those chosen from.
    drawn = [{**row, "completion": row["completion"] or " "} for row in drawn]
    both = np.array(drawn, object).reshape(len(asked), 2, most)
    other = [row["completion"] for row in both[:, 1, 0]]
    scored = runs.say(judge, "drawn", both[:, 0].ravel().tolist())
    points = [
        {"by": "best of n", "n": n, "kl": math.log(n) - (n - 1) / n, **figures(said, other)}
        for n, said in best_of(scored, most).items()
    ]
    for by, betas in BETAS.items():
        for beta in betas[:1] if runs.tiny else betas:
            more = [f"--config.task.reward={judge}"] if by == "ppo" else []
            run = runs.train(by, f"{by}_{beta}", first, f"--config.task.beta={beta}", *more)
            said = runs.say(run, "asked", asked)
            told = figures([row["completion"] for row in said], other)
            points.append({"by": by, "beta": beta, "kl": divergence(run, said), **told})
    accuracy = json.loads((judge / "summary.json").read_text())["final"]["accuracy"]
    return {"reward_model": accuracy, "points": points}


def write() -> None:
    """Makes the page's table and the chart anew from what is stored, of the newest jax."""
    renew(PAGE, "rule", CHART, RESULTS, figures=page, picture=chart)


def page(stored: Sequence[Mapping[str, Any]]) -> str:
    """The page's Markdown: the chart and the table of the last of stored results."""
    if not stored:
        return "Not measured yet."
    about, (measured,) = stored[-1]["about"], stored[-1]["workloads"].values()
    return (
        f"![Mean reward over the nats from the start]({CHART.name})\n\n{table(measured)}\n\n"
        f"The reward model agrees with {measured['reward_model']:.3f} of labels. Seed "
        f"{about['seed']}, jax {about['jax']['jax']}, and the texts of Python {about['python']}, "
        "which differ from one version to the next."
    )


def table(measured: Mapping[str, Any]) -> str:
    """Markdown, a row a policy."""
    rows = [
        "| by | KL from the start, nats an answer | mean reward, of 2 | keeps the rule | wins "
        "against the start | letters |",
        "|---|---|---|---|---|---|",
    ]
    for point in measured["points"]:
        name = f"best of {point['n']}" if "n" in point else f"{point['by']}, β = {point['beta']}"
        rows.append(
            f"| {name} | {point['kl']:.2f} | {point['reward']:.2f} | {point['right']:.2f} | "
            f"{point['win_rate']:.2f} | {point['length']:.0f} |"
        )
    return "\n".join(rows)


def chart(measured: Mapping[str, Any]) -> Any:
    """Reward by the rule over nats from the start."""
    from jaxdl.report import draw

    def paint(axes: Any) -> None:
        for by, mark in (("best of n", "o-"), ("dpo", "s-"), ("ppo", "^-")):
            own = sorted((p["kl"], p["reward"]) for p in measured["points"] if p["by"] == by)
            axes.plot(*zip(*own, strict=True), mark, markersize=4, label=by)
        axes.set_xlabel("KL from the start, nats an answer")
        axes.set_ylabel("mean reward by the rule, of 2")
        axes.legend()

    return draw.figure(5.0, 3.2, paint)


def main() -> int:
    """Measures, writes, and tells."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workdir", type=Path, default=ROOT / "runs" / "rule")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--tiny", action="store_true", help="a few updates; nothing is kept")
    options = parser.parse_args()
    options.workdir.mkdir(parents=True, exist_ok=True)
    found = measure(Runs(options.workdir, options.seed, options.tiny))
    if not options.tiny:
        known = {**machine.with_jax(), "seed": options.seed}
        records.keep({"about": known, "workloads": {"rule": found}}, RESULTS)
        write()
    print(f"the reward model agrees with {found['reward_model']:.3f} of labels")
    print(table(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
