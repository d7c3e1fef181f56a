"""What a published Whisper hears in files, or a run that learned on from one: `--mode=predict`."""

import json
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import jax
from etils import epath
from ml_collections import ConfigDict

from jaxdl import precision, pretrained, process
from jaxdl.data import audio, subtitles
from jaxdl.errors import UserError, listed
from jaxdl.experiment import Experiment
from jaxdl.generate import entries
from jaxdl.inference import transcribe, transcriber
from jaxdl.inference.transcribe import RATE, Transcript
from jaxdl.inference.transcriber import Limits, Transcriber
from jaxdl.train import evaluate

_ENTRIES = "config.pretrained.generation"
# {transformers' name: ours}
_LIMITS = dict(
    compression_ratio_threshold="compression",
    logprob_threshold="log_p",
    no_speech_threshold="no_speech",
)


def is_whisper(config: ConfigDict) -> bool:
    """Whether `config.pretrained` names a model of sounds.

    Raises:
      UserError: it names a folder with nothing but OpenAI's file in it, or that file is damaged.
    """
    given = config.pretrained
    path = pretrained.tensors.locate(given.source)
    if not path.is_dir():
        return not given.model and pretrained.openai_whisper.holds(path)
    if not given.model and not (path / pretrained.config.NAME).is_file():
        for file in filter(pretrained.openai_whisper.holds, sorted(path.glob("*.pt"))):
            raise UserError(
                f"{path} has no {pretrained.config.NAME}: name the file in it by "
                f"--config.pretrained.source={file}"
            )
    return pretrained.config.settings(path, pretrained.config.NAME).get("model_type") == "whisper"


def of_checkpoint(config: ConfigDict) -> Transcriber:
    """The published one that `config.pretrained` names, asked as `config.pretrained.generation`.

    Raises:
      UserError: it cannot be read, or a setting is not one of its own.
    """
    given = config.pretrained
    for name in ("model", "checkpoint_key", "fresh", "mean", "std"):
        if given[name]:
            raise UserError(f"config.pretrained.{name} is not used where Whisper transcribes")
    process.spare_memory()
    limits, said = _asked(given.generation)
    dtype = precision.compute_dtype(config.precision)
    return transcriber.load(given.source, limits, dtype=dtype, **said)


def of_run(made: Experiment, workdir: epath.Path, generation: Sequence[str] = ()) -> Transcriber:
    """The best checkpoint in ``workdir`` (the newest, if none is), on this process' first device.

    Args:
      made: the run, whose task has `jaxdl.tasks.Task.transcriber`.
      workdir: its folder.
      generation: as `config.pretrained.generation`, in place of what the run says.

    Raises:
      UserError: a population, no checkpoint, or a setting is not one of its own.
    """
    process.spare_memory()
    limits, said = _asked(generation)
    state = evaluate.state_to_use(made, workdir)
    module, variables, settings = made.task.transcriber(state)
    variables = jax.device_put(jax.device_get(variables), jax.local_devices()[0])
    tokenizer = made.run.data.tokenizer
    return transcriber.of_weights(module, variables, settings, tokenizer, limits, **said)


def _asked(generation: Sequence[str]) -> tuple[Limits, dict[str, Any]]:
    """The limits, by transformers' names among the entries, and what else is asked for.

    temperature=0 is a single greedy try, others a single one that is drawn.

    Raises:
      UserError: an entry is unknown, of another kind, or not used.
    """
    said = entries.parsed(generation, _ENTRIES)
    if said.pop("return_timestamps", None) is False:
        raise UserError(f"{_ENTRIES}: return_timestamps=false: windows begin at the last time")
    changed = {}
    for name in sorted(_LIMITS.keys() & said.keys()):
        value = changed[_LIMITS[name]] = said.pop(name)
        if value is not None and type(value) not in (int, float):
            raise UserError(f"{_ENTRIES}: {name}={value!r} must be a number, or none")
    if "temperature" in said:
        temperature = said.pop("temperature")
        if type(temperature) not in (int, float) or not temperature >= 0:
            raise UserError(f"{_ENTRIES}: temperature={temperature!r} must be a number from 0 on")
        changed["temperatures"] = (float(temperature),)
    unused = sorted({"do_sample", "num_return_sequences"} & set(said))
    if unused:
        raise UserError(f"{_ENTRIES}: {unused[0]} is not used where Whisper transcribes")
    return transcriber.LIMITS._replace(**changed), said


class Answer(NamedTuple):
    """What was heard in one file; None and why where it could not be read."""

    file: epath.Path
    said: Transcript | None
    error: str = ""


def run(whisper: Transcriber, found: Sequence[epath.Path]) -> Iterator[Answer]:
    """What is said in each file, in their order."""
    for file in found:
        try:
            yield Answer(file, transcribe.transcribe(whisper, audio.read(file, RATE)))
        except UserError as error:
            yield Answer(file, None, str(error))


def record(answer: Answer) -> dict[str, Any]:
    """A line of predictions.jsonl."""
    rounded = lambda x: x if x is None else round(x, 4)
    timed = lambda x: {"start": round(x.start, 2), "end": round(x.end, 2), "text": x.text}
    return {
        "file": str(answer.file),
        "language": answer.said.language,
        "text": answer.said.text,
        "segments": [
            {
                **timed(s),
                "temperature": s.temperature,
                "log_probability": rounded(s.log_p),
                "compression": rounded(s.compression),
                "no_speech": rounded(s.no_speech),
                **({} if s.words is None else {"words": [*map(timed, s.words)]}),
            }
            for s in answer.said.segments
        ],
    }


def write(answers: Iterator[Answer], folder: epath.Path) -> None:
    """Prints a line a segment; writes predictions.jsonl, and an .srt and a .vtt for each file.

    Raises:
      UserError: names the files that could not be read, after the others are done.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path, broken, count, taken = folder / "predictions.jsonl", [], 0, set()
    with path.open("w") as lines:
        for answer in answers:
            count += 1
            if answer.said is None:
                broken.append(answer.error)
                continue
            lines.write(json.dumps(record(answer)) + "\n")
            _say(f"{answer.file}  {answer.said.language or ''}".rstrip())
            shown = [subtitles.Line(s.start, s.end, s.text) for s in answer.said.segments]
            for line in shown:
                _say(f"  [{line.start:.2f} {line.end:.2f}]{line.text}")
            name = _name(answer.file, taken)
            for kind, made in ((".srt", subtitles.srt), (".vtt", subtitles.vtt)):
                (folder / f"{name}{kind}").write_text(made(shown), encoding="utf-8")
                _say(f"subtitles {folder / f'{name}{kind}'}")
    _say(f"predictions {path}")
    if broken:
        raise UserError(f"{len(broken)} of {count} sounds could not be read: {listed(broken)}")


def _name(file: epath.Path, taken: set[str]) -> str:
    """Of a file's subtitles: its own, with a number where another of that name was before it."""
    name, number = file.stem, 1
    while name in taken:
        number += 1
        name = f"{file.stem}-{number}"
    taken.add(name)
    return name


def _say(line: str) -> None:
    print(line.encode("utf-8", "backslashreplace").decode(), flush=True)
