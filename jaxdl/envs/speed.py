"""Environment steps a second: environments on the device beside gymnasium's in Python."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from jaxdl import keys
from jaxdl.envs import Environment, vectorised
from jaxdl.errors import UserError

# Steps between two looks at the clock, in Python.
CHUNK = 50

# (variables, observations (n, observation_size), keys (n,) or None) -> n actions.
Agent = Callable[[Any, jax.Array, jax.Array | None], jax.Array]
# Takes steps for at least so many seconds -> how many it took in each.
Turn = Callable[[float], float]


class OnDevice:
    """A policy in environments that run side by side, each call so many steps of all of them.

    A step is the policy's choice with its draws, the environment's step and, where an episode ends,
    a new start, which is drawn for all at every step. What happened is not kept.

    Args:
      env: the environment.
      act: the policy.
      environments: how many; a multiple of the devices.
      steps: of each environment in one call of the compiled program.
      devices: to share them out to; None is the default one.
    """

    def __init__(
        self,
        env: Environment,
        act: Agent,
        environments: int,
        steps: int,
        devices: Sequence[jax.Device] | None = None,
    ):
        self._a_call = environments * steps
        mesh = Mesh(np.array(devices or jax.devices()[:1]), ("data",), axis_types=(AxisType.Auto,))
        split, copied = (NamedSharding(mesh, PartitionSpec(*axes)) for axes in (("data",), ()))
        self._split, self._copied = split, copied

        @jax.jit(out_shardings=split, donate_argnums=1)
        def run(variables: Any, many: vectorised.Vectorised, call: jax.Array):
            key = jax.random.fold_in(keys.root(0), call)
            choose = lambda observations, keys: act(variables, observations, keys)
            return vectorised.roll_out(env, choose, many, key, steps)[0]

        create = lambda: vectorised.create(env, keys.root(1), environments)
        self._run, self._start = run, jax.jit(create, out_shardings=split)

    def compile(self, variables: Any) -> None:
        """Compiles what `turn` runs, for variables of which there are only shapes and dtypes."""
        on = lambda x, sharding: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=sharding)
        many = jax.tree.map(lambda x: on(x, self._split), jax.eval_shape(self._start))
        self._start.lower().compile()
        own = jax.tree.map(lambda x: on(x, self._copied), variables)
        self._run.lower(own, many, np.uint32(0)).compile()

    def turn(self, variables: Any) -> Turn:
        """Turns of the policy with these variables, compiled before the first."""
        variables, many = jax.device_put(variables, self._copied), self._start()
        calls = 0

        def advance() -> int:
            nonlocal many, calls
            many = jax.block_until_ready(self._run(variables, many, np.uint32(calls)))
            calls += 1
            return self._a_call

        advance()
        return _turn(advance)


def in_gymnasium(env: Environment, choose: Callable[[np.ndarray], Any]) -> Turn:
    """Turns of gymnasium's environment of the same name, stepped one at a time in Python.

    Args:
      env: ours.
      choose: an action for an observation (observation_size,).

    Raises:
      UserError: gymnasium has no such environment, or is not installed.
    """
    if env.gymnasium is None:
        raise UserError("gymnasium has no environment that equals this one")
    try:
        import gymnasium
    except ImportError as error:
        raise UserError(
            f"{env.gymnasium} needs gymnasium: pip install -e '.[gymnasium]'"
        ) from error
    world = gymnasium.make(env.gymnasium)
    observation, _ = world.reset(seed=0)
    choose(observation)  # compiled before any turn, if it is

    def advance() -> int:
        nonlocal observation
        for _ in range(CHUNK):
            observation, _, terminated, truncated, _ = world.step(choose(observation))
            if terminated or truncated:
                observation, _ = world.reset()
        return CHUNK

    return _turn(advance)


def one_by_one(
    act: Agent, variables: Any, key: jax.Array | None = None
) -> Callable[[np.ndarray], Any]:
    """A policy as one writes it in a Python loop: one jitted call an observation.

    Args:
      act: the policy.
      variables: its own.
      key: of its draws, None if it makes none.

    Returns:
      A function of one observation: an int, or an array (action_size,).
    """

    @jax.jit
    def step(variables: Any, observation: jax.Array, key: jax.Array | None):
        now = None
        if key is not None:
            key, now = jax.random.split(key)
            now = now[None]
        return act(variables, observation[None], now)[0], key

    def choose(observation: np.ndarray) -> Any:
        nonlocal key
        action, key = step(variables, observation, key)
        return np.asarray(action) if action.ndim else int(action)

    return choose


def alternate(turns: Mapping[str, Turn], rounds: int, seconds: float) -> dict[str, list[float]]:
    """Steps a second of each side in each round; another side begins each."""
    found: dict[str, list[float]] = {name: [] for name in turns}
    order = list(turns)
    for _ in range(rounds):
        for name in order:
            found[name].append(turns[name](seconds))
        order.append(order.pop(0))
    return found


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """How many times as fast ours is: the median of each round's own ratio.

    What slows the whole machine for a while cancels.
    """
    return float(np.median(np.asarray(ours) / np.asarray(theirs)))


def _turn(advance: Callable[[], int]) -> Turn:
    def turn(seconds: float) -> float:
        steps, began = 0, time.perf_counter()
        while True:
            steps += advance()
            spent = time.perf_counter() - began
            if spent >= seconds:
                return steps / spent

    return turn
