"""Settings files that stand beside checkpoints, as transformers and timm write them."""

import json
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from flax import linen as nn

from jaxdl import models
from jaxdl.data.preprocess import Preprocess
from jaxdl.errors import UserError
from jaxdl.pretrained import catalog, foreign, torch_file
from jaxdl.pretrained.architecture import Architecture
from jaxdl.pretrained.catalog import Chosen

NAME = "config.json"


def read(folder: Path) -> Chosen:
    """The model that a folder's config.json describes, or a file that says itself what it holds.

    Raises:
      UserError: there is none, it is damaged, or asks for what no model here computes.
    """
    path = folder / NAME
    if not folder.is_dir():
        found = of_file(folder)
        if found is None:
            raise UserError(f"{folder} is one file: say which model it is")
        return found
    if not path.exists():
        files = ", ".join(sorted(file.name for file in folder.glob("*.pt")))
        hint = f", or name the file: {files}" if files else ""
        raise UserError(f"{folder} has no {NAME}: add it, or say which model it is{hint}")
    config = settings(folder, NAME)
    # transformers wraps timm's models too, whose settings stay the same.
    if "architecture" in config and config.get("model_type", "timm_wrapper") == "timm_wrapper":
        return _timm(config, path)
    return _transformers(config, path)


def of_file(path: Path) -> Chosen | None:
    """The model that a file says itself it holds, as OpenAI's Whispers do; None of others.

    Raises:
      UserError: it is damaged, or no weights.
    """
    if foreign.kind(path) == foreign.TORCH:
        said = torch_file.beside(path)
        for architecture in catalog.architectures():
            for naming in architecture.namings.values():
                fields = None if naming.beside is None else naming.beside(said, path)
                if fields is not None:
                    return Chosen(architecture, architecture.model, fields)
    return None


