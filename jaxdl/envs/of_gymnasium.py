"""Environments of gymnasium: stepped in Python on the host, by a callback of the compiled step.

One call a step does all environments, one after another: no faster than gymnasium is, whatever the
device. The state on the device is an episode's seed and its actions so far, which tell all of an
environment that draws from its own generator alone; on the host there are environments that are in
that place already. So the callback is a pure function, which may be repeated or left out; a step
that is undone, or a run that goes on from a checkpoint, finds its episodes by playing them again.
"""

import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxdl import errors
from jaxdl.envs import draws
from jaxdl.envs.environment import Environment
from jaxdl.envs.look import observed
from jaxdl.errors import UserError, one_line

# Episodes that are remembered: so many, or as many as make several calls of the largest so far.
EPISODES, CALLS = 1024, 16
# Steps, or seconds, to see whether an environment keeps to its spaces and how fast it is.
TRIAL_STEPS, TRIAL_SECONDS = 200, 0.05


class State(NamedTuple):
    """Of one environment.

    Attributes:
      seed: of its episode, (2,) uint32; gymnasium gets the first 31 bits.
      steps: of the episode so far, int32.
      actions: that were taken, (max_steps,) int32 or (max_steps, action_size) float32; of no
        meaning from ``steps`` on.
      truncated: whether gymnasium cut the episode off here, bool.
      observation: of this state, (observation_size,) float32.
      start: the observation that the next episode begins with where this one ends, of that shape.
    """

    seed: jax.Array
    steps: jax.Array
    actions: jax.Array
    truncated: jax.Array
    observation: jax.Array
    start: jax.Array


class Result(NamedTuple):
    """What a step came to; the arrays' axes in front are of environments."""

    observation: Any
    reward: Any
    terminated: Any
    truncated: Any
    start: Any


class _Episode:
    """An environment in the middle of an episode, or what is known of one that is over.

    Attributes:
      world: gymnasium's; None where the episode is over.
      past: bytes of its actions so far, but the last one.
      last: bytes of the last one, None before any.
      result: of the last one.
    """

    def __init__(self, world: Any):
        self.world = world
        self.past, self.last, self.result = b"", None, None


def create(name: str) -> Environment:
    """The environment that ``gymnasium.make`` makes of ``name``.

    Observations are laid out in a row as `gymnasium.spaces.flatten` does.

    Raises:
      UserError: gymnasium is not installed, or cannot make it; it has no time limit; its actions
        are neither `Discrete` nor a `Box` with bounds; or it does not keep to its spaces.
    """
    make, world = _made(name)
    limit = world.spec.max_episode_steps if world.spec else None
    if not limit:
        raise UserError(
            f"gymnasium's {name} has no time limit: register it with one, "
            "gymnasium.register(…, max_episode_steps=200)"
        )
    flat = _flat(name, world.observation_space)
    actions, take = _actions(name, world.action_space)
    space = world.observation_space
    host = Host(f"gymnasium's {name}", make, _size(space), limit, flat, take)
    rate = _tried(name, world, flat)
    errors.note(
        f"gymnasium's {name} is stepped in Python on the host, one environment after another: at "
        f"most about {rate:,.0f} steps a second on this machine, whatever the device"
    )
    return on_host(host, actions, space.shape or None)


