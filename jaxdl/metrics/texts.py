"""How near written texts are to the wanted ones: BLEU and ROUGE, by well-kept libraries."""

from collections.abc import Callable, Sequence

import numpy as np

from jaxdl.errors import UserError
from jaxdl.registry import choose

# The figures that each score gives.
_FIGURES = {"bleu": ("bleu",), "rouge": ("rouge1", "rouge2", "rougeL")}
NAMES = tuple(name for names in _FIGURES.values() for name in names)


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
    exponential smoothing), from 0 to 100. ``rouge1``, ``rouge2`` and ``rougeL`` are rouge-score's
    F1 (Lin, 2004), without stemming, means over the texts, from 0 to 1.

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


def _rouge(written: Sequence[str], wanted: Sequence[str]) -> dict[str, float]:
    from rouge_score import rouge_scorer

    if not written:
        return {}
    names = _FIGURES["rouge"]
    scorer = rouge_scorer.RougeScorer(names)
    each = [scorer.score(t, p) for t, p in zip(wanted, written, strict=True)]
    return {name: float(np.mean([found[name].fmeasure for found in each])) for name in names}


_SCORES: dict[str, Callable[[Sequence[str], Sequence[str]], dict[str, float]]] = {
    "bleu": _bleu,
    "rouge": _rouge,
}
