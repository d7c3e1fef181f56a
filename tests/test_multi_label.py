"""Labels that hold or not: thresholds, areas and weights, and runs of two classes and of many."""

import functools
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny
from launching import assert_resumes_to_the_bit, figures, learned, made, run, summary
from sklearn import metrics as theirs
from sklearn.utils.class_weight import compute_class_weight

from jaxdl import losses
from jaxdl.data import Arrays
from jaxdl.errors import UserError
from jaxdl.metrics import ranking
from jaxdl.tasks import classification, multi_label
from jaxdl.tasks.shared import class_weights

FLAGS = (*tiny.FLAGS["mlp:cancer"], "--config.eval.every=6")
CASES = {
    "apart": (np.arange(12.0), np.arange(12) > 7),
    "mixed": (np.random.default_rng(0).normal(size=60), np.random.default_rng(1).random(60) < 0.4),
    "ties": (
        np.random.default_rng(2).integers(0, 5, 60),
        np.random.default_rng(3).random(60) < 0.3,
    ),
    "all the same": (np.zeros(10), np.arange(10) < 3),
    "one": (np.arange(9.0), np.arange(9) == 0),
}


@pytest.mark.parametrize("case", CASES)
def test_areas_are_those_of_their_definitions_ties_included(case):
    scores, positive = CASES[case]
    pairs = scores[positive][:, None] - scores[~positive]
    assert ranking.auroc(scores, positive) == pytest.approx(((pairs > 0) + (pairs == 0) / 2).mean())
    area, before = 0.0, 0.0
    for threshold in np.unique(scores)[::-1]:
        taken = scores >= threshold
        recall = (taken & positive).sum() / positive.sum()
        area += (recall - before) * (taken & positive).sum() / taken.sum()
        before = recall
    assert ranking.average_precision(scores, positive) == pytest.approx(area)


@pytest.mark.parametrize("case", CASES)
def test_the_best_threshold_has_the_highest_f1_of_scikit_learn(case):
    scores, positive = CASES[case]
    found = jax.jit(ranking.best_f1)(np.float32(scores), positive)
    cuts = [theirs.f1_score(positive, scores >= t) for t in np.unique(scores)]
    assert found.f1 == pytest.approx(max(cuts), rel=1e-6)
    taken = np.float32(scores) > np.asarray(found.threshold)
    assert theirs.f1_score(positive, taken) == pytest.approx(max(cuts))
    assert ranking.f1(taken, positive) == pytest.approx(max(cuts))


def test_neighbours_in_float32_are_cut_apart_and_what_never_holds_is_cut_at_a_half():
    a = np.float32(1)
    scores = np.array([a, np.nextafter(a, np.float32(2))])
    found = ranking.best_f1(scores, np.array([False, True]))
    np.testing.assert_array_equal(scores > np.asarray(found.threshold), [False, True])
    assert ranking.best_f1(scores, np.array([False, False])).threshold == 0


def test_balanced_weights_are_scikit_learns():
    labels = np.repeat([0, 1, 3], [5, 1, 14])
    found = class_weights.create(
        "class_weights", ("balanced",), 4, lambda: class_weights.inverse_frequency(labels, 4)
    )
    expected = compute_class_weight("balanced", classes=np.array([0, 1, 3]), y=labels)
    np.testing.assert_allclose(found[[0, 1, 3]], expected, rtol=1e-6)
    assert found[2] == 0


def test_mixed_labels_weigh_as_they_are_mixed():
    mixed = class_weights.of_labels(np.float32([1, 3]), jnp.array([[0.5, 0.5], [1, 0]]))
    np.testing.assert_array_equal(mixed, [2, 1])


def test_the_loss_is_a_weighted_mean():
    """As torch's CrossEntropyLoss(weight=) has it: Σ w l / Σ w."""
    loss_of = lambda found, labels: losses.cross_entropy(found, labels, label_smoothing=0.0)
    weights = np.float32([1, 4])
    logits = np.random.default_rng(0).normal(size=(6, 2)).astype(np.float32)
    labels = np.array([0, 1, 1, 0, 0, 1], np.int32)
    found = classification.training_loss(
        lambda params, state, key, x, train: (logits, {}),
        lambda key, batch: batch,
        lambda x: x,
        loss_of,
        0.0,
        0,
        lambda labels: class_weights.of_labels(weights, labels),
        {},
        {},
        {"features": np.zeros((6, 3), np.float32), "label": labels},
        jax.random.key(0),
    ).loss
    each, w = np.asarray(loss_of(logits, labels)), weights[labels]
    np.testing.assert_allclose(found.total / found.weight, (w * each).sum() / w.sum(), rtol=1e-6)


