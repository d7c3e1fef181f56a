"""Figures of entities and answers, against seqeval and SQuAD's own definition."""

import json
from pathlib import Path

import pytest

from jaxdl.data import tag_schemes
from jaxdl.metrics import entities, spans

GOLDEN = Path(__file__).parent / "golden"


def cases(name):
    return json.loads((GOLDEN / f"{name}.json").read_text(encoding="utf-8"))["cases"]


@pytest.mark.parametrize("case", cases("entities"), ids=lambda case: case["scheme"])
def test_entities_are_those_of_seqeval(case):
    for tags, wanted in zip(case["true"], case["entities"], strict=True):
        found = [[e.kind, e.start, e.stop - 1] for e in tag_schemes.entities(tags)]
        assert found == wanted
    total = entities.together(entities.counts(case["true"], case["found"]))
    assert [total.precision, total.recall, total.f1] == pytest.approx(case["scores"], abs=1e-12)
    assert 0.05 < total.f1 < 0.95


def test_figures_a_kind_add_up_to_those_of_all():
    true = [["B-PER", "I-PER", "O"], ["B-LOC", "O", "B-PER"]]
    found = [["B-PER", "O", "O"], ["B-LOC", "O", "B-PER"]]
    by_kind = entities.counts(true, found)
    assert by_kind == {"LOC": entities.Counts(1, 1, 1), "PER": entities.Counts(1, 2, 2)}
    assert entities.together(by_kind) == entities.Counts(2, 3, 3)
    nothing = entities.together(entities.counts([["O"]], [["O"]]))
    assert nothing == (0, 0, 0)
    assert nothing.precision == nothing.recall == nothing.f1 == 0
    with pytest.raises(ValueError, match="2 tags were found for 3 words"):
        entities.counts(true[:1], [["O", "O"]])


SCHEMES = {
    "IOB1": ["I-PER", "I-PER", "B-PER", "O", "I-LOC"],
    "IOB2": ["B-PER", "I-PER", "B-PER", "O", "B-LOC"],
    "IOBES": ["B-PER", "E-PER", "S-PER", "O", "S-LOC"],
    "BILOU": ["B-PER", "L-PER", "U-PER", "O", "U-LOC"],
    "bare": ["B", "I", "B", "O", "B"],
}


@pytest.mark.parametrize("scheme", SCHEMES)
def test_any_scheme_becomes_iob2(scheme):
    found = tag_schemes.entities(SCHEMES[scheme])
    bare = scheme == "bare"
    wanted = SCHEMES[scheme if bare else "IOB2"]
    assert tag_schemes.bio(found, 5) == wanted
    assert [entity[1:] for entity in found] == [(0, 2), (2, 3), (4, 5)]
    assert tag_schemes.all_tags(entity.kind for entity in found) == (
        ("O", "B", "I") if bare else ("O", "B-LOC", "I-LOC", "B-PER", "I-PER")
    )


@pytest.mark.parametrize("tag", ["", "PER", "X-PER", "B-", "o", "-PER", "BI-PER"])
def test_what_is_no_tag_is_refused(tag):
    with pytest.raises(ValueError, match=f"^{tag}$"):
        tag_schemes.parsed(tag)


def test_answers_are_measured_as_torchmetrics_does():
    for case in cases("answers"):
        assert spans.exact_match(case["found"], case["right"]) == case["exact_match"]
        assert spans.f1(case["found"], case["right"]) == pytest.approx(case["f1"], abs=1e-6)


# By the script of version 2.0, worked out by hand.
ANSWERS = [
    ("", [], 1.0, 1.0),
    ("anything", [], 0.0, 0.0),
    ("the", [], 1.0, 1.0),  # nothing is left of it
    ("", ["cat"], 0.0, 0.0),
    ("the cat", ["The  Cat!"], 1.0, 1.0),
    ("a black cat sat", ["black cat"], 0.0, 0.8),  # 2 of 3 words, 2 of 2
    ("cat cat", ["cat"], 0.0, 2 / 3),  # it counts once
    ("cat", ["dog", "big cat", "the"], 0.0, 2 / 3),  # the best of several
]


@pytest.mark.parametrize("found, right, exact_match, f1", ANSWERS)
def test_answers_are_measured_by_the_rules_of_squad(found, right, exact_match, f1):
    assert spans.exact_match(found, right) == exact_match
    assert spans.f1(found, right) == pytest.approx(f1)
