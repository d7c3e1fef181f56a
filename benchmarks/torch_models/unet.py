"""U-Net by figure 1 of its paper: convolutions without padding, maps cropped where they pass."""

import torch
from torch import nn
from torch.nn import functional as F


class Unit(nn.Module):
    """A 3x3 convolution and its ReLU."""

    def __init__(self, before, features, padding):
        super().__init__()
        self.conv = nn.Conv2d(before, features, 3, padding=padding)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(batch, c, h, w) -> (batch, features, h', w')."""
        return F.relu(self.conv(x))


class Model(nn.Module):
    """The network; ``padded`` keeps all sizes, as most later ones do."""

    def __init__(self, shape, classes, width=64, depth=4, padded=False, dropout=0.5):
        super().__init__()
        self.depth, before, padding = depth, shape[-1], 1 if padded else 0
        self.dropout = nn.Dropout(dropout)

        def twice(name, before, features):
            self.add_module(f"{name}_0", Unit(before, features, padding))
            self.add_module(f"{name}_1", Unit(features, features, padding))

        for i in range(depth):
            twice(f"down_{i}", before, width << i)
            before = width << i
        twice("bottom", before, width << depth)
        for i in reversed(range(depth)):
            self.add_module(f"double_{i}", nn.ConvTranspose2d(width << i + 1, width << i, 2, 2))
            twice(f"up_{i}", width << i + 1, width << i)
        self.head = nn.Conv2d(width, classes, 1)

    def _twice(self, name, x):
        return getattr(self, f"{name}_1")(getattr(self, f"{name}_0")(x))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(batch, c, h, w) -> (batch, h', w', classes)."""
        passed = []
        for i in range(self.depth):
            x = self._twice(f"down_{i}", x)
            if i == self.depth - 1:
                x = self.dropout(x)
            passed.append(x)
            x = F.max_pool2d(x, 2)
        x = self.dropout(self._twice("bottom", x))
        for i in reversed(range(self.depth)):
            x = getattr(self, f"double_{i}")(x)
            skip = passed.pop()
            top, left = ((skip.shape[d] - x.shape[d]) // 2 for d in (2, 3))
            skip = skip[:, :, top : top + x.shape[2], left : left + x.shape[3]]
            x = self._twice(f"up_{i}", torch.cat([skip, x], dim=1))
        return self.head(x).permute(0, 2, 3, 1)
