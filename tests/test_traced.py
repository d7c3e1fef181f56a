"""Every experiment's update, traced whole: in bf16 and with jax_enable_x64, which change the most.

What is computed in which dtype, that what is kept and told stays in 32 bits, and that no key is
drawn by twice.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny
from drawn_keys import drawn_twice
from launching import built
from wide import numbers_of_64_bits, wide

from jaxdl import keys
from jaxdl.anatomy import flops

SETTINGS = ("--config.precision=bf16", "--config.log.layers=true")
# Muon's own products, of momentum, are in float32.
MUON = ("gpt", "t5", "bart", "whisper", "unet")
# As wide as makes their last layers, which are in float32, a small part of them.
WIDER = dict.fromkeys(
    ("pix2pix", "cyclegan"), ("--config.model.width=16", "--config.task.discriminator_width=16")
) | dict.fromkeys(("a2c", "reinforce"), ("--config.model.hidden=32,32",))
ADAMW = ("--config.optimizer.name=adamw", "--config.optimizer.options=()")


def dtypes(tree):
    return [(x.shape, x.dtype) for x in jax.tree.leaves(tree)]


@pytest.mark.parametrize("name", tiny.FLAGS)
def test_an_update_computes_in_bf16_and_keeps_32_bits(name):
    with wide():
        muon = ADAMW if name.startswith(MUON) else ()
        made = built(name, *SETTINGS, *muon, *WIDER.get(name, ()))
        made.task.check()
        state = made.abstract_state
        step, metrics = made.traced_step
    assert metrics
    assert drawn_twice(step.jaxpr) == []
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


def _once(key):
    return jax.random.normal(keys.named(key, "a")) + jax.random.normal(keys.named(key, "b"))


def _turns(key, folds):
    own = lambda i: keys.at_step(key, i) if folds else key
    return jax.lax.map(lambda i: jax.random.normal(own(i)), jnp.arange(3))


def _mapped(key, folds):
    own = lambda i: keys.at_step(key, i) if folds else key
    return jax.vmap(lambda k: jax.random.normal(k))(jnp.stack([own(i) for i in range(2)]))


def _either(key, same):
    first = jax.random.normal(keys.named(key, "a"))
    by = keys.named(key, "a" if same else "b")
    return first + jax.lax.cond(first > 0, lambda: jax.random.normal(by), lambda: jnp.float32(0))


@pytest.mark.parametrize(
    ("times", "draw"),
    [
        (0, _once),
        (0, lambda key: jax.random.normal(jax.random.split(key, 7)[1])
         + jax.random.normal(jax.random.split(key, 7)[2])),
        (0, lambda key: _turns(key, True)),
        (0, lambda key: _mapped(key, True)),
        (0, lambda key: _either(key, False)),
        (1, lambda key: _once(key) + jax.random.uniform(keys.named(key, "b"))),
        (1, lambda key: jax.random.normal(jax.random.split(key, 7)[1])
         + jax.random.normal(jax.random.split(key, 7)[1])),
        (1, lambda key: jax.random.normal(key) + jax.random.randint(key, (), 0, 5)),
        (1, lambda key: jax.random.key_data(jax.random.split(key)).sum()
         + jax.random.key_data(jax.random.split(key, 3)).sum()),
        (1, lambda key: _turns(key, False)),
        (1, lambda key: _either(key, True)),
    ],
)  # fmt: skip
def test_a_key_that_is_drawn_by_twice_is_found(times, draw):
    assert len(drawn_twice(jax.make_jaxpr(draw)(keys.root(0)))) == times
