"""Every experiment's update, traced whole: in bf16 and with jax_enable_x64, which change the most.

What is computed in which dtype, and that what is kept and told stays in 32 bits.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny
from launching import built
from wide import numbers_of_64_bits, wide

from jaxdl.anatomy import flops

SETTINGS = ("--config.precision=bf16", "--config.log.layers=true")
# Muon's own products, of momentum, are in float32.
MUON = ("gpt", "t5", "bart", "whisper")
ADAMW = ("--config.optimizer.name=adamw", "--config.optimizer.options=()")


def dtypes(tree):
    return [(x.shape, x.dtype) for x in jax.tree.leaves(tree)]


@pytest.mark.parametrize("name", tiny.FLAGS)
def test_an_update_computes_in_bf16_and_keeps_32_bits(name):
    with wide():
        made = built(name, *SETTINGS, *(ADAMW if name.startswith(MUON) else ()))
        made.task.check()
        state = made.abstract_state
        step, metrics = made.traced_step
    assert metrics
    # A step gives back a state of the same shapes: any number of them can be taken.
    count = len(jax.tree.leaves(state))
    assert dtypes(step.out_avals[:count]) == dtypes(state)
    assert not numbers_of_64_bits((state, step.out_avals))
    assert jnp.bfloat16 not in {x.dtype for x in jax.tree.leaves(state)}
    if ":" not in name and name != "q_learning":  # whose tables multiply no matrices
        # One default variant a file: others have the same parts, or crop images by products.
        products = flops.count(step).full
        assert flops.count(step, jnp.bfloat16).full > 0.9 * products > 0


@pytest.mark.parametrize("name", ["mlp", "vit", "lstm", "ppo"])
def test_all_products_are_in_float32_unless_asked_otherwise(name):
    made = built(name, "--config.precision=float32")
    step, _ = made.traced_step
    assert flops.count(step, np.float32).full == flops.count(step).full > 0
