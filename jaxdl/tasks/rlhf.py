"""A language model learns from rewards of what it says: PPO on answers that it draws.

Ziegler et al., 2019, "Fine-Tuning Language Models from Human Preferences", section 2; Ouyang et
al., 2022, section 3.5. Each update draws an answer to every prompt of its batch, has it judged, and
takes several passes of PPO over the tokens. A token's reward is what it lost in staying near the
reference π₀, -β (log π - log π₀); the last one's also that of the answer.
"""

import functools
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxdl import generate, keys
from jaxdl.control.returns import gae
from jaxdl.data import without_padding
from jaxdl.data.tokens import Tokenizer
from jaxdl.errors import UserError
from jaxdl.metrics import HIGH, LOW, Mean, Metrics
from jaxdl.parallel import replicas
from jaxdl.pretrained import judges_of_texts
from jaxdl.tasks import (
    Run,
    Task,
    check_above,
    check_at_least,
    check_counts,
    check_shares,
    learner,
    register,
)
from jaxdl.tasks.ppo import clipped, clipped_value_loss
from jaxdl.tasks.shared import answering, preferring, speaking, worlds
from jaxdl.tasks.shared.texts import printable

_DIRECTIONS = {"reward": HIGH, "kl": LOW, "objective": HIGH, **worlds.DIRECTIONS}


class State(NamedTuple):
    """All that training has to keep.

    Attributes:
      learner: of the policy and its value.
      reference: the policy's variables at the start, which stay as they are.
      judge: the reward model's variables; {} where the data have rewards.
      beta: β, float32.
    """

    learner: learner.Learner
    reference: Any
    judge: Any
    beta: jax.Array


@register(
    "rlhf",
    groups=("model", "pretrained", "lora"),
    derives=answering.DERIVED,
    asks=("temperature",),
)
def rlhf(
    run: Run,
    reward: str = "",
    beta: float = 0.1,
    kl_target: float = 0.0,
    tokens: int = 0,
    answers: int = 1,
    minibatches: int = 1,
    epochs: int = 4,
    discount: float = 1.0,
    gae_lambda: float = 0.95,
    clip_ratio: float = 0.2,
    value_clip: float = 0.2,
    value_weight: float = 0.1,
    entropy: float = 0.0,
    whiten: bool = True,
    temperature: float = 1.0,
) -> Task:
    """Answers to ``prompt`` (batch, P) that have more reward, near what was said before.

    Args:
      run: the run's config and data. The model is called as `jaxdl.models.gpt` or `jaxdl.models.t5`
        with the output "both", the score being the value: an encoder reads a prompt once, and the
        decoder draws the answer, from the probabilities of the tokens that answers have.
      reward: the folder of a run of task "reward_model"; "" where the data have rewards.
      beta: above 0: what a nat of KL divergence from the reference costs, in rewards.
      kl_target: nats an answer that β is moved to keep to (Ziegler et al., section 2.2); 0 leaves
        β as it is.
      tokens: of an answer at most; 0 is as many as the data's texts have room for.
      answers: that are drawn to each prompt in an update.
      minibatches: parts that a batch is cut into; divides it.
      epochs: passes over them. An update of the run is epochs x minibatches of the optimizer, which
        are what the learning rate's schedule counts.
      discount: γ, in [0, 1].
      gae_lambda: λ of the advantages, in [0, 1].
      clip_ratio: how far the ratio of new to old probability may leave 1 and still be rewarded.
      value_clip: how far a value may move from its old one; 0 is off.
      value_weight: weight of the value's loss.
      entropy: weight of the policy's entropy, in nats, which is maximised.
      whiten: the advantages of a batch's tokens, to mean 0 and deviation 1.
      temperature: of the answers of `--mode=predict`; 0 is the likeliest token each time. Those
        that are learned from are drawn as the model says.

    The metrics are PPO's, and of the answers that were drawn ``reward``, ``kl`` (nats an answer, of
    the policy from the reference), ``objective``, the one less β times the other, and
    ``answer_length``; evaluation draws answers of its own. Where the best policy is known, as of
    the small world, also what `jaxdl.tasks.shared.worlds.figures` has.
    """
    _check(run, beta, minibatches, clip_ratio)
    check_counts(epochs=epochs, answers=answers)
    check_shares(discount=discount, gae_lambda=gae_lambda)
    check_at_least(0, kl_target=kl_target, tokens=tokens, value_clip=value_clip,
                   value_weight=value_weight, entropy=entropy)  # fmt: skip
    generate.check_sampling(temperature, 0, 1.0, "config.task.")
    train = answering.check_data(run, "prompt")
    tokens = tokens or train.context - train.prompt_length
    begin = preferring.begin(run, "prompt", "both", temperature, tokens)
    judged = functools.partial(speaking.judged, run)
    judge = judges_of_texts.create(run, reward, judged, train.prompt_length, tokens)
    speaker = speaking.Speaker(
        begin.module, begin.module.clone(output="tokens"), train.prompt_length, tokens, train.end,
        judge.score, begin.speaks,
    )  # fmt: skip
    loss_fn = functools.partial(
        training_loss, speaker, clip_ratio, value_clip, value_weight, entropy
    )
    start, update = learner.by_config(run, loss_fn, updates=epochs * minibatches)
    see = functools.partial(
        examples, speaker, discount=discount, gae_lambda=gae_lambda, whiten=whiten
    )
    learn = functools.partial(learning, update, epochs, minibatches)
    order = functools.cache(begin.call_order)
    known = speaker.says, speaker.reads
    return Task(
        init=functools.partial(_init, begin, start, judge, beta),
        train_step=functools.partial(train_step, speaker, see, learn, kl_target, answers),
        eval_step=functools.partial(evaluate, speaker),
        score=lambda state, *rest: worlds.score(*known, state.beta, state, *rest),
        artifacts=lambda state, *rest: worlds.artifacts(*known, state.beta, state, *rest),
        **begin.uses,
        parameters=lambda state: learner.parameters(state.learner.params, order()),
        explain=functools.partial(explain, speaker, answers, run.data.tokenizer),
        directions=_DIRECTIONS,
        check=begin.start.check,
    )


