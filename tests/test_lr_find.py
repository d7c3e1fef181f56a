"""The learning-rate range test: the rates, the average, the reading, the scan, and the mode."""

import json
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from launching import ROOT, run

from jaxdl import keys, metrics, tasks
from jaxdl.errors import UserError
from jaxdl.launch import flags
from jaxdl.train import advance, dispatch, lr_find

STEPS = 24
TINY = {
    # Without shifts, which each device draws for itself under pmap.
    "mlp": ("--config.model.hidden=8", "--config.augment.shift=0"),
    "ppo": (
        "--config.model.hidden=8,8",
        "--config.task.rollout=8",
        "--config.task.minibatches=2",
        "--config.task.epochs=1",
    ),
    "dcgan": ("--config.model.widths=8,4", "--config.task.latent=8"),
}
FLAGS = (f"--config.lr_find.steps={STEPS}", "--config.batch_size=16", "--config.parallel.data=1")


def config_of(name, *overrides):
    file = ROOT / "experiments" / f"{name}.py"
    return flags.parse([f"--config={file}", *TINY[name], *FLAGS, *overrides]).config


# Rates and averages


@pytest.mark.parametrize("low, high, steps", [(1e-6, 10.0, 200), (1e-3, 2e-3, 20), (0.1, 1.0, 1)])
def test_rates_are_numpys_geometric_sequence(low, high, steps):
    np.testing.assert_allclose(
        lr_find.schedule(low, high, steps), np.geomspace(low, high, steps), rtol=1e-12
    )


@pytest.mark.parametrize("beta", [0.0, 0.5, 0.9])
def test_the_average_is_the_weighted_mean_of_what_was_before(beta):
    losses = np.random.default_rng(0).normal(size=30)
    weights = np.tril(beta ** np.maximum(np.subtract.outer(np.arange(30), np.arange(30)), 0.0))
    expected = weights @ losses / weights.sum(axis=1)
    np.testing.assert_allclose(lr_find.smoothed(losses, beta), expected, rtol=1e-12)


def test_the_average_has_no_value_from_the_first_that_is_none():
    found = lr_find.smoothed(np.array([1.0, 2.0, np.nan, 1.0]), 0.9)
    assert np.isfinite(found).tolist() == [True, True, False, False]


# Reading

RATES = lr_find.schedule(1e-6, 10.0, 200)
LAG = 9  # updates, of an average of weight .9


def sigmoid(update, middle, width):
    return 1 / (1 + np.exp(-(update - middle) / width))


def falling(steepest=100, rise=150):
    """A loss that falls fastest at one update and is thrown back at another, with some noise."""
    at = np.arange(200)
    noise = 1e-4 * np.random.default_rng(0).normal(size=200)
    return 3 - 2 * sigmoid(at, steepest, 12) + np.exp(np.minimum(at - rise, 20) / 1.0) + noise


@pytest.mark.parametrize("steepest", [80, 100])
def test_the_steepest_point_of_a_curve_is_found_behind_the_averages_lag(steepest):
    found = lr_find.suggest(RATES, falling(steepest))
    at = int(np.searchsorted(RATES, found.steepest * 0.999))
    assert abs(at - (steepest + LAG)) <= 3
    assert found.why == ""


def test_the_suggestion_is_a_tenth_of_the_rate_of_the_lowest_average():
    losses = falling()
    average = lr_find.smoothed(losses, 0.9)
    lowest = RATES[np.argmin(average)]
    found = lr_find.suggest(RATES, losses)
    assert (found.lowest, found.tenth, found.suggestion) == (lowest, lowest / 10, lowest / 10)


def test_it_diverges_where_the_average_is_back_above_where_it_began():
    losses = falling(rise=150)
    average = lr_find.smoothed(losses, 0.9)
    diverged = lr_find.suggest(RATES, losses).diverged
    at = int(np.argmin(np.abs(RATES - diverged)))
    assert 150 <= at <= 156
    assert average[at] > average[9] >= average[at - 2]


def test_a_loss_that_is_no_number_ends_the_curve():
    losses = falling(rise=1000)
    assert lr_find.suggest(RATES, losses).diverged is None
    losses[160], losses[170] = np.inf, -1e9
    found = lr_find.suggest(RATES, losses)
    assert found.diverged == RATES[160]
    assert found.lowest == RATES[159]


def test_what_follows_a_divergence_is_not_read():
    losses = falling()
    expected = lr_find.suggest(RATES, losses)
    losses[180:] = -1e6
    assert lr_find.suggest(RATES, losses) == expected


