"""The comparison of optimizers: its measures by hand, its table, and a tiny one from end to end."""

import json
import math

import numpy as np
import pytest
from launching import ROOT, SHORT

from benchmarks import optimizer_measures as measures
from benchmarks import optimizer_page, optimizers
from benchmarks import optimizer_results as results
from benchmarks.page import BEGIN, END
from jaxdl.config import files as config_files
from jaxdl.launch import flags


def test_best_rate_has_the_highest_mean_and_of_equals_the_lowest_rate():
    assert measures.best_rate(np.array([[0.5, 0.5], [0.9, 0.7], [0.8, 0.8], [0.9, 0.6]])) == 1
    # .1 + .2 is not .3, but both are the same accuracies in another order.
    assert measures.best_rate(np.array([[0.1, 0.2, 0.3], [0.3, 0.2, 0.1]])) == 0


def test_steps_to_an_accuracy_are_those_of_the_first_evaluation_that_has_it():
    curve = np.array([[0.2, 0.97, 0.1, np.nan], [0.97, 0.5, 0.9, np.nan], [0.99, 0.98, 0.9, 0.96]])
    found = measures.steps_to(0.97, np.array([10, 20, 30]), curve)
    assert found.tolist() == [20, 10, math.inf, math.inf]


@pytest.mark.parametrize(
    "steps, median",
    [([30, 10, 20], 20), ([10, 20, 30, 40], 30), ([10, 20, math.inf], 20),
     ([10, 20, math.inf, math.inf], math.inf)],
)  # fmt: skip
def test_median_steps_count_seeds_that_never_arrive(steps, median):
    assert measures.median_steps(np.array(steps)) == median


RATES = np.array([1e-3, 1e-2, 1e-1, 1.0])


@pytest.mark.parametrize(
    "medians, low, high, is_open",
    [
        # Half-way down to 2 points below: half a decade of the grid's, on either side.
        ([0.5, 0.88, 0.9, 0.88], 10**-1.5, 10**-0.5, False),
        # A quarter of the way from .9 to .86 is 1 point; .895 is within.
        ([0.86, 0.9, 0.895, 0.695], 10**-2.25, 10 ** (-1 + 0.005 / 0.2), False),
        # Beyond a dip it does not go on.
        ([0.9, 0.5, 0.9, 0.7], 1e-3, 10 ** (-3 + 0.01 / 0.4), True),
        ([0.9, 0.9, 0.9, 0.89], 1e-3, 1.0, True),
    ],
)
def test_width_is_read_off_lines_between_the_rates(medians, low, high, is_open):
    found = measures.width(RATES, np.array(medians))
    assert (found.low, found.high) == pytest.approx((low, high))
    assert found.factor == pytest.approx(high / low)
    assert found.open == is_open


def test_interval_of_width_holds_it_and_is_a_point_where_seeds_agree():
    medians = np.array([0.5, 0.88, 0.9, 0.88])
    same = np.repeat(medians[:, None], 4, axis=1)
    assert measures.width_interval(RATES, same, draws=20) == pytest.approx((10, 10))
    spread = same + np.array([-0.004, 0.003, 0.008, -0.006])[:, None] * np.arange(4)
    low, high = measures.width_interval(RATES, spread, draws=200)
    found = measures.width(RATES, np.median(spread, axis=1)).factor
    assert low <= found <= high
    assert low < high


def test_interval_of_a_mean_is_students():
    # Deviation √2.5, of five √.5; the table's t at 4 degrees of freedom is 2.776.
    found = measures.interval(np.array([1.0, 2.0, 3.0, 4.0, 5.0]))
    assert found == pytest.approx((3, 3 - 2.7764 * 0.5**0.5, 3 + 2.7764 * 0.5**0.5), abs=1e-4)


def runs(final):
    """Runs over two rates whose accuracy is the final one from step 20 on, and half of it at 10."""
    final = np.array(final)
    return results.Runs(RATES[1:3], final, np.array([10, 20]), np.stack([final / 2, final]))


