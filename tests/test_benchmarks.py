"""The benchmarks' own parts: our steps run, the sums are right, the page is of its figures."""

import argparse
import json
import math
import subprocess
import sys
import time
from pathlib import Path

import jax
import numpy as np
import pytest

from benchmarks import (
    against_torch,
    comparison,
    environments,
    machine,
    on_accelerator,
    ours,
    page,
    programs,
    records,
    sides,
    statistics,
    workloads,
)
from benchmarks.control import __main__ as control
from benchmarks.control import episodes, settings
from benchmarks.control import page as control_page
from benchmarks.language import page as language_page
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
    assert comparison.agree({"ours": [1.0], "eager": [1.00009]})
    assert not comparison.agree({"ours": [1.0], "eager": [1.00011]})
    assert comparison.agree({"ours": [1.0]})


def test_bf16_may_be_two_roundings_of_its_8_bits_apart():
    # 1.0 and its two neighbours in bf16: one is as far as the limit, two are not.
    limit, one = comparison.AGREEMENT["bf16"], float(jax.numpy.finfo("bfloat16").eps)
    assert comparison.agree({"ours": [1.0], "eager": [1 + one]}, limit)
    assert not comparison.agree({"ours": [1.0], "eager": [1 + 2 * one]}, limit)


def test_a_side_that_does_not_compute_in_bf16_is_named():
    float32 = {"ours": [4.0, 3.0], "eager": [4.0, 3.0]}
    assert comparison.unrounded(float32, {"ours": [4.01, 3.0], "eager": [4.0, 3.0]}) == ["eager"]
    assert comparison.unrounded({}, float32) == []


# What it was measured on


@pytest.mark.parametrize(
    "text, found",
    [
        (
            "model name\t: AMD EPYC\nflags\t\t: fpu avx2 avx512f avx512_bf16 vaes\nbugs\t: x",
            ["AVX2", "AVX-512", "AVX512_BF16"],
        ),
        ("flags : avx avx2 avx512f avx512_bf16 amx_bf16 amx_tile\n",
         ["AVX2", "AVX-512", "AVX512_BF16", "AMX"]),
        ("Features\t: fp asimd sve bf16\n", ["NEON", "SVE", "BF16"]),
        ("model name : has avx2 in its name\n", []),
        ("", []),
    ],
)  # fmt: skip
def test_flags_of_the_machine(text, found):
    assert machine.flags(text) == found


def test_memory_of_this_process_and_of_a_program():
    before = machine.peak_memory()
    if before is None:
        pytest.skip("the system does not tell")
    kept = np.ones(4 * 2**20)  # 32 MiB
    assert 1e7 < before <= machine.peak_memory() < 1e12
    del kept
    # More than this process, whose size a child begins with.
    size = machine.peak_memory() + 2**25
    found = programs.run([sys.executable, "-S", "-c", f"x = b'x' * {size}; print('done')"])
    assert (found.output, found.seconds > 0) == ("done\n", True)
    assert size < found.memory < size + 2**26
    with pytest.raises(sides.SideError, match="too bad"):
        programs.run([sys.executable, "-S", "-c", "raise SystemExit('well\\ntoo bad')"])
    with pytest.raises(sides.SideError, match="no_such_python does not start"):
        programs.run(["no_such_python"])


# The page


def _results(precision="float32", name="mlp", **about):
    times = {"ours": [0.001, 0.001], "eager": [0.002, 0.002]}
    mlp = {"title": "MLP", "losses": {"ours": [2.0], "eager": [2.00002]}}
    about = {"processor": "P", "cores": 2, "torch": None, "jax": {"jax": "0.10.2"}, **about}
    found = {**mlp, **statistics.compare(times)}
    return {"about": about, "workloads": {precision: {name: found}}}


def test_table_of_made_up_results():
    text = page.figures([_results()])
    assert "| MLP | 1 | 2 | – | **2.00** [2.00, 2.00] |  |  |" in text
    assert "peak MB" not in text  # older results have none
    assert "at most 1e-05 in float32" in text


def test_memory_is_compared_with_the_leaner_of_theirs():
    results = _results("bf16")
    results["workloads"]["bf16"]["mlp"]["memory"] = {"ours": 4e8, "eager": 8e8, "compile": 5e8}
    text = page.figures([results])
    assert "| 400, 800, 500 | **0.80** |" in text
    assert "In bf16:" in text
    del results["workloads"]["bf16"]["mlp"]["memory"]["ours"]
    assert "| –, 800, 500 | – |" in page.figures([results])


