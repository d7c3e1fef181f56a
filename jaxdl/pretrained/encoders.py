"""Runs on texts that begin with weights from elsewhere: a published folder's, or a run's best.

Of encoders, and of encoder-decoders. As `jaxdl.pretrained.transfer` has it for images; what is
asked here besides is that the tokens are those that the weights know.
"""

import functools
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import numpy as np
from etils import epath
from ml_collections import ConfigDict

from jaxdl import config as settings
from jaxdl import keys, models, precision, pretrained
from jaxdl.data import encoded_texts, tokens
from jaxdl.errors import UserError
from jaxdl.generate import Settings, entries
from jaxdl.models.bart import OFFSET
from jaxdl.per_member import Swept
from jaxdl.pretrained import catalog, generation_config, tensors
from jaxdl.pretrained.architecture import Architecture, by_name, is_under
from jaxdl.pretrained.transfer import (
    Start,
    Weights,
    begun,
    hashable,
    refuse,
    stamp,
    weights_of_run,
    without,
    write_model,
)
from jaxdl.runs import meaning, workdir

# Fields that the weights have no part in, or that follow from them.
_DERIVED = ("name", "num_classes", "dtype", "parent", "output", "vocab_size", "context")
# How weights begin, which a new head's still do.
_OF_NEW_WEIGHTS = ("deviation", "position_scale")

# What weights know nothing of.
_FREE = ("pooling", "dropout", "attention_dropout", "activation_dropout", "remat")

# The parameters that tell a field: names of which a model has one, by which axis, and how many more
# there are.
_SIZES = {
    "vocab_size": (("token/embedding", 0, 0),),
    "context": (
        ("position", 1, 0),
        ("encoder_position", 1, OFFSET),
        ("decoder_position", 1, 0),
    ),
}

# Settings of `config.pretrained` that are of images, or of files that hold several models.
_UNUSED = ("mean", "std", "checkpoint_key")


class Wanted(NamedTuple):
    """What a run on texts asks of the weights that it begins with.

    Attributes:
      size: tokens that the data have, special ones among them.
      context: positions that an example needs.
      shorter: the settings by which examples get shorter, for messages.
      derived: fields that follow from the task: ``output``, and ``num_classes`` where it has some.
      check: raises UserError for a module of another kind than the task's.
      writes: whether the task has texts written.
      fields: of the model, where the weights are those of a run whose config does not have them.
    """

    size: int
    context: int
    shorter: str
    derived: Mapping[str, Any] = {}
    check: Callable[[Any], None] = lambda module: None
    writes: bool = False
    fields: Mapping[str, Any] = {}


