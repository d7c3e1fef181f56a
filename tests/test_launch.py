"""Runs through the real launcher: what they write, and that their numbers do not depend on how."""

import json
import os
import re
import shutil
import subprocess
import sys

import jax
import numpy as np
import pytest
from launching import (
    REPORT,
    ROOT,
    SHORT,
    assert_resumes_to_the_bit,
    assert_same_bits,
    figures,
    leaves,
    run,
    summary,
)

from jaxdl import experiment as experiments
from jaxdl import launch, tasks
from jaxdl.launch import flags
from jaxdl.runs import checkpoint
from jaxdl.train import pace
from jaxdl.train.evaluate import Evaluator

TINY_VIT = ("--config.model.depth=1", "--config.model.width=32", "--config.model.heads=2")
TINY_GPT = (*TINY_VIT, "--config.data.context=16", "--config.data.stride=16",
            "--config.data.test_fraction=.01")  # fmt: skip
TINY_RECURRENT = ("--config.model.hidden=8",)
TINY_TEXT = (*TINY_RECURRENT, "--config.data.context=16", "--config.data.stride=0",
             "--config.data.test_fraction=.01", "--config.task.tokens=8")  # fmt: skip
TINY_SERIES = (*TINY_RECURRENT, "--config.data.length=1000", "--config.data.window=32",
               "--config.data.stride=8", "--config.task.skip=8")  # fmt: skip
SMALL_IMAGES = ("--config.data.image_size=32", "--config.eval.batch_size=16")
# An evaluation may play whole episodes, or draw a thousand images.
SELDOM = ("--config.eval.every=6",)
TINY_UNET = (
    *("--config.model.width=8", "--config.model.groups=2", "--config.model.multipliers=(1,)"),
    *("--config.task.timesteps=20", "--config.task.sampling_steps=4"),
    *("--config.task.ancestral_steps=3", "--config.eval.every=12"),
)
SMALL_SWEEP = ("--config.sweep=optimizer.learning_rate=.01,.1", "--config.population=2", *SELDOM)
TINY_CODE = ("--config.model.hidden=(16,)", *SELDOM)
TINY_STAGES = ("--config.model.depths=(1,1)", "--config.model.widths=(8,16)")
TINY_MOBILEVIT = (*TINY_STAGES, "--config.model.tokens=(16,)", "--config.model.last_width=16")
TINY_CVT = (*TINY_STAGES, "--config.model.heads=(1,2)")
TINY_ALEXNET = ("--config.model.channels=(8,8,8,8,8)", "--config.model.hidden=16")
TINY_VGG = ("--config.model.channels=(8,8,8)", "--config.model.hidden=16")
TINY_GOOGLENET = ("--config.model.stem=(4,4,8)", "--config.model.stages=(((4,4,8,2,4,4),),)")
TINY_EFFICIENTNET = ("--config.model.stages=((1,3,1,8,1),(4,3,2,16,1))", "--config.model.last=16")
TINY_RESNET = ("--config.model.stages=(1,1)", "--config.model.width=8")
EXPERIMENTS = {
    "mlp": (),
    "lenet": (),
    "alexnet": (*TINY_ALEXNET, "--config.data.image_size=64"),
    "vgg": TINY_VGG,
    "googlenet": TINY_GOOGLENET,
    "resnet": TINY_RESNET,
    "resnet:50": (*TINY_RESNET, *SMALL_IMAGES),
    "efficientnet": TINY_EFFICIENTNET,
    "efficientnet:b0": (*TINY_EFFICIENTNET, *SMALL_IMAGES),
    "convnext": (*TINY_STAGES, "--config.data.image_size=0"),
    "mobilevit": TINY_MOBILEVIT,
    "cvt": TINY_CVT,
    "coatnet": (*TINY_STAGES, "--config.data.image_size=8", "--config.model.head_dim=8"),
    "transfer": ("--config.model.channels=(8,)",),
    "transfer:pretrain": ("--config.model.channels=(8,)",),
    "autoencoder": TINY_CODE,
    "autoencoder:linear": SELDOM,
    "autoencoder:denoising": TINY_CODE,
    "autoencoder:sparse": TINY_CODE,
    "autoencoder:anomaly": TINY_CODE,
    "dcgan": SELDOM,
    "ddpm": TINY_UNET,
    "deep_cnn": (),
    "dqn": (*SELDOM, "--config.task.capacity=1024"),
    "gcn": SELDOM,
    "gcn:digits": SELDOM,
    "gpt": (*SELDOM, *TINY_GPT),
    "gpt:S": (*SELDOM, *TINY_GPT),
    "gru:digits": (*SELDOM, *TINY_RECURRENT),
    "lstm": (*SELDOM, *TINY_TEXT),
    "optimizers": SMALL_SWEEP,
    "ppo": SELDOM,
    "ppo:acrobot": (*SELDOM, "--config.task.rollout=16"),
    "ppo:pendulum": (*SELDOM, "--config.task.rollout=16"),
    "q_learning": SELDOM,
    "q_learning:frozen_lake_8x8": (*SELDOM, "--config.task.transitions=10"),
    "q_learning:taxi": (*SELDOM, "--config.task.transitions=10"),
    "q_learning:cliff_walking": SELDOM,
    "rnn:mackey_glass": (*SELDOM, *TINY_SERIES),
    "vae": TINY_CODE,
    "vae:2": TINY_CODE,
    "vae:16": TINY_CODE,
    "vit": TINY_VIT,
    "vit:B/16": (*TINY_VIT, *SMALL_IMAGES),
    "wgan": (*SELDOM, "--config.batch_size=20"),
    "wgan:clip": (*SELDOM, "--config.batch_size=20"),
}
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
# What a report shows beside what every report shows.
PICTURES = {
    "autoencoder": "Between two images",
    "autoencoder:denoising": "Reconstructions",
    "autoencoder:anomaly": "Most anomalous",
    "dcgan": "Generated, and nearest in training",
    "ddpm": "Denoising",
    "dqn": "Episode",
    "gcn": "Graph",
    "gpt": "Most surprising",
    "lstm": "Most surprising",
    "ppo": "Episode",
    "q_learning": "Policy: frozen lake 4x4",
    "q_learning:frozen_lake_8x8": "Policy: frozen lake 8x8",
    "q_learning:taxi": "Policy: taxi, passenger at R",
    "q_learning:cliff_walking": "Policy: cliff walking",
    "rnn:mackey_glass": "Error by horizon",
    "vae": "Codes by class",
    "wgan": "Generated, and nearest in training",
}
# Launched whole: one experiment of each task, and what has a report or a loop of its own.
KINDS = (
    *("mlp", "transfer", "autoencoder", "autoencoder:anomaly", "vae:2", "dcgan", "ddpm", "dqn"),
    *("gcn", "gpt", "lstm", "ppo", "q_learning", "rnn:mackey_glass", "optimizers"),
)
# These log no norms of layers.
WITHOUT_LAYERS = ("q_learning", "optimizers")  # the latter trains a population


