#!/usr/bin/env bash
# rouge-score 0.1.2: a text in Russian, Hindi or Chinese has ROUGE 0 with itself, and one in German
# scores for pieces of words.
# Expected: a text has ROUGE 1 with itself; the tokenizer is said to cut at spaces.
# Seen: every letter but a to z is a space: of "привет мир" nothing is left, and "Größe" is "gr" and
# "e", of which "Gr" has half. A tokenizer that keeps letters (str.isalnum) gives 1 and 0.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet rouge-score==0.1.2 numpy==2.4.6
"$folder/env/bin/python" - <<'PY'
from rouge_score import rouge_scorer, tokenizers


class Letters(tokenizers.Tokenizer):
    def tokenize(self, text):
        return "".join(c if c.isalnum() else " " for c in text.lower()).split()


def rouge1(wanted, written, tokenizer=None):
    scorer = rouge_scorer.RougeScorer(["rouge1"], tokenizer=tokenizer)
    return round(scorer.score(wanted, written)["rouge1"].fmeasure, 3)


pairs = [("hello world", "hello world"), ("привет мир", "привет мир"), ("Größe", "Gr")]
found = [(rouge1(*pair), rouge1(*pair, Letters())) for pair in pairs]
print(dict(zip(pairs, found)))
assert found == [(1.0, 1.0), (0.0, 1.0), (0.667, 0.0)], "this has changed"
PY