def examples(
    speaker: speaking.Speaker,
    state: State,
    drawn: speaking.Drawn,
    *,
    discount: float,
    gae_lambda: float,
    whiten: bool,
) -> tuple[dict[str, jax.Array], Metrics]:
    """What is learned from, (n, …), and the figures of the answers."""
    log_p, value, _ = speaker.think(state.learner.variables, drawn.text, drawn.mask)
    counts = drawn.mask[:, speaker.front :]
    weight = counts.astype(jnp.float32)
    value = value * weight
    dear = (log_p - speaker.reference(state.reference, drawn.text, drawn.mask)) * weight
    is_last = counts & ~jnp.pad(counts[:, 1:], ((0, 0), (0, 1)))
    rewards = jnp.where(is_last, drawn.reward[:, None], 0.0) - state.beta * dear
    following = jnp.pad(value[:, 1:], ((0, 0), (0, 1)))
    by_time = [x.T for x in (rewards, value, following, is_last, jnp.zeros_like(is_last))]
    advantage, target = (x.T for x in gae(*by_time, discount, gae_lambda))
    if whiten:
        advantage = speaking.whitened(advantage, weight)
    found = dict(text=drawn.text, mask=drawn.mask, log_prob=log_p, value=value,
                 advantage=advantage, target=target)  # fmt: skip
    return found, figures(drawn.reward, dear.sum(axis=1), weight.sum(axis=1), state.beta, None)


def figures(
    reward: jax.Array, kl: jax.Array, length: jax.Array, beta: jax.Array, weight: jax.Array | None
) -> Metrics:
    """The metrics of answers, (n,) each, weighed by (n,)."""
    found = dict(reward=reward, kl=kl, objective=reward - beta * kl, answer_length=length)
    return {name: Mean.of(x, weight) for name, x in found.items()}


def training_loss(
    speaker: speaking.Speaker,
    clip_ratio: float,
    value_clip: float,
    value_weight: float,
    entropy: float,
    params: Any,
    model_state: Any,
    batch: Mapping,
    key: jax.Array,
) -> learner.Loss:
    """PPO's clipped objective, a mean over the tokens of answers.

    Args:
      speaker: who learns.
      clip_ratio: as of `rlhf`; so are value_clip, value_weight and entropy.
      value_clip: 0 is off.
      value_weight: of the value's loss.
      entropy: weight of the policy's.
      params: the network's; so is model_state.
      model_state: its other collections.
      batch: part of `examples`.
      key: draws nothing: what was said without dropout is learned without.
    """
    variables = {"params": params, **model_state}
    log_p, value, nats = speaker.think(variables, batch["text"], batch["mask"])
    weight = batch["mask"][:, speaker.front :].astype(jnp.float32)
    policy_loss, moved = clipped(
        jnp.where(weight > 0, log_p - batch["log_prob"], 0.0), batch["advantage"], clip_ratio
    )
    value_loss = clipped_value_loss(value, batch, value_clip)
    found = {"policy_loss": policy_loss, "value_loss": value_loss, "entropy": nats, **moved}
    loss = policy_loss + value_weight * value_loss - entropy * nats
    return learner.Loss(
        Mean.of(loss, weight), model_state, {name: Mean.of(x, weight) for name, x in found.items()}
    )


