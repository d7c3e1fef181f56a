"""How a checkpoint's folder says that its images are prepared: transformers' and timm's settings.

A preprocessor_config.json holds the fields of one of transformers' image processors, which differ
in what they take for granted and in what they pass over; a field that is null is not left out, but
off. Here is done what those of them compute that run on NumPy and Pillow.
"""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from jaxdl.data.preprocess import Preprocess
from jaxdl.errors import UserError
from jaxdl.pretrained import config

NAME = "preprocessor_config.json"


class Kind(NamedTuple):
    """One of transformers' image processors.

    Attributes:
      defaults: of fields that a file leaves out.
      is_square: whether a size that is one number is that of both sides, not of the short one.
      is_cropped: whether it cuts a share from images below 384 pixels, and squashes larger ones.
      normalises: whether it heeds do_normalize at all.
      flips: whether it heeds do_flip_channel_order.
      scales_twice: whether it heeds rescale_offset and include_top.
    """

    defaults: Mapping[str, Any]
    is_square: bool = True
    is_cropped: bool = False
    normalises: bool = True
    flips: bool = False
    scales_twice: bool = False


_HALVES = dict(image_mean=[0.5] * 3, image_std=[0.5] * 3)
_CLIP = dict(
    image_mean=[0.48145466, 0.4578275, 0.40821073],
    image_std=[0.26862954, 0.26130258, 0.27577711],
    size={"shortest_edge": 224},
    crop_size=224,
    do_center_crop=True,
    resample=3,
)
_KINDS = {
    "ViT": Kind(dict(size=224, resample=2, **_HALVES)),
    "DeiT": Kind(dict(size=256, crop_size=224, do_center_crop=True, resample=3, **_HALVES)),
    "ConvNext": Kind(
        dict(size={"shortest_edge": 384}, crop_pct=224 / 256, resample=3, **_HALVES),
        is_square=False,
        is_cropped=True,
    ),
    "MobileViT": Kind(
        dict(
            size={"shortest_edge": 224}, crop_size=256, do_center_crop=True, resample=3,
            do_flip_channel_order=True, **_HALVES,
        ),
        is_square=False,
        normalises=False,
        flips=True,
    ),
    "EfficientNet": Kind(
        dict(size=346, crop_size=289, include_top=True, resample=3, **_HALVES), scales_twice=True
    ),
    "CLIP": Kind(_CLIP, is_square=False),
    "Bit": Kind(_CLIP, is_square=False),
}  # fmt: skip
_EVERYWHERE = dict(do_resize=True, do_rescale=True, do_normalize=True, rescale_factor=1 / 255)

# By config.json's model_type where the file does not say which processor it is.
_OF_MODELS = dict(
    vit="ViT", deit="DeiT", convnext="ConvNext", resnet="ConvNext", cvt="ConvNext",
    mobilevit="MobileViT", efficientnet="EfficientNet",
)  # fmt: skip

# As Pillow numbers them.
_RESAMPLING = ("nearest", "lanczos", "bilinear", "bicubic", "box", "hamming")

# What changes no pixel: pictures are turned to colour here in any case.
_INERT = (
    *("image_processor_type", "feature_extractor_type", "processor_class", "do_convert_rgb"),
    *("do_reduce_labels", "reduce_labels", "data_format", "input_data_format", "return_tensors"),
    *("device", "disable_grouping", "default_to_square", "pad_size", "_valid_processor_keys"),
    *("_valid_kwargs_names", "model_input_names", "image_seq_length", "transformers_version"),
)
_KNOWN = (
    *("do_resize", "size", "resample", "do_center_crop", "crop_size", "crop_pct", "do_rescale"),
    *("rescale_factor", "rescale_offset", "do_normalize", "image_mean", "image_std"),
    *("include_top", "do_flip_channel_order"),
)