def test_positive_weights_make_up_for_how_seldom_a_label_holds():
    labels = np.array([[1, 0], [0, 0], [0, 0], [1, 1]], np.uint8)
    found = multi_label._balanced(multi_label.Labels(("a", "b")), Arrays({"labels": labels}))
    np.testing.assert_array_equal(found, [1, 3])


@pytest.mark.parametrize(
    "experiment, flags, says",
    [
        ("mlp:cancer", "task.positive_weights=1,2", "or 1 numbers of at least 0"),
        ("mlp:cancer", "task.positive_weights=often", "must be 'balanced', or 1 numbers"),
        ("mlp:cancer", "task.positive=malign", "did you mean 'malignant'"),
        ("mlp:cancer", "data.name=digits", "data set 'digits' has 10 classes"),
        ("mlp:cancer", "data.name=diabetes", "data set 'diabetes' has features, target"),
        ("mlp:cancer", "task.class_weights=1,2", "config.task has no key 'class_weights'"),
        ("mlp", "task.class_weights=1,2", "must be 'balanced', or 10 numbers of at least 0"),
        ("vae", "task.class_weights=balanced", "config.task has no key 'class_weights'"),
        ("gpt", "data.balanced=true", "data.balanced=True is for labelled images"),
    ],
)
def test_what_cannot_be_is_one_line(experiment, flags, says, tmp_path, capsys):
    assert run(experiment, tmp_path / "run", f"--config.{flags}") == 2
    said = capsys.readouterr().err
    assert says in said
    assert said.count("\n") == 1


def test_lines_say_what_holds_and_what_was_found_to_as_far_as_there_is_room():
    known = multi_label.Labels(("cat", "dog", "a horse and its rider"))
    truth = np.array([[True, False, False], [False, False, False], [False, False, True]])
    holds = np.array([[True, True, False], [True, False, False], [False, False, True]])
    lines = functools.partial(multi_label._lines, known, truth, holds)
    assert lines([1, 0]) == ["none → cat", "cat → cat, dog"]
    assert lines([2]) == ["a horse and its rid…"]
    two = multi_label.Labels(("cat",), "dog", 1)
    assert multi_label._lines(two, truth[:, :1], holds[:, :1], [0, 1]) == ["cat → cat", "dog → cat"]


def test_focal_loss_weighs_by_itself():
    with pytest.raises(UserError, match="'focal' weighs by itself"):
        made("mlp:cancer", "--config.task.loss=focal", "--config.task.positive_weights=2.0")


def test_a_run_of_two_classes_goes_on_and_answers_by_the_threshold_of_its_validation(tmp_path):
    assert_resumes_to_the_bit("mlp:cancer", tmp_path, *FLAGS, "--config.checkpoint.every=6", at=6)
    folder = tmp_path / "whole"
    assert run("mlp:cancer", folder, *FLAGS, "--mode=evaluate") == 0
    said = figures(folder, "evaluate")[-1]
    its = made("mlp:cancer", *FLAGS).run
    data = its.data
    held = {}
    for name, split in (("test", data.test), ("validation", data.validation)):
        np.save(tmp_path / f"{name}.npy", split.arrays["features"])
        asked = f"--input={tmp_path / name}.npy"
        assert run("mlp:cancer", folder, *FLAGS, "--mode=predict", asked) == 0
        lines = (folder / "predictions.jsonl").read_text().splitlines()
        held[name] = [json.loads(line) for line in lines]
        vectors = np.load(folder / "embeddings.npy")  # of what the last layer read
        assert vectors.shape == (len(split), its.config.model.hidden[-1])
        np.testing.assert_allclose(np.square(vectors).sum(axis=1), 1, rtol=1e-5)
    shares = {k: np.array([x["shares"]["malignant"] for x in v]) for k, v in held.items()}
    holds = {k: np.array([x["class"] == "malignant" for x in v]) for k, v in held.items()}
    truth = data.test.labels == 1
    assert said["auroc"] == pytest.approx(theirs.roc_auc_score(truth, shares["test"]))
    area = theirs.average_precision_score(truth, shares["test"])
    assert said["average_precision"] == pytest.approx(area)
    assert said["f1"] == pytest.approx(theirs.f1_score(truth, holds["test"]))
    # The threshold is the best of the validation part, and of that alone.
    np.testing.assert_array_equal(holds["test"], shares["test"] > said["threshold"])
    own = data.validation.labels == 1
    best = max(theirs.f1_score(own, shares["validation"] >= t) for t in shares["validation"])
    assert theirs.f1_score(own, holds["validation"]) == pytest.approx(best)


