"""Word and character error rates, against jiwer."""

import json
from pathlib import Path

import pytest

from jaxdl.metrics import edits

GOLDEN = json.loads((Path(__file__).parent / "golden" / "edits.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("kind", ["words", "characters"])
def test_counts_are_jiwers(kind):
    count = getattr(edits, kind)
    found = [list(count([said], [written])) for said, written in GOLDEN["pairs"]]
    assert found == GOLDEN[kind]


@pytest.mark.parametrize("kind, rate", [("words", "wer"), ("characters", "cer")])
def test_rates_of_a_set_are_jiwers(kind, rate):
    found = getattr(edits, kind)(*zip(*GOLDEN["pairs"], strict=True))
    assert found.rate == pytest.approx(GOLDEN[rate], rel=1e-12)


def test_where_nothing_was_said_each_word_that_was_written_counts():
    assert edits.words([""], [""]).rate == 0
    assert edits.words([""], ["two words"]) == (0, 0, 0, 2)
    assert edits.words([""], ["two words"]).rate == 2
    assert edits.words(["two words"], [""]).rate == 1
    assert edits.words([], []) == (0, 0, 0, 0)


def test_any_sequences_can_be_compared():
    assert edits.edits([1, (2,), "c"], [(2,), "d"]) == (1, 1, 1, 0)


def test_as_many_texts_must_be_written_as_were_said():
    with pytest.raises(ValueError, match="shorter"):
        edits.words(["a", "b"], ["a"])
