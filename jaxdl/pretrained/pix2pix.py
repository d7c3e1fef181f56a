"""Pix2Pix's generator as its authors' PyTorch code saves it (latest_net_G.pth).

Each level of the U-Net is a sequence within that of the level above, which counts what has no
parameters too.
"""

import re
from typing import Any

import jax
from flax import linen as nn

from jaxdl.models.pix2pix import Pix2Pix
from jaxdl.pretrained import register
from jaxdl.pretrained.architecture import Architecture, Naming
from jaxdl.pretrained.fit import Found
from jaxdl.pretrained.mapping import Rule, Table, batch_norm, conv

# Of each level: the outermost, those within, the innermost.
_OUTER, _BETWEEN, _INNER = dict(down=0, up=3), dict(down=1, up=5), dict(down=1, up=3)


def _level(i: int) -> str:
    return "model.model" + ".1.model" * (i > 0) + ".3.model" * (i - 1)


def _rules(module: Pix2Pix) -> tuple[Rule, ...]:
    rules = []
    for i in range(module.depth):
        level, is_last = _level(i), i == module.depth - 1
        place = _INNER if is_last else _BETWEEN if i else _OUTER
        rules += conv(f"{level}.{place['down']}", f"down_{i}")
        rules += conv(f"{level}.{place['up']}", f"up_{i}")
        if i:
            rules += batch_norm(f"{level}.{place['up'] + 1}", f"up_norm_{i}")
        if i and not is_last:
            rules += batch_norm(f"{level}.{place['down'] + 1}", f"down_norm_{i}")
    return tuple(rules)


def _table(module: Pix2Pix) -> Table:
    return Table(
        _rules(module),
        prefixes=("", "module."),
        ignored=IGNORED if module.normalization == "instance" else (),
    )


# Statistics of instance norms, which PyTorch before 0.4 kept, and used nowhere.
IGNORED = (r"model\..*\.running_(?:mean|var)",)


def _told(found: Found) -> dict[str, Any]:
    """Channels, sizes and the norm; of dropout nothing shows."""
    downs = r"(?:module\.)?model\.model\.(?:0|1\.model\.(?:3\.model\.)*1)\.weight"
    start = "module." if "module.model.model.0.weight" in found.names else ""
    if f"{start}model.model.3.weight" not in found.names:
        return {}
    return dict(
        channels=found.shape(f"{start}model.model.3.weight")[1],
        width=found.shape(f"{start}model.model.0.weight")[0],
        depth=sum(re.fullmatch(downs, name) is not None for name in found.names),
        normalization="instance" if f"{start}model.model.0.bias" in found.names else "batch",
    )


def _inputs(module: nn.Module, image_size: int | None) -> tuple:
    side = image_size or max(module.multiple, 2)
    return (jax.ShapeDtypeStruct((1, side, side, module.channels), "float32"),)


PIX2PIX = register("pix2pix")(
    Architecture(model="pix2pix", inputs=_inputs, namings={"torch": Naming(_table)}, told=_told)
)