def test_every_experiment_file_is_tested_here():
    files = {p.stem for p in (ROOT / "experiments").glob("*.py")}
    assert files == {name.partition(":")[0] for name in EXPERIMENTS}


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_sizes_ask_for_what_there_is(name):
    for variant in PUBLISHED[name]:
        config = flags.parse([f"--config={ROOT / 'experiments' / name}.py:{variant}"]).config
        experiments.check(config)
        assert config.model.name.startswith(name)


def made_of(name, *overrides):
    """The experiment as the launcher makes it, shrunk; nothing is compiled."""
    file, colon, variant = name.partition(":")
    path = f"{ROOT / 'experiments' / file}.py{colon}{variant}"
    argv = [f"--config={path}", *SHORT, *SELDOM, *EXPERIMENTS[name], *overrides]
    return experiments.create(flags.parse(argv).config)


def test_every_task_is_launched():
    launched = {made_of(name).config.task.name for name in KINDS}
    assert launched == set(tasks.names())


@pytest.mark.parametrize("experiment", [name for name in EXPERIMENTS if name not in KINDS])
def test_experiment_can_be_traced_whole(experiment):
    made = made_of(experiment)
    made.task.check()
    step, metrics = made.traced_step
    assert metrics
    # A step gives back a state of the same shapes: any number of them can be taken.
    shapes = [(x.shape, x.dtype) for x in jax.tree.leaves(made.abstract_state)]
    assert [(x.shape, x.dtype) for x in step.out_avals[: len(shapes)]] == shapes


@pytest.mark.parametrize("experiment", KINDS)
def test_experiment_trains_and_leaves_everything_it_promises(experiment, tmp_path, capsys):
    folder = tmp_path / "run"
    assert run(experiment, folder, *SELDOM, *EXPERIMENTS[experiment], REPORT) == 0
    found = summary(folder)
    assert found["steps"] == 12
    assert len(found["final"]) > 1
    assert np.isfinite(list(found["final"].values())).all()
    assert found["examples_per_second"] > 0
    assert json.loads((folder / "config.json").read_text())["steps"] == 12
    steps = [line["step"] for line in figures(folder, "train")]
    assert steps == list(range(1, 13))
    assert figures(folder, "eval")[-1]["step"] == 12
    name = experiment.partition(":")[0]
    headings = ["Curves", "Parameters", "Settings"]
    headings.append(PICTURES.get(experiment) or PICTURES.get(name, "Most wrong"))
    if name not in WITHOUT_LAYERS:
        layers = figures(folder, "layers")[-1]
        assert set(layers["gradient_norm"]) == set(layers["update_norm"])
        headings.append("Gradient flow")
    page = (folder / "report.html").read_text()
    for heading in headings:
        assert f"<h2>{heading}</h2>" in page
    assert "http" not in page.replace("http://www.w3.org", "")  # self-contained
    assert "report" in capsys.readouterr().out


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


