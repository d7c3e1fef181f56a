"""Control by deep Q-learning (Mnih et al., 2015), double (van Hasselt et al., 2016).

Goals may be of several steps, and what was misjudged drawn more often (Schaul et al., 2016); values
in two streams (Wang et al., 2016) are model "dueling".
"""

import functools
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxdl import envs, keys, losses, models
from jaxdl.control import replay
from jaxdl.control.deep_q import Agent, acting, goals, kept, misjudged, of, seen
from jaxdl.envs import vectorised
from jaxdl.errors import UserError
from jaxdl.metrics import Mean, Metrics
from jaxdl.per_member import any_on
from jaxdl.tasks import (
    Run,
    Task,
    build_model,
    check_counts,
    check_shares,
    learner,
    need_whole,
    register,
)
from jaxdl.tasks.shared import episodes

# β of the paper's proportional variant, at first.
CORRECTION = 0.4


class State(NamedTuple):
    """All that training has to keep.

    Attributes:
      learner: of the action values.
      target: parameters that follow the learner's slowly and give the goals.
      envs: the environments, in the middle of their episodes.
      replay: what they went through.
      updates: train steps done, int32.
    """

    learner: learner.Learner
    target: Any
    envs: vectorised.Vectorised
    replay: replay.Replay
    updates: jax.Array