def test_scale_and_offset_of_the_loss_do_not_matter():
    losses = falling()
    expected = lr_find.suggest(RATES, losses)
    assert lr_find.suggest(RATES, 4 * losses - 64)[:4] == pytest.approx(expected[:4], rel=1e-9)


NEVER_FALLS = {
    "noise": np.random.default_rng(0).normal(size=200),
    "constant": np.ones(200),
    "rising": np.linspace(1, 2, 200),
    "broken at once": np.full(200, np.nan),
    "broken soon": np.concatenate([np.linspace(2, 1, 8), np.full(192, np.inf)]),
    "broken in the first quarter": np.concatenate([np.ones(30), np.full(170, np.nan)]),
}


@pytest.mark.parametrize("case", NEVER_FALLS)
def test_a_loss_that_never_falls_gives_no_suggestion_but_the_reason(case):
    found = lr_find.suggest(RATES, NEVER_FALLS[case])
    assert found.suggestion is found.steepest is found.lowest is None
    word = "update" if case in ("broken at once", "broken soon") else "never falls"
    assert word in found.why
    assert "\n" not in found.why


def test_noise_alone_is_hardly_ever_taken_for_a_fall():
    rng = np.random.default_rng(1)
    draws = [lr_find.suggest(RATES, rng.normal(size=200)) for _ in range(200)]
    assert sum(found.suggestion is not None for found in draws) <= 3


def test_the_loss_is_looked_at_or_the_first_metric_that_ends_so():
    assert lr_find.metric_of(dict.fromkeys(["a_loss", "loss", "z"])) == "loss"
    names = ["layers/a/loss", "generator_loss", "discriminator_loss", "loss_scale"]
    assert lr_find.metric_of(dict.fromkeys(names)) == "discriminator_loss"
    with pytest.raises(UserError, match="accuracy"):
        lr_find.metric_of({"accuracy": None})


# The scan


@pytest.fixture(scope="module")
def single_calls():
    """The losses and rates of single calls of the training step, one after the other."""
    made = lr_find.create(config_of("mlp"))
    step, state = jax.jit(made.task.train_step), made.init_state()
    losses, rates = [], []
    for i in range(STEPS):
        state, found = step(state, made.batch(i), keys.at_step(made.key, i))
        figures = metrics.divide(jax.device_get(found))
        losses.append(figures["loss"])
        rates.append(figures["learning_rate"])
    return np.array(losses), np.array(rates)


@pytest.mark.parametrize("per_call", [STEPS, 7])
def test_losses_are_those_of_single_calls_however_many_fit_into_memory(
    single_calls, per_call, monkeypatch
):
    monkeypatch.setattr(dispatch, "most_updates", lambda made, steps: per_call)
    found = lr_find.measure(lr_find.create(config_of("mlp")))[1]
    np.testing.assert_allclose(found, single_calls[0], rtol=1e-5)


def test_updates_have_the_rates_of_the_curve(single_calls):
    expected = lr_find.schedule(1e-6, 10.0, STEPS)
    np.testing.assert_allclose(single_calls[1], expected, rtol=1e-5)


@pytest.mark.parametrize("strategy", ["jit", "pmap"])
def test_eight_devices_find_the_same_curve(single_calls, strategy):
    config = config_of("mlp", "--config.parallel.data=8", f"--config.parallel.strategy={strategy}")
    found = lr_find.measure(lr_find.create(config))[1]
    calm = slice(0, 16)  # rates that amplify no rounding
    np.testing.assert_allclose(found[calm], single_calls[0][calm], rtol=1e-4)


def toy(breaks_at):
    """Counts updates in its state; the loss of one of them is infinite."""

    def train_step(state, batch, key):
        loss = jnp.where(state == breaks_at, jnp.inf, 10.0 - state)
        return state + 1, {"loss": metrics.Mean.once(loss)}

    return tasks.Task(init=None, train_step=train_step)


@pytest.mark.parametrize(
    "count, breaks_at, applied", [(6, 3, 3), (6, 99, 6), (4, 99, 4), (2, 3, 2)]
)
def test_nothing_is_applied_from_a_non_finite_loss_on(count, breaks_at, applied):
    window = metrics.zeros({"loss": metrics.Mean.once(jnp.ones(()))})
    carry = advance.Carry(jnp.float32(0), jnp.int32(0), window, jnp.bool_(True))
    curve = jax.jit(lr_find.make_curve(toy(breaks_at), "loss", 6))
    carry, losses = curve(carry, keys.root(0), {}, jnp.int32(count))
    assert (float(carry.state), int(carry.step)) == (applied, applied)
    np.testing.assert_array_equal(losses, [*range(10, 10 - applied, -1), *[np.nan] * (6 - applied)])


