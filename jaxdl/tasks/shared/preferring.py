"""The model of a task on pairs of answers, whatever kind of model it is, and what it is put to."""

import functools
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from etils import epath
from flax import linen as nn

from jaxdl import models
from jaxdl.data.source_target import specials
from jaxdl.data.spread import evenly
from jaxdl.errors import UserError
from jaxdl.generate import decoding
from jaxdl.pretrained import encoders, transfer
from jaxdl.runs import workdir
from jaxdl.tasks.shared import answering, apart, completing, encoder_decoder, writing
from jaxdl.tasks.shared.contract import Run
from jaxdl.tasks.shared.reading import Reader
from jaxdl.tasks.shared.writing import Writer

# Prompts that samples are written for.
_SHOWN = 4


class Begin(NamedTuple):
    """What a run begins with.

    Attributes:
      start: its model and weights.
      reads: how texts go through it; of texts whose longest prompt has so many tokens.
      lengths: of an example of each of its inputs.
      uses: what `jaxdl.tasks.Task` has for those that write.
    """

    start: transfer.Start
    reads: Callable[[int], answering.Reads]
    lengths: tuple[int, ...]
    uses: Mapping[str, Callable]

    @property
    def module(self) -> nn.Module:
        """The model."""
        return self.start.module

    def initial(self, key: jax.Array) -> Any:
        """The variables that a run begins with; free to jit."""
        inputs = [jnp.zeros((1, 1), jnp.int32) for _ in self.lengths]
        return self.start.variables(self.module.init(key, *inputs))

    def call_order(self) -> dict[str, int]:
        """As of `jaxdl.models.call_order`."""
        seen = [jax.ShapeDtypeStruct((1, length), jnp.int32) for length in self.lengths]
        return models.call_order(self.module, *seen)


def begin(run: Run, output: str, temperature: float = 1.0) -> Begin:
    """The run's model for pairs of answers: a language model, or an encoder-decoder.

    Args:
      run: of data such as "preferences".
      output: of the model, as of `jaxdl.models.gpt`.
      temperature: of what a language model answers.

    Raises:
      UserError: other data, another kind of model, or weights of other tokens.
    """
    answering.check_data(run, "answer")
    name = _name(run)
    if name and decoding.reads_source(models.create(name)):
        return _apart(run, output, name)
    start = answering.begin(run, "answer", output)
    uses = {}
    if output == "tokens":
        completer = answering.completer(run, start.module, temperature)
        uses = dict(
            sample=functools.partial(answering.sample, start.module, run),
            answer=functools.partial(completing.answer, completer),
            publish=functools.partial(completing.publish, completer),
        )
    reads = lambda prompt: answering.END_TO_END
    return Begin(start, reads, (run.data.train.context,), uses)


def _name(run: Run) -> str:
    """Of the model, by the config or by the weights that the run begins with; "" where none is."""
    config = run.config
    source = config.pretrained.source
    if config.model.name or not source:
        return config.model.name
    path = epath.Path(source)
    if (path / "checkpoints").is_dir():
        return workdir.stored(path).get("model.name", "")
    return encoders.architecture(source, config.pretrained.model)


def _apart(run: Run, output: str, name: str) -> Begin:
    train, task = run.data.train, run.config.task.name
    if "output" not in models.settings(name):
        raise UserError(
            f"task {task!r} needs a model of texts that has a score too, such as 'gpt', 't5' or "
            f"'bart', not {name!r}"
        )
    if train.end is None:
        raise UserError(
            f"data set {run.config.data.name!r} has answers without an end, which encoder-decoders "
            "cannot write: take a language model, such as 'gpt'"
        )
    special = specials(run.data.tokenizer)
    # The start of an answer, and all of it.
    lengths = train.prompt_length + special.around, train.context + len(special.front)
    read = Reader(_no_examples, special, lengths, train.room + special.around)
    made = encoder_decoder.begin(run, read, output=output)
    module, special = made.start.module, made.special
    reads = functools.partial(apart.reads, special, train.end)
    uses = {}
    if output == "tokens":
        writer = Writer(module, special, run.data.tokenizer, made.settings)
        writes = jax.jit(functools.partial(writing.writes, writer))
        answer = functools.partial(writing.answer, writer, writes, completing.column(run))
        uses = dict(
            sample=functools.partial(_sample, writer, writes, run),
            answer=lambda state, file, at_once: answer(state.learner, file, at_once),
            publish=lambda state, folder: writing.publish(writer, state.learner, folder),
        )
    return Begin(made.start, reads, lengths, uses)


def _no_examples(batch: Mapping, key: jax.Array | None) -> None:
    """Examples are made of pairs by `apart`."""


def _sample(
    writer: Writer, writes: Callable, run: Run, state: Any, key: jax.Array
) -> dict[str, Any]:
    split = run.data.test
    shown = split.take(evenly(len(split), _SHOWN))
    rows = zip(shown["prompt"], np.asarray(shown["prompt_mask"]), strict=True)
    sources = [run.data.tokenizer.decode(prompt[real]) for prompt, real in rows]
    return writing.sample(writer, writes, sources, state.learner, key)
