"""ESPCN by section 3.4 of its paper."""

import torch
from torch import nn
from torch.nn import functional as F


class Layer(nn.Module):
    """A convolution and tanh."""

    def __init__(self, before, after, kernel):
        super().__init__()
        self.conv = nn.Conv2d(before, after, kernel, padding=kernel // 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(batch, before, h, w) -> (batch, after, h, w)."""
        return torch.tanh(self.conv(x))


class Model(nn.Module):
    """The network, of luminance."""

    def __init__(self, scale=2):
        super().__init__()
        self.scale = scale
        self.block_0, self.block_1 = Layer(1, 64, 5), Layer(64, 32, 3)
        self.shuffled = nn.Conv2d(32, scale**2, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(batch, 1, h, w) -> (batch, 1, h * scale, w * scale)."""
        return F.pixel_shuffle(self.shuffled(self.block_1(self.block_0(x))), self.scale)
