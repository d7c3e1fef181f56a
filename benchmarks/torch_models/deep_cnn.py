"""DeepCNN: conv, BN, ReLU and pool twice, then two dense layers."""

import torch
from torch import nn
from torch.nn import functional as F


class Model(nn.Module):
    """The course's network."""

    def __init__(self, shape, classes, channels, hidden, dropout):
        super().__init__()
        height, width, before = shape
        self.depth = len(channels)
        for i, after in enumerate(channels):
            self.add_module(f"conv_{i}", nn.Conv2d(before, after, 3, padding=1))
            self.add_module(f"norm_{i}", nn.BatchNorm2d(after))
            before, height, width = after, height // 2, width // 2
        self.flat = (height, width, before)
        self.dense = nn.Linear(height * width * before, hidden)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(hidden, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(batch, c, h, w) -> (batch, classes)."""
        for i in range(self.depth):
            x = getattr(self, f"norm_{i}")(getattr(self, f"conv_{i}")(x))
            x = F.max_pool2d(F.relu(x), 2)
        x = F.relu(self.dense(x.flatten(1)))
        return self.head(self.dropout(x))

    def arrange(self, arrays: dict) -> dict:
        """Rows of the first dense layer: ours come as (h, w, c), these as (c, h, w)."""
        kernel = arrays["dense/kernel"].reshape(*self.flat, -1)
        return {**arrays, "dense/kernel": kernel.transpose(2, 0, 1, 3).reshape(-1, kernel.shape[3])}
