#!/usr/bin/env bash
# torchmetrics 1.9.0: R2Score of numbers that are large beside what they vary by is off in the second
# digit, and nothing is said.
# Expected: R2 to 4 digits, as scikit-learn has it of the same float32 numbers.
# Seen: of 400,000 numbers around 1998, give or take 11, in batches of 1,024 .329 in place of .350; of
# air pressures of 101,325 Pa, give or take 800, .355 in place of .351. Sums of squares are kept in
# float32, and what is left of them less n times the square of the mean is mostly rounding. In
# float64 (set_dtype) it is right.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet torch==2.13.0 torchmetrics==1.9.0 scikit-learn==1.9.1 numpy==2.4.6
"$folder/env/bin/python" - <<'PY'
import numpy as np
import torch
from sklearn.metrics import r2_score
from torchmetrics.regression import R2Score

rng, off = np.random.default_rng(0), {}
for mean, deviation in ((0.0, 1.0), (1998.4, 10.9), (101_325.0, 800.0)):
    true = mean + deviation * rng.standard_normal(400_000)
    found = mean + 0.3 * (true - mean) + 0.4 * deviation * rng.standard_normal(400_000)
    true, found = true.astype(np.float32), found.astype(np.float32)
    metrics = {"float32": R2Score(), "double": R2Score().set_dtype(torch.float64)}
    for start in range(0, len(true), 1024):
        batch = slice(start, start + 1024)
        for kind, metric in metrics.items():
            x, y = (torch.tensor(part[batch]) for part in (found, true))
            metric.update(*((x.double(), y.double()) if kind == "double" else (x, y)))
    wanted = r2_score(true, found)
    off[mean] = {kind: float(metric.compute()) - wanted for kind, metric in metrics.items()}
    print(mean, "scikit-learn", round(wanted, 4), "off by", off[mean])
assert all(abs(each["double"]) < 1e-5 for each in off.values()), "this has changed"
assert abs(off[0.0]["float32"]) < 1e-4, "this has changed"
assert min(abs(off[mean]["float32"]) for mean in (1998.4, 101_325.0)) > 3e-3, "this has changed"
PY