def test_rates_are_chosen_by_validation_and_figures_are_of_the_test_part():
    low_is_best, high_is_best = runs([[0.9, 0.9], [0.8, 0.8]]), runs([[0.1, 0.1], [0.2, 0.2]])
    validation, test = {}, {}
    for variant in ("momentum", "adam"):
        for condition in optimizers.CONDITIONS:
            # Adam's rate is another one under label noise.
            other = (condition, variant) == ("label noise", "adam")
            validation[condition, variant] = high_is_best if other else low_is_best
            test[condition, variant] = runs([[0.5, 0.7], [0.99, 0.99]])
    test["clean", "momentum"] = runs([[0.96, 0.98], [1.0, 1.0]])
    test["clean", "adam"] = runs([[0.95, 0.99], [1.0, 1.0]])
    row = results.rows(validation, test)["adam"]
    assert row.rates == {"clean": 0.01, "label noise": 0.1, "gradient noise": 0.01}
    assert row.final["clean"].mean == pytest.approx(0.97)
    assert row.steps.tolist() == [math.inf, 20]
    assert row.default is None  # .001 is not among the rates
    assert row.same["label noise"].mean == pytest.approx(0.97 - 0.6)
    assert row.again["label noise"].mean == pytest.approx(0.97 - 0.99)
    assert row.again["gradient noise"] == pytest.approx(row.same["gradient noise"])
    found = results.differences(validation, test)
    assert set(found) == {("adam", "momentum")}
    # Seed by seed -.01 and .01, whose deviation is .01 √2: half of it times t = 12.706 is .127.
    apart = found["adam", "momentum"]
    assert apart.final["clean"] == pytest.approx((0, -0.12706, 0.12706), abs=1e-5)
    assert apart.final["label noise"].mean == pytest.approx(0.99 - 0.6)
    assert apart.steps is None  # one seed of either never gets there


def test_default_rate_and_steps_are_compared_where_they_are():
    rates, curve = np.array([1e-3, 1e-2]), np.array([[[0.5, 0.6]] * 2, [[0.97, 0.9]] * 2])
    late = np.concatenate([curve, np.full((1, 2, 2), 0.98)])
    better = np.array([[0.9, 0.8], [0.95, 0.95]])
    slow = results.Runs(rates, better, np.array([10, 20, 30]), late)
    fast = slow._replace(curve=np.full((3, 2, 2), 0.99))
    table = {("clean", "sgd"): slow, ("clean", "adam"): fast}
    found = results.rows(table, table)
    assert found["adam"].default.mean == pytest.approx(0.1)
    assert found["sgd"].default is None
    # Sgd arrives at 20 and 30, adam at 10: -15, and half of a deviation of 5 √2 times 12.706.
    apart = results.differences(table, table)["adam", "sgd"]
    assert apart.steps == pytest.approx((-15, -15 - 63.531, -15 + 63.531), abs=1e-2)
    shown = optimizer_page.figures("command", found, results.differences(table, table), table)
    assert "| 0.01 | .950 | .950 |" in shown
    assert "| adam | 0.01 | **.9500** [.9500, .9500] | 10 (10 to 10) |" in shown
    assert "| adam − sgd | -15 [-79, +49] | +0.0 [+0.0, +0.0] |" in shown


def member(rate, seed, accuracy, ended=""):
    final = {"step": 20, "accuracy": accuracy}
    return {"seed": seed, "settings": {results.RATE: rate}, "final": final, "ended": ended}


def test_members_are_read_by_rate_and_seed_whatever_their_order(tmp_path):
    members = [member(0.1, 0, 0.5), member(0.1, 1, 0.6),
               member(0.01, 0, 0.7), member(0.01, 1, 0.8, "not finite")]  # fmt: skip
    (tmp_path / "summary.json").write_text(json.dumps({"members": members}))
    lines = [
        {"step": 10, "split": "eval", "accuracy": [0.1, 0.2, 0.3, 0.4]},
        {"step": 15, "split": "train", "accuracy": [0, 0, 0, 0]},
        {"step": 20, "split": "eval", "accuracy": [0.5, 0.6, 0.7, None]},
    ]
    (tmp_path / "metrics.jsonl").write_text("".join(json.dumps(x) + "\n" for x in lines))
    found = results.read(tmp_path)
    assert found.rates.tolist() == [0.01, 0.1]
    # What is not finite knows no more than chance, whatever it had before.
    np.testing.assert_array_equal(found.final, [[0.7, results.FAILED], [0.5, 0.6]])
    assert found.steps.tolist() == [10, 20]
    np.testing.assert_array_equal(found.curve[0], [[0.3, 0.4], [0.1, 0.2]])
    np.testing.assert_array_equal(found.curve[1], [[0.7, np.nan], [0.5, 0.6]])


