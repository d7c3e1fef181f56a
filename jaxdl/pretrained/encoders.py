"""Runs on texts that begin with an encoder's weights: a published folder's, or a run's best.

As `jaxdl.pretrained.transfer` has it for images; what is asked here besides is that the tokens are
those that the weights know.
"""

import functools
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
from etils import epath
from ml_collections import ConfigDict

from jaxdl import config as settings
from jaxdl import models, precision, pretrained
from jaxdl.data import encoded_texts, tokens
from jaxdl.errors import UserError
from jaxdl.per_member import Swept
from jaxdl.pretrained import catalog, tensors
from jaxdl.pretrained.architecture import by_name
from jaxdl.pretrained.transfer import (
    Start,
    Weights,
    begun,
    hashable,
    stamp,
    weights_of_run,
    without,
    write_model,
)
from jaxdl.runs import meaning

# Fields that the weights have no part in, or that follow from them.
_DERIVED = ("name", "num_classes", "dtype", "parent", "output", "vocab_size", "context")
# How weights begin, which a new head's still do.
_OF_NEW_WEIGHTS = ("deviation", "position_scale")

# What weights know nothing of.
_FREE = ("pooling", "dropout", "attention_dropout", "remat")

# Of an encoder's parameters those that tell a field, and by which axis.
_SIZES = {"vocab_size": ("token/embedding", 0), "context": ("position", 1)}


def create(config: ConfigDict, data: Any, context: int, derived: Mapping[str, Any]) -> Start:
    """How a run on texts with `config.pretrained.source` begins.

    Where ``config.model.name`` is not set, the model that was found is written there.

    Args:
      config: all settings.
      data: `jaxdl.data.Data` with a tokenizer.
      context: tokens of an example.
      derived: fields that follow from the task: ``output``, and ``num_classes`` where it has some.

    Raises:
      UserError: the source is not there, does not fit, or knows other tokens or fewer.
    """
    given = config.pretrained
    path = epath.Path(given.source)
    fields = {k: v for k, v in config.model.items() if k not in (*_DERIVED, *_OF_NEW_WEIGHTS)}
    swept = {k: v for k, v in fields.items() if isinstance(v, Swept)}
    fixed = hashable({k: v for k, v in fields.items() if k not in swept})
    gone = None
    try:
        with jax.ensure_compile_time_eval():  # a population's task is made while it is traced
            if (path / "checkpoints").is_dir():
                found = _of_run(
                    given.source, config.model.name, fixed, hashable(derived), config.task.name,
                    tuple(data.class_names), data.tokenizer.fingerprint, stamp(path),
                )  # fmt: skip
            else:
                found = _published(
                    given.source, given.model, config.model.name, fixed, hashable(derived),
                    stamp(path),
                )  # fmt: skip
                _check_tokenizer(config, data, found.module)
    except UserError as error:
        kept = {k: config.model[k] for k in _SIZES if k in config.model}
        if path.exists() or not config.model.name or len(kept) < len(_SIZES):
            raise
        # The source is gone; a run that has begun with it needs none.
        gone = error
        module = models.create(config.model.name, **dict(fixed), **kept, **derived)
        found = Weights(module, {})
    module, size = found.module, encoded_texts.specials(data.tokenizer).size
    if module.vocab_size < size:
        raise UserError(
            f"pretrained.source={given.source} knows {module.vocab_size} tokens, and the data have "
            f"{size}: it takes the tokenizer that it learned with (config.data.tokenizer)"
        )
    if module.context < context:
        raise UserError(
            f"pretrained.source={given.source} has positions for {module.context} tokens, and "
            f"examples have {context}: lower config.data.context by {context - module.context}"
        )
    if not config.model.name:
        write_model(config, module, "")
    with config.unlocked():  # by which config.json says it, when the source is gone
        config.model.update({field: getattr(module, field) for field in _SIZES})
    new = {k: config.model[k] for k in _OF_NEW_WEIGHTS if k in config.model}
    module = module.clone(**swept, **new, dtype=precision.compute_dtype(config.precision))
    known = catalog.of(module)
    example = lambda: np.zeros((1, 1), np.int32)
    return begun(config, module, found, gone, example, (known.head, known.neck))


@functools.lru_cache(maxsize=1)
def _published(
    source: str, model: str, name: str, fields: tuple, derived: tuple, stamp: float
) -> Weights:
    wanted, own = dict(derived), dict(fields)
    if name:
        # All fields stand in a config; those that were left as they come are the checkpoint's.
        usual = models.settings(name)
        own = {k: v for k, v in own.items() if k not in usual or v != usual[k]}
    classes = wanted.pop("num_classes", None)
    free = {k: v for k, v in own.items() if k in _FREE}
    module, variables = pretrained.load(source, model or None, classes, **free, **wanted)
    if name and type(models.create(name)) is not type(module):
        raise UserError(
            f"config.model.name={name!r}, but pretrained.source={source} is a "
            f"{type(module).__name__}"
        )
    for field, value in own.items():
        if getattr(module, field) != value:
            raise UserError(
                f"config.model.{field}={value}, but pretrained.source={source} has "
                f"{getattr(module, field)}: with config.model.name='' the model is the source's"
            )
    return Weights(module, {name: np.asarray(x) for name, x in by_name(variables).items()})


@functools.lru_cache(maxsize=1)
def _of_run(
    source: str,
    model: str,
    fields: tuple,
    derived: tuple,
    task: str,
    class_names: tuple[str, ...],
    tokenizer: str,
    stamp: float,
) -> Weights:
    folder, earlier = epath.Path(source), settings.default()
    arrays = weights_of_run(folder, earlier, model)
    kept = meaning.read(folder)
    if kept is not None and kept.facts.tokenizer != tokenizer:
        raise UserError(
            f"pretrained.source={source} learned of other tokens than these data have: set "
            f"config.data.tokenizer={kept.tokenizer!r}"
        )
    if missing := [name for name, _ in _SIZES.values() if name not in arrays]:
        raise UserError(f"pretrained.source={source} is no encoder of texts: no {missing[0]}")
    sizes = {field: arrays[name].shape[axis] for field, (name, axis) in _SIZES.items()}
    own = dict(fields) if model else dict(earlier.model)
    own = {k: v for k, v in own.items() if k not in _DERIVED}
    module = models.create(earlier.model.name, **own, **sizes, **dict(derived))
    same = earlier.task.name == task and (
        kept is not None and tuple(kept.facts.class_names) == class_names
    )
    return Weights(module, without(arrays, () if same else catalog.of(module).head))


def _check_tokenizer(config: ConfigDict, data: Any, module: Any) -> None:
    """Raises UserError where the folder says that its weights know other tokens than the data's."""
    source, given = config.pretrained.source, config.data.get("tokenizer", "")
    folder = tensors.locate(source)
    beside = (folder if folder.is_dir() else folder.parent) / "tokenizer.json"
    if beside.is_file():
        if tokens.create(str(beside)).fingerprint != data.tokenizer.fingerprint:
            raise UserError(
                f"config.data.tokenizer={given!r} is not the tokenizer of "
                f"pretrained.source={source}: set it to {str(beside)!r}"
            )
    elif not given and module.vocab_size != encoded_texts.specials(data.tokenizer).size:
        raise UserError(
            f"pretrained.source={source} knows {module.vocab_size} tokens, which bytes are not: "
            "set config.data.tokenizer to the tokenizer.json that it learned with"
        )
