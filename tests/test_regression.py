"""Numbers told of rows, with intervals: figures, guarantees, and runs."""

import functools
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny
from launching import built, figures, go_on, learned, run, run_and_copy, summary
from sklearn import metrics as theirs

from jaxdl import data as data_sets
from jaxdl.metrics import conformal
from jaxdl.tasks import regression
from jaxdl.tasks.shared import calibrated

FILES = ("jaxdl/tasks/regression.py", "jaxdl/tasks/shared/", "jaxdl/metrics/conformal.py")
FLAGS = (*tiny.FLAGS["mlp:regression"], "--config.eval.every=6", "--config.ema=.9")


@pytest.mark.parametrize("coverage", [0.5, 0.8, 0.9, 0.95])
@pytest.mark.parametrize("count", [19, 40, 99])
def test_a_margin_holds_for_as_many_of_those_that_are_drawn_alike(coverage, count):
    """Each of n + 1 distinct scores in turn is the new one: the rest's margin is exactly a rank."""
    scores = np.random.default_rng(count).permutation(count + 1).astype(np.float32)
    margin = jax.jit(conformal.margin, static_argnums=1)
    held = [scores[i] <= margin(np.delete(scores, i), coverage) for i in range(count + 1)]
    rank = int(np.ceil(np.round((count + 1) * coverage, 9)))
    assert np.sum(held) == rank
    assert rank / (count + 1) >= coverage


def test_the_fewest_examples_have_a_margin_and_one_less_have_none():
    for coverage in (0.5, 0.8, 0.9, 0.95, 0.99):
        fewest = conformal.fewest(coverage)
        assert conformal.rank(fewest, coverage) <= fewest
        assert conformal.rank(fewest - 1, coverage) > fewest - 1


def test_quantiles_that_cross_are_put_in_order_and_narrowed_intervals_keep_their_prediction():
    found = regression.ends(jnp.array([[3.0, 1.0, 2.0, 0.0, 5.0, 4.0]]), True)
    np.testing.assert_array_equal(found.low, [[1, 0]])
    np.testing.assert_array_equal(found.middle, [[2, 4]])
    np.testing.assert_array_equal(found.high, [[3, 5]])
    units = {"mean": jnp.zeros(1), "std": jnp.ones(1)}
    # All that is held lies deep inside of its interval: the margin is -5.
    held = {"features": jnp.zeros((20, 1)), "target": jnp.zeros((20, 1))}
    state = regression.State(None, units, held)
    outputs = lambda learner, x: jnp.where(
        x == 0, jnp.array([[-5.0, 0, 5]]), jnp.array([[1.0, 2, 9]])
    )
    known = functools.partial(
        calibrated.known, outputs, functools.partial(regression.margin, True, 0.9)
    )
    told = regression.told(outputs, True, calibrated.ready(known, state), jnp.ones((1, 1)))
    assert (told.low, told.middle, told.high) == (2, 2, 4)


def test_learning_sees_targets_in_deviations_and_tells_them_in_their_own_units():
    one = built("mlp:regression", "--config.task.loss=mse", "--config.task.conform=false")
    state = one.init_state()
    batch = one.run.data.train.take(np.arange(16))
    target = one.run.data.train.arrays["target"].astype(np.float64)
    found = one.task.eval_step(state, batch, one.key)["loss"]
    made = regression.in_deviations(state, batch["target"])
    np.testing.assert_allclose(
        made, (batch["target"] - target.mean()) / target.std(), rtol=1e-5, atol=1e-6
    )
    scored = one.task.score(state, one.run.data.train, one.key)
    # The mean squared error in deviations is that in the targets' units over their variance.
    everything = one.run.data.train.take(np.arange(len(one.run.data.train)))
    whole = one.task.eval_step(state, everything, one.key)["loss"]
    np.testing.assert_allclose(whole.total / whole.weight, scored["rmse"] ** 2 / target.var(),
                               rtol=1e-4)  # fmt: skip
    assert found.weight == 16
    assert "coverage" not in scored


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """A folder with a run and one that was cut and went on."""
    folder = tmp_path_factory.mktemp("regression")
    run_and_copy("mlp:regression", folder, *FLAGS, "--config.checkpoint.every=6", at=6)
    return folder


@pytest.mark.slow("mlp:regression", *FILES)
def test_a_run_that_was_cut_ends_like_one_that_was_not(done):
    go_on("mlp:regression", done, *FLAGS, "--config.checkpoint.every=6", at=6)


