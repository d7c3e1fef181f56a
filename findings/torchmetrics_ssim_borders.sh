#!/usr/bin/env bash
# torchmetrics 1.9.0: SSIM counts the border of a picture, as far as the window reaches, with what it
# mirrors there.
# Expected: the mean over the places that the window of 11 lies in wholly (Wang et al., 2004; their
# program filters "valid"), as scikit-image has it with the paper's settings.
# Seen: .9448 in place of .9463 of noise on 32 pixels a side, and .9448 is the mean of the whole map.
# Of 256 a side .9449 and .9451: what tables of papers compare is not much more.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet torch==2.13.0 torchmetrics==1.9.0 scikit-image==0.26.0 numpy==2.4.6
"$folder/env/bin/python" - <<'PY'
import torch
from scipy.ndimage import gaussian_filter
from skimage.metrics import structural_similarity
from torchmetrics.image import StructuralSimilarityIndexMeasure


def whole(a, b):
    """The mean of all places; mirrored about the outermost pixels' middles."""
    weighed = lambda x: gaussian_filter(x, 1.5, radius=5, mode="mirror")
    x, y = weighed(a), weighed(b)
    apart, alike = weighed(a * a) + weighed(b * b) - x**2 - y**2, weighed(a * b) - x * y
    return ((2 * x * y + 1e-4) * (2 * alike + 9e-4) / (x**2 + y**2 + 1e-4) / (apart + 9e-4)).mean()


found = {}
for side in (32, 256):
    draw = lambda seed, make: make(1, 1, side, side, generator=torch.Generator().manual_seed(seed))
    picture = draw(0, torch.rand)
    other = (picture + 0.1 * draw(1, torch.randn)).clamp(0, 1)
    theirs = float(StructuralSimilarityIndexMeasure(data_range=1.0)(other, picture))
    a, b = (x[0, 0].double().numpy() for x in (picture, other))
    inside = structural_similarity(
        a, b, data_range=1, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
    )
    found[side] = theirs, inside, whole(a, b)
    print(side, "torchmetrics", theirs, "scikit-image", inside, "whole", found[side][2])
assert all(abs(theirs - all_of_it) < 1e-5 for theirs, _, all_of_it in found.values())
assert found[32][1] - found[32][0] > 1e-3, "this has changed"
PY
