"""Writes ctc.npz: losses of connectionist temporal classification and their gradients, by PyTorch.

pip install torch==2.13.0 numpy && python tests/golden/make_ctc.py
"""

from pathlib import Path

import numpy as np
import torch

BATCH, FRAMES, TOKENS, LABELS = 12, 20, 6, 8


def main():
    """In float64; labels may repeat, be none, or need every frame that there is."""
    rng = np.random.default_rng(0)
    logits = 3 * rng.normal(size=(BATCH, FRAMES, TOKENS))
    lengths = rng.integers(0, LABELS + 1, BATCH)
    lengths[:2] = 0, LABELS
    labels = rng.integers(1, TOKENS, (BATCH, LABELS))
    labels[2] = 3  # all the same: a blank between each two
    pairs = np.arange(1, LABELS)[None] < lengths[:, None]
    needed = lengths + (pairs & (labels[:, 1:] == labels[:, :-1])).sum(1)
    frames = np.maximum(rng.integers(1, FRAMES + 1, BATCH), np.maximum(needed, 1))
    frames[3] = max(needed[3], 1)

    given = torch.tensor(logits, requires_grad=True)
    losses = torch.nn.functional.ctc_loss(
        given.log_softmax(-1).transpose(0, 1),
        torch.tensor(labels),
        torch.tensor(frames),
        torch.tensor(lengths),
        reduction="none",
    )
    assert losses.isfinite().all()
    losses.sum().backward()
    np.savez_compressed(
        Path(__file__).parent / "ctc.npz",
        logits=logits,
        labels=labels.astype(np.int32),
        frames=frames.astype(np.int32),
        lengths=lengths.astype(np.int32),
        losses=losses.detach().numpy(),
        gradients=given.grad.numpy(),
    )


if __name__ == "__main__":
    main()
