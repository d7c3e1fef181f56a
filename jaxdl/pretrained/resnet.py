"""ResNet's published weights (He et al., 2015): torchvision's, timm's and transformers'."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jaxdl.data.preprocess import Preprocess
from jaxdl.errors import UserError
from jaxdl.models.resnet import VARIANTS, ResNet
from jaxdl.pretrained import config as settings
from jaxdl.pretrained import register
from jaxdl.pretrained.architecture import Architecture, Naming, Published, images
from jaxdl.pretrained.mapping import Rule, Table, batch_norm, conv, dense


def _unit(convolution: str, norm: str, ours: str) -> tuple[Rule, ...]:
    return *conv(convolution, f"{ours}/conv"), *batch_norm(norm, f"{ours}/norm")


def _torchvision(module: ResNet) -> Table:
    """timm's are the same. Stages and convolutions in a block are counted from 1."""
    rules = []
    for i in range(len(module.stages)):
        theirs, ours = f"layer{i + 1}.{{j}}", f"block_{i}_{{j}}"
        for k in range(3):
            rules += _unit(f"{theirs}.conv{k + 1}", f"{theirs}.bn{k + 1}", f"{ours}/conv_{k}")
        rules += _unit(f"{theirs}.downsample.0", f"{theirs}.downsample.1", f"{ours}/shortcut")
    return Table(rules=(*_unit("conv1", "bn1", "stem"), *rules, *dense("fc", "head")))


def _transformers_unit(theirs: str, ours: str) -> tuple[Rule, ...]:
    return _unit(f"{theirs}.convolution", f"{theirs}.normalization", ours)


_LAYER = "encoder.stages.{i}.layers.{j}"

TRANSFORMERS = Table(
    rules=(
        *_transformers_unit("resnet.embedder.embedder", "stem"),
        *_transformers_unit(f"resnet.{_LAYER}.layer.{{k}}", "block_{i}_{j}/conv_{k}"),
        *_transformers_unit(f"resnet.{_LAYER}.shortcut", "block_{i}_{j}/shortcut"),
        *dense("classifier.1", "head"),
    ),
    base="resnet.",
)

_FIXED = dict(
    num_channels=(3,),
    hidden_act=("relu",),
    downsample_in_first_stage=(False,),
    downsample_in_bottleneck=(False,),
)


def _widths(width: int, stages: Sequence[int], bottleneck: bool) -> list[int]:
    return [(width << i) * (4 if bottleneck else 1) for i in range(len(stages))]


def _read(config: Mapping[str, Any], path: Path) -> dict[str, Any]:
    settings.check(config, path, "resnet", _FIXED)
    fields = settings.sizes(config, path, dict(width="embedding_size"))
    stages, layer = config.get("depths"), config.get("layer_type")
    if not isinstance(stages, list) or not all(type(n) is int and n > 0 for n in stages):
        raise UserError(f"{path}: depths={stages!r} must be whole numbers from 1 on")
    if layer not in ("basic", "bottleneck"):
        raise UserError(f"{path}: layer_type={layer!r} is neither 'basic' nor 'bottleneck'")
    fields.update(stages=tuple(stages), bottleneck=layer == "bottleneck")
    if (found := config.get("hidden_sizes")) != (computed := _widths(**fields)):
        raise UserError(f"{path}: hidden_sizes={found}, but model 'resnet' has {computed} there")
    return fields


def _write(module: ResNet) -> dict[str, Any]:
    """Raises UserError for a stem or an order that transformers does not have."""
    for field, value in dict(stem="published", order="conv_norm_act").items():
        if getattr(module, field) != value:
            raise UserError(f"transformers has no ResNet with {field}={getattr(module, field)!r}")
    return dict(
        {key: values[0] for key, values in _FIXED.items()},
        model_type="resnet",
        architectures=["ResNetForImageClassification"],
        embedding_size=module.width,
        hidden_sizes=_widths(module.width, module.stages, module.bottleneck),
        depths=list(module.stages),
        layer_type="bottleneck" if module.bottleneck else "basic",
        num_labels=module.num_classes,
    )


_BICUBIC = Preprocess(resize=256, interpolation="bicubic")
# timm's weights by recipe: as resize, what goes in over the share of it that is cropped.
_TIMM = {
    "a1_in1k": Preprocess(resize=235, interpolation="bicubic"),
    "a2_in1k": Preprocess(resize=235, interpolation="bicubic"),
    "a3_in1k": Preprocess(size=160, resize=168, interpolation="bicubic"),
    "tv_in1k": Preprocess(),
    "gluon_in1k": _BICUBIC,
}

RESNET = register("resnet")(
    Architecture(
        model="resnet",
        inputs=images(),
        namings={
            "torchvision": Naming(_torchvision, {name: Published(name) for name in VARIANTS}),
            "timm": Naming(
                _torchvision,
                {name: Published(name, preprocess=_TIMM["a1_in1k"]) for name in VARIANTS}
                | {
                    f"{name}.{recipe}": Published(name, preprocess=seen)
                    for name in VARIANTS
                    for recipe, seen in _TIMM.items()
                },
            ),
            "transformers": Naming(
                TRANSFORMERS,
                {
                    f"microsoft/{name.replace('resnet', 'resnet-')}": Published(
                        name, preprocess=_BICUBIC
                    )
                    for name in VARIANTS
                },
                read=_read,
                write=_write,
                classes={"ResNetForImageClassification": {}, "ResNetModel": dict(num_classes=0)},
            ),
        },
        model_types=("resnet",),
        head=("head",),
    )
)
