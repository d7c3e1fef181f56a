"""Control by the gradient of expected return: REINFORCE, actor and critic, and A3C.

Each update acts in all environments, estimates how much better than expected every action was, and
makes the good ones likelier, once. REINFORCE (Williams, 1992) plays whole episodes, A2C a few steps
(Mnih et al., 2016, arXiv 1602.01783, all workers in step with each other). What A3C's workers do to
each other, who go on while others change the parameters, is ``staleness``.
"""

import functools
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxdl import keys
from jaxdl.control.returns import gae, normalised
from jaxdl.control.rollouts import Agent, acting, begin, first_episode
from jaxdl.envs import vectorised
from jaxdl.errors import UserError
from jaxdl.metrics import Mean, Metrics
from jaxdl.per_member import any_on
from jaxdl.tasks import Run, Task, check_at_least, check_shares, learner, register
from jaxdl.tasks.shared import agents, episodes


class Past(NamedTuple):
    """Parameters of earlier updates.

    Attributes:
      params: the learner's tree with an axis (staleness,) in front of each leaf, a ring.
      updates: done so far, int32.
    """

    params: Any
    updates: jax.Array


class State(NamedTuple):
    """All that training has to keep.

    Attributes:
      learner: of actor and critic.
      envs: the environments, in the middle of their episodes.
      past: None where gradients are taken from the parameters as they are.
    """

    learner: learner.Learner
    envs: vectorised.Vectorised
    past: Past | None


@register("policy_gradient", derives=agents.DERIVES)
def policy_gradient(
    run: Run,
    env: str = "cartpole",
    continuous: str = "gaussian",
    rollout: int = 5,
    baseline: bool = True,
    staleness: int = 0,
    discount: float = 0.99,
    gae_lambda: float = 1.0,
    entropy: float = 0.0,
    value_weight: float = 1.0,
    reward_scale: float = 1.0,
    normalise_advantages: bool = False,
) -> Task:
    """An agent learns to act in ``config.batch_size`` environments, which run side by side.

    Args:
      run: the run's config; the data set must be "none".
      env: a name in `jaxdl.envs`, or of another library: "gymnax:…", "gymnasium:…".
      continuous: how continuous actions are drawn: "gaussian", and clipped to their range, or
        "squashed" into it by tanh, with log-probabilities and entropies of what is squashed, in
        units of the range.
      rollout: steps in each environment before the parameters change; what would follow the last
        one is estimated. 0 plays one whole episode in each from a fresh start: REINFORCE.
      baseline: whether a value is learned and taken off the returns; without it the model's is left
        as it is, and only whole episodes have returns.
      staleness: how many updates old the parameters are that act, judge, and have the gradient
        taken at, which then moves the newest ones, as a worker's of A3C does that is overtaken so
        often. 0 is A2C.
      discount: γ, in [0, 1].
      gae_lambda: λ of the advantages, in [0, 1]; 1 is returns of all steps to the rollout's end.
      entropy: weight of the policy's entropy, in nats, which is maximised.
      value_weight: weight of half the value's squared error; 1 is a weight of .5 of the whole.
      reward_scale: factor on the rewards that are learned from; reported returns are without it.
      normalise_advantages: to mean 0 and deviation 1 in each update.

    At a termination nothing follows. At a truncation, by the clock, the value estimates what would;
    without a baseline nothing does, and the return ends there too.

    The metrics are ``loss`` and its parts and ``reward``, means over steps, and ``episode_return``
    and ``episode_length`` of the episodes that ended in the meantime. Evaluation gives
    ``mean_return`` of the likeliest actions in 100 episodes.
    """
    agent = agents.create(run, env, continuous)
    _check(rollout, staleness, baseline, gae_lambda, value_weight)
    check_shares(discount=discount, gae_lambda=gae_lambda)
    check_at_least(0, entropy=entropy, value_weight=value_weight)
    start, update = learner.by_config(
        run,
        functools.partial(training_loss, agent, entropy, value_weight if baseline else None),
    )
    see = functools.partial(
        examples,
        agent,
        whole=not rollout,
        baseline=baseline,
        reward_scale=reward_scale,
        discount=discount,
        gae_lambda=gae_lambda,
        normalise=normalise_advantages,
    )
    steps = rollout or agent.environment.max_steps
    return Task(
        init=functools.partial(_init, agent, start, run.config.batch_size, staleness),
        train_step=functools.partial(train_step, agent, steps, not rollout, see, update),
        explain=functools.partial(_explain, agent, steps, not rollout),
        **agents.shown(agent, discount, reward_scale, baseline),
        partition=_partition,
        examples=steps * run.config.batch_size,
    )


def examples(
    agent: Agent,
    variables: Any,
    moves: vectorised.Transition,
    *,
    whole: bool,
    baseline: bool,
    reward_scale: float,
    discount: float,
    gae_lambda: float,
    normalise: bool,
) -> dict[str, jax.Array]:
    """What is learned from, (environments, rollout, …).

    Args:
      agent: who acted.
      variables: by which it did.
      moves: (rollout, environments, …).
      whole: whether only the first episode of each environment counts.
      baseline: as of `policy_gradient`; so are reward_scale, discount and gae_lambda.
      reward_scale: factor on rewards.
      discount: γ.
      gae_lambda: λ.
      normalise: the advantages.
    """
    nothing = jnp.zeros_like(moves.reward)
    value = lambda seen: agent.think(variables, seen)[1] if baseline else nothing
    advantage, target = gae(
        moves.reward * reward_scale,
        value(moves.observation),
        value(moves.next_observation),
        moves.terminated,
        moves.truncated,
        discount,
        gae_lambda,
    )
    counts = first_episode(moves) if whole else jnp.ones_like(moves.terminated)
    weight = counts.astype(jnp.float32)
    if normalise:
        advantage = normalised(advantage, weight)
    found = dict(
        observation=moves.observation,
        action=moves.action,
        advantage=advantage,
        target=target,
        weight=weight,
    )
    return jax.tree.map(lambda x: x.swapaxes(0, 1), found)


