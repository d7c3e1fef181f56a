"""EfficientNet's published weights (Tan and Le, 2019): torchvision's, timm's and transformers'.

timm's ``tf_`` models and transformers' are the authors' own weights, which want TensorFlow's
padding and epsilon. transformers pads as TensorFlow does at config.json's image size, whatever the
size of the image; here that follows the image.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jaxdl.data.preprocess import Preprocess
from jaxdl.errors import UserError
from jaxdl.layers.inverted_residual import divisible
from jaxdl.models.efficientnet import STAGES, VARIANTS, EfficientNet, repeated
from jaxdl.pretrained import config as settings
from jaxdl.pretrained import register
from jaxdl.pretrained.architecture import Architecture, Naming, Published, images
from jaxdl.pretrained.mapping import Rule, Table, batch_norm, conv, dense, pointwise


def _unit(convolution: str, norm: str, ours: str) -> tuple[Rule, ...]:
    return *conv(convolution, f"{ours}/conv"), *batch_norm(norm, f"{ours}/norm")


def _torchvision(module: EfficientNet) -> Table:
    """What a block has is counted from 0: expansion, if any, depthwise, squeeze-excite, project."""
    unit = lambda theirs, ours: _unit(f"{theirs}.0", f"{theirs}.1", ours)
    last = len(module.stages) + 1
    rules = [*unit("features.0", "stem"), *unit(f"features.{last}", "last")]
    for i, (expansion, *_) in enumerate(module.stages):
        theirs, ours = f"features.{i + 1}.{{j}}.block", f"block_{i}_{{j}}"
        k = int(expansion != 1)
        rules += unit(f"{theirs}.0", f"{ours}/expand") if k else ()
        rules += unit(f"{theirs}.{k}", f"{ours}/depthwise")
        rules += pointwise(f"{theirs}.{k + 1}.fc1", f"{ours}/squeeze_excite/reduce")
        rules += pointwise(f"{theirs}.{k + 1}.fc2", f"{ours}/squeeze_excite/expand")
        rules += unit(f"{theirs}.{k + 2}", f"{ours}/project")
    return Table(rules=(*rules, *dense("classifier.1", "head")))


def _timm(module: EfficientNet) -> Table:
    """Norms are counted from 1; without an expansion, the projection has the expansion's name."""
    rules = [*_unit("conv_stem", "bn1", "stem"), *_unit("conv_head", "bn2", "last")]
    for i, (expansion, *_) in enumerate(module.stages):
        theirs, ours = f"blocks.{i}.{{j}}", f"block_{i}_{{j}}"
        units = dict(expand="conv_pw", depthwise="conv_dw", project="conv_pwl")
        if expansion == 1:
            units = dict(depthwise="conv_dw", project="conv_pw")
        for k, (name, convolution) in enumerate(units.items()):
            rules += _unit(f"{theirs}.{convolution}", f"{theirs}.bn{k + 1}", f"{ours}/{name}")
        rules += pointwise(f"{theirs}.se.conv_reduce", f"{ours}/squeeze_excite/reduce")
        rules += pointwise(f"{theirs}.se.conv_expand", f"{ours}/squeeze_excite/expand")
    return Table(rules=(*rules, *dense("classifier", "head")))


def _transformers(module: EfficientNet) -> Table:
    """Blocks are counted through."""
    top = "efficientnet.encoder"
    rules = [
        *_unit("efficientnet.embeddings.convolution", "efficientnet.embeddings.batchnorm", "stem"),
        *_unit(f"{top}.top_conv", f"{top}.top_bn", "last"),
    ]
    units = dict(expand="expansion.expand", depthwise="depthwise_conv.depthwise")
    units |= dict(project="projection.project")
    blocks = [
        (i, j)
        for i, stage in enumerate(module.stages)
        for j in range(repeated(stage[-1], module.depth))
    ]
    for n, (i, j) in enumerate(blocks):
        theirs, ours = f"{top}.blocks.{n}", f"block_{i}_{j}"
        for name, unit in units.items():
            norm = "norm" if name == "depthwise" else "bn"
            rules += _unit(f"{theirs}.{unit}_conv", f"{theirs}.{unit}_{norm}", f"{ours}/{name}")
        rules += pointwise(f"{theirs}.squeeze_excite.reduce", f"{ours}/squeeze_excite/reduce")
        rules += pointwise(f"{theirs}.squeeze_excite.expand", f"{ours}/squeeze_excite/expand")
    return Table(rules=(*rules, *dense("classifier", "head")), base="efficientnet.")


