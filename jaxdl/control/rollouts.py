"""An agent of policy and value, and stretches of time in which it acts in many environments."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxdl import envs, keys
from jaxdl.control.policies import Categorical, Gaussian, SquashedGaussian
from jaxdl.envs import vectorised


class Agent(NamedTuple):
    """A network of policy and value, and where it acts.

    Attributes:
      module: observations (…, size) -> (logits, or mean and log-deviation; value).
      environment: of `jaxdl.envs`.
      continuous: how continuous actions are distributed.
    """

    module: Any
    environment: envs.Environment
    continuous: type[Gaussian | SquashedGaussian] = Gaussian

    def think(
        self, variables: Any, observation: jax.Array
    ) -> tuple[Categorical | Gaussian | SquashedGaussian, jax.Array]:
        """(policy, value) of observations (…, size)."""
        output, value = self.module.apply(variables, observation)
        discrete = self.environment.actions
        return (Categorical(output) if discrete else self.continuous(*output)), value

    def done(self, drawn: jax.Array) -> jax.Array:
        """What is done in the environment for actions as they were drawn."""
        units = (Categorical if self.environment.actions else self.continuous).units
        return self.environment.from_units(units(drawn))

    def greedy(self, variables: Any) -> vectorised.Policy:
        """The likeliest actions, as the environment takes them."""
        likeliest = lambda observation: self.think(variables, observation)[0].mode()
        return lambda observation: self.done(likeliest(observation))


def begin(agent: Agent, key: jax.Array, count: int) -> tuple[Any, vectorised.Vectorised]:
    """The network's variables at first, and ``count`` environments at starts of their own."""
    observation = jnp.zeros((1, agent.environment.observation_size), jnp.float32)
    variables = agent.module.init(keys.named(key, "model"), observation)
    return variables, vectorised.create(agent.environment, keys.named(key, "environments"), count)


def acting(
    agent: Agent, variables: Any, start: vectorised.Vectorised, key: jax.Array, rollout: int
) -> tuple[vectorised.Vectorised, vectorised.Transition]:
    """The environments after the rollout, and its transitions, (rollout, environments, …)."""
    environment = agent.environment
    size = environment.actions or environment.action_size
    # Continuous actions are learned in units of their range, as they were drawn.
    in_units = environment._replace(
        step=lambda state, action: environment.step(state, agent.done(action))
    )

    def act(observation: jax.Array, own: jax.Array) -> jax.Array:
        policy = agent.think(variables, observation)[0]
        return policy.sample(jax.vmap(lambda k: policy.noise(k, (size,)))(own))

    return vectorised.roll_out(in_units, act, start, key, rollout)


def first_episode(moves: vectorised.Transition) -> jax.Array:
    """(time, environments) bool: the steps until each environment's episode first ends, its last
    one too."""
    ends = moves.ended.astype(jnp.int32)
    return jnp.cumsum(ends, axis=0) - ends == 0