def beside(folder: Path) -> Preprocess | None:
    """What stands in a folder; None where nothing does.

    Raises:
      UserError: a file is damaged, or asks for what is not done here: the field is named.
    """
    settings = config.settings(folder, config.NAME)
    if (folder / NAME).is_file():  # one without fields asks for all that is taken for granted
        found = config.settings(folder, NAME)
        return of_transformers(found, folder / NAME, settings.get("model_type"))
    if "architecture" in settings and isinstance(settings.get("pretrained_cfg"), Mapping):
        return of_timm(settings["pretrained_cfg"], folder / config.NAME)
    return None


def of_transformers(given: Mapping[str, Any], path: Path, model_type: Any = None) -> Preprocess:
    """What a preprocessor_config.json asks for.

    Args:
      given: its content.
      path: where it stands.
      model_type: config.json's, for files that do not name their processor.

    Raises:
      UserError: a field has a value that is none of its own, or that is not done here; or the
        processor or a field is not known.
    """
    name, kind = _kind(given, path, model_type)
    unknown = [key for key, x in given.items() if key not in (*_KNOWN, *_INERT) and x]
    if unknown:
        raise UserError(f"{path}: {unknown[0]}={given[unknown[0]]!r} is not supported")
    settings = {**_EVERYWHERE, **kind.defaults, **given}
    size, resize, squash = _squares(settings, kind, name, path)
    mean, std = _scaling(settings, kind, path)
    how = settings["resample"]
    if type(how) is not int or how not in range(len(_RESAMPLING)):
        raise UserError(f"{path}: resample={how!r} is none of Pillow's 0 to 5")
    return Preprocess(
        size=size,
        resize=resize,
        interpolation=_RESAMPLING[how],
        mean=mean,
        std=std,
        channels="bgr" if kind.flips and settings["do_flip_channel_order"] else "rgb",
        squash=squash,
        floor_cut=True,
    )


def _kind(given: Mapping[str, Any], path: Path, model_type: Any) -> tuple[str, Kind]:
    """The processor's name in `_KINDS`, and what it does."""
    said = given.get("image_processor_type") or given.get("feature_extractor_type")
    if said is None:
        name = _OF_MODELS.get(model_type, "ViT")
        return name, _KINDS[name]
    name = str(said)
    for end in ("Fast", "Pil", "ImageProcessor", "FeatureExtractor"):
        name = name.removesuffix(end)
    if name not in _KINDS:
        known = ", ".join(f"{each}ImageProcessor" for each in _KINDS)
        raise UserError(f"{path}: image_processor_type={said!r} is not known, only {known}")
    return name, _KINDS[name]


def _squares(
    settings: Mapping[str, Any], kind: Kind, name: str, path: Path
) -> tuple[int, int, bool]:
    """(size, resize, squash) of `Preprocess`."""
    is_cut = bool(settings.get("do_center_crop"))
    cut = _sides(settings, "crop_size", True, path) if is_cut else None
    if isinstance(cut, str):
        raise UserError(f"{path}: crop_size={settings['crop_size']!r} must have height and width")
    if not settings["do_resize"]:
        if cut is None:
            raise UserError(
                f"{path}: do_resize=false without do_center_crop is not supported: pictures would "
                "keep their own sizes"
            )
        return cut, 0, False
    is_square = settings.get("default_to_square", kind.is_square)
    side = _sides(settings, "size", bool(is_square), path)
    if kind.is_cropped:
        if not isinstance(side, str):
            raise UserError(
                f"{path}: size={settings['size']!r}: a {name}ImageProcessor takes shortest_edge"
            )
        side = int(side)
        if side >= 384:
            return (side if cut is None else cut), side, True
        if cut not in (None, side):
            raise UserError(
                f"{path}: crop_size={settings['crop_size']!r} behind a cut to {side} is not "
                "supported"
            )
        share = settings["crop_pct"]
        if not isinstance(share, int | float) or not 0 < share <= 1:
            raise UserError(f"{path}: crop_pct={share!r} must be above 0 and at most 1")
        return side, int(side / share), False
    if isinstance(side, str):
        if cut is None:
            raise UserError(
                f"{path}: size={settings['size']!r} without do_center_crop is not supported: "
                "pictures would be no squares"
            )
        return cut, int(side), False
    return (side if cut is None else cut), side, True


