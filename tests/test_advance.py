"""The compiled heart of the loop: each step has the key of its own number, and counts once."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl import keys, tasks
from jaxdl.metrics import Mean
from jaxdl.train import advance

STEPS = 6


def train_step(state, batch, key):
    """Keeps what it drew, in order; a batch of 1 makes its metric non-finite."""
    drawn = jax.random.uniform(key, (), jnp.float32)
    state = {"drawn": state["drawn"].at[state["count"]].set(drawn), "count": state["count"] + 1}
    return state, {"loss": Mean.once(jnp.where(batch["bad"], jnp.nan, drawn))}


TASK = tasks.Task(init=lambda key, batch: None, train_step=train_step)


def run(calls, bad=(), first=0):
    """The carry after calls of these numbers of updates, from step ``first``."""
    state = {"drawn": jnp.zeros(STEPS, jnp.float32), "count": jnp.int32(0)}
    window = {"loss": Mean(jnp.float32(0), jnp.float32(0))}
    carry = advance.Carry(state, jnp.int32(first), window, jnp.bool_(True))
    go, step = jax.jit(advance.create(TASK)), 0
    for count in calls:
        flags = np.array([step + i in bad for i in range(STEPS)])
        carry, status = go(carry, keys.root(0), {"bad": jnp.asarray(flags)}, jnp.int32(count))
        step += count
    return carry, status


@pytest.mark.parametrize("calls", [(6,), (1, 5), (2, 2, 2)])
@pytest.mark.parametrize("first", [0, 100])
def test_a_steps_key_is_that_of_its_number_wherever_calls_are_cut(calls, first):
    carry, status = run(calls, first=first)
    wanted = [jax.random.uniform(keys.at_step(keys.root(0), first + i)) for i in range(STEPS)]
    np.testing.assert_array_equal(carry.state["drawn"], np.array(wanted))
    assert len(set(carry.state["drawn"].tolist())) == STEPS
    assert int(status.step) == first + STEPS
    assert float(carry.window["loss"].weight) == STEPS


def test_a_step_that_is_not_finite_leaves_everything_as_it_was():
    carry, status = run((6,), bad=(3,))
    assert int(status.step) == 3
    assert not status.active
    assert int(carry.state["count"]) == 3
    assert np.isfinite(float(carry.window["loss"].total))
