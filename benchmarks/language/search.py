"""How often the first sentence of a topic finds it: recall@1, ours beside TF-IDF.

    python -m benchmarks.language.search FOLDER    (of all-MiniLM-L6-v2's weights)

Of each topic of Python's documentation the first sentence asks, and what follows it, cut at the 256
tokens that MiniLM reads, is among the answers. TF-IDF (scikit-learn's defaults) reads all of it.
"""

import json
import sys

import numpy as np

from benchmarks.language import documentation


def recall(questions: np.ndarray, answers: np.ndarray) -> float:
    """The share of questions whose own answer has the largest product; both (n, width)."""
    return float(((questions @ answers.T).argmax(axis=1) == np.arange(len(questions))).mean())


def by_words(questions: list[str], answers: list[str]) -> float:
    """`recall` of TF-IDF."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    words = TfidfVectorizer().fit(answers)
    return recall(*(words.transform(texts).toarray() for texts in (questions, answers)))


def main() -> None:
    """Prints {"topics", "ours", "tfidf"}."""
    from jaxdl.inference import embeddings

    questions, answers = documentation.asked()
    encoder = embeddings.load(sys.argv[1])
    found = {"topics": len(questions), "ours": recall(encoder(questions), encoder(answers))}
    print(json.dumps(found | {"tfidf": by_words(questions, answers)}))


if __name__ == "__main__":
    main()
