"""The benchmarks' own parts: our steps run, the sums are right, the page is of its figures."""

import argparse
import json
import math
import sys
import time
from pathlib import Path

import jax
import numpy as np
import pytest

from benchmarks import (
    against_torch,
    environments,
    on_accelerator,
    ours,
    page,
    sides,
    statistics,
    workloads,
)
from jaxdl import envs, keys
from jaxdl.plan import chips

ALL = workloads.CPU + workloads.ACCELERATOR
by_name = pytest.mark.parametrize("workload", ALL, ids=lambda w: w.name)


# The others of ACCELERATOR are larger twins of these.
@pytest.mark.parametrize(
    "workload",
    [*workloads.CPU, *workloads.named(workloads.ACCELERATOR, "resnet50")],
    ids=lambda w: w.name,
)
def test_our_step_runs(workload):
    stepper = ours.Stepper(workload.tiny())
    assert stepper.run(3) == 4  # whole calls of two
    assert math.isfinite(stepper.loss)


@by_name
def test_workloads_travel_as_json(workload):
    again = workloads.Workload.from_json(workload.to_json())
    assert again.shape == workload.shape
    assert ours.config_of(again).to_json() == ours.config_of(workload).to_json()


@by_name
def test_tiny_changes_sizes_only(workload):
    tiny = workload.tiny()
    assert tiny.optimizer == workload.optimizer
    assert set(tiny.fields) >= set(workload.fields)
    assert tiny.batch_size < workload.batch_size


def test_without_dropout():
    deep_cnn = workloads.named(workloads.CPU, "deep_cnn")[0]
    assert deep_cnn.fields["dropout"] > 0
    assert deep_cnn.without_dropout().fields["dropout"] == 0


@pytest.mark.parametrize("name, count", [("resnet50", 25_557_032), ("gpt2", 124_439_808)])
def test_parameters_are_those_of_the_published_model(name, count):
    (workload,) = workloads.named(workloads.ACCELERATOR, name)
    made = ours.create(workload._replace(batch_size=8))
    assert sum(x.size for x in jax.tree.leaves(made.abstract_state.params)) == count


def test_agreement_writes_what_the_model_saw(tmp_path):
    workload = workloads.named(workloads.CPU, "vit_ti")[0].tiny()
    file = tmp_path / "weights.npz"
    losses = ours.agreement(workload, str(file), steps=2)
    arrays = np.load(file)
    assert np.abs(arrays["head/kernel"]).max() > 0.01  # ln 10 would agree with anything
    assert abs(losses[0] - math.log(10)) > 1e-3
    assert arrays["batch/1/x"].shape == (workload.batch_size, *workload.shape)
    assert arrays["batch/1/x"].std() == pytest.approx(1, abs=0.2)


# Sums


def test_spread_is_median_and_quartiles():
    assert statistics.spread([5, 1, 2, 4, 3]) == {"median": 3, "low": 2, "high": 4}


def test_compare_takes_the_better_of_the_others_round_by_round():
    # The third round was slow for all: its ratio is still 2.
    found = statistics.compare(
        {"ours": [1, 1, 10], "eager": [3, 3, 30], "compile": [2, 2, 20]},
    )
    assert found["better"] == "compile"
    assert found["ratio"] == {"median": 2, "low": 2, "high": 2}
    assert found["seconds"]["ours"]["median"] == 1


def test_compare_with_and_without_channels_last():
    wall = {"ours": [1, 1], "eager": [3, 3], "compile": [4, 4], "eager_nhwc": [2, 2]}
    found = statistics.compare(wall, sides.PLAIN)
    assert (found["better"], found["ratio"]["median"]) == ("eager", 3)
    assert (found["tuned"]["better"], found["tuned"]["ratio"]["median"]) == ("eager_nhwc", 2)
    assert "tuned" not in statistics.compare({"ours": [1], "eager": [3]}, sides.PLAIN)


def test_compare_with_nobody():
    assert "ratio" not in statistics.compare({"ours": [1.0, 2.0]})


def test_losses_agree_within_a_limit():
    assert against_torch.agree({"ours": [1.0], "eager": [1.00009]})
    assert not against_torch.agree({"ours": [1.0], "eager": [1.00011]})
    assert against_torch.agree({"ours": [1.0]})


# The page


def _results(**about):
    times = {"ours": [0.001, 0.001], "eager": [0.002, 0.002]}
    mlp = {"title": "MLP", "losses": {"ours": [2.0], "eager": [2.00002]}}
    return {
        "about": {"processor": "P", "cores": 2, "torch": None, "jax": {"jax": "1"}, **about},
        "workloads": {"mlp": {**mlp, **statistics.compare(times)}},
    }


def test_table_of_made_up_results():
    text = page.figures(_results())
    assert "| MLP | 1 | 2 | – | **2.00** [2.00, 2.00] |  |  |" in text
    assert "at most 1e-05" in text


def test_page_holds_the_figures_of_the_results():
    stored = json.loads(against_torch.RESULTS.read_text())
    text = page.PAGE.read_text()
    assert page.with_figures(text, stored) == text
    assert page.CHART.read_bytes().startswith(b"\x89PNG")


def test_page_without_marks_is_refused():
    with pytest.raises(ValueError, match="figures"):
        page.with_figures("# Speed", _results())


def test_results_of_the_same_machine_are_merged(tmp_path):
    file = tmp_path / "cpu.json"
    assert set(page.merged(file, _results())["workloads"]) == {"mlp"}
    old = _results()
    old["workloads"] = {"gpt": old["workloads"]["mlp"]}
    file.write_text(json.dumps(old))
    assert set(page.merged(file, _results())["workloads"]) == {"mlp", "gpt"}
    assert set(page.merged(file, _results(cores=3))["workloads"]) == {"mlp"}


