"""Published checkpoints: read into jaxdl's modules, and written so that their libraries read them.

>>> module, variables = load("gpt2/")  # a folder with config.json and model.safetensors
>>> logits = module.apply(variables, tokens)

An architecture is one file here, with one table that maps tensors' names and layouts both ways.
"""

import json
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from jaxdl import models
from jaxdl.errors import UserError, nearest
from jaxdl.pretrained import tensors
from jaxdl.pretrained.architecture import Architecture, find
from jaxdl.registry import Registry

_registry = Registry("architecture", "jaxdl.pretrained")
register = _registry.register

CONFIG = "config.json"


def load(folder: str | Path, model: str | None = None, **fields: Any) -> tuple[nn.Module, Any]:
    """The model in a folder as Hugging Face's libraries write them.

    Args:
      folder: has ``config.json``, and ``model.safetensors`` or, sharded,
        ``model.safetensors.index.json`` and the files that it names.
      model: a name of `jaxdl.models`; by default what config.json says. With it there need be no
        config.json.
      **fields: of the module, in place of config.json's: dtype, dropout, remat … Dropout rates are
        0 by default, whatever config.json says.

    Returns:
      (module, variables): parameters in float32 whatever the file's dtype.

    Raises:
      UserError: the folder or a file of it is missing or damaged; its architecture is not known, or
        differs in what the module has built in; or tensors are missing, are there in excess or have
        another shape: all of these by name.
    """
    folder = Path(folder)
    config = _read_config(folder, needed=model is None)
    if model is not None:
        module = models.create(model, **fields)
        architecture = _of(module)
    else:
        architecture = _named(folder, config)
        sizes = architecture.fields(config, folder / CONFIG)
        module = models.create(architecture.model, **{**sizes, **fields})
    architecture.check(config, folder / CONFIG)
    with tensors.opened(folder) as found:
        flat = architecture.table.to_ours(architecture.shapes(module), found, str(folder))
    return module, jax.tree.map(jnp.asarray, architecture.unflatten(module, flat))


def save(module: nn.Module, variables: Any, folder: str | Path) -> None:
    """Writes ``config.json`` and ``model.safetensors``, which `load` and the original library read.

    Args:
      module: of an architecture that is known here.
      variables: as ``module.init`` gives them.
      folder: made if it is not there; files of these names are replaced.

    Raises:
      UserError: the architecture is not known, or the variables are not the module's.
    """
    folder, architecture = Path(folder), _of(module)
    theirs = architecture.table.to_theirs(architecture.flatten(module, variables))
    folder.mkdir(parents=True, exist_ok=True)
    tensors.write(folder, theirs)
    (folder / CONFIG).write_text(json.dumps(architecture.config(module), indent=2) + "\n")


def _read_config(folder: Path, needed: bool) -> dict[str, Any]:
    path = folder / CONFIG
    if not folder.is_dir():
        raise UserError(f"{folder} is no folder: it should have {CONFIG} and {tensors.WHOLE}")
    if not path.exists():
        if needed:
            raise UserError(f"{folder} has no {CONFIG}: add it, or say which model it is")
        return {}
    try:
        config = json.loads(path.read_text())
    except ValueError as error:
        raise UserError(f"{path} is not JSON: {error}") from None
    if not isinstance(config, dict):
        raise UserError(f"{path} holds no settings, but a {type(config).__name__}")
    return config


def _named(folder: Path, config: dict[str, Any]) -> Architecture:
    name = str(config.get("model_type"))
    if name not in _registry.names():
        known = nearest(name, _registry.names())
        raise UserError(f"{folder / CONFIG}: no architecture for model_type {name!r}: {known}")
    return _registry.get(name)


def _of(module: nn.Module) -> Architecture:
    return find(module, [_registry.get(name) for name in _registry.names()])