def _sides(settings: Mapping[str, Any], key: str, is_square: bool, path: Path) -> int | str:
    """The side of a square as a number, or the short side, of whatever the other is, as a text."""
    given = settings.get(key)
    keys = set(given) if isinstance(given, Mapping) else None
    values = list(given.values()) if keys else given if isinstance(given, list) else [given]
    right = [type(x) is int and x > 0 for x in values]
    if not right or not all(right) or (isinstance(given, list) and len(given) != 2):
        raise UserError(
            f"{path}: {key}={given!r} must be pixels: a whole number, [height, width], or "
            "{'height': …, 'width': …}"
        )
    if keys == {"shortest_edge"} or (keys is None and len(values) == 1 and not is_square):
        return str(values[0])
    if keys not in (None, {"height", "width"}):
        raise UserError(f"{path}: {key}={given!r} is not supported: pictures would be no squares")
    if len(set(values)) > 1:
        raise UserError(f"{path}: {key}={given!r} is not supported: only squares are")
    return values[0]


def _scaling(
    settings: Mapping[str, Any], kind: Kind, path: Path
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """(mean, std) of `Preprocess`, for images in [0, 1], with all that is done to bytes in them."""
    white = 255.0
    if settings["do_rescale"]:
        factor = settings["rescale_factor"]
        if type(factor) not in (int, float) or not 0 < factor < float("inf"):
            raise UserError(f"{path}: rescale_factor={factor!r} must be a number above 0")
        white *= factor
    lifted = kind.scales_twice and settings["do_rescale"] and settings.get("rescale_offset")
    again = kind.scales_twice and settings["include_top"]
    mean, std = [0.0] * 3, [1.0] * 3
    if kind.normalises and (settings["do_normalize"] or again):
        deviation = _three(settings, "image_std", path)
        if settings["do_normalize"]:
            mean, std = _three(settings, "image_mean", path), deviation
        if again:
            std = [a * b for a, b in zip(std, deviation, strict=True)]
        if not all(std):
            raise UserError(f"{path}: image_std={settings['image_std']!r} must not be 0")
    shift = 1.0 if lifted else 0.0
    return tuple((m + shift) / white for m in mean), tuple(s / white for s in std)


def _three(settings: Mapping[str, Any], key: str, path: Path) -> list[float]:
    given = settings[key]
    values = given if isinstance(given, list) else [given] * 3
    if len(values) != 3 or any(type(x) not in (int, float) for x in values):
        raise UserError(f"{path}: {key}={given!r} must be a number, or one for each of 3 channels")
    return [float(x) for x in values]


def of_timm(given: Mapping[str, Any], path: Path) -> Preprocess | None:
    """What the pretrained_cfg of timm's config.json asks for; None where it does not say.

    Args:
      given: its content.
      path: where it stands.

    Raises:
      UserError: a field has a value that is none of its own, or that is not done here.
    """
    needed = ("input_size", "interpolation", "crop_pct", "mean", "std")
    if any(given.get(key) is None for key in needed):
        return None
    shape, share, mode = given["input_size"], given["crop_pct"], given.get("crop_mode", "center")
    side = shape[-1] if isinstance(shape, list) and shape else None
    if type(side) is not int or side < 1 or shape[-2:] != [side, side]:
        raise UserError(f"{path}: input_size={shape!r} is not [channels, side, side]")
    if type(share) not in (int, float) or share <= 0:
        raise UserError(f"{path}: crop_pct={share!r} must be a number above 0")
    if mode not in ("center", "squash"):
        raise UserError(f"{path}: crop_mode={mode!r} is not supported, only 'center' and 'squash'")
    if given["interpolation"] not in _RESAMPLING:
        known = ", ".join(_RESAMPLING)
        raise UserError(f"{path}: interpolation={given['interpolation']!r} is none of {known}")
    return Preprocess(
        size=side,
        resize=math.floor(side / share),
        interpolation=given["interpolation"],
        mean=tuple(_three(given, "mean", path)),
        std=tuple(_three(given, "std", path)),
        squash=mode == "squash",
    )