def test_chart_is_a_picture():
    assert page.chart(_results()).startswith(b"\x89PNG")


# Processes


def test_a_side_answers_and_waits_stopped():
    mlp = workloads.CPU[0].tiny()
    with sides.Side("ours", mlp, device="cpu") as side:
        first = side.ask("run", steps=2, flops=True)
        assert first["steps"] == 2
        assert first["model_flops"] > 0
        if sys.platform.startswith("linux"):
            status, patience = Path(f"/proc/{side._process.pid}/status"), time.monotonic() + 10
            while "State:\tT" not in status.read_text():
                assert time.monotonic() < patience
                time.sleep(0.01)
        assert side.ask("run", steps=2)["wall"] < first["ready_seconds"]


def test_a_side_that_cannot_start_says_why():
    broken = workloads.CPU[0]._replace(model="no_such_model")
    with (
        sides.Side("ours", broken, device="cpu") as side,
        pytest.raises(sides.SideError, match="no_such_model"),
    ):
        side.ask("run", steps=1)


def test_unknown_workload_is_refused(capsys):
    with pytest.raises(SystemExit):
        against_torch.main(["--workload=nonsense"])
    assert "mlp" in capsys.readouterr().err


# Accelerators


@pytest.mark.parametrize(
    "kind, rate",
    [
        ("NVIDIA H200", 989e12),
        ("NVIDIA H100 80GB HBM3", 989e12),
        ("NVIDIA H100 PCIe", None),
        ("NVIDIA A100-SXM4-80GB", 312e12),
        ("TPU v5 lite", chips.CHIPS["TPU v5 lite"].flops),
        ("cpu", None),
    ],
)
def test_peak_by_device(kind, rate):
    assert on_accelerator.peak(kind) == rate


def test_accelerator_rows():
    found = {"seconds": {"median": 0.5}, "device": "NVIDIA H200", "memory": 2**31}
    cells = on_accelerator.row(found, 64, 98.9e12, bf16=True)
    assert cells == {
        "examples/s": "128.0",
        "TFLOP/s": "198",
        "utilisation": "20.0%",
        "peak memory": "2.00 GiB",
    }
    unknown = on_accelerator.row({**found, "device": "cpu"}, 64, 98.9e12, bf16=True)
    assert "utilisation" not in unknown


# Environments


@pytest.mark.parametrize("name", ["cartpole", "pendulum"])
@pytest.mark.parametrize("chosen", environments.POLICIES[:2])
def test_both_sides_act_by_the_same_policy(name, chosen):
    environment = envs.create(name)
    policy = environments.policy(chosen, environment)
    x = np.random.default_rng(0).normal(size=(200, environment.observation_size)).astype(np.float32)
    own = jax.random.split(keys.root(1), 200) if policy.drawn else None
    ours = np.asarray(jax.jit(policy.act)(policy.variables, x, own), np.float64)
    theirs = np.array([policy.numpy(row) for row in x])
    assert ours.shape == theirs.shape
    if policy.drawn:  # of the same distribution: within five deviations of 200 draws' mean
        assert ours.mean() == pytest.approx(theirs.mean(), abs=5 * (2 / 200) ** 0.5 * ours.std())
        assert ours.std() == pytest.approx(theirs.std(), rel=0.35)
    else:
        np.testing.assert_allclose(ours, theirs, atol=1e-5)


def test_an_environments_row_has_the_median_of_each_rounds_ratio():
    found = {
        "environments": 1024,
        "rates": {"ours": [4e6, 9e6, 2e6], "jax": [2e3, 3e3, 2e3], "numpy": [4e4, 9e4, 2e4]},
    }
    cells = environments.row("cartpole", "drawn", found)
    assert cells == [
        "cartpole", "drawn", "4 M", "1,024", "2,000", "**2,000** [1,500, 2,500]", "40,000",
        "**100** [100, 100]",
    ]  # fmt: skip
    del found["rates"]["jax"]
    assert environments.row("cartpole", "drawn", found)[4:6] == ["–", "–"]
    assert len(cells) == len(environments.COLUMNS)


def test_environments_are_not_measured_without_gymnasium(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "gymnasium", None)
    assert environments.main(["--tiny"]) == 2
    assert "pip install -e '.[gymnasium]'" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        environments.main(["--environment=cartpol"])
    assert "cartpole" in capsys.readouterr().err


@pytest.mark.parametrize("chosen", environments.POLICIES)
def test_environments_are_measured(chosen):
    pytest.importorskip("gymnasium")
    options = argparse.Namespace(counts=(8, 16), steps=32, rounds=2, seconds=0.001)
    found = environments.measure("cartpole", chosen, options)
    assert found["environments"] in options.counts
    sides = {"ours", "numpy"} | ({"jax"} if "actor" in chosen else set())
    assert set(found["rates"]) == sides
    assert all(len(rates) == 2 and min(rates) > 0 for rates in found["rates"].values())


# With PyTorch


@by_name
def test_both_sides_have_the_same_loss(workload, tmp_path):
    pytest.importorskip("torch")
    from benchmarks import theirs

    file = str(tmp_path / "weights.npz")
    expected = ours.agreement(workload.tiny(), file)
    assert theirs.agreement(workload.tiny(), file) == pytest.approx(expected, rel=1e-4)


@by_name
def test_their_step_runs(workload):
    pytest.importorskip("torch")
    from benchmarks import theirs

    stepper = theirs.Stepper(workload.tiny(), device="cpu")
    assert stepper.run(2) == 2
    assert math.isfinite(stepper.loss)
