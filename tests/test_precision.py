"""bf16: what computes in it, what stays float32, and that every kind of learning bears it."""

import jax
import numpy as np
import pytest
from launching import built

from jaxdl.metrics import divide


@pytest.mark.parametrize("name", ["vit", "dcgan", "ddpm", "gcn", "ppo", "dqn", "a2c"])
def test_an_update_in_bf16_is_near_the_one_in_float32(name):
    found = []
    for precision in ("float32", "bf16"):
        made = built(name, f"--config.precision={precision}")
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
