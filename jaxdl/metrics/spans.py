"""How well questions are answered by pieces of a text: exact match and F1, as SQuAD has them.

By the evaluation script of SQuAD 2.0 (Rajpurkar et al., 2018), which is that of 1.1 (2016) but for
questions without an answer: there only the empty answer is right.
"""

import collections
import re
import string
from collections.abc import Sequence

_PUNCTUATION = str.maketrans("", "", string.punctuation)
_ARTICLES = re.compile(r"\b(a|an|the)\b")


def normalised(answer: str) -> str:
    """Lower case, without ASCII punctuation and English articles, single spaces between words."""
    plain = answer.lower().translate(_PUNCTUATION)
    return " ".join(_ARTICLES.sub(" ", plain).split())


def exact_match(found: str, answers: Sequence[str]) -> float:
    """1 if an answer is one of the right ones, `normalised`; else 0. No right ones: it is ""."""
    return max(float(normalised(found) == answer) for answer in _right(answers))


def f1(found: str, answers: Sequence[str]) -> float:
    """F1 of the words that an answer shares with a right one, each as often as both have it.

    The best over the right ones. If one of the two has no words, 1 where both have none, else 0.
    """
    return max(_f1(normalised(found).split(), answer.split()) for answer in _right(answers))


def _right(answers: Sequence[str]) -> list[str]:
    return [plain for answer in answers if (plain := normalised(answer))] or [""]


def _f1(found: list[str], right: list[str]) -> float:
    if not found or not right:
        return float(found == right)
    shared = sum((collections.Counter(found) & collections.Counter(right)).values())
    return 2 * shared / (len(found) + len(right))
