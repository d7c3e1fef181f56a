"""CoAtNet's published weights (Dai et al., 2021), as timm has them."""

import itertools
import math
import re
from collections.abc import Mapping

import numpy as np

from jaxdl.data.preprocess import Preprocess
from jaxdl.models.coatnet import VARIANTS, CoAtNet
from jaxdl.pretrained import register
from jaxdl.pretrained.architecture import Architecture, Naming, Published, images
from jaxdl.pretrained.mapping import (
    QKV,
    Rule,
    Shape,
    Table,
    attention_out,
    batch_norm,
    concatenate,
    conv,
    dense,
    expand_dims,
    merge,
    norm,
    pointwise,
    rule,
    transpose,
)

_BLOCK, _OURS = "stages.{i}.blocks.{j}", "block_{i}_{j}"
_POINT = (expand_dims(2), expand_dims(3))  # a matrix that is a 1x1 convolution there


def _attention(theirs: str, ours: str) -> tuple[Rule, ...]:
    """Queries, keys and values lie by heads in one convolution: those of the first come first."""
    maps = [f"{ours}/{name}" for name in QKV]
    return (
        rule(
            f"{theirs}.qkv.weight",
            *(f"{name}/kernel" for name in maps),
            steps=[expand_dims(2), concatenate(2), merge(1, 3), transpose(1, 0), *_POINT],
        ),
        rule(
            f"{theirs}.qkv.bias",
            *(f"{name}/bias" for name in maps),
            steps=[expand_dims(1), concatenate(1), merge(0, 2)],
        ),
        *attention_out(f"{theirs}.proj", ours, layout=(transpose(1, 0), *_POINT)),
        rule(
            f"{theirs}.rel_pos.relative_position_bias_table",
            f"{ours}/positions/table",
            steps=[merge(0, 1)],
        ),
    )


_RULES = (
    *conv("stem.conv1", "stem_0/conv"),
    *batch_norm("stem.norm1", "stem_0/norm"),
    *conv("stem.conv2", "stem_1"),
    *batch_norm(f"{_BLOCK}.pre_norm", f"{_OURS}/norm"),
    *conv(f"{_BLOCK}.conv1_1x1", f"{_OURS}/expand/conv"),
    *batch_norm(f"{_BLOCK}.norm1", f"{_OURS}/expand/norm"),
    *conv(f"{_BLOCK}.conv2_kxk", f"{_OURS}/depthwise/conv"),
    *batch_norm(f"{_BLOCK}.norm2", f"{_OURS}/depthwise/norm"),
    *pointwise(f"{_BLOCK}.se.fc1", f"{_OURS}/squeeze_excite/reduce"),
    *pointwise(f"{_BLOCK}.se.fc2", f"{_OURS}/squeeze_excite/expand"),
    *pointwise(f"{_BLOCK}.conv3_1x1", f"{_OURS}/project"),
    *pointwise(f"{_BLOCK}.shortcut.expand", f"{_OURS}/shortcut"),
    *_attention(f"{_BLOCK}.attn", f"{_OURS}/attention"),
    *norm(f"{_BLOCK}.norm2", f"{_OURS}/norm_feed_forward"),
    *pointwise(f"{_BLOCK}.mlp.fc1", f"{_OURS}/feed_forward/up"),
    *pointwise(f"{_BLOCK}.mlp.fc2", f"{_OURS}/feed_forward/down"),
    *norm("head.norm", "norm"),
    *dense("head.pre_logits.fc", "hidden"),
    *dense("head.fc", "head"),
)


def _timm(module: CoAtNet) -> Table:
    """A transformer block that halves its map has the first norm in one module with the pooling."""
    places = [(i, j) for i, depth in enumerate(module.depths) for j in range(depth)]
    norms = [
        norm(
            _BLOCK.format(i=i, j=j) + (".norm1" if j else ".norm1.norm"),
            _OURS.format(i=i, j=j) + "/norm_attention",
        )
        for i, j in places
    ]
    return Table((*_RULES, *itertools.chain(*norms)))


def resize_table(table: np.ndarray, shape: Shape) -> np.ndarray:
    """A table of relative positions for maps of another size, as timm does it.

    Positions far from the middle count as farther apart than those near it, in geometric
    progression, so that the table's edge lands on the new edge; between them it is linear. So near
    places keep their numbers (Bao et al., 2021, BEiT, in their code).

    Args:
      table: (2h - 1, 2w - 1, heads).
      shape: of the result.
    """
    for axis in (0, 1):
        at = _spread(table.shape[axis] // 2, shape[axis] // 2)
        wanted = np.arange(shape[axis]) - shape[axis] // 2
        along = lambda values, at=at, wanted=wanted: np.interp(wanted, at, values)
        table = np.apply_along_axis(along, axis, table) if len(at) != len(wanted) else table
    return table.astype(np.float32)


def _spread(old: int, new: int) -> np.ndarray:
    """Where ``old`` places on either side of the middle go, so that the last is at ``new``."""
    low, high = 1.01, 1.5
    while high - low > 1e-6:
        ratio = (low + high) / 2
        low, high = (low, ratio) if (1 - ratio**old) / (1 - ratio) > new else (ratio, high)
    side = np.cumsum(ratio ** np.arange(old))
    return np.concatenate([-side[::-1], [0], side])


def _image_size(shapes: Mapping[str, Shape]) -> int | None:
    """From any table of relative positions: it has (2n - 1)² rows for n places a side."""
    for name, shape in shapes.items():
        found = re.fullmatch(r"(?:.*\.)?stages\.(\d+)\..*\.relative_position_bias_table", name)
        if found:
            return (math.isqrt(shape[0]) + 1) // 2 * 2 ** (int(found[1]) + 2)
    return None


_SEEN = Preprocess(resize=235, interpolation="bicubic", mean=(0.5,) * 3, std=(0.5,) * 3)

COATNET = register("coatnet")(
    Architecture(
        model="coatnet",
        inputs=images(),
        namings={
            "timm": Naming(
                _timm, {f"{name}_224": Published(name, preprocess=_SEEN) for name in VARIANTS}
            )
        },
        head=("head",),
        resize={f"{_OURS}/attention/positions/table": resize_table},
        image_size=_image_size,
    )
)
