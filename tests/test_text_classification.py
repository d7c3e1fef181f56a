"""Text classification: tables, the standard library's docstrings, figures, answers, bad input."""

import json

import jax
import numeric
import numpy as np
import pytest
import tiny
from launching import built
from test_rows import written

from jaxdl import config, data, keys
from jaxdl.data import docstrings
from jaxdl.errors import UserError
from jaxdl.tasks.shared import text_encoder
from jaxdl.train.evaluate import Evaluator

KEY = keys.root(0)
TEXTS = [f"{word} {i}" for i in range(10) for word in ("red", "green", "blue")]
LABELS = ["red", "green", "blue"] * 10


def load(**changed):
    given = {**config.default().data.to_dict(), "name": "labelled_texts", "context": 10, **changed}
    return data.load(given)


# Data


@pytest.mark.parametrize("kind", [".jsonl", ".csv"])
def test_a_table_is_drawn_into_parts_that_have_every_class(tmp_path, kind):
    path = str(written(tmp_path / f"table{kind}", TEXTS, LABELS))
    found = load(path=path, test_fraction=0.2)
    assert found.class_names == ("blue", "green", "red")
    assert [len(found.train), len(found.test), found.validation] == [24, 6, None]
    np.testing.assert_array_equal(np.bincount(found.test.labels), [2, 2, 2])
    chosen = load(path=path, test_fraction=0.2, eval_on="validation")
    texts = lambda split: {example.texts for example in split.examples}
    assert not texts(found.test) & (texts(chosen.train) | texts(chosen.test))
    assert found.notes == ()
    # What a batch holds is the text.
    row = found.train.take(np.array([3]))
    text, label = found.train.examples[3].texts[0], found.train.examples[3].label
    wanted = [257, *text.encode(), 258]
    np.testing.assert_array_equal(row["tokens"][0][row["mask"][0]], wanted)
    assert found.class_names[row["label"][0]] == label
    assert "segments" not in row


def test_tables_of_their_own_for_every_part_and_columns_by_other_names(tmp_path):
    for part, labels in (("train", [10, 9, 2]), ("test", [9]), ("validation", [2, 2])):
        lines = [json.dumps(dict(a="x", b="yz", class_=n)) for n in labels]
        (tmp_path / f"{part}.jsonl").write_text("\n".join(lines))
    found = load(path=str(tmp_path), text="a", second="b", label="class_")
    assert found.class_names == ("2", "9", "10")
    assert [len(found.train), len(found.test), len(found.validation)] == [3, 1, 2]
    row = found.test.take(np.array([0]))
    np.testing.assert_array_equal(row["tokens"][0, :6], [257, ord("x"), 258, *b"yz", 258])
    np.testing.assert_array_equal(row["segments"][0, :7], [0, 0, 0, 1, 1, 1, 0])
    watched = load(path=str(tmp_path), text="a", label="class_", eval_on="validation")
    assert (len(watched.test), watched.validation) == (2, None)


def test_empty_texts_are_counted(tmp_path):
    texts = ["a", " ", "b", "", "c", "d", "e", "f"]
    path = written(tmp_path / "a.csv", texts, ["x", "y"] * 4)
    (line,) = load(path=path, test_fraction=0.5).notes
    assert line.startswith("2 of 8 texts are empty, the first: ")
    assert "a.csv, line " in line


def test_long_texts_are_cut_and_counted(tmp_path):
    path = str(written(tmp_path / "a.csv", [*TEXTS, "x" * 30, "x" * 5], [*LABELS, "red", "red"]))
    (line,) = load(path=path).notes
    assert line.startswith("1 of 32 texts are longer than data.context=10 has room for")


