"""What data say of themselves, and data as they are now in the terms of what a run kept."""

import itertools
import json

import numpy as np
import pytest

from jaxdl import config, data
from jaxdl.data import Arrays, Data, facts, fingerprint
from jaxdl.data.absent import Absent, NotKeptError
from jaxdl.data.adapt import adapt
from jaxdl.errors import UserError

# One of each kind, as small as they come.
SETS = {
    "images": dict(name="digits"),
    "few": dict(name="digits", classes=(5, 6, 7), labels_per_class=10, label_noise=0.2),
    "turned": dict(name="digits", classes=(1, 2), symmetries=4),
    "anomaly": dict(name="digits", anomaly="3", eval_on="validation"),
    "text": dict(name="topics", context=16),
    "series": dict(name="mackey_glass", length=400, window=32, stride=16),
    "graph": dict(name="karate"),
    "graphs": dict(name="digits_strokes"),
    "none": dict(name="none"),
}


def load(**changed):
    return data.load({**config.default().data.to_dict(), **changed})


@pytest.fixture(scope="module")
def loaded():
    return {name: load(**settings) for name, settings in SETS.items()}


def through_json(found):
    return facts.read(json.loads(json.dumps(facts.written(found))))


@pytest.mark.parametrize("kind", SETS)
def test_facts_are_their_own_json_and_the_same_each_time(kind, loaded):
    found = facts.of(loaded[kind])
    assert through_json(found) == found
    again = facts.of(load(**SETS[kind]))
    assert again == found
    assert facts.changes(found, again) == []


@pytest.mark.parametrize("kind", SETS)
def test_data_in_their_own_terms_are_as_they_were(kind, loaded):
    made = loaded[kind]
    now = facts.of(made)
    found = adapt(made, now, through_json(now), learns=True, accepted=False)
    assert found.said == []
    assert found.facts == now
    assert found.data.train is made.train
    assert found.data.test is made.test
    assert found.data.class_names == made.class_names
    assert found.data.whole is made.whole
    if made.mean is not None:
        assert found.data.mean.dtype == made.mean.dtype
        np.testing.assert_array_equal(found.data.mean, made.mean)
        np.testing.assert_array_equal(found.data.std, made.std)


@pytest.mark.parametrize("kind", [k for k in SETS if k != "graph"])
def test_what_a_model_is_built_by_comes_back_without_the_examples(kind, loaded):
    made, found = loaded[kind], through_json(facts.of(loaded[kind])).restored()
    assert found.class_names == made.class_names
    assert found.anomaly == made.anomaly
    for x, y in ((found.mean, made.mean), (found.std, made.std)):
        assert (x is None) == (y is None)
        assert x is None or (x.dtype == y.dtype and np.array_equal(x, y))
    for there, split in ((made.train, found.train), (made.test, found.test)):
        assert (there is None) == (split is None)
        if there is None:
            continue
        assert len(split) == len(there)
        for name, x in there.take(np.arange(3)).items():
            zeros = split.take(np.arange(3))[name]
            assert (zeros.shape, zeros.dtype) == (x.shape, x.dtype)
    if kind == "text":
        assert found.tokenizer.decode(made.train.tokens[:9]) == 'The "asse'
        assert found.train.context == made.train.context
        assert found.test.bytes_per_token == made.test.bytes_per_token
    if kind == "series":
        assert (found.test.window, found.test.stride) == (32, 16)


def test_what_nobody_kept_is_one_line_and_no_attribute():
    split = Absent(3, {"image": ["uint8", 4, 4, 1]}, {"context": 5})
    assert split.context == 5
    assert not hasattr(split, "shuffled")
    with pytest.raises(NotKeptError, match="'labels' of them was not kept"):
        _ = split.labels


def test_a_graph_is_not_made_up(loaded):
    found = facts.of(loaded["graph"])
    assert not found.restorable
    assert found.class_names == ["instructor", "president"]
    assert facts.of(loaded["none"]).restorable