def test_page_and_chart_show_all_that_is_stored(tmp_path):
    """Several machines and jax versions, in both precisions."""
    old, new = _results(jax={"jax": "0.10.2"}, note="Of old."), _results(jax={"jax": "0.9.0"})
    other = _results("bf16", processor="Q", flags=["AVX2", "AMX"])
    for results in (old, new, other):
        records.keep(results, tmp_path)
    stored = records.stored(tmp_path)
    assert [records.short(results["about"]) for results in stored] == [
        "P; jax 0.9.0", "P; jax 0.10.2", "Q, AMX; jax 0.10.2",
    ]  # fmt: skip
    text = page.figures(stored)
    assert text.count("\n### ") == text.count("| MLP |") == 3
    assert "### Q, AVX2, AMX; 2 cores used; jax 0.10.2" in text
    assert "Of old." in text
    assert page.chart(stored).startswith(b"\x89PNG")


def test_page_holds_the_figures_of_the_results():
    text = page.PAGE.read_text()
    assert page.with_figures(text, page.figures(records.stored(records.TRAINING))) == text
    control_text = control_page.figures(records.stored(records.CONTROL))
    assert page.with_figures(text, control_text, "control") == text
    language_text = language_page.figures(records.stored(records.LANGUAGE))
    assert page.with_figures(text, language_text, "language") == text
    assert page.CHART.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("folder", [records.TRAINING, records.CONTROL, records.LANGUAGE])
def test_stored_results_have_the_names_of_what_they_are_about(folder):
    for file in folder.glob("*.json"):
        assert records.file_of(json.loads(file.read_text())["about"], folder) == file


def test_page_without_marks_is_refused():
    with pytest.raises(ValueError, match="figures"):
        page.with_figures("# Speed", "…")


def test_results_have_a_file_a_processor_and_jax(tmp_path):
    name = lambda **about: records.file_of(_results(**about)["about"], tmp_path).name
    assert name(processor="Intel(R) Xeon(R) CPU @ 2.20GHz", flags=["AVX2", "AMX"]) == (
        "intel-xeon-amx-jax-0.10.2.json"
    )
    assert name(processor="AMD EPYC, AVX-512", jax={"jax": "0.12.0.1"}) == (
        "amd-epyc-avx-512-jax-0.12.0.1.json"
    )
    assert name(jax=None) == "p-jax-unknown.json"


def test_results_of_the_same_machine_are_merged(tmp_path):
    file = records.keep(_results(), tmp_path)
    assert records.keep(_results("bf16"), tmp_path) == file
    records.keep(_results(name="gpt"), tmp_path)
    held = json.loads(file.read_text())["workloads"]
    assert {precision: set(found) for precision, found in held.items()} == {
        "float32": {"mlp", "gpt"}, "bf16": {"mlp"},
    }  # fmt: skip
    records.keep(_results(cores=3), tmp_path)  # of the same name, but of another machine
    assert set(json.loads(file.read_text())["workloads"]) == {"float32"}
    assert len(list(tmp_path.iterdir())) == 1


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


@pytest.mark.parametrize(
    "flags, words",
    [
        (["--workload=nonsense"], "mlp"),
        (["--precision=float16"], "float32, bf16"),
        (["--workload=deep_cnn_launch", "--precision=bf16"], "float32 alone"),
    ],
)
def test_what_there_is_not_is_refused(flags, words, capsys):
    with pytest.raises(SystemExit):
        against_torch.main(flags)
    assert words in capsys.readouterr().err


def test_workloads_take_turns_in_both_precisions():
    turns = against_torch._options(["--workload=mlp,deep_cnn_process"]).turns
    assert turns == [("float32", "mlp"), ("bf16", "mlp"), ("float32", "deep_cnn_process")]


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


# Control


def _run(seconds, held=500.0, stopped=True):
    found = {"seed": 0, "seconds": seconds, "memory": 4e8, "steps": 30_000, "evaluated": 490.0}
    return {**found, "stopped": stopped, "held": held}


