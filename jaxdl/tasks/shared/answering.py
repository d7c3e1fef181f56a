"""What tasks share that learn from answers to prompts: their model, its start, and what it says."""

import operator
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from jaxdl import generate, models
from jaxdl.data.spread import evenly
from jaxdl.errors import UserError
from jaxdl.generate import decoding
from jaxdl.losses import preference
from jaxdl.pretrained import encoders, transfer
from jaxdl.tasks.shared import completing
from jaxdl.tasks.shared.checks import need_batches
from jaxdl.tasks.shared.contract import Run
from jaxdl.tasks.shared.model import build_model
from jaxdl.tasks.shared.texts import printable

# The model's fields that follow from the data and the task.
DERIVED = ("vocab_size", "context", "output")

# Prompts that samples are drawn for.
_SHOWN = 4


def begin(run: Run, array: str, output: str = "tokens", tokens: int = 0) -> transfer.Start:
    """The run's model for its prompts and answers, and the weights that it begins with.

    Those of ``config.pretrained.source`` where there is one; what they do not have is drawn.

    Args:
      run: of data such as "preferences".
      array: that its batches must have.
      output: of the model, as of `jaxdl.models.gpt`.
      tokens: that there is to be room for behind the longest prompt; 0 is as the data have it.

    Raises:
      UserError: other data, another kind of model, or weights of other tokens.
    """
    check_data(run, array)
    task, train = run.config.task.name, run.data.train
    context = max(train.room, train.prompt_length + tokens)

    name = run.config.model.name
    if name and not (
        {*DERIVED, "heads"} <= {*models.settings(name)} and _is_writer(models.create(name))
    ):
        _refuse(task, name)
    if run.config.pretrained.source:
        check = lambda found: None if _is_writer(found) else _refuse(task, type(found))
        wanted = encoders.Wanted(
            train.vocabulary, context, "config.data.context", {"output": output}, check
        )
        return encoders.create(run.config, run.data, wanted)
    module = build_model(
        run,
        {"vocab_size": train.vocabulary, "context": context, "output": output},
        at_least=("vocab_size", "context"),
        because=f"for {train.vocabulary} tokens and texts of {context}",
    )
    return transfer.fresh(module)


def _is_writer(module: nn.Module) -> bool:
    """Whether it goes on from prompts, with a cache."""
    return hasattr(module, "init_cache") and not decoding.reads_source(module)


def check_data(run: Run, array: str) -> None:
    """Raises UserError for data without ``array``, or that are no prompts with answers."""
    need_batches(run, array)
    if not hasattr(run.data.train, "vocabulary"):
        raise UserError(
            f"task {run.config.task.name!r} learns from prompts and answers, such as data set "
            f"'preferences' has, and not {run.config.data.name!r}"
        )


def longest(run: Run, tokens: int) -> int:
    """Tokens of the longest prompt with an answer of ``tokens``; 0 is as many as the data have."""
    train = run.data.train
    return train.prompt_length + tokens if tokens else train.context


def _refuse(task: str, model: Any) -> None:
    raise UserError(
        f"task {task!r} needs a language model that has a score too, such as 'gpt', not "
        f"{getattr(model, '__name__', model)!r}"
    )


def initial(start: transfer.Start, key: jax.Array) -> Any:
    """The variables that a run begins with; free to jit."""
    return start.variables(start.module.init(key, jnp.zeros((1, 1), jnp.int32)))


def call_order(module: nn.Module, length: int) -> dict[str, int]:
    """As of `jaxdl.models.call_order`, of texts of ``length`` tokens."""
    return models.call_order(module, jax.ShapeDtypeStruct((1, length), jnp.int32))


def flat(x: jax.Array) -> jax.Array:
    """What is of pairs, (n, 2, …), of texts: (2 n, …)."""
    return x.reshape(-1, *x.shape[2:])


class Asked(NamedTuple):
    """Texts as a model takes them to say how likely their answers are.

    Attributes:
      inputs: of the model, that gives logits (n, T, tokens).
      target: (n, T), what stands where the logits are of.
      weight: (n, T), 1 for the tokens of answers.
    """

    inputs: tuple[jax.Array, ...]
    target: jax.Array
    weight: jax.Array


class Judged(NamedTuple):
    """Texts as a model takes them to say how good they are.

    Attributes:
      inputs: of the model, that gives scores (n, T).
      mask: (n, T), False in padding: the last that is none is a text's.
    """

    inputs: tuple[jax.Array, ...]
    mask: jax.Array


