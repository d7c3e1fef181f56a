"""EDSR as its authors' PyTorch code publishes it (edsr_baseline_x2-1bc95232.pt and its like).

Their network takes pictures in 0 … 255. Between the mean colours it is homogeneous of degree 1 in
pictures and biases together: with biases divided by 255 it computes the same of pictures in [0, 1].
The mean colours themselves, ``sub_mean`` and ``add_mean`` there, are constants, and not written.
"""

import re
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from jaxdl.models.edsr import EDSR, STEPS
from jaxdl.pretrained import register
from jaxdl.pretrained.architecture import Architecture, Naming
from jaxdl.pretrained.fit import Found
from jaxdl.pretrained.mapping import Rule, Step, Table, conv, rule

# Of bytes.
_WHITE = 255.0

_TIMES_WHITE = Step(
    lambda xs: [x * _WHITE for x in xs], lambda xs, shapes: [x / _WHITE for x in xs]
)

_FIRST, _LARGER = "head.0.weight", "tail.0.{}.weight"


def _conv(theirs: str, ours: str) -> tuple[Rule, Rule]:
    weight, _ = conv(theirs, ours)
    return weight, rule(f"{theirs}.bias", f"{ours}/bias", steps=[_TIMES_WHITE])


def _table(module: EDSR) -> Table:
    rules = (
        *_conv("head.0", "first"),
        *_conv("body.{i}.body.0", "block_{i}/conv_0"),
        *_conv("body.{i}.body.2", "block_{i}/conv_1"),
        *_conv(f"body.{module.depth}", "joined"),
        *(
            each
            for i in range(len(STEPS[module.scale]))
            for each in _conv(f"tail.0.{2 * i}", f"larger_{i}")
        ),
        *_conv("tail.1", "last"),
    )
    return Table(rules, prefixes=("", "model."), ignored=(r"(?:sub|add)_mean\.(?:weight|bias)",))


def _told(found: Found) -> dict[str, Any]:
    """Sizes, and the scale; what is added of a block does not show."""
    starts = [name.removesuffix(_FIRST) for name in found.names if name.endswith(_FIRST)]
    if not starts or f"{starts[0]}{_LARGER.format(0)}" not in found.names:
        return {}
    start = starts[0]
    width, channels = found.shape(start + _FIRST)[:2]
    block = re.compile(re.escape(start) + r"body\.\d+\.body\.0\.weight")
    pixels = found.shape(start + _LARGER.format(0))[0] // width
    step = round(pixels**0.5)
    return dict(
        width=width,
        channels=channels,
        depth=sum(block.fullmatch(name) is not None for name in found.names),
        scale=step**2 if start + _LARGER.format(2) in found.names else step,
    )


def _inputs(module: nn.Module, image_size: int | None) -> tuple:
    side = image_size or 48
    return (jax.ShapeDtypeStruct((1, side, side, module.channels), jnp.float32),)


EDSR_ = register("edsr")(
    Architecture(
        model="edsr",
        inputs=_inputs,
        namings={"torch": Naming(_table)},
        told=_told,
    )
)
