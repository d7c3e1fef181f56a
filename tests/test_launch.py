"""Runs through the real launcher: what they write, and that their numbers do not depend on how."""

import os
import re
import shutil
import subprocess
import sys

import jax
import numpy as np
import pytest
import tiny
from launching import (
    REPORT,
    ROOT,
    SHORT,
    assert_same_bits,
    built,
    figures,
    leaves,
    run,
    summary,
)

from jaxdl import experiment as experiments
from jaxdl import launch
from jaxdl.launch import flags, listing
from jaxdl.runs import checkpoint, logs
from jaxdl.train import pace
from jaxdl.train.evaluate import Evaluator

# Published sizes, which differ in the model's name and in numbers: what they ask for must be there.
PUBLISHED = {
    "alexnet": ("imagenet",),
    "coatnet": ("0", "1", "2", "3"),
    "convnext": ("T", "S", "B", "L"),
    "cvt": ("13", "21", "w24"),
    "efficientnet": tuple(f"b{i}" for i in range(8)),
    "googlenet": ("imagenet",),
    "gpt": ("S", "M", "L", "XL"),
    "mobilevit": ("xxs", "xs", "s"),
    "resnet": ("18", "34", "50", "101", "152"),
    "vgg": ("16", "19", "16_bn", "19_bn"),
    "vit": ("Ti/16", "S/16", "B/16", "L/16", "B/32", "L/14"),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_sizes_ask_for_what_there_is(name):
    for variant in PUBLISHED[name]:
        config = flags.parse([f"--config={ROOT / 'experiments' / name}.py:{variant}"]).config
        experiments.check(config)
        assert config.model.name.startswith(name)


@pytest.mark.optimised
def test_updates_a_call_change_no_bit(tmp_path):
    # Of other experiments `assert_resumes_to_the_bit` compares two numbers of them.
    for per_call in (1, 5):
        run(
            "deep_cnn",
            tmp_path / str(per_call),
            f"--config.steps_per_call={per_call}",
            # No call crosses one of these.
            "--config.log.every=6",
            "--config.eval.every=6",
        )
    assert_same_bits(leaves(tmp_path / "1"), leaves(tmp_path / "5"))
    assert figures(tmp_path / "1", "train") == figures(tmp_path / "5", "train")


def test_updates_a_call_are_chosen_and_kept_with_the_run(tmp_path, monkeypatch):
    settings = ("--config.log.every=6", "--config.eval.every=6")
    run("mlp", tmp_path / "run", *settings)
    chosen = summary(tmp_path / "run")["steps_per_call"]
    assert chosen == 6  # as many as there are between two events: an update takes microseconds
    # Going on, the run does not choose again.
    monkeypatch.setattr(pace, "first_guess", lambda *_: pytest.fail("chosen again"))
    run("mlp", tmp_path / "run", *settings, "--config.steps=24", "--accept_changes")
    assert summary(tmp_path / "run")["steps_per_call"] == chosen
    assert summary(tmp_path / "run")["steps"] == 24


def test_larger_calls_are_taken_up_on_the_way(tmp_path, monkeypatch):
    settings = ("--config.log.every=6", "--config.eval.every=6")
    run("mlp", tmp_path / "a", *settings)
    monkeypatch.setattr(pace, "first_guess", lambda *_: 1)
    better = lambda watch, most, left, seconds: 4 if watch._calls >= 2 else None
    monkeypatch.setattr(pace.Stopwatch, "better", better)
    run("mlp", tmp_path / "b", *settings)
    assert summary(tmp_path / "b")["steps_per_call"] == 4
    assert_same_bits(leaves(tmp_path / "a"), leaves(tmp_path / "b"))


@pytest.mark.optimised
def test_where_calls_are_cut_leaves_no_trace_in_the_numbers(tmp_path):
    run("mlp", tmp_path / "a", "--config.steps_per_call=1000000", "--config.log.every=3")
    assert summary(tmp_path / "a")["steps_per_call"] == 3  # as many as there is use for
    run(
        "mlp",
        tmp_path / "b",
        "--config.steps_per_call=5",
        "--config.log.every=12",
        "--config.eval.every=12",
    )
    assert_same_bits(leaves(tmp_path / "a"), leaves(tmp_path / "b"))


def test_microbatches_give_the_update_of_the_whole_batch(tmp_path):
    same = (
        "--config.optimizer.name=sgd",
        "--config.augment.shift=0",
    )
    for accumulate in (1, 4):
        run("mlp", tmp_path / str(accumulate), f"--config.accumulate={accumulate}", *same)
    for a, b in zip(leaves(tmp_path / "1"), leaves(tmp_path / "4"), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


@pytest.fixture(scope="module")
def ended(tmp_path_factory):
    """A run of 12 steps, to be read or copied."""
    folder = tmp_path_factory.mktemp("finished") / "run"
    assert run("mlp", folder) == 0
    return folder


def test_a_finished_run_started_again_trains_no_further(ended, tmp_path, capsys):
    shutil.copytree(ended, tmp_path / "run")
    before = figures(tmp_path / "run", "train")
    assert run("mlp", tmp_path / "run") == 0
    assert "ended at step 12" in capsys.readouterr().out
    assert figures(tmp_path / "run", "train") == before
    assert summary(tmp_path / "run")["final"]["step"] == 12


def test_evaluate_scores_the_best_checkpoint_not_the_last(tmp_path, capsys):
    # A rate that explodes after a good start makes the last checkpoint a bad one.
    run(
        "mlp",
        tmp_path / "run",
        "--config.optimizer.schedule=step",
        "--config.eval.every=3",
        "--config.optimizer.schedule_unit=steps",
        "--config.optimizer.boundaries=9",
        "--config.optimizer.decay_factor=1000",
    )
    best = summary(tmp_path / "run")["best"]
    assert best["step"] < 12
    assert best["accuracy"] > summary(tmp_path / "run")["final"]["accuracy"]
    capsys.readouterr()
    # The run's own settings are used, without repeating its flags.
    file, folder = ROOT / "experiments" / "mlp.py", tmp_path / "run"
    assert launch.main([f"--config={file}", "--mode=evaluate", f"--workdir={folder}"]) == 0
    assert f"step {best['step']}  accuracy {best['accuracy']:.4f}" in capsys.readouterr().out
    assert figures(tmp_path / "run", "evaluate")[-1]["loss"] == pytest.approx(best["loss"])


def test_all_batches_of_an_evaluation_are_one_program():
    file = ROOT / "experiments" / "mlp.py"
    config = flags.parse([f"--config={file}", *SHORT, "--config.eval.batch_size=100"]).config
    made = experiments.create(config)
    evaluator = Evaluator(made)
    assert len(evaluator._batches) > 2
    evaluator(made.init_state())
    assert evaluator._step._cache_size() == 1


def test_evaluation_counts_every_example_once_at_any_batch_size():
    whole, *others = (
        Evaluator(made := built("mlp", f"--config.eval.batch_size={n}"))(made.init_state())
        for n in (360, 7, 64, 1000)
    )
    for found in others:
        assert found["accuracy"] == whole["accuracy"]
        assert found["loss"] == pytest.approx(whole["loss"], rel=1e-5)


@pytest.mark.parametrize("experiment", ["mlp", "gcn"])
def test_early_stopping_ends_the_run_when_the_metric_stalls(experiment, tmp_path, capsys):
    stalls = (
        *tiny.FLAGS[experiment],
        "--config.optimizer.learning_rate=1e-12",
        "--config.eval.every=1",
        "--config.early_stopping.metric=accuracy",
        "--config.early_stopping.patience=3",
    )
    run(experiment, tmp_path / "run", *stalls)
    found = summary(tmp_path / "run")
    assert found["stopped_early"]
    assert found["steps"] == 4  # the first evaluation is a record, three are not
    run(experiment, tmp_path / "run", *stalls)
    assert summary(tmp_path / "run")["steps"] == 4
    assert "ended at step 4" in capsys.readouterr().out


def test_early_stopping_ends_the_run_when_the_metric_is_good_enough(tmp_path):
    enough = (
        *tiny.FLAGS["mlp"],
        "--config.eval.every=1",
        "--config.early_stopping.metric=loss",
        "--config.early_stopping.patience=0",
    )
    run("mlp", tmp_path / "run", *enough)
    losses = [line["loss"] for line in logs.read(tmp_path / "run") if line["split"] == "eval"]
    assert len(losses) > 2
    assert losses[1] < losses[0]
    run("mlp", tmp_path / "short", *enough, f"--config.early_stopping.target={losses[1]!r}")
    found = summary(tmp_path / "short")
    assert (found["steps"], found["stopped_early"]) == (2, True)
    assert found["final"]["loss"] == losses[1]


def test_non_finite_step_is_not_applied_and_named(tmp_path, capsys):
    code = run(
        "mlp",
        tmp_path / "run",
        "--config.optimizer.name=sgd",
        "--config.eval.every=1",
        "--config.optimizer.learning_rate=1e12",
        "--config.steps_per_call=4",
        "--config.task.label_smoothing=0",
    )
    message = capsys.readouterr().err
    assert code == 3
    assert message.count("\n") == 1
    assert re.search(r"error: step \d+ gave a non-finite number, first in the result of", message)
    assert "checkpoint" in message
    for leaf in leaves(tmp_path / "run"):
        assert np.isfinite(leaf).all()


def test_seed_changes_the_run_and_nothing_else_does(ended, tmp_path):
    for seed in (0, 1):
        run("mlp", tmp_path / str(seed), f"--config.seed={seed}")
    assert_same_bits(leaves(ended), leaves(tmp_path / "0"))
    a, c = (figures(folder, "train") for folder in (ended, tmp_path / "1"))
    assert all(x["loss"] != y["loss"] for x, y in zip(a, c, strict=True))


def test_plain_workdir_is_dated_and_named(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    file = ROOT / "experiments" / "mlp.py"
    assert launch.main([f"--config={file}", *SHORT, REPORT]) == 0
    (folder,) = (tmp_path / "runs").iterdir()
    assert folder.name.startswith("mlp-20")
    said = capsys.readouterr().out
    assert f"workdir runs/{folder.name}" in said
    assert f"report runs/{folder.name}/report.html" in said


def test_list_has_a_line_for_every_experiment_under_its_kind(capsys, monkeypatch):
    monkeypatch.chdir(ROOT)
    assert launch.main(["--list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= listing.WIDTH
    files = listing.experiment_files()
    begins = [line.split(" ")[0] for line in lines]
    assert {begins.count(file.stem) for file in files} == {1}
    assert "Other" not in lines  # each of the shipped ones says what kind it is
    vit = lines[begins.index("vit")]
    for word in ("Vision Transformer", "102 s", "test accuracy .997"):
        assert word in vit
    above = lines[: begins.index("vit")]
    assert [line for line in above if line in listing.KINDS.values()] == [
        listing.KINDS["classification"]
    ]


def test_every_shipped_experiment_says_what_it_costs_and_reaches():
    for file in (ROOT / "experiments").glob("*.py"):
        facts = listing.entry(file).facts
        assert facts["Kind"] in listing.KINDS, file
        assert all(facts[said] for said in ("Cost", "Result")), file


def test_list_of_one_is_all_that_it_says(capsys, monkeypatch):
    monkeypatch.chdir(ROOT)
    said = []
    for argv in (["--list=vit"], ["--list", "vit"], ["--list=experiments/vit.py"]):
        assert launch.main(argv) == 0
        said.append(capsys.readouterr().out)
    assert len(set(said)) == 1
    for word in ("experiments/vit.py", "Cost: ", "Result: ", "Variants: ", "L/32"):
        assert word in said[0]
    assert launch.main(["--list=vti"]) == 2
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert "unknown experiment 'vti': did you mean 'vit'" in told


@pytest.mark.parametrize(
    "said, shown",
    [
        ("102 s on 2 CPU cores, compile included.", "102 s"),
        ("11 to 24 s on 2 CPU cores; acrobot 17 to 21.", "11-24 s"),
        ("2, 11, 11, 1 and 3 s of training", "2 s"),
        ("2,490 s on 2 CPU cores (jax 0.12.0.1).", "2,490 s"),
        ("numbers about 200 s of processor time", "200 s"),
        ("10 min of CPU time", "10 min"),
        ("not measured yet", ""),
    ],
)
def test_the_first_time_that_a_cost_names(said, shown):
    assert listing.cost(said) == shown


def test_help_names_modes_and_keys(capsys):
    assert launch.main(["--help"]) == 0
    text = capsys.readouterr().out
    for word in ("--mode=evaluate", "optimizer.learning_rate", "early_stopping.patience", "0.001"):
        assert word in text


def test_restore_hands_out_the_state_in_one_call(ended):
    state = checkpoint.restore(ended)
    assert state["params"]["head"]["kernel"].shape == (256, 10)
    assert isinstance(state["params"]["head"]["kernel"], jax.Array)


@pytest.mark.parametrize(
    "experiment",
    ["mlp", *(pytest.param(name, marks=pytest.mark.slow(name)) for name in ("deep_cnn", "vit"))],
)
def test_the_second_start_compiles_nothing(experiment, tmp_path):
    found = []
    for name in "ab":
        argv = [f"--config={ROOT}/experiments/{experiment}.py", f"--workdir={tmp_path / name}"]
        process = subprocess.run(
            [sys.executable, "-m", "jaxdl.launch", *argv, *SHORT, *tiny.FLAGS[experiment]],
            env={**os.environ, "JAX_COMPILATION_CACHE_DIR": str(tmp_path / "cache")},
            cwd=ROOT,
            capture_output=True,
            text=True,
        )
        assert process.returncode == 0, process.stderr
        found.append(summary(tmp_path / name))
    first, second = found
    assert first["programs_compiled"] > 0
    assert second["programs_compiled"] == 0
    assert second["compile_seconds"] < first["compile_seconds"]
    assert 0 < second["first_step_seconds"] < first["first_step_seconds"]
