"""ConvNeXt's published weights, as torchvision, timm and transformers have them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jaxdl.data.preprocess import Preprocess
from jaxdl.errors import UserError
from jaxdl.models.convnext import ConvNeXt
from jaxdl.pretrained import config as settings
from jaxdl.pretrained import register
from jaxdl.pretrained.architecture import Architecture, Naming, Published, images
from jaxdl.pretrained.mapping import Rule, Table, conv, dense, expand_dims, norm, rule

_block = "block_{i}_{j}"


def _torchvision(module: ConvNeXt) -> Table:
    """Stages stand at odd places, what comes before each of them at even ones."""
    rules: list[Rule] = []
    for i in range(len(module.depths)):
        before, block, ours = f"features.{2 * i}", f"features.{2 * i + 1}.{{j}}", f"block_{i}_{{j}}"
        if i:
            rules += norm(f"{before}.0", f"reduce_norm_{i}") + conv(f"{before}.1", f"reduce_{i}")
        else:
            rules += conv(f"{before}.0", "stem") + norm(f"{before}.1", "stem_norm")
        rules += conv(f"{block}.block.0", f"{ours}/depthwise")
        rules += norm(f"{block}.block.2", f"{ours}/norm")
        rules += dense(f"{block}.block.3", f"{ours}/up")
        rules += dense(f"{block}.block.5", f"{ours}/down")
        steps = [expand_dims(1), expand_dims(2)]
        rules.append(rule(f"{block}.layer_scale", f"{ours}/scale", steps=steps))
    return Table(rules=(*rules, *norm("classifier.0", "norm"), *dense("classifier.2", "head")))


_TIMM = Table(
    rules=(
        *conv("stem.0", "stem"),
        *norm("stem.1", "stem_norm"),
        *norm("stages.{i}.downsample.0", "reduce_norm_{i}"),
        *conv("stages.{i}.downsample.1", "reduce_{i}"),
        *conv("stages.{i}.blocks.{j}.conv_dw", f"{_block}/depthwise"),
        *norm("stages.{i}.blocks.{j}.norm", f"{_block}/norm"),
        *dense("stages.{i}.blocks.{j}.mlp.fc1", f"{_block}/up"),
        *dense("stages.{i}.blocks.{j}.mlp.fc2", f"{_block}/down"),
        rule("stages.{i}.blocks.{j}.gamma", f"{_block}/scale"),
        *norm("head.norm", "norm"),
        *dense("head.fc", "head"),
    )
)

_stage, _layer = "convnext.encoder.stages.{i}", "convnext.encoder.stages.{i}.layers.{j}"

_TRANSFORMERS = Table(
    rules=(
        *conv("convnext.embeddings.patch_embeddings", "stem"),
        *norm("convnext.embeddings.layernorm", "stem_norm"),
        *norm(f"{_stage}.downsampling_layer.0", "reduce_norm_{i}"),
        *conv(f"{_stage}.downsampling_layer.1", "reduce_{i}"),
        *conv(f"{_layer}.dwconv", f"{_block}/depthwise"),
        *norm(f"{_layer}.layernorm", f"{_block}/norm"),
        *dense(f"{_layer}.pwconv1", f"{_block}/up"),
        *dense(f"{_layer}.pwconv2", f"{_block}/down"),
        rule(f"{_layer}.layer_scale_parameter", f"{_block}/scale"),
        *norm("convnext.layernorm", "norm"),
        *dense("classifier", "head"),
    ),
    base="convnext.",
)

# {config.json's key: values with which the module computes the same}.
_FIXED = dict(hidden_act=("gelu",), num_channels=(3,))


def _read(config: Mapping[str, Any], path: Path) -> dict[str, Any]:
    """The fields that a config.json asks for."""
    settings.check(config, path, "convnext", _FIXED)
    depths, widths = (tuple(config.get(key) or ()) for key in ("depths", "hidden_sizes"))
    if not depths or len(depths) != len(widths):
        raise UserError(f"{path}: depths={depths} and hidden_sizes={widths} must be as many")
    scale = config.get("layer_scale_init_value", 1e-6)
    if scale <= 0:
        raise UserError(f"{path}: layer_scale_init_value={scale}, but model 'convnext' has scales")
    return dict(
        settings.sizes(config, path, dict(stem="patch_size")),
        depths=depths,
        widths=widths,
        layer_scale=scale,
        head_epsilon=float(config.get("layer_norm_eps", 1e-12)),
    )


def _write(module: ConvNeXt) -> dict[str, Any]:
    return dict(
        {key: values[0] for key, values in _FIXED.items()},
        model_type="convnext",
        architectures=["ConvNextForImageClassification"],
        patch_size=module.stem,
        num_stages=len(module.depths),
        depths=list(module.depths),
        hidden_sizes=list(module.widths),
        layer_scale_init_value=module.layer_scale,
        layer_norm_eps=module.head_epsilon,
        num_labels=module.num_classes,
    )


_SIZES = dict(tiny="t", small="s", base="b", large="l", xlarge="xl")
# torchvision's resizing before the crop, by size.
_RESIZE = dict(tiny=236, small=230, base=232, large=232)
_BICUBIC = Preprocess(interpolation="bicubic")
_LARGE = Preprocess(size=384, resize=384, interpolation="bicubic", squash=True)


def _timm_published() -> dict[str, Published]:
    """By timm's names, with the part behind the dot where it changes more than the weights."""
    found = {}
    for theirs, ours in _SIZES.items():
        name, ours = f"convnext_{theirs}", f"convnext_{ours}"
        # Without that part tiny and small are weights that see more of the image.
        resize = 235 if theirs in ("tiny", "small") else 256
        found[name] = Published(ours, preprocess=_BICUBIC._replace(resize=resize))
        if theirs != "xlarge":
            found[f"{name}.fb_in1k"] = Published(ours, preprocess=_BICUBIC)
        found[f"{name}.fb_in22k_ft_in1k"] = Published(ours, preprocess=_BICUBIC)
        found[f"{name}.fb_in22k_ft_in1k_384"] = Published(ours, preprocess=_LARGE)
        found[f"{name}.fb_in22k"] = Published(ours, dict(num_classes=21841), _BICUBIC)
    return found


def _transformers_published() -> dict[str, Published]:
    tail = dict(head_epsilon=1e-12)
    found = {}
    for theirs, ours in _SIZES.items():
        name, ours = f"facebook/convnext-{theirs}", f"convnext_{ours}"
        if theirs != "xlarge":
            found[f"{name}-224"] = Published(ours, tail, _BICUBIC)
        found[f"{name}-224-22k"] = Published(ours, dict(num_classes=21841, **tail), _BICUBIC)
        found[f"{name}-224-22k-1k"] = Published(ours, tail, _BICUBIC)
        found[f"{name}-384-22k-1k"] = Published(ours, tail, _LARGE)
    return found


CONVNEXT = register("convnext")(
    Architecture(
        model="convnext",
        inputs=images(),
        namings={
            "torchvision": Naming(
                _torchvision,
                models={
                    f"convnext_{theirs}": Published(
                        f"convnext_{_SIZES[theirs]}", preprocess=Preprocess(resize=resize)
                    )
                    for theirs, resize in _RESIZE.items()
                },
            ),
            "timm": Naming(_TIMM, models=_timm_published()),
            "transformers": Naming(
                _TRANSFORMERS,
                models=_transformers_published(),
                read=_read,
                write=_write,
                classes={
                    "ConvNextForImageClassification": {},
                    "ConvNextModel": dict(num_classes=0),
                },
            ),
        },
        model_types=("convnext",),
        head=("head",),
    )
)
