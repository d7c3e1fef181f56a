"""What a trained run says of texts: `--mode=predict` of tasks that answer texts."""

import json

import jax
from etils import epath

from jaxdl.errors import UserError
from jaxdl.experiment import Experiment
from jaxdl.train import evaluate


def write(made: Experiment, workdir: epath.Path, file: str) -> None:
    """Prints a line a text, and writes predictions.txt and predictions.jsonl; process 0 alone does.

    A line of predictions.txt is that of the same number in the input, with spaces for line ends.

    Args:
      made: an experiment whose task has ``answer``.
      workdir: of its run: the best checkpoint answers, or the newest, if none is.
      file: the texts.

    Raises:
      UserError: a population, no checkpoint, or a file that cannot be read.
    """
    if made.members:
        raise UserError("one member is asked, not a population: add --config.member=0, or another")
    _, state = evaluate.best_state(made, workdir)
    found = made.task.answer(state, file, made.config.eval.batch_size)
    if jax.process_index() != 0:
        return
    lines = [" ".join(said.text.splitlines()) for said in found]
    for line in lines:
        print(line.encode("utf-8", "backslashreplace").decode(), flush=True)
    records = [{"line": i, **said.record} for i, said in enumerate(found, 1)]
    kept = {"txt": lines, "jsonl": [json.dumps(record) for record in records]}
    workdir.mkdir(parents=True, exist_ok=True)
    for kind, written in kept.items():
        path = workdir / f"predictions.{kind}"
        path.write_text("".join(f"{line}\n" for line in written), encoding="utf-8")
        print(f"predictions {path}", flush=True)
