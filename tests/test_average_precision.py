"""Figures of boxes: COCO's against pycocotools', Pascal VOC's against its definition."""

from pathlib import Path

import numpy as np
import pytest

from jaxdl.metrics import detection, voc
from jaxdl.metrics.matching import Found, Truth, match, overlapping
from jaxdl.tasks.shared import judged_boxes

GOLDEN = dict(np.load(Path(__file__).parent / "golden" / "average_precision.npz"))
COUNTS = GOLDEN["counts"]


def case(i):
    """Finds, objects and the number of classes of a case of the golden file."""
    starts = np.concatenate([[(0, 0)], COUNTS[:, :2].cumsum(axis=0)])
    d, g = (slice(*starts[i : i + 2, j]) for j in (0, 1))
    found = Found(*(GOLDEN[f"found/{name}"][d] for name in Found._fields))
    truth = Truth(*(GOLDEN[f"true/{name}"][g] for name in Truth._fields))
    return found, truth, int(COUNTS[i, 2])


def boxes(*rows):
    return np.array(rows, np.float64).reshape(-1, 4)


def finds(scores, rows, classes=None, image=None):
    n = len(scores)
    zeros = np.zeros(n, int)
    return Found(
        zeros if image is None else np.array(image),
        boxes(*rows),
        np.array(scores),
        zeros if classes is None else np.array(classes),
    )


def objects(rows, classes=None, image=None, **flags):
    zeros = np.zeros(len(rows), int)
    return Truth(
        zeros if image is None else np.array(image),
        boxes(*rows),
        zeros if classes is None else np.array(classes),
        **{name: np.array(x, bool) for name, x in flags.items()},
    )


@pytest.mark.parametrize("i", range(len(COUNTS)))
def test_the_twelve_figures_are_pycocotools(i):
    found, truth, classes = case(i)
    made = detection.curves(found, truth, classes)
    figures = list(detection.summary(made).values())
    np.testing.assert_allclose(figures, GOLDEN["summary"][i], rtol=0, atol=1e-9)
    if f"precision/{i}" in GOLDEN:
        for name, x in made._asdict().items():
            np.testing.assert_allclose(x, GOLDEN[f"{name}/{i}"], rtol=0, atol=1e-9)


def test_the_cases_hold_what_can_go_wrong():
    """Or the test above would show little."""
    assert np.isnan(GOLDEN["summary"]).any(axis=0)[0]  # no object at all
    assert (GOLDEN["summary"] == 0).any()
    assert np.nanmin(np.nanmax(GOLDEN["summary"], axis=0)) > 0.3
    assert GOLDEN["true/crowd"].sum() > 20
    assert GOLDEN["true/ignored"].sum() > 20
    own = np.prod(GOLDEN["true/boxes"][:, 2:] - GOLDEN["true/boxes"][:, :2], axis=1)
    assert np.sum(own != GOLDEN["true/areas"]) > 20
    scores = [found.scores for found, *_ in map(case, range(len(COUNTS)))]
    assert sum(len(np.unique(x)) < len(x) for x in scores) > 5
    assert sum(len(x) > 100 for x in scores) > 3


def test_all_found_is_one_and_nothing_found_is_none():
    rows = [(0, 0, 10, 10), (20, 20, 60, 70), (0, 0, 200, 200)]
    truth = objects(rows, [0, 1, 1])
    figures = detection.summary(detection.curves(finds([0.9, 0.8, 0.7], rows, [0, 1, 1]), truth, 3))
    assert all(value == pytest.approx(1) for name, value in figures.items() if name != "ar1")
    assert figures["ar1"] == pytest.approx(0.75)  # of class 1 one of two
    figures = detection.summary(detection.curves(finds([], []), truth, 3))
    assert not any(figures.values())
    nothing = detection.curves(finds([0.5], rows[:1]), objects([]), 3)
    assert np.isnan(list(detection.summary(nothing).values())).all()
    with pytest.raises(ValueError, match="from 0 to 0"):
        detection.curves(finds([0.5], rows[:1], [1]), truth, 1)


def test_parts_of_the_average_are_those_of_each_class():
    found, truth, classes = case(17)
    made = detection.curves(found, truth, classes)
    each = detection.by_class(made)
    assert np.nanmean(each) == pytest.approx(detection.summary(made)["map"])
    assert np.nanstd(each) > 0
    alone = detection.curves(
        found.of(found.classes == 0), Truth(*(x[truth.classes == 0] for x in truth)), 1
    )
    own = detection.summary(alone)["map50"]
    assert detection.by_class(made, 0)[0] == pytest.approx(own, abs=1e-12)