def settings(folder: Path, name: str) -> dict[str, Any]:
    """The settings in a file of a checkpoint's folder; {} if there is none.

    Raises:
      UserError: it is damaged.
    """
    path = folder / name
    if not path.is_file():
        return {}
    try:
        found = json.loads(path.read_text(encoding="utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path} is not JSON: {error}") from None
    if not isinstance(found, dict):
        raise UserError(f"{path} holds no settings, but a {type(found).__name__}")
    return found


def labels(folder: Path) -> dict[int, str]:
    """The names of classes that config.json has, by number; {} if it has none.

    transformers' are in id2label; timm's in label_names, before in labels, a list or by number too.

    Raises:
      UserError: they are no names by number.
    """
    given = settings(folder, NAME)
    of_timm = given.get("pretrained_cfg")
    groups = [given, of_timm] if isinstance(of_timm, Mapping) else [given]
    key, found = next(
        ((k, g[k]) for g in groups for k in ("id2label", "label_names", "labels") if g.get(k)),
        ("", {}),
    )
    if isinstance(found, list) and key != "id2label":
        found = dict(enumerate(found))
    try:
        return {int(i): str(name) for i, name in found.items()}
    except (ValueError, AttributeError):
        raise UserError(f"{folder / NAME}: {key} holds no names by number") from None


def _transformers(config: Mapping[str, Any], path: Path) -> Chosen:
    architecture = catalog.of_type(config.get("model_type"), str(path))
    for naming in architecture.namings.values():
        if naming.read is not None:
            of_class = _of_class(config, path, naming.classes)
            fields = {**naming.read(config, path), **of_class}
            return Chosen(architecture, architecture.model, fields)
    raise UserError(f"{path}: {architecture.model!r} is not read from settings: name the model")


def _of_class(
    config: Mapping[str, Any], path: Path, known: Mapping[str, Mapping[str, Any]]
) -> Mapping[str, Any]:
    """The fields of the class that wrote a folder, if it says which that is."""
    named = config.get("architectures")
    if not named or not known:
        return {}
    for name in named if isinstance(named, list) else [named]:
        if name in known:
            return known[name]
    raise UserError(
        f"{path}: architectures={named}: of model_type {config.get('model_type')!r} only "
        f"{' and '.join(known)} can be read"
    )


def _timm(config: Mapping[str, Any], path: Path) -> Chosen:
    name, pretrained = str(config["architecture"]), config.get("pretrained_cfg", config)
    found = catalog.library_model(f"{name}.{pretrained.get('tag')}", "timm")
    if found is None:
        raise UserError(f"{path}: no architecture {name!r} of timm's is known here")
    arguments = dict(config.get("model_args") or {})
    size = arguments.pop("img_size", None) or pretrained.get("input_size", (0, 0, 0))[-1]
    size = size[-1] if isinstance(size, list) else size
    classes = arguments.pop("num_classes", config.get("num_classes"))
    channels = arguments.pop("in_chans", 3)
    if channels != 3:
        raise UserError(f"{path}: in_chans={channels}, but published models have 3")
    if arguments:
        raise UserError(f"{path}: model_args {sorted(arguments)} are not known")
    fields = found.fields if classes is None else {**found.fields, "num_classes": classes}
    return found._replace(fields=fields, image_size=size or found.image_size)


def write(architecture: Architecture, naming: str, module: nn.Module, size: int | None) -> dict:
    """The config.json with which a library reads a module's checkpoint.

    Args:
      architecture: the module's.
      naming: the library.
      module: a module.
      size: of its images, if it can be told.

    Raises:
      UserError: the library has none for this module.
    """
    chosen = architecture.namings[naming]
    if chosen.write is not None:
        config = chosen.write(module)
        return {**config, "image_size": size} if size and "image_size" in config else config
    if naming == "timm":
        return _timm_of(architecture, module, size)
    raise UserError(f"{naming} has no {NAME}: save to a file that ends in .safetensors")


def _timm_of(architecture: Architecture, module: nn.Module, size: int | None) -> dict[str, Any]:
    for name, published in architecture.namings["timm"].models.items():
        if _settings(models.create(published.model, **published.fields)) == _settings(module):
            seen = published.preprocess
            side = size or seen.size
            return {
                "architecture": name,
                "num_classes": module.num_classes,
                "pretrained_cfg": {
                    "input_size": [3, side, side],
                    "fixed_input_size": bool(architecture.resize),
                    "interpolation": seen.interpolation,
                    "crop_pct": crop_share(seen),
                    "mean": list(seen.mean),
                    "std": list(seen.std),
                    "num_classes": module.num_classes,
                },
            }
    raise UserError(
        f"timm has no such model, so there is no {NAME}: save to a file that ends in .safetensors"
    )


def crop_share(seen: Preprocess) -> float:
    """timm's crop_pct, of which it makes ``resize`` by rounding down ``size`` over it."""
    resize = seen.resize or seen.size
    share = seen.size / resize
    return share if math.floor(seen.size / share) == resize else math.nextafter(share, 0)


def _settings(module: nn.Module) -> dict[str, Any]:
    names = module.__dataclass_fields__
    return {name: getattr(module, name) for name in names if name not in catalog.FREE}


def sizes(config: Mapping[str, Any], path: Path, keys: Mapping[str, str]) -> dict[str, int]:
    """Fields that are whole numbers from 1 on, for `Naming.read`.

    Args:
      config: the settings.
      path: where they stand.
      keys: {the module's field: the settings' key}.

    Raises:
      UserError: one is missing or is no size.
    """
    for key in keys.values():
        value = config.get(key)
        if type(value) is not int or value < 1:
            raise UserError(f"{path}: {key}={value!r} must be a whole number from 1 on")
    return {field: config[key] for field, key in keys.items()}


def sides(
    config: Mapping[str, Any], path: Path, model: str, keys: Mapping[str, str]
) -> dict[str, int]:
    """`sizes` of an encoder-decoder whose fields are alike on both sides.

    Args:
      config: as of `sizes`, like the path.
      path: where they stand.
      model: its name.
      keys: {the module's field: the settings' key, with {} in place of "encoder" and "decoder"}.

    Raises:
      UserError: one is missing, is no size, or differs between the sides.
    """
    fields = {}
    for field, key in keys.items():
        named = {side: key.format(side) for side in ("encoder", "decoder")}
        found = sizes(config, path, named)
        if found["encoder"] != found["decoder"]:
            told = " and ".join(f"{named[side]}={size}" for side, size in found.items())
            raise UserError(f"{path}: {told}, but model {model!r} has as many in both")
        fields[field] = found["encoder"]
    return fields


def their_sides(module: nn.Module, keys: Mapping[str, str]) -> dict[str, int]:
    """What `sides` reads, for `Naming.write`."""
    return {
        key.format(side): getattr(module, field)
        for field, key in keys.items()
        for side in ("encoder", "decoder")
    }


# {what transformers calls an activation: what it is called here}.
_ACTIVATIONS = dict(
    gelu="gelu",
    gelu_new="gelu_tanh",
    gelu_pytorch_tanh="gelu_tanh",
    relu="relu",
    silu="silu",
    swish="silu",
)


def activation(theirs: Any, path: Path, key: str) -> str:
    """The name in `jaxdl.ops.activations`, for `Naming.read`; ``key`` is where it stands.

    Raises:
      UserError: it is none that is known here.
    """
    if theirs not in _ACTIVATIONS:
        raise UserError(f"{path}: {key}={theirs!r} is none of {', '.join(_ACTIVATIONS)}")
    return _ACTIVATIONS[theirs]


def their_activation(ours: str) -> str:
    """What transformers calls it, for `Naming.write`.

    Raises:
      UserError: it is none that transformers' file can name.
    """
    for theirs, name in _ACTIVATIONS.items():
        if name == ours:
            return theirs
    raise UserError(f"transformers has no activation {ours!r} in its language models")


def number(config: Mapping[str, Any], path: Path, key: str, default: float) -> float:
    """A number from 0 on, for `Naming.read`.

    Raises:
      UserError: it is none.
    """
    value = config.get(key, default)
    if type(value) not in (int, float) or not 0 <= value < math.inf:
        raise UserError(f"{path}: {key}={value!r} must be a number from 0 on")
    return float(value)


def check(config: Mapping[str, Any], path: Path, model: str, fixed: Mapping[str, Iterable]) -> None:
    """Raises UserError where settings ask for what a model does not compute, for `Naming.read`.

    Args:
      config: the settings.
      path: where they stand.
      model: its name.
      fixed: {key: values with which the model computes the same}; the first is that of settings
        without the key.
    """
    for key, values in fixed.items():
        if config.get(key, values[0]) not in values:
            raise UserError(f"{path}: {key}={config[key]!r}, but model {model!r} has {values[0]!r}")
