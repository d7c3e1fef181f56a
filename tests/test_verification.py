"""False accepts and false rejects of all pairs, against scikit-learn, and in a run."""

import itertools

import jax
import numpy as np
import pytest
import tiny
from launching import built, run
from sklearn.metrics import roc_curve

from jaxdl import keys
from jaxdl.metrics import verification
from jaxdl.metrics.verification import STEPS
from jaxdl.tasks.shared import verifying

RNG = np.random.default_rng(0)
LABELS = RNG.integers(0, 4, 60)
# Of whole sixteenths: their products are exact, whatever a library's order of summing.
VECTORS = RNG.integers(-3, 4, (60, 6)) / 16 + 0.25 * np.eye(6)[LABELS]


def pairs(vectors, labels):
    both = itertools.combinations(range(len(labels)), 2)
    rows = [(float(vectors[i] @ vectors[j]), labels[i] == labels[j]) for i, j in both]
    return np.array([r[0] for r in rows]), np.array([r[1] for r in rows])


@pytest.mark.parametrize("at_once", [1, 7 * 60, 2**24])
def test_shares_are_those_of_the_roc_curve(at_once):
    found = verification.rates(VECTORS, LABELS, at_once=at_once)
    cosines, alike = pairs(VECTORS, LABELS)
    false, true, thresholds = roc_curve(alike, cosines, drop_intermediate=False)
    places = ((thresholds[1:] + 1) * STEPS).astype(int)  # the first is infinite
    np.testing.assert_array_equal(found.thresholds[places], thresholds[1:])
    np.testing.assert_allclose(found.false_accept[places], false[1:], rtol=1e-15)
    np.testing.assert_allclose(found.false_reject[places], 1 - true[1:], atol=1e-15)
    # Where nothing passes, and where everything does.
    assert (found.false_accept[-1], found.false_reject[-1]) == (0, 1)
    assert (found.false_accept[0], found.false_reject[0]) == (1, 0)
    # The error where both are nearest, and the lowest threshold that lets so few pass.
    i = np.abs(false - (1 - true)).argmin()
    assert found.equal_error_rate == pytest.approx((false[i] + 1 - true[i]) / 2)
    assert 0.1 < found.equal_error_rate < 0.5
    place = verification.place(found, "0.05")
    assert found.false_accept[place] <= 0.05 < found.false_accept[place - 1]
    assert verification.place(found, "equal") == found.equal


def test_between_classes_that_lie_apart_the_middle_is_taken():
    x, y = np.eye(3)[[0, 0, 1, 1, 2]], np.array([0, 0, 1, 1, 2])
    found = verification.rates(x, y)
    assert found.equal_error_rate == 0
    assert found.thresholds[found.equal] == pytest.approx(0.5, abs=1e-5)
    assert "Verification" in verifying.picture(x, y)


def test_what_has_no_pairs_is_no_number():
    for x, y in (
        (np.eye(3), np.arange(3)),
        (np.eye(3), np.zeros(3)),
        (np.eye(3) * np.nan, [0, 0, 1]),
    ):
        found = verification.rates(x, np.asarray(y))
        assert not found.known
        assert np.isnan(found.equal_error_rate)
        assert verifying.picture(x, np.asarray(y)) == {}


def test_a_threshold_of_the_validation_part_is_judged_on_the_test_part():
    one = built("embedding", "--config.data.eval_on=both", "--config.task.verification=.05")
    state, data = one.init_state(), one.run.data
    key = keys.root(0)
    watched = one.task.score(state, data.validation, key)
    assert "threshold" not in watched  # it would be judged by what chose it
    found = one.task.score(state, data.test, key)
    predict = jax.jit(one.task.predict)
    of = {}
    for name in ("validation", "test"):
        part = getattr(data, name)
        images = part.take(np.arange(len(part)))["image"]
        vectors = np.asarray(predict(state, images)["vector"])
        cosines, alike = (vectors @ vectors.T), part.labels[:, None] == part.labels
        upper = np.triu_indices(len(vectors), 1)
        of[name] = cosines[upper], alike[upper]
    false, _, thresholds = roc_curve(of["validation"][1], of["validation"][0])
    threshold = thresholds[np.flatnonzero(false <= 0.05)[-1]]
    assert found["threshold"] == pytest.approx(threshold, abs=1e-3)
    cosines, alike = of["test"]
    passed = cosines >= found["threshold"]
    assert found["false_accept_rate"] == pytest.approx(passed[~alike].mean(), abs=1e-4)
    assert found["false_reject_rate"] == pytest.approx((~passed)[alike].mean(), abs=1e-3)
    assert found["false_accept_rate"] == pytest.approx(0.05, abs=0.03)
    assert watched["equal_error_rate"] != found["equal_error_rate"]


@pytest.mark.parametrize(
    "flags, says",
    [
        (("task.verification=equals",), "config.task.verification='equals' must be 'equal', or"),
        (("task.verification=1.5",), "config.task.verification='1.5' must be 'equal', or"),
        (("task.verification=equal",), "set config.data.eval_on=both"),
    ],
)
def test_settings_that_cannot_be(flags, says, tmp_path, capsys):
    given = (*tiny.FLAGS["embedding"], *(f"--config.{flag}" for flag in flags))
    assert run("embedding", tmp_path / "run", *given) == 2
    said = capsys.readouterr().err
    assert says in said
    assert said.count("\n") == 1