def test_variants_of_the_experiment_differ_in_the_optimizer_alone():
    own = ("name", "momentum", "weight_decay")
    found = {}
    for variant in optimizers.VARIANTS:
        config = config_files.load(f"{optimizers.EXPERIMENT}:{variant}").to_dict()
        found[variant] = tuple(config["optimizer"].pop(key) for key in own)
        assert config == found.setdefault("all else", config)
    assert len({found[variant] for variant in optimizers.VARIANTS}) == 5


def page(folder):
    folder.mkdir(exist_ok=True)
    (folder / "optimizers.md").write_text(f"before\n\n{BEGIN}\nold\n{END}\n\nafter\n")


TINY = ("--variants=momentum,adam", "--config.sweep=optimizer.learning_rate=1e-2,1e-1",
        "--config.population=2", "--config.steps=12", "--config.eval.every=6",
        "--config.model.hidden=8", *(x for x in SHORT if "steps" not in x))  # fmt: skip


def test_each_method_is_trained_under_each_condition_for_choice_and_for_report(
    tmp_path, monkeypatch
):
    launched = []
    monkeypatch.setattr(optimizers.launch, "main", lambda argv: launched.append(argv) or 0)
    assert optimizers.train(tmp_path, ["sgd", "adam"], ["--config.batch_size=32"]) == 0
    found = [flags.parse(argv) for argv in launched]
    assert len({options.workdir for options in found}) == len(found) == 12
    conditions = [
        (c.data.eval_on, c.data.label_noise, c.optimizer.noise > 0, c.optimizer.name, c.batch_size)
        for c in (options.config for options in found)
    ]
    assert set(conditions) == {
        (part, *noise, name, 32)
        for part in ("validation", "test")
        for noise in ((0.0, False), (0.2, False), (0.0, True))
        for name in ("sgd", "adam")
    }


def test_comparison_ends_at_the_first_run_that_fails(tmp_path, monkeypatch):
    codes = [0, 3]
    monkeypatch.setattr(optimizers.launch, "main", lambda argv: codes.pop(0))
    assert optimizers.train(tmp_path, ["sgd"], []) == 3


def test_comparison_from_end_to_end_and_again_without_a_run(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(optimizers, "CONDITIONS", {"clean": ()})
    docs = tmp_path / "docs"
    page(docs)
    argv = [f"--workdir={tmp_path / 'runs'}", f"--docs={docs}", *TINY]
    assert optimizers.main(argv) == 0
    text = (docs / "optimizers.md").read_text()
    assert text.startswith(f"before\n\n{BEGIN}")
    assert text.endswith(f"{END}\n\nafter\n")
    assert "old" not in text
    assert "--config.steps=12" in text  # the command as it was given
    validation, test = (
        optimizers.folder(tmp_path / "runs" / part, "clean", "adam") for part in optimizers.PARTS
    )
    found = results.read(test)
    assert found.final.shape == (2, 2)
    assert found.steps.tolist() == [6, 12]
    np.testing.assert_array_equal(found.curve[-1], found.final)
    rate = measures.best_rate(results.read(validation).final)
    shown = optimizer_page._accuracy(measures.interval(found.final[rate]))
    assert f"| adam | {found.rates[rate]:.2g} | {shown} |" in text
    assert (docs / "optimizers.svg").read_text().count("<svg") == 1

    # There is nothing to train with any more, and the page is the same.
    monkeypatch.setattr(optimizers.launch, "main", None)
    page(docs)
    assert optimizers.main(argv) == 0
    assert (docs / "optimizers.md").read_text() == text

    capsys.readouterr()
    assert optimizers.main([*argv, "--config.batch_size=8"]) == 2
    assert "holds a run with another config (batch_size: 16 → 8)" in capsys.readouterr().err


@pytest.mark.parametrize(
    "argv, said",
    [
        (["--variants=sgdd"], "unknown variant 'sgdd'"),
        (["--mode=plan"], "unknown flag --mode=plan"),
        (["--config.batch_sise=8"], "has no key 'batch_sise'"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(argv, said, tmp_path, capsys):
    assert optimizers.main([f"--workdir={tmp_path}", *argv]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1


def test_page_without_marks_is_refused_before_anything_is_trained(tmp_path, capsys):
    argv = [f"--workdir={tmp_path / 'runs'}", f"--docs={tmp_path}"]
    assert optimizers.main(argv) == 2
    assert f"{tmp_path / 'optimizers.md'} has no {BEGIN}" in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()


def test_docs_have_the_page_and_its_chart():
    text = (ROOT / "docs" / "optimizers.md").read_text()
    assert text.count(BEGIN) == text.count(END) == 1
    assert (ROOT / "docs" / "optimizers.svg").stat().st_size < 150_000
