"""Pix2Pix's and CycleGAN's networks in PyTorch, as their authors publish them.

Isola et al., 2017 (arXiv 1611.07004), and Zhu et al., 2017 (arXiv 1703.10593); the names of all
tensors are those of the authors' checkpoints (latest_net_G.pth, latest_net_D.pth,
latest_net_G_A.pth and their like).
"""

import torch
from torch import nn


def norm(kind, features):
    """Batch norm with its parameters, or instance norm without any."""
    return nn.BatchNorm2d(features) if kind == "batch" else nn.InstanceNorm2d(features)


class Level(nn.Module):
    """A halving, the levels within, and a doubling; all but the outermost have a way around."""

    def __init__(self, outer, inner, within, kind, *, outermost=None, dropout=0.0):
        super().__init__()
        has_bias = kind == "instance"
        how = dict(kernel_size=4, stride=2, padding=1)
        self.is_outermost = outermost is not None
        if self.is_outermost:
            down = [nn.Conv2d(outermost, inner, bias=has_bias, **how)]
            up = [nn.ReLU(), nn.ConvTranspose2d(2 * inner, outer, **how), nn.Tanh()]
        else:
            down = [nn.LeakyReLU(0.2), nn.Conv2d(outer, inner, bias=has_bias, **how)]
            down += [norm(kind, inner)] if within else []
            wide = 2 * inner if within else inner
            up = [nn.ReLU(), nn.ConvTranspose2d(wide, outer, bias=has_bias, **how)]
            up += [norm(kind, outer)] + ([nn.Dropout(dropout)] if dropout else [])
        self.model = nn.Sequential(*down, *([within] if within else []), *up)

    def forward(self, x):
        """(batch, c, h, w)."""
        made = self.model(x)
        return made if self.is_outermost else torch.cat([x, made], 1)


class UNet(nn.Module):
    """Pix2Pix's generator."""

    def __init__(self, channels=3, depth=8, width=64, dropout=0.0, kind="batch"):
        super().__init__()
        sizes = [width * min(2**i, 8) for i in range(depth)]
        level = None
        for i in range(depth - 1, 0, -1):
            rate = dropout if 4 <= i < depth - 1 else 0.0
            level = Level(sizes[i - 1], sizes[i], level, kind, dropout=rate)
        self.model = Level(channels, sizes[0], level, kind, outermost=channels)

    def forward(self, x):
        """(batch, c, h, w), in [-1, 1]."""
        return self.model(x)


class Block(nn.Module):
    """A residual block."""

    def __init__(self, width, kind, dropout=0.0):
        super().__init__()
        conv = lambda: nn.Conv2d(width, width, 3, bias=kind == "instance")
        half = lambda: [nn.ReflectionPad2d(1), conv(), norm(kind, width)]
        between = [nn.ReLU()] + ([nn.Dropout(dropout)] if dropout else [])
        self.conv_block = nn.Sequential(*half(), *between, *half())

    def forward(self, x):
        """(batch, c, h, w)."""
        return x + self.conv_block(x)


class ResNet(nn.Module):
    """CycleGAN's generator."""

    def __init__(self, channels=3, depth=9, width=64, halvings=2, dropout=0.0, kind="instance"):
        super().__init__()
        has_bias = kind == "instance"
        conv = nn.Conv2d(channels, width, 7, bias=has_bias)
        parts = [nn.ReflectionPad2d(3), conv, norm(kind, width), nn.ReLU()]
        for i in range(halvings):
            size = width * 2**i
            conv = nn.Conv2d(size, 2 * size, 3, stride=2, padding=1, bias=has_bias)
            parts += [conv, norm(kind, 2 * size), nn.ReLU()]
        parts += [Block(width * 2**halvings, kind, dropout) for _ in range(depth)]
        for i in range(halvings, 0, -1):
            size = width * 2**i
            how = dict(stride=2, padding=1, output_padding=1, bias=has_bias)
            parts += [nn.ConvTranspose2d(size, size // 2, 3, **how)]
            parts += [norm(kind, size // 2), nn.ReLU()]
        parts += [nn.ReflectionPad2d(3), nn.Conv2d(width, channels, 7), nn.Tanh()]
        self.model = nn.Sequential(*parts)

    def forward(self, x):
        """(batch, c, h, w), in [-1, 1]."""
        return self.model(x)


class PatchGAN(nn.Module):
    """The discriminator of both."""

    def __init__(self, channels=6, width=64, depth=3, kind="batch"):
        super().__init__()
        how = dict(kernel_size=4, padding=1)
        parts = [nn.Conv2d(channels, width, stride=2, **how), nn.LeakyReLU(0.2)]
        last = width
        for i in range(1, depth + 1):
            size = width * min(2**i, 8)
            stride = 2 if i < depth else 1
            parts += [nn.Conv2d(last, size, stride=stride, bias=kind == "instance", **how)]
            parts += [norm(kind, size), nn.LeakyReLU(0.2)]
            last = size
        self.model = nn.Sequential(*parts, nn.Conv2d(last, 1, **how))

    def forward(self, x):
        """(batch, c, h, w) -> (batch, 1, h', w') logits."""
        return self.model(x)