def test_where_calls_are_cut_leaves_no_trace_in_the_numbers(tmp_path):
    run("mlp", tmp_path / "a", "--config.steps_per_call=5", "--config.log.every=3")
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


@pytest.mark.parametrize(
    "experiment, per_call, accumulate", [("mlp", 5, 4), ("deep_cnn", 1, 1), ("vit", 5, 1)]
)
def test_resumed_equals_uninterrupted_to_the_bit(experiment, per_call, accumulate, tmp_path):
    settings = (
        *EXPERIMENTS[experiment],
        f"--config.steps_per_call={per_call}",
        f"--config.accumulate={accumulate}",
        "--config.ema=.9",
        "--config.eval.every=3",
        "--config.log.every=2",
        "--config.checkpoint.every=5",
    )
    assert_resumes_to_the_bit(experiment, tmp_path, *settings, at=5)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A run of 12 steps, to be read or copied."""
    folder = tmp_path_factory.mktemp("finished") / "run"
    assert run("mlp", folder) == 0
    return folder


def test_a_finished_run_started_again_trains_no_further(finished, tmp_path, capsys):
    shutil.copytree(finished, tmp_path / "run")
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
        Evaluator(made := made_of("mlp", f"--config.eval.batch_size={n}"))(made.init_state())
        for n in (360, 7, 64, 1000)
    )
    for found in others:
        assert found["accuracy"] == whole["accuracy"]
        assert found["loss"] == pytest.approx(whole["loss"], rel=1e-5)


@pytest.mark.parametrize("experiment", ["mlp", "gcn"])
def test_early_stopping_ends_the_run_when_the_metric_stalls(experiment, tmp_path, capsys):
    stalls = (
        *EXPERIMENTS[experiment],
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


def test_bf16_computes_in_bf16_over_float32_parameters(tmp_path):
    for precision in ("float32", "bf16"):
        run("vit", tmp_path / precision, *TINY_VIT, f"--config.precision={precision}")
    assert all(x.dtype in (np.float32, np.int32) for x in leaves(tmp_path / "bf16"))
    a, b = (figures(tmp_path / p, "train")[0]["loss"] for p in ("float32", "bf16"))
    assert a == pytest.approx(b, rel=0.02)  # bf16 keeps 8 bits
    last_a, last_b = (figures(tmp_path / p, "train")[-1]["loss"] for p in ("float32", "bf16"))
    assert last_a != last_b
    assert last_a == pytest.approx(last_b, rel=0.1)


def test_seed_changes_the_run_and_nothing_else_does(tmp_path):
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        run("mlp", tmp_path / name, f"--config.seed={seed}")
    assert_same_bits(leaves(tmp_path / "a"), leaves(tmp_path / "b"))
    a, c = (figures(tmp_path / name, "train") for name in "ac")
    assert all(x["loss"] != y["loss"] for x, y in zip(a, c, strict=True))


def test_plain_workdir_is_dated_and_named(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    file = ROOT / "experiments" / "mlp.py"
    assert launch.main([f"--config={file}", *SHORT]) == 0
    (folder,) = (tmp_path / "runs").iterdir()
    assert folder.name.startswith("mlp-20")
    assert f"workdir runs/{folder.name}" in capsys.readouterr().out


def test_list_names_every_experiment_with_cost_and_result(capsys, monkeypatch):
    monkeypatch.chdir(ROOT)
    assert launch.main(["--list"]) == 0
    listed = capsys.readouterr().out
    for file in flags.experiment_files():
        assert file.name in listed
    assert listed.count("Cost:") == listed.count("Result:") == len(flags.experiment_files())


def test_help_names_modes_and_keys(capsys):
    assert launch.main(["--help"]) == 0
    text = capsys.readouterr().out
    for word in ("--mode=evaluate", "optimizer.learning_rate", "early_stopping.patience", "0.001"):
        assert word in text


def test_restore_hands_out_the_state_in_one_call(finished):
    state = checkpoint.restore(finished)
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
            [sys.executable, "-m", "jaxdl.launch", *argv, *SHORT, *EXPERIMENTS[experiment]],
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