def training_loss(
    agent: Agent,
    entropy: float,
    value_weight: float | None,
    params: Any,
    model_state: Any,
    batch: Mapping,
    key: jax.Array,
) -> learner.Loss:
    """``-A log π(a | s)``, whose gradient is the policy's, and the value's loss.

    Args:
      agent: who learns.
      entropy: weight of the policy's.
      value_weight: of half the value's squared error; None where there is no baseline.
      params: the network's; so is model_state.
      model_state: its other collections.
      batch: of `examples`.
      key: draws nothing.
    """
    policy, value = agent.think({"params": params, **model_state}, batch["observation"])
    mean = lambda x: Mean.of(x, batch["weight"])
    # Sutton et al., 1999, "Policy gradient methods", with the advantage as it was estimated.
    policy_loss = -policy.log_prob(batch["action"]) * batch["advantage"]
    nats = policy.entropy()
    loss, parts = policy_loss - entropy * nats, {}
    if value_weight is not None:
        value_loss = jnp.square(value - batch["target"]) / 2
        loss, parts = loss + value_weight * value_loss, {"value_loss": mean(value_loss)}
    parts |= {"policy_loss": mean(policy_loss), "entropy": mean(nats)}
    return learner.Loss(mean(loss), model_state, parts)


def train_step(
    agent: Agent,
    steps: int,
    whole: bool,
    see: Callable[[Any, vectorised.Transition], dict[str, jax.Array]],
    update: Callable[..., tuple[learner.Learner, Metrics]],
    state: State,
    batch: Mapping,
    key: jax.Array,
) -> tuple[State, Metrics]:
    """A rollout, and what is learned from it.

    Args:
      agent: who acts.
      steps: in each environment.
      whole: whether each begins anew, and only its first episode counts.
      see: `examples`, with its numbers.
      update: of `jaxdl.tasks.learner.by_config`.
      state: of all; batch is empty.
      batch: nothing.
      key: of the step.
    """
    own, _, past = state
    params, past = (own.params, None) if past is None else recalled(past, own.params)
    worker = own._replace(params=params)
    many, moves = _act(agent, steps, whole, worker, state.envs, key)
    own, metrics = update(own, see(worker.variables, moves), key, at=params)
    ended = episodes.ended(moves, first_episode(moves) if whole else None)
    return State(own, many, past), {**metrics, **ended}


def _act(
    agent: Agent,
    steps: int,
    whole: bool,
    worker: learner.Learner,
    many: vectorised.Vectorised,
    key: jax.Array,
) -> tuple[vectorised.Vectorised, vectorised.Transition]:
    if whole:
        many = vectorised.anew(agent.environment, keys.named(key, "starts"), many.index)
    return acting(agent, worker.variables, many, key, steps)


def _explain(
    agent: Agent, steps: int, whole: bool, state: State, batch: Mapping, key: jax.Array
) -> str | None:
    own, _, past = state
    params = own.params if past is None else recalled(past, own.params)[0]
    moves = _act(agent, steps, whole, own._replace(params=params), state.envs, key)[1]
    return episodes.explained(agent.environment, moves)


def recalled(past: Past, params: Any) -> tuple[Any, Past]:
    """The parameters of as many updates ago as ``past`` is long, and it with ``params`` for them.

    Before there were as many updates, those of the beginning.
    """
    length = len(jax.tree.leaves(past.params)[0])
    place = past.updates % length
    old = jax.tree.map(lambda ring: ring[place], past.params)
    kept = jax.tree.map(lambda ring, new: ring.at[place].set(new), past.params, params)
    return old, Past(kept, past.updates + 1)


def _init(
    agent: Agent,
    start: Callable[[Mapping], learner.Learner],
    count: int,
    staleness: int,
    key: jax.Array,
    batch: Mapping,
) -> State:
    variables, many = begin(agent, key, count)
    own = start(variables)
    repeat = lambda x: jnp.repeat(x[None], staleness, axis=0)
    past = Past(jax.tree.map(repeat, own.params), jnp.int32(0)) if staleness else None
    return State(own, many, past)


def _partition(state: State) -> State:
    whole = lambda part, split: jax.tree.map(lambda leaf: split, part)
    return State(*map(whole, state, (False, True, False)))


def _check(
    rollout: int, staleness: int, baseline: bool, gae_lambda: float, value_weight: float
) -> None:
    check_at_least(0, rollout=rollout, staleness=staleness)
    if not baseline and rollout:
        raise UserError(
            f"config.task.rollout={rollout}: without a baseline nothing tells what follows a "
            "rollout: use 0, whole episodes"
        )
    if not baseline and any_on(1 - gae_lambda):
        raise UserError(
            f"config.task.gae_lambda={gae_lambda} weighs values: without a baseline use 1"
        )
    if not baseline and any_on(value_weight - 1):
        raise UserError(
            f"config.task.value_weight={value_weight} weighs a value: without a baseline leave it 1"
        )
