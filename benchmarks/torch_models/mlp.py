"""Multi-layer perceptron."""

import itertools
import math

import torch
from torch import nn
from torch.nn import functional as F


class Model(nn.Module):
    """Linear layers with ReLU between."""

    def __init__(self, shape, classes, hidden):
        super().__init__()
        widths = [math.prod(shape), *hidden]
        for i, (before, after) in enumerate(itertools.pairwise(widths)):
            self.add_module(f"dense_{i}", nn.Linear(before, after))
        self.depth = len(hidden)
        self.head = nn.Linear(widths[-1], classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(batch, c, h, w) -> (batch, classes)."""
        x = x.flatten(1)
        for i in range(self.depth):
            x = F.relu(getattr(self, f"dense_{i}")(x))
        return self.head(x)
