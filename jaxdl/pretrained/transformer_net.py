"""Fast style transfer's network as PyTorch's example publishes it (candy.pth, mosaic.pth …).

There pictures are in 0 … 255: for those in [0, 1] the first kernel is 255 times as large, and the
last kernel and bias, in which what comes out is linear, are theirs over 255. Files that were saved
before PyTorch 0.4 hold statistics of their instance norms besides, which the network uses nowhere.
"""

import re
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from jaxdl.models.transformer_net import TransformerNet
from jaxdl.pretrained import register
from jaxdl.pretrained.architecture import Architecture, Naming
from jaxdl.pretrained.fit import Found
from jaxdl.pretrained.mapping import Rule, Step, Table, conv, norm

# Of bytes.
_WHITE = 255.0


def _scaled(by: float) -> Step:
    """Theirs times ``by`` is ours."""
    return Step(lambda xs: [x / by for x in xs], lambda xs, shapes: [x * by for x in xs])


def _conv(theirs: str, ours: str, *how: Step) -> tuple[Rule, Rule]:
    weight, bias = conv(f"{theirs}.conv2d", ours)
    return weight._replace(steps=(*weight.steps, *how)), bias


def _table(module: TransformerNet) -> Table:
    """They count convolutions in front of the blocks, norms outside of them, and doublings."""
    h = module.halvings
    first, last = _scaled(_WHITE), _scaled(1 / _WHITE)
    rules = [*_conv("conv1", "first", first), *norm("in1", "first_norm")]
    for i in range(h):
        rules += _conv(f"conv{i + 2}", f"halve_{i}")
        rules += norm(f"in{i + 2}", f"halve_{i}_norm")
    for i in range(module.depth):
        for k in range(2):
            rules += _conv(f"res{i + 1}.conv{k + 1}", f"block_{i}_conv_{k}")
            rules += norm(f"res{i + 1}.in{k + 1}", f"block_{i}_conv_{k}_norm")
    for i in range(h):
        rules += _conv(f"deconv{i + 1}", f"double_{i}")
        rules += norm(f"in{h + 2 + i}", f"double_{i}_norm")
    kernel, bias = _conv(f"deconv{h + 1}", "last", last)
    rules += [kernel, bias._replace(steps=(last,))]
    ignored = (r"(?:res\d+\.)?in\d+\.running_(?:mean|var)",)
    return Table(tuple(rules), prefixes=("", "module."), ignored=ignored)


def _told(found: Found) -> dict[str, Any]:
    """Channels and sizes."""
    start = "module." if "module.conv1.conv2d.weight" in found.names else ""
    if f"{start}deconv1.conv2d.weight" not in found.names:
        return {}
    width, channels = found.shape(f"{start}conv1.conv2d.weight")[:2]
    named = lambda pattern: sum(
        re.fullmatch(re.escape(start) + pattern, name) is not None for name in found.names
    )
    return dict(
        channels=channels,
        width=width,
        depth=named(r"res\d+\.conv1\.conv2d\.weight"),
        halvings=named(r"conv\d+\.conv2d\.weight") - 1,
    )


def _inputs(module: nn.Module, image_size: int | None) -> tuple:
    side = image_size or max(8, 2 * module.multiple)
    return (jax.ShapeDtypeStruct((1, side, side, module.channels), jnp.float32),)


TRANSFORMER_NET = register("transformer_net")(
    Architecture(
        model="transformer_net",
        inputs=_inputs,
        namings={"torch": Naming(_table)},
        told=_told,
    )
)