def create(config: ConfigDict, data: Any, wanted: Wanted) -> Start:
    """How a run on texts with `config.pretrained.source` begins.

    Where ``config.model.name`` is not set, the model that was found is written there.

    Args:
      config: all settings.
      data: `jaxdl.data.Data` with a tokenizer.
      wanted: what the task asks for.

    Raises:
      UserError: the source is not there, does not fit, or knows other tokens or fewer.
    """
    given, derived = config.pretrained, wanted.derived
    refuse(config, _UNUSED if wanted.writes else (*_UNUSED, "generation"))
    path = epath.Path(given.source)
    fields = {k: v for k, v in config.model.items() if k not in (*_DERIVED, *_OF_NEW_WEIGHTS)}
    swept = {k: v for k, v in fields.items() if isinstance(v, Swept)}
    fixed = hashable({k: v for k, v in fields.items() if k not in swept})
    gone = None
    try:
        with jax.ensure_compile_time_eval():  # a population's task is made while it is traced
            if (path / "checkpoints").is_dir():
                found = of_run(
                    given.source, config.model.name, fixed, hashable(derived), config.task.name,
                    tuple(data.class_names), data.tokenizer.fingerprint, hashable(wanted.fields),
                    stamp(path),
                )  # fmt: skip
            else:
                # Of its kind before the weights are read, which no other kind's fields fit.
                wanted.check(models.create(architecture(given.source, given.model)))
                found = _published(
                    given.source, given.model, config.model.name, fixed, hashable(derived),
                    stamp(path),
                )  # fmt: skip
                wanted.check(found.module)
                _check_tokenizer(config, data, found.module, wanted.size)
    except UserError as error:
        if path.exists() or not config.model.name:
            raise
        sized = _sized(config.model.name)
        kept = {k: config.model[k] for k in sized if k in config.model}
        if len(kept) < len(sized):
            raise
        # The source is gone; a run that has begun with it needs none.
        gone = error
        module = models.create(config.model.name, **dict(fixed), **kept, **derived)
        found = Weights(module, {})
    module = found.module
    wanted.check(module)
    if module.vocab_size < wanted.size:
        raise UserError(
            f"pretrained.source={given.source} knows {module.vocab_size} tokens, and the data have "
            f"{wanted.size}: it takes the tokenizer that it learned with (config.data.tokenizer)"
        )
    context = getattr(module, "context", wanted.context)
    if context < wanted.context:
        raise UserError(
            f"pretrained.source={given.source} has positions for {context} tokens, and examples "
            f"have {wanted.context}: lower {wanted.shorter} by {wanted.context - context}"
        )
    new = {k: config.model[k] for k in _OF_NEW_WEIGHTS if k in config.model}
    # By which config.json says it, when the source is gone.
    write_model(config, module, config.model.name)
    with config.unlocked():
        config.model.update(swept | new)
    module = module.clone(**swept, **new, dtype=precision.compute_dtype(config.precision))
    known = catalog.of(module)
    example = lambda: [np.zeros(x.shape, x.dtype) for x in known.inputs(module, None)]
    return begun(config, module, found, gone, example, (known.head, known.neck, known.optional))


def generation(config: ConfigDict, data: Any) -> Settings | None:
    """How texts are written by what `config.pretrained.source` has; None where it does not say.

    It is written to `config.pretrained.generation`, by which config.json says it when the source is
    gone.

    Raises:
      UserError: the source is not there, says it wrongly, or has another tokenizer than the data.
    """
    given = config.pretrained
    if not given.generation:
        path = epath.Path(given.source)
        if (path / "checkpoints").is_dir():
            _meaning(path, data.tokenizer.fingerprint)  # whose tokens it tells of
            given.generation = tuple(workdir.stored(path).get("pretrained.generation", ()))
        else:
            _same_tokenizer(config, data)  # whose tokens it tells of
            given.generation = entries.listed(generation_config.beside(given.source))
    if not given.generation:
        return None
    where = "config.pretrained.generation"
    return Settings.of(entries.parsed(given.generation, where))


def _sized(model: str) -> list[str]:
    """The fields of a model that tell its sizes, as of `_SIZES`."""
    return [field for field in _SIZES if field in models.settings(model)]


def architecture(source: str, model: str) -> str:
    """Its name in `jaxdl.models`: as ``model`` says, or the folder's config.json."""
    if model:
        return catalog.chosen(model).model
    return pretrained.config.read(tensors.locate(source)).model


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
def of_run(
    source: str,
    model: str,
    fields: tuple,
    derived: tuple,
    task: str,
    class_names: tuple[str, ...],
    tokenizer: str,
    further: tuple,
    stamp: float,
) -> Weights:
    """The weights of an earlier run, whose head is left out where it is another task's.

    Args:
      source: its folder.
      model: that it must be of; "" for any.
      fields: of the model, as of `transfer.hashable`; so are derived and further.
      derived: those that follow from the task.
      task: that learns on.
      class_names: of its data.
      tokenizer: fingerprint of its data's.
      further: fields, where the earlier run's config does not have them.
      stamp: of `transfer.stamp`.
    """
    folder, earlier = epath.Path(source), settings.default()
    arrays = weights_of_run(folder, earlier, model)
    kept = _meaning(folder, tokenizer)
    sizes = {}
    for field in _sized(earlier.model.name):
        there = [size for size in _SIZES[field] if size[0] in arrays]
        if there:
            name, axis, more = there[0]
            sizes[field] = arrays[name].shape[axis] - more
    if not sizes:
        raise UserError(f"pretrained.source={source} reads no texts: it has no table of tokens")
    own = dict(further) | (dict(fields) if model else dict(earlier.model))
    own = {k: v for k, v in own.items() if k not in _DERIVED}
    module = models.create(earlier.model.name, **own, **sizes, **dict(derived))
    same = earlier.task.name == task and (
        kept is not None and tuple(kept.facts.class_names) == class_names
    )
    known = catalog.of(module)
    arrays = _of_this_size(module, without(arrays, () if same else known.head), known)
    return Weights(module, arrays)


