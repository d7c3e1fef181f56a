"""What tasks have in common whose agent is a network of policy and value."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jaxdl import envs, models
from jaxdl.control.rollouts import Agent
from jaxdl.tasks import learner
from jaxdl.tasks.shared import episodes
from jaxdl.tasks.shared.checks import need_whole
from jaxdl.tasks.shared.contract import Run
from jaxdl.tasks.shared.model import build_model

# The fields of a model that follow from the environment.
DERIVES = ("actions", "action_size")


def create(run: Run, env: str) -> Agent:
    """The agent of ``config.model`` in the environment called ``env``; there are no data."""
    need_whole(run, type(None))
    environment = envs.create(env)
    sizes = {name: getattr(environment, name) or 0 for name in DERIVES}
    return Agent(build_model(run, sizes, because=f"as environment {env!r} has it"), environment)


def shown(agent: Agent) -> dict[str, Callable[..., Any]]:
    """The parts of a `jaxdl.tasks.Task` that show it, of a state with a ``learner``."""
    seen = jax.ShapeDtypeStruct((1, agent.environment.observation_size), jnp.float32)
    order = functools.cache(lambda: models.call_order(agent.module, seen))
    return {
        **episodes.shown(agent.environment, agent.greedy).of(
            lambda state: state.learner.best_variables
        ),
        "parameters": lambda state: learner.parameters(state.learner.params, order()),
    }
