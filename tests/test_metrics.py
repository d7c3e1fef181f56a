"""Metrics add up however the examples are cut, and compare by what is said of them."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxdl import metrics
from jaxdl.errors import UserError
from jaxdl.metrics import Mean

pytestmark = pytest.mark.usefixtures("explicit")

# Small whole numbers add without rounding: equal means equal, in any order.
values = st.lists(st.integers(-100, 100), min_size=1, max_size=12)


def mean_of(x, weights=None):
    weights = None if weights is None else jnp.asarray(weights, jnp.float32)
    return {"loss": Mean.of(jnp.asarray(x, jnp.float32), weights)}


@settings(max_examples=20, deadline=None, derandomize=True)
@given(st.lists(values, min_size=1, max_size=5))
def test_unequal_microbatches_add_up_to_the_whole(parts):
    total = metrics.zeros(mean_of([0]))
    for part in parts:
        total = metrics.add(total, mean_of(part))
    whole = [x for part in parts for x in part]
    assert float(total["loss"].total) == sum(whole)
    assert float(total["loss"].weight) == len(whole)
    assert metrics.divide(total)["loss"] == sum(whole) / len(whole)


def test_a_mean_of_means_would_be_another_number():
    added = metrics.add(mean_of([1, 1, 1]), mean_of([5]))
    assert metrics.divide(added) == {"loss": 2.0}  # not 3


@settings(max_examples=20, deadline=None, derandomize=True)
@given(st.lists(st.tuples(st.integers(-50, 50), st.integers(0, 3)), min_size=1, max_size=8))
def test_weights_count_an_example_as_often_as_they_say(pairs):
    x, w = zip(*pairs, strict=True)
    repeated = [value for value, times in pairs for _ in range(times)]
    got = mean_of(x, w)["loss"]
    assert float(got.total) == sum(repeated)
    assert float(got.weight) == len(repeated)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bool_, jnp.int32])
def test_a_padded_example_is_left_out_whatever_its_value(bad, dtype):
    got = Mean.of(jnp.array([1.0, bad, 3.0]), jnp.array([1, 0, 1], dtype))
    assert metrics.divide({"x": got}) == {"x": 2.0}


def test_an_unmasked_nan_is_not_hidden():
    got = Mean.of(jnp.array([1.0, np.nan]), jnp.array([1.0, 1.0]))
    assert np.isnan(metrics.divide({"x": got})["x"])


def test_the_gradient_is_each_examples_weight_and_0_where_padded():
    x, w = jnp.array([1.0, np.nan, 3.0]), jnp.array([1.0, 0.0, 2.0])
    np.testing.assert_array_equal(jax.grad(lambda x: Mean.of(x, w).total)(x), [1, 0, 2])


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.bool_, jnp.int32])
def test_sums_are_float32_whatever_comes_in(dtype):
    # 257 ones: in bf16 the sum would stay at 256.
    got = Mean.of(jnp.ones(257, dtype))
    assert got.total.dtype == jnp.float32
    assert got.weight.dtype == jnp.float32
    assert (float(got.total), float(got.weight)) == (257, 257)


def test_once_counts_each_step_once():
    steps = [{"rate": Mean.once(x)} for x in (1.0, 2.0, 6.0)]
    total = metrics.add(metrics.add(*steps[:2]), steps[2])
    assert metrics.divide(total) == {"rate": 3.0}


def test_adding_holds_in_a_scan_and_over_several_metrics():
    def step(total, x):
        new = {"loss": Mean.of(x), "norm": Mean.once(x[0])}
        return metrics.add(total, new), None

    def run(x):
        start = metrics.zeros(jax.eval_shape(lambda: step_metrics(x[0])))
        return jax.lax.scan(step, start, x)[0]

    step_metrics = lambda x: {"loss": Mean.of(x), "norm": Mean.once(x[0])}
    got = metrics.divide(jax.jit(run)(jnp.arange(6.0).reshape(3, 2)))
    assert got == {"loss": 2.5, "norm": 2.0}


def test_figures_of_one_array_have_their_own_names_and_one_weight():
    once = lambda values: {"layers": metrics.Means.once(["a/x", "b"], jnp.array(values))}
    window = jax.jit(metrics.add)(once([1.0, 4.0]), once([3.0, 8.0]))
    assert metrics.names(window) == ["a/x", "b"]
    assert metrics.divide(window) == {"a/x": 2.0, "b": 6.0}
    members = jax.tree.map(lambda *xs: jnp.stack(xs), window, metrics.zeros(window))
    found = metrics.divide(members)
    assert found["b"][0] == 6.0
    assert math.isnan(found["b"][1])


def test_divide_gives_plain_numbers_lists_for_vectors_and_nan_of_nothing():
    got = metrics.divide(
        {
            "scalar": Mean(jnp.float32(3), jnp.float32(2)),
            "vector": Mean(jnp.array([2.0, 4.0]), jnp.float32(4)),
            "nothing": Mean(jnp.float32(0), jnp.float32(0)),
            "nothings": Mean(jnp.zeros(2), jnp.float32(0)),
        }
    )
    assert got["scalar"] == 1.5
    assert type(got["scalar"]) is float
    assert got["vector"] == [0.5, 1.0]
    assert np.isnan(got["nothing"])
    assert np.isnan(got["nothings"]).tolist() == [True, True]


@pytest.mark.parametrize(
    "metric, better, worse",
    [
        ("accuracy", 0.9, 0.8),
        ("mean_return", -1.0, -2.0),
        ("loss", 0.1, 0.2),
        ("perplexity", 10.0, 11.0),
        ("rmse", 1.0, 2.0),
        *((name, 1.0, 2.0) for name in ("fid", "wer", "cer", "mae", "kl", "lpips")),
        ("accuracy", -1e9, np.nan),
        ("loss", 1e9, np.nan),
        ("loss", 1e9, np.inf),
    ],
)
def test_what_is_better_is_known_of_names_that_mean_one_thing(metric, better, worse):
    way = metrics.direction(metric)
    assert metrics.rank(better, way) > metrics.rank(worse, way)
    assert metrics.is_better(better, worse, way)
    assert not metrics.is_better(worse, better, way)
    assert not metrics.is_better(better, better, way)


def test_a_task_says_it_of_its_own_metrics_and_nothing_is_guessed_from_a_name():
    for name in ("validation_loss", "word_error", "top_5_accuracy", "frechet_distance"):
        assert metrics.direction(name) is None
    assert metrics.direction("word_error", {"word_error": "low"}) == metrics.LOW
    assert metrics.direction("loss", {"loss": "high"}) == metrics.HIGH
    with pytest.raises(ValueError, match="must be 'low' or 'high', not 'up'"):
        metrics.direction("x", {"x": "up"})
    with pytest.raises(UserError, match=r"config.eval.best='wordeerror'.*'word_error'"):
        metrics.need_direction("config.eval.best", "wordeerror", {"word_error": "low"})


@pytest.mark.parametrize("way", [metrics.LOW, metrics.HIGH])
def test_any_finite_value_and_no_other_improves_on_nothing(way):
    assert metrics.is_better(-5.0, None, way)
    assert not metrics.is_better(np.nan, None, way)
    assert not metrics.is_better(np.inf, None, way)
