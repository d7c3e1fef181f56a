"""StyleGAN2 (configuration F) in PyTorch, by its paper (arXiv 1912.04958), sections 2 to 4.

Parameters have our names, and PyTorch's layouts: `arrange` turns ours into them.
"""

import math

import torch
from torch import nn
from torch.nn import functional as F

TAPS = torch.tensor([1.0, 3.0, 3.0, 1.0]) / 8


def activated(x, gain=2**0.5):
    """LeakyReLU with its gain."""
    return F.leaky_relu(x, 0.2) * gain


def filtered(x, *, up=1, down=1, before=0, after=0):
    """Zeros between pixels, the filter in both directions, every n-th pixel."""
    batch, channels, height, width = x.shape
    if up > 1:
        x = x.reshape(batch, channels, height, 1, width, 1)
        x = F.pad(x, (0, up - 1, 0, 0, 0, up - 1))
        x = x.reshape(batch, channels, height * up, width * up)
    x = F.pad(x, (before, after, before, after))
    kernel = (torch.outer(TAPS, TAPS) * up**2).expand(channels, 1, 4, 4).to(x)
    return F.conv2d(x, kernel, stride=down, groups=channels)


class Dense(nn.Module):
    """A dense layer of an equalised rate."""

    def __init__(self, before, after, rate=1.0, start=0.0):
        super().__init__()
        self.kernel = nn.Parameter(torch.randn(after, before) / rate)
        self.bias = nn.Parameter(torch.full((after,), start / rate))
        self.gain, self.rate = rate / math.sqrt(before), rate

    def forward(self, x):
        """(batch, before) -> (batch, after)."""
        return F.linear(x, self.kernel * self.gain, self.bias * self.rate)


