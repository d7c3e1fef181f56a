"""MobileViT, as timm and transformers have it; an image of 96 pixels has a map of odd sides."""

from make_classifiers import Case
from timm.models.byobnet import ByobNet, ByoModelCfg
from timm.models.mobilevit import _inverted_residual_block, _mobilevit_block
from transformers import MobileViTConfig, MobileViTForImageClassification

STEM, WIDTHS, TOKENS, LAST = 8, (8, 16, 16, 24, 24), (16, 24, 32), 32
DEPTHS = (1, 2, 1, 2, 1)
TRANSFORMERS_DEPTHS = (1, 3, 2, 4, 3)  # built in
OURS = dict(
    num_classes=10,
    stem_width=STEM,
    widths=WIDTHS,
    tokens=TOKENS,
    last_width=LAST,
    expand_ratio=2.0,
    dropout=0.0,
    head_dropout=0.0,
)


def timm():
    residual = [
        _inverted_residual_block(d=depth, c=width, s=stride, br=2.0)
        for depth, width, stride in zip(DEPTHS[:2], WIDTHS[:2], (1, 2), strict=True)
    ]
    across = [
        _mobilevit_block(
            d=1, c=c, s=2, transformer_dim=dim, transformer_depth=depth, patch_size=2, br=2.0
        )
        for c, dim, depth in zip(WIDTHS[2:], TOKENS, DEPTHS[2:], strict=True)
    ]
    how = dict(stem_type="3x3", stem_pool="", downsample="", act_layer="silu")
    config = ByoModelCfg(blocks=(*residual, *across), stem_chs=STEM, num_features=LAST, **how)
    return ByobNet(config, num_classes=10)


def transformers():
    config = MobileViTConfig(
        hidden_sizes=list(TOKENS),
        neck_hidden_sizes=[STEM, *WIDTHS, LAST],
        expand_ratio=2.0,
        hidden_dropout_prob=0.0,
        classifier_dropout_prob=0.0,
        num_labels=10,
    )
    return MobileViTForImageClassification(config)


def blocks(
    depths: tuple[int, ...], residual: str, first: str, across: str, inner: str = ""
) -> dict[str, str]:
    """Ours: theirs, of the names of each kind of block."""
    named = {}
    for i, depth in enumerate(depths):
        if i < 2:
            named |= {f"block_{i}_{j}": residual.format(i=i, j=j) for j in range(depth)}
            continue
        named[f"block_{i}_0"], named[f"block_{i}_1"] = first.format(i=i), across.format(i=i)
        for k in range(depth if inner else 0):
            named[f"block_{i}_1/block_{k}"] = inner.format(i=i, k=k)
    return named


def case(
    make, size: int, naming: str, depths: tuple[int, ...], pyramid: str, ends: tuple, *names: str
) -> Case:
    """``pyramid`` is the name of a stage, ``ends`` are those of stem and last convolution."""
    return Case(
        make,
        (4, size, size, 3),
        "mobilevit",
        dict(OURS, depths=depths),
        naming,
        blocks=dict(zip(("stem", "last"), ends, strict=True)) | blocks(depths, *names),
        pyramid={2 << i: pyramid.format(i) for i in range(5) if pyramid},
    )


LAYER = "mobilevit.encoder.layer"
CASES = {
    "mobilevit_timm": case(
        timm,
        96,
        "timm",
        DEPTHS,
        "stages.{}",
        ("stem", "final_conv"),
        "stages.{i}.{j}",
        "stages.{i}.0",
        "stages.{i}.1",
        "stages.{i}.1.transformer.{k}",
    ),
    "mobilevit_transformers": case(
        transformers,
        64,
        "transformers",
        TRANSFORMERS_DEPTHS,
        "",
        ("mobilevit.conv_stem", "mobilevit.conv_1x1_exp"),
        LAYER + ".{i}.layer.{j}",
        LAYER + ".{i}.downsampling_layer",
        LAYER + ".{i}",
    ),
}