# Fingerprints


class Bare:
    """A split of the user's own, that tells nothing of itself."""

    def __init__(self, images, labels):
        self.images, self.labels = images, labels

    def __len__(self):
        return len(self.labels)

    def take(self, indices):
        return {"image": self.images[indices], "label": self.labels[indices]}


@pytest.mark.parametrize("kind", [Bare, lambda x, y: Arrays({"image": x, "label": y})])
def test_any_change_of_a_split_is_noticed(kind):
    draws = np.random.default_rng(0)
    images, labels = draws.integers(0, 256, (50, 4, 4, 1), np.uint8), draws.integers(0, 3, 50)
    seen = {fingerprint.of(kind(images, labels))}
    assert fingerprint.of(kind(images.copy(), labels.copy())) in seen
    other = images.copy()
    other[17, 3, 2, 0] ^= 1
    relabelled = labels.copy()
    relabelled[49] = (relabelled[49] + 1) % 3
    order = np.array([1, 0, *range(2, 50)])
    for x, y in (
        (other, labels),
        (images, relabelled),
        (images[order], labels[order]),
        (images[:-1], labels[:-1]),
        (images.astype(np.float32), labels),
        (images.reshape(50, 2, 8, 1), labels),
    ):
        found = fingerprint.of(kind(x, y))
        assert found not in seen
        seen.add(found)


def test_what_a_user_brings_says_what_it_can():
    split = Bare(np.zeros((5, 2, 2, 1), np.uint8), np.ones((5, 2), np.int32))  # of both classes
    split.about = {"length": np.int64(3), "kind": "own"}
    tokenizer = type("Own", (), {"size": 7})
    found = through_json(facts.of(Data(split, split, ("a", "b"), tokenizer=tokenizer)))
    part = found.parts["train"]
    assert (part.examples, part.class_counts) == (5, [])
    assert part.about == {"length": 3, "kind": "own"}
    assert found.tokens == 7
    assert not found.restorable  # nobody can bring back that tokenizer


def test_examples_made_of_others_are_known_too(loaded):
    parts = {name: fingerprint.of(loaded[name].train) for name in ("images", "few", "turned")}
    assert len(set(parts.values())) == 3
    assert fingerprint.of(load(**SETS["few"], label_seed=1).train) != parts["few"]
    assert fingerprint.of(load(**SETS["few"] | {"label_noise": 0.3}).train) != parts["few"]
    other = load(**SETS["turned"] | {"symmetries": 8}).train
    assert fingerprint.of(other) != parts["turned"]


# Changes


def images(names, seed=0, train=6, test=3, channels=3):
    """Data whose pixels say which class they are, by the first letter of its name."""
    draws = np.random.default_rng(seed)

    def part(each):
        labels = draws.permutation(np.repeat(np.arange(len(names)), each)).astype(np.int32)
        value = np.array([ord(name[0]) for name in names])[labels]
        pixels = np.broadcast_to(value[:, None, None, None], (len(labels), 2, 2, channels))
        return Arrays({"image": pixels.astype(np.uint8), "label": labels})

    mean = np.full(channels, 0.3, np.float32) + seed
    return Data(part(train), part(test), tuple(names), mean, mean / 2)


def kept(made):
    return through_json(facts.of(made))


def adapted(made, run, **how):
    return adapt(made, facts.of(made), run, **{"learns": False, "accepted": False, **how})


def known_by(split):
    """{label: names that its pixels say} of a split of `images`."""
    batch = split.take(np.arange(len(split)))
    pairs = zip(batch["label"].tolist(), batch["image"][:, 0, 0, 0].tolist(), strict=True)
    return {label: chr(value) for label, value in pairs}


