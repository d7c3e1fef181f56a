"""GPT-2: a pre-norm decoder whose output layer is its embedding."""

import torch
from torch import nn
from torch.nn import functional as F

from benchmarks.torch_models.transformer import Block


class Model(nn.Module):
    """A transformer that sees only the past."""

    def __init__(self, shape, classes, width, depth, heads):
        super().__init__()
        self.embed = nn.Embedding(classes, width)
        nn.init.normal_(self.embed.weight, std=0.02)
        self.position = nn.Parameter(0.02 * torch.randn(1, shape[0], width))
        for i in range(depth):
            block = Block(width, heads, causal=True, approximate="tanh", eps=1e-5)
            self.add_module(f"block_{i}", block)
        self.depth = depth
        self.norm = nn.LayerNorm(width, eps=1e-5)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """(batch, T) -> (batch, T, classes)."""
        x = self.embed(tokens) + self.position
        for i in range(self.depth):
            x = getattr(self, f"block_{i}")(x)
        return F.linear(self.norm(x), self.embed.weight)
