"""Forecasting: the Mackey-Glass series, one's own, the linear baseline, and whole runs."""

import functools

import jax
import numpy as np
import pytest
from etils import epath
from flax import linen as nn
from hypothesis import given, settings
from hypothesis import strategies as st
from launching import ROOT, run, summary
from scipy.integrate import solve_ivp

from jaxdl import config, data, experiment, keys, models
from jaxdl.config import files as config_files
from jaxdl.data import mackey_glass, series
from jaxdl.data.series import Ends, Excerpts
from jaxdl.errors import UserError
from jaxdl.metrics import autoregression
from jaxdl.tasks import forecasting
from jaxdl.train.evaluate import Evaluator

KEY = keys.root(0)


# The Mackey-Glass series


def reference(length, tau=17.0, start=1.2):
    """By the method of steps: between two multiples of the delay it is an ordinary equation."""
    pieces = []

    def past(t):
        # At a multiple of the delay both pieces agree; the later one may not be there yet.
        return start if t <= 0 else float(pieces[min(int(t // tau), len(pieces) - 1)](t)[0])

    change = lambda t, x: 0.2 * past(t - tau) / (1 + past(t - tau) ** 10) - 0.1 * x
    for n in range(int(-(-length // tau))):
        found = solve_ivp(
            change, (n * tau, (n + 1) * tau), [past(n * tau)], rtol=1e-10, atol=1e-12,
            dense_output=True, max_step=0.5,
        )  # fmt: skip
        pieces.append(found.sol)
    return np.array([past(t) for t in range(length)])


def test_series_is_the_equations_solution():
    expected = reference(100)
    np.testing.assert_allclose(mackey_glass.solution(100), expected, rtol=0, atol=2e-6)
    fine = mackey_glass.solution(100, steps_per_unit=40)
    np.testing.assert_allclose(fine, expected, rtol=0, atol=2e-8)


def test_series_is_of_fourth_order():
    at = lambda n: mackey_glass.solution(60, steps_per_unit=n)
    coarse, fine, finest = at(4), at(8), at(64)
    errors = [np.abs(x - finest).max() for x in (coarse, fine)]
    assert 12 < errors[0] / errors[1] < 20


def test_series_stays_at_its_fixed_point_and_is_chaotic_elsewhere():
    # 1 = 2 / (1 + x¹⁰) at x = 1.
    np.testing.assert_allclose(mackey_glass.solution(50, start=1.0), 1, rtol=1e-12)
    near, other = (mackey_glass.solution(1500, start=s) for s in (1.2, 1.2 + 1e-6))
    apart = np.abs(near - other)
    assert apart[:20].max() < 1e-5
    assert apart[-300:].max() > 100 * apart[:20].max()


def test_mackey_glass_holds_out_its_end():
    settings = config.default().data
    settings.update(name="mackey_glass", length=1000, window=50, stride=20)
    found = data.load(settings)
    values = mackey_glass.solution(1500)[500:]
    mean, std = values[:800].mean(), values[:800].std()
    assert (found.mean, found.std) == pytest.approx((mean, std), rel=1e-6)
    series = found.test.series[:, 0] * found.std + found.mean
    np.testing.assert_allclose(series, values, rtol=0, atol=1e-6)
    assert found.test.start == len(found.train.tokens) == 800
    np.testing.assert_array_equal(found.train.tokens, found.test.series[:800].astype(np.float32))
    settings.eval_on = "validation"
    found = data.load(settings)
    assert found.test.start == len(found.train.tokens) == 640
    assert len(found.test.series) == 800


# Windows


@given(
    size=st.integers(2, 60), features=st.integers(1, 3), window=st.integers(2, 20),
    stride=st.integers(1, 20), held_out=st.integers(1, 30),
)  # fmt: skip
@settings(max_examples=60, deadline=None)
def test_every_held_out_step_is_forecast_once_in_order(size, features, window, stride, held_out):
    size, stride = max(size, window), min(stride, window - 1)
    series = np.arange((size + held_out) * features).reshape(-1, features)
    found = Ends(series, size, window, stride)
    batch = found.take(np.arange(len(found)))
    assert batch["series"].shape == (len(found), window, features)
    counts = batch["weight"] == 1
    np.testing.assert_array_equal(batch["series"][counts], series[size:])
    # What is in front of them is what came before.
    for values, own in zip(batch["series"], counts, strict=True):
        first = np.flatnonzero(own)[0]
        assert first == window - stride
        step = int(values[first, 0]) // features
        np.testing.assert_array_equal(values[:first], series[step - first : step])


def test_learned_windows_are_pieces_of_the_series():
    series = np.random.default_rng(0).normal(size=(50, 2)).astype(np.float32)
    train = Excerpts(series, 9)
    starts = train.shuffled(np.random.default_rng(1))
    found = train.take(starts)["series"]
    assert found.shape == (len(train), 10, 2)
    for start, values in zip(starts, found, strict=True):
        np.testing.assert_array_equal(values, series[start : start + 10])


# Linear autoregression


def wave(n=400, features=1, noise=0.05, seed=0):
    """(n, features): waves that hang together, with noise."""
    rng = np.random.default_rng(seed)
    t = np.arange(n)[:, None]
    x = np.sin(t / np.arange(3, 3 + features)) + np.sin(t / 7)
    return x + noise * rng.normal(size=(n, features))


@pytest.mark.parametrize("order, horizon, features", [(1, 1, 1), (3, 2, 2), (5, 6, 1)])
def test_fit_is_least_squares_over_all_pairs(order, horizon, features):
    x = wave(60, features)
    rows, targets = [], []
    for t in range(order - 1, 60 - horizon):
        rows.append([value for k in range(order) for value in x[t - k]] + [1.0])
        targets.append(x[t + horizon])
    rows, targets = np.array(rows), np.array(targets)
    weights = np.linalg.solve(rows.T @ rows, rows.T @ targets)
    found = autoregression.fit(x, order, horizon)
    np.testing.assert_allclose(
        found.weights.reshape(order * features, -1), weights[:-1], rtol=1e-6, atol=1e-8
    )
    np.testing.assert_allclose(found.bias, weights[-1], rtol=1e-6, atol=1e-8)
    start = order - 1 + horizon
    np.testing.assert_allclose(found(x, start, 60), rows @ weights, rtol=1e-6, atol=1e-8)
    # Behind the end, too: from the last values alone.
    (ahead,) = found(x, 60 + horizon - 1, 60 + horizon)
    last = np.append(x[: -order - 1 : -1].ravel(), 1.0)
    np.testing.assert_allclose(ahead, last @ weights, rtol=1e-6, atol=1e-8)


def test_an_autoregression_finds_its_own_process():
    x = np.zeros((300, 1))
    x[:2, 0] = 1, 0.5
    for t in range(2, 300):
        x[t] = 0.3 + 1.6 * x[t - 1] - 0.99 * x[t - 2]
    found = autoregression.fit(x, 2, 1)
    np.testing.assert_allclose(found.weights.ravel(), [1.6, -0.99], rtol=1e-8)
    np.testing.assert_allclose(found.bias, 0.3, rtol=1e-8)
    np.testing.assert_allclose(found(x, 10, 300), x[10:], atol=1e-8)


def test_order_is_the_best_on_the_end_and_fitted_to_the_whole():
    x = wave(noise=1.0, seed=2)
    found = autoregression.best(x, 3)
    errors = []
    for order in range(1, 21):
        held_out = autoregression.fit(x[:320], order, 3)(x, 320, 400)
        errors.append(np.square(held_out - x[320:]).mean())
    order = 1 + int(np.argmin(errors))
    assert 1 < order < 20  # neither end of the range: there was a choice
    np.testing.assert_array_equal(found.weights, autoregression.fit(x, order, 3).weights)


def test_a_series_that_is_too_short_for_any_order_is_one_clear_line():
    assert len(autoregression.best(wave(16), 1).weights) < 8
    with pytest.raises(UserError, match="5 steps is too short for an autoregression 4 steps ahead"):
        autoregression.best(wave(5), 4)


# Figures


class Last(nn.Module):
    """The simplest forecaster: what was last, times a weight that starts at 1."""

    dtype: str = "float32"

    @nn.compact
    def __call__(self, x, *, train=False):
        return x * self.param("weight", nn.initializers.ones, ())


@pytest.fixture(autouse=True)
def last(monkeypatch):
    models.names()
    monkeypatch.setitem(models._registry._entries, "last", Last)


def small(folder, series, **changed):
    """(experiment, state at its start) of the simplest forecaster on a series."""
    np.save(folder / "own.npy", series)
    made = config.default()
    made.steps, made.batch_size, made.parallel.data = 4, 2, 1
    made.model = dict(name="last")
    made.task = dict(name="forecasting", horizon=3, skip=4, ahead=20)
    made.data.update(name="series", path=str(folder / "own.npy"), window=20, stride=7)
    made.eval.best = "rmse"
    with made.ignore_type():
        made.update_from_flattened_dict(changed)
    built = experiment.create(made)
    return built, built.init_state()


@pytest.mark.parametrize(
    "changed", [{}, {"eval.batch_size": 2}, {"data.stride": 1}, {"task.horizon": 1}], ids=str
)
def test_rmse_is_the_root_over_the_whole_part_in_the_series_units(changed, tmp_path):
    x = 50 + 7 * wave(401, features=2) * [1, 10]
    built, state = small(tmp_path, x, **changed)
    found = Evaluator(built)(state)
    h, start = changed.get("task.horizon", 3), 321
    rmse = np.sqrt(np.square(x[start - h : -h] - x[start:]).mean())
    assert found["rmse"] == pytest.approx(rmse, rel=1e-5)
    linear = autoregression.best(x[:start], h)(x, start, 401)
    ratio = rmse / np.sqrt(np.square(linear - x[start:]).mean())
    assert found["rmse_linear_ratio"] == pytest.approx(ratio, rel=1e-3)
    scaled = (x - x[:start].mean(0)) / x[:start].std(0)
    loss = np.square(scaled[start - h : -h] - scaled[start:]).mean()
    assert found["loss"] == pytest.approx(loss, rel=1e-5)


def test_an_update_counts_every_forecast_behind_the_first_steps(tmp_path):
    sgd = {"optimizer.name": "sgd", "optimizer.learning_rate": 1.0,
           "optimizer.schedule": "constant"}  # fmt: skip
    built, state = small(tmp_path, wave(), **sgd)
    batch = built.batch(0)
    after, found = jax.jit(built.task.train_step)(state, batch, KEY)
    now, truth = batch["series"][:, 4:-3], batch["series"][:, 7:]
    assert float(found["loss"].weight) == now.size == 2 * 13
    assert float(found["loss"].total) == pytest.approx(np.square(now - truth).sum(), rel=1e-5)
    slope = (2 * now * (now - truth)).mean()
    assert float(after.params["weight"]) == pytest.approx(1 - slope, rel=1e-4)


def test_report_shows_the_forecast_its_continuation_and_the_error_ahead(tmp_path):
    x = wave(401, features=2)
    built, state = small(tmp_path, x)
    pictures = built.task.artifacts(state, built.run.data.test, KEY)
    assert list(pictures) == ["Forecast", "Free-running", "Error by horizon"]
    rmse = Evaluator(built)(state)["rmse"]
    order = len(autoregression.best(x[:321], 3).weights)
    said = pictures["Forecast"].caption
    assert said.startswith(f"RMSE of all 80 held-out steps: the network {rmse:.3g}, ")
    assert f"order {order} " in said
    assert said.endswith(f"the last value {rmse:.3g}.")


def test_continuations_go_on_from_their_own_forecasts(tmp_path, monkeypatch):
    x = wave(401)
    drawn = {}
    monkeypatch.setattr(forecasting.draw, "curves", lambda title, lines, **_: drawn.update(lines))
    built, state = small(tmp_path, x)
    built.task.artifacts(state, built.run.data.test, KEY)
    # Forecasts of what is 3 steps ahead as what is now: the last 3 values, again and again.
    place, made = drawn["network"]
    np.testing.assert_array_equal(place, np.arange(1, 21))
    np.testing.assert_allclose(made, np.tile(x[318:321, 0], 7)[:20], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(drawn["truth"][1], x[321:341, 0], rtol=1e-5, atol=1e-6)
    starts = np.unique(np.linspace(321, 381, 64).astype(int))
    for name, horizon, forecast in (
        ("network, free-running", 5, lambda s: x[s - 2]),
        ("last value", 5, lambda s: x[s - 1]),
        ("linear, fitted to each horizon", 2,
         lambda s: autoregression.best(x[:321], 2)(x, s + 1, s + 2)[0]),
    ):  # fmt: skip
        errors = [forecast(s) - x[s + horizon - 1] for s in starts]
        place, rmse = drawn[name]
        found = dict(zip(np.asarray(place).tolist(), rmse, strict=True))[horizon]
        assert found == pytest.approx(np.sqrt(np.square(errors).mean()), rel=1e-4)


def test_a_report_of_a_long_future_and_a_short_past_has_gaps(tmp_path, monkeypatch):
    drawn = {}
    monkeypatch.setattr(forecasting.draw, "curves", lambda title, lines, **_: drawn.update(lines))
    monkeypatch.setattr(forecasting.draw, "figure", lambda *_, **__: None)
    built, state = small(tmp_path, wave(401), **{"data.test_fraction": 0.85, "task.ahead": 300})
    built.task.artifacts(state, built.run.data.test, KEY)
    missing = np.isnan(drawn["linear, fitted to each horizon"][1])
    assert missing[-1]
    assert not missing[:3].any()
    assert np.isfinite(drawn["network, free-running"][1]).all()


@pytest.mark.parametrize("cell", ["rnn", "lstm", "gru"])
def test_no_forecast_has_a_gradient_from_a_later_step(cell):
    module = models.create(f"{cell}_forecaster", hidden=5)
    x = np.random.default_rng(0).normal(size=(6, 2)).astype(np.float32)
    variables = jax.jit(module.init)(KEY, x[None])
    forecasts = lambda x: module.apply(variables, x[None])[0].sum(-1)
    slope = jax.jit(jax.jacobian(forecasts))(x)
    reaches = np.abs(slope).max(axis=-1) > 0
    np.testing.assert_array_equal(reaches, np.tril(np.ones((6, 6))))


# Bad input


def refused(series, *said, **changed):
    settings = config.default().data
    settings.update(name="series", path=str(series), **changed)
    with pytest.raises(UserError) as error:
        data.load(settings)
    assert "\n" not in str(error.value)
    for words in said:
        assert words in str(error.value)


def test_a_csv_is_read_with_or_without_a_heading(tmp_path):
    x = wave(300, features=2)
    rows = [",".join(map(repr, row)) for row in x.tolist()]
    np.save(tmp_path / "own.npy", x)
    found = []
    for name, lines in (("a.csv", rows), ("b.csv", ["wind,sun", "", *rows, ""])):
        (tmp_path / name).write_text("\n".join(lines))
    for name in ("own.npy", "a.csv", "b.csv"):
        settings = config.default().data
        settings.update(name="series", path=str(tmp_path / name))
        found.append(data.load(settings).test.series)
    assert found[0].shape == (300, 2)
    np.testing.assert_array_equal(found[0], found[1])
    np.testing.assert_array_equal(found[0], found[2])


def test_a_bad_series_is_one_clear_line(tmp_path):
    refused("", "data.path='' is no .npy or .csv file")
    refused(tmp_path, "is no .npy or .csv file")
    npy = tmp_path / "own.npy"

    def saved(values):
        np.save(npy, values)
        return npy

    npy.write_bytes(b"not a file of numpy's")
    refused(npy, f"{npy} is not a readable .npy file")
    for head in (
        b"{'descr': ((((\n",
        b"{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000000,), }\n",
    ):
        npy.write_bytes(b"\x93NUMPY\x01\0" + len(head).to_bytes(2, "little") + head)
        refused(npy, f"{npy} is not a readable .npy file")
    refused(saved(np.array(["a"])), "a series must be numbers, got <U1")
    refused(saved(np.zeros((3, 2, 2))), "must be (T,) or (T, features), got (3, 2, 2)")
    refused(saved(np.zeros(0)), "got (0,)")
    x = wave(300, features=2)
    x[17, 1] = np.nan
    refused(saved(x), "step 17 of feature 1 is nan: a series needs a number at every step")
    x[:, 1] = 3
    refused(saved(x), "feature 1 is 3 all along the training part")
    refused(saved(wave(100)), "80 steps to learn from and 20 held out are too few: data.window=128 "
            "needs as many and 1")  # fmt: skip
    refused(saved(wave()), "data.window=1 must be at least 2", window=1)
    refused(npy, "data.stride=9 must be at least 1 and below data.window=9", window=9, stride=9)
    csv = tmp_path / "own.csv"
    for text, said in {
        "a\n1\ntwo\n": "line 3: 'two' is not a number",
        "1,2\n3\n": "line 2: 1 numbers, but line 1 has 2",
        "a,b\n": "holds no numbers",
        "1\ninf\n": "step 1 of feature 0 is inf",
    }.items():
        csv.write_text(text)
        refused(csv, str(csv), said)
    csv.write_bytes(b"\xff1")
    refused(csv, "is not UTF-8 text")


# How programs write the same numbers: German and French spreadsheets, tabs, quotes, pandas with its
# index, Windows.
WRITTEN = {
    "commas": lambda x: "a,b\n" + "".join(f"{a},{b}\n" for a, b in x),
    "semicolons": lambda x: "a;b\n" + "".join(f"{a};{b}\n" for a, b in x),
    "decimal commas": lambda x: "".join(f"{a};{b}\n".replace(".", ",") for a, b in x),
    "tabs": lambda x: "a\tb\n" + "".join(f"{a}\t{b}\n" for a, b in x),
    "quotes": lambda x: '"a; m","b"\n' + "".join(f'"{a}","{b}"\n' for a, b in x),
    "pandas": lambda x: ",a,b\n" + "".join(f"{i},{a},{b}\n" for i, (a, b) in enumerate(x)),
    "UTF-16": lambda x: "".join(f"{a},{b}\r\n" for a, b in x).encode("utf-16"),
}


@pytest.mark.parametrize("how", WRITTEN)
def test_the_same_numbers_are_read_however_they_are_written(how, tmp_path):
    values, file = wave(60, features=2), tmp_path / "own.csv"
    content = WRITTEN[how](values.tolist())
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    found, notes = series._csv(epath.Path(file))
    np.testing.assert_array_equal(found, values)
    assert len(notes) == (how == "pandas")


def test_a_first_column_that_does_not_count_is_a_feature(tmp_path):
    file = tmp_path / "own.csv"
    for heading, first in ((",a", 1), ("i,a", 0)):  # from 1 on; from 0 on with a name
        file.write_text(f"{heading}\n" + "".join(f"{first + i},{i % 7}\n" for i in range(60)))
        found, notes = series._csv(epath.Path(file))
        assert (found.shape, notes) == ((60, 2), ())
    file.write_text("a\tb\n1,5\t2\n")  # a decimal comma or thousands: nothing says which
    with pytest.raises(UserError, match="line 2: '1,5' is not a number"):
        series._csv(epath.Path(file))


class Summary(nn.Module):
    """One answer a window."""

    dtype: str = "float32"

    @nn.compact
    def __call__(self, x, *, train=False):
        return nn.Dense(1)(x.mean(axis=1))


def test_a_model_of_another_shape_is_one_clear_line(tmp_path, monkeypatch):
    monkeypatch.setitem(models._registry._entries, "summary", Summary)
    with pytest.raises(UserError) as error:
        small(tmp_path, wave(), model=dict(name="summary"))
    assert str(error.value) == (
        "task 'forecasting' needs a model of series, (batch, T, features) to the same, such as "
        "'lstm_forecaster', not 'summary'"
    )


BAD = {
    "--config.task.horizon=0": "config.task.horizon=0 must be at least 1",
    "--config.task.ahead=0": "config.task.ahead=0 must be at least 1",
    "--config.task.skip=-1": "config.task.skip=-1 must be at least 0",
    "--config.task.skip=60": "config.task.skip=60 and config.task.horizon=6 leave of "
    "config.data.window=128 fewer steps than config.data.stride=64 wants forecast",
    "--config.data.length=0": "data.length=0 must be at least 1",
    "--config.data.tau=0": "data.tau=0.0 must be at least 0.1",
    "--config.data.name=digits": "task 'forecasting' learns from 'series', and data set 'digits' "
    "has image, label",
    "--config.model.name=vit": "hidden",
    "--config.task.horizn=6": "did you mean 'horizon'",
}


@pytest.mark.parametrize("argument", BAD)
def test_bad_setting_is_one_clear_line(argument, tmp_path, capsys):
    assert run("lstm:mackey_glass", tmp_path / "run", argument) == 2
    message = capsys.readouterr().err.strip()
    assert message.startswith("error: ")
    assert "\n" not in message
    assert BAD[argument] in message


# Runs


def test_a_run_leaves_its_figures(finished):
    folder = finished("lstm:mackey_glass")
    found = summary(folder)
    assert found["best"]["rmse"] <= found["final"]["rmse"]
    page = (folder / "report.html").read_text()
    for heading in ("Forecast", "Free-running", "Error by horizon", "Gradient flow"):
        assert f"<h2>{heading}</h2>" in page


@functools.cache
def updated(precision="float32", devices=1):
    """(state, loss) of a small GRU after one update by gradient descent."""
    made = config_files.load(f"{ROOT}/experiments/gru.py:mackey_glass")
    made.steps, made.batch_size, made.precision, made.log.layers = 4, 8, precision, False
    made.data.update(length=600, window=32, stride=8)
    made.task.skip, made.model.hidden = 8, 8
    made.optimizer.update(name="sgd", schedule="constant", learning_rate=1.0, warmup=0.0)
    made.parallel.data = devices
    built = experiment.create(made)
    batch = built.layout.put(built.batch(0), 8)
    with jax.set_mesh(built.layout.mesh):
        state, found = jax.jit(built.task.train_step)(built.init_state(), batch, built.key)
    return state, float(found["loss"].total / found["loss"].weight), Evaluator(built)(state)


def test_eight_devices_learn_and_forecast_as_one_does():
    (one, a, figures), (eight, b, same) = updated(), updated(devices=8)
    assert a == pytest.approx(b, rel=1e-6)
    for x, y in zip(jax.tree.leaves(one), jax.tree.leaves(eight), strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-5, atol=1e-6)
    assert figures == {name: pytest.approx(value, rel=1e-5) for name, value in same.items()}


def test_bf16_computes_in_bf16_over_float32_parameters():
    (state, a, _), (_, b, _) = updated(precision="bf16"), updated()
    assert all(x.dtype in (np.float32, np.int32) for x in jax.tree.leaves(state))
    assert a != b
    assert a == pytest.approx(b, rel=2e-2)
