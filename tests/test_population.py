"""Populations: a member equals the run with its seed and setting by itself."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from launching import ROOT, SHORT

from jaxdl import experiment, keys, population
from jaxdl import flags as flags_of

# What makes each kind of learning small; a setting that its step takes as a traced number, and two
# values of it; seeds.
KINDS = {
    "mlp": (
        ("--config.model.hidden=16", "--config.model.dropout=.1"),
        ("optimizer.learning_rate", 1e-3, 1e-2),
        2,
    ),
    "dcgan": (("--config.model.widths=8,4",), ("task.discriminator_rate", 1.0, 2.0), 0),
    "ddpm": (
        (
            *("--config.model.width=8", "--config.model.groups=2"),
            *("--config.model.multipliers=(1,)", "--config.task.timesteps=20"),
            *("--config.task.sampling_steps=2", "--config.task.ancestral_steps=0"),
        ),
        ("task.drop_label", 0.1, 0.3),
        0,
    ),
    "gcn": ((), ("model.dropout", 0.2, 0.5), 2),
    "ppo": (("--config.task.rollout=16",), ("task.clip_ratio", 0.1, 0.3), 2),
}


def made(name, *flags):
    """An experiment as the launcher makes it."""
    file = f"--config={ROOT / 'experiments' / name}.py"
    return experiment.create(flags_of.parse([file, *SHORT, *flags]).config)


def after_steps(one, count=3):
    """The state after a few updates, and the last update's metrics."""
    state, step = one.init_state(), jax.jit(one.task.train_step)
    for i in range(count):
        state, found = step(state, one.batch(i), keys.at_step(one.key, i))
    return state, found


@pytest.mark.parametrize("name", KINDS)
def test_members_equal_runs_by_themselves(name):
    small, (setting, low, high), seeds = KINDS[name]
    sweep = f"--config.sweep={setting}={low},{high}"
    whole = made(name, *small, f"--config.population={seeds}", sweep)
    last = whole.members[-1]
    assert (last.seed, last.settings) == (max(0, seeds - 1), {setting: high})
    own = (f"--config.seed={last.seed}", f"--config.{setting}={high}", "--config.log.layers=false")
    state, found = population.take(after_steps(whole), -1)
    assert_close(after_steps(made(name, *small, *own)), (state.own, found))


def assert_close(single, member):
    """Equal within float32 rounding, and exactly where they are no floats."""
    for a, b in zip(jax.tree.leaves(single), jax.tree.leaves(member), strict=True):
        if jnp.issubdtype(a.dtype, jax.dtypes.prng_key):
            a, b = jax.random.key_data(a), jax.random.key_data(b)
        if jnp.issubdtype(a.dtype, jnp.floating):
            np.testing.assert_allclose(b, a, rtol=2e-4, atol=2e-5)
        else:
            np.testing.assert_array_equal(b, a)
