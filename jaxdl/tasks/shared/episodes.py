"""What every agent is shown by: its mean return, one episode in pictures, and its speed."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from jaxdl import envs
from jaxdl.envs import speed, vectorised
from jaxdl.errors import UserError
from jaxdl.metrics import Mean, Metrics
from jaxdl.parallel import replicas
from jaxdl.report import draw

EPISODES = 100
FRAMES = 12
# What steps are counted of: environments, steps of each in a call; rounds, and seconds of a turn.
SIDE_BY_SIDE, STEPS = 1024, 32
ROUNDS, SECONDS = 3, 0.04

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


def artifacts(
    environment: envs.Environment, greedy: Greedy
) -> Callable[[Any, jax.Array], dict[str, draw.Picture | str]]:
    """A function (variables, key) -> the report's "Episode" and "Environment steps a second"."""
    film = filmstrip(environment, greedy)

    def make(variables: Any, key: jax.Array) -> dict[str, draw.Picture | str]:
        return {
            "Episode": film(variables, key),
            "Environment steps a second": steps_a_second(environment, greedy, variables),
        }

    return make


def steps_a_second(environment: envs.Environment, greedy: Greedy, variables: Any) -> str:
    """How fast the likeliest actions are taken, here and in gymnasium where it is installed."""
    variables = jax.device_get(variables)  # those of one device, however many trained them
    act = lambda variables, observations, keys: greedy(variables)(observations)
    ours = f"{SIDE_BY_SIDE:,} environments on one device ({jax.devices()[0].platform})"
    theirs = f"gymnasium's {environment.gymnasium} in Python"
    turns = {ours: speed.on_device(environment, act, variables, SIDE_BY_SIDE, steps=STEPS)}
    try:
        turns[theirs] = speed.in_gymnasium(environment, speed.one_by_one(act, variables))
        note = "In Python a jitted call a step chooses them."
    except UserError as error:
        note = f"Not beside gymnasium: {error}."
    found = speed.alternate(turns, ROUNDS, SECONDS)
    rows = {label: np.median(rates) for label, rates in found.items()}
    if theirs in found:
        rows["ratio"] = speed.ratio(found[ours], found[theirs])
    wide = max(map(len, rows))
    table = "\n".join(f"{label:{wide}} {value:>13,.0f}" for label, value in rows.items())
    return f"{table}\n\nThe likeliest actions; medians of {ROUNDS} rounds. {note}"


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
