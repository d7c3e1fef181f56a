"""BERT: its sizes, its ends and what it may see; what it computes is in test_language_models.py."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import shipped

from jaxdl import keys, models
from jaxdl.errors import UserError

# Encoder and pooler, as of the published weights.
PARAMETERS = {
    "bert_tiny": 4_385_920,
    "bert_mini": 11_170_560,
    "bert_small": 28_763_648,
    "bert_medium": 41_373_184,
    "bert_base": 109_482_240,
    "bert_large": 335_141_888,
}
V, C, W = 12, 8, 16
TOKENS = np.random.default_rng(1).integers(0, V, (2, 6)).astype(np.int32)
TEXT = jax.ShapeDtypeStruct((2, 6), jnp.int32)


def create(**fields):
    small = dict(vocab_size=V, context=C, width=W, depth=2, heads=2)
    return models.create("bert", **{**small, **fields})


def drawn(module):
    """Far from where training starts, so that all parts have a say."""
    shapes = jax.eval_shape(module.init, keys.root(0), TEXT)
    rng = np.random.default_rng(0)
    return jax.tree.map(lambda x: (0.4 * rng.normal(size=x.shape)).astype(np.float32), shapes)


def count(module):
    variables = jax.eval_shape(module.init, keys.root(0), TEXT)
    return sum(x.size for x in jax.tree.leaves(variables["params"]))


@pytest.mark.parametrize("name", shipped.sizes(PARAMETERS, "jaxdl/models/bert.py"))
def test_parameter_count_is_the_published_one(name):
    assert count(models.create(name, output="classifier", num_classes=0)) == PARAMETERS[name]


def test_ends_have_the_parameters_and_shapes_that_they_should():
    small = functools.partial(create, depth=1)
    bare = count(small(output="tagger", num_classes=0))
    ends = {
        ("masked_lm", 2): (W * W + W + 2 * W + V, (2, 6, V)),
        ("classifier", 3): (W * W + W + 3 * W + 3, (2, 3)),
        ("classifier", 0): (W * W + W, (2, W)),
        ("tagger", 3): (3 * W + 3, (2, 6, 3)),
        ("tagger", 0): (0, (2, 6, W)),
        ("span", 2): (2 * W + 2, (2, 6, 2)),
    }
    for (output, classes), (more, shape) in ends.items():
        module = small(output=output, num_classes=classes, dtype=jnp.bfloat16)
        variables = jax.eval_shape(module.init, keys.root(0), TEXT)
        assert sum(x.size for x in jax.tree.leaves(variables)) - bare == more
        assert all(x.dtype == jnp.float32 for x in jax.tree.leaves(variables))
        y = jax.eval_shape(module.apply, variables, TEXT)
        assert (y.shape, y.dtype) == (shape, jnp.float32)
        x = jax.eval_shape(functools.partial(module.apply, features=True), variables, TEXT)
        assert (x.shape, x.dtype) == ((2, 6, W), jnp.bfloat16)


def test_every_token_sees_all_tokens_but_padding():
    module = create(output="tagger", num_classes=3)
    variables = drawn(module)
    mask = np.array([[1, 1, 1, 1, 0, 0], [0, 1, 1, 1, 1, 1]])

    def logits(table):
        params = {**variables["params"], "position": table}
        call = functools.partial(module.apply, {"params": params}, TOKENS[:1])
        return jnp.stack([call(mask=mask[i : i + 1])[0].sum(-1) for i in range(2)])

    slope = jax.jit(jax.jacrev(logits))(variables["params"]["position"])
    reaches = np.abs(slope[:, :, 0, :6]).max(-1) > 0  # (mask, logit t, token s)
    for i in range(2):
        seen = np.broadcast_to(mask[i] > 0, (6, 6)) | np.eye(6, dtype=bool)  # its own, added
        np.testing.assert_array_equal(reaches[i], seen)


def test_no_segments_are_the_first_and_no_mask_is_none_of_padding():
    module = create()
    variables = drawn(module)
    found = jax.jit(module.apply)(variables, TOKENS)
    zeros, ones = np.zeros_like(TOKENS), np.ones_like(TOKENS)
    given = jax.jit(module.apply)(variables, TOKENS, zeros, ones)
    np.testing.assert_allclose(given, found, rtol=1e-5, atol=1e-5)
    other = jax.jit(module.apply)(variables, TOKENS, ones, ones)
    assert np.abs(other - found).max() > 0.01


def test_each_text_of_a_row_gets_the_features_that_it_gets_alone():
    module = create()
    variables = drawn(module)
    texts = np.array([[1, 1, 2, 2, 2, 0], [1, 1, 1, 1, 1, 1]])
    together = jax.jit(functools.partial(module.apply, features=True))
    found = together(variables, TOKENS, texts=texts)
    alone = together(variables, TOKENS[:1, 2:5])
    np.testing.assert_allclose(found[0, 2:5], alone[0], rtol=1e-5, atol=1e-5)
    whole = together(variables, TOKENS)
    np.testing.assert_allclose(found[1], whole[1], rtol=1e-5, atol=1e-5)
    assert np.abs(found[0] - whole[0]).max() > 0.01


def test_what_cannot_be_is_refused_in_one_line():
    with pytest.raises(UserError, match="a sequence of 9 tokens is longer than the context: 8"):
        jax.eval_shape(create().init, keys.root(0), jax.ShapeDtypeStruct((1, 9), jnp.int32))
    with pytest.raises(UserError, match="unknown output 'tager': did you mean 'tagger'"):
        jax.eval_shape(create(output="tager").init, keys.root(0), TEXT)
    with pytest.raises(UserError, match="unknown pooling 'men': did you mean 'mean'"):
        jax.eval_shape(create(pooling="men").init, keys.root(0), TEXT)
    for output, others in (("masked_lm", dict(mask=TOKENS)), ("classifier", {})):
        init = functools.partial(create(output=output).init, texts=TOKENS, **others)
        with pytest.raises(UserError, match="texts go with no mask, and with no classes"):
            jax.eval_shape(init, keys.root(0), TEXT)


@pytest.mark.slow("jaxdl/models/bert.py")
def test_weights_start_as_published():
    module = create(width=64, vocab_size=500, context=100, output="classifier")
    params = jax.jit(lambda: module.init(keys.root(0), TOKENS))()["params"]
    deviation = 0.02 * 0.8796  # of a normal number that is cut off at two deviations
    matrices = [x for x in jax.tree.leaves(params) if x.size > 1000]
    assert len(matrices) == 2 + 2 * 6 + 1
    for x in matrices:
        assert abs(np.std(x) / deviation - 1) < 5 / np.sqrt(2 * x.size)
        assert np.abs(x).max() <= 0.04
    biases = [x for path, x in jax.tree.leaves_with_path(params) if path[-1].key == "bias"]
    assert not any(x.any() for x in biases)


@pytest.mark.slow("jaxdl/models/bert.py")
def test_rematerialisation_computes_the_blocks_twice():
    def program(remat):
        module = create(output="tagger", depth=1, remat=remat)
        loss = lambda v: module.apply(v, TOKENS, train=True).sum()
        return str(jax.make_jaxpr(jax.grad(loss))(drawn(module))).count(" erf ")

    assert program(True) == 2 * program(False) > 0


def test_positions_may_begin_as_waves_and_weights_wider():
    module = create(vocab_size=50, context=6, width=8, depth=1, deviation=0.1, position_scale=0.3)
    params = module.init(keys.root(0), np.zeros((1, 6), np.int32))["params"]
    # Vaswani et al., 2017, section 3.5, in float64: from wavelength 2π to 2π times the context.
    angle = np.arange(6)[:, None] / 6.0 ** (np.arange(4) / 3)
    wanted = 0.3 * np.concatenate([np.sin(angle), np.cos(angle)], axis=1)
    np.testing.assert_allclose(params["position"][0], wanted, atol=1e-6)
    # A normal distribution that is cut off at two deviations has .880 of its deviation.
    drawn = np.asarray(params["token"]["embedding"])
    assert abs(drawn).max() <= 0.2
    assert drawn.std() == pytest.approx(0.088, rel=0.1)


def test_a_classifier_may_read_the_mean_of_all_that_is_no_padding():
    module = create(output="classifier", num_classes=3, pooling="mean", depth=1)
    variables, mask = drawn(module), np.arange(6) < np.array([[4], [6]])
    both = lambda tokens, mask: (
        module.apply(variables, tokens, None, mask),
        module.apply(variables, tokens, None, mask, features=True),
    )
    given, features = (np.asarray(x, np.float64) for x in jax.jit(both)(TOKENS, mask))
    mean = np.stack([features[0, :4].mean(0), features[1].mean(0)])
    p = variables["params"]
    read = np.tanh(mean @ p["pooler"]["kernel"] + p["pooler"]["bias"])
    np.testing.assert_allclose(given, read @ p["head"]["kernel"] + p["head"]["bias"], atol=1e-5)
    # Without a mask nothing is padding.
    alone = jax.jit(module.apply)(variables, TOKENS[1:])
    np.testing.assert_allclose(alone, given[1:], atol=1e-5)
