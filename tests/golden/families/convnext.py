"""ConvNeXt, as torchvision, timm and transformers have it."""

from functools import partial

from make_classifiers import Case
from timm.models.convnext import ConvNeXt as Timm
from torchvision.models.convnext import CNBlockConfig, ConvNeXt
from transformers import ConvNextConfig, ConvNextForImageClassification

DEPTHS, WIDTHS = (1, 2, 1, 1), (8, 12, 16, 20)
STAGES = range(len(DEPTHS))


def torchvision():
    """Four stages."""
    after = (*WIDTHS[1:], None)
    stages = [CNBlockConfig(*sizes) for sizes in zip(WIDTHS, after, DEPTHS, strict=True)]
    return ConvNeXt(stages, num_classes=10)


def transformers():
    """Its last norm has another ε."""
    return ConvNextForImageClassification(
        ConvNextConfig(depths=list(DEPTHS), hidden_sizes=list(WIDTHS), num_labels=10)
    )


def case(make, naming: str, stem: tuple[str, str], reduce: str, block: str, **fields) -> Case:
    """Templates of their names: {i} is the stage, {before} and {at} are torchvision's places."""
    blocks = dict(stem=stem[0], stem_norm=stem[1])
    for i in STAGES:
        places = dict(i=i, before=2 * i, at=2 * i + 1)
        for j in range(DEPTHS[i]):
            blocks[f"block_{i}_{j}"] = block.format(j=j, **places)
        if i:
            blocks[f"reduce_norm_{i}"] = reduce.format(part=0, **places)
            blocks[f"reduce_{i}"] = reduce.format(part=1, **places)
    return Case(
        make,
        (3, 64, 64, 3),
        "convnext_t",
        dict(depths=DEPTHS, widths=WIDTHS, num_classes=10, **fields),
        naming,
        blocks=blocks,
        pyramid={4 << i: blocks[f"block_{i}_{DEPTHS[i] - 1}"] for i in STAGES},
    )


CASES = {
    "convnext_torchvision": case(
        torchvision,
        "torchvision",
        ("features.0.0", "features.0.1"),
        "features.{before}.{part}",
        "features.{at}.{j}",
    ),
    "convnext_timm": case(
        partial(Timm, depths=DEPTHS, dims=WIDTHS, num_classes=10),
        "timm",
        ("stem.0", "stem.1"),
        "stages.{i}.downsample.{part}",
        "stages.{i}.blocks.{j}",
    ),
    "convnext_transformers": case(
        transformers,
        "transformers",
        ("convnext.embeddings.patch_embeddings", "convnext.embeddings.layernorm"),
        "convnext.encoder.stages.{i}.downsampling_layer.{part}",
        "convnext.encoder.stages.{i}.layers.{j}",
        head_epsilon=1e-12,
    ),
}
