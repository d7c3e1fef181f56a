"""Questions to pieces of a text: where in it the answer begins, and where it ends."""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from jaxdl import models, ops
from jaxdl.data import Data, rows, without_padding
from jaxdl.data.questions import Question, Questions, Reader, Window
from jaxdl.metrics import HIGH, Mean, Metrics, spans
from jaxdl.report import draw
from jaxdl.tasks import (
    Description,
    Run,
    Task,
    check_counts,
    learner,
    need_batches,
    over_split,
    register,
)
from jaxdl.tasks.shared import text_encoder
from jaxdl.tasks.shared.splits import EachFn

# What stands for a place that nothing can be at: far below any logit, and finite.
_NEVER = -1e9

# Questions that the report shows, and letters of a text around the answer.
_SHOWN, _AROUND = 24, 60


class Best(NamedTuple):
    """What is said of each window, (batch,) each.

    Attributes:
      score: the logits of the best span's ends, added.
      first: its first token.
      last: its last one.
      nowhere: the logits of [CLS] as both ends, added: that there is no answer.
    """

    score: jax.Array
    first: jax.Array
    last: jax.Array
    nowhere: jax.Array


@register(
    "question_answering",
    groups=("model", "pretrained"),
    derives=text_encoder.DERIVED,
    any_length=True,
)
def question_answering(run: Run, longest: int = 30) -> Task:
    """Where in a text the answer to a question stands, in ``tokens`` (batch, T) that have both.

    Args:
      run: the run's config and data, questions such as of data set "squad". The model is called as
        `jaxdl.models.bert.BERT` is with output "span".
      longest: tokens of an answer that is given, at most.

    The metrics are ``loss``, the mean of the cross-entropies of the answer's first and last token
    (nats a window), and ``accuracy``, of windows whose likeliest ends are both right. `score` gives
    ``exact_match`` and ``f1`` over all questions of the evaluation part (`jaxdl.metrics.spans`),
    and where some of them have no answer also ``exact_match_answerable``, ``f1_answerable`` and
    ``accuracy_unanswerable``. The answer is the span of the text with the largest sum of logits in
    any of its windows; where questions without an answer were learned from, it is none if [CLS] has
    more in every window.
    """
    need_batches(run, "allowed")
    check_counts(longest=longest)
    begin = text_encoder.start(run, "span")
    module = begin.module
    start, update = learner.by_config(
        run, functools.partial(training_loss, learner.forward(module))
    )
    logits = functools.partial(_logits, module)
    each = jax.jit(lambda state, batch, key: best(logits(state, batch), batch["allowed"], longest))
    always = run.data.train.answerable
    said = functools.partial(_said, each, run.config.eval.batch_size, always)
    seen = jax.ShapeDtypeStruct((1, run.data.train.context), jnp.int32)
    names = ("exact_match", "f1", "exact_match_answerable", "f1_answerable")
    return Task(
        init=functools.partial(_init, module, lambda fresh: start(begin.variables(fresh))),
        train_step=update,
        eval_step=functools.partial(evaluate, logits),
        score=functools.partial(_score, said),
        artifacts=functools.partial(_artifacts, said),
        parameters=lambda state: learner.parameters(state.params, models.call_order(module, seen)),
        answer=functools.partial(_answer, each, run.data),
        check=begin.check,
        directions=dict.fromkeys((*names, "accuracy_unanswerable"), HIGH),
    )


def ends(logits: jax.Array, batch: Mapping) -> tuple[jax.Array, jax.Array]:
    """Nats and hits, (batch,) each, of logits (batch, T, 2) of where answers begin and end."""
    logits = jnp.where(batch["mask"][..., None], logits, _NEVER)
    wanted = jnp.stack([batch["start"], batch["end"]], axis=-1)
    nats = ops.cross_entropy(logits.swapaxes(1, 2), wanted).mean(-1)
    return nats, (logits.argmax(1) == wanted).all(-1)


def best(logits: jax.Array, allowed: jax.Array, longest: int) -> Best:
    """The likeliest span of each window: its end not before its begin, and not too far behind it.

    Args:
      logits: (batch, T, 2).
      allowed: (batch, T) bool: the tokens that it may be of.
      longest: tokens, at most.
    """
    begin, end = (jnp.where(allowed, logits[..., i], _NEVER) for i in range(2))
    T = begin.shape[1]
    padded = jnp.pad(end, ((0, 0), (0, longest - 1)), constant_values=_NEVER)

    def further(found: tuple[jax.Array, jax.Array], more: jax.Array):
        score, length = found
        candidate = begin + jax.lax.dynamic_slice_in_dim(padded, more, T, axis=1)
        better = candidate > score
        return (jnp.where(better, candidate, score), jnp.where(better, more, length)), ()

    nothing = (begin + end, jnp.zeros(begin.shape, jnp.int32))
    score, length = jax.lax.scan(further, nothing, jnp.arange(1, longest))[0]
    first = score.argmax(1)
    at = lambda x: jnp.take_along_axis(x, first[:, None], axis=1)[:, 0]
    nowhere = logits[:, 0].sum(-1)
    return Best(at(score), first, first + at(length), nowhere)


