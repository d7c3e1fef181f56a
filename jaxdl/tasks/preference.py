"""A language model learns which of two answers is the better, without a reward: DPO and its kin."""

import functools
import operator
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import linen as nn

from jaxdl import generate
from jaxdl.data import without_padding
from jaxdl.errors import UserError
from jaxdl.losses import preference as losses
from jaxdl.metrics import HIGH, LOW, Mean, Metrics
from jaxdl.per_member import any_on
from jaxdl.registry import choose
from jaxdl.tasks import Run, Task, check_above, check_smoothing, learner, register
from jaxdl.tasks.shared import answering, preferring, worlds


class State(NamedTuple):
    """The policy that learns, and the one that it began as.

    Attributes:
      learner: the policy's.
      reference: its variables at the start, which stay as they are.
    """

    learner: learner.Learner
    reference: Any


@register(
    "preference",
    groups=("model", "pretrained", "lora"),
    derives=answering.DERIVED,
    asks=("temperature",),
)
def preference(
    run: Run,
    loss: str = "dpo",
    beta: float = 0.1,
    label_smoothing: float = 0.0,
    log_p: str = "",
    temperature: float = 1.0,
) -> Task:
    """Answers as those of ``tokens`` (batch, 2, T) that were preferred, near what was said before.

    Args:
      run: the run's config and data. The model is called as `jaxdl.models.gpt` or
        `jaxdl.models.t5`.
      loss: "dpo", "ipo" or "hinge", of `jaxdl.losses.preference`.
      beta: above 0: how dear it is to leave the reference, in rewards a nat of KL divergence.
      label_smoothing: of "dpo", the share of preferences that are taken to be the wrong way round,
        in [0, ½): conservative DPO.
      log_p: of an answer: the "sum" of its tokens' or their "mean"; "" is "mean" for "ipo", else
        "sum".
      temperature: of the answers of `--mode=predict`; 0 is the likeliest token each time.

    The metrics are ``loss``, ``accuracy``, the share of pairs whose preferred answer became
    likelier by more, of equal ones half, and by how much answers did, times β: ``chosen_reward``,
    ``rejected_reward`` and their difference ``gap``. Where the best policy is known, as of the
    small world, also what `jaxdl.tasks.shared.worlds.figures` has.
    """
    kind = choose("config.task.loss", loss, losses.DIRECT)
    _check(loss, beta, label_smoothing, log_p)
    generate.check_sampling(temperature, 0, 1.0, "config.task.")
    if any_on(label_smoothing):
        kind = kind._replace(loss=functools.partial(losses.dpo, label_smoothing=label_smoothing))
    if log_p:
        kind = kind._replace(mean=log_p == "mean")
    begin = preferring.begin(run, "answer", "tokens", temperature)
    module, reads = begin.module, begin.reads(run.data.train.prompt_length)
    loss_fn = functools.partial(training_loss, learner.forward(module), module, reads, kind, beta)
    updates = functools.partial(learner.by_config, run)
    order = functools.cache(begin.call_order)
    return Task(
        init=functools.partial(_init, begin, updates(loss_fn)[0]),
        train_step=functools.partial(
            learner.step_beside, updates, loss_fn, operator.attrgetter("reference")
        ),
        eval_step=functools.partial(evaluate, module, reads, kind, beta),
        score=functools.partial(worlds.score, module, reads, beta),
        artifacts=functools.partial(worlds.artifacts, module, reads, beta),
        **begin.uses,
        parameters=lambda state: learner.parameters(state.learner.params, order()),
        directions={
            "gap": HIGH,
            "chosen_reward": HIGH,
            "rejected_reward": LOW,
            **worlds.DIRECTIONS,
        },
        check=begin.start.check,
    )


def figures(
    kind: losses.Direct, beta: Any, policy: jax.Array, reference: jax.Array, weight: jax.Array
) -> Metrics:
    """The metrics of answers' log p (n, 2), weighed by (n,)."""
    gap = losses.difference(policy, reference)
    rewards = beta * (policy - reference)
    hits = jnp.where(gap == 0, 0.5, (gap > 0).astype(jnp.float32))
    return {
        "loss": Mean.of(kind.loss(gap, beta), weight),
        "accuracy": Mean.of(hits, weight),
        "gap": Mean.of(beta * gap, weight),
        "chosen_reward": Mean.of(rewards[:, 0], weight),
        "rejected_reward": Mean.of(rewards[:, 1], weight),
    }


def training_loss(
    forward: Callable[..., tuple[jax.Array, Any]],
    module: nn.Module,
    reads: answering.Reads,
    kind: losses.Direct,
    beta: Any,
    reference: Any,
    params: Any,
    model_state: Any,
    batch: Mapping,
    key: jax.Array,
) -> learner.Loss:
    """What is minimised of pairs of answers.

    Args:
      forward: of `jaxdl.tasks.learner.forward`.
      module: the same without dropout, for the reference.
      reads: how texts go through both.
      kind: the loss, and what it is of.
      beta: its number.
      reference: variables.
      params: the policy's; so is model_state.
      model_state: its other collections.
      batch: of pairs.
      key: dropout's.
    """
    kept = [model_state]

    def policy(*inputs: jax.Array) -> jax.Array:
        logits, kept[0] = forward(params, model_state, key, *inputs)
        return logits

    own = answering.log_probabilities(policy, batch, kind.mean, reads)
    before = log_probabilities(module, reference, batch, kind.mean, reads)
    found = figures(kind, beta, own, jax.lax.stop_gradient(before), batch["weight"])
    return learner.Loss(found.pop("loss"), kept[0], found)


def log_probabilities(
    module: nn.Module,
    variables: Any,
    batch: Mapping,
    mean: bool,
    reads: answering.Reads = answering.END_TO_END,
) -> jax.Array:
    """Log p (n, 2) of the answers, without dropout."""
    apply = functools.partial(module.apply, variables)
    return answering.log_probabilities(apply, batch, mean, reads)


def evaluate(
    module: nn.Module,
    reads: answering.Reads,
    kind: losses.Direct,
    beta: Any,
    state: State,
    batch: Mapping,
    key: jax.Array,
) -> Metrics:
    """The figures of a batch that may be padded; ``key`` draws nothing."""
    policy, reference = (
        log_probabilities(module, variables, batch, kind.mean, reads)
        for variables in (state.learner.best_variables, state.reference)
    )
    return figures(kind, beta, policy, reference, without_padding(batch, batch["weight"]))


def _init(
    begin: preferring.Begin, start: Callable[..., learner.Learner], key: jax.Array, batch: Mapping
) -> State:
    variables = begin.initial(key)
    return State(start(variables, key), jax.tree.map(jnp.copy, variables))


def _check(loss: str, beta: float, label_smoothing: float, log_p: str) -> None:
    check_above(0, beta=beta)
    check_smoothing(label_smoothing)
    if not label_smoothing < 0.5:
        raise UserError(
            f"config.task.label_smoothing={label_smoothing} must be below .5: else what was not "
            "preferred would be learned"
        )
    if loss != "dpo" and any_on(label_smoothing):
        raise UserError(
            f"config.task.label_smoothing={label_smoothing}: only of config.task.loss='dpo', and "
            f"it is {loss!r}"
        )
    if log_p not in ("", "sum", "mean"):
        raise UserError(f"config.task.log_p={log_p!r} must be 'sum' or 'mean', or ''")
