"""How near written texts are to the wanted ones: BLEU and ROUGE, by well-kept libraries."""

import unicodedata
from collections.abc import Callable, Sequence

import numpy as np

from jaxdl.errors import UserError
from jaxdl.registry import choose

# The figures that each score gives.
_FIGURES = {"bleu": ("bleu",), "rouge": ("rouge1", "rouge2", "rougeL")}
NAMES = tuple(name for names in _FIGURES.values() for name in names)

# Scripts without spaces between words, from a code point to another: Thai and Lao, Burmese, Khmer,
# Japanese and Chinese.
_NO_SPACES = (
    (0x0E00, 0x0EFF), (0x1000, 0x109F), (0x1780, 0x17FF), (0x3040, 0x30FF), (0x3400, 0x4DBF),
    (0x4E00, 0x9FFF), (0xF900, 0xFAFF), (0x20000, 0x3FFFF),
)  # fmt: skip


def check(scores: Sequence[str], where: str = "config.task.scores") -> None:
    """Raises UserError for a score that there is not, or whose library is not installed."""
    for name in scores:
        choose(f"score in {where}", name, _FIGURES)
        try:
            _SCORES[name]([], [])
        except ImportError as error:
            raise UserError(
                f"{where}={tuple(scores)!r} needs {error.name}: pip install -e '.[text_scores]'"
            ) from None


def score(scores: Sequence[str], written: Sequence[str], wanted: Sequence[str]) -> dict[str, float]:
    """The figures of several scores of texts (n,) against the one wanted for each.

    ``bleu`` is sacrebleu's of the whole set (Papineni et al., 2002; Post, 2018: tokens by "13a",
    exponential smoothing), from 0 to 100; of a script without spaces a sentence is one word to it.
    ``rouge1``, ``rouge2`` and ``rougeL`` are rouge-score's F1 (Lin, 2004), without stemming, of
    `Words`, means over the texts, from 0 to 1.

    Args:
      scores: "bleu", "rouge".
      written: texts.
      wanted: as many.
    """
    found: dict[str, float] = {}
    for name in scores:
        found |= _SCORES[name](written, wanted)
    return found


def _bleu(written: Sequence[str], wanted: Sequence[str]) -> dict[str, float]:
    import sacrebleu

    if not written:
        return {}
    return {"bleu": float(sacrebleu.corpus_bleu(list(written), [list(wanted)]).score)}


class Words:
    """Cuts texts as rouge-score does, and keeps the letters that it leaves out: all but a to z.

    Without them ROUGE of a text in Russian with itself is 0: hence the multilingual ROUGE of Hasan
    et al., 2021, "XL-Sum".
    """

    def tokenize(self, text: str) -> list[str]:
        """Runs of letters and digits in lower case; single letters where no spaces part words."""
        found, before = [], ""
        for letter in unicodedata.normalize("NFC", text.lower()):
            kind = unicodedata.category(letter)[0]
            alone = any(first <= ord(letter) <= last for first, last in _NO_SPACES)
            now = "" if kind not in "LMN" else "alone" if alone else "word"
            # A mark, such as a vowel's in Hindi, belongs to the letter in front of it.
            if now and before and (kind == "M" or now == before == "word"):
                found[-1] += letter
            elif now:
                found.append(letter)
            before = now
        return found


def _rouge(written: Sequence[str], wanted: Sequence[str]) -> dict[str, float]:
    from rouge_score import rouge_scorer

    if not written:
        return {}
    names = _FIGURES["rouge"]
    scorer = rouge_scorer.RougeScorer(names, tokenizer=Words())
    each = [scorer.score(t, p) for t, p in zip(wanted, written, strict=True)]
    return {name: float(np.mean([found[name].fmeasure for found in each])) for name in names}


_SCORES: dict[str, Callable[[Sequence[str], Sequence[str]], dict[str, float]]] = {
    "bleu": _bleu,
    "rouge": _rouge,
}
