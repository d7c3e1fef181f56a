"""Experiments begin: none keeps a compiler busy for more than a minute, and none hangs in it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import jax
import pytest
from launching import ROOT

from jaxdl import experiment
from jaxdl.launch import flags

# Seconds of processor time, for all programs of an experiment together.
BUDGET = 60

# Every experiment with its variants. Published sizes, of which two sizes differ in numbers alone:
# the largest that 24 GB of memory hold.
VARIANTS = {
    "alexnet": ("digits", "imagenet"),
    "autoencoder": ("vanilla", "linear", "denoising", "sparse", "anomaly"),
    "coatnet": ("digits", "0"),
    "convnext": ("digits", "T"),
    "cvt": ("digits", "13"),
    "dcgan": ("",),
    "ddpm": ("",),
    "deep_cnn": ("",),
    "dqn": ("",),
    "efficientnet": ("digits", "b0"),
    "gcn": ("karate", "digits"),
    "googlenet": ("digits", "imagenet"),
    "gpt": ("tiny", "S"),
    "gru": ("text", "digits", "mackey_glass"),
    "lenet": ("",),
    "lstm": ("text", "digits", "mackey_glass"),
    "mlp": ("",),
    "mobilevit": ("digits", "s"),
    "optimizers": ("sgd", "momentum", "rmsprop", "adam", "adamw"),
    "ppo": ("cartpole", "acrobot", "pendulum"),
    "q_learning": ("frozen_lake", "frozen_lake_8x8", "taxi", "cliff_walking"),
    "resnet": ("digits", "50"),
    "rnn": ("text", "digits", "mackey_glass"),
    "transfer": ("transfer", "pretrain"),  # the variant published needs a checkpoint
    "vae": ("8", "2", "16"),
    "vgg": ("digits", "16"),
    "vit": ("digits", "B/16"),
    "wgan": ("gradient_penalty", "clip"),
}
PUBLISHED = {"imagenet", "0", "T", "13", "b0", "S", "s", "50", "B/16"} | {("vgg", "16")}


def config(name, variant=""):
    return f"--config={ROOT / 'experiments' / name}.py" + (f":{variant}" if variant else "")


@pytest.mark.parametrize("name, variant", [("lstm", "text"), ("vit", "digits")])
@pytest.mark.timeout(120)
def test_initial_states_compile(name, variant):
    """At the size that is shipped: keys below keys below keys, and a few matrices drawn by each."""
    made = experiment.create(
        flags.parse([config(name, variant), "--config.parallel.data=1"]).config
    )
    state = made.init_state()
    found, wanted = jax.eval_shape(lambda x: x, state), made.abstract_state
    assert jax.tree.map(lambda x: (x.shape, x.dtype), found) == jax.tree.map(
        lambda x: (x.shape, x.dtype), wanted
    )


def begin(*arguments, devices=1):
    """Seconds by `compiling.begin` in a process of its own, killed if it takes too many."""
    done = subprocess.run(
        [sys.executable, str(ROOT / "tests" / "compiling.py"), *arguments],
        env={
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "XLA_FLAGS": f"--xla_force_host_platform_device_count={devices}",
        },
        capture_output=True,
        text=True,
        timeout=1200,
    )
    assert done.returncode == 0, f"exit code {done.returncode}: {done.stderr[-2000:]}"
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.slow
@pytest.mark.timeout(1500)
@pytest.mark.parametrize("name, variant", [(n, v) for n, vs in VARIANTS.items() for v in vs])
def test_experiments_begin_within_a_minute_of_compilation(name, variant):
    small = ()
    if variant in PUBLISHED or (name, variant) in PUBLISHED:
        small = ("--config.batch_size=2", "--config.eval.batch_size=2")
    seconds = begin(config(name, variant), *small)
    assert seconds["init"] + seconds["update"] + seconds.get("evaluate", 0) < BUDGET, seconds


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_two_networks_begin_under_pmap_on_eight_devices():
    seconds = begin(config("dcgan"), "--config.parallel.strategy=pmap", devices=8)
    assert seconds["init"] + seconds["update"] + seconds["evaluate"] < BUDGET, seconds


def test_every_experiment_is_tried():
    assert {path.stem for path in (ROOT / "experiments").glob("*.py")} == set(VARIANTS)


def test_a_call_that_hears_no_signal_fails_by_name(tmp_path):
    """As a compiler's loop does: what hangs ends the process, which says in which test."""
    hangs = (
        "import hashlib\ndef test_hangs():\n    hashlib.pbkdf2_hmac('md5', b'', b'', 2**31 - 1)\n"
    )
    (tmp_path / "test_native.py").write_text(hangs)
    arguments = ("-n0", "-p", "no:cacheprovider", f"--rootdir={tmp_path}", "--timeout=0.5")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-c", str(ROOT / "pyproject.toml"), *arguments,
         str(Path(tmp_path) / "test_native.py")],
        capture_output=True, text=True, timeout=60, cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode != 0
    assert "Timeout" in done.stdout + done.stderr
    assert "test_hangs" in done.stdout + done.stderr
