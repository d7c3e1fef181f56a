"""Writes entities.json and answers.json: figures by seqeval and by torchmetrics.

pip install seqeval torchmetrics && python tests/golden/make_answers.py

torchmetrics' `squad` is SQuAD's script of version 1.1: answers that are left empty by
normalisation, of which version 2.0 thinks otherwise, are not among these.
"""

import json
import random
from importlib.metadata import version
from pathlib import Path

from seqeval.metrics import f1_score, precision_score, recall_score
from seqeval.metrics.sequence_labeling import get_entities
from torchmetrics.functional.text import squad

PREFIXES = {"IOB": "BI", "IOBES": "BIES"}
WORDS = (
    *("the", "The", "a", "an", "cat,", "CAT", "Mat.", "mat's", "(hat)", "on-top", "3.5", "3,5"),
    *("Löwe", "Łódź", "“q”", "x"),
)


def sentences(rng, prefixes):
    """Tags of any prefix behind any other, so that every rule of the scheme is met."""
    kinds = ["PER", "LOC", "A-B"]
    draw = lambda: f"{rng.choice(prefixes)}-{rng.choice(kinds)}" if rng.random() < 0.6 else "O"
    return [[draw() for _ in range(rng.randint(1, 9))] for _ in range(60)]


def entities():
    """Random tags with what seqeval finds in them."""
    rng, cases = random.Random(0), []
    for scheme, prefixes in PREFIXES.items():
        true = sentences(rng, prefixes)
        # Most tags are as they should be, so that something is right.
        found = []
        for tags, others in zip(true, sentences(rng, prefixes), strict=True):
            pairs = zip(tags, others, strict=False)
            some = [tag if rng.random() < 0.7 else other for tag, other in pairs]
            found.append(some + tags[len(some) :])
        scores = [float(score(true, found)) for score in (precision_score, recall_score, f1_score)]
        spans = [[list(e) for e in get_entities(tags)] for tags in true]
        cases.append({"scheme": scheme, "true": true, "found": found, "scores": scores,
                      "entities": spans})  # fmt: skip
    return cases


def answers():
    """Random answers with their figures, as shares."""
    rng, cases = random.Random(0), []
    words = lambda: " ".join(rng.choices(WORDS, k=rng.randint(1, 5))) + " w"
    for _ in range(60):
        right = [words() for _ in range(rng.randint(1, 3))]
        found = rng.choice([words(), rng.choice(right), rng.choice(right).upper() + " !"])
        told = squad(
            [{"prediction_text": found, "id": "0"}],
            [{"answers": {"text": right, "answer_start": [0] * len(right)}, "id": "0"}],
        )
        shares = {name: float(told[name]) / 100 for name in ("exact_match", "f1")}
        cases.append({"found": found, "right": right, **shares})
    return cases


def main():
    """Writes both beside this file."""
    for name, library, cases in (
        ("entities", "seqeval", entities()),
        ("answers", "torchmetrics", answers()),
    ):
        content = {library: version(library), "cases": cases}
        text = json.dumps(content, ensure_ascii=False) + "\n"
        Path(__file__).with_name(f"{name}.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