def learning(
    update: Callable[..., tuple[learner.Learner, Metrics]],
    epochs: int,
    minibatches: int,
    own: learner.Learner,
    seen: Mapping[str, jax.Array],
    key: jax.Array,
) -> tuple[learner.Learner, Metrics]:
    """All passes. Minibatch i has every minibatches-th answer, so that none moves between devices.

    Args:
      update: of `jaxdl.tasks.learner.by_config`.
      epochs: passes.
      minibatches: of each.
      own: the learner.
      seen: of `examples`.
      key: of the updates.
    """
    cut = lambda x: x.reshape(-1, minibatches, *x.shape[1:]).swapaxes(0, 1)
    parts = jax.tree.map(cut, dict(seen))

    def body(own: learner.Learner, i: jax.Array) -> Any:
        part = jax.tree.map(lambda x: x[i % minibatches], parts)
        return update(own, part, jax.random.fold_in(key, i))

    own, metrics = jax.lax.scan(body, own, jnp.arange(epochs * minibatches))
    return own, jax.tree.map(lambda x: x.sum(0), metrics)


def train_step(
    speaker: speaking.Speaker,
    see: Callable[[State, speaking.Drawn], tuple[dict[str, jax.Array], Metrics]],
    learn: Callable[..., tuple[learner.Learner, Metrics]],
    kl_target: float,
    answers: int,
    state: State,
    batch: Mapping,
    key: jax.Array,
) -> tuple[State, Metrics]:
    """Answers to a batch of prompts, and all that is learned from them.

    Args:
      speaker: who answers.
      see: `examples`, with its numbers.
      learn: `learning`, with its numbers.
      kl_target: nats an answer; 0 for a fixed β.
      answers: to each prompt.
      state: of all.
      batch: of prompts.
      key: of the step.
    """
    drawn = _drawn(speaker, answers, state, batch, key)
    seen, found = see(state, drawn)
    new, metrics = learn(state.learner, seen, keys.named(key, "update"))
    found = {**metrics, **found, "beta": Mean.once(state.beta)}
    return state._replace(
        learner=new, beta=speaking.moved(state.beta, found["kl"], kl_target)
    ), found


def _drawn(
    speaker: speaking.Speaker, answers: int, state: State, batch: Mapping, key: jax.Array
) -> speaking.Drawn:
    own = replicas.own(keys.named(key, "answers"))
    prompts = {k: jnp.repeat(batch[k], answers, axis=0) for k in ("prompt", "prompt_mask")}
    return speaking.draw(speaker, state.learner.variables, state.judge, prompts, own)


def explain(
    speaker: speaking.Speaker,
    answers: int,
    tokenizer: Tokenizer,
    state: State,
    batch: Mapping,
    key: jax.Array,
) -> str | None:
    """`Task.explain`: an answer of the step whose reward is not finite; None where all are."""
    drawn = jax.device_get(_drawn(speaker, answers, state, batch, key))
    bad = np.flatnonzero(~np.isfinite(drawn.reward))
    if not len(bad):
        return None
    text, mask = drawn.text[bad[0]], drawn.mask[bad[0]] & (drawn.text[bad[0]] < tokenizer.size)
    parts = slice(speaker.front), slice(speaker.front, None)
    prompt, answer = (printable(tokenizer.decode(text[part][mask[part]])) for part in parts)
    return (
        f"the answer {answer!r} to {prompt!r} got the reward {drawn.reward[bad[0]]}, and "
        f"{len(bad)} of {len(drawn.reward)} answers one like it: rewards must be finite"
    )


def evaluate(speaker: speaking.Speaker, state: State, batch: Mapping, key: jax.Array) -> Metrics:
    """The figures of answers to a batch of prompts that may be padded."""
    variables = state.learner.best_variables
    drawn = speaking.draw(speaker, variables, state.judge, batch, keys.named(key, "answers"))
    log_p, _, _ = speaker.think(variables, drawn.text, drawn.mask)
    counts = drawn.mask[:, speaker.front :]
    apart = log_p - speaker.reference(state.reference, drawn.text, drawn.mask)
    kl = jnp.where(counts, apart, 0.0).sum(axis=1)
    length = counts.sum(axis=1).astype(jnp.float32)
    return figures(drawn.reward, kl, length, state.beta, without_padding(batch))


def _init(
    begin: preferring.Begin,
    start: Callable[..., learner.Learner],
    judge: judges_of_texts.Judge,
    beta: Any,
    key: jax.Array,
    batch: Mapping,
) -> State:
    variables = begin.initial(key)
    reference = jax.tree.map(jnp.copy, variables)
    return State(
        start(variables, key), reference, judge.variables(), jnp.asarray(beta, jnp.float32)
    )


def _check(run: Run, beta: float, minibatches: int, clip_ratio: float) -> None:
    check_above(0, beta=beta, clip_ratio=clip_ratio)
    check_counts(minibatches=minibatches)
    if run.config.batch_size % minibatches:
        raise UserError(
            f"config.task.minibatches={minibatches} does not divide config.batch_size="
            f"{run.config.batch_size}"
        )
