"""Writes sample_quality.npz: figures of generated features by pytorch-fid and torch-fidelity.

    pip install torch==2.13.0 pillow tqdm scipy==1.15.3
    pip install --no-deps torchvision pytorch-fid==0.3.0 torch-fidelity==0.4.0
    python tests/golden/make_sample_quality.py

Features are drawn here and there by the same rule. scipy is one that still has the argument that
pytorch-fid gives it. torch-fidelity's kernel distance is of one subset of all examples, which no
draw changes, and its inception score of parts in order.
"""

import sys
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

import seeded  # noqa: E402
from make_classifiers import import_torchvision  # noqa: E402

# (examples, examples of the other, features).
SIZES = ((300, 200, 16), (80, 90, 12), (40, 40, 5))


def features(case: int, which: str, shape: tuple[int, int]) -> np.ndarray:
    """Of one side of a case, (n, d) float64: correlated, and rectified as a network's are."""
    x = seeded.normal(f"{case}/{which}", shape) @ seeded.normal(
        f"{case}/{which}/mix", shape[1:] * 2
    )
    return np.maximum(x / np.sqrt(shape[1]) + (0.3 if which == "a" else 0.5), 0)


def main():
    """Writes the file."""
    import_torchvision()
    from pytorch_fid.fid_score import calculate_frechet_distance
    from torch_fidelity.metric_isc import isc_features_to_metric
    from torch_fidelity.metric_kid import kid_features_to_metric
    from torch_fidelity.metric_prc import prc_features_to_metric

    found = {name: [] for name in ("frechet", "kernel", "score", "precision", "recall")}
    for i, (n, m, d) in enumerate(SIZES):
        a, b = features(i, "a", (n, d)), features(i, "b", (m, d))
        moments = [f(x) for x in (a, b) for f in (lambda x: x.mean(0), lambda x: np.cov(x.T))]
        found["frechet"].append(calculate_frechet_distance(*moments))
        a, b = torch.from_numpy(a), torch.from_numpy(b)
        same = min(n, m)
        kid = kid_features_to_metric(a[:same], b[:same], kid_subsets=1, kid_subset_size=same,
                                     verbose=False)  # fmt: skip
        found["kernel"].append(kid["kernel_inception_distance_mean"])
        score = isc_features_to_metric(4 * a, splits=5, shuffle=False)
        found["score"].append([score[f"inception_score_{x}"] for x in ("mean", "std")])
        prc = prc_features_to_metric(a, b, prc_neighborhood=3, prc_batch_size=64, verbose=False)
        found["precision"].append(prc["precision"])
        found["recall"].append(prc["recall"])
    np.savez_compressed(
        HERE / "sample_quality.npz",
        sizes=np.array(SIZES),
        versions=np.array(
            [f"{name} {version(name)}" for name in ("pytorch-fid", "torch-fidelity", "scipy")]
        ),
        **{name: np.array(x, np.float64) for name, x in found.items()},
    )


if __name__ == "__main__":
    main()
