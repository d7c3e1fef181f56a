"""VGG's published weights (Simonyan and Zisserman, 2014), as torchvision and timm have them."""

from jaxdl.models.vgg import VARIANTS, VGG
from jaxdl.pretrained import register
from jaxdl.pretrained.architecture import Architecture, Naming, Published, images
from jaxdl.pretrained.mapping import (
    Rule,
    Table,
    batch_norm,
    conv,
    dense,
    merge,
    pointwise,
    rule,
    transpose,
)


def _convolutions(module: VGG) -> list[Rule]:
    """Both libraries count all layers in one row: convolutions, norms, activations and pools."""
    rules, index = [], 0
    for i, count in enumerate(module.stages):
        for j in range(count):
            rules += conv(f"features.{index}", f"block_{i}_{j}/conv")
            rules += batch_norm(f"features.{index + 1}", f"block_{i}_{j}/norm")
            index += 3 if module.batch_norm else 2
        index += 1
    return rules


def _torchvision(module: VGG) -> Table:
    return Table(
        rules=(
            *_convolutions(module),
            rule(
                "classifier.0.weight", "dense_0/kernel", steps=[transpose(3, 2, 0, 1), merge(1, 3)]
            ),
            rule("classifier.0.bias", "dense_0/bias"),
            *dense("classifier.3", "dense_1"),
            *dense("classifier.6", "head"),
        )
    )


def _timm(module: VGG) -> Table:
    """Dense layers are convolutions there, which differs where images are larger than 224 pixels.

    Theirs then run over the larger map, and the mean of what they give is classified; here the map
    is averaged first, as in torchvision, whose weights these are.
    """
    return Table(
        rules=(
            *_convolutions(module),
            *conv("pre_logits.fc1", "dense_0"),
            *pointwise("pre_logits.fc2", "dense_1"),
            *dense("head.fc", "head"),
        )
    )


_MODELS = {name: Published(name) for name in VARIANTS}

VGG_NETS = register("vgg")(
    Architecture(
        model="vgg",
        inputs=images(),
        namings={"torchvision": Naming(_torchvision, _MODELS), "timm": Naming(_timm, _MODELS)},
        head=("head",),
    )
)
