"""Keys: the same bits as JAX's own generator, and streams that do not depend on each other."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from jax.sharding import NamedSharding, PartitionSpec

from jaxdl import keys


def data(x):
    return jax.random.key_data(x) if jnp.issubdtype(x.dtype, jax.dtypes.prng_key) else x


DRAWS = {
    "bits": lambda key: jax.random.bits(key, (5, 3, 7)),
    "one": lambda key: jax.random.bits(key),
    "none": lambda key: jax.random.bits(key, (0, 3)),
    "bytes": lambda key: jax.random.bits(key, (5, 3), jnp.uint8),
    "halves": lambda key: jax.random.bits(key, (5, 3), jnp.uint16),
    "uniform": lambda key: jax.random.uniform(key, (65,)),
    "bfloat16": lambda key: jax.random.normal(key, (9, 9), jnp.bfloat16),
    "normal": lambda key: jax.random.normal(key, (4, 1000)),
    "integers": lambda key: jax.random.randint(key, (64, 2), -2, 3),
    "permutation": lambda key: jax.random.permutation(key, 50),
    "categorical": lambda key: jax.random.categorical(key, jnp.arange(4.0), shape=(20,)),
    "split": lambda key: jax.random.split(key, (3, 2)),
    "fold in": lambda key: jax.random.fold_in(key, 2**32 - 1),
    "below": lambda key: jax.random.normal(jax.random.split(jax.random.fold_in(key, 7))[1], (3,)),
}


@pytest.mark.parametrize("draw", DRAWS.values(), ids=DRAWS)
def test_draws_are_those_of_jax(draw):
    seeds = (0, 1, 2**31 - 1, -1)
    for seed in seeds:
        np.testing.assert_array_equal(data(draw(keys.root(seed))), data(draw(jax.random.key(seed))))
    together, apart = (
        jax.jit(jax.vmap(draw))(keys.root(seeds)),
        jnp.stack([*map(draw, map(jax.random.key, seeds))]),
    )
    np.testing.assert_array_equal(data(together), data(apart))


def test_draws_of_64_bits_are_those_of_jax():
    with jax.enable_x64(True):
        for seed in (3, 2**40 + 5):
            a, b = keys.root(seed), jax.random.key(seed)
            for draw in (jax.random.bits, lambda key: jax.random.normal(key, (3, 5))):
                np.testing.assert_array_equal(draw(a), draw(b))
            assert draw(a).dtype == jnp.float64


def test_arrays_of_more_than_32_bits_of_places_are_left_to_jax():
    draw = lambda key, rows: jax.random.bits(key, (rows, 2**12), jnp.uint8)
    for rows, looped in ((2**20, False), (2**21, True)):
        program = jax.jit(draw, static_argnums=1).lower(keys.root(0), rows).as_text()
        assert ("stablehlo.while" in program) is looped


def test_modules_draw_the_same_parameters_as_with_keys_of_jax():
    x = jnp.ones((1, 5))
    a, b = (nn.Dense(3).init(key, x) for key in (keys.root(4), jax.random.key(4)))
    jax.tree.map(np.testing.assert_array_equal, a, b)


def test_draws_over_devices_are_the_same_and_nothing_is_sent():
    mesh = jax.make_mesh((8,), ("data",), axis_types=(jax.sharding.AxisType.Auto,))
    split = NamedSharding(mesh, PartitionSpec("data", None))
    draw = lambda key: jax.random.uniform(key, (64, 3))
    program = jax.jit(draw, out_shardings=split).lower(keys.root(2)).compile()
    for word in ("all-reduce", "all-gather", "all-to-all", "collective-permute"):
        assert word not in program.as_text()
    np.testing.assert_array_equal(program(keys.root(2)), draw(jax.random.key(2)))


def test_keys_below_keys_of_an_example_each_stay_on_its_device():
    mesh = jax.make_mesh((8,), ("data",), axis_types=(jax.sharding.AxisType.Auto,))
    split = NamedSharding(mesh, PartitionSpec("data", None))
    own = lambda key: jax.random.uniform(jax.random.fold_in(key, 1), (5,))
    draw = lambda key: jax.vmap(own)(jax.random.split(key, 64))
    program = jax.jit(draw, out_shardings=split).lower(keys.root(2)).compile()
    for word in ("all-reduce", "all-gather", "all-to-all", "collective-permute"):
        assert word not in program.as_text()
    np.testing.assert_array_equal(program(keys.root(2)), draw(jax.random.key(2)))


@pytest.mark.parametrize("mapped", ["shard_map", "unchecked shard_map", "pmap"])
def test_devices_fold_their_place_in_and_draw_what_jax_draws(mapped):
    def draw(key, x):
        key = jax.random.fold_in(key, jax.lax.axis_index("data"))
        return x + jax.random.normal(jax.random.split(jax.random.fold_in(key, 5))[1], x.shape)

    if mapped == "pmap":
        over = jax.pmap(draw, axis_name="data", in_axes=(None, 0))
    else:
        mesh = jax.make_mesh((8,), ("data",), axis_types=(jax.sharding.AxisType.Auto,))
        one, all_of_them = PartitionSpec(), PartitionSpec("data")
        over = jax.shard_map(
            draw, mesh=mesh, in_specs=(one, all_of_them), out_specs=all_of_them,
            check_vma=mapped == "shard_map",
        )  # fmt: skip
        over = jax.jit(over)
    x = jnp.zeros((8, 3))
    np.testing.assert_array_equal(over(keys.root(3), x), over(jax.random.key(3), x))


def test_what_draws_below_a_key_can_be_differentiated_in_both_modes():
    def loss(w, key):
        first, second = jax.random.split(jax.random.fold_in(key, 5))
        return jnp.sin(w * jax.random.normal(first, w.shape)).sum() + jax.random.normal(second)

    w, ours, theirs = jnp.ones(3), keys.root(3), jax.random.key(3)
    none = np.zeros((), jax.dtypes.float0)
    for derived in (
        lambda key: jax.grad(jax.checkpoint(loss))(w, key),
        lambda key: jax.jvp(loss, (w, key), (w, none)),
        lambda key: jax.linearize(lambda w: loss(w, key), w)[1](w),
        lambda key: jax.hessian(loss)(w, key),
        lambda key: jax.vmap(jax.grad(loss), (None, 0))(w, jax.random.split(key, 2)),
    ):
        jax.tree.map(np.testing.assert_array_equal, derived(ours), derived(theirs))


def test_a_program_grows_by_the_same_amount_with_each_generation_of_keys():
    """Computed anew wherever a key is used, they would double the program, or never end."""

    def length(generations):
        def draw(key):
            for i in range(generations):
                key = jax.random.split(jax.random.fold_in(key, i))[1]
            draws = [jax.random.normal(own, (3, 4)) for own in jax.random.split(key, 3)]
            return jax.tree.map(jnp.dot, draws, [x.T for x in draws])

        return jax.jit(draw).lower(keys.root(0)).compile().as_text().count("\n")

    none, two, four = map(length, (0, 2, 4))
    assert four - two < 1.2 * (two - none)


def test_a_program_that_draws_has_no_loop():
    """A loop over rounds is what makes JAX's own slow to compile on a CPU."""
    for key, loops in ((keys.root(0), False), (jax.random.key(0), True)):
        program = jax.jit(lambda key: jax.random.normal(key, (64, 2))).lower(key).compile()
        assert ("while(" in program.as_text()) is loops


def test_names_and_steps_are_streams_of_their_own():
    key = keys.root(0)
    streams = [
        keys.named(key, "a"),
        keys.named(key, "b"),
        keys.at_step(key, 0),
        keys.at_step(key, 1),
    ]
    streams += [keys.named(x, "a") for x in streams]
    words = np.asarray(jax.random.key_data(jnp.stack(streams)))
    assert len(np.unique(words, axis=0)) == len(streams)
    many = keys.root((0, 1, 5))
    for i, seed in enumerate((0, 1, 5)):
        assert keys.named(many, "a")[i] == keys.named(keys.root(seed), "a")
        assert keys.at_step(many, jnp.arange(3))[i] == keys.at_step(keys.root(seed), i)


def test_an_abstract_key_is_like_a_real_one():
    key, abstract = keys.root(0), keys.abstract()
    assert (abstract.shape, abstract.dtype) == (key.shape, key.dtype)
