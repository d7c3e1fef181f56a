"""The model of a task on prompts and answers, whatever kind it is, and what it is put to."""

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from etils import epath
from flax import linen as nn

from jaxdl import generate, models
from jaxdl.data.source_target import specials
from jaxdl.errors import UserError
from jaxdl.generate import decoding
from jaxdl.pretrained import encoders, transfer
from jaxdl.runs import workdir
from jaxdl.tasks.shared import answering, apart, completing, encoder_decoder
from jaxdl.tasks.shared.contract import Run
from jaxdl.tasks.shared.reading import Reader


class Begin(NamedTuple):
    """What a run begins with.

    Attributes:
      start: its model and weights.
      reads: how texts go through it; of texts whose longest prompt has so many tokens.
      speaks: how prompts do, and the answers that are drawn to them.
      lengths: of an example of each of its inputs.
      uses: what `jaxdl.tasks.Task` has for those that write.
    """

    start: transfer.Start
    reads: Callable[[int], answering.Reads]
    speaks: answering.Reads
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


def begin(run: Run, array: str, output: str, temperature: float = 1.0, tokens: int = 0) -> Begin:
    """The run's model for prompts and answers: a language model, or an encoder-decoder.

    Args:
      run: of data such as "preferences".
      array: that its batches must have.
      output: of the model, as of `jaxdl.models.gpt`.
      temperature: of what it answers, where that is no score alone.
      tokens: of an answer that is drawn, at most; 0 where none is.

    Raises:
      UserError: other data, another kind of model, or weights of other tokens.
    """
    answering.check_data(run, array)
    name = _name(run)
    if name and decoding.reads_source(models.create(name)):
        return _apart(run, output, name, temperature, tokens)
    start, speaks = answering.begin(run, array, output, tokens), answering.IN_FRONT
    uses = _uses(run, start.module, output, temperature, tokens, speaks)
    reads = lambda prompt: answering.END_TO_END
    return Begin(start, reads, speaks, (run.data.train.context,), uses)


def _uses(
    run: Run,
    module: nn.Module,
    output: str,
    temperature: float,
    tokens: int,
    speaks: answering.Reads,
    published: generate.Settings | None = None,
) -> dict[str, Callable]:
    """What `jaxdl.tasks.Task` has of those that answer."""
    if output == "score":
        return {}
    says = module.clone(output="tokens")
    completer = answering.completer(run, says, temperature, tokens, speaks, published)
    return dict(
        sample=functools.partial(answering.sample, says, speaks, run),
        answer=functools.partial(completing.answer, completer),
        publish=functools.partial(completing.publish, completer),
    )


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


def _apart(run: Run, output: str, name: str, temperature: float, tokens: int) -> Begin:
    train, task = run.data.train, run.config.task.name
    if "output" not in models.settings(name):
        raise UserError(
            f"task {task!r} needs a model of texts that has a score too, such as 'gpt', 't5' or "
            f"'bart', not {name!r}"
        )
    # What is drawn may have as many tokens each time: those that are no words are silent then.
    if train.end is None and output != "both":
        raise UserError(
            f"data set {run.config.data.name!r} has answers without an end, which encoder-decoders "
            "cannot write: take a language model, such as 'gpt'"
        )
    special, tokenizer = specials(run.data.tokenizer), run.data.tokenizer
    longest = tokens or train.context - 1
    # The start of an answer, and all of it.
    lengths = train.prompt_length + special.around, train.context + len(special.front)
    read = Reader(
        _no_examples, special, (lengths[0], longest), max(train.room, longest) + special.around
    )
    made = encoder_decoder.begin(run, read, tokens=longest, beams=1, output=output)
    module, special = made.start.module, made.special
    reads = functools.partial(apart.reads, special, train.end)
    silent = apart.silent(special, tokenizer.size, module.vocab_size, train.end)
    speaks = reads(train.prompt_length, longest, silent)
    # What all answers begin with is asked for in its place.
    told = tuple(token for token in silent if token not in special.front)
    published = dataclasses.replace(made.settings, suppress_tokens=told or None)
    uses = _uses(run, module, output, temperature, longest, speaks, published)
    return Begin(made.start, reads, speaks, lengths, uses)


def _no_examples(batch: Mapping, key: jax.Array | None) -> None:
    """Examples are made of pairs by `apart`."""
