"""PatchGAN as Pix2Pix's and CycleGAN's PyTorch code saves it (latest_net_D.pth, _D_A, _D_B).

One sequence, which counts what has no parameters too.
"""

import re
from typing import Any

import jax
from flax import linen as nn

from jaxdl.models.patchgan import PatchGAN
from jaxdl.pretrained import register
from jaxdl.pretrained.architecture import Architecture, Naming
from jaxdl.pretrained.fit import Found
from jaxdl.pretrained.mapping import Table, batch_norm, conv
from jaxdl.pretrained.pix2pix import IGNORED


def _table(module: PatchGAN) -> Table:
    # Convolution and LeakyReLU; then convolution, norm and LeakyReLU each; then the logits.
    rules = [*conv("model.0", "conv_0")]
    for i in range(1, module.depth + 1):
        rules += conv(f"model.{3 * i - 1}", f"conv_{i}")
        rules += batch_norm(f"model.{3 * i}", f"norm_{i}")
    rules += conv(f"model.{3 * module.depth + 2}", "logits")
    return Table(
        tuple(rules),
        prefixes=("", "module."),
        ignored=IGNORED if module.normalization == "instance" else (),
    )


def _told(found: Found) -> dict[str, Any]:
    """Channels, sizes and the norm."""
    start = "module." if "module.model.0.weight" in found.names else ""
    kernel = re.compile(re.escape(start) + r"model\.(\d+)\.weight")
    places = {
        int(match[1])
        for match in map(kernel.fullmatch, found.names)
        if match and len(found.shape(match[0])) == 4
    }
    if len(places) < 3:
        return {}
    width, channels = found.shape(f"{start}model.0.weight")[:2]
    return dict(
        channels=channels,
        width=width,
        depth=len(places) - 2,
        normalization="instance" if f"{start}model.2.bias" in found.names else "batch",
    )


def _inputs(module: nn.Module, image_size: int | None) -> tuple:
    side = image_size or 3 * 2**module.depth
    return (jax.ShapeDtypeStruct((1, side, side, module.channels), "float32"),)


PATCHGAN = register("patchgan")(
    Architecture(model="patchgan", inputs=_inputs, namings={"torch": Naming(_table)}, told=_told)
)