def training_loss(
    forward: Callable[..., tuple[jax.Array, Any]],
    params: Any,
    model_state: Any,
    batch: Mapping,
    key: jax.Array,
) -> learner.Loss:
    """Nats a window, and ``accuracy``, of a pass of training; ``key`` is dropout's."""
    inputs = batch["tokens"], batch["segments"], batch["mask"]
    logits, model_state = forward(params, model_state, key, *inputs)
    nats, hits = ends(logits, batch)
    weight = without_padding(batch)
    return learner.Loss(Mean.of(nats, weight), model_state, {"accuracy": Mean.of(hits, weight)})


def evaluate(
    logits: Callable[[learner.Learner, Mapping], jax.Array],
    state: learner.Learner,
    batch: Mapping,
    key: jax.Array,
) -> Metrics:
    """``loss`` and ``accuracy`` of a batch that may be padded; ``key`` draws nothing."""
    nats, hits = ends(logits(state, batch), batch)
    weight = without_padding(batch)
    return {"loss": Mean.of(nats, weight), "accuracy": Mean.of(hits, weight)}


def _init(
    module: nn.Module, start: Callable[[Mapping], learner.Learner], key: jax.Array, batch: Mapping
) -> learner.Learner:
    return start(module.init(key, batch["tokens"][:1], batch["segments"][:1]))


def _logits(module: nn.Module, state: learner.Learner, batch: Mapping) -> jax.Array:
    inputs = batch["tokens"], batch["segments"], batch["mask"]
    return module.apply(state.best_variables, *inputs)


def answer(found: Best, windows: Sequence[Window], context: str, always: bool) -> str:
    """The answer to a question by what was said of all windows of its text, (windows,) each.

    Args:
      found: on the host.
      windows: those.
      context: the text.
      always: whether there has to be one; "" is none.
    """
    i = int(np.argmax(found.score))
    if found.score[i] <= _NEVER / 2 or (not always and min(found.nowhere) > found.score[i]):
        return ""
    return windows[i].text(context, int(found.first[i]), int(found.last[i]))


def _said(
    each: EachFn, batch_size: int, always: bool, state: learner.Learner, split: Any
) -> list[str]:
    """The answers to a split's questions, in order."""
    found = over_split(each, split, batch_size, state)
    rows = np.split(np.arange(len(split)), np.flatnonzero(np.diff(split.owner)) + 1)
    made = []
    for question, own in zip(split.questions, rows, strict=True):
        windows = [split.windows[i] for i in own]
        made.append(answer(Best(*(x[own] for x in found)), windows, question.context, always))
    return made


def _answer(
    each: EachFn, data: Data, state: learner.Learner, file: str, at_once: int
) -> list[Description]:
    """Of each row its ``question``, answered from its ``context``; rows may have an ``id``."""
    found, like = rows.read(file, ("question", "context"), ("id",)), data.train
    asked = [Question(row.text("question"), row.text("context"), (), row.where) for row in found]
    reader = Reader(data.tokenizer, like.context, like.stride, like.question)
    answers = _said(each, at_once, like.answerable, state, Questions(asked, reader))
    made = []
    for row, question, said in zip(found, asked, answers, strict=True):
        record = {"question": question.question, "answer": said}
        own = {"id": row.cells["id"]} if "id" in row.cells else {}
        made.append(Description(said or "(no answer)", {**own, **record}))
    return made


def _score(
    said: Callable[[learner.Learner, Any], list[str]],
    state: learner.Learner,
    split: Any,
    key: jax.Array,
) -> dict[str, float]:
    right = [[a.text for a in question.answers] for question in split.questions]
    pairs = [*zip(said(state, split), right, strict=True)]
    exact = np.array([spans.exact_match(*pair) for pair in pairs])
    f1 = np.array([spans.f1(*pair) for pair in pairs])
    figures = {"exact_match": exact.mean(), "f1": f1.mean()}
    there = np.array([bool(answers) for answers in right])
    if not there.all():
        figures["accuracy_unanswerable"] = exact[~there].mean()
        if there.any():
            figures["exact_match_answerable"] = exact[there].mean()
            figures["f1_answerable"] = f1[there].mean()
    return {name: float(value) for name, value in figures.items()}


def _artifacts(
    said: Callable[[learner.Learner, Any], list[str]],
    state: learner.Learner,
    split: Any,
    key: jax.Array,
) -> dict[str, Any]:
    found = said(state, split)
    right = [[a.text for a in question.answers] for question in split.questions]
    f1 = np.array([spans.f1(*pair) for pair in zip(found, right, strict=True)])
    shown = np.argsort(f1, kind="stable")[:_SHOWN]
    lines = []
    for i in shown:
        question = split.questions[i]
        lines.append(("question", [(_cut(question.question), 0.0)]))
        lines.append(("true", _around(question)))
        lines.append(("said", [(_cut(found[i]) or "(no answer)", 3.0 * (1 - float(f1[i])))]))
    caption = (
        f"The {len(shown)} of {len(f1)} questions that were answered worst: the answer in its "
        "text, and what was said, the darker the more is wrong."
    )
    return {"Answered worst": draw.coloured_text(lines, caption)}


def _around(question: Any) -> list[tuple[str, float]]:
    """The answer in grey, with the text around it."""
    if not question.answers:
        return [("(no answer)", 1.0)]
    text, start = question.answers[0]
    stop = start + len(text)
    before = question.context[max(0, start - _AROUND) : start]
    return [(before, 0.0), (_cut(text), 1.0), (question.context[stop : stop + _AROUND], 0.0)]


def _cut(text: str) -> str:
    return text if len(text) <= 2 * _AROUND else text[: 2 * _AROUND] + "…"