# Matching


def test_each_find_meets_the_best_object_that_is_left():
    truth = objects([(0, 0, 10, 10), (0, 0, 10, 8)])
    found = finds(
        [0.3, 0.9, 0.8, 0.7], [(0, 0, 10, 9), (0, 0, 10, 10), (0, 0, 10, 9.5), (50, 50, 60, 60)]
    )
    matches = match(found, truth, (0.5, 0.9))
    assert matches.found.tolist() == [1, 2, 0]
    assert matches.true[..., 0].tolist() == [[0, 0], [1, -1], [-1, -1]]


def test_objects_that_count_go_before_those_that_do_not():
    truth = objects([(0, 0, 10, 10), (0, 0, 10, 9)], ignored=[True, False])
    found = finds([0.9, 0.8, 0.7], [(0, 0, 10, 10)] * 3)
    assert match(found, truth, (0.5,)).true[:, 0, 0].tolist() == [1, 0, -1]


def test_a_crowd_is_met_by_any_number_and_by_what_lies_in_it():
    truth = objects([(0, 0, 100, 100)], crowd=[True])
    found = finds([0.9, 0.8, 0.7], [(0, 0, 10, 10), (20, 20, 30, 30), (95, 0, 110, 10)])
    assert match(found, truth, (0.5,)).true[:, 0, 0].tolist() == [0, 0]
    pairs = overlapping(found, truth, 0.1)
    np.testing.assert_allclose(pairs.overlap, [1, 1, 1 / 3])
    # Nor are they wrong, or found.
    with_one = objects([(0, 0, 100, 100), (200, 0, 210, 10)], crowd=[True, False])
    found = finds([0.9, 0.8, 0.7], [(0, 0, 10, 10), (20, 20, 30, 30), (200, 0, 210, 10)])
    assert detection.summary(detection.curves(found, with_one, 1))["map"] == pytest.approx(1)


def test_of_equal_overlaps_the_later_object_is_met():
    truth = objects([(0, 0, 10, 10), (0, 0, 10, 10)])
    found = finds([0.9], [(0, 0, 10, 10)])
    assert match(found, truth, (0.5,)).true.tolist() == [[[1]]]


def test_pairs_are_the_same_in_pieces(monkeypatch):
    found, truth, _ = case(3)
    whole = overlapping(found, truth, 0.3)
    assert len(whole.found) > 3
    monkeypatch.setattr("jaxdl.metrics.matching._AT_ONCE", 3)
    for a, b in zip(overlapping(found, truth, 0.3), whole, strict=True):
        np.testing.assert_array_equal(a, b)


def test_confusion_counts_each_object_and_each_find_once():
    rows = [(0, 0, 10, 10), (20, 0, 30, 10), (40, 0, 50, 10), (60, 0, 70, 10)]
    truth = objects(rows, [0, 0, 1, 1], ignored=[False, False, False, True])
    found = finds(
        [0.9, 0.8, 0.7, 0.6, 0.5],
        [rows[0], rows[1], rows[0], rows[3], (90, 0, 99, 9)],
        [0, 1, 0, 0, 1],
    )
    expected = [[1, 1, 0], [0, 0, 1], [1, 1, 0]]
    assert detection.confusion(found, truth, 2).tolist() == expected
    assert detection.confusion(finds([], []), truth, 2)[:, 2].tolist() == [2, 1, 0]
    nothing = detection.confusion(found, objects([]), 2)
    assert nothing.tolist() == [[0, 0, 0], [0, 0, 0], [3, 2, 0]]


# Pascal VOC


def voc_by_loops(found, truth, k, least, eleven):
    """What the development kit's words say, find by find."""
    left = [i for i in np.argsort(-found.scores, kind="stable") if found.classes[i] == k]
    own = [j for j in range(len(truth.image)) if truth.classes[j] == k]
    easy = sum(not truth.ignored[j] for j in own)
    met, right, wrong = set(), 0, 0
    curve = []
    for i in left:
        best, most = None, -np.inf
        for j in own:
            if truth.image[j] != found.image[i]:
                continue
            a, b = found.boxes[i], truth.boxes[j]
            w, h = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
            if w <= 0 or h <= 0:
                continue
            area = lambda x: (x[2] - x[0]) * (x[3] - x[1])
            if (overlap := w * h / (area(a) + area(b) - w * h)) > most:
                best, most = j, overlap
        if most >= least:
            if truth.ignored[best]:
                continue
            right, wrong = (right, wrong + 1) if best in met else (right + 1, wrong)
            met.add(best)
        else:
            wrong += 1
        curve.append((right / easy if easy else np.nan, right / (right + wrong)))
    if not easy:
        return np.nan
    if eleven:
        return sum(max([p for r, p in curve if r >= t / 10], default=0) for t in range(11)) / 11
    recall = [0, *(r for r, _ in curve)]
    highest = [max(p for _, p in curve[i:]) for i in range(len(curve))]
    return sum((recall[i + 1] - recall[i]) * p for i, p in enumerate(highest))