def _of_this_size(
    module: Any, arrays: dict[str, np.ndarray], known: Architecture
) -> dict[str, np.ndarray]:
    """Weights without what nobody learned and is of another size, such as places in longer sounds.

    It is then as the model makes it.
    """
    if not any(is_under(name, known.optional) for name in arrays):
        return arrays
    shapes = (jax.ShapeDtypeStruct(x.shape, x.dtype) for x in known.inputs(module, None))
    fresh = by_name(jax.eval_shape(module.init, keys.abstract(), *shapes))
    fits = lambda name, x: name in fresh and fresh[name].shape == x.shape
    return {n: x for n, x in arrays.items() if not is_under(n, known.optional) or fits(n, x)}


def _meaning(folder: epath.Path, tokenizer: str) -> meaning.Meaning | None:
    """What an earlier run keeps, if it does; UserError if of other tokens than ``tokenizer``'s."""
    kept = meaning.read(folder)
    if kept is not None and kept.facts.tokenizer != tokenizer:
        raise UserError(
            f"pretrained.source={folder} learned of other tokens than these data have: set "
            f"config.data.tokenizer={kept.tokenizer!r}"
        )
    return kept


def _check_tokenizer(config: ConfigDict, data: Any, module: Any, size: int) -> None:
    """Raises UserError where weights know other tokens than the data's, as far as it shows."""
    source, given = config.pretrained.source, config.data.get("tokenizer", "")
    if not _same_tokenizer(config, data) and not given and module.vocab_size != size:
        raise UserError(
            f"pretrained.source={source} knows {module.vocab_size} tokens, which bytes are not: "
            "set config.data.tokenizer to the tokenizer.json that it learned with"
        )


def tokenizer_of(source: Any, module: Any) -> tokens.Tokenizer:
    """The tokenizer.json beside the weights of an encoder of texts.

    Args:
      source: as of `jaxdl.pretrained.load`.
      module: that came of it.

    Raises:
      UserError: it is not there, or has tokens that the weights do not know, special ones among
        them.
    """
    file = tensors.folder_of(source) / "tokenizer.json"
    found = tokens.create(str(file))
    special = encoded_texts.specials(found)
    if special.size > module.vocab_size:
        without = f", without {', '.join(special.appended)}" if special.appended else ""
        raise UserError(
            f"{file} has {found.size} tokens{without}, and the weights know {module.vocab_size}: "
            "it is not the tokenizer that they learned with"
        )
    return found


def _same_tokenizer(config: ConfigDict, data: Any) -> bool:
    """Whether a tokenizer.json stands beside the weights; UserError where the data have another."""
    source, given = config.pretrained.source, config.data.get("tokenizer", "")
    beside = tensors.folder_of(source) / "tokenizer.json"
    if not beside.is_file():
        return False
    if tokens.create(str(beside)).fingerprint != data.tokenizer.fingerprint:
        raise UserError(
            f"config.data.tokenizer={given!r} is not the tokenizer of pretrained.source={source}: "
            f"set it to {str(beside)!r}"
        )
    return True
