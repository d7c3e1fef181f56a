"""The Fréchet distance of 2048 features: ours against pytorch-fid's calculation.

    python -m benchmarks.frechet [--features=2048] [--examples=5000] [--rounds=5]

Features are correlated and rectified as a network's, with variances that fall a thousandfold.
Seconds of processor time and by the clock from means and covariances to the distance, by turns;
medians. Theirs is pytorch-fid 0.3.0's formula, written down here: its own asks scipy for an
argument that scipy 1.18 has no more.
"""

import argparse
import time

import numpy as np
from scipy import linalg

from benchmarks import machine
from jaxdl.metrics.sample_quality import Moments, frechet_distance


def features(examples: int, size: int, seed: int) -> np.ndarray:
    """(examples, size) float64, rectified as a network's are."""
    rng = np.random.default_rng(seed)
    mixed = np.random.default_rng(7).standard_normal((size, size)) / np.sqrt(size)
    scales = np.geomspace(1, 1 / np.sqrt(1000), size)
    drawn = rng.standard_normal((examples, size)) @ mixed * (1 + 0.05 * seed)
    return scales * np.maximum(drawn + 0.3, 0)


def by_square_root(a: Moments, b: Moments) -> float:
    """As pytorch-fid 0.3.0 has it, with what it does where there is no root."""
    left, right, apart = a.covariance, b.covariance, a.mean - b.mean
    root = linalg.sqrtm(left @ right)
    if not np.isfinite(root).all():
        offset = np.eye(len(left)) * 1e-6
        root = linalg.sqrtm((left + offset) @ (right + offset))
    if np.iscomplexobj(root):
        root = root.real
    return float(apart @ apart + np.trace(left) + np.trace(right) - 2 * np.trace(root))


def main() -> None:
    """Prints what was measured."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--features", type=int, default=2048)
    parser.add_argument("--examples", type=int, default=5000)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    a, b = (Moments.of(features(options.examples, options.features, seed)) for seed in (0, 1))
    sides = {"ours": frechet_distance, "pytorch-fid": by_square_root}
    seconds, clock, made = ({name: [] for name in sides} for _ in range(3))
    for _ in range(options.rounds):
        for name, run in sides.items():
            began = time.process_time(), time.perf_counter()
            made[name] = run(a, b)
            seconds[name].append(time.process_time() - began[0])
            clock[name].append(time.perf_counter() - began[1])
    print(f"{machine.model()}; {options.features} features of {options.examples} examples")
    for what, times in (("processor", seconds), ("clock", clock)):
        for name, each in times.items():
            low, high = min(each), max(each)
            print(f"{what:10} {name:12} {np.median(each):8.3f} s  ({low:.3f} to {high:.3f})")
        ratios = np.divide(times["pytorch-fid"], times["ours"])
        print(f"{what:10} ratio {np.median(ratios):.1f} ({ratios.min():.1f} to {ratios.max():.1f})")
    print(f"distance {made['ours']:.9g} and {made['pytorch-fid']:.9g}")


if __name__ == "__main__":
    main()
