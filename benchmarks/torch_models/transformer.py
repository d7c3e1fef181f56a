"""The pre-norm transformer block that ViT and GPT share."""

import torch
from torch import nn
from torch.nn import functional as F


class Attention(nn.Module):
    """Multi-head self-attention: one product for query, key and value, PyTorch's fused kernel."""

    def __init__(self, width, heads, causal):
        super().__init__()
        self.heads, self.causal = heads, causal
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(batch, T, width), same shape out."""
        B, T, D = x.shape
        q, k, v = self.qkv(x).view(B, T, 3, self.heads, D // self.heads).permute(2, 0, 3, 1, 4)
        y = F.scaled_dot_product_attention(q, k, v, is_causal=self.causal)
        return self.out(y.transpose(1, 2).reshape(B, T, D))


class FeedForward(nn.Module):
    """Two linear layers with GELU between."""

    def __init__(self, width, hidden, approximate):
        super().__init__()
        self.up, self.down = nn.Linear(width, hidden), nn.Linear(hidden, width)
        self.approximate = approximate

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(…, width), same shape out."""
        return self.down(F.gelu(self.up(x), approximate=self.approximate))


class Block(nn.Module):
    """x + attention(norm(x)), then x + feed_forward(norm(x))."""

    def __init__(self, width, heads, *, causal=False, approximate="none", eps=1e-6):
        super().__init__()
        self.norm_attention = nn.LayerNorm(width, eps=eps)
        self.attention = Attention(width, heads, causal)
        self.norm_feed_forward = nn.LayerNorm(width, eps=eps)
        self.feed_forward = FeedForward(width, 4 * width, approximate)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(batch, T, width), same shape out."""
        x = x + self.attention(self.norm_attention(x))
        return x + self.feed_forward(self.norm_feed_forward(x))
