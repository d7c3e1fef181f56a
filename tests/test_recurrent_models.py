"""Stacked recurrent layers, and the models on them: what they see, carry and leave out."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from launching import REPORT, ROOT, assert_resumes_to_the_bit, run

from jaxdl import experiment, generate, keys, layers, models
from jaxdl.config import files as config_files
from jaxdl.errors import UserError
from jaxdl.launch import flags

CELLS = ("rnn", "lstm", "gru")
every_cell = pytest.mark.parametrize("cell", CELLS)

# With the defaults: 256 bytes; 8x8x1 images and 10 classes; one feature.
PARAMETERS = {
    "lstm_lm": 1_476_864,
    "gru_lm": 1_150_208,
    "rnn_lm": 492_288,
    "lstm_rows": 71_434,
    "gru_rows": 54_282,
    "rnn_rows": 18_826,
    "lstm_forecaster": 16_961,
    "gru_forecaster": 12_929,
    "rnn_forecaster": 4_289,
}
INPUTS = {
    "lm": jax.ShapeDtypeStruct((1, 4), jnp.int32),
    "rows": jax.ShapeDtypeStruct((1, 8, 8, 1), jnp.float32),
    "forecaster": jax.ShapeDtypeStruct((1, 4, 1), jnp.float32),
}


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def spread(module, *inputs):
    """Parameters far from where training starts, biases too, so that all parts have a say."""
    shapes = jax.eval_shape(module.init, keys.root(0), *inputs)
    rng = np.random.default_rng(0)
    return jax.tree.map(lambda x: (0.5 * rng.normal(size=x.shape)).astype(np.float32), shapes)


@pytest.mark.parametrize("name", PARAMETERS)
def test_parameter_count_is_the_documented_one(name):
    example = INPUTS[name.partition("_")[2]]
    shapes = jax.eval_shape(models.create(name).init, keys.root(0), example)
    assert sum(x.size for x in jax.tree.leaves(shapes["params"])) == PARAMETERS[name]


# Stacked layers


def test_each_layer_reads_the_one_below():
    x = normal(2, 4, 3)
    module = layers.Stacked(5, depth=2, cell="gru")
    variables = spread(module, x)
    y, (first, second) = module.apply(variables, x)
    own = lambda i: {"params": variables["params"][f"layer_{i}"]}
    below, below_carry = layers.GRU(5).apply(own(0), x)
    above, above_carry = layers.GRU(5).apply(own(1), below)
    np.testing.assert_array_equal(y, above)
    np.testing.assert_array_equal(first[0], below_carry[0])
    np.testing.assert_array_equal(second[0], above_carry[0])


@every_cell
def test_step_by_step_is_the_same_as_all_at_once(cell):
    x = normal(2, 5, 3)
    module = layers.Stacked(4, depth=2, cell=cell)
    variables = spread(module, x)
    apply = jax.jit(module.apply)
    whole, last = apply(variables, x)
    carries, parts = module.zero_carries(2), []
    for t in range(5):
        y, carries = apply(variables, x[:, t : t + 1], carries)
        parts.append(y)
    np.testing.assert_allclose(np.concatenate(parts, axis=1), whole, rtol=1e-5, atol=1e-6)
    for a, b in zip(jax.tree.leaves(carries), jax.tree.leaves(last), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("bidirectional", [False, True])
@every_cell
def test_what_is_behind_an_examples_end_leaves_no_trace(cell, bidirectional):
    x, lengths = normal(3, 5, 2), np.array([5, 3, 1])
    module = layers.Stacked(4, depth=2, cell=cell, bidirectional=bidirectional)
    variables = spread(module, x)
    apply = jax.jit(lambda x: module.apply(variables, x, lengths=lengths))
    y, carries = apply(x)
    behind = (np.arange(5) >= lengths[:, None])[..., None]
    other, other_carries = apply(np.where(behind, 1e3, x))
    jax.tree.map(np.testing.assert_array_equal, (y, carries), (other, other_carries))
    np.testing.assert_array_equal(np.where(behind, y, 0), 0)
    alone, end = module.apply(variables, x[1:2, :3])
    np.testing.assert_allclose(y[1:2, :3], alone, rtol=1e-5, atol=1e-6)
    for a, b in zip(jax.tree.leaves(carries), jax.tree.leaves(end), strict=True):
        np.testing.assert_allclose(a[1:2], b, rtol=1e-5, atol=1e-6)


def test_both_directions_start_from_the_carries_that_they_are_given():
    x = normal(2, 4, 3)
    module = layers.Stacked(5, cell="lstm", bidirectional=True)
    variables = spread(module, x)
    fresh, _ = module.apply(variables, x)
    zeros = module.zero_carries(2)
    np.testing.assert_array_equal(module.apply(variables, x, zeros)[0], fresh)
    ((ahead, back),) = zeros
    ones = jax.tree.map(jnp.ones_like, back)
    y, _ = module.apply(variables, x, ((ahead, ones),))
    np.testing.assert_array_equal(y[..., :5], fresh[..., :5])
    assert (y[:, -1, 5:] != fresh[:, -1, 5:]).all()


def test_dropout_lies_between_the_layers_only():
    x = normal(2, 4, 3)
    rngs = {"dropout": keys.root(1)}
    for depth in (1, 2):
        module = layers.Stacked(5, depth=depth, dropout=0.5)
        variables = spread(module, x)
        (y, carries), (z, other) = (
            module.apply(variables, x, train=train, rngs=rngs) for train in (False, True)
        )
        assert (depth == 1) == np.array_equal(y, z)
        np.testing.assert_array_equal(carries[0][0], other[0][0])


def test_an_unknown_cell_is_one_clear_line():
    with pytest.raises(UserError, match="unknown cell 'lsmt': did you mean 'lstm'"):
        layers.Stacked(4, cell="lsmt").init(keys.root(0), normal(1, 2, 3))


# Language models

V, T = 12, 8
TOKENS = np.random.default_rng(1).permutation(V)[None, :T].repeat(2, 0).astype(np.int32)
TOKENS[1] = TOKENS[1, ::-1]


def language_model(cell, **fields):
    small = dict(vocab_size=V, width=6, hidden=8, depth=2)
    return models.create(f"{cell}_lm", **{**small, **fields})


@functools.cache
def of_language_model(cell):
    """(variables, jitted apply, jitted step with a cache, logits of TOKENS)."""
    module = language_model(cell)
    variables = spread(module, TOKENS)
    apply = jax.jit(module.apply)
    step = jax.jit(lambda tokens, cache: module.apply(variables, tokens, cache=cache))
    return variables, apply, step, np.asarray(apply(variables, TOKENS))


@every_cell
def test_no_logit_has_a_gradient_from_a_later_token(cell):
    variables, apply, _, _ = of_language_model(cell)
    params, weights = variables["params"], normal(V, seed=2)

    def logits(table):
        token = {"embedding": table}
        return apply({"params": {**params, "token": token}}, TOKENS[:1])[0] @ weights

    # No token comes twice: each row of the table enters at one place alone.
    slope = jax.jit(jax.jacrev(logits))(params["token"]["embedding"])[:, TOKENS[0]]
    np.testing.assert_array_equal(np.abs(slope).max(-1) > 0, np.tril(np.ones((T, T))))


@pytest.mark.parametrize("sizes", [(1,) * T, (3, 4, 1), (T,)], ids=str)
@every_cell
def test_cached_logits_are_the_uncached_ones(cell, sizes):
    _, _, step, expected = of_language_model(cell)
    cache, parts, start = language_model(cell).init_cache(2, 99), [], 0
    shapes = jax.tree.map(lambda x: (x.shape, x.dtype), cache)
    for size in sizes:
        y, cache = step(TOKENS[:, start : start + size], cache)
        start += size
        parts.append(y)
    np.testing.assert_allclose(np.concatenate(parts, axis=1), expected, rtol=1e-5, atol=1e-5)
    assert jax.tree.map(lambda x: (x.shape, x.dtype), cache) == shapes


@pytest.mark.parametrize("cell", ["lstm"])
def test_texts_by_the_cache_are_those_without(cell):
    variables, apply, _, _ = of_language_model(cell)
    module, prompt = language_model(cell), TOKENS[:, :3]
    made = generate.greedy(module, variables, prompt, tokens=4)
    text = prompt
    for _ in range(4):
        text = np.append(text, np.asarray(apply(variables, text)).argmax(-1)[:, -1:], axis=1)
    np.testing.assert_array_equal(made, text[:, 3:])
    # One beam is greedy; of several, each has the probability that the model gives its text.
    (one,), _ = generate.beam_search(module, variables, prompt[:1], tokens=4, beams=1)
    np.testing.assert_array_equal(one, made[:1])
    beams, scores = generate.beam_search(module, variables, prompt[:1], tokens=4, beams=3)
    whole = np.concatenate([prompt[:1].repeat(3, 0), beams[0]], axis=1)
    log_p = jax.nn.log_softmax(apply(variables, whole[:, :-1]))[:, 2:]
    log_p = np.take_along_axis(np.asarray(log_p), whole[:, 3:, None], axis=-1)
    np.testing.assert_allclose(scores[0], log_p.sum((1, 2)), rtol=1e-4)


def test_bf16_gives_float32_logits_and_carries():
    variables, _, _, expected = of_language_model("lstm")
    module = language_model("lstm", dtype=jnp.bfloat16)
    cache = module.init_cache(2, T)
    y, after = jax.jit(lambda v, c: module.apply(v, TOKENS, cache=c))(variables, cache)
    assert y.dtype == jnp.float32
    same = jax.tree.map(lambda a, b: a.dtype == b.dtype == jnp.float32, cache, after)
    assert all(jax.tree.leaves(same))
    assert 0 < np.abs(y - expected).mean() < 0.02 * np.abs(expected).mean()


# Images row by row, and sequences of unequal lengths


@pytest.mark.parametrize("bidirectional", [False, True])
@every_cell
def test_an_images_rows_are_a_sequence_that_may_end_early(cell, bidirectional):
    images = normal(3, 5, 2, 2)
    module = models.create(
        f"{cell}_rows", num_classes=4, hidden=6, depth=2, bidirectional=bidirectional
    )
    variables = spread(module, images)
    apply = jax.jit(module.apply)
    whole = apply(variables, images)
    assert (whole.shape, whole.dtype) == ((3, 4), jnp.float32)
    rows = images.reshape(3, 5, 4)
    np.testing.assert_array_equal(apply(variables, rows), whole)
    lengths = np.array([5, 2, 4])
    cut = apply(variables, rows, lengths=lengths)
    noise = np.where((np.arange(5) < lengths[:, None])[..., None], rows, 1e3)
    np.testing.assert_array_equal(apply(variables, noise, lengths=lengths), cut)
    np.testing.assert_allclose(cut[0], whole[0], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(cut[1:2], apply(variables, rows[1:2, :2]), rtol=1e-5, atol=1e-6)


def test_what_is_neither_image_nor_sequence_is_one_clear_line():
    with pytest.raises(UserError, match=r"sequences \(batch, T, features\), not of shape \(2, 3\)"):
        models.create("lstm_rows").init(keys.root(0), normal(2, 3))


# Runs

TINY_TEXT = (
    "--config.data.context=16", "--config.data.stride=0", "--config.data.test_fraction=.005",
    "--config.model.width=8", "--config.model.hidden=8", "--config.model.dropout=.1",
    "--config.task.tokens=8", "--config.eval.every=6", "--config.log.every=3",
)  # fmt: skip


@pytest.mark.optimised
@pytest.mark.slow("gru", "jaxdl/train/")
def test_a_text_run_resumes_to_the_bit_and_leaves_its_texts(tmp_path):
    assert_resumes_to_the_bit("gru", tmp_path, *TINY_TEXT, "--config.ema=.9", REPORT, at=6)
    page = (tmp_path / "whole" / "report.html").read_text()
    assert page.count("[sample 1]\nThe ") == 2
    names = ("token/embedding", "recurrent/layer_0/kernel_in", "head/kernel")
    assert sorted(map(page.index, names)) == list(map(page.index, names))


@pytest.mark.parametrize("variant", ["", ":text", ":digits", ":mackey_glass"])
@every_cell
def test_every_cell_has_every_variant(cell, variant):
    options = flags.parse([f"--config={ROOT}/experiments/{cell}.py{variant}"])
    experiment.check(options.config)
    kind = {"digits": "rows", "mackey_glass": "forecaster"}.get(variant[1:], "lm")
    assert options.config.model.name == f"{cell}_{kind}"
    assert options.config.model.cell == cell


@functools.cache
def updated(precision="float32", devices=1):
    """(state, loss) of a small LSTM after one update by gradient descent."""
    made = config_files.load(f"{ROOT}/experiments/lstm.py")
    made.steps, made.batch_size, made.precision, made.log.layers = 4, 8, precision, False
    made.model.update(width=8, hidden=8)
    made.data.update(context=16, stride=0)
    made.optimizer.update(name="sgd", schedule="constant", learning_rate=1.0, warmup=0.0)
    made.parallel.data = devices
    built = experiment.create(made)
    batch = built.layout.put(built.batch(0), 8)
    with jax.set_mesh(built.layout.mesh):
        state, found = jax.jit(built.task.train_step)(built.init_state(), batch, built.key)
    return state, float(found["loss"].total / found["loss"].weight)


def test_eight_devices_learn_what_one_does():
    (one, a), (eight, b) = updated(), updated(devices=8)
    assert a == pytest.approx(b, rel=1e-6)
    for x, y in zip(jax.tree.leaves(one), jax.tree.leaves(eight), strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-5, atol=1e-6)


def test_bf16_computes_in_bf16_over_float32_parameters():
    (state, a), (_, b) = updated(precision="bf16"), updated()
    assert all(x.dtype in (np.float32, np.int32) for x in jax.tree.leaves(state))
    assert a != b
    assert a == pytest.approx(b, rel=1e-3)


BAD = {
    "lstm --config.model.hidden=0": "config.model",
    "rnn --config.model.cell=gnu": "unknown cell 'gnu': did you mean 'gru'",
    "gru --config.model.widht=3": "did you mean 'width'",
    "lstm:rows": "unknown variant 'rows'",
    "rnn:digit": "did you mean 'digits'",
    "gru --config.model.name=gru_forecaster": "model 'gru_forecaster' has no 'width'",
}


@pytest.mark.parametrize("arguments", BAD)
def test_bad_setting_is_one_clear_line(arguments, tmp_path, capsys):
    name, *settings = arguments.split()
    assert run(name, tmp_path / "run", *settings) == 2
    message = capsys.readouterr().err.strip()
    assert message.startswith("error: ")
    assert "\n" not in message
    assert BAD[arguments] in message
