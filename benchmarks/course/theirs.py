"""DeepCNN in five epochs on 500 random images, in PyTorch.

python -m benchmarks.course.theirs [--compile]
"""

import sys

import torch
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

from benchmarks.torch_models.deep_cnn import Model

EPOCHS, EXAMPLES, BATCH = 5, 500, 32


def main() -> None:
    """Trains, and prints each epoch's mean loss."""
    torch.manual_seed(0)
    data = TensorDataset(torch.randn(EXAMPLES, 1, 28, 28), torch.randint(0, 10, (EXAMPLES,)))
    model = Model((28, 28, 1), 10, channels=(32, 64), hidden=128, dropout=0.3)
    forward = torch.compile(model) if "--compile" in sys.argv else model
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, fused=True)
    batches = DataLoader(data, BATCH, shuffle=True, drop_last=True)
    for epoch in range(EPOCHS):
        total = 0.0
        for x, y in batches:
            optimizer.zero_grad()
            loss = F.cross_entropy(forward(x), y)
            loss.backward()
            optimizer.step()
            total += loss.item()
        print(f"epoch {epoch + 1}  loss {total / len(batches):.4f}")


if __name__ == "__main__":
    main()
