#!/usr/bin/env bash
# torchmetrics 1.9.0: four of its figures of retrieval (MAP, MRR, precision, recall) take what has a
# score of 0 or less for irrelevant.
# Expected: only the order of scores counts, as in its R-precision and in scikit-learn: all is the same
# after 1 was taken from each score. Cosines, logits and distances with their sign turned are below 0.
# Seen: ranks 1, 3 and 4 of 4 relevant are a MAP of .806, with the last score at 0 of .833, and with all
# scores below 0 all four are 0, without a word. Besides, MAP at 2 of a query that finds one of three
# in its first two is 1.0, as of one that finds two: it divides by what was found.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet torch==2.13.0 torchmetrics==1.9.0 scikit-learn==1.9.1 numpy==2.4.6
"$folder/env/bin/python" - <<'PY'
import torch
from sklearn.metrics import average_precision_score
from torchmetrics import retrieval

relevant, query = torch.tensor([True, False, True, True]), torch.zeros(4, dtype=torch.long)
scores = torch.tensor([0.9, 0.8, 0.7, 0.6])
found = {}
for moved in (0.0, 0.6, 1.0):
    figure = lambda name: round(float(getattr(retrieval, name)()(scores - moved, relevant, query)), 3)
    names = ("MAP", "MRR", "Precision", "Recall", "RPrecision")
    found[moved] = {name: figure(f"Retrieval{name}") for name in names}
    found[moved]["scikit-learn"] = round(float(average_precision_score(relevant, scores - moved)), 3)
    print("scores less", moved, found[moved])
at_two = [
    float(retrieval.RetrievalMAP(top_k=2)(scores, torch.tensor(hits), query))
    for hits in ([True, False, True, True], [True, True, False, True])
]
print("MAP at 2", at_two)
assert all(list(each.values())[4:] == [0.667, 0.806] for each in found.values())
assert list(found[0.0].values())[:4] == [0.806, 1.0, 0.75, 1.0]
assert found[0.6]["MAP"] == 0.833, "this has changed"
assert list(found[1.0].values())[:4] == [0.0] * 4, "this has changed"
assert at_two == [1.0, 1.0], "this has changed"
PY
