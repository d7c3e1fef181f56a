"""With jax_enable_x64, as research code often has it: the same runs, in float32 as ever."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny
from launching import figures, leaves, run
from wide import numbers_of_64_bits, wide

from jaxdl import envs, keys, metrics
from jaxdl.control import policies, returns, tabular
from jaxdl.data import augment
from jaxdl.envs import tabular as worlds

# Optax keeps the three coefficients of muon in the widest float that there is.
WIDE_NUMBERS = {"gpt": 3, "t5:numbers": 3, "whisper:ctc": 3}


# Of those whose draws a loop carries on, and which end in a TypeError where one is wider.
DAILY = ("vae", "dqn", "ppo")


@pytest.mark.parametrize(
    "name",
    [
        name if name in DAILY else pytest.param(name, marks=pytest.mark.slow(name, last=True))
        for name in tiny.FINISHED
        if name not in tiny.FOR_USERS
    ],
)
def test_runs_are_the_same(name, finished, tmp_path):
    """As far as the first figures; later ones have had time to differ by rounding."""
    narrow = finished(name)
    with wide():
        flags = (*tiny.of_finished(name), "--config.log.report=false")
        assert run(name, tmp_path, *flags) == 0
    for split in ("train", "eval"):
        ours, theirs = (figures(folder, split)[0] for folder in (tmp_path, narrow))
        assert ours.keys() == theirs.keys()
        for key, value in theirs.items():
            # None is of no episode that ended.
            same = value if value is None or key == "split" else pytest.approx(value, 1e-3, 1e-5)
            assert ours[key] == same, key
    with wide():  # what it wrote with them in 64 bits is read so
        assert numbers_of_64_bits(leaves(tmp_path)) == WIDE_NUMBERS.get(name, 0)


AUGMENT = dict(
    crop=0.5, rotate=10.0, zoom=0.1, shear=0.1, shift=1, flip=True, brightness=0.3, contrast=0.3,
    saturation=0.3, mixup=0.0, cutmix=0.0,
)  # fmt: skip


@pytest.mark.parametrize(
    "change",
    [{}, {"mixup": 0.8}, {"cutmix": 1.0}, {"rotate": 0.0, "zoom": 0.0, "shear": 0.0}],
    ids=["all", "mixup", "cutmix", "shift"],
)
def test_augmentation_draws_the_same(change):
    rng = np.random.default_rng(0)
    batch = {
        "image": rng.uniform(size=(6, 8, 8, 3)).astype(np.float32),
        "label": np.arange(6, dtype=np.int32),
    }

    def found():
        change_batch = jax.jit(augment.create({**AUGMENT, **change}, num_classes=6))
        return jax.device_get(change_batch(keys.root(1), batch))

    narrow = found()
    with wide():
        again = found()
    for name, array in narrow.items():
        assert again[name].dtype == array.dtype
        np.testing.assert_allclose(again[name], array, atol=1e-5)


# Of float64 the functions that research code calls make float64.


@pytest.mark.parametrize("name", envs.names())
def test_environments_keep_the_dtype_of_their_state(name):
    env = envs.create(name)
    with wide():
        state, _ = jax.eval_shape(env.reset, keys.root(0))
        assert state.dtype == jnp.float32
        for dtype in (jnp.float32, jnp.float64):
            action = jnp.int32(0) if env.actions else jnp.zeros(env.action_size, dtype)
            after, seen, reward, _ = jax.eval_shape(env.step, jnp.zeros(state.shape, dtype), action)
            assert after.dtype == seen.dtype == dtype
            assert reward.dtype in (jnp.float32, dtype)


def test_metrics_and_control_given_float64_answer_in_float64():
    with wide(), jax.numpy_rank_promotion("raise"), jax.numpy_dtype_promotion("strict"):
        x = jnp.linspace(-1, 1, 12, dtype=jnp.float64).reshape(3, 4)
        ends, action = jnp.zeros(x.shape, bool), jnp.zeros(3, jnp.int32)
        categorical, gaussian = policies.Categorical(x), policies.Gaussian(x, x[0])
        world = worlds.create("frozen_lake")
        exact = jax.tree.map(lambda a: jnp.asarray(a, jnp.float64), (world.probability,) * 2)
        world = world._replace(probability=exact[0], reward=jnp.float64(world.reward))
        answers = (
            metrics.Mean.of(x[0], jnp.ones(4, jnp.float64)), metrics.Mean.once(x[0, 0]),
            returns.gae(x, x, x, ends, ends, 0.9, 0.8), gaussian.log_prob(x), gaussian.entropy(),
            categorical.log_prob(action), categorical.entropy(),
            tabular.value_iteration(world, 0.9, sweeps=3),
            tabular.action_values(world, jnp.zeros(16, x.dtype), 1.0),
        )  # fmt: skip
        assert {a.dtype for a in jax.tree.leaves(answers)} == {jnp.dtype(jnp.float64)}
        narrow = metrics.Mean.once(0.1), metrics.Mean.once(jnp.bfloat16(1))
        assert {a.dtype for a in jax.tree.leaves(narrow)} == {jnp.dtype(jnp.float32)}
