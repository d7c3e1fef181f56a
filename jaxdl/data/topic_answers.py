"""Answers cut out of Python's documentation, and which of two is the better by a rule.

A prompt is a few words of the texts behind help(), an answer what follows there, up to a word's
end. By the rule that stands here an answer is to end a sentence and to hold no digit: so what was
learned from preferences can be checked, on answers that nobody has seen.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from jaxdl.data import Data, register, tokens
from jaxdl.data.answered import Answered, Vocabulary, ended, vocabulary
from jaxdl.data.parts import held_out
from jaxdl.data.preferences import Completions, Preferences
from jaxdl.errors import UserError

# Bytes of prompts at most, and of answers at least and at most.
PROMPT, SHORTEST, LONGEST = 32, 8, 48

# Of answers to be learned as they stand, that end a sentence where one ends near enough.
_WHOLE = 0.25

# Tokens of prompts and of texts: their bytes, and the token that ends one.
_LENGTHS = (PROMPT, PROMPT + LONGEST + 1, PROMPT + LONGEST + 1)


class Place(NamedTuple):
    """Where a text is gone on from.

    Attributes:
      prompt: the words in front.
      behind: what follows, `LONGEST` bytes.
    """

    prompt: str
    behind: str


def reward(answer: str) -> int:
    """By the rule: 1 for the end of a sentence, and 1 for no digit."""
    return int(answer.rstrip().endswith((".", "!", "?"))) + int(not any(map(str.isdigit, answer)))


@register("topic_answers")
def topic_answers(
    examples: int = 10000, test_fraction: float = 0.1, eval_on: str = "test", data_seed: int = 0
) -> Data:
    """Prompts of Python's documentation, with the answer that follows each there.

    A quarter of the answers end with a sentence, where one ends within their 48 bytes; the others
    end with a word.

    Args:
      examples: to learn from, and a tenth as many to be measured on.
      test_fraction: the end of the text, whose prompts and answers are held out.
      eval_on: "test", or "validation" for as large a share of what is then left.
      data_seed: of the places.
    """

    def split(found: Iterator[Place], size: int, rng: np.random.Generator) -> Completions:
        rows = [(place.prompt, _cut(place.behind, rng)) for place in _first(found, size)]
        said = sum(len(answer) for _, answer in rows)
        return Completions(_answered(*zip(*rows, strict=True)), _LENGTHS, _known(), said)

    return _data(split, examples, test_fraction, eval_on, data_seed)


@register("topic_preferences")
def topic_preferences(
    pairs: int = 5000,
    noise: float = 0.1,
    test_fraction: float = 0.1,
    eval_on: str = "test",
    data_seed: int = 0,
) -> Data:
    """Of what follows a prompt in Python's documentation, two cuts that differ by the rule.

    The better by `reward` is preferred, but for a share of the pairs, in which it is the other way
    round.

    Args:
      pairs: to learn from, and a tenth as many to be measured on.
      noise: in [0, 1): the share that is swapped. So no one can agree with more than 1 - noise.
      test_fraction: the end of the text, whose prompts and answers are held out.
      eval_on: "test", or "validation" for as large a share of what is then left.
      data_seed: of the places and the swaps.
    """
    if not 0 <= noise < 1:
        raise UserError(f"data.noise={noise} must be at least 0 and below 1")

    def split(found: Iterator[Place], size: int, rng: np.random.Generator) -> Preferences:
        cuts = ((place.prompt, _two(place.behind, rng)) for place in found)
        rows = _first(((prompt, *two) for prompt, two in cuts if two), size)
        swapped = rng.permutation(size) < round(noise * size)
        prompts, *sides = zip(*rows, strict=True)
        better, worse = (np.array(side, object) for side in sides)
        chosen, rejected = np.where(swapped, (worse, better), (better, worse))
        sides = (_answered(prompts, side) for side in (chosen, rejected))
        return Preferences(*sides, _LENGTHS, _known())

    return _data(split, pairs, test_fraction, eval_on, data_seed)


def prompts(count: int, test_fraction: float = 0.1, data_seed: int = 0) -> list[str]:
    """Prompts of the held-out part alone."""
    held = _parts(test_fraction, "test")[1]
    found = _places(held, np.random.default_rng(data_seed))
    return [place.prompt for place in _first(found, count)]


def _data(split, size: int, test_fraction: float, eval_on: str, data_seed: int) -> Data:
    if size < 10:
        raise UserError(f"data: {size} examples must be at least 10")
    texts = _parts(test_fraction, eval_on)
    made = []
    for i, (text, count) in enumerate(zip(texts, (size, size // 10), strict=True)):
        rng = np.random.default_rng((data_seed, i))
        made.append(split(_places(text, rng), count, rng))
    return Data(*made, tokenizer=tokens.create())


def _parts(test_fraction: float, eval_on: str) -> tuple[str, str]:
    """The text to learn from, and the text that is held out."""
    from pydoc_data.topics import topics

    text = " ".join("\n".join(topics[name] for name in sorted(topics)).split())
    learned, held = _without_end(text, test_fraction)
    if eval_on == "validation":
        learned, held = _without_end(learned, test_fraction)
    if min(len(learned), len(held)) < 4 * (PROMPT + LONGEST):
        raise UserError(
            f"data.test_fraction={test_fraction} leaves texts of {len(learned)} and {len(held)} "
            f"letters: prompts are cut out of {4 * (PROMPT + LONGEST)} at least"
        )
    return learned, held


def _without_end(text: str, share: float) -> tuple[str, str]:
    place = len(text) - held_out(len(text), share)
    return text[:place], text[place:]


def _places(text: str, rng: np.random.Generator) -> Iterator[Place]:
    """Places between words of a text, drawn evenly, without end."""
    while True:
        at = text.find(" ", int(rng.integers(len(text) - 2 * (PROMPT + LONGEST)))) + 1
        middle = text.rfind(" ", at, at + PROMPT) + 1
        if at < middle:
            found = Place(text[at:middle], text[middle : middle + LONGEST])
            if "".join(found).isascii():
                yield found


def _first(found: Iterator, size: int) -> list:
    return [x for x, _ in zip(found, range(size), strict=False)]


def _ends(behind: str) -> list[int]:
    """Where words end, behind the shortest answer."""
    return [i for i in range(SHORTEST, len(behind)) if behind[i] == " "]


def _cut(behind: str, rng: np.random.Generator) -> str:
    """An answer to be learned as it stands."""
    ends = _ends(behind)
    whole = [end for end in ends if behind[end - 1] in ".!?"]
    if whole and rng.random() < _WHOLE:
        return behind[: whole[0]]
    return behind[: rng.choice(ends)] if ends else behind


def _two(behind: str, rng: np.random.Generator) -> tuple[str, str] | None:
    """An answer, and one that is worse; None where all are as good."""
    answers = [behind[:end] for end in _ends(behind)]
    rewards = np.array([reward(answer) for answer in answers])
    if not len(answers) or rewards.min() == rewards.max():
        return None
    better = rng.choice(np.flatnonzero(rewards > rewards.min()))
    worse = rng.choice(np.flatnonzero(rewards < rewards[better]))
    return answers[better], answers[worse]


def _known() -> Vocabulary:
    return vocabulary(tokens.create())


def _answered(said, answers) -> Answered:
    encode, end = tokens.create().encode, _known().end
    return Answered.of(
        [encode(prompt) for prompt in said],
        [ended(encode(answer), end) for answer in answers],
        _LENGTHS[1],
    )
