"""pmap where examples are made up on the way: each device its own, and one network of them all."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny
from jax.extend.core import jaxprs_in_params
from launching import built

from jaxdl.parallel import replicas

DEVICES = 4
SETTINGS = ("--config.optimizer.name=sgd", "--config.optimizer.b1=none",
            "--config.optimizer.b2=none", "--config.batch_size=40",
            "--config.optimizer.learning_rate=.1", "--config.log.layers=false",
            f"--config.parallel.data={DEVICES}", "--config.parallel.strategy=pmap")  # fmt: skip
SMALL = {
    "dcgan": ("--config.model.widths=8,4", "--config.task.latent=8"),
    "wgan": ("--config.model.widths=8,4", "--config.task.latent=8"),
    "ddpm": (),
    "stylegan2": tiny.FLAGS["stylegan2"],
}


def mapped(made):
    """The state after one update, as the loop's own way over devices has it."""

    def advance(state, key, batches, count):
        return made.task.train_step(state, jax.tree.map(lambda x: x[0], batches), key)

    batches = jax.tree.map(lambda x: x[None], made.batch(0))
    arguments = (made.init_state(), made.key, batches, jnp.int32(1))
    return made.layout.compile(advance, arguments)(*arguments)[0]


def one_device(made):
    """(state, batch, key) -> the states of the same update, a part of the batch each."""

    def update(state, batch, key):
        parts = jax.tree.map(lambda x: x.reshape(DEVICES, -1, *x.shape[1:]), batch)
        with replicas.mapped_over("devices"):
            step = jax.vmap(made.task.train_step, (None, 0, None), axis_name="devices")
            return step(state, parts, key)[0]

    return update


# The others take a minute to compile.
PARALLEL = "jaxdl/parallel/"
DEAR = ("wgan", "ddpm", "stylegan2")
CASES = ["dcgan", *(pytest.param(n, marks=pytest.mark.slow(n, PARALLEL)) for n in DEAR)]


@pytest.mark.parametrize("name", CASES)
def test_devices_keep_one_state(name):
    made = built(name, "--config.precision=float32", *SMALL[name], *SETTINGS)
    update = jax.jit(one_device(made))(made.init_state(), made.batch(0), made.key)
    for ours, theirs in zip(jax.tree.leaves(mapped(made)), jax.tree.leaves(update), strict=True):
        np.testing.assert_array_equal(theirs, np.broadcast_to(theirs[:1], theirs.shape))
        np.testing.assert_allclose(ours, theirs[0], rtol=1e-5, atol=1e-6)


def draws(jaxpr):
    """The shapes of the keys of all draws in a program."""
    for eqn in jaxpr.eqns:
        if eqn.primitive.name == "random_bits":
            yield eqn.invars[0].aval.shape
        for part in jaxprs_in_params(eqn.params):
            yield from draws(part)


@pytest.mark.parametrize("name", SMALL)
def test_devices_draw_each_their_own(name):
    made = built(name, "--config.precision=float32", *SMALL[name], *SETTINGS)
    program = jax.make_jaxpr(one_device(made))(made.abstract_state, made.batch(0), made.key)
    # A key that all share has no axis of parts.
    assert set(draws(program.jaxpr)) == {(DEVICES,)}
