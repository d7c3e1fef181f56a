"""Tables of positions as PyTorch resizes them, for tests/test_vit.py.

pip install torch==2.13.0
python tests/golden/make_positions.py
"""

from pathlib import Path

import numpy as np
import seeded
import torch

GRIDS = [((7, 7), (12, 12)), ((14, 14), (5, 5)), ((4, 6), (6, 3)), ((3, 3), (3, 3))]

if __name__ == "__main__":
    kept = {}
    for grid, new_grid in GRIDS:
        name = "{}x{}_{}x{}".format(*grid, *new_grid)
        table = torch.from_numpy(seeded.normal(name, (1, 5, *grid)).astype(np.float32))
        resized = torch.nn.functional.interpolate(
            table.double(), new_grid, mode="bicubic", antialias=True
        )
        kept[name] = resized.permute(0, 2, 3, 1).flatten(1, 2).numpy()
    np.savez_compressed(Path(__file__).parent / "positions.npz", **kept)