# What the authors' weights want, in PyTorch as in TensorFlow.
_AUTHORS = dict(padding="same", epsilon=1e-3, momentum=0.99)

_SIZES = dict(zip(VARIANTS, (224, 240, 260, 300, 380, 456, 528, 600), strict=True))


def _symmetric(module: EfficientNet, size: int) -> list[int]:
    """Blocks of stride 2, counted through, that see an odd image: their padding is k // 2."""
    size, seen, found = -(-size // 2), 0, []
    for _, _, stride, _, blocks in module.stages:
        if stride == 2:
            found += [seen] if size % 2 else []
            size = -(-size // 2)
        seen += repeated(blocks, module.depth)
    return found


def _fixed() -> dict[str, tuple]:
    expansions, kernels, strides, features, blocks = map(list, zip(*STAGES, strict=True))
    return dict(
        num_channels=(3,),
        depth_divisor=(8,),
        kernel_sizes=(kernels,),
        in_channels=([32, *features[:-1]],),
        out_channels=(features,),
        strides=(strides,),
        num_block_repeats=(blocks,),
        expand_ratios=(expansions,),
        squeeze_expansion_ratio=(0.25,),
        hidden_act=("swish", "silu"),
        pooling_type=("mean",),
    )


def _read(config: Mapping[str, Any], path: Path) -> dict[str, Any]:
    settings.check(config, path, "efficientnet", _fixed())
    size = settings.sizes(config, path, dict(size="image_size"))["size"]
    keys = dict(width="width_coefficient", depth="depth_coefficient", epsilon="batch_norm_eps")
    for key in keys.values():
        if type(config.get(key)) not in (int, float) or config[key] <= 0:
            raise UserError(f"{path}: {key}={config.get(key)!r} must be a number over 0")
    fields = {**_AUTHORS, **{field: float(config[key]) for field, key in keys.items()}}
    module = EfficientNet(**fields)
    settings.check(config, path, "efficientnet", _computed(module, size))
    if _adds_early(module):
        raise UserError(f"{path}: with width_coefficient={module.width} a stage keeps its width")
    return fields


def _write(module: EfficientNet) -> dict[str, Any]:
    """Raises UserError for what transformers has built in otherwise."""
    built_in = dict(stages=STAGES, last=1280, stem="published", padding="same")
    for field, value in {**built_in, "order": "conv_norm_act"}.items():
        if (given := getattr(module, field)) != value:
            raise UserError(f"transformers has no EfficientNet with {field}={given!r}")
    if _adds_early(module):
        raise UserError(f"transformers has no EfficientNet with width={module.width}")
    scale = lambda fields: (fields["width"], fields["depth"])
    sizes = {scale(fields): _SIZES[name] for name, fields in VARIANTS.items()}
    size = sizes.get((module.width, module.depth), 224)
    fixed = {**_fixed(), **_computed(module, size)}
    return dict(
        {key: values[0] for key, values in fixed.items()},
        model_type="efficientnet",
        architectures=["EfficientNetForImageClassification"],
        image_size=size,
        width_coefficient=module.width,
        depth_coefficient=module.depth,
        batch_norm_eps=module.epsilon,
        dropout_rate=module.dropout,
        drop_connect_rate=module.drop_path,
        num_labels=module.num_classes,
    )


def _computed(module: EfficientNet, size: int) -> dict[str, tuple]:
    """Settings that follow from others: {key: the only value}."""
    last = divisible(module.last * module.width)
    return dict(hidden_dim=(last,), depthwise_padding=(_symmetric(module, size),))


def _adds_early(module: EfficientNet) -> bool:
    """Whether a stage's first block adds what goes in, which transformers' never does."""
    widths = [divisible(n * module.width) for n in (32, *(stage[3] for stage in module.stages))]
    strides = [stage[2] for stage in module.stages]
    return any(s == 1 and a == b for s, a, b in zip(strides, widths, widths[1:], strict=False))


# resize and size of torchvision's weights, all of its first edition.
_TORCHVISION = (
    *((256, 224), (256, 240), (288, 288), (320, 300)),
    *((384, 380), (456, 456), (528, 528), (600, 600)),
)

# Size of timm's own, and the share of what is resized that it is.
_TIMM = (
    *((224, 0.875), (240, 0.9), (256, 0.875), (288, 0.875)),
    *((320, 0.875), (448, 1.0), (528, 0.942), (600, 0.949)),
)

# That share for the authors' weights.
_SHARES = (0.875, 0.882, 0.89, 0.904, 0.922, 0.934, 0.942, 0.949)

# Of weights that were trained on images from -1 to 1.
_HALVES = dict(mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))


def _seen(size: int, resize: int, **others: Any) -> Preprocess:
    return Preprocess(size=size, resize=resize, interpolation="bicubic", **others)


def _of_torchvision() -> dict[str, Published]:
    pairs = zip(VARIANTS, _TORCHVISION, strict=True)
    return {name: Published(name, preprocess=_seen(size, resize)) for name, (resize, size) in pairs}


def _of_timm() -> dict[str, Published]:
    """Its own weights, and under names of ``tf_`` the authors'."""
    plain, found = dict(epsilon=1e-5, momentum=0.9), {}
    for name, (size, share) in zip(VARIANTS, _TIMM, strict=True):
        fields = plain if "epsilon" in VARIANTS[name] else {}
        scale = _HALVES if name == "efficientnet_b1" else {}
        found[name] = Published(name, fields, _seen(size, int(size / share), **scale))
    recipes = dict(b0="ra_in1k", b2="ra_in1k", b3="ra2_in1k", b4="ra2_in1k", b5="sw_in12k_ft_in1k")
    for variant, recipe in recipes.items():
        name = f"efficientnet_{variant}"
        found[f"{name}.{recipe}"] = found[name]
    found["efficientnet_b1.ft_in1k"] = Published("efficientnet_b1", {}, _seen(224, 256))
    for (name, size), share in zip(_SIZES.items(), _SHARES, strict=True):
        seen = _seen(size, int(size / share))
        found[f"tf_{name}"] = Published(name, _AUTHORS, seen)
        found[f"tf_{name}.ns_jft_in1k"] = found[f"tf_{name}.aa_in1k"] = found[f"tf_{name}"]
        found[f"tf_{name}.ap_in1k"] = Published(name, _AUTHORS, seen._replace(**_HALVES))
    return found


def _of_transformers() -> dict[str, Published]:
    """They are squeezed into a square without a crop, each pixel the nearest one."""
    seen = Preprocess(interpolation="nearest", squash=True)
    return {
        f"google/{name.replace('_', '-')}": Published(
            name, _AUTHORS, seen._replace(size=size, resize=size)
        )
        for name, size in _SIZES.items()
    }


EFFICIENTNET = register("efficientnet")(
    Architecture(
        model="efficientnet",
        inputs=images(),
        namings={
            "torchvision": Naming(_torchvision, _of_torchvision()),
            "timm": Naming(_timm, _of_timm()),
            "transformers": Naming(
                _transformers,
                _of_transformers(),
                read=_read,
                write=_write,
                classes={
                    "EfficientNetForImageClassification": {},
                    "EfficientNetModel": dict(num_classes=0),
                },
            ),
        },
        model_types=("efficientnet",),
        head=("head",),
    )
)