class Host:
    """Environments on the host, found by the seed and the actions of their episodes.

    Where one raises an exception, that is put off, and all of it is NaN from there on: a callback
    that raises would end the program with a traceback of XLA's.

    Args:
      name: what messages call it.
      make: a new one.
      size: of an observation.
      limit: steps of an episode at most.
      flat: an observation of theirs as a row of float32.
      take: an action of ours as one of theirs.
    """

    def __init__(
        self,
        name: str,
        make: Callable[[], Any],
        size: int,
        limit: int,
        flat: Callable[[Any], np.ndarray],
        take: Callable[[np.ndarray], Any],
    ):
        self.size, self.limit = size, limit
        self._name, self._make, self._flat, self._take = name, make, flat, take
        self._failed = False
        # By seed, and place in a call: members of a population may have the same seeds.
        self._episodes: OrderedDict[tuple[int, int, int], _Episode] = OrderedDict()
        self._free: list[Any] = []
        self._most = EPISODES
        # Programs may run side by side.
        self._lock = threading.Lock()

    def start(self, seed: Any) -> np.ndarray:
        """The first observations (…, size) of the episodes of seeds (…, 2)."""
        seed = np.asarray(seed)
        rows = seed.reshape(-1, 2)
        with self._lock:
            self._most = max(self._most, CALLS * len(rows))
            seen = [
                self._guarded(self._nothing, 0, None, self._begin, one, row)
                for row, one in enumerate(rows)
            ]
        return np.stack(seen).reshape(*seed.shape[:-1], -1)

    def step(self, seed: Any, following: Any, steps: Any, actions: Any, action: Any) -> Result:
        """One step of each environment.

        Args:
          seed: (…, 2), of the episodes.
          following: (…, 2), of those after them.
          steps: (…), taken already.
          actions: (…, limit) or (…, limit, action_size), by which.
          action: (…) or (…, action_size), to take.
        """
        seed, following, steps, actions, action = map(
            np.asarray, (seed, following, steps, actions, action)
        )
        front = steps.shape
        flat = lambda x: x.reshape(-1, *x.shape[len(front) :])
        rows = list(zip(*map(flat, (seed, following, steps, actions, action)), strict=True))
        with self._lock:
            self._most = max(self._most, CALLS * len(rows))
            found = [
                self._guarded(self._no_result, int(one[2]) + 1, one[-1], self._step, row, *one)
                for row, one in enumerate(rows)
            ]
        dtypes = (np.float32, np.float32, np.bool_, np.bool_, np.float32)
        stacked = (np.array(x, d) for x, d in zip(zip(*found, strict=True), dtypes, strict=True))
        return Result(*(x.reshape((*front, *x.shape[1:])) for x in stacked))

    def _nothing(self) -> np.ndarray:
        return np.full(self.size, np.nan, np.float32)

    def _no_result(self) -> Result:
        return Result(self._nothing(), np.nan, False, False, self._nothing())

    def _guarded(
        self, instead: Callable[[], Any], step: int, action: Any, do: Callable, *given: Any
    ) -> Any:
        """What ``do`` comes to, or ``instead()`` once an environment has raised an exception."""
        if self._failed:
            return instead()
        try:
            return do(*given)
        except Exception as error:  # any: it is of the user's own code
            self._failed = True
            when = f"step {step} of an episode, for action {action.tolist()}" if step else "reset"
            failed = _failed(self._name, when, error)
            failed.__cause__ = error
            errors.put_off(failed)
            return instead()

    def _step(
        self, row: int, seed: np.ndarray, following: np.ndarray, steps: np.ndarray,
        actions: np.ndarray, action: np.ndarray,
    ) -> Result:  # fmt: skip
        past, now = actions[:steps].tobytes(), action.tobytes()
        name = (int(seed[0]), int(seed[1]), row)
        own = self._episodes.get(name)
        if own is not None and (own.past, own.last) == (past, now):
            self._episodes.move_to_end(name)
            return own.result
        if own is None or own.world is None or own.past + (own.last or b"") != past:
            self._begin(seed, row)
            own = self._episodes[name]
            for before in actions[:steps]:
                own.world.step(self._take(before))
        self._episodes.move_to_end(name)
        seen, reward, terminated, truncated, _ = own.world.step(self._take(action))
        terminated, truncated = bool(terminated), bool(truncated)
        seen = self._flat(seen)
        start = np.zeros_like(seen)
        own.past, own.last = past, now
        if terminated or truncated or steps + 1 >= self.limit:
            self._free.append(own.world)
            own.world = None
            start = self._begin(following, row)
        own.result = Result(seen, float(reward), terminated, truncated, start)
        return own.result

    def _begin(self, seed: np.ndarray, row: int) -> np.ndarray:
        """An environment at the start of an episode, and what it shows."""
        name = (int(seed[0]), int(seed[1]), row)
        self._let_go(self._episodes.pop(name, None))
        while len(self._episodes) >= self._most:
            self._let_go(self._episodes.popitem(last=False)[1])
        own = _Episode(self._free.pop() if self._free else self._make())
        self._episodes[name] = own
        return self._flat(own.world.reset(seed=int(seed[0]) >> 1)[0])

    def _let_go(self, own: _Episode | None) -> None:
        if own is not None and own.world is not None:
            self._free.append(own.world)


def on_host(
    host: Host, actions: dict[str, Any], shape: tuple[int, ...] | None = None
) -> Environment:
    """The environment of those on a host.

    Args:
      host: that has them.
      actions: what `Environment` says of its actions, by name.
      shape: in which an observation is drawn; None is a row.
    """
    size, limit = host.size, host.limit
    shape = shape or (size,)
    seen = jax.ShapeDtypeStruct((size,), jnp.float32)
    flag, number = (jax.ShapeDtypeStruct((), dtype) for dtype in (jnp.bool_, jnp.float32))
    calls = dict(vmap_method="broadcast_all")

    def begun(seed: jax.Array, observation: jax.Array, actions: jax.Array) -> State:
        return State(
            seed, jnp.int32(0), actions, jnp.bool_(False), observation, jnp.zeros_like(observation)
        )

    def reset(key: jax.Array) -> tuple[State, jax.Array]:
        seed = jax.random.bits(key, (2,), jnp.uint32)
        observation = jax.pure_callback(host.start, seen, seed, **calls)
        one = jnp.zeros((limit,), jnp.int32)
        if size_of := actions.get("action_size"):
            one = jnp.zeros((limit, size_of), jnp.float32)
        return begun(seed, observation, one), observation

    def step(state: State, action: jax.Array) -> tuple[State, jax.Array, jax.Array, jax.Array]:
        action = jnp.asarray(action, state.actions.dtype)
        found = jax.pure_callback(
            host.step, Result(seen, number, flag, flag, seen), state.seed, _next(state.seed),
            state.steps, state.actions, action, **calls,
        )  # fmt: skip
        after = State(
            state.seed,
            state.steps + 1,
            state.actions.at[state.steps].set(action),
            found.truncated,
            found.observation,
            found.start,
        )
        return after, found.observation, found.reward, found.terminated

    return Environment(
        reset,
        step,
        draw=lambda axes, state: observed(axes, state.observation.reshape(shape)),
        observation_size=size,
        max_steps=limit,
        truncated=lambda state: state.truncated,
        again=lambda state: (begun(_next(state.seed), state.start, state.actions), state.start),
        **actions,
    )