def test_labels_and_statistics_mean_what_they_meant():
    run = kept(images(["apple", "berry", "cherry"]))
    found = adapted(images(["apple", "aubergine", "berry", "cherry"], seed=1), run)
    assert known_by(found.data.test) == {0: "a", 1: "b", 2: "c"}
    assert list(found.data.test.labels) == list(found.data.test.take(np.arange(9))["label"])
    assert len(found.data.test) == 9
    assert found.data.class_names == ("apple", "berry", "cherry")
    np.testing.assert_array_equal(found.data.mean, np.full(3, 0.3, np.float32))
    np.testing.assert_array_equal(found.data.std, np.full(3, 0.15, np.float32))
    assert found.said == [
        "class 'aubergine' is new",
        "18 → 24 examples to learn from",
        "9 → 12 examples to be measured on",
        "some of what is measured on may have been learned from",
        "3 of 12 examples to be measured on are of no class that it learned, and left out",
    ]


def test_a_renamed_class_is_the_same_one_if_the_user_says_so():
    run, now = kept(images(["apple", "berry"])), images(["berry", "cherry"])
    left = adapted(now, run)
    assert known_by(left.data.test) == {1: "b"}
    assert left.data.class_names == ("apple", "berry")
    assert "--accept_changes takes 'cherry' for what 'apple' was" in left.said
    for learns in (False, True):
        found = adapted(now, run, learns=learns, accepted=True)
        assert known_by(found.data.test) == {0: "c", 1: "b"}
        assert known_by(found.data.train) == {0: "c", 1: "b"}
        assert found.data.class_names == ("cherry", "berry")
        assert "'cherry' is taken for what 'apple' was" in found.said
    # Which is how the run knows them from then on.
    again = adapted(images(["berry", "cherry"]), through_json(found.facts), learns=True)
    assert again.said == []
    assert known_by(again.data.train) == {0: "c", 1: "b"}


def test_nothing_is_learned_from_other_data_unasked():
    run = kept(images(["apple", "berry"]))
    for now, words in (
        (images(["apple", "berry"], train=7), r"12 → 14 examples to learn from"),
        (images(["apple", "berry"], seed=1), r"other examples to be measured on \(6 as before\)"),
        (images(["apple"]), r"class 'berry' is gone"),
        (images(["apple", "cherry"]), r"--accept_changes takes 'cherry' for what 'berry' was"),
        (images(["apple", "berry"], channels=1), r"image uint8\[2, 2, 3\] → uint8\[2, 2, 1\]"),
    ):
        with pytest.raises(UserError, match=words) as caught:
            adapted(now, run, learns=True)
        assert "\n" not in str(caught.value)
    found = adapted(images(["berry"], seed=2), run, learns=True, accepted=True)
    assert found.data.class_names == ("apple", "berry")
    assert through_json(found.facts).parts["train"].class_counts == [0, 6]
    np.testing.assert_array_equal(found.data.mean, np.full(3, 0.3, np.float32))


@pytest.mark.parametrize("names", [["apple", "berry", "cherry"], ["cherry", "damson"]])
def test_a_class_that_a_run_cannot_learn_is_refused_even_so(names):
    run = kept(images(["apple", "berry"]))
    with pytest.raises(UserError, match=r"none that this run learns \(apple, berry\)"):
        adapted(images(names), run, learns=True, accepted=True)


def test_what_has_no_class_in_common_cannot_be_measured_on():
    with pytest.raises(UserError, match=r"of a class that this run learned \(apple, berry\)"):
        adapted(images(["cherry", "damson"]), kept(images(["apple", "berry"])))


def test_names_with_their_accents_apart_are_read_as_they_are_now():
    content = facts.written(facts.of(images(["cafe\u0301", "tea"])))
    assert facts.read(content).class_names == ["caf\u00e9", "tea"]


def test_an_anomaly_stays_the_same_class():
    before = images(["apple", "berry"])._replace(anomaly=1)
    now = images(["aubergine", "apple", "berry"])._replace(anomaly=2)
    assert adapted(now, kept(before)).data.anomaly == 1


