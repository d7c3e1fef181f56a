"""The model of a task that reads whole texts: an encoder such as BERT, for the data's tokens."""

import functools
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from jaxdl import models
from jaxdl.data import Data, encoded_texts, lines
from jaxdl.errors import UserError, note
from jaxdl.pretrained import encoders, transfer
from jaxdl.tasks.shared import by_length, packed_texts
from jaxdl.tasks.shared.contract import Run
from jaxdl.tasks.shared.model import build_model
from jaxdl.tasks.shared.splits import EachFn

# The model's fields that follow from the data and the task.
DERIVED = ("vocab_size", "context", "output")


def start(run: Run, output: str, around: int = 0, **derived: Any) -> transfer.Start:
    """The run's model as `build` has it, and the weights that it begins with.

    Those of ``config.pretrained.source`` where there is one, with a new head where it has another.
    """
    if not run.config.pretrained.source:
        return transfer.fresh(build(run, output, around, **derived))
    wanted = encoders.Wanted(
        encoded_texts.specials(run.data.tokenizer).size,
        run.data.train.context + around,
        "config.data.context",
        {"output": output, **derived},
        lambda module: _check_kind(
            run, module, f"the {type(module).__name__} of {run.config.pretrained.source}"
        ),
    )
    return encoders.create(run.config, run.data, wanted)


def build(run: Run, output: str, around: int = 0, **derived: Any) -> nn.Module:
    """The run's model for examples of ``data.context`` tokens.

    Args:
      run: of data with a tokenizer, whose training part has ``context``.
      output: what the model is to give, as `jaxdl.models.bert.BERT` has it.
      around: special tokens that an example has beside these; 0 where they are among them.
      **derived: further fields that follow from the data.

    Raises:
      UserError: no encoder, or one that the config makes too small.
    """
    name, context = run.config.model.name, run.data.train.context
    also = f" and {around} special tokens" if around else ""
    size = encoded_texts.specials(run.data.tokenizer).size
    _check_kind(run, models.create(name), repr(name))
    return build_model(
        run,
        {"vocab_size": size, "context": context + around, "output": output, **derived},
        at_least=("vocab_size", "context"),
        because=f"for a vocabulary of {size}, special tokens among them, and examples of "
        f"config.data.context={context} tokens{also}",
    )


def _check_kind(run: Run, module: nn.Module, called: str) -> None:
    if not reads_whole_texts(module):
        raise UserError(
            f"task {run.config.task.name!r} needs a model that reads whole texts, such as 'bert', "
            f"not {called}"
        )


def reads_whole_texts(module: nn.Module) -> bool:
    """Whether it is an encoder, whose tokens see all others, and is called as one.

    As `jaxdl.models.bert.BERT` is; a model says it by an attribute of this name.
    """
    return getattr(module, "reads_whole_texts", False)


def embeddings(features: jax.Array, own: jax.Array) -> jax.Array:
    """A vector of length 1 for each text: the mean of its tokens' features, (batch, K, width).

    As sentence-transformers has them (Reimers and Gurevych, 2019, "Sentence-BERT", section 3):
    special tokens count, padding does not.

    Args:
      features: (batch, T, width), of an encoder's last block.
      own: (batch, K, T) booleans, which tokens are of each of K texts of a row; the vector of one
        that has none is zeros.
    """
    weight = own.astype(jnp.float32)
    total = jnp.einsum("bkt,btc->bkc", weight, features, precision=jax.lax.Precision.HIGHEST)
    mean = total / jnp.maximum(weight.sum(axis=-1, keepdims=True), 1e-9)
    length = jnp.linalg.norm(mean, axis=-1, keepdims=True)
    return mean / jnp.maximum(length, 1e-12)


def embed(
    module: nn.Module,
    data: Data,
    around: int,
    encode: Callable[[str], np.ndarray] | None = None,
) -> Callable[[Any, str, int], np.ndarray]:
    """(state, file, texts at once) -> `vectors` of a file's texts by the averages, (n, width).

    Args:
      module: an encoder.
      data: as of `each_text`, as are the others.
      around: special tokens.
      encode: the tokens of a text.
    """
    fn = jax.jit(lambda state, batch, key: vectors(module, state.best_variables, batch))
    return functools.partial(
        each_text, fn, data, around, encode=encode, over=packed_texts.over_texts
    )


def vectors(module: nn.Module, variables: Any, batch: Mapping) -> jax.Array:
    """The `embeddings` of a batch of `packed_texts`, (rows, places, width)."""
    features = module.apply(variables, batch["tokens"], texts=batch["texts"], features=True)
    numbers = 1 + jnp.arange(packed_texts.places(features.shape[1]))
    return embeddings(features, batch["texts"][:, None] == numbers[:, None])


def each_text(
    fn: EachFn,
    data: Data,
    around: int,
    state: Any,
    file: str,
    at_once: int,
    encode: Callable[[str], np.ndarray] | None = None,
    over: Callable[..., np.ndarray] = by_length.over_texts,
) -> np.ndarray:
    """What ``fn`` makes of each text in a file, a row a text; long ones are cut, and counted.

    Args:
      fn: (state, batch of ``tokens`` and ``mask``, key) -> (batch, …); texts of like length come
        together (`by_length`).
      data: whose tokenizer it is, and whose training part has ``context``.
      around: as `build` has it.
      state: for ``fn``.
      file: of lines, or a table with a column called text.
      at_once: texts at most.
      encode: the tokens of a text, (n,); None is the tokenizer's.
      over: by what batches are made, and so what ``fn`` takes; of `packed_texts` otherwise.
    """
    length, special = data.train.context + around, encoded_texts.specials(data.tokenizer)
    encode = encode or data.tokenizer.encode
    found = lines.texts(file, "text")
    encoded = [encoded_texts.wrapped([encode(text)], special, length) for text in found]
    for line in encoded_texts.cut_note(encoded, length):
        note(line)
    return over(fn, encoded, special, length, at_once, state)