def test_control_table():
    ours = {"versions": {"jax": "1"}, "cold": [_run(10), _run(12), _run(11)], "warm": [_run(5)]}
    sb3 = {
        "versions": {"torch": "2"},
        "cold": [_run(22, 460.0), _run(44, 470.0, False)],
        "warm": [],
    }
    text = control_page.table({"sb3": sb3, "ours": ours})
    first, second = text.splitlines()[2:4]
    assert first.startswith("| jaxdl | 11.0 (10.0, 12.0, 11.0) |  | 5.0 (5.0) |  | 30,000 | 500, ")
    # Median 33 of 22 and 44, over 11 cold and over 5 warm: nothing is compiled there.
    assert "| 33.0 (22.0†, 44.0‡) | **3.00** | 33.0 (22.0†, 44.0‡) | **6.60** |" in second
    assert "† stopped" in text
    assert "‡ never" in text
    stored = {"about": _results()["about"], "workloads": {"cartpole": {"ours": ours, "sb3": sb3}}}
    page_text = control_page.figures([stored])
    assert "stable-baselines3 (torch): torch 2" in page_text
    assert text in page_text
    assert control_page.figures([]) == "Not measured yet."


def test_a_run_is_marked_by_what_it_holds_afterwards():
    assert control_page.mark(_run(1, held=475.0)) == ""
    assert control_page.mark(_run(1, held=474.9)) == control_page.NOT_HELD
    assert control_page.mark(_run(1, stopped=False)) == control_page.NOT_REACHED
    # Without gymnasium: by our own environment, if anywhere.
    assert control_page.mark({**_run(1, held=None), "own": 480.0}) == ""
    assert control_page.mark(_run(1, held=None)) == control_page.NOT_HELD


def test_an_actor_of_layers_acts_as_the_network():
    from jaxdl import models

    module = models.create("actor_critic", hidden=(8, 8), actions=2)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(50, 4)).astype(np.float32)
    variables = jax.tree.map(
        lambda a: rng.normal(size=a.shape).astype(np.float32),
        jax.eval_shape(module.init, keys.root(0), x[:1]),
    )
    params, names = variables["params"], ("policy_0", "policy_1", "policy_head")
    arrays = {f"{part}_{i}": np.asarray(params[name][part])
              for i, name in enumerate(names) for part in ("kernel", "bias")}  # fmt: skip
    logits, _ = module.apply(variables, x)
    act = episodes.actor(arrays)
    assert [act(row) for row in x] == np.asarray(logits).argmax(-1).tolist()


@pytest.mark.parametrize("side", settings.OURS)
def test_our_command_has_settings_that_there_are(side):
    from jaxdl.launch import flags

    config = flags.parse(settings.OURS[side][2:]).config
    assert config.task.env == "cartpole"
    assert (config.early_stopping.metric, config.early_stopping.target) == ("mean_return", 475)


@pytest.mark.parametrize("flags", [["--sides=ours,sbz"], ["--seeds=one"]])
def test_control_refuses_what_it_does_not_know(flags, capsys):
    with pytest.raises(SystemExit):
        control.main(flags)
    assert flags[0].partition("=")[2].split(",")[-1] in capsys.readouterr().err


# With PyTorch


@pytest.mark.parametrize("precision", comparison.AGREEMENT)
@by_name
def test_both_sides_have_the_same_loss(workload, precision, tmp_path):
    pytest.importorskip("torch")
    from benchmarks import theirs

    file = str(tmp_path / "weights.npz")
    expected = ours.agreement(workload.tiny(), file, precision)
    found, limit = theirs.agreement(workload.tiny(), file, precision), comparison.AGREEMENT
    if precision == "float32":
        assert found == pytest.approx(expected, rel=limit[precision])
    assert found[0] == pytest.approx(expected[0], rel=limit[precision])


@by_name
def test_their_step_runs(workload):
    pytest.importorskip("torch")
    from benchmarks import theirs

    stepper = theirs.Stepper(workload.tiny(), device="cpu")
    assert stepper.run(2) == 2
    assert math.isfinite(stepper.loss)


def test_whoever_times_another_library_need_not_have_ours():
    """The interpreter that --torch-python and its like name has theirs alone."""
    timed = ["control.theirs", "detection", "graphs", "language.side", "paired", "stylegan2"]
    timed += ["preferences.sampling", "preferences.update", "region_align", "super_resolution"]
    timed += ["suppression", "translation", "worker"]
    program = f"""
import importlib, sys
sys.modules |= dict.fromkeys(("jax", "jaxdl", "flax", "optax"))  # importing one of them fails
for name in {timed}:
    importlib.import_module(f"benchmarks.{{name}}")
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=workloads.ROOT, capture_output=True)
    assert done.returncode == 0, done.stderr.decode()
