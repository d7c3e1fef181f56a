"""What every agent is shown by: its mean return, one episode in pictures, and its speed."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

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

# Points of a picture of values, and what of a return may be missing behind a truncation.
POINTS, MISSING = 400, 0.05

# From the network's variables to what is done.
Greedy = Callable[[Any], vectorised.Policy]


class Expected(NamedTuple):
    """What an agent expects.

    Attributes:
      values: the network's variables -> (observations (n, size) -> values (n,)).
      discount: γ of the returns that they estimate.
      reward_scale: factor on their rewards.
    """

    values: Callable[[Any], Callable[[jax.Array], jax.Array]]
    discount: float
    reward_scale: float


def ended(moves: vectorised.Transition, among: jax.Array | None = None) -> Metrics:
    """``episode_return`` and ``episode_length`` of the episodes that ended in a rollout.

    And ``reward``, the mean of a step's, by which one that is not finite is noticed at once.

    Args:
      moves: (time, environments, …).
      among: which of its steps count, (time, environments) bool; None for all.
    """
    over = moves.ended if among is None else moves.ended & among
    return replicas.total(
        {
            "reward": Mean.of(moves.reward, among),
            "episode_return": Mean.of(moves.total, over),
            "episode_length": Mean.of(moves.steps, over),
        }
    )


def explained(environment: envs.Environment, moves: vectorised.Transition) -> str | None:
    """What of a rollout is not finite, as a part of a sentence; None if all of it is.

    Args:
      environment: that it is of.
      moves: (time, environments, …).
    """
    moves = jax.device_get(moves)
    for name, what in (("reward", "a reward"), ("next_observation", "an observation")):
        found = getattr(moves, name)
        bad = ~np.isfinite(found)
        if bad.any():
            time, which = first = tuple(np.argwhere(bad)[0][:2])
            return (
                f"environment {environment.name!r} gave {what} of {found[bad][0]} at step "
                f"{moves.steps[first]} of an episode (environment {which}, rollout step {time}), "
                f"for action {np.asarray(moves.action[first]).tolist()} in observation "
                f"{_short(moves.observation[first])}: it must be finite"
            )
    return None


def _short(x: np.ndarray) -> str:
    return np.array2string(x, precision=3, threshold=8, separator=", ").replace("\n", "")


class Shown(NamedTuple):
    """The parts of a `jaxdl.tasks.Task` that show an agent, as functions of its variables.

    Attributes:
      score: (variables, key) -> {"mean_return": over EPISODES fresh episodes}.
      artifacts: (variables, key) -> the report's "Episode", "Returns and lengths" of all that were
        played, "Values and returns" where it expects any, and "Environment steps a second".
      compile_score: (variables, key) -> None, as the task's.
      compile_artifacts: so too.
    """

    score: Callable[[Any, jax.Array], dict[str, float]]
    artifacts: Callable[[Any, jax.Array], dict[str, draw.Picture | str]]
    compile_score: Callable[[Any, jax.Array], None]
    compile_artifacts: Callable[[Any, jax.Array], None]

    def of(self, variables_of: Callable[[Any], Any]) -> dict[str, Callable[..., Any]]:
        """By name, as the task's: functions of its state, data and key."""
        own = lambda f: lambda state, data, key: f(variables_of(state), key)
        return {name: own(f) for name, f in self._asdict().items()}


def shown(environment: envs.Environment, greedy: Greedy, expected: Expected | None = None) -> Shown:
    """How an agent is shown: both figures and pictures are of one program."""

    @jax.jit
    def play(variables: Any, key: jax.Array) -> vectorised.Played:
        values = expected.values(variables) if expected else None
        return vectorised.play(environment, greedy(variables), key, EPISODES, values)

    # What is stepped in Python is as fast as it is there.
    on_device = environment.again is None
    # Made when it is first asked for: it looks for devices.
    pace = functools.cache(lambda: _on_device(environment, greedy))

    def score(variables: Any, key: jax.Array) -> dict[str, float]:
        return {"mean_return": float(play(variables, key).total.mean())}

    def artifacts(variables: Any, key: jax.Array) -> dict[str, draw.Picture | str]:
        played = jax.device_get(play(variables, key))
        length, total = int(played.steps[0]), float(played.total[0])
        paced = {}
        if on_device:
            told = steps_a_second(environment, greedy, variables, pace())
            paced = {"Environment steps a second": told}
        return {
            "Episode": _frames(environment, played.first, length, total),
            "Returns and lengths": _spread(played.total, played.steps),
            **(_expected(played, expected) if expected else {}),
            **paced,
        }

    def compile_score(variables: Any, key: jax.Array) -> None:
        play.lower(variables, key).compile()

    def compile_artifacts(variables: Any, key: jax.Array) -> None:
        if on_device:
            pace().compile(variables)

    return Shown(score, artifacts, compile_score, compile_artifacts)


