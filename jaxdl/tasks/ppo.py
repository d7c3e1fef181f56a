"""Control by proximal policy optimization (Schulman et al., 2017).

Each update acts in all environments for a while, on the device, estimates how much better than
expected every action was, and takes several passes over what it saw, in minibatches.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxdl import envs, keys, models, precision
from jaxdl.control.policies import Categorical, Gaussian
from jaxdl.control.returns import gae
from jaxdl.envs import vectorised
from jaxdl.errors import UserError
from jaxdl.metrics import Mean, Metrics
from jaxdl.parallel import replicas
from jaxdl.tasks import (
    Run,
    Task,
    check_counts,
    check_shares,
    episodes,
    learner,
    need_whole,
    register,
)


class State(NamedTuple):
    """All that training has to keep.

    Attributes:
      learner: of actor and critic.
      envs: the environments, in the middle of their episodes.
    """

    learner: learner.Learner
    envs: vectorised.Vectorised


@register("ppo")
def ppo(
    run: Run,
    env: str = "cartpole",
    rollout: int = 128,
    minibatches: int = 4,
    epochs: int = 4,
    discount: float = 0.99,
    gae_lambda: float = 0.95,
    clip_ratio: float = 0.2,
    value_clip: float = 0.2,
    entropy: float = 0.0,
    value_weight: float = 0.5,
    reward_scale: float = 1.0,
    normalise_advantages: bool = True,
) -> Task:
    """An agent learns to act in ``config.batch_size`` environments, which run side by side.

    Args:
      run: the run's config; the data set must be "none".
      env: a name in `jaxdl.envs`.
      rollout: steps in each environment before the parameters change.
      minibatches: parts that these are cut into, by time; must divide ``rollout``.
      epochs: passes over them. An update of the run is epochs x minibatches of the optimizer, which
        are what the learning rate's schedule counts.
      discount: γ, in [0, 1].
      gae_lambda: λ of the advantages, in [0, 1].
      clip_ratio: how far the ratio of new to old probability may leave 1 and still be rewarded.
      value_clip: how far a value may move from its old one, in scaled rewards; 0 is off.
      entropy: weight of the policy's entropy, in nats, which is maximised.
      value_weight: weight of the value's loss.
      reward_scale: factor on the rewards that are learned from; reported returns are without it.
      normalise_advantages: to mean 0 and deviation 1 in each minibatch.

    The metrics are ``loss`` and its parts, ``approximate_kl`` of new from old policy [nats] and
    ``clip_fraction``, both from the updates, and ``episode_return`` and ``episode_length`` of the
    episodes that ended in the meantime. Evaluation gives ``mean_return`` of the likeliest actions
    in 100 episodes.
    """
    need_whole(run, type(None))
    config, environment = run.config, envs.create(env)
    _check(rollout, minibatches, epochs, clip_ratio, discount=discount, gae_lambda=gae_lambda)
    module = models.create(config.model.name, **_fields(config, env, environment))

    def think(variables: Any, observation: jax.Array) -> tuple[Categorical | Gaussian, jax.Array]:
        """(policy, value) of observations (…, size)."""
        output, value = module.apply(variables, observation)
        return (Categorical(output) if environment.actions else Gaussian(*output)), value

    # Continuous actions are learned in units of their range, as they were drawn.
    in_units = environment._replace(
        step=lambda state, action: environment.step(state, environment.from_units(action))
    )

    def roll_out(variables: Any, start: vectorised.Vectorised, key: jax.Array):
        """The environments after the rollout, and its transitions, (rollout, environments, …)."""
        size = environment.actions or environment.action_size

        def act(observation: jax.Array, own: jax.Array) -> jax.Array:
            policy = think(variables, observation)[0]
            return policy.sample(jax.vmap(lambda k: policy.noise(k, (size,)))(own))

        return vectorised.roll_out(in_units, act, start, key, rollout)

    def examples(variables: Any, moves: vectorised.Transition) -> dict[str, jax.Array]:
        """What is learned from, (environments, rollout, …)."""
        policy, value = think(variables, moves.observation)
        advantage, target = gae(
            moves.reward * reward_scale,
            value,
            think(variables, moves.next_observation)[1],
            moves.terminated,
            moves.truncated,
            discount,
            gae_lambda,
        )
        found = dict(
            observation=moves.observation,
            action=moves.action,
            log_prob=policy.log_prob(moves.action),
            value=value,
            advantage=advantage,
            target=target,
        )
        return jax.tree.map(lambda x: x.swapaxes(0, 1), found)

    def loss_fn(params: Any, model_state: Any, batch: Mapping, key: jax.Array) -> learner.Loss:
        policy, value = think({"params": params, **model_state}, batch["observation"])
        log_ratio = policy.log_prob(batch["action"]) - batch["log_prob"]
        ratio = jnp.exp(log_ratio)
        near = jnp.clip(ratio, 1 - clip_ratio, 1 + clip_ratio)
        # Schulman et al., 2017, equation 7.
        policy_loss = -jnp.minimum(ratio * batch["advantage"], near * batch["advantage"])
        value_loss = _value_loss(value, batch, value_clip)
        nats = policy.entropy()
        return learner.Loss(
            Mean.of(policy_loss + value_weight * value_loss - entropy * nats),
            model_state,
            {
                "policy_loss": Mean.of(policy_loss),
                "value_loss": Mean.of(value_loss),
                "entropy": Mean.of(nats),
                # E[r - 1 - log r] over the old policy is KL(old, new), and no term is negative.
                "approximate_kl": Mean.of(ratio - 1 - log_ratio),
                "clip_fraction": Mean.of(jnp.abs(ratio - 1) > clip_ratio),
            },
        )

    start, update = learner.by_config(run, loss_fn, updates=epochs * minibatches)

    def learn(
        agent: learner.Learner, seen: Mapping[str, jax.Array], key: jax.Array
    ) -> tuple[learner.Learner, Metrics]:
        """All epochs. A minibatch is some of the times, of every environment: none moves."""
        draw_order = lambda k: jax.random.permutation(k, rollout)
        orders = jax.vmap(draw_order)(jax.random.split(keys.named(key, "order"), epochs))
        times = orders.reshape(epochs * minibatches, rollout // minibatches)

        def body(agent, now):
            times, i = now
            batch = {name: x[:, times] for name, x in seen.items()}
            if normalise_advantages:
                batch["advantage"] = _normalise(batch["advantage"])
            return update(agent, batch, jax.random.fold_in(keys.named(key, "update"), i))

        agent, metrics = jax.lax.scan(body, agent, (times, jnp.arange(len(times))))
        return agent, jax.tree.map(lambda x: x.sum(0), metrics)

    def train_step(state: State, batch: Mapping, key: jax.Array) -> tuple[State, Metrics]:
        agent, many = state
        many, moves = roll_out(agent.variables, many, key)
        agent, metrics = learn(agent, examples(agent.variables, moves), key)
        return State(agent, many), {**metrics, **episodes.ended(moves)}

    def init(key: jax.Array, batch: Mapping) -> State:
        observation = jnp.zeros((1, environment.observation_size), jnp.float32)
        variables = module.init(keys.named(key, "model"), observation)
        many = vectorised.create(environment, keys.named(key, "environments"), config.batch_size)
        return State(start(variables), many)

    def greedy(variables: Any) -> vectorised.Policy:
        return lambda observation: environment.from_units(think(variables, observation)[0].mode())

    score = episodes.mean_return(environment, greedy)
    shown = episodes.artifacts(environment, greedy)

    def parameters(state: State) -> dict[str, jax.Array]:
        shape = jax.ShapeDtypeStruct((1, environment.observation_size), jnp.float32)
        return learner.parameters(state.learner.params, models.call_order(module, shape))

    return Task(
        init=init,
        train_step=train_step,
        score=lambda state, data, key: score(state.learner.best_variables, key),
        artifacts=lambda state, data, key: shown(state.learner.best_variables, key),
        parameters=parameters,
        partition=lambda state: State(
            *(
                jax.tree.map(lambda leaf, split=split: split, part)
                for part, split in zip(state, (False, True), strict=True)
            )
        ),
        examples=rollout * config.batch_size,
    )


def _check(rollout: int, minibatches: int, epochs: int, clip_ratio: float, **shares: float) -> None:
    check_counts(rollout=rollout, minibatches=minibatches, epochs=epochs)
    if rollout % minibatches:
        raise UserError(
            f"config.task.minibatches={minibatches} does not divide config.task.rollout={rollout}: "
            f"use a rollout of {-(-rollout // minibatches) * minibatches}"
        )
    if not clip_ratio > 0:
        raise UserError(f"config.task.clip_ratio={clip_ratio} must be above 0")
    check_shares(**shares)


def _fields(config: Any, name: str, environment: envs.Environment) -> dict[str, Any]:
    """The model's: as configured, with the environment's kind and number of actions."""
    fields = {k: v for k, v in config.model.items() if k != "name"}
    for key, needed in (
        ("actions", environment.actions or 0),
        ("action_size", environment.action_size or 0),
    ):
        if fields.get(key) not in (None, 0, needed):
            raise UserError(
                f"config.model.{key}={fields[key]} but environment {name!r} has {needed}"
            )
        fields[key] = needed
    return {**fields, "dtype": precision.compute_dtype(config.precision)}


def _value_loss(value: jax.Array, batch: Mapping[str, jax.Array], clip: float) -> jax.Array:
    """Half the squared error; the larger of that and the one of the value held near its old one."""
    error = jnp.square(value - batch["target"])
    if clip:
        near = batch["value"] + jnp.clip(value - batch["value"], -clip, clip)
        error = jnp.maximum(error, jnp.square(near - batch["target"]))
    return error / 2


def _normalise(advantage: jax.Array) -> jax.Array:
    """To mean 0 and deviation 1 over all environments, those of other devices too."""
    centred = advantage - replicas.mean(advantage.mean())
    return centred / (jnp.sqrt(replicas.mean(jnp.square(centred).mean())) + 1e-8)
