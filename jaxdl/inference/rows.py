"""The vectors of what a run was asked about, a row each, beside its predictions."""

import numpy as np
from etils import epath


def write(vectors: np.ndarray, folder: epath.Path) -> None:
    """Writes ``vectors`` (n, d) to embeddings.npy in ``folder``, and says so."""
    path = folder / "embeddings.npy"
    with path.open("wb") as stream:
        np.save(stream, vectors)
    print(f"embeddings {path}", flush=True)
