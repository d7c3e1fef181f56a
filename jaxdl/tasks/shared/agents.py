"""What tasks have in common whose agent is a network of policy and value."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jaxdl import envs, models
from jaxdl.control.policies import CONTINUOUS
from jaxdl.control.rollouts import Agent
from jaxdl.errors import UserError
from jaxdl.registry import choose
from jaxdl.tasks import learner
from jaxdl.tasks.shared import episodes
from jaxdl.tasks.shared.checks import need_whole
from jaxdl.tasks.shared.contract import Run
from jaxdl.tasks.shared.model import build_model

# The fields of a model that follow from the environment.
DERIVES = ("actions", "action_size")


def create(run: Run, env: str, continuous: str) -> Agent:
    """The agent of ``config.model`` in the environment called ``env``; there are no data.

    Args:
      run: the run's config.
      env: of `jaxdl.envs`.
      continuous: of `jaxdl.control.policies.CONTINUOUS`.
    """
    need_whole(run, type(None))
    distribution = choose("distribution in config.task.continuous", continuous, CONTINUOUS)
    environment = envs.create(env)
    if environment.actions and continuous != "gaussian":
        raise UserError(
            f"config.task.continuous={continuous!r} is of continuous actions, and environment "
            f"{env!r} has {environment.actions} discrete ones"
        )
    sizes = {name: getattr(environment, name) or 0 for name in DERIVES}
    module = build_model(run, sizes, because=f"as environment {env!r} has it")
    return Agent(module, environment, distribution)


def shown(
    agent: Agent, discount: float, reward_scale: float, values: bool = True
) -> dict[str, Callable[..., Any]]:
    """The parts of a `jaxdl.tasks.Task` that show it, of a state with a ``learner``.

    Args:
      agent: who acts.
      discount: γ of its values.
      reward_scale: factor on the rewards that they are of.
      values: whether it learns any.
    """
    seen = jax.ShapeDtypeStruct((1, agent.environment.observation_size), jnp.float32)
    order = functools.cache(lambda: models.call_order(agent.module, seen))
    expects = lambda variables: lambda seen: agent.think(variables, seen)[1]
    expected = episodes.Expected(expects, discount, reward_scale) if values else None
    return {
        **episodes.shown(agent.environment, agent.greedy, expected).of(
            lambda state: state.learner.best_variables
        ),
        "parameters": lambda state: learner.parameters(state.learner.params, order()),
    }
