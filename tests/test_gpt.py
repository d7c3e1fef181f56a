"""GPT-2: its size, what it may see, and its cache; what it computes is in test_pretrained.py."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import shipped

from jaxdl import keys, layers, models, parallel
from jaxdl.errors import UserError
from jaxdl.report import attention_maps

# As of the published weights.
PARAMETERS = {
    "gpt2_s": 124_439_808,
    "gpt2_m": 354_823_168,
    "gpt2_l": 774_030_080,
    "gpt2_xl": 1_557_611_200,
}
V, C, W = 12, 8, 16


def create(**fields):
    small = dict(vocab_size=V, context=C, width=W, depth=2, heads=2)
    return models.create("gpt", **{**small, **fields})


@functools.cache
def variables():
    """Far from where training starts, so that all parts have a say."""
    tokens = jax.ShapeDtypeStruct((1, 1), jnp.int32)
    shapes = jax.eval_shape(create().init, keys.root(0), tokens)
    rng = np.random.default_rng(0)
    return jax.tree.map(lambda x: (0.4 * rng.normal(size=x.shape)).astype(np.float32), shapes)


TOKENS = np.random.default_rng(1).integers(0, V, (2, C)).astype(np.int32)


@pytest.mark.parametrize("name", shipped.sizes(PARAMETERS, "jaxdl/models/gpt.py"))
def test_parameter_count_is_the_published_one(name):
    init = models.create(name).init
    shapes = jax.eval_shape(init, keys.root(0), jax.ShapeDtypeStruct((1, 1), jnp.int32))
    assert sum(x.size for x in jax.tree.leaves(shapes["params"])) == PARAMETERS[name]


def test_no_logit_has_a_gradient_from_a_later_token():
    # A position's row enters where it stands only, a token's row also in the output layer.
    def logits(position):
        params = {**variables()["params"], "position": position}
        return create().apply({"params": params}, TOKENS[:1])[0] @ weights

    weights = np.random.default_rng(2).normal(size=V).astype(np.float32)
    slope = jax.jit(jax.jacrev(logits))(variables()["params"]["position"])
    reaches = np.abs(slope[:, 0]).max(-1) > 0  # (logit t, token s)
    np.testing.assert_array_equal(reaches, np.tril(np.ones((C, C))))


@functools.cache
def uncached():
    return np.asarray(jax.jit(create().apply)(variables(), TOKENS))


@functools.cache
def step():
    return jax.jit(lambda variables, tokens, cache: create().apply(variables, tokens, cache=cache))


@pytest.mark.parametrize("sizes", [(3, 1, 1, 1, 1, 1), (3, 3, 1), (8,)])
def test_cached_logits_are_the_uncached_ones(sizes):
    cache, parts, start = create().init_cache(len(TOKENS), C), [], 0
    for size in sizes:
        y, cache = step()(variables(), TOKENS[:, start : start + size], cache)
        start += size
        parts.append(y)
    assert int(cache.filled) == start
    assert [x.shape for x in (*cache.keys, *cache.values)] == 4 * [(2, 2, C, W // 2)]
    y = np.concatenate(parts, axis=1)
    np.testing.assert_allclose(y, uncached()[:, :start], rtol=1e-5, atol=1e-5)


def test_logits_past_the_caches_length_are_not_a_number():
    _, cache = step()(variables(), TOKENS[:, :3], create().init_cache(2, C))
    # Further on than the context, and with a cache that is shorter than it.
    y, _ = step()(variables(), TOKENS[:, :1], cache._replace(filled=jnp.int32(C)))
    assert np.isnan(y).all()
    short = create().init_cache(2, 3)._replace(filled=jnp.int32(3))
    assert np.isnan(step()(variables(), TOKENS[:, :1], short)[0]).all()


def test_what_is_too_long_is_refused_in_one_line():
    apply = functools.partial(jax.eval_shape, create().apply, variables())
    with pytest.raises(UserError, match="sequence of 9 tokens is longer than the context: 8"):
        apply(jax.ShapeDtypeStruct((1, 9), jnp.int32))
    with pytest.raises(UserError, match="sequence of 4 tokens is longer than the cache: 3"):
        create().apply(variables(), TOKENS[:, :4], cache=create().init_cache(2, 3))


def test_a_token_that_there_is_not_leaves_no_number_in_its_sequence():
    tokens = TOKENS.copy()
    tokens[1, 4] = V
    y = jax.jit(create().apply)(variables(), tokens)
    np.testing.assert_array_equal(np.isnan(y).all((1, 2)), [False, True])
    assert np.isfinite(y[0]).all()


def test_rematerialisation_gives_the_same_gradient():
    def loss(variables, remat):
        return jnp.sin(create(remat=remat).apply(variables, TOKENS, train=True)).sum()

    traced = [
        jax.jit(jax.grad(functools.partial(loss, remat=on))).trace(variables()) for on in (0, 1)
    ]
    # One computes its activations twice: the comparison is not of a thing with itself.
    plain, again = (str(trace.jaxpr).count(" tanh ") for trace in traced)
    assert again == 2 * plain > 0
    one, other = (jax.tree.leaves(trace.lower().compile()(variables())) for trace in traced)
    # Rounding is of the size of what was added up, not of the sum: of a key's bias, which no
    # softmax feels, the whole gradient is rounding.
    largest = max(np.abs(a).max() for a in one)
    for a, b in zip(one, other, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6 * largest)


@pytest.mark.parametrize("vocabulary, split", [(V, True), (V + 1, False)])
def test_tensor_parallel_logits_are_those_of_one_device(vocabulary, split):
    settings = dict(strategy="jit", data=1, fsdp=1, tensor=2, fsdp_min_size=1024)
    layout = parallel.create(settings, 2, devices=jax.devices()[:2], rules=layers.TENSOR_RULES)
    module = create(vocab_size=vocabulary)
    table = np.random.default_rng(3).normal(size=(vocabulary, W)).astype(np.float32)
    params = {**variables()["params"], "token": {"embedding": table}}
    abstract = jax.eval_shape(lambda: {"params": params})
    shardings = jax.tree.map(lambda x: x.sharding, layout.state(abstract))
    spec = shardings["params"]["token"]["embedding"].spec
    assert (spec[0] == "tensor") == split
    assert shardings["params"]["block_1"]["attention"]["query"]["kernel"].spec[1] == "tensor"
    placed = jax.device_put({"params": params}, shardings)
    got = jax.jit(module.apply)(placed, jax.device_put(TOKENS, layout.replicated))
    expected = jax.jit(module.apply)({"params": params}, TOKENS)
    np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-5)


def test_weights_start_as_published():
    module = create(width=64, vocab_size=500, context=100)
    params = jax.jit(lambda: module.init(keys.root(0), TOKENS))()["params"]
    block = params["block_1"]
    residual = 0.02 / np.sqrt(2 * 2)
    for part, deviation in (
        (params["token"]["embedding"], 0.02),
        (params["position"], 0.02),
        (block["attention"]["query"]["kernel"], 0.02),
        (block["attention"]["out"]["kernel"], residual),
        (block["feed_forward"]["up"]["kernel"], 0.02),
        (block["feed_forward"]["down"]["kernel"], residual),
    ):
        # An estimate of a deviation from n draws is off by 1 / √(2 n) of itself.
        assert abs(np.std(part) / deviation - 1) < 5 / np.sqrt(2 * part.size)
    biases = [x for path, x in jax.tree.leaves_with_path(params) if path[-1].key == "bias"]
    assert len(biases) == 2 * 8 + 1
    assert not any(x.any() for x in biases)


def test_bf16_gives_float32_logits_and_a_bf16_cache():
    module = create(dtype=jnp.bfloat16)
    cache = module.init_cache(2, C)
    y, cache = jax.jit(lambda v, c: module.apply(v, TOKENS, cache=c))(variables(), cache)
    assert (y.dtype, cache.keys[0].dtype) == (jnp.float32, jnp.bfloat16)
    assert np.abs(y - uncached()).mean() < 0.02 * np.abs(uncached()).mean()


def test_attention_maps_are_collected_and_drawn():
    maps = attention_maps.collect(create(), variables(), TOKENS)
    assert list(maps) == ["block_0/attention", "block_1/attention"]
    for weights in maps.values():
        assert weights.shape == (2, 2, C, C)
        np.testing.assert_allclose(weights.sum(-1), 1, rtol=1e-6)
        np.testing.assert_array_equal(np.triu(weights, 1), 0)
    made = attention_maps.picture(maps, "Here.")
    assert made.data[1:4] == b"PNG"
    assert made.caption.startswith("Here. A row of a map is a place")


@pytest.mark.parametrize(
    "name, said",
    [
        ("decoder_block_10/cross_attention", "block 10"),  # side by side there is no room for more
        ("block_2_1/attention", "block 2 1"),
        ("attend", "attend"),
    ],
)
def test_a_layers_maps_have_its_name_in_short(name, said, monkeypatch):
    monkeypatch.setattr(attention_maps.draw, "image_grid", lambda images, lines, *_, **__: lines)
    lines = attention_maps.picture({name: np.ones((1, 2, 3, 3))})
    assert lines == [f"{said}, head 0", f"{said}, head 1"]


def test_a_model_that_attends_to_nothing_has_no_attention_maps():
    module, image = models.create("mlp", hidden=(3,)), np.zeros((1, 2, 2, 1), np.float32)
    assert attention_maps.collect(module, module.init(keys.root(0), image), image) == {}


def test_texts_of_unequal_length_get_what_each_gets_alone():
    # In front, so that what is written next stands in one place; behind, in training.
    front = np.array([[0, 0, 0, 1, 1, 1, 1, 1], [1] * 8])
    alone = uncached()[0, :5]
    texts = np.concatenate([np.zeros((2, 3), np.int32), TOKENS[:, :5]], axis=1)
    y = np.asarray(jax.jit(create().apply)(variables(), texts, front))
    np.testing.assert_allclose(y[0, 3:], alone, rtol=1e-5, atol=1e-5)
    step = jax.jit(lambda v, x, mask, cache: create().apply(v, x, mask, cache=cache))
    cache, found = create().init_cache(2, C), []
    for part in (slice(0, 4), slice(4, 8)):
        y, cache = step(variables(), texts[:, part], front[:, part], cache)
        found.append(y)
    np.testing.assert_allclose(np.concatenate(found, 1)[0, 3:], alone, rtol=1e-5, atol=1e-5)
    behind = jax.jit(create().apply)(variables(), TOKENS, np.arange(8) < [[5], [8]])
    np.testing.assert_allclose(behind[0, :5], alone, rtol=1e-5, atol=1e-5)
