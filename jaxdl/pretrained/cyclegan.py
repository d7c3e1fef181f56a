"""CycleGAN's generators as their authors' PyTorch code saves them (latest_net_G_A.pth, _B).

One sequence, which counts what has no parameters too. What the code saved before PyTorch 0.4 holds
statistics of its instance norms besides, which it used nowhere.
"""

import re
from typing import Any

import jax
from flax import linen as nn

from jaxdl.models.cyclegan import CycleGAN
from jaxdl.per_member import any_on
from jaxdl.pretrained import register
from jaxdl.pretrained.architecture import Architecture, Naming
from jaxdl.pretrained.fit import Found
from jaxdl.pretrained.mapping import Table, batch_norm, conv
from jaxdl.pretrained.pix2pix import IGNORED


def _table(module: CycleGAN) -> Table:
    # Mirroring, convolution, norm and ReLU; then three a halving, one a block, three a doubling.
    rules = [*conv("model.1", "first"), *batch_norm("model.2", "first_norm")]
    at = 4
    for i in range(module.halvings):
        rules += conv(f"model.{at}", f"halve_{i}")
        rules += batch_norm(f"model.{at + 1}", f"halve_norm_{i}")
        at += 3
    second = 6 if any_on(module.dropout) else 5
    for i in range(module.depth):
        theirs = f"model.{at}.conv_block"
        for k, (place, norm) in enumerate(((1, 2), (second, second + 1))):
            rules += conv(f"{theirs}.{place}", f"block_{i}/conv_{k}")
            rules += batch_norm(f"{theirs}.{norm}", f"block_{i}/norm_{k}")
        at += 1
    for i in range(module.halvings):
        rules += conv(f"model.{at}", f"double_{i}")
        rules += batch_norm(f"model.{at + 1}", f"double_norm_{i}")
        at += 3
    rules += conv(f"model.{at + 1}", "last")
    return Table(
        tuple(rules),
        prefixes=("", "module."),
        ignored=IGNORED if module.normalization == "instance" else (),
    )


def _told(found: Found) -> dict[str, Any]:
    """Channels, sizes, the norm, and whether there was dropout, of whatever rate: .5 there."""
    block = re.compile(r"((?:module\.)?)model\.(\d+)\.conv_block\.(\d+)\.weight")
    blocks = [match for match in map(block.fullmatch, found.names) if match]
    if not blocks:
        return {}
    start = blocks[0][1]
    places = {int(match[2]) for match in blocks}
    first = f"{start}model.1"
    last = max(
        int(match[1])
        for match in (re.fullmatch(re.escape(start) + r"model\.(\d+)\.weight", name)
                      for name in found.names)
        if match
    )  # fmt: skip
    return dict(
        channels=found.shape(f"{start}model.{last}.weight")[0],
        width=found.shape(f"{first}.weight")[0],
        depth=len(places),
        halvings=(min(places) - 4) // 3,
        normalization="instance" if f"{first}.bias" in found.names else "batch",
        dropout=0.5 if any(int(match[3]) == 6 for match in blocks) else 0.0,
    )


def _inputs(module: nn.Module, image_size: int | None) -> tuple:
    side = image_size or max(4, 2 * module.multiple)
    return (jax.ShapeDtypeStruct((1, side, side, module.channels), "float32"),)


CYCLEGAN = register("cyclegan")(
    Architecture(model="cyclegan", inputs=_inputs, namings={"torch": Naming(_table)}, told=_told)
)
