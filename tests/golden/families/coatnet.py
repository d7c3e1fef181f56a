"""CoAtNet, as timm has it."""

from make_classifiers import Case
from timm.models.maxxvit import MaxxVit, MaxxVitCfg, MaxxVitTransformerCfg

WIDTHS, DEPTHS, STEM, HEAD_DIM = (16, 24, 32, 64), (2, 1, 2, 2), 16, 8


def make():
    """The paper's, narrow: a shortcut with and without a dense layer, and blocks that keep size."""
    settings = MaxxVitCfg(
        embed_dim=WIDTHS,
        depths=DEPTHS,
        stem_width=STEM,
        head_hidden_size=WIDTHS[-1],
        transformer_cfg=MaxxVitTransformerCfg(dim_head=HEAD_DIM),
    )
    return MaxxVit(settings, img_size=64, num_classes=10)


BLOCKS = {
    f"block_{i}_{j}": f"stages.{i}.blocks.{j}"
    for i, depth in enumerate(DEPTHS)
    for j in range(depth)
}

CASES = {
    "coatnet": Case(
        make,
        (2, 64, 64, 3),
        "coatnet",
        dict(widths=WIDTHS, depths=DEPTHS, stem_width=STEM, head_dim=HEAD_DIM, num_classes=10),
        "timm",
        blocks={"stem_1": "stem", **BLOCKS},
        pyramid={2: "stem", 4: "stages.0", 8: "stages.1", 16: "stages.2", 32: "stages.3"},
    )
}
