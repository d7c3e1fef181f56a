"""Weights that are drawn all together are the same, to the bit, and take fewer programs."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from jaxdl import experiment, keys
from jaxdl.experiment import drawing
from jaxdl.launch import flags

ROOT = keys.root(3)


def leaves(fn, *args):
    """What ``fn`` gives, compiled, as arrays of numbers."""
    is_key = lambda x: jnp.issubdtype(x.dtype, jax.dtypes.prng_key)
    found = jax.tree.leaves(jax.jit(fn)(*args))
    return [np.asarray(jax.random.key_data(x) if is_key(x) else x) for x in found]


def same(fn, *args):
    found, wanted = leaves(drawing.together(fn), *args), leaves(fn, *args)
    assert len(found) == len(wanted)
    for a, b in zip(found, wanted, strict=True):
        np.testing.assert_array_equal(a, b, strict=True)
    return wanted


class Network(nn.Module):
    """Draws of all the usual kinds, sizes and depths, some of them alike."""

    kinds = ("he_normal", "he_uniform", "lecun_normal")

    @nn.compact
    def __call__(self, x):
        for kind in self.kinds:
            for size in (1, 300):
                init = getattr(nn.initializers, kind)()
                x = nn.Dense(size, kernel_init=init, name=f"{kind}_{size}")(x)
        x = nn.Conv(7, (3, 3), kernel_init=nn.initializers.normal(0.02))(x[:, None, None])
        x = nn.DenseGeneral((2, 3), bias_init=nn.initializers.uniform(0.1))(x)
        return nn.Dense(4, kernel_init=nn.initializers.orthogonal())(nn.Embed(9, 3)(jnp.arange(3)))


def test_every_weight_of_a_network_is_the_same():
    init = lambda key: Network().init(key, jnp.ones((2, 3)))
    wanted = same(init, ROOT)
    assert sum(len(np.unique(x)) > 1 for x in wanted) > 7
    program = str(jax.make_jaxpr(drawing.together(init))(ROOT))
    # Three kinds: normal, truncated and uniform. Of keys, those of modules and of their weights.
    assert program.count("scan[") == 3
    assert program.count("random_fold_in") <= 4
    assert program.count("erf_inv") == 2
    assert "random_bits" not in program


def test_draws_that_are_looked_at_on_the_way():
    def init(key):
        a, b, c = jax.random.split(key, 3)
        normal = jax.random.normal(a, (3, 400))
        twice = jax.random.uniform(b, (50,))
        bits = jax.random.bits(c, (2, 2))
        below = jax.random.fold_in(jax.random.fold_in(a, 7), bits[0, 0])
        # By a key that follows from a draw, and draws that no element alone follows from.
        return normal, twice, twice + 1, normal.T @ normal, bits, jax.random.gumbel(below, (5, 1))

    same(init, ROOT)


def test_what_draws_otherwise_stays_as_it_is():
    def init(key, foreign):
        return {
            "foreign": jax.random.normal(foreign, (3,)),
            "foreign below": [jax.random.fold_in(foreign, i) for i in (1, 2**32 - 1)],
            "many": jax.vmap(lambda k: jax.random.normal(k, (4,)))(jax.random.split(key, 2)),
            "half": jax.random.uniform(key, (4,), jnp.bfloat16),
            "byte": jax.random.bits(key, (4,), jnp.uint8),
            "empty": jax.random.normal(key, (0, 3)),
            "key": [jax.random.fold_in(key, i) for i in (3, 2**32 - 1)],
            "loop": jax.lax.map(lambda i: jax.random.normal(jax.random.fold_in(key, i), (2,)),
                                jnp.arange(3)),
            "given": foreign, "same": key,
        }  # fmt: skip

    same(init, ROOT, jax.random.key(5))


def test_numbers_that_are_given_may_bound_a_draw():
    same(lambda key, low: jax.random.uniform(key, (7, 5), minval=low), ROOT, jnp.float32(-2))


def test_a_key_a_member():
    init = lambda key: [jax.random.normal(jax.random.fold_in(key, i), (3 * i, 7)) for i in (1, 2)]
    many = jax.random.split(ROOT, 3)
    together, apart = leaves(jax.vmap(drawing.together(init)), many), leaves(jax.vmap(init), many)
    for a, b in zip(together, apart, strict=True):
        np.testing.assert_array_equal(a, b)


def test_double_precision():
    with jax.enable_x64(True):
        same(
            lambda key: (jax.random.normal(key, (3,)), jax.random.normal(key, (3,), jnp.float32)),
            ROOT,
        )


def begun(*arguments):
    config = ("--config=experiments/mlp.py", "--config.model.hidden=9,8", *arguments)
    made = experiment.create(flags.parse(config).config)
    return [np.asarray(keys.words(x)) for x in jax.tree.leaves(made.init_state())]


@pytest.mark.parametrize(
    "arguments", [("data=1",), ("fsdp=2",), ("data=1", "--config.population=2")]
)
def test_a_run_begins_the_same(arguments, monkeypatch):
    """Of a population each member; also where weights are split over devices."""
    devices, *many = arguments
    found = begun(*many, f"--config.parallel.{devices}")
    monkeypatch.setattr(drawing, "together", lambda fn: fn)
    for a, wanted in zip(found, begun(*many, "--config.parallel.data=1"), strict=True):
        np.testing.assert_array_equal(a, wanted)