class Conv(nn.Module):
    """A convolution of an equalised rate, which may halve behind the filter."""

    def __init__(self, before, after, size=3, down=False, bias=True):
        super().__init__()
        self.kernel = nn.Parameter(torch.randn(after, before, size, size))
        self.bias = nn.Parameter(torch.zeros(after)) if bias else None
        self.gain, self.size, self.down = 1 / math.sqrt(before * size**2), size, down

    def forward(self, x):
        """(batch, before, h, w) -> (batch, after, h', w')."""
        kernel = self.kernel * self.gain
        if not self.down:
            return F.conv2d(x, kernel, self.bias, padding=self.size // 2)
        if self.size == 1:
            return F.conv2d(filtered(x, down=2, before=1, after=1), kernel, self.bias)
        return F.conv2d(filtered(x, before=2, after=2), kernel, self.bias, stride=2)


class Modulated(nn.Module):
    """A convolution that a style scales, and brings to a size unless it makes colours."""

    def __init__(self, before, after, width, size=3, up=False, demodulate=True):
        super().__init__()
        self.affine = Dense(width, before, start=1.0)
        self.kernel = nn.Parameter(torch.randn(after, before, size, size))
        self.gain, self.size = 1 / math.sqrt(before * size**2), size
        self.up, self.demodulate = up, demodulate

    def forward(self, x, style):
        """(batch, before, h, w) and (batch, width) -> (batch, after, h', w')."""
        style, kernel = self.affine(style), self.kernel * self.gain
        x = x * style[:, :, None, None]
        if self.up:
            x = F.conv_transpose2d(x, kernel.flip(2, 3).transpose(0, 1), stride=2)
            x = filtered(x, before=1, after=1) * 4
        else:
            x = F.conv2d(x, kernel, padding=self.size // 2)
        if not self.demodulate:
            return x
        sizes = style.square() @ kernel.square().sum((2, 3)).T
        return x * (sizes + 1e-8).rsqrt()[:, :, None, None]


class Layer(nn.Module):
    """A modulated convolution, noise, bias and LeakyReLU."""

    def __init__(self, before, after, width, up):
        super().__init__()
        self.conv = Modulated(before, after, width, up=up)
        self.noise = nn.Parameter(torch.zeros(()))
        self.bias = nn.Parameter(torch.zeros(after))

    def forward(self, x, style, noise):
        """(batch, before, h, w), (batch, width) and (batch, 1, h', w')."""
        x = self.conv(x, style) + self.noise * noise
        return activated(x + self.bias[:, None, None])


class Colours(nn.Module):
    """To colours."""

    def __init__(self, before, channels, width):
        super().__init__()
        self.conv = Modulated(before, channels, width, size=1, demodulate=False)
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x, style):
        """(batch, before, h, w) -> (batch, channels, h, w)."""
        return self.conv(x, style) + self.bias[:, None, None]


class Mapping(nn.Module):
    """Latent vectors to styles."""

    def __init__(self, latent, width, depth, rate=0.01):
        super().__init__()
        self.depth = depth
        for i in range(depth):
            self.add_module(f"layer_{i}", Dense(width if i else latent, width, rate))

    def forward(self, x):
        """(batch, latent) -> (batch, width)."""
        x = x * (x.square().mean(1, keepdim=True) + 1e-8).rsqrt()
        for i in range(self.depth):
            x = activated(getattr(self, f"layer_{i}")(x))
        return x


class Synthesis(nn.Module):
    """Styles to images."""

    def __init__(self, widths, channels, width):
        super().__init__()
        self.widths = widths
        self.constant = nn.Parameter(torch.randn(widths[0], 4, 4))
        for i, features in enumerate(widths):
            side = 4 * 2**i
            if i:
                self.add_module(f"up_{side}", Layer(widths[i - 1], features, width, True))
            self.add_module(f"conv_{side}", Layer(features, features, width, False))
            self.add_module(f"colours_{side}", Colours(features, channels, width))

    def forward(self, styles, noise):
        """(batch, layers, width) and (batch, pixels) -> (batch, channels, s, s)."""
        x = self.constant.expand(len(styles), *self.constant.shape)
        made, used, at = None, 0, 0
        for i in range(len(self.widths)):
            side = 4 * 2**i
            for kind in ("up", "conv") if i else ("conv",):
                own = noise[:, at : at + side**2].reshape(-1, 1, side, side)
                x = getattr(self, f"{kind}_{side}")(x, styles[:, used], own)
                used, at = used + 1, at + side**2
            own = getattr(self, f"colours_{side}")(x, styles[:, used])
            made = own if made is None else own + filtered(made, up=2, before=2, after=1)
        return made


class Halving(nn.Module):
    """A residual block that halves."""

    def __init__(self, before, after):
        super().__init__()
        self.skip = Conv(before, after, 1, down=True, bias=False)
        self.conv = Conv(before, before)
        self.down = Conv(before, after, down=True)

    def forward(self, x):
        """(batch, before, 2h, 2w) -> (batch, after, h, w)."""
        return activated(self.down(activated(self.conv(x))), 1.0) + self.skip(x) * math.sqrt(0.5)


class Discriminator(nn.Module):
    """Images to logits."""

    def __init__(self, widths, channels, group=4):
        super().__init__()
        self.widths, self.group = widths, group
        self.colours = Conv(channels, widths[-1], 1)
        for i in range(len(widths) - 1, 0, -1):
            self.add_module(f"halve_{4 * 2**i}", Halving(widths[i], widths[i - 1]))
        self.conv = Conv(widths[0] + 1, widths[0])
        self.layer = Dense(widths[0] * 16, widths[0])
        self.logit = Dense(widths[0], 1)

    def forward(self, x):
        """(batch, channels, s, s) -> (batch,)."""
        x = activated(self.colours(x))
        for i in range(len(self.widths) - 1, 0, -1):
            x = getattr(self, f"halve_{4 * 2**i}")(x)
        groups = x.reshape(-1, self.group, *x.shape[1:])
        centred = groups - groups.mean(1, keepdim=True)
        deviation = (centred.square().mean(1) + 1e-8).sqrt().mean((1, 2, 3))
        seen = deviation.repeat_interleave(self.group).reshape(-1, 1, 1, 1)
        x = torch.cat([x, seen.expand(-1, 1, *x.shape[2:])], 1)
        x = activated(self.conv(x))
        x = x.permute(0, 2, 3, 1).flatten(1)  # rows of pixels, as ours
        return self.logit(activated(self.layer(x)))[:, 0]


class Generator(nn.Module):
    """Mapping and synthesis."""

    def __init__(self, latent, widths, channels, width, depth):
        super().__init__()
        self.mapping = Mapping(latent, width, depth)
        self.synthesis = Synthesis(widths, channels, width)


class Model(nn.Module):
    """Both networks."""

    def __init__(self, latent, widths, channels, width, depth):
        super().__init__()
        self.generator = Generator(latent, widths, channels, width, depth)
        self.discriminator = Discriminator(widths, channels)

    @staticmethod
    def arrange(arrays):
        """Our arrays by name, in the layouts of these parameters."""
        axes = {4: (3, 2, 0, 1), 3: (2, 0, 1), 2: (1, 0), 1: (0,), 0: ()}
        return {name: x.transpose(axes[x.ndim]) for name, x in arrays.items()}
