"""What a trained run says of texts: `--mode=predict` of tasks that answer texts."""

import json
from collections.abc import Sequence
from pathlib import Path

import jax
import numpy as np
from etils import epath

from jaxdl.errors import UserError
from jaxdl.experiment import Experiment
from jaxdl.inference import rows
from jaxdl.runs import meaning
from jaxdl.tasks import Description
from jaxdl.train import evaluate


def write(made: Experiment, workdir: epath.Path, file: str) -> None:
    """Prints a line a text, and writes predictions.txt and predictions.jsonl; process 0 alone does.

    A line of predictions.txt is that of the same number in the input, with spaces for line ends. Of
    tasks that ``embed`` texts, or whose answers have a vector, embeddings.npy has a row for each;
    words that were tagged also stand in predictions.conll, a word a line.

    Args:
      made: an experiment whose task has ``answer`` or ``embed``.
      workdir: of its run: the best checkpoint answers, or the newest, if none is.
      file: the texts.

    Raises:
      UserError: a population, no checkpoint, or a file that cannot be read.
    """
    state = evaluate.state_to_use(made, workdir)
    task, at_once = made.task, made.config.eval.batch_size
    found = task.answer(state, file, at_once) if task.answer else []
    vectors = task.embed(state, file, at_once) if task.embed else None
    if found and found[0].vector is not None:
        vectors = np.stack([said.vector for said in found])
    if jax.process_index() != 0:
        return
    workdir.mkdir(parents=True, exist_ok=True)
    if found:
        _write_answers(found, workdir)
    if vectors is not None:
        rows.write(vectors, workdir)


def publish(made: Experiment, workdir: epath.Path, input_size: int = 0) -> None:
    """Writes what was learned to ``workdir``/export, as the library that it is of reads it.

    Args:
      made: an experiment whose task has ``publish``.
      workdir: of its run, whose best checkpoint is written, or the newest, if none is; with the
        tokenizer.json that it keeps, if it has one.
      input_size: 0, or the UserError.

    Raises:
      UserError: a population, no checkpoint, a model that the library has not, or ``input_size``.
    """
    if made.members:
        raise UserError("one member is written, not a population: add --config.member=0")
    if input_size:
        raise UserError(f"--input_size={input_size} is of images, and this run's model takes texts")
    _, state = evaluate.best_state(made, workdir)
    if jax.process_index() != 0:
        return
    folder = workdir / "export"
    try:
        made.task.publish(state, Path(folder))
    except UserError as error:
        raise UserError(f"what writes texts is exported as transformers has it: {error}") from error
    tokenizer(workdir, folder)
    for file in sorted(folder.iterdir()):
        print(f"export {file}", flush=True)


def tokenizer(workdir: epath.Path, folder: epath.Path) -> list[epath.Path]:
    """Copies the tokenizer.json that a run keeps, if it has one; the file, or none."""
    kept = meaning.read(workdir)
    if kept is None or not kept.tokenizer:
        return []
    file = folder / epath.Path(kept.tokenizer).name
    file.write_bytes(epath.Path(kept.tokenizer).read_bytes())
    return [file]


def _write_answers(found: Sequence[Description], workdir: epath.Path) -> None:
    lines = [" ".join(said.text.splitlines()) for said in found]
    for line in lines:
        print(line.encode("utf-8", "backslashreplace").decode(), flush=True)
    records = [{"line": i, **said.record} for i, said in enumerate(found, 1)]
    kept = {"txt": lines, "jsonl": [json.dumps(record) for record in records]}
    if "tags" in found[0].record:  # of words: in columns, as CoNLL has them
        tagged = [zip(said.record["words"], said.record["tags"], strict=True) for said in found]
        kept["conll"] = [line for row in tagged for line in (*map("\t".join, row), "")]
    for kind, written in kept.items():
        path = workdir / f"predictions.{kind}"
        path.write_text("".join(f"{line}\n" for line in written), encoding="utf-8")
        print(f"predictions {path}", flush=True)
