"""Writes edits.json: word and character errors by jiwer.

pip install jiwer==4.0.0 && python tests/golden/make_edits.py
"""

import json
import random
from importlib.metadata import version
from pathlib import Path

import jiwer

WORDS = ("the", "The", "cat", "cat,", "sat", "on", "a", "mat", "Łódź", "東京", "3.5")


def texts(rng):
    """What was said, and what was written: changed a little, much, or not at all."""
    pairs = []
    for _ in range(200):
        said = [rng.choice(WORDS) for _ in range(rng.randint(1, 14))]
        written = list(said)
        for _ in range(rng.choice((0, 1, 3, 12))):
            place = rng.randint(0, len(written))
            written[place : place + rng.randint(0, 2)] = rng.choices(WORDS, k=rng.randint(0, 2))
        pairs.append((" ".join(said), "  ".join(written)))
    return pairs


def counts(found):
    """As they are called there."""
    return [found.hits, found.substitutions, found.deletions, found.insertions]


def main():
    """Of each pair, and the rates of all together."""
    pairs = texts(random.Random(0))
    said, written = map(list, zip(*pairs, strict=True))
    found = {
        "versions": {name: version(name) for name in ("jiwer", "rapidfuzz")},
        "pairs": pairs,
        "words": [counts(jiwer.process_words(a, b)) for a, b in pairs],
        "characters": [counts(jiwer.process_characters(a, b)) for a, b in pairs],
        "wer": jiwer.wer(said, written),
        "cer": jiwer.cer(said, written),
    }
    text = json.dumps(found, ensure_ascii=False, separators=(",", ":"))
    (Path(__file__).parent / "edits.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
