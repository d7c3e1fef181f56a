#!/usr/bin/env bash
# torchmetrics 1.9.0: BLEU with smooth=True is 0 where it is needed, of texts that have not one run of
# four words in common.
# Expected: smoothing keeps BLEU above 0 there (Lin and Och, 2004, add one to both counts of runs of
# two words and more), as SacreBLEUScore's model, sacrebleu, is by default.
# Seen: 0 with smoothing and without; sacrebleu 2.6.0 gives 44.8. With one common run of four words,
# smoothing moves it from .595 to .680.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet torch==2.13.0 torchmetrics==1.9.0 sacrebleu==2.6.0 numpy==2.4.6
"$folder/env/bin/python" - <<'PY'
import sacrebleu
from torchmetrics.text import BLEUScore, SacreBLEUScore

wanted = ["the cat sat down", "the dog ran away"]
found = {}
for kind, written in (
    ("none", ["the cat sat", "a dog ran home"]), ("one", ["the cat sat down", "a dog ran home"])
):  # fmt: skip
    for metric in (BLEUScore, SacreBLEUScore):
        for smooth in (False, True):
            score = float(metric(smooth=smooth)(written, [[text] for text in wanted]))
            found[kind, metric.__name__, smooth] = round(score, 3)
    found[kind, "sacrebleu"] = round(sacrebleu.corpus_bleu(written, [wanted]).score / 100, 3)
print(found)
assert all(found["none", m, s] == 0 for m in ("BLEUScore", "SacreBLEUScore") for s in (False, True))
assert found["none", "sacrebleu"] == 0.448, "this has changed"
assert 0 < found["one", "BLEUScore", False] < found["one", "BLEUScore", True], "this has changed"
PY
