"""ResNet with the basic block or the bottleneck, the stride at its 3x3 convolution."""

import torch
from torch import nn
from torch.nn import functional as F


class Unit(nn.Module):
    """A convolution and its batch norm."""

    def __init__(self, before, features, kernel, stride=1):
        super().__init__()
        self.conv = nn.Conv2d(before, features, kernel, stride, kernel // 2, bias=False)
        self.norm = nn.BatchNorm2d(features)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(batch, c, h, w) -> (batch, features, h / stride, w / stride)."""
        return self.norm(self.conv(x))


class Residual(nn.Module):
    """relu(shortcut(x) + branch(x))."""

    def __init__(self, before, features, stride, bottleneck):
        super().__init__()
        out = features * (4 if bottleneck else 1)
        units = (
            [(before, features, 1, 1), (features, features, 3, stride), (features, out, 1, 1)]
            if bottleneck
            else [(before, features, 3, stride), (features, features, 3, 1)]
        )
        for i, unit in enumerate(units):
            self.add_module(f"conv_{i}", Unit(*unit))
        self.depth = len(units)
        self.projects = stride != 1 or before != out
        if self.projects:
            self.shortcut = Unit(before, out, 1, stride)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(batch, c, h, w) -> (batch, features or 4 of them, h / stride, w / stride)."""
        y = x
        for i in range(self.depth):
            y = getattr(self, f"conv_{i}")(y)
            if i < self.depth - 1:
                y = F.relu(y)
        if self.projects:
            x = self.shortcut(x)
        return F.relu(x + y)


class Model(nn.Module):
    """Stages of residual blocks."""

    def __init__(self, shape, classes, stages, stem, width=64, bottleneck=False):
        super().__init__()
        kernel, stride = (7, 2) if stem == "published" else (3, 1)
        self.pools = stem == "published"
        self.stem = Unit(shape[-1], width, kernel, stride)
        self.names, before = [], width
        for i, count in enumerate(stages):
            for j in range(count):
                block = Residual(before, width << i, 2 if i and not j else 1, bottleneck)
                self.add_module(f"block_{i}_{j}", block)
                self.names.append(f"block_{i}_{j}")
                before = (width << i) * (4 if bottleneck else 1)
        self.head = nn.Linear(before, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(batch, c, h, w) -> (batch, classes)."""
        x = F.relu(self.stem(x))
        if self.pools:
            x = F.max_pool2d(x, 3, 2, 1)
        for name in self.names:
            x = getattr(self, name)(x)
        return self.head(x.mean((2, 3)))
