"""T5 and BART: their sizes, what each side may see, and the cache of their decoders."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import shipped

from jaxdl import keys, layers, models, parallel
from jaxdl.errors import UserError
from jaxdl.per_member import Setting, Swept

# As of the published weights.
PARAMETERS = {
    "t5_small": 60_506_624,
    "t5_base": 222_903_552,
    "t5_large": 737_668_096,
    "t5_3b": 2_851_598_336,
    "t5_11b": 11_307_321_344,
    "t5_v1_1_small": 76_961_152,
    "t5_v1_1_base": 247_577_856,
    "t5_v1_1_large": 783_150_080,
    "t5_v1_1_xl": 2_849_757_184,
    "t5_v1_1_xxl": 11_135_332_352,
    "bart_base": 139_420_416,
    "bart_large": 406_291_456,
}
FILES = ("jaxdl/models/t5.py", "jaxdl/models/bart.py", "jaxdl/models/encoder_decoder.py")
V, W, S, T = 13, 8, 5, 6
TEXT = jax.ShapeDtypeStruct((2, 3), jnp.int32)
DRAW = np.random.default_rng(1)
SOURCE, TARGET = (DRAW.integers(0, V, (3, n)).astype(np.int32) for n in (S, T))
SOURCE_MASK = np.array([[1] * 3 + [0] * 2, [1] * 5, [0] * 1 + [1] * 4])
# In front: what is written next stands behind, of all rows in the same place.
TARGET_MASK = np.array([[1] * 6, [0] * 2 + [1] * 4, [0] * 1 + [1] * 5])
KINDS = ("t5", "bart")


def create(name, **fields):
    small = dict(vocab_size=V, width=W, heads=2, hidden=12, encoder_depth=1, decoder_depth=2)
    own = dict(head_dim=3, gated=True, tied=False) if name == "t5" else dict(context=8)
    return models.create(name, **{**small, **own, **fields})


@functools.cache
def drawn(name):
    """Far from where training starts, so that all parts have a say."""
    shapes = jax.eval_shape(create(name).init, keys.root(0), TEXT, TEXT)
    rng = np.random.default_rng(0)
    return jax.tree.map(lambda x: (0.5 * rng.normal(size=x.shape)).astype(np.float32), shapes)


@pytest.mark.parametrize("name", shipped.sizes(PARAMETERS, *FILES))
def test_parameter_count_is_the_published_one(name):
    variables = jax.eval_shape(models.create(name).init, keys.root(0), TEXT, TEXT)
    assert sum(x.size for x in jax.tree.leaves(variables["params"])) == PARAMETERS[name]


@functools.cache
def whole(name):
    return np.asarray(
        jax.jit(create(name).apply)(drawn(name), SOURCE, TARGET, SOURCE_MASK, TARGET_MASK)
    )


@functools.cache
def methods(name):
    """(encode, the first call of decode, a later one), compiled."""
    call = functools.partial(jax.jit(create(name).apply, static_argnames=("method",)), drawn(name))
    return (
        lambda *x: call(*x, method="encode"),
        lambda *x, cache: call(*x, cache=cache, method="decode"),
        lambda x, cache: call(x, cache=cache, method="decode"),
    )


@pytest.mark.parametrize("name", KINDS)
def test_steps_with_the_cache_give_what_the_whole_pass_gives(name):
    encode, first, later = methods(name)
    # Room to spare on both sides.
    cache = create(name).init_cache(len(TARGET), T + 1, S + 2)
    encoded = encode(SOURCE, SOURCE_MASK)
    y, cache = first(TARGET[:, :3], encoded, SOURCE_MASK, TARGET_MASK[:, :3], cache=cache)
    parts = [y]
    for t in range(3, T):
        y, cache = later(TARGET[:, t : t + 1], cache)
        parts.append(y)
    assert (int(cache.filled), int(cache.context.filled)) == (T, S)
    real = TARGET_MASK.astype(bool)
    found = np.concatenate(parts, axis=1)
    np.testing.assert_allclose(found[real], whole(name)[real], rtol=1e-5, atol=1e-5)
    _, cache = later(TARGET[:, :1], cache)
    assert np.isnan(later(TARGET[:, :1], cache)[0]).all()


def test_a_text_among_others_gets_what_it_gets_alone():
    # T5 has no positions that padding could move.
    source, target = SOURCE[2, SOURCE_MASK[2] > 0], TARGET[2, TARGET_MASK[2] > 0]
    alone = jax.jit(create("t5").apply)(drawn("t5"), source[None], target[None])
    among = whole("t5")[2, TARGET_MASK[2] > 0]
    np.testing.assert_allclose(alone[0], among, rtol=1e-5, atol=1e-5)


def products(jaxpr):
    """The shapes of what goes into each matrix product, of programs within too."""
    found = []
    for eqn in jaxpr.eqns:
        if eqn.primitive.name == "dot_general":
            found.append([v.aval.shape for v in eqn.invars])
        for inner in eqn.params.values():
            if hasattr(inner := getattr(inner, "jaxpr", inner), "eqns"):
                found += products(inner)
    return found


@pytest.mark.parametrize("name", KINDS)
def test_programs_of_a_step_hold_no_encoder(name):
    # Keys and values of the source are in the cache: nothing of its length is projected again.
    module = create(name, encoder_depth=3, **(dict(context=77) if name == "bart" else {}))
    cache = jax.eval_shape(lambda: module.init_cache(3, T, 77))
    shapes = jax.eval_shape(module.init, keys.root(0), TEXT, TEXT)
    step = lambda v, x, cache: module.apply(v, x, cache=cache, method="decode")
    found = products(jax.make_jaxpr(step)(shapes, TARGET[:, :1], cache).jaxpr)
    long = [shapes for shapes in found if any(n and not n % 77 for x in shapes for n in x)]
    assert len(found) > len(long) == 2 * module.decoder_depth  # scores and sums of cross-attention


@pytest.mark.slow(*FILES)
def test_bf16_gives_float32_logits_and_a_bf16_cache():
    for name in KINDS:
        module = create(name, dtype=jnp.bfloat16, decoder_depth=1)
        cache = module.init_cache(2, T, S)
        assert {cache.keys[0].dtype, cache.context.values[0].dtype} == {jnp.dtype(jnp.bfloat16)}
        shapes = jax.eval_shape(module.init, keys.root(0), TEXT, TEXT)
        assert all(x.dtype == jnp.float32 for x in jax.tree.leaves(shapes))
        y = jax.eval_shape(module.apply, shapes, TEXT, TEXT)
        assert (y.shape, y.dtype) == ((2, 3, V), jnp.float32)
        x = jax.eval_shape(functools.partial(module.apply, features=True), shapes, TEXT, TEXT)
        assert (x.shape, x.dtype) == ((2, 3, W), jnp.bfloat16)


@pytest.mark.slow(*FILES)
def test_rematerialisation_computes_the_blocks_twice():
    def program(remat):
        module = create("t5", decoder_depth=1, remat=remat)
        loss = lambda v: module.apply(v, SOURCE, TARGET, train=True).sum()
        return str(jax.make_jaxpr(jax.grad(loss))(drawn("t5"))).count(" exp ")

    assert program(True) == 2 * program(False) > 0


def test_an_encoder_alone():
    module = create("t5", decoder_depth=0, tied=True)
    shapes = jax.eval_shape(module.init, keys.root(0), TEXT)
    assert not any("decoder" in name or name == "head" for name in shapes["params"])
    assert jax.eval_shape(module.apply, shapes, TEXT).shape == (2, 3, W)
    with pytest.raises(UserError, match="decoder_depth=0: an encoder alone takes no target"):
        jax.eval_shape(module.apply, shapes, TEXT, TEXT)


def test_what_cannot_be_is_refused_in_one_line():
    module = create("bart")
    apply = functools.partial(jax.eval_shape, module.apply, drawn("bart"))
    long = jax.ShapeDtypeStruct((2, 9), jnp.int32)
    for texts in ((long, TEXT), (TEXT, long)):
        with pytest.raises(UserError, match="a sequence of 9 tokens is longer than the context: 8"):
            apply(*texts)
    with pytest.raises(UserError, match="a cache of 9 tokens is longer than the context: 8"):
        module.init_cache(1, 2, 9)
    with pytest.raises(UserError, match="there is no target: method='encode'"):
        apply(TEXT)
    call = lambda *x: module.apply(drawn("bart"), *x, method="decode")
    with pytest.raises(UserError, match="decode needs what encode gave, or a cache"):
        jax.eval_shape(call, TEXT)
    cache = module.init_cache(2, 2, 8)
    step = functools.partial(module.apply, drawn("bart"), cache=cache, method="decode")
    with pytest.raises(UserError, match="a sequence of 3 tokens is longer than the cache: 2"):
        jax.eval_shape(step, TEXT)


@pytest.mark.slow(*FILES)
def test_t5s_weights_start_as_published():
    module = models.create("t5", width=64, vocab_size=500, heads=4, head_dim=8, hidden=96,
                           encoder_depth=1, decoder_depth=1, gated=True, tied=False)  # fmt: skip
    params = jax.jit(lambda: module.init(keys.root(0), TARGET, TARGET))()["params"]
    block = params["decoder_block_0"]
    for x, deviation in (
        (params["token"]["embedding"], 1),
        (params["head"]["kernel"], 1),
        (params["decoder_position"]["embedding"], 64**-0.5),
        (block["attention"]["query"]["kernel"], (64 * 8) ** -0.5),
        (block["attention"]["key"]["kernel"], 64**-0.5),
        (block["cross_attention"]["out"]["kernel"], (4 * 8) ** -0.5),
        (block["feed_forward"]["gate"]["kernel"], 64**-0.5),
        (block["feed_forward"]["down"]["kernel"], 96**-0.5),
    ):
        assert abs(np.std(x) / deviation - 1) < 5 / np.sqrt(2 * x.size)


@pytest.mark.slow(*FILES)
def test_barts_weights_start_as_published():
    module = create("bart", width=64, vocab_size=500, context=100)
    variables = jax.jit(lambda: module.init(keys.root(0), TARGET, TARGET))()
    matrices = [x for x in jax.tree.leaves(variables["params"]) if x.size > 1000 or x.ndim > 2]
    assert len(matrices) == 3 + 3 * 4 + 2 * 4
    for x in matrices:
        assert abs(np.std(x) / 0.02 - 1) < 5 / np.sqrt(2 * x.size)
    assert not variables["constants"]["final_logits_bias"].any()
    # Two rows more than there are positions; and parameters alone are enough to compute.
    assert variables["params"]["encoder_position"].shape == (1, 102, 64)
    y = jax.eval_shape(module.apply, {"params": variables["params"]}, SOURCE, TARGET)
    assert y.shape == (3, T, 500)


@pytest.mark.slow(*FILES, "jaxdl/layers/", "jaxdl/parallel/")
@pytest.mark.parametrize("name", KINDS)
def test_tensor_parallel_logits_are_those_of_one_device(name):
    settings = dict(strategy="jit", data=1, fsdp=1, tensor=2, fsdp_min_size=1024)
    layout = parallel.create(settings, 3, devices=jax.devices()[:2], rules=layers.TENSOR_RULES)
    abstract = jax.eval_shape(lambda: drawn(name))
    shardings = jax.tree.map(lambda x: x.sharding, layout.state(abstract))
    block = shardings["params"]["decoder_block_1"]
    assert block["cross_attention"]["key"]["kernel"].spec[1] == "tensor"
    placed = jax.device_put(drawn(name), shardings)
    texts = jax.device_put((SOURCE, TARGET, SOURCE_MASK, TARGET_MASK), layout.replicated)
    got = jax.jit(create(name).apply)(placed, *texts)
    real = TARGET_MASK > 0
    np.testing.assert_allclose(got[real], whole(name)[real], rtol=1e-5, atol=1e-5)


@pytest.mark.slow(*FILES, "jaxdl/layers/")
@pytest.mark.parametrize("name", KINDS)
def test_members_with_rates_of_their_own_are_a_population(name):
    def logits(index, variables):
        rate = Swept(index, (0.3, 0.6), Setting("model.dropout"))
        module, rngs = create(name, dropout=rate), {"dropout": keys.root(0)}
        return module.apply(variables, SOURCE, TARGET, train=True, rngs=rngs)

    both = jax.tree.map(lambda x: jnp.stack([x, 2 * x]), drawn(name))
    found = jax.jit(jax.vmap(logits))(jnp.arange(2), both)
    for i in range(2):
        alone = jax.jit(logits)(i, jax.tree.map(lambda x, i=i: x[i], both))
        np.testing.assert_allclose(found[i], alone, rtol=1e-4, atol=1e-4)


@pytest.mark.slow(*FILES, "jaxdl/layers/")
@pytest.mark.parametrize("name", KINDS)
def test_bf16_is_near_float32(name):
    got = jax.jit(create(name, dtype=jnp.bfloat16).apply)(
        drawn(name), SOURCE, TARGET, SOURCE_MASK, TARGET_MASK
    )
    real = TARGET_MASK > 0
    assert np.abs(got - whole(name))[real].mean() < 0.05 * np.abs(whole(name))[real].mean()