BAD = {
    "no label": (["a,b", "x,"], "line 3: 'label' is empty"),
    "one class": (["a,b", "x,b"], "there is only one class to learn, 'b'"),
    "one of each": (["a,b", "x,c"], "2 texts cannot be split 0.2 off: no class has two of them"),
    "no rows": ([], "has no rows"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_tables_are_one_line(tmp_path, name):
    lines, message = BAD[name]
    (tmp_path / "a.csv").write_text("\n".join(["text,label", *lines]))
    with pytest.raises(UserError) as caught:
        load(path=str(tmp_path / "a.csv"))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_class_that_there_is_nothing_to_learn_of_is_named(tmp_path):
    (tmp_path / "train.csv").write_text("text,label\na,cat\nb,dog\n")
    (tmp_path / "test.csv").write_text("text,label\na,cat\nb,dgo\n")
    with pytest.raises(UserError, match=r"test.csv, line 3: no text .* label 'dgo': .*'dog'"):
        load(path=str(tmp_path))


@pytest.mark.parametrize("eval_on", ["test", "validation"])
def test_no_file_of_the_standard_library_is_on_both_sides(eval_on):
    found = load(name="docstrings", context=64, test_fraction=0.2, eval_on=eval_on)
    files = lambda split: {example.where for example in split.examples}
    assert not files(found.train) & files(found.test)
    counts = [np.bincount(part.labels, minlength=8) for part in (found.train, found.test)]
    assert len(found.class_names) == 8
    assert min(map(min, counts)) > 0
    assert len(found.test) > 0.1 * len(found.train)
    assert not {e.texts for e in found.train.examples} & {e.texts for e in found.test.examples}
    assert (
        found.train.examples
        == load(name="docstrings", context=10, test_fraction=0.2, eval_on=eval_on).train.examples
    )


def test_paragraphs_of_docstrings():
    import ast

    text = "Short.\n\n    A longer paragraph that\n      says quite a lot of f.\n    "
    tree = ast.parse(f'def f():\n    """{text}"""')
    found = list(docstrings.paragraphs(tree))
    assert found == ["A longer paragraph that says quite a lot of f."]


# The task


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """(experiment, state at its start) on a table of colours, the widest text as long as it may."""
    path = written(tmp_path_factory.mktemp("texts") / "a.csv", TEXTS, LABELS)
    made = built(
        "bert:classify", "--config.data.name=labelled_texts", f"--config.data.path={path}",
        "--config.data.context=9", "--config.eval.batch_size=4", "--config.data.test_fraction=.2",
    )  # fmt: skip
    return made, made.init_state()


def test_figures_are_means_over_every_text(small):
    made, state = small
    test = made.run.data.test
    found = Evaluator(made)(state)
    whole = test.take(np.arange(len(test)))
    module_logits = made.task.answer.args[0](state, whole, KEY)
    log_p = np.log(numeric.softmax(np.asarray(module_logits, np.float64)))
    assert found["loss"] == pytest.approx(-log_p[np.arange(6), test.labels].mean(), rel=1e-5)
    assert found["accuracy"] == pytest.approx((log_p.argmax(1) == test.labels).mean())
    assert tiny.FLAGS["bert:classify"]


def test_answers_are_the_same_as_a_batch_gives_and_padding_is_not_seen(small, tmp_path):
    made, state = small
    (tmp_path / "texts.txt").write_text("red 1\n\ngreen 123456789\nblue\n", encoding="utf-8")
    found = made.task.answer(state, str(tmp_path / "texts.txt"), 3)
    assert len(found) == 4
    for said, text in zip(found, ("red 1", "", "green 1", "blue"), strict=True):
        tokens = np.array([[257, *text.encode(), 258]])
        batch = {"tokens": tokens, "mask": np.ones(tokens.shape, bool)}
        logits = made.task.answer.args[0](state, batch, KEY)
        share = np.asarray(jax.nn.softmax(logits[0])).max()
        assert said.record["classes"][0]["share"] == pytest.approx(share, rel=1e-5)
        assert {c["class"] for c in said.record["classes"]} == {"red", "green", "blue"}


def test_embeddings_are_the_means_of_features_of_length_1(small, tmp_path):
    made, state = small
    (tmp_path / "texts.jsonl").write_text('{"text": "red 1"}\n{"text": ""}\n{"text": "blue"}\n')
    found = made.task.embed(state, str(tmp_path / "texts.jsonl"), 2)
    assert found.shape == (3, 16)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-6)
    features = np.random.default_rng(0).normal(size=(2, 3, 4)).astype(np.float32)
    mask = np.array([[True, True, False], [True, True, True]])
    wanted = np.stack([features[0, :2].mean(0), features[1].mean(0)])
    wanted /= np.linalg.norm(wanted, axis=1, keepdims=True)
    own = np.stack([mask, [[False] * 3, [True, False, False]]], axis=1)
    found = text_encoder.embeddings(features, own)
    np.testing.assert_allclose(found[:, 0], wanted, atol=1e-6)
    first = features[1, 0] / np.linalg.norm(features[1, 0])
    np.testing.assert_allclose(found[:, 1], [np.zeros(4), first], atol=1e-6)
