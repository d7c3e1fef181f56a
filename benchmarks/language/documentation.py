"""Sentences of Python's documentation, for both sides to read."""

import json
import random
import re
from collections.abc import Iterator
from pathlib import Path
from pydoc_data.topics import topics


def sentences(text: str) -> Iterator[str]:
    """Those of a text in order; what stands between empty lines is a paragraph."""
    for paragraph in re.split(r"\n\s*\n", text):
        joined = " ".join(paragraph.split())
        yield from filter(None, re.split(r"(?<=[.!?])\s+(?=[A-Z])", joined))


def is_prose(sentence: str) -> bool:
    """Whether it is a whole one of four words or more, and no heading, code, grammar or table."""
    letters = sum(letter.isalpha() or letter in " ," for letter in sentence)
    whole = sentence[0].isupper() and sentence.endswith(".")
    return whole and len(sentence.split()) >= 4 and letters > 0.8 * len(sentence)


def some(count: int) -> list[str]:
    """``count`` different sentences, drawn by a fixed seed, in the order of the draw."""
    found = {s: None for name in sorted(topics) for s in sentences(topics[name]) if is_prose(s)}
    return random.Random(0).sample(list(found), count)


def shared(count: int, folder: str) -> list[str]:
    """The same, as the first who asks has them: other versions of Python document other things."""
    file = Path(folder) / "sentences.json"
    if not file.exists():
        file.write_text(json.dumps(some(count)))
    return json.loads(file.read_text())


def asked() -> tuple[list[str], list[str]]:
    """(first sentences, what follows them) of the topics that have both."""
    pairs = []
    for name in sorted(topics):
        found = list(sentences(topics[name]))
        first = next((i for i, s in enumerate(found) if is_prose(s)), None)
        if first is not None and (rest := " ".join(found[first + 1 :])):
            pairs.append((found[first], rest))
    questions, answers = zip(*pairs, strict=True)
    return list(questions), list(answers)