@register("dqn", derives=("num_classes",))
def dqn(
    run: Run,
    env: str = "cartpole",
    rollout: int = 8,
    updates: int = 8,
    examples: int = 256,
    capacity: int = 65536,
    discount: float = 0.99,
    target_rate: float = 0.01,
    double: bool = True,
    epsilon: float = 1.0,
    last_epsilon: float = 0.05,
    exploration: float = 0.2,
    reward_scale: float = 1.0,
    n_steps: int = 1,
    priority: float = 0.0,
    correction: float = CORRECTION,
) -> Task:
    """An agent with discrete actions learns their values in ``config.batch_size`` environments.

    Args:
      run: the run's config; the data set must be "none".
      env: a name in `jaxdl.envs`, or of another library: "gymnax:…", "gymnasium:…".
      rollout: steps in each environment between updates.
      updates: of the optimizer then, which are what the learning rate's schedule counts.
      examples: transitions in each of these; the environments must divide them.
      capacity: transitions of all environments together that are kept; a multiple of a rollout's.
      discount: γ, in [0, 1].
      target_rate: share of the way to the parameters that the target goes after each update.
      double: whether the learner, not the target, chooses the action that the target values.
      epsilon: share of random actions at first.
      last_epsilon: from ``exploration`` on.
      exploration: share of the run over which it falls, linearly.
      reward_scale: factor on the rewards that are learned from; reported returns are without it.
      n_steps: rewards that a goal has before it goes on with a value, fewer at an episode's end;
        at most ``rollout``.
      priority: α in [0, 1], the power of its error by which a transition of an environment is drawn
        more often than others; 0 draws evenly.
      correction: β in [0, 1] at first, 1 at the end of the run, linear between: how much of that
        its weight in the loss takes back. Without priority there is nothing to take back.

    The metrics are ``loss`` (Huber's), ``value``, the mean of the values learned from,
    ``epsilon``, ``reward`` of a step, and ``episode_return`` and ``episode_length`` of the
    episodes that ended in the meantime. Evaluation gives ``mean_return`` of the best actions in 100
    episodes.
    """
    need_whole(run, type(None))
    environment, count = envs.create(env), run.config.batch_size
    _check(count, rollout, updates, examples, capacity, n_steps)
    check_shares(
        discount=discount,
        target_rate=target_rate,
        epsilon=epsilon,
        last_epsilon=last_epsilon,
        exploration=exploration,
        priority=priority,
        correction=correction,
    )
    if not environment.actions:
        raise UserError(f"config.task.env={env!r} has continuous actions: task 'ppo' takes them")
    module = build_model(
        run, {"num_classes": environment.actions}, because=f"the actions of environment {env!r}"
    )
    alpha = priority if any_on(priority) else None
    if alpha is None and any_on(correction - CORRECTION):
        raise UserError(
            f"config.task.correction={correction} corrects for what config.task.priority draws "
            "more often, and that is 0"
        )
    agent = Agent(module, environment, rollout, discount, double, reward_scale, n_steps, alpha)
    forward = learner.forward(module)
    start, update = learner.by_config(
        run, functools.partial(training_loss, forward), updates=updates
    )
    share = functools.partial(exploring, epsilon, last_epsilon, exploration * run.steps)
    learn = functools.partial(
        learning, agent, update, updates=updates, examples=examples // count, rate=target_rate
    )
    taken_back = lambda done: correction + (1 - correction) * (done / run.steps)
    greedy = lambda variables: lambda observation: module.apply(variables, observation).argmax(-1)
    best = lambda variables: lambda observation: module.apply(variables, observation).max(-1)
    expected = episodes.Expected(best, discount, reward_scale)
    seen = jax.ShapeDtypeStruct((1, environment.observation_size), jnp.float32)
    order = functools.cache(lambda: models.call_order(module, seen))
    return Task(
        init=functools.partial(_init, agent, start, count, capacity // count),
        train_step=functools.partial(train_step, agent, share, taken_back, learn),
        explain=functools.partial(_explain, agent, share),
        **episodes.shown(environment, greedy, expected).of(
            lambda state: state.learner.best_variables
        ),
        parameters=lambda state: learner.parameters(state.learner.params, order()),
        partition=_partition,
        examples=rollout * count,
    )


def exploring(first: float, last: float, length: float, done: jax.Array) -> jax.Array:
    """The share of random actions after ``done`` updates: ``last`` from ``length`` of them on."""
    done = done.astype(jnp.float32)
    return first + (last - first) * jnp.where(done < length, done / max(length, 1e-9), 1.0)


def training_loss(
    forward: Callable[..., tuple[jax.Array, Any]],
    params: Any,
    model_state: Any,
    batch: Mapping,
    key: jax.Array,
) -> learner.Loss:
    """Huber's loss of the values of what was done, to ``goal`` (n,); ``key`` is dropout's.

    By ``weight`` (n,) where the batch has it; the mean is over examples all the same.
    """
    q, model_state = forward(params, model_state, key, batch["observation"])
    value = of(q, batch["action"])
    each = losses.huber(value, batch["goal"])
    found = Mean.of(each * batch["weight"] if "weight" in batch else each)
    return learner.Loss(found, model_state, {"value": Mean.of(value)})


def learning(
    agent: Agent,
    update: Callable[..., tuple[learner.Learner, Metrics]],
    learners: tuple[learner.Learner, Any],
    memory: replay.Replay,
    index: jax.Array,
    key: jax.Array,
    correction: jax.Array,
    *,
    updates: int,
    examples: int,
    rate: float,
) -> tuple[tuple[learner.Learner, Any, replay.Replay], Metrics]:
    """So many updates from memory, the target following after each.

    Args:
      agent: whose values they are.
      update: of `jaxdl.tasks.learner.by_config`.
      learners: the learner, and the target's parameters.
      memory: to draw from.
      index: (environments,), which they are.
      key: of the draws.
      correction: β now.
      updates: how many.
      examples: of each environment in each of them.
      rate: share of the way that the target goes.
    """

    def body(carry: Any, i: jax.Array) -> Any:
        own, target, priority = carry
        one = jax.random.fold_in(keys.named(key, "learn"), i)
        now = memory._replace(priority=priority)
        batch, places = seen(agent, now, vectorised.own_keys(one, index), examples, correction)
        batch = {**batch, "goal": goals(agent, own.params, target, batch)}
        if places is not None:
            now = replay.judged(now, places, misjudged(agent, own.params, batch))
        own, found = update(own, batch, one)
        follow = lambda old, new: old + rate * (new - old)
        return (own, jax.tree.map(follow, target, own.params), now.priority), found

    carry = (*learners, memory.priority)
    (*learners, priority), found = jax.lax.scan(body, carry, jnp.arange(updates))
    found = jax.tree.map(lambda x: x.sum(0), found)
    return (*learners, memory._replace(priority=priority)), found


def train_step(
    agent: Agent,
    share: Callable[[jax.Array], jax.Array],
    taken_back: Callable[[jax.Array], jax.Array],
    learn: Callable[..., tuple[tuple[learner.Learner, Any, replay.Replay], Metrics]],
    state: State,
    batch: Mapping,
    key: jax.Array,
) -> tuple[State, Metrics]:
    """A rollout, which goes to memory, and the updates after it.

    Args:
      agent: who acts.
      share: train steps done -> ε.
      taken_back: train steps done -> β.
      learn: `learning`, with its numbers.
      state: of all; batch is empty.
      batch: nothing.
      key: of the step.
    """
    eps = share(state.updates)
    many, moves = _act(agent, eps, state, key)
    memory = replay.add(state.replay, {name: getattr(moves, name) for name in kept(agent)})
    (own, target, memory), found = learn(
        (state.learner, state.target), memory, many.index, key, taken_back(state.updates)
    )
    return (
        State(own, target, many, memory, state.updates + 1),
        {**found, **episodes.ended(moves), "epsilon": Mean.once(eps)},
    )


def _act(
    agent: Agent, eps: jax.Array, state: State, key: jax.Array
) -> tuple[vectorised.Vectorised, vectorised.Transition]:
    return acting(agent, state.learner.params, state.envs, keys.named(key, "act"), eps)


def _explain(
    agent: Agent,
    share: Callable[[jax.Array], jax.Array],
    state: State,
    batch: Mapping,
    key: jax.Array,
) -> str | None:
    moves = _act(agent, share(state.updates), state, key)[1]
    return episodes.explained(agent.environment, moves)


def _init(
    agent: Agent,
    start: Callable[[Mapping], learner.Learner],
    count: int,
    size: int,
    key: jax.Array,
    batch: Mapping,
) -> State:
    numbers = agent.environment.observation_size
    own = start(agent.module.init(keys.named(key, "model"), jnp.zeros((1, numbers), jnp.float32)))
    many = vectorised.create(agent.environment, keys.named(key, "environments"), count)
    one = jax.ShapeDtypeStruct((numbers,), jnp.float32)
    scalar = lambda dtype: jax.ShapeDtypeStruct((), dtype)
    like = dict(
        observation=one, action=scalar(jnp.int32), reward=scalar(jnp.float32),
        next_observation=one, terminated=scalar(jnp.bool_), truncated=scalar(jnp.bool_),
    )  # fmt: skip
    like = {name: like[name] for name in kept(agent)}
    memory = replay.create(like, count, size, priorities=agent.priority is not None)
    return State(own, jax.tree.map(jnp.copy, own.params), many, memory, jnp.int32(0))


def _partition(state: State) -> State:
    split = State(False, False, True, True, False)
    whole = lambda part, value: jax.tree.map(lambda leaf: value, part)
    return State(*map(whole, state, split))


def _check(
    count: int, rollout: int, updates: int, examples: int, capacity: int, n_steps: int
) -> None:
    check_counts(
        rollout=rollout, updates=updates, examples=examples, capacity=capacity, n_steps=n_steps
    )
    if n_steps > rollout:
        raise UserError(
            f"config.task.n_steps={n_steps} is more than config.task.rollout={rollout}, which are "
            "all steps that memory has at first"
        )
    for name, value, unit, what in (
        ("examples", examples, count, f"config.batch_size={count} environments"),
        ("capacity", capacity, count * rollout, f"{count} environments x {rollout} steps"),
    ):
        if value % unit:
            raise UserError(
                f"config.task.{name}={value} is no multiple of {what}: use "
                f"{-(-value // unit) * unit}"
            )