@pytest.mark.parametrize(
    "pass_over_data, expected", [(90.0, 200), (None, 200), (230.5, 231), (9e4, 400)]
)
def test_the_length_is_a_pass_within_bounds(pass_over_data, expected, monkeypatch):
    def create(config):
        run = tasks.Run(config, None, config.steps, pass_over_data)
        return lr_find.experiment.Experiment(config, run, *[None] * extra)

    extra = len(lr_find.experiment.Experiment._fields) - 2
    monkeypatch.setattr(lr_find.experiment, "create", create)
    assert lr_find.create(config_of("mlp", "--config.lr_find.steps=0")).run.steps == expected


# The mode


@pytest.mark.parametrize("name, metric", [("ppo", "loss"), ("dcgan", "discriminator_loss")])
def test_the_mode_prints_and_writes_a_page_and_the_numbers(name, metric, tmp_path, capsys):
    folder = tmp_path / "new" / "folder"
    assert run(name, folder, *TINY[name], *FLAGS, "--mode=lr_find") == 0
    assert sorted(f.name for f in folder.iterdir()) == ["lr_find.html", "lr_find.json"]
    found = json.loads((folder / "lr_find.json").read_text())
    assert found["metric"] == metric
    assert len(found["rates"]) == len(found["losses"]) == len(found["smoothed"]) == STEPS
    out = capsys.readouterr().out
    assert repr(metric) in out
    assert "suggestion" in out
    assert str(folder / "lr_find.html") in out


def test_a_run_in_the_folder_stays_as_it_is_and_the_suggestion_is_printed(tmp_path, capsys):
    folder = tmp_path / "run"
    assert run("mlp", folder, *TINY["mlp"]) == 0
    files = lambda: {f: f.read_bytes() for f in folder.rglob("*") if f.is_file()}
    before = files()
    assert run("mlp", folder, "--config.lr_find.steps=200", "--mode=lr_find") == 0
    after = files()
    page, numbers = folder / "lr_find.html", folder / "lr_find.json"
    assert set(after) - set(before) == {page, numbers}
    assert all(after[f] == before[f] for f in before)
    found = json.loads(numbers.read_text())
    # The rate of the experiment, 2e-3, learns: so must one that is suggested.
    assert 2e-4 < found["suggestion"] < 0.1
    assert found["suggestion"] == found["lowest"] / 10
    assert f"--config.optimizer.learning_rate={found['suggestion']:.2g}" in capsys.readouterr().out
    text = page.read_text()
    for word in ("A tenth of", "optimizer.weight_decay", "image/svg+xml"):
        assert word.lower() in text.lower()
    assert "http" not in text.replace("http://www.w3.org", "")  # nothing to load


def test_a_broken_test_says_so_and_stores_null(tmp_path, capsys):
    folder = tmp_path / "run"
    flags = ("--config.lr_find.low=1e15", "--config.lr_find.high=1e16", *FLAGS)
    name = ("--config.optimizer.name=sgd", "--config.optimizer.weight_decay=0.0")
    assert run("mlp", folder, *TINY["mlp"], *flags, *name, "--mode=lr_find") == 0
    assert "no suggestion: " in capsys.readouterr().out
    found = json.loads((folder / "lr_find.json").read_text())
    assert found["suggestion"] is None
    assert found["losses"][-1] is None
    assert math.isfinite(found["losses"][0])


@pytest.mark.parametrize(
    "flag, words",
    [
        ("lr_find.low=20", ["config.lr_find.low=20", "config.lr_find.high=10"]),
        ("lr_find.high=1e-6", ["config.lr_find.low=1e-06", "config.lr_find.high=1e-06"]),
        ("lr_find.low=0", ["config.lr_find.low=0.0", "above 0"]),
        ("lr_find.steps=5", ["config.lr_find.steps=5", "at least 20"]),
        ("lr_find.hgh=1", ["'hgh'", "'high'"]),
    ],
)
def test_a_wrong_setting_is_told_in_one_line(flag, words, tmp_path, capsys):
    folder = tmp_path / "run"
    assert run("mlp", folder, f"--config.{flag}", "--mode=lr_find") == 2
    message = capsys.readouterr().err
    assert message.count("\n") == 1
    for word in words:
        assert word in message
    assert not folder.exists()


def test_a_file_in_place_of_the_folder_is_named(tmp_path, capsys):
    file = tmp_path / "file"
    file.write_text("")
    assert run("mlp", file, "--mode=lr_find") == 2
    assert "is a file" in capsys.readouterr().err