class Reads(NamedTuple):
    """How texts of a prompt and an answer go through a model.

    Attributes:
      asked: {``tokens``, ``mask``, ``answer``: (n, T)} -> `Asked`.
      judged: the same -> `Judged`.
    """

    asked: Callable[[Mapping], Asked]
    judged: Callable[[Mapping], Judged]


def _asked(batch: Mapping) -> Asked:
    """Padding stands behind, where nothing that counts sees it."""
    tokens, answer = batch["tokens"], batch["answer"]
    return Asked((tokens[:, :-1],), tokens[:, 1:], answer[:, 1:])


def _judged(batch: Mapping) -> Judged:
    return Judged((batch["tokens"], batch["mask"]), batch["mask"])


# Of language models.
END_TO_END = Reads(_asked, _judged)


def texts(batch: Mapping) -> dict[str, jax.Array]:
    """The texts of pairs (n, 2, T): (2 n, T)."""
    return {name: flat(batch[name]) for name in ("tokens", "mask", "answer")}


def log_probabilities(
    apply: Callable[..., jax.Array], batch: Mapping, mean: bool, reads: Reads = END_TO_END
) -> jax.Array:
    """Log p (n, 2) of the answers to prompts, the chosen ones in front.

    Args:
      apply: of the inputs that ``reads`` makes -> logits.
      batch: of pairs, (n, 2, T).
      mean: over an answer's tokens, in place of the sum.
      reads: how texts go through the model.
    """
    given = reads.asked(texts(batch))
    log_p = preference.token_log_probabilities(apply(*given.inputs), given.target)
    found = preference.sequence_log_probabilities(log_p, given.weight, mean=mean)
    return found.reshape(-1, 2)


def rewards(apply: Callable[..., jax.Array], batch: Mapping, reads: Reads) -> jax.Array:
    """Rewards (n,) float32 of texts {``tokens``, ``mask``, ``answer``: (n, T)}."""
    given = reads.judged(batch)
    return last(apply(*given.inputs), given.mask)


def last(scores: jax.Array, mask: jax.Array) -> jax.Array:
    """What stands at the last token of each text that is none of padding: (n, T) -> (n,)."""
    place = mask.shape[1] - 1 - jnp.argmax(mask[:, ::-1], axis=1)
    return jnp.take_along_axis(scores, place[:, None], axis=1)[:, 0]


class Written(NamedTuple):
    """Answers that were drawn.

    Attributes:
      tokens: (n, T) int32; behind the end anything.
      mask: (n, T) bool, True up to the end token and at it.
    """

    tokens: jax.Array
    mask: jax.Array


def written(
    module: nn.Module, variables: Any, batch: Mapping, key: jax.Array, tokens: int, end: int | None
) -> Written:
    """Answers to prompts, drawn from the model's own probabilities; free to jit.

    Args:
      module: a language model.
      variables: its own.
      batch: ``prompt`` and ``prompt_mask`` (n, P), filled up in front.
      key: of the draws.
      tokens: of an answer at most.
      end: the token that ends one; None where all have as many.
    """
    made = generate.sample(
        module, variables, batch["prompt"], key, tokens=tokens, stop=end,
        prompt_mask=batch["prompt_mask"],
    )  # fmt: skip
    ends = jnp.zeros(made.shape, jnp.int32) if end is None else (made == end).astype(jnp.int32)
    return Written(made, jnp.cumsum(ends, axis=1) - ends == 0)


def completer(
    run: Run, module: nn.Module, temperature: float, tokens: int = 0
) -> completing.Completer:
    """Who answers prompts of the user's by what a state's ``learner`` has learned."""
    return completing.Completer(
        module,
        operator.attrgetter("learner.best_variables"),
        run.data.tokenizer,
        run.data.train.end,
        completing.column(run),
        tokens,
        temperature,
    )


def sample(module: nn.Module, run: Run, state: Any, key: jax.Array) -> dict[str, str]:
    """`Task.sample`: what a state's ``learner`` answers to some prompts of the evaluation part."""
    split = run.data.test
    shown = split.take(evenly(len(split), _SHOWN))
    made = written(
        module, state.learner.best_variables, shown, key, split.context - split.prompt_length,
        split.end,
    )  # fmt: skip
    lines = []
    rows = zip(shown["prompt"], shown["prompt_mask"], np.asarray(made.tokens),
               np.asarray(made.mask), strict=True)  # fmt: skip
    decode = lambda tokens: printable(run.data.tokenizer.decode(tokens[tokens != split.end]))
    for prompt, real, answer, counts in rows:
        lines.append(f"[{decode(prompt[real])}]\n{decode(answer[counts])}")
    return {"samples": "\n\n".join(lines)}