@pytest.mark.slow("mlp:cancer", "jaxdl/tasks/multi_label.py", "jaxdl/parallel/")
def test_one_device_and_eight_learn_labels_of_images_alike(tmp_path):
    rng = np.random.default_rng(0)
    x, y = rng.random((40, 6, 6, 1)), rng.random((40, 3)) < 0.4
    np.savez(tmp_path / "own.npz", x_train=x, y_train=y)
    flags = ("--config.data.name=table", f"--config.data.path={tmp_path / 'own.npz'}",
             "--config.data.kind=labels", "--config.task.positive_weights=balanced",
             "--config.optimizer.name=sgd", "--config.augment.shift=1",
             "--config.model.dropout=0.0")  # fmt: skip
    one, state, found = learned(2, "mlp:cancer", *flags)
    assert one.task.predict is not None
    _, eight, also = learned(2, "mlp:cancer", *flags, "--config.parallel.data=8")
    assert found["loss"] == pytest.approx(also["loss"], rel=1e-5)
    assert found["all_right"] == also["all_right"]
    for a, b in zip(jax.tree.leaves(state), jax.tree.leaves(eight), strict=True):
        if jnp.issubdtype(a.dtype, jnp.floating):
            np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)
    scored = one.task.score(state, one.run.data.test, one.key)
    assert scored.keys() == {"auroc", "average_precision", "f1", "f1_micro"}
    told = one.task.predict(state, np.float32(x[:4]))
    assert told["holds"].shape == told["shares"].shape == (4, 3)
    assert one.task.describe({name: x[0] for name, x in told.items()}).vector is not None


@pytest.mark.slow("deep_cnn:labels", "jaxdl/tasks/multi_label.py", "jaxdl/tasks/shared/")
def test_many_labels_leave_a_report_and_members_have_thresholds_of_their_own(tmp_path):
    flags = tiny.FLAGS["deep_cnn:labels"]
    folder = tmp_path / "run"
    assert run("deep_cnn:labels", folder, *flags, "--config.log.report=true") == 0
    page = (folder / "report.html").read_text()
    for name in ("ROC", "Precision and recall", "Calibration", "Labels"):
        assert name in page
    pair = tmp_path / "pair"
    assert run("mlp:cancer", pair, *FLAGS, "--config.population=2") == 0
    found = [member["final"]["threshold"] for member in summary(pair)["members"]]
    assert found[0] != found[1]


@pytest.mark.slow("mlp", "jaxdl/tasks/classification.py", "jaxdl/tasks/shared/")
def test_classes_of_rows_are_learned_and_answered(tmp_path):
    from sklearn.datasets import load_wine

    wine = load_wine()
    names = [str(name).replace("/", " ") for name in wine.feature_names]
    lines = [",".join([*names, "kind"])]
    lines += [",".join([*map(str, row), f"wine {y}"]) for row, y in zip(wine.data, wine.target,
                                                                       strict=True)]  # fmt: skip
    file, folder = tmp_path / "wine.csv", tmp_path / "run"
    file.write_text("\n".join(lines) + "\n")
    flags = ("--config.data.name=table", f"--config.data.path={file}", "--config.data.kind=class",
             "--config.data.targets=kind", "--config.data.balanced=true", "--config.steps=200",
             "--config.task.class_weights=balanced", "--config.model.hidden=16",
             "--config.augment.shift=0", "--config.eval.every=100",
             "--config.optimizer.learning_rate=1e-2")  # fmt: skip
    assert run("mlp", folder, *flags, "--config.log.report=true") == 0
    assert summary(folder)["final"]["accuracy"] > 0.9
    assert run("mlp", folder, *flags, "--mode=predict", f"--input={file}") == 0
    found = [json.loads(line) for line in (folder / "predictions.jsonl").read_text().splitlines()]
    right = [
        x["classes"][0]["class"] == f"wine {y}" for x, y in zip(found, wine.target, strict=True)
    ]
    assert np.mean(right) > 0.9
    assert np.load(folder / "embeddings.npy").shape == (len(wine.data), 16)
