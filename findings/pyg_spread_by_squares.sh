#!/usr/bin/env bash
# torch-geometric 2.8.1: StdAggregation and VarAggregation, and the "std" of PNAConv and SAGEConv, lose
# the spread of neighbours whose features are far from 0.
# Expected: 1000, 1000.1 and 1000.2 have a deviation of .0816 and a variance of .0067; float32 has 7
# digits.
# Seen: the deviation is 0, as if all were alike, and the variance -.0625: they are the mean of squares
# less the square of the mean. Of the same numbers less their mean both are right.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet torch==2.13.0 torch-geometric==2.8.1 numpy==2.4.6
"$folder/env/bin/python" - <<'PY'
import numpy as np
import torch
from torch_geometric.nn.aggr import StdAggregation, VarAggregation

x, all_of_one = torch.tensor([[1000.0], [1000.1], [1000.2]]), torch.zeros(3, dtype=torch.long)
found = {}
for name, moved in (("as they are", x), ("less the mean", x - x.mean())):
    spread = [float(make()(moved, all_of_one)) for make in (StdAggregation, VarAggregation)]
    found[name] = spread
    print(name, "deviation and variance", spread)
assert np.allclose(found["less the mean"], [0.08165, 0.00667], rtol=1e-2), "this has changed"
assert found["as they are"][0] == 0 and found["as they are"][1] < 0, "this has changed"
PY
