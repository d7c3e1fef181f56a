"""How good an answer is: one number, learned from which of two was preferred."""

import functools
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from jaxdl.data import answered, asked, without_padding
from jaxdl.data.split import Arrays
from jaxdl.errors import note
from jaxdl.losses import preference
from jaxdl.metrics import HIGH, Mean, Metrics
from jaxdl.report import draw
from jaxdl.tasks import Description, Run, Task, check_at_least, learner, over_split, register
from jaxdl.tasks.shared import answering, completing, preferring
from jaxdl.tasks.shared.splits import EachFn
from jaxdl.tasks.shared.writing import rounded


@register("reward_model", groups=("model", "pretrained", "lora"), derives=answering.DERIVED)
def reward_model(run: Run, margin: float = 0.0, centring: float = 0.0) -> Task:
    """Rewards of ``tokens`` (batch, 2, T), prompts with two answers each, by the pairs' order.

    The reward of a text is the score at its last token, the last that ``mask`` (batch, 2, T) has.

    Args:
      run: the run's config and data. The model is called as `jaxdl.models.gpt` or `jaxdl.models.t5`
        with the output "score".
      margin: by how much the better answer's is to be higher, at least 0.
      centring: weight of the squared sum of the two, at least 0; .01 keeps rewards around 0.

    The metrics are ``loss`` (nats a pair, `jaxdl.losses.preference.reward`), ``accuracy``, the
    share of pairs whose better answer has the higher reward, of equal ones half, and ``gap``, the
    mean by which it is higher.
    """
    check_at_least(0, margin=margin, centring=centring)
    begin = preferring.begin(run, "answer", "score")
    module, reads = begin.module, begin.reads(run.data.train.prompt_length)
    how = functools.partial(preference.reward, margin=margin, centring=centring)
    loss_fn = functools.partial(training_loss, learner.forward(module), reads, how)
    order = functools.cache(begin.call_order)
    start, update = learner.by_config(run, loss_fn)
    each = jax.jit(lambda state, batch, key: rewards(module, state.best_variables, batch, reads))
    return Task(
        init=lambda key, batch: start(begin.initial(key), key),
        train_step=update,
        eval_step=functools.partial(evaluate, module, reads, how),
        artifacts=functools.partial(_artifacts, each, run.config.eval.batch_size),
        parameters=lambda state: learner.parameters(state.params, order()),
        answer=functools.partial(answer, run, begin),
        directions={"gap": HIGH},
        check=begin.start.check,
    )


def rewards(
    module: nn.Module,
    variables: Any,
    batch: Mapping,
    reads: answering.Reads = answering.END_TO_END,
) -> jax.Array:
    """Rewards (n, 2) float32 of pairs, the better answers' in front."""
    apply = functools.partial(module.apply, variables)
    return answering.rewards(apply, answering.texts(batch), reads).reshape(-1, 2)


def figures(how: Callable[..., jax.Array], found: jax.Array, weight: jax.Array) -> Metrics:
    """The metrics of rewards (n, 2), weighed by (n,)."""
    chosen, rejected = found[:, 0], found[:, 1]
    hits = jnp.where(chosen == rejected, 0.5, (chosen > rejected).astype(jnp.float32))
    return {
        "loss": Mean.of(how(chosen, rejected), weight),
        "accuracy": Mean.of(hits, weight),
        "gap": Mean.of(chosen - rejected, weight),
    }


def training_loss(
    forward: Callable[..., tuple[jax.Array, Any]],
    reads: answering.Reads,
    how: Callable[..., jax.Array],
    params: Any,
    model_state: Any,
    batch: Mapping,
    key: jax.Array,
) -> learner.Loss:
    """Nats a pair, of a pass of training.

    Args:
      forward: of `jaxdl.tasks.learner.forward`, of a model that gives scores.
      reads: how texts go through it.
      how: (chosen, rejected) -> losses (n,).
      params: the module's; so is model_state.
      model_state: its other collections.
      batch: of pairs.
      key: dropout's.
    """
    kept = [model_state]

    def scores(*inputs: jax.Array) -> jax.Array:
        found, kept[0] = forward(params, model_state, key, *inputs)
        return found

    made = answering.rewards(scores, answering.texts(batch), reads).reshape(-1, 2)
    found = figures(how, made, batch["weight"])
    return learner.Loss(found.pop("loss"), kept[0], found)


def evaluate(
    module: nn.Module,
    reads: answering.Reads,
    how: Callable[..., jax.Array],
    state: learner.Learner,
    batch: Mapping,
    key: jax.Array,
) -> Metrics:
    """The figures of a batch that may be padded; ``key`` draws nothing."""
    weight = without_padding(batch, batch["weight"])
    return figures(how, rewards(module, state.best_variables, batch, reads), weight)


def answer(
    run: Run, begin: preferring.Begin, state: learner.Learner, file: str, at_once: int
) -> list[Description]:
    """`Task.answer`: the reward of each answer in a table.

    Args:
      run: whose data say what texts are.
      begin: its model, and how texts go through it.
      state: the task's.
      file: with the columns of `jaxdl.data.asked.answers`.
      at_once: answers that are judged side by side, at most.
    """
    train = run.data.train
    vocabulary = answered.Vocabulary(train.vocabulary, train.end)
    column = completing.column(run)
    template = completing.template(run)
    given = asked.answers(file, column, run.data.tokenizer, vocabulary, train.room, template)
    if jax.process_index() == 0:
        for line in given.notes:
            note(line)
    length = rounded(int(given.texts.text.lengths.max()))
    every = np.arange(len(given.answers))
    split = Arrays(given.texts.padded(every, min(length, train.room)))
    reads, module = begin.reads(int(given.texts.front.max())), begin.module

    def each(state: learner.Learner, batch: Mapping, key: jax.Array) -> jax.Array:
        apply = functools.partial(module.apply, state.best_variables)
        return answering.rewards(apply, batch, reads)

    found = over_split(each, split, at_once, state)
    return [
        Description(
            f"{reward:.4f}  {said}",
            {asked.PROMPT: prompt, asked.COMPLETION: said, "reward": float(reward)},
        )
        for prompt, said, reward in zip(given.prompts, given.answers, found, strict=True)
    ]


def _artifacts(
    each: EachFn, batch_size: int, state: learner.Learner, split: Any, key: jax.Array
) -> dict[str, draw.Picture]:
    found = over_split(each, split, batch_size, state)

    def paint(axes):
        edges = np.histogram_bin_edges(found, 30)
        for i, name in enumerate(("preferred", "not")):
            axes.hist(found[:, i], edges, histtype="step", label=name)
        axes.set_xlabel("reward")
        axes.legend(fontsize=7)

    caption = "The answers of the evaluation part, by what was preferred and what was not."
    return {"Rewards": draw.figure(4.5, 2.2, paint, caption=caption)}
