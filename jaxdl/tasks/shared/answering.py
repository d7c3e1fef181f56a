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

# The logit of what is never said: its probability is 0, and 0 times its logarithm too.
_NEVER = -1e9


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


def check_data(run: Run, array: str) -> Any:
    """The part to learn from; UserError for one without ``array``, or of no prompts and answers."""
    need_batches(run, array)
    if not hasattr(run.data.train, "vocabulary"):
        raise UserError(
            f"task {run.config.task.name!r} learns from prompts and answers, such as data set "
            f"'preferences' has, and not {run.config.data.name!r}"
        )
    return run.data.train


def _refuse(task: str, model: Any) -> None:
    raise UserError(
        f"task {task!r} needs a language model that has a score too, such as 'gpt', not "
        f"{getattr(model, '__name__', model)!r}"
    )


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
      given: {``prompt``, ``prompt_mask``: (n, P)}, padding in front -> what `jaxdl.generate.sample`
        takes of them.
      end: the token that ends an answer as the model writes it; None: as the data have it.
      around: as of `jaxdl.tasks.shared.completing.Completer`.
      silent: tokens that no answer has: what is said is drawn from the others' probabilities.
    """

    asked: Callable[[Mapping], Asked]
    judged: Callable[[Mapping], Judged]
    given: Callable[[Mapping], dict[str, Any]] = completing.behind
    end: int | None = None
    around: int | None = None
    silent: tuple[int, ...] = ()

    def heard(self, logits: jax.Array) -> jax.Array:
        """Logits (…, tokens) of which those of ``silent`` are as good as -inf, and finite."""
        if not self.silent:
            return logits
        kept = np.ones(logits.shape[-1], bool)
        kept[list(self.silent)] = False
        return jnp.where(kept, logits, _NEVER)


def _asked(batch: Mapping) -> Asked:
    """Padding stands behind, where nothing that counts sees it."""
    tokens, answer = batch["tokens"], batch["answer"]
    return Asked((tokens[:, :-1],), tokens[:, 1:], answer[:, 1:])


def _judged(batch: Mapping) -> Judged:
    return Judged((batch["tokens"], batch["mask"]), batch["mask"])


def _asked_behind_padding(batch: Mapping) -> Asked:
    """Padding stands in front, and the mask says where."""
    tokens, mask, answer = (batch[name] for name in ("tokens", "mask", "answer"))
    return Asked((tokens[:, :-1], mask[:, :-1]), tokens[:, 1:], answer[:, 1:])


# Of language models: texts that are filled up behind, and answers to prompts as they are drawn.
END_TO_END = Reads(_asked, _judged)
IN_FRONT = Reads(_asked_behind_padding, _judged)


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
    return text_log_probabilities(apply, texts(batch), mean, reads).reshape(-1, 2)


def text_log_probabilities(
    apply: Callable[..., jax.Array], batch: Mapping, mean: bool, reads: Reads
) -> jax.Array:
    """Log p (n,) of the answers in texts {``tokens``, ``mask``, ``answer``: (n, T)}."""
    given = reads.asked(batch)
    logits = reads.heard(apply(*given.inputs))
    log_p = preference.token_log_probabilities(logits, given.target)
    return preference.sequence_log_probabilities(log_p, given.weight, mean=mean)


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
    module: nn.Module,
    variables: Any,
    batch: Mapping,
    key: jax.Array,
    tokens: int,
    end: int | None,
    reads: Reads = IN_FRONT,
) -> Written:
    """Answers to prompts, drawn from the model's own probabilities; free to jit.

    Args:
      module: that gives logits.
      variables: its own.
      batch: ``prompt`` and ``prompt_mask`` (n, P), filled up in front.
      key: of the draws.
      tokens: of an answer at most.
      end: the token that ends one in the data; None where all have as many.
      reads: how prompts go through the model.
    """
    stop = end if end is None or reads.end is None else reads.end
    made = generate.sample(
        module, variables, key=key, tokens=tokens, stop=stop, **reads.given(batch)
    )
    if end is None:
        return Written(made, jnp.ones(made.shape, bool))
    ends = (made == stop).astype(jnp.int32)
    made = jnp.where(made == stop, end, made)
    return Written(made, jnp.cumsum(ends, axis=1) - ends == 0)


def completer(
    run: Run,
    module: nn.Module,
    temperature: float,
    tokens: int = 0,
    reads: Reads = IN_FRONT,
    published: generate.Settings | None = None,
) -> completing.Completer:
    """Who answers prompts of the user's by what a state's ``learner`` has learned."""
    end = run.data.train.end
    return completing.Completer(
        module,
        operator.attrgetter("learner.best_variables"),
        run.data.tokenizer,
        end if end is None or reads.end is None else reads.end,
        completing.column(run),
        tokens,
        temperature,
        given=reads.given,
        around=reads.around,
        published=published or generate.Settings(),
        template=completing.template(run),
    )


def sample(module: nn.Module, reads: Reads, run: Run, state: Any, key: jax.Array) -> dict[str, str]:
    """`Task.sample`: what a state's ``learner`` answers to some prompts of the evaluation part."""
    split = run.data.test
    shown = split.take(evenly(len(split), _SHOWN))
    made = written(
        module, state.learner.best_variables, shown, key, split.context - split.prompt_length,
        split.end, reads,
    )  # fmt: skip
    lines = []
    rows = zip(shown["prompt"], shown["prompt_mask"], np.asarray(made.tokens),
               np.asarray(made.mask), strict=True)  # fmt: skip
    decode = lambda tokens: printable(run.data.tokenizer.decode(tokens[tokens != split.end]))
    for prompt, real, answer, counts in rows:
        lines.append(f"[{decode(prompt[real])}]\n{decode(answer[counts])}")
    return {"samples": "\n\n".join(lines)}
