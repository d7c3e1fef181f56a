"""Schedules, predictions and ways of sampling are diffusers' where these are the papers'."""

import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.generate import diffusion, inpainting

HERE = Path(__file__).parent / "golden"
sys.path.insert(0, str(HERE))

import seeded  # noqa: E402

# Of golden/make_diffusion.py.
GOLDEN = np.load(HERE / "diffusion.npz")
SHAPE, TIMESTEPS = (3, 4, 4, 2), 40
WAYS = ((250, 10, 10), (20, 4, 3), (12, 5, 2), (7, 7, 4))
X, NOISE = (seeded.normal(name, SHAPE) for name in ("x", "noise"))


def answer(x, t):
    return 0.4 * jnp.sin(3 * x) + 0.1 * x + 0.02 * t.reshape(-1, 1, 1, 1)


def noises(name, count):
    return np.stack([seeded.normal(f"{name}/{i}", SHAPE) for i in range(count)])


@pytest.fixture(autouse=True)
def wide():
    with jax.enable_x64(True):
        yield


@pytest.mark.parametrize("schedule", diffusion.SCHEDULES)
def test_schedules_have_diffusers_shares_of_signal(schedule):
    for timesteps in (1000, TIMESTEPS):
        wanted = GOLDEN[f"{schedule}/signal/{timesteps}"]  # of variances in float32
        np.testing.assert_allclose(
            diffusion.signal_shares(schedule, timesteps), wanted, rtol=3e-5, atol=1e-12
        )


@pytest.mark.parametrize("schedule", diffusion.SCHEDULES)
def test_noise_and_v_are_diffusers(schedule):
    signal = GOLDEN[f"{schedule}/signal/{TIMESTEPS}"][[0, 17, 39]]
    noisy = diffusion.add_noise(X, NOISE, signal)
    np.testing.assert_allclose(noisy, GOLDEN[f"{schedule}/noisy"], rtol=1e-12)
    v = diffusion.target("v", X, NOISE, signal)
    np.testing.assert_allclose(v, GOLDEN[f"{schedule}/v"], rtol=1e-12)


@pytest.mark.parametrize("prediction", diffusion.PREDICTIONS)
def test_steps_are_diffusers_whatever_is_predicted(prediction):
    image_of = diffusion.PREDICTIONS[prediction].image

    @jax.jit
    def sampled(rows, fresh):
        step = lambda x, now: (diffusion.step_back(answer, image_of, x, *now), None)
        return jax.lax.scan(step, jnp.asarray(X), (rows, fresh))[0]

    for schedule in diffusion.SCHEDULES:
        signal = GOLDEN[f"{schedule}/signal/{TIMESTEPS}"]
        for steps, eta, name in ((TIMESTEPS, 1.0, "ancestral"), (5, 0.0, "0.0"), (5, 0.5, "0.5")):
            name = f"{schedule}/{prediction}/{name}"
            chosen = diffusion.chosen_steps(TIMESTEPS, steps)
            rows = diffusion.steps_back(signal, chosen, eta)
            np.testing.assert_allclose(
                sampled(rows, noises(name, steps)), GOLDEN[name], rtol=1e-6, atol=1e-9
            )


@pytest.mark.parametrize("way", WAYS)
def test_levels_are_passed_in_repaints_order(way):
    steps, jump, resamplings = way
    passed = inpainting.levels(steps, jump, resamplings)
    wanted = GOLDEN[f"levels/{steps}_{jump}_{resamplings}"]
    np.testing.assert_array_equal(passed, [*wanted, -1])
    assert (np.abs(np.diff(passed)) == 1).all()


def test_moves_are_repaints():
    image_of = diffusion.PREDICTIONS["epsilon"].image
    missing = seeded.normal("missing", SHAPE[1:3]) > 0
    known = jnp.clip(NOISE, -1, 1)

    @jax.jit
    def completed(table, noise, signal):
        def network(x, t):
            image = 0.9 * jnp.sin(2 * x + 0.1 * t.reshape(-1, 1, 1, 1))
            left = signal[t].reshape(-1, 1, 1, 1)
            return (x - jnp.sqrt(left) * image) / jnp.sqrt(1 - left)

        def go(x, now):
            return inpainting.move(network, image_of, known, missing[..., None], x, *now), None

        return jax.lax.scan(go, jnp.asarray(X), (table, noise))[0]

    for schedule in diffusion.SCHEDULES:
        signal = GOLDEN[f"{schedule}/signal/{TIMESTEPS}"]
        table = inpainting.moves(signal, TIMESTEPS, 4, 3, 1.0)
        noise = noises(f"{schedule}/repaint", len(table.up))
        found = completed(table, noise, signal)
        np.testing.assert_allclose(found, GOLDEN[f"{schedule}/repaint"], rtol=1e-6, atol=1e-9)
        np.testing.assert_array_equal(found[:, ~missing], known[:, ~missing])
