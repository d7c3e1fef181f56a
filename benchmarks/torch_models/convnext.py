"""ConvNeXt, its norms and pointwise layers over the last axis as in the published code."""

import torch
from torch import nn
from torch.nn import functional as F


class Block(nn.Module):
    """Depthwise 7x7, norm, up, GELU, down, layer scale, and the shortcut."""

    def __init__(self, width):
        super().__init__()
        self.depthwise = nn.Conv2d(width, width, 7, padding=3, groups=width)
        self.norm = nn.LayerNorm(width, eps=1e-6)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
        self.scale = nn.Parameter(1e-6 * torch.ones(width))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(batch, c, h, w), same shape out."""
        y = self.norm(self.depthwise(x).permute(0, 2, 3, 1))
        y = self.scale * self.down(F.gelu(self.up(y)))
        return x + y.permute(0, 3, 1, 2)


class ChannelNorm(nn.LayerNorm):
    """Layer norm over the channels of (batch, c, h, w)."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Same shape out."""
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class Model(nn.Module):
    """Stages of blocks, between them a norm and a 2x2 convolution of stride 2."""

    def __init__(self, shape, classes, depths, widths, stem):
        super().__init__()
        self.names, before = [], shape[-1]
        self._add("stem", nn.Conv2d(before, widths[0], stem, stem))
        self._add("stem_norm", ChannelNorm(widths[0], eps=1e-6))
        for i, (depth, width) in enumerate(zip(depths, widths, strict=True)):
            if i:
                self._add(f"reduce_norm_{i}", ChannelNorm(widths[i - 1], eps=1e-6))
                self._add(f"reduce_{i}", nn.Conv2d(widths[i - 1], width, 2, 2))
            for j in range(depth):
                self._add(f"block_{i}_{j}", Block(width))
        self.norm = nn.LayerNorm(widths[-1], eps=1e-6)
        self.head = nn.Linear(widths[-1], classes)

    def _add(self, name, module):
        self.add_module(name, module)
        self.names.append(name)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(batch, c, h, w) -> (batch, classes)."""
        for name in self.names:
            x = getattr(self, name)(x)
        return self.head(self.norm(x.mean((2, 3))))
