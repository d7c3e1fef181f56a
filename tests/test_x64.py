"""With jax_enable_x64, as research code often has it: the same runs, in float32 as ever."""

import contextlib

import jax
import numpy as np
import pytest
from launching import figures, leaves, run

ONE_STEP = ("--config.steps=1", "--config.batch_size=8", "--config.log.every=1")
TINY_CODE = ("--config.model.hidden=(8,)",)
TINY_AGENT = ("--config.task.rollout=8",)
TINY_UNET = (
    *("--config.model.width=8", "--config.model.groups=2", "--config.model.multipliers=(1,)"),
    *("--config.task.timesteps=20", "--config.task.sampling_steps=2"),
    *("--config.task.ancestral_steps=2", "--config.data.test_fraction=.05"),
)
TINY_TEXT = (
    "--config.data.context=16",
    "--config.data.stride=16",
    "--config.data.test_fraction=.01",
)
TINY_SERIES = ("--config.model.hidden=8", "--config.data.length=1000", "--config.data.window=32",
               "--config.data.stride=8", "--config.task.skip=8")  # fmt: skip
AUGMENTED = (
    *("--config.augment.crop=.5", "--config.augment.flip=true", "--config.augment.mixup=.8"),
    *("--config.augment.cutmix=1.", "--config.augment.contrast=.3", "--config.augment.shift=1"),
)
# One a kind of task, and what draws in a way of its own.
KINDS = {
    "mlp": ("--config.model.hidden=(8,)", *AUGMENTED),
    "gpt": ("--config.model.depth=1", "--config.model.width=16", *TINY_TEXT),
    "lstm:mackey_glass": TINY_SERIES,
    "gcn": (),
    "autoencoder:denoising": TINY_CODE,
    "vae": TINY_CODE,
    "wgan": ("--config.model.width=8", "--config.data.test_fraction=.05"),
    "ddpm": TINY_UNET,
    "dqn": (*TINY_AGENT, "--config.task.capacity=1024", "--config.task.examples=16"),
    "ppo:acrobot": TINY_AGENT,
    "ppo:pendulum": TINY_AGENT,
    "q_learning": ("--config.task.transitions=10",),
}


@contextlib.contextmanager
def wide():
    """For all threads, as the environment variables would have it."""
    settings = ("jax_enable_x64", "jax_debug_nans", "jax_check_tracer_leaks")
    before = {name: getattr(jax.config, name) for name in settings}
    try:
        for name in settings:
            jax.config.update(name, True)
        yield
    finally:
        for name, value in before.items():
            jax.config.update(name, value)


# Those that did not begin so before their draws named a dtype; the others are traced alike.
DAILY = ("vae", "ddpm", "dqn", "ppo:pendulum")


@pytest.mark.parametrize(
    "name",
    [n if n in DAILY else pytest.param(n, marks=pytest.mark.slow(n, last=True)) for n in KINDS],
)
def test_runs_are_the_same(name, tmp_path):
    def launched(folder):
        assert run(name, folder, *ONE_STEP, *KINDS[name]) == 0
        return [figures(folder, split)[0] for split in ("train", "eval")], leaves(folder)

    found, state = launched(tmp_path / "narrow")
    with wide():
        again, wide_state = launched(tmp_path / "wide")
    for ours, theirs in zip(again, found, strict=True):
        assert ours.keys() == theirs.keys()
        for key, value in theirs.items():
            if key != "split" and value is None:  # of no episode that ended
                assert ours[key] is None
            elif key != "split":
                assert ours[key] == pytest.approx(value, rel=1e-4, abs=1e-6), key
    for ours, theirs in zip(wide_state, state, strict=True):
        if np.issubdtype(theirs.dtype, np.inexact):
            np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=1e-5 * np.abs(theirs).max())
        else:
            np.testing.assert_array_equal(ours, theirs)
