"""EDSR by figures 2, 3 and 6 of its paper."""

import torch
from torch import nn
from torch.nn import functional as F

# Red, green and blue of DIV2K, in [0, 1].
MEAN = (0.4488, 0.4371, 0.4040)


def conv(before, after):
    """3x3, of the same size."""
    return nn.Conv2d(before, after, 3, padding=1)


class Block(nn.Module):
    """Two convolutions and a way around."""

    def __init__(self, width, residual_scale):
        super().__init__()
        self.conv_0, self.conv_1 = conv(width, width), conv(width, width)
        self.residual_scale = residual_scale

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(batch, width, h, w) in and out."""
        return x + self.residual_scale * self.conv_1(F.relu(self.conv_0(x)))


class Model(nn.Module):
    """The network, of pictures in [0, 1]."""

    def __init__(self, scale=2, depth=16, width=64, residual_scale=1.0):
        super().__init__()
        self.depth, self.steps = depth, {2: (2,), 3: (3,), 4: (2, 2)}[scale]
        self.register_buffer("mean", torch.tensor(MEAN).reshape(1, 3, 1, 1), persistent=False)
        self.first = conv(3, width)
        for i in range(depth):
            self.add_module(f"block_{i}", Block(width, residual_scale))
        self.joined = conv(width, width)
        for i, step in enumerate(self.steps):
            self.add_module(f"larger_{i}", conv(width, width * step**2))
        self.last = conv(width, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(batch, 3, h, w) -> (batch, 3, h * scale, w * scale)."""
        first = x = self.first(x - self.mean)
        for i in range(self.depth):
            x = getattr(self, f"block_{i}")(x)
        x = first + self.joined(x)
        for i, step in enumerate(self.steps):
            x = F.pixel_shuffle(getattr(self, f"larger_{i}")(x), step)
        return self.last(x) + self.mean
