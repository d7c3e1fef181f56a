"""What `experiments/bert.py` is compared with: counting, words and rules, on the same splits.

    python -m benchmarks.language.baselines [masked classify embed tag answer]
        [--eval-on=validation]

Needs scikit-learn alone, beside jaxdl. A line of JSON for each: its examples, and figures from 0 to
1. The data are those that the experiment's variant has, which differ from one version of Python to
the next.

masked: of 3,000 bytes of the held-out text, drawn, the share that is the likeliest one there, by a
4-gram (`benchmarks.language.ngram`) of the nine bytes around it: the product of what it says of the
byte and of the four behind it. All other bytes are shown to it, where a masked model sees all but
15 %: it is no rival on even terms.
classify: accuracy. TF-IDF of words with logistic regression, both as scikit-learn has them; TF-IDF
of two to five letters, C = 10; TF-IDF of words with complement naive Bayes.
embed: recall@1 and map@R, each text of the test part asked among the others of it, by the cosines
of TF-IDF as `classify` has it, fitted on the training part; of words, and of two to five letters.
tag: F1 of entities. Of each word the tag that it mostly has, or none; and of each word between its
neighbours, two before it and one behind it, or fewer where these were not seen.
answer: exact match. To each question its commonest answer; and the piece of the function's head
that it mostly points at, where Python's punctuation cuts the head into pieces. A rule that parses
the head as Python does, and knows that calls fill in self, has them all: so they were made.
"""

import argparse
import collections
import json
import re
from collections.abc import Callable, Hashable, Iterator, Sequence
from typing import Any

import numpy as np

from benchmarks.language import ngram
from experiments import bert
from jaxdl import data, experiment
from jaxdl.data.tag_schemes import OUTSIDE
from jaxdl.metrics import entities, retrieval, spans

_LETTERS = dict(analyzer="char_wb", ngram_range=(2, 5), sublinear_tf=True)

# Hidden bytes that are guessed, and the text around each.
_GUESSED, _ORDER = 3000, 4


def main(argv: Sequence[str] | None = None) -> None:
    """Runs the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", choices=(*_OF, []), help="all if none is named")
    parser.add_argument("--eval-on", default="test", choices=("test", "validation"))
    options = parser.parse_args(argv)
    for name in options.names or _OF:
        found = loaded(name, options.eval_on)
        print(
            json.dumps({"name": name, "examples": len(found.test), **_OF[name](found)}), flush=True
        )


def loaded(variant: str, eval_on: str) -> data.Data:
    """The data of a variant of experiments/bert.py; the texts are those of any tokenizer.

    Those of "embed", which is a variant of experiments/embedding.py, are the same as of "classify".
    """
    config = experiment.complete(bert.get_config("classify" if variant == "embed" else variant))
    return data.load({**config.data.to_dict(), "tokenizer": "", "eval_on": eval_on})


# Hidden bytes


def masked(found: data.Data, guessed: int = _GUESSED) -> dict[str, float]:
    """``ngram_all_shown``: the share of drawn bytes that are the likeliest in their place."""
    train, test = found.train.tokens, found.test.tokens
    draw = np.random.default_rng(0).permutation(np.arange(_ORDER, len(test) - _ORDER))[:guessed]
    said = np.concatenate([likeliest(train, test, part) for part in np.array_split(draw, 40)])
    return {"ngram_all_shown": float((said == test[draw]).mean())}


def likeliest(train: np.ndarray, text: np.ndarray, places: np.ndarray) -> np.ndarray:
    """The likeliest byte of those in ``train`` at each of ``places`` (n,), given those around it.

    What a 4-gram says of the byte and of the four behind it is all of its probability that differs
    from one byte to another.
    """
    candidates = np.unique(train)
    around = text[places[:, None] + np.arange(-_ORDER, _ORDER + 1)]
    texts = np.repeat(around[:, None], len(candidates), axis=1)
    texts[:, :, _ORDER] = candidates
    nats = ngram.nats(train, texts.reshape(-1), _ORDER).reshape(texts.shape)
    return candidates[nats[:, :, _ORDER:].sum(axis=-1).argmin(axis=1)]


# Parts of the library


def classify(found: data.Data) -> dict[str, float]:
    """The accuracy of three of scikit-learn's classifiers."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.naive_bayes import ComplementNB
    from sklearn.pipeline import make_pipeline

    rivals = {
        "words": (TfidfVectorizer(), LogisticRegression(max_iter=1000)),
        "letters": (TfidfVectorizer(**_LETTERS), LogisticRegression(C=10, max_iter=1000)),
        "naive_bayes": (TfidfVectorizer(sublinear_tf=True), ComplementNB()),
    }
    train, test = _texts(found.train), _texts(found.test)
    return {name: make_pipeline(*parts).fit(*train).score(*test) for name, parts in rivals.items()}


