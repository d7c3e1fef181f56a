"""No axis is put in front of an array unasked where numbers are averaged, and no dtype changed.

A loss of shape (batch,) minus targets of shape (batch, 1) is a matrix that nobody wanted, and its
mean is a number that looks like a loss. Biases and statistics of channels, in models, layers and
ops, are added to whatever has channels last.
"""

import contextlib
import traceback
import warnings

import jax
import pytest
import tiny
from drawn_keys import drawn_twice
from launching import ROOT, SHORT

from jaxdl import experiment
from jaxdl.launch import flags

# Optax itself, as of 0.2.8, promotes the number of a step, in schedules and corrections of bias.
_SGD = ("name=sgd", "options=()", "schedule=constant", "b1=none", "b2=none")
EXPLICIT = ("losses", "metrics", "control", "tasks")
KINDS = (
    *("mlp", "gpt", "lstm", "lstm:mackey_glass", "gcn", "gcn:digits", "autoencoder:sparse", "vae"),
    *("bert", "bert:classify"),
    *("dcgan", "wgan", "ddpm", "dqn", "ppo", "ppo:pendulum", "reinforce", "q_learning", "transfer"),
    *("bert:tag", "bert:answer"),
    *("t5:numbers", "t5", "bart", "unet", "espcn", "pix2pix", "cyclegan"),
    *("stylegan2", "gin"),
    *("style", "style:feed_forward"),
)


@contextlib.contextmanager
def promotions():
    """Gives a list that fills with the lines of jaxdl/ where ranks are promoted meanwhile."""
    found = []

    def note(message, category, filename, lineno, file=None, line=None):
        if "rank_promotion" in str(message):
            own = [
                f for f in traceback.extract_stack() if f.filename.startswith(str(ROOT / "jaxdl"))
            ]
            found.append(
                f"{own[-1].filename.removeprefix(str(ROOT / 'jaxdl'))[1:]}:{own[-1].lineno}"
            )

    with warnings.catch_warnings(), jax.numpy_rank_promotion("warn"):
        warnings.simplefilter("always")
        warnings.showwarning = note
        yield found


@pytest.mark.parametrize("name", KINDS)
def test_tasks_and_what_they_average_promote_nothing(name):
    stem, colon, variant = name.partition(":")
    file = f"--config={ROOT / 'experiments' / stem}.py{colon}{variant}"
    plain = [f"--config.optimizer.{f}" for f in _SGD]
    with promotions() as found, jax.numpy_dtype_promotion("strict"):
        made = experiment.create(
            flags.parse([file, *SHORT, *tiny.FLAGS.get(name, tiny.FLAGS[stem]), *plain]).config
        )
        step, _ = made.traced_step
    # Of programs that are here anyway: `test_traced` has the others.
    assert drawn_twice(step.jaxpr) == []
    assert not {line for line in found if line.startswith(EXPLICIT)}


def test_a_promotion_is_found():
    from jaxdl.metrics import Mean

    with promotions() as found:
        Mean.of(jax.numpy.ones((2, 3)), jax.numpy.ones(3))
    assert [line.partition(":")[0] for line in found] == ["metrics/means.py"]
