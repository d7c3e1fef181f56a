"""Fast style transfer's network by its paper and as PyTorch's example has it, with its names."""

import torch
from torch import nn
from torch.nn import functional as F


class Conv(nn.Module):
    """A convolution behind mirrored edges, of a picture that may be enlarged first."""

    def __init__(self, before, after, window, stride=1, enlarge=1):
        super().__init__()
        self.around, self.enlarge = window // 2, enlarge
        self.conv2d = nn.Conv2d(before, after, window, stride)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(batch, before, h, w) -> (batch, after, h', w')."""
        if self.enlarge > 1:
            x = F.interpolate(x, scale_factor=self.enlarge, mode="nearest")
        return self.conv2d(F.pad(x, (self.around,) * 4, mode="reflect"))


def norm(width):
    """Instance norm with parameters."""
    return nn.InstanceNorm2d(width, affine=True)


class Block(nn.Module):
    """Two convolutions and a way around."""

    def __init__(self, width):
        super().__init__()
        self.conv1, self.in1 = Conv(width, width, 3), norm(width)
        self.conv2, self.in2 = Conv(width, width, 3), norm(width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(batch, width, h, w) in and out."""
        return x + self.in2(self.conv2(F.relu(self.in1(self.conv1(x)))))


class Model(nn.Module):
    """The network, of pictures in 0 … 255."""

    def __init__(self, width=32, depth=5):
        super().__init__()
        self.depth = depth
        self.conv1, self.in1 = Conv(3, width, 9), norm(width)
        self.conv2, self.in2 = Conv(width, 2 * width, 3, stride=2), norm(2 * width)
        self.conv3, self.in3 = Conv(2 * width, 4 * width, 3, stride=2), norm(4 * width)
        for i in range(depth):
            self.add_module(f"res{i + 1}", Block(4 * width))
        self.deconv1, self.in4 = Conv(4 * width, 2 * width, 3, enlarge=2), norm(2 * width)
        self.deconv2, self.in5 = Conv(2 * width, width, 3, enlarge=2), norm(width)
        self.deconv3 = Conv(width, 3, 9)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(batch, 3, h, w) in and out."""
        for i in range(1, 4):
            x = F.relu(getattr(self, f"in{i}")(getattr(self, f"conv{i}")(x)))
        for i in range(self.depth):
            x = getattr(self, f"res{i + 1}")(x)
        x = F.relu(self.in4(self.deconv1(x)))
        x = F.relu(self.in5(self.deconv2(x)))
        return self.deconv3(x)
