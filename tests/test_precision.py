"""bf16: what computes in it, what stays float32, and that every kind of learning bears it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny
from launching import ROOT, SHORT

from jaxdl import experiment
from jaxdl.anatomy import flops
from jaxdl.launch import flags
from jaxdl.metrics import divide

# Tables of numbers multiply no matrices.
WITHOUT_PRODUCTS = ("q_learning",)
# One default variant a file; the others have the same parts.
NAMES = [name for name in tiny.FLAGS if ":" not in name and name not in WITHOUT_PRODUCTS]


def built(name, precision, *settings):
    """The experiment ``name``, as small as the launcher's tests run it."""
    file = ROOT / "experiments" / f"{name}.py"
    words = [f"--config={file}", *SHORT, *tiny.FLAGS[name], f"--config.precision={precision}"]
    return experiment.create(flags.parse([*words, *settings, "--workdir=unused"]).config)


@pytest.mark.parametrize("name", NAMES)
def test_the_networks_products_are_in_bf16_and_what_is_kept_is_not(name):
    # Muon's own products, of momentum, are in float32.
    plain = ("--config.optimizer.name=adamw", "--config.optimizer.options=()")
    wide, narrow = (built(name, precision, *plain) for precision in ("float32", "bf16"))
    products = lambda made, dtype=None: flops.count(made.traced_step[0], dtype).full
    assert products(wide, np.float32) == products(wide) > 0
    assert products(narrow, jnp.bfloat16) > 0.9 * products(narrow)
    of = lambda made: [(x.shape, x.dtype) for x in jax.tree.leaves(made.abstract_state)]
    assert of(wide) == of(narrow)


@pytest.mark.parametrize("name", ["dcgan", "wgan", "ddpm", "gcn", "ppo", "dqn"])
def test_an_update_in_bf16_is_near_the_one_in_float32(name):
    found = []
    for precision in ("float32", "bf16"):
        made = built(name, precision)
        state, metrics = jax.jit(made.task.train_step)(made.init_state(), made.batch(0), made.key)
        found.append((state, divide(jax.device_get(metrics))))
    (wide, a), (narrow, b) = found
    assert a != b
    # Losses are differences of logits of about 1, of which bf16 keeps 8 bits; no episode has ended
    # within dqn's few steps, and its mean return is NaN.
    assert b == {
        key: pytest.approx(value, rel=0.03, abs=0.03, nan_ok=True) for key, value in a.items()
    }
    for x, y in zip(jax.tree.leaves(wide), jax.tree.leaves(narrow), strict=True):
        if x.dtype == np.float32:
            assert np.isfinite(y).all()