def _texts(part: Any) -> tuple[list[str], list[str]]:
    return [e.texts[0] for e in part.examples], [e.label for e in part.examples]


def embed(found: data.Data) -> dict[str, float]:
    """How well two of scikit-learn's vectors find the texts of their class, by cosines."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    made = {}
    for name, rival in (("words", TfidfVectorizer()), ("letters", TfidfVectorizer(**_LETTERS))):
        rival.fit(_texts(found.train)[0])
        vectors = rival.transform(_texts(found.test)[0]).toarray().astype(np.float32)
        figures = retrieval.figures(vectors, found.test.labels)
        made |= {f"{name}_{figure}": value for figure, value in figures.items()}
    return made


# Tags


def tag(found: data.Data) -> dict[str, float]:
    """``word`` and ``neighbours``: the F1 of entities by the commonest tag."""
    true = [sentence.tags for sentence in found.test.sentences]
    figures = {}
    for name, contexts in (("word", _words), ("neighbours", _neighbours)):
        tables = [collections.defaultdict(collections.Counter) for _ in next(contexts(("",)))]
        for sentence in found.train.sentences:
            for seen, right in zip(contexts(sentence.words), sentence.tags, strict=True):
                for table, key in zip(tables, seen, strict=True):
                    table[key][right] += 1
        said = [
            [_commonest(tables, seen, OUTSIDE) for seen in contexts(sentence.words)]
            for sentence in found.test.sentences
        ]
        figures[name] = entities.together(entities.counts(true, said)).f1
    return figures


def _words(words: Sequence[str]) -> Iterator[tuple[Hashable, ...]]:
    yield from ((word,) for word in words)


def _neighbours(words: Sequence[str]) -> Iterator[tuple[Hashable, ...]]:
    """Of each word what is looked for, one after the other."""
    padded = ("", "", *words, "")
    for second, first, word, behind in zip(
        padded, padded[1:], padded[2:], padded[3:], strict=False
    ):
        yield (
            (second, first, word, behind),
            (first, word, behind),
            (second, first, behind, None),
            (first, behind, None),
            (first, word),
            (word,),
        )


def _commonest(tables: Sequence[dict], keys: Sequence[Hashable], otherwise: Any) -> Any:
    for table, key in zip(tables, keys, strict=True):
        if key in table:
            return table[key].most_common(1)[0][0]
    return otherwise


# Answers


def answer(found: data.Data) -> dict[str, float]:
    """``commonest`` and ``pieces``: the exact match of two rules that are learned by counting."""
    said = collections.defaultdict(collections.Counter)
    hits = collections.defaultdict(collections.Counter)
    for asked in found.train.questions:
        right = [a.text for a in asked.answers] or [""]
        said[asked.question][right[0]] += 1
        for name, piece in pieces(asked.context).items():
            hits[asked.question][name] += piece in right
    common = {question: counts.most_common(1)[0][0] for question, counts in said.items()}
    points = {question: counts.most_common(1)[0][0] for question, counts in hits.items()}
    return {
        "commonest": _exact(found, lambda q: common.get(q.question, "")),
        "pieces": _exact(found, lambda q: pieces(q.context).get(points.get(q.question), "")),
    }


def pieces(text: str) -> dict[tuple[str, int], str]:
    """What stands in a text by where it does: {(behind which mark, the how many-eth): piece}.

    Its punctuation cuts a function's head into pieces; what is behind the head is one. Pieces are
    counted from the front, from 0 on, and from the end, from -1 on: all of them (mark ""), and
    those behind each mark.
    """
    head, _, purpose = text.partition("): ")
    by_mark: dict[str, list[str]] = {"purpose": [purpose]}
    for mark, piece in re.findall(r"(^|[(,=:*]+ ?)([^(),=:*]+)", head):
        for name in {"", mark.strip()}:
            by_mark.setdefault(name, []).append(piece.strip())
    found = {}
    for mark, own in by_mark.items():
        found |= {(mark, i): piece for i, piece in enumerate(own)}
        found |= {(mark, i - len(own)): piece for i, piece in enumerate(own)}
    return found


def _exact(found: data.Data, rule: Callable[[Any], str]) -> float:
    hits = [
        spans.exact_match(rule(asked), [a.text for a in asked.answers])
        for asked in found.test.questions
    ]
    return float(np.mean(hits))


_OF: dict[str, Callable[[data.Data], dict[str, float]]] = {
    "masked": masked,
    "classify": classify,
    "embed": embed,
    "tag": tag,
    "answer": answer,
}


if __name__ == "__main__":
    main()
