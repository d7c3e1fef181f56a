"""Vision Transformer with a class token and learned positions."""

import torch
from torch import nn

from benchmarks.torch_models.transformer import Block


class Model(nn.Module):
    """A pre-norm transformer encoder over patches."""

    def __init__(self, shape, classes, patch_size, width, depth, heads):
        super().__init__()
        height, width_px, channels = shape
        length = (height // patch_size) * (width_px // patch_size) + 1
        self.patch_embed = nn.Conv2d(channels, width, patch_size, patch_size)
        self.class_token = nn.Parameter(torch.zeros(1, 1, width))
        self.position = nn.Parameter(0.02 * torch.randn(1, length, width))
        for i in range(depth):
            self.add_module(f"block_{i}", Block(width, heads))
        self.depth = depth
        self.norm = nn.LayerNorm(width, eps=1e-6)
        self.head = nn.Linear(width, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(batch, c, h, w) -> (batch, classes)."""
        x = self.patch_embed(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.class_token.expand(len(x), -1, -1), x], 1) + self.position
        for i in range(self.depth):
            x = getattr(self, f"block_{i}")(x)
        return self.head(self.norm(x)[:, 0])