def test_a_series_that_grew_is_seen_in_the_units_that_were_learned(tmp_path):
    draws = np.random.default_rng(0)
    short = draws.normal([3, -50], [2, 7], (400, 2))
    long = np.concatenate([short, draws.normal([9, 0], [1, 1], (200, 2))])
    np.save(tmp_path / "a.npy", short)
    given = dict(name="series", path=str(tmp_path / "a.npy"), window=32, stride=16)
    run = kept(load(**given))
    learned = short[:320]
    np.testing.assert_allclose(run.mean, learned.mean(axis=0), rtol=1e-6)
    np.save(tmp_path / "a.npy", long)
    found = adapted(load(**given), run)
    right = (long - learned.mean(axis=0)) / learned.std(axis=0)
    np.testing.assert_allclose(found.data.test.series, right, atol=1e-5)
    at = np.array([0, 100])
    np.testing.assert_allclose(found.data.train.take(at)["series"][1], right[100:132], atol=1e-5)
    units = found.data.test.series * found.data.std + found.data.mean
    np.testing.assert_allclose(units, long, rtol=1e-5, atol=1e-5)
    assert any("examples to learn from" in line for line in found.said)


@pytest.mark.parametrize("scale, words", [(2.0, "deviation 1 → 2"), (1.0, "mean 0 → 64")])
def test_a_series_in_other_units_is_another(scale, words, tmp_path):
    # Powers of two and whole numbers, so that what comes standardised is the same to the bit.
    values = np.tile([[1.0, -43], [-1, -57]], (200, 1))
    np.save(tmp_path / "a.npy", values)
    given = dict(name="series", path=str(tmp_path / "a.npy"), window=32, stride=16)
    run = kept(load(**given))
    other = values * scale if scale != 1 else values + 64
    np.save(tmp_path / "a.npy", other)
    assert any(words in line for line in adapted(load(**given), run).said)
    with pytest.raises(UserError, match="accept_changes"):
        adapted(load(**given), run, learns=True)
    # Accepted once is accepted until they change again.
    accepted = adapted(load(**given), run, learns=True, accepted=True).facts
    assert accepted.mean == run.mean
    assert adapted(load(**given), accepted, learns=True).said == []
    np.save(tmp_path / "a.npy", values)
    with pytest.raises(UserError, match="of the same examples"):
        adapted(load(**given), accepted, learns=True)


def test_another_text_and_another_graph_are_noticed(loaded, tmp_path):
    (tmp_path / "a.txt").write_text("To be, or not to be. " * 40)
    given = dict(name="text", path=str(tmp_path / "a.txt"), context=16)
    run = kept(load(**given))
    (tmp_path / "a.txt").write_text("To be, or not to be! " * 40)
    said = adapted(load(**given), run).said
    assert said[0].startswith("other examples to learn from")
    graph = loaded["graph"]
    cut = graph._replace(whole=graph.whole._replace(edges=graph.whole.edges[1:]))
    for learns, accepted in itertools.product((False, True), repeat=2):
        with pytest.raises(UserError, match=r"another graph|the graph is not the one"):
            adapted(cut, kept(graph), learns=learns, accepted=accepted)


@pytest.mark.parametrize(
    "change, why",
    [
        (dict(class_names=3), "must be a list of texts"),
        (dict(class_names=["a", "a"]), "a name twice"),
        (dict(class_names=["a", "b", "c"]), "has 3 names of 2"),
        (dict(class_names=[1, 2]), "must be a list of texts"),
        (dict(parts={"train": {"examples": 3}}), "missing"),
        (dict(parts=[]), "items"),
        (dict(further=1), "unexpected"),
    ],
)
def test_what_is_no_fact_is_refused(change, why):
    content = facts.written(facts.of(images(["a", "b"])))
    with pytest.raises(ValueError, match=why):
        facts.read({**content, **change})