def _next(seed: jax.Array) -> jax.Array:
    """The seed (2,) of the episode after that of a seed (2,)."""
    return jax.random.bits(draws.of_words(seed), (2,), jnp.uint32)


def _made(name: str) -> tuple[Callable[[], Any], Any]:
    """What makes an environment, and one."""
    try:
        import gymnasium
    except ImportError as error:
        raise UserError(
            f"env='gymnasium:{name}' needs gymnasium: pip install -e '.[gymnasium]'"
        ) from error
    # Its own checks of every step would be made in each environment.
    make = lambda: gymnasium.make(name, disable_env_checker=True)
    try:
        return make, make()
    except (gymnasium.error.Error, ImportError) as error:
        raise UserError(f"gymnasium cannot make {name!r}: {one_line(error)}") from error
    except Exception as error:  # any: it is of the user's own code
        raise _failed(f"gymnasium's {name}", "its making", error) from error


def _size(space: Any) -> int:
    from gymnasium import spaces

    return int(spaces.flatdim(space))


def _flat(name: str, space: Any) -> Callable[[Any], np.ndarray]:
    """An observation as a row of float32."""
    from gymnasium import spaces

    if isinstance(space, spaces.Box):
        return lambda seen: np.asarray(seen, np.float32).ravel()
    if not space.is_np_flattenable:
        raise UserError(f"gymnasium's {name} shows {space}: it cannot be laid out in a row")
    return lambda seen: np.asarray(spaces.flatten(space, seen), np.float32)


def _actions(name: str, space: Any) -> tuple[dict[str, Any], Callable[[np.ndarray], Any]]:
    """What `Environment` says of its actions, and from one of ours to gymnasium's."""
    from gymnasium import spaces

    if isinstance(space, spaces.Discrete):
        first = int(space.start)
        return dict(actions=int(space.n)), lambda action: first + int(action)
    if not isinstance(space, spaces.Box) or not np.issubdtype(space.dtype, np.floating):
        raise UserError(
            f"gymnasium's {name} takes {space}: only a Discrete, or a Box of floats, is taken"
        )
    low, high = (np.float32(x).ravel() for x in (space.low, space.high))
    if not (np.isfinite(low).all() and np.isfinite(high).all()):
        raise UserError(
            f"gymnasium's {name} takes {space}, without bounds: wrap it in "
            "gymnasium.wrappers.RescaleAction, or give its Box finite ones"
        )
    # The largest float32 may be above the largest number of a Box of doubles.
    take = lambda action: np.clip(action.reshape(space.shape), space.low, space.high).astype(
        space.dtype
    )
    return dict(action_size=math.prod(space.shape), action_low=low, action_high=high), take


def _tried(name: str, world: Any, flat: Callable[[Any], np.ndarray]) -> float:
    """Steps a second of a few random ones, which must keep to what the environment says.

    Raises:
      UserError: they do not.
    """
    size = _size(world.observation_space)
    world.action_space.seed(0)
    began, over, steps = time.perf_counter(), True, 0
    while steps < TRIAL_STEPS and time.perf_counter() - began < TRIAL_SECONDS:
        when = "reset"
        try:
            first = world.reset(seed=steps)[0] if over else None
            when = f"step {steps + 1} of random ones"
            seen, reward, terminated, truncated, _ = world.step(world.action_space.sample())
        except Exception as error:  # any: it is of the user's own code
            raise _failed(f"gymnasium's {name}", when, error) from error
        if over:
            _check(name, "reset", first, size, flat)
        steps, over = steps + 1, terminated or truncated
        _check(name, "step", seen, size, flat)
        if not np.isfinite(np.float32(reward)):
            raise UserError(
                f"gymnasium's {name} gave a reward of {reward} at step {steps} of random ones: "
                "rewards must be finite"
            )
    return steps / (time.perf_counter() - began)


def _failed(name: str, when: str, error: Exception) -> UserError:
    """One line of an exception of an environment's own; --debug shows where it came from."""
    said = one_line(error)
    kind = type(error).__name__
    return UserError(f"{name} failed at {when}: {kind if said == kind else f'{kind}: {said}'}")


def _check(name: str, by: str, seen: Any, size: int, flat: Callable[[Any], np.ndarray]) -> None:
    try:
        found: Sequence[int] = flat(seen).shape
    except (ValueError, TypeError, KeyError, IndexError) as error:
        raise UserError(
            f"gymnasium's {name}: {by} shows what is not in its observation_space: "
            f"{one_line(error)}"
        ) from error
    if found != (size,):
        raise UserError(
            f"gymnasium's {name}: {by} shows {math.prod(found)} numbers, and observation_space has "
            f"{size}"
        )
