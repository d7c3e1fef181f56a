"""Writes style.npz: what losses of style transfer and its network give, for tests/test_style.py.

    pip install torch==2.13.0
    python tests/golden/make_style.py

In float64. The losses are written out here by the papers' formulas: of maps, and of a picture
through a small VGG in torchvision's form, that sees it as weights of torchvision's want to; with
their gradients and, of the picture, the product of their second derivatives with a direction. The
network is benchmarks/torch_models/transformer_net.py. Weights are drawn by their names (seeded.py).
"""

import sys
from pathlib import Path

import numpy as np
import torch
from torch import nn

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent.parent)]

import seeded  # noqa: E402

from benchmarks.torch_models import transformer_net  # noqa: E402

# Shapes of what is made, of what it shows, of the style.
MAPS = {"a": ((2, 3, 4, 3), (2, 3, 4, 3), (1, 5, 2, 3)), "b": ((2, 2, 1, 5),) * 2 + ((1, 3, 3, 5),)}
STAGES, CHANNELS = (2, 1), (3, 4)
CONTENT, STYLE = ("conv1_2", "relu2_1"), ("relu1_1", "relu1_2", "relu2_1")
WEIGHTS = (0.7, 30.0, 2.0)
PICTURE = (1, 8, 8, 3)


def drawn(name, shape):
    """A tensor (batch, c, h, w) of numbers (batch, h, w, c)."""
    return torch.from_numpy(seeded.normal(name, shape).transpose(0, 3, 1, 2).copy())


def back(x):
    """(batch, c, h, w) -> an array (batch, h, w, c)."""
    return x.detach().numpy().transpose(0, 2, 3, 1)


def gram(x):
    """Of maps (batch, c, h, w): entries are sums over places, over their number."""
    b, c, h, w = x.shape
    made = torch.zeros(b, c, c, dtype=x.dtype)
    for i in range(c):
        for j in range(c):
            made[:, i, j] = (x[:, i] * x[:, j]).sum((1, 2)) / (h * w)
    return made


def content_loss(found, wanted):
    """Johnson et al., equation 2, over layers: (batch,)."""
    each = [((found[k] - wanted[k]) ** 2).flatten(1).sum(1) / found[k][0].numel() for k in wanted]
    return torch.stack(each).mean(0)


def style_loss(found, style):
    """Johnson et al., equations 3 and 4, over layers: (batch,)."""
    each = []
    for k in style:
        c = found[k].shape[1]  # whose matrices are over the channels too
        each.append((((gram(found[k]) - gram(style[k])) / c) ** 2).flatten(1).sum(1))
    return torch.stack(each).mean(0)


def variation(x):
    """(batch,)."""
    down, across = x[:, :, 1:] - x[:, :, :-1], x[..., 1:] - x[..., :-1]
    return (down**2).flatten(1).mean(1) + (across**2).flatten(1).mean(1)


def of_maps():
    """Losses and gradients of maps alone."""
    found, content, style = (
        {k: drawn(f"{k}/{part}", shapes[i]) for k, shapes in MAPS.items()}
        for i, part in enumerate(("found", "content", "style"))
    )
    made = {}
    for name, loss, wanted in (
        ("content", content_loss, content),
        ("style", style_loss, style),
        ("variation", lambda found, _: variation(found["a"]), None),
    ):
        leaves = {k: x.clone().requires_grad_() for k, x in found.items()}
        value = loss(leaves, wanted)
        value.sum().backward()
        made[f"maps/{name}"] = value.detach().numpy()
        for k, x in leaves.items():
            if x.grad is not None:
                made[f"maps/{name}/{k}"] = back(x.grad)
    return made


class Vgg(nn.Module):
    """Convolutions, ReLUs and pools in torchvision's order, by the papers' names of layers."""

    def __init__(self):
        super().__init__()
        layers, self.names, before = [], [], 3
        for i, (count, channels) in enumerate(zip(STAGES, CHANNELS, strict=True)):
            for j in range(count):
                layers += [nn.Conv2d(before, channels, 3, padding=1), nn.ReLU()]
                self.names += [f"conv{i + 1}_{j + 1}", f"relu{i + 1}_{j + 1}"]
                before = channels
            layers.append(nn.MaxPool2d(2))
            self.names.append("")
        self.features = nn.Sequential(*layers)

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        """Pictures (batch, 3, h, w) in [0, 1] -> all maps."""
        mean, std = ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
        x = (x - torch.tensor(mean).double()[:, None, None]) / torch.tensor(std).double()[
            :, None, None
        ]
        found = {}
        for name, layer in zip(self.names, self.features, strict=True):
            x = layer(x)
            found[name] = x
        return found


def of_pictures():
    """The sum of all parts by a picture, its gradient and a product with second derivatives."""
    model = Vgg().double()
    with torch.no_grad():
        for path, x in model.named_parameters():
            x.copy_(torch.from_numpy(seeded.weight(path, tuple(x.shape)).astype(np.float64)))
    picture, shown, style, along = (
        drawn(name, PICTURE) * 0.2 + 0.5 for name in ("picture", "shown", "style", "along")
    )
    content = {k: x.detach() for k, x in model(shown).items() if k in CONTENT}
    looks = {k: x.detach() for k, x in model(style).items() if k in STYLE}

    def total(x):
        found = model(x)
        parts = (content_loss(found, content), style_loss(found, looks), variation(x))
        return sum(w * part.sum() for w, part in zip(WEIGHTS, parts, strict=True)), parts

    value, parts = total(picture)
    leaf = picture.clone().requires_grad_()
    (slope,) = torch.autograd.grad(total(leaf)[0], leaf, create_graph=True)
    (bent,) = torch.autograd.grad((slope * along).sum(), leaf)
    found = {"total": value.detach().numpy(), "parts": np.array([part.item() for part in parts])}
    return {f"vgg/{k}": x for k, x in {**found, "slope": back(slope), "bent": back(bent)}.items()}


def of_network():
    """What the network makes of bytes, and gradients of it by weights and picture."""
    model = transformer_net.Model(width=4, depth=2).double()
    tensors = dict(model.named_parameters())
    with torch.no_grad():
        for path, x in tensors.items():
            x.copy_(torch.from_numpy(seeded.weight(path, tuple(x.shape)).astype(np.float64)))
    x = (drawn("bytes", (2, 12, 8, 3)) * 40 + 128).requires_grad_()
    made = model(x)
    (made * drawn("g", (2, 12, 8, 3))).sum().backward()
    found = {f"net/gradient/{k}": seeded.summary(k, t.grad) for k, t in tensors.items()}
    return {"net/made": back(made), "net/image": back(x.grad), **found}


def main():
    """Writes the file."""
    about = f"torch {torch.__version__}"
    made = {**of_maps(), **of_pictures(), **of_network()}
    np.savez_compressed(HERE / "style.npz", made_with=about, **made)
    full = sum(x.numel() for x in transformer_net.Model().parameters())
    print(f"{full} parameters at the published size")


if __name__ == "__main__":
    main()