def _on_device(environment: envs.Environment, greedy: Greedy) -> speed.OnDevice:
    return speed.OnDevice(environment, _acting(greedy), SIDE_BY_SIDE, STEPS)


def _acting(greedy: Greedy) -> speed.Agent:
    return lambda variables, observations, keys: greedy(variables)(observations)


def steps_a_second(
    environment: envs.Environment, greedy: Greedy, variables: Any, pace: speed.OnDevice
) -> str:
    """How fast the likeliest actions are taken, here and in gymnasium where it is installed."""
    variables = jax.device_get(variables)  # those of one device, however many trained them
    ours = f"{SIDE_BY_SIDE:,} environments on one device ({jax.devices()[0].platform})"
    theirs = f"gymnasium's {environment.gymnasium} in Python"
    turns = {ours: pace.turn(variables)}
    try:
        one = speed.one_by_one(_acting(greedy), variables)
        turns[theirs] = speed.in_gymnasium(environment, one)
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


def _spread(returns: np.ndarray, lengths: np.ndarray) -> draw.Picture:
    """How returns and lengths (episodes,) are spread: each a line that rises from 0 to 1."""

    def paint(pair):
        for axes, x, name in zip(pair, (returns, lengths), ("return", "steps"), strict=True):
            axes.plot(np.sort(x), (np.arange(len(x)) + 0.5) / len(x), color="tab:blue")
            low, middle, high = np.percentile(x, (5, 50, 95))
            axes.axvspan(low, high, color="tab:blue", alpha=0.12)
            axes.axvline(middle, color="tab:orange")
            axes.set(xlabel=name, ylim=(0, 1))
        pair[0].set_ylabel("share of episodes below")

    return draw.figure(
        6, 2.4, paint, columns=2,
        caption=f"{len(returns)} episodes of the likeliest actions: the median, and from the 5th "
        "to the 95th percentile.",
    )  # fmt: skip


def returns(reward: np.ndarray, steps: np.ndarray, discount: float) -> np.ndarray:
    """Discounted returns (time, episodes) from each step on, of ``steps`` (episodes,) rewards."""
    reward = np.where(np.arange(len(reward))[:, None] < steps, reward, 0).astype(np.float64)
    found = np.zeros_like(reward)
    after = np.zeros(reward.shape[1])
    for time in reversed(range(len(reward))):
        found[time] = after = reward[time] + discount * after
    return found


def _expected(played: vectorised.Played, expected: Expected) -> dict[str, draw.Picture]:
    """Values of the steps whose returns are known, but for `MISSING`; {} where none are."""
    left = played.steps - np.arange(len(played.reward))[:, None]
    missing = float(expected.discount) ** np.maximum(left, 0)
    known = (left > 0) & (~played.cut | (missing <= MISSING))
    if not known.any():
        return {}
    after = returns(played.reward, played.steps, expected.discount)[known] * expected.reward_scale
    value = played.value[known]
    shown = np.linspace(0, len(value) - 1, min(len(value), POINTS)).round().astype(int)

    def paint(axes: Any) -> None:
        axes.plot(after[shown], value[shown], ".", markersize=3, alpha=0.5)
        axes.axline((after.mean(), after.mean()), slope=1, color="tab:orange", linewidth=1)
        axes.set(xlabel="discounted return that followed", ylabel="value")

    picture = draw.figure(
        3.6, 3.0, paint,
        caption=f"What was expected at {len(shown)} steps of {len(played.steps)} episodes of the "
        f"likeliest actions, and what came: {after.mean():.3g} and {value.mean():.3g} in the mean "
        f"of {len(value)} steps, rewards times {float(expected.reward_scale):g}. Steps are left "
        "out behind which an episode was cut off too soon to tell.",
    )  # fmt: skip
    return {"Values and returns": picture}
