"""The model of a task that reads whole texts: an encoder such as BERT, for the data's tokens."""

from typing import Any

from flax import linen as nn

from jaxdl import models
from jaxdl.data import encoded_texts
from jaxdl.errors import UserError
from jaxdl.pretrained import encoders, transfer
from jaxdl.tasks.shared.contract import Run
from jaxdl.tasks.shared.model import build_model

# The model's fields that follow from the data and the task.
DERIVED = ("vocab_size", "context", "output")


def start(run: Run, output: str, around: int = 0, **derived: Any) -> transfer.Start:
    """The run's model as `build` has it, and the weights that it begins with.

    Those of ``config.pretrained.source`` where there is one, with a new head where it has another.
    """
    if not run.config.pretrained.source:
        module = build(run, output, around, **derived)
        return transfer.Start(module, lambda fresh: fresh, lambda x: x, lambda: None)
    context = run.data.train.context + around
    return encoders.create(run.config, run.data, context, {"output": output, **derived})


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
    if name and not {*DERIVED} <= {*models.settings(name)}:
        raise UserError(
            f"task {run.config.task.name!r} needs a model that reads whole texts, such as 'bert', "
            f"not {name!r}"
        )
    return build_model(
        run,
        {"vocab_size": size, "context": context + around, "output": output, **derived},
        at_least=("vocab_size", "context"),
        because=f"for a vocabulary of {size}, special tokens among them, and examples of "
        f"config.data.context={context} tokens{also}",
    )