@pytest.mark.parametrize("eleven", [False, True])
def test_vocs_figures_are_those_of_its_words(eleven):
    seen = 0
    for i in range(len(COUNTS)):
        found, truth, classes = case(i)
        if len(found.scores) > 200:
            continue
        truth = truth._replace(crowd=None)
        made = voc.average_precision(found, truth, classes, 0.5, eleven)
        expected = [voc_by_loops(found, truth, k, 0.5, eleven) for k in range(classes)]
        np.testing.assert_allclose(made, expected, rtol=0, atol=1e-12)
        seen += np.sum(~np.isnan(made) & (made > 0) & (made < 1))
    assert seen > 20


def test_vocs_figures_worked_by_hand():
    rows = [(0, 0, 10, 10), (20, 0, 30, 10), (40, 0, 50, 10), (60, 0, 70, 10)]
    truth = objects(rows, ignored=[False, False, False, True])
    # Right, wrong, right, twice, difficult: recall 1/3, 1/3, 2/3, 2/3; precision 1, 1/2, 2/3, 1/2.
    found = finds([0.9, 0.8, 0.7, 0.6, 0.5], [rows[0], (80, 0, 90, 9), rows[1], rows[0], rows[3]])
    (area,) = voc.average_precision(found, truth, 1)
    assert area == pytest.approx((1 + 2 / 3) / 3)
    (points,) = voc.average_precision(found, truth, 1, eleven_points=True)
    assert points == pytest.approx((4 * 1 + 3 * 2 / 3) / 11)
    # A find means the object that it overlaps most, though that is taken.
    near = objects([(0, 0, 10, 10), (0, 0, 10, 7)])
    twice = finds([0.9, 0.8], [(0, 0, 10, 10)] * 2)
    assert voc.average_precision(twice, near, 1)[0] == pytest.approx(0.5)
    assert detection.summary(detection.curves(twice, near, 1))["map50"] == pytest.approx(1)


def test_tenths_of_recall_are_reached_exactly():
    """3 of 10 found is a recall of .3, whatever .1 times 3 is."""
    rows = [(20 * i, 0, 20 * i + 10, 10) for i in range(10)]
    found = finds([0.9, 0.8, 0.7], rows[:3])
    made = voc.average_precision(found, objects(rows), 1, eleven_points=True)
    assert made[0] == pytest.approx(4 / 11)


# Batches


def test_padding_is_nothing_and_what_is_difficult_is_no_padding():
    rng = np.random.default_rng(0)
    batch = {
        "boxes": rng.random((3, 5, 4)),
        "scores": np.array([[0.9, 0.5, 0, 0, 0], [0] * 5, [0.8, 0.7, 0.6, 0, 0]]),
        "classes": rng.integers(0, 3, (3, 5)),
        "true_boxes": rng.random((3, 4, 4)),
        "true_classes": rng.integers(0, 3, (3, 4)),
        "true_present": np.array([[1, 1, 0, 0], [0] * 4, [1, 0, 0, 0]], bool),
    }
    found, truth = judged_boxes.in_rows(batch)
    assert found.image.tolist() == [0, 0, 2, 2, 2]
    np.testing.assert_array_equal(found.boxes[2], batch["boxes"][2, 0])
    assert truth.image.tolist() == [0, 0, 2]
    assert truth.counts.all()
    batch["true_crowd"] = np.array([[0, 0, 1, 0], [0] * 4, [0] * 4], bool)
    batch["true_difficult"] = np.array([[0] * 4, [1, 0, 0, 0], [0] * 4], bool)
    _, truth = judged_boxes.in_rows(batch)
    assert truth.image.tolist() == [0, 0, 0, 1, 2]
    assert truth.crowd.tolist() == [False, False, True, False, False]
    assert truth.ignored.tolist() == [False, False, False, True, False]
