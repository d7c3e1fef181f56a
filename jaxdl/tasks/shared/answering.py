"""What tasks share that learn from answers to prompts: their model, its start, and what it says."""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from jaxdl import models
from jaxdl.errors import UserError
from jaxdl.losses import preference
from jaxdl.pretrained import encoders, transfer
from jaxdl.tasks.shared.checks import need_batches
from jaxdl.tasks.shared.contract import Run
from jaxdl.tasks.shared.model import build_model

# The model's fields that follow from the data and the task.
DERIVED = ("vocab_size", "context", "output")


def begin(run: Run, array: str, output: str = "tokens", more: int = 0) -> transfer.Start:
    """The run's model for its prompts and answers, and the weights that it begins with.

    Those of ``config.pretrained.source`` where there is one; what they do not have is drawn.

    Args:
      run: of data such as "preferences".
      array: that its batches must have.
      output: of the model, as of `jaxdl.models.gpt`.
      more: tokens that texts may have beyond the data's.

    Raises:
      UserError: other data, another kind of model, or weights of other tokens.
    """
    need_batches(run, array)
    task, train = run.config.task.name, run.data.train
    if not hasattr(train, "vocabulary"):
        raise UserError(
            f"task {task!r} learns from prompts and answers, such as data set 'preferences' has, "
            f"and not {run.config.data.name!r}"
        )
    context = train.context + more

    def check(found: Any) -> None:
        if not {*DERIVED} <= {*models.settings(found)} if isinstance(found, str) else not hasattr(
            found, "init_cache"
        ):
            raise UserError(
                f"task {task!r} needs a model of tokens that has a score too, such as 'gpt', not "
                f"{found if isinstance(found, str) else type(found).__name__!r}"
            )

    if run.config.pretrained.source:
        wanted = encoders.Wanted(
            train.vocabulary, context, "config.data.context", {"output": output}, check
        )
        return encoders.create(run.config, run.data, wanted)
    if run.config.model.name:
        check(run.config.model.name)
    module = build_model(
        run,
        {"vocab_size": train.vocabulary, "context": context, "output": output},
        at_least=("vocab_size", "context"),
        because=f"for {train.vocabulary} tokens and texts of {context}",
    )
    return transfer.fresh(module)


def initial(start: transfer.Start, key: jax.Array) -> Any:
    """The variables that a run begins with; free to jit."""
    return start.variables(start.module.init(key, jnp.zeros((1, 1), jnp.int32)))


def call_order(module: nn.Module, length: int) -> dict[str, int]:
    """As of `jaxdl.models.call_order`, of texts of ``length`` tokens."""
    return models.call_order(module, jax.ShapeDtypeStruct((1, length), jnp.int32))


def flat(x: jax.Array) -> jax.Array:
    """What is of pairs, (n, 2, …), of texts: (2 n, …)."""
    return x.reshape(-1, *x.shape[2:])


def log_probabilities(
    apply: Callable[[jax.Array], jax.Array], batch: Mapping, mean: bool
) -> jax.Array:
    """Log p (n, 2) of the answers to prompts, the chosen ones in front.

    Args:
      apply: tokens (2 n, T) -> logits (2 n, T, tokens). Padding stands behind, where nothing that
        counts sees it.
      batch: ``tokens`` and ``answer`` (n, 2, T + 1).
      mean: over an answer's tokens, in place of the sum.
    """
    tokens, answer = flat(batch["tokens"]), flat(batch["answer"])
    log_p = preference.token_log_probabilities(apply(tokens[:, :-1]), tokens[:, 1:])
    found = preference.sequence_log_probabilities(log_p, answer[:, 1:], mean=mean)
    return found.reshape(-1, 2)


def last(scores: jax.Array, mask: jax.Array) -> jax.Array:
    """What stands at the last token of each text that is none of padding: (n, T) -> (n,)."""
    place = mask.shape[1] - 1 - jnp.argmax(mask[:, ::-1], axis=1)
    return jnp.take_along_axis(scores, place[:, None], axis=1)[:, 0]


def example(run: Run, index: int) -> Mapping[str, np.ndarray]:
    """One of the evaluation part's."""
    return run.data.test.take(np.array([index]))
