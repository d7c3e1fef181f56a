"""What an environment says of itself, and whether it keeps to it: nothing is run for it."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxdl.envs import Environment
from jaxdl.errors import UserError
from jaxdl.trees import leaf_names


def check(env: Environment) -> None:
    """Raises UserError for the first thing that is not as `jaxdl.envs.Environment` has it.

    By shapes and dtypes alone, as they are traced: nothing is computed, and no device is touched.
    """
    try:
        _numbers(env)
        key = jax.eval_shape(lambda: jax.random.key(0))
        state, observation = _pair(env.reset, key)
        _is("reset", "an observation", observation, jnp.float32, (env.observation_size,))
        action = jax.ShapeDtypeStruct((), jnp.int32)
        if not env.actions:
            action = jax.ShapeDtypeStruct((env.action_size,), jnp.float32)
        after, observation, reward, terminated = _four(env.step, state, action)
        _is("step", "an observation", observation, jnp.float32, (env.observation_size,))
        _is("step", "a reward", reward, jnp.float32, ())
        _is("step", "terminated", terminated, jnp.bool_, ())
        _same(state, after)
    except UserError as error:
        raise UserError(f"environment {env.name!r}: {error}") from None


def _numbers(env: Environment) -> None:
    """What is declared is some environment's."""
    if bool(env.actions) == bool(env.action_size):
        raise UserError(
            f"actions={env.actions} and action_size={env.action_size}: one of them, how many "
            "discrete actions there are or numbers in a continuous one, must be at least 1 and the "
            "other None"
        )
    for name in ("actions", "action_size", "observation_size", "max_steps"):
        value = getattr(env, name)
        if value is not None and not (isinstance(value, int | np.integer) and value >= 1):
            raise UserError(f"{name}={value} must be a whole number, at least 1")
    if env.actions:
        return
    for name in ("action_low", "action_high"):
        shape = np.shape(getattr(env, name))
        if shape not in ((), (env.action_size,)):
            raise UserError(
                f"{name} has shape {shape}: it must be a number, or ({env.action_size},)"
            )
    low, high = np.float64(env.action_low), np.float64(env.action_high)
    if not (np.isfinite(low).all() and np.isfinite(high).all() and (low < high).all()):
        raise UserError(
            f"action_low={env.action_low} and action_high={env.action_high}: both must be finite, "
            "and the first below the second"
        )


def _pair(reset: Any, key: Any) -> Any:
    found = jax.eval_shape(reset, key)
    if not isinstance(found, tuple) or len(found) != 2:
        raise UserError("reset must return (state, observation)")
    return found


def _four(step: Any, state: Any, action: Any) -> Any:
    found = jax.eval_shape(step, state, action)
    if not isinstance(found, tuple) or len(found) != 4:
        raise UserError("step must return (state, observation, reward, terminated)")
    return found


def _is(by: str, what: str, x: Any, dtype: Any, shape: tuple[int, ...]) -> None:
    found = _text(x)
    # With 64 bits enabled a float may be a double.
    wide = dtype == jnp.float32 and getattr(x, "dtype", None) == jnp.float64
    wanted = _text(jax.ShapeDtypeStruct(shape, x.dtype if wide else dtype))
    if found != wanted:
        raise UserError(f"{by} returns {what} {found}: it must be {wanted}")


def _same(before: Any, after: Any) -> None:
    """Raises UserError unless two states have the same leaves."""
    if (one := jax.tree.structure(before)) != (two := jax.tree.structure(after)):
        raise UserError(f"reset returns a state {one}, step {two}: they must be the same")
    for name, a, b in zip(
        leaf_names(before), jax.tree.leaves(before), jax.tree.leaves(after), strict=True
    ):
        if _text(a) != _text(b):
            of = f"the state's {name}" if name else "the state"
            raise UserError(f"reset returns {of} as {_text(a)}, step as {_text(b)}")


def _text(x: Any) -> str:
    """Such as ``float32 (4,)``."""
    return f"{x.dtype} {tuple(x.shape)}" if hasattr(x, "dtype") else type(x).__name__
