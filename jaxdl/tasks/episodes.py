"""What every agent is shown by: its mean return, and one episode in pictures."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from jaxdl import draw, envs, replicas
from jaxdl.envs import vectorised
from jaxdl.metrics import Mean, Metrics

EPISODES = 100
FRAMES = 12

# From the network's variables to what is done.
Greedy = Callable[[Any], vectorised.Policy]


def ended(moves: vectorised.Transition) -> Metrics:
    """``episode_return`` and ``episode_length`` of the episodes that ended in a rollout."""
    return replicas.total(
        {
            "episode_return": Mean.of(moves.total, moves.ended),
            "episode_length": Mean.of(moves.steps, moves.ended),
        }
    )


def mean_return(
    environment: envs.Environment, greedy: Greedy
) -> Callable[[Any, jax.Array], dict[str, float]]:
    """A function (variables, key) -> {"mean_return": over EPISODES fresh episodes}."""

    @jax.jit
    def returns(variables: Any, key: jax.Array) -> jax.Array:
        return vectorised.returns(environment, greedy(variables), key, EPISODES)

    return lambda variables, key: {"mean_return": float(returns(variables, key).mean())}


def filmstrip(
    environment: envs.Environment, greedy: Greedy
) -> Callable[[Any, jax.Array], draw.Picture]:
    """A function (variables, key) -> frames of one episode, evenly over its length."""

    @jax.jit
    def episode(variables: Any, key: jax.Array) -> tuple[Any, jax.Array, jax.Array]:
        return vectorised.episode(environment, greedy(variables), key)

    def film(variables: Any, key: jax.Array) -> draw.Picture:
        states, length, total = jax.device_get(episode(variables, key))
        return _frames(environment, states, int(length), float(total))

    return film


def _frames(environment: envs.Environment, states: Any, length: int, total: float) -> draw.Picture:
    """Frames of an episode, evenly over its length."""
    shown = np.unique(np.linspace(0, length, FRAMES).round().astype(int))
    columns = min(len(shown), 6)
    rows = -(-len(shown) // columns)

    def paint(grid):
        for axes, i in zip(np.atleast_1d(grid).ravel(), shown, strict=False):
            environment.draw(axes, jax.tree.map(lambda x, i=i: x[i], states))
            axes.set_title(f"step {i}", fontsize=7, fontweight="normal", pad=3)
        for axes in np.atleast_1d(grid).ravel():
            axes.grid(False)
            axes.set(xticks=[], yticks=[])

    return draw.figure(
        1.5 * columns, 1.5 * rows, paint, kind="png", columns=columns, rows=rows,
        caption=f"One episode of the likeliest actions: {length} steps, return {total:.1f}.",
    )  # fmt: skip