@pytest.mark.slow("mlp:regression", *FILES)
def test_figures_are_scikit_learns_of_what_is_answered_about_the_test_part(done, capsys):
    folder = done / "whole"
    assert run("mlp:regression", folder, *FLAGS, "--mode=evaluate") == 0
    said = figures(folder, "evaluate")[-1]
    data = data_sets.load(json_config(folder)["data"])
    rows, truth = (data.test.arrays[name] for name in ("features", "target"))
    np.save(done / "rows.npy", rows)
    assert (
        run("mlp:regression", folder, *FLAGS, "--mode=predict", f"--input={done / 'rows.npy'}") == 0
    )
    lines = [json.loads(line) for line in (folder / "predictions.jsonl").read_text().splitlines()]
    told = {k: np.array([line["targets"]["progression"][k] for line in lines])
            for k in ("prediction", "low", "high")}  # fmt: skip
    truth = truth[:, 0].astype(np.float64)
    expected = {
        "mae": theirs.mean_absolute_error(truth, told["prediction"]),
        "rmse": theirs.root_mean_squared_error(truth, told["prediction"]),
        "r2": theirs.r2_score(truth, told["prediction"]),
        "coverage": np.mean((told["low"] <= truth) & (truth <= told["high"])),
        "interval_width": np.mean(told["high"] - told["low"]),
    }
    assert len(lines) == len(truth) == 89
    for name, value in expected.items():
        assert said[name] == pytest.approx(value, rel=1e-5), name
    assert (
        said["coverage"] > said["coverage_before"] or said["interval_width"] < said["width_before"]
    )


def json_config(folder):
    made = {}
    for name, value in json.loads((folder / "config.json").read_text()).items():
        group, _, key = name.partition(".")
        if group == "data":
            made[key] = tuple(value) if isinstance(value, list) else value
    return {"data": made}


@pytest.mark.slow("mlp:regression", *FILES)
def test_intervals_hold_on_the_part_that_they_were_widened_by(done):
    last = figures(done / "whole", "eval")[-1]
    # Of 71 validation examples ⌈72 · .9⌉ = 65 at least.
    assert last["coverage"] >= 65 / 71


@pytest.mark.parametrize("loss", ["mse", "mae", "huber"])
def test_losses_are_those_of_jaxdl_losses(loss):
    from jaxdl import losses

    x, y = np.float32([[0.0], [3.0]]), np.float32([[1.0], [-1.0]])
    found = regression.loss_of(loss, 2.0, (), x, {"target": y})
    how = {"delta": 2.0} if loss == "huber" else {}
    np.testing.assert_array_equal(found, getattr(losses, loss)(x, y, **how))


@pytest.mark.slow("mlp:regression", *FILES)
def test_one_device_and_eight_take_the_same_steps():
    plain = ("--config.optimizer.name=sgd", "--config.model.dropout=0.0")
    _, one, found = learned(3, "mlp:regression", *plain)
    _, eight, also = learned(3, "mlp:regression", *plain, "--config.parallel.data=8")
    assert found["loss"] == pytest.approx(also["loss"], rel=1e-5)
    for a, b in zip(
        jax.tree.leaves(one.learner.params), jax.tree.leaves(eight.learner.params), strict=True
    ):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    "flags, says",
    [
        ("task.coverage=1.0", "config.task.coverage=1.0 must be above 0 and below 1"),
        ("task.coverage=.999", "takes 999 validation examples, and there are 71"),
        ("task.loss=pinball", "unknown loss 'pinball'"),
        ("task.class_weights=1,2", "config.task has no key 'class_weights'"),
        ("data.name=breast_cancer", "learns from 'target', and data set 'breast_cancer' has feat"),
        ("augment.shift=1", "config.augment.shift=1 is of images: data set 'diabetes' has rows"),
        ("data.balanced=true", "data.balanced=True is for labelled images"),
    ],
)
def test_what_cannot_be_is_one_line(flags, says, tmp_path, capsys):
    assert run("mlp:regression", tmp_path / "run", f"--config.{flags}") == 2
    said = capsys.readouterr().err
    assert says in said
    assert said.count("\n") == 1


@pytest.mark.slow("mlp:regression", *FILES)
def test_members_of_a_population_have_their_own_intervals_and_reports_are_made(tmp_path):
    folder = tmp_path / "run"
    flags = ("--config.population=2", "--config.log.report=true", "--config.task.loss=huber")
    assert run("mlp:regression", folder, *FLAGS, *flags) == 0
    found = [member["final"] for member in summary(folder)["members"]]
    assert found[0]["interval_width"] != found[1]["interval_width"]
    assert (
        run("mlp:regression", folder, *FLAGS, *flags, "--config.member=1", "--mode=evaluate") == 0
    )
    alone = tmp_path / "alone"
    assert run("mlp:regression", alone, *FLAGS, "--config.log.report=true") == 0
    page = (alone / "report.html").read_text()
    assert "Predicted and true" in page
    assert "Intervals" in page
