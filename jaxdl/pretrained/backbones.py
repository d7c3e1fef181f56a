"""Runs of a network whose backbone begins with weights from elsewhere.

A published classifier's, a run's that learned to classify, or all of a run of the same network, or
of a published one. As `jaxdl.pretrained.transfer` has it for classifiers; a network of this kind
has ``create_backbone``, which makes the module that it calls ``backbone``. Of one that has none,
such as a YOLO, all is what begins so.
"""

import functools
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import jax
import numpy as np
from etils import epath
from flax import linen as nn
from ml_collections import ConfigDict

from jaxdl import config as settings
from jaxdl import keys, models, pretrained
from jaxdl.errors import UserError
from jaxdl.pretrained import catalog, transfer
from jaxdl.pretrained.architecture import by_name
from jaxdl.pretrained.transfer import (
    Start,
    Weights,
    begun,
    refuse,
    stamp,
    standardise_by,
    weights_of_run,
    without,
)
from jaxdl.runs import meaning

BACKBONE, STATISTICS = "backbone", "batch_stats/"


def create(config: ConfigDict, data: Any, module: nn.Module, derived: Sequence[str] = ()) -> Start:
    """How a run of ``module`` with `config.pretrained.source` begins.

    Args:
      config: all settings; those of ``module`` are its own.
      data: `jaxdl.data.Data` of images.
      module: that learns.
      derived: fields of the module, and collections, that follow from the data and belong to the
        head: with a new head they begin as ``module.init`` has them.

    Raises:
      UserError: the source is there and does not fit, or the module has no backbone for it.
    """
    refuse(config, ("generation",))
    given, image = config.pretrained, data.train.take(np.arange(1))["image"]
    path = epath.Path(given.source)
    is_run = (path / "checkpoints").is_dir()
    if is_run and (given.model or given.checkpoint_key):
        raise UserError(
            f"pretrained.model={given.model!r} and checkpoint_key={given.checkpoint_key!r}: a "
            "run's folder says by itself which model it has, and holds one"
        )
    gone, found, whole = None, {}, False
    try:
        # In a population a task is made while it is traced, and arrays are not to be part of that.
        with jax.ensure_compile_time_eval():
            if is_run:
                names = tuple(data.class_names)
                found, whole = _of_run(given.source, module, names, tuple(derived), stamp(path))
            else:
                pretrained.tensors.locate(given.source)
                given.model = given.model or _backbone(module, config)
                found, whole = _published(
                    given.source, module, given.model, image.shape[1], given.checkpoint_key or None,
                    tuple(derived), stamp(path),
                )  # fmt: skip
    except UserError as error:
        if path.exists():
            raise
        gone = error
    standardise = standardise_by(
        config, data, image.shape[-1], (is_run or gone is not None) and not given.model, path
    )
    example = lambda: (standardise(np.zeros(image.shape, np.float32)),)
    fresh = jax.eval_shape(lambda key: module.init(key, *example()), keys.abstract())
    if whole or gone is not None:
        heads = (transfer.head_of(module), tuple(derived))
    else:
        # All but the backbone is new; of the classifier its own head has no place here.
        heads = (tuple(name for name in fresh["params"] if name != BACKBONE),)
        there = by_name(fresh)
        found = _placed(found, there)
        if not found:
            raise UserError(
                f"pretrained.source={given.source} has nothing of config.model.backbone="
                f"{config.model.get(BACKBONE, '')!r}"
            )
    begin = begun(config, module, Weights(module, found), gone, example, heads)
    return begin._replace(standardise=standardise)


def _backbone(module: nn.Module, config: ConfigDict) -> str:
    if not hasattr(module, BACKBONE):
        return config.model.name
    name = getattr(module, BACKBONE)
    if not name:
        raise UserError(
            f"pretrained.source={config.pretrained.source} is of a classifier: name it by "
            "config.model.backbone, which is what learns on from it"
        )
    return name


@functools.lru_cache(maxsize=1)
def _of_run(
    source: str,
    module: nn.Module,
    class_names: tuple[str, ...],
    derived: tuple[str, ...],
    stamp: float,
) -> tuple[dict[str, np.ndarray], bool]:
    """Arrays by their names in ``module``, and whether they are of a whole one."""
    folder, earlier = epath.Path(source), settings.default()
    arrays = weights_of_run(folder, earlier, "")
    theirs = type(models.create(earlier.model.name))
    if theirs is type(module):
        kept = meaning.read(folder)
        same = kept is not None and tuple(kept.facts.class_names) == class_names
        return without(arrays, () if same else (*transfer.head_of(module), *derived)), True
    name = getattr(module, BACKBONE, "")
    if not hasattr(module, BACKBONE):
        raise UserError(
            f"pretrained.source={source} is a run of {earlier.model.name!r}, which is no "
            f"{type(module).__name__}"
        )
    if not name or theirs is not type(module.create_backbone()):
        raise UserError(
            f"pretrained.source={source} is a run of {earlier.model.name!r}, and "
            f"config.model.backbone={name!r}: they must be of the same kind"
        )
    return arrays, False


@functools.lru_cache(maxsize=1)
def _published(
    source: str,
    module: nn.Module,
    model: str,
    side: int,
    checkpoint_key: str | None,
    derived: tuple[str, ...],
    stamp: float,
) -> tuple[dict[str, np.ndarray], bool]:
    """As `_of_run`; of a whole network of another number of classes the head is left out."""
    chosen = catalog.chosen(model)
    whole = type(models.create(chosen.model)) is type(module)
    if not whole and not hasattr(module, BACKBONE):
        raise UserError(
            f"pretrained.model={model!r} is no {type(module).__name__}, which is what begins with "
            f"pretrained.source={source}"
        )
    own = module if whole else module.create_backbone()
    # All fields of a published model are its own; those that are set here are the checkpoint's too.
    usual = models.settings(chosen.model if whole else module.backbone)
    fields = {k: getattr(own, k) for k in usual if k not in ("num_classes", "dtype", *derived)}
    for name, value in chosen.fields.items() if whole else ():
        if name in fields and fields[name] != value:
            raise UserError(
                f"config.model.{name}={fields[name]} must be {value}, as pretrained.model="
                f"{model!r} has it"
            )
    fields = {k: value for k, value in fields.items() if value != usual[k]}
    size = {} if whole else dict(image_size=side)
    load = functools.partial(
        pretrained.load, source, model, checkpoint_key=checkpoint_key, **size, **fields
    )
    try:
        loaded, variables = load()
    except UserError:
        if not whole:
            raise
        # Without its head, as a network that has learned to classify, the rest may fit.
        loaded, variables = load(num_classes=module.num_classes)
        return without(_by_name(variables), (*transfer.head_of(module), *derived)), True
    if type(loaded) is not type(own):
        raise UserError(
            f"pretrained.source={source} is a {type(loaded).__name__}, and config.model.backbone="
            f"{getattr(module, BACKBONE)!r} a {type(own).__name__}"
        )
    new_head = whole and loaded.num_classes != module.num_classes
    gone = (*transfer.head_of(module), *derived) if new_head else ()
    return without(_by_name(variables), gone), whole


def _by_name(variables: Any) -> dict[str, np.ndarray]:
    return {name: np.asarray(x) for name, x in by_name(variables).items()}


def under(name: str, frozen: bool = False) -> str:
    """What a variable of the backbone is called in the whole network.

    Args:
      name: its own, as `jaxdl.pretrained.architecture.by_name` has it.
      frozen: batch norms are, so that their scale and bias are no parameters.
    """
    own = name.removeprefix(STATISTICS)
    constant = frozen and own.endswith(("/norm/scale", "/norm/bias"))
    return f"{STATISTICS if own != name or constant else ''}{BACKBONE}/{own}"


def _placed(arrays: Mapping[str, np.ndarray], there: Collection[str]) -> dict[str, np.ndarray]:
    """The backbone's arrays by their names in the whole network, of those that are there."""
    found = {}
    for name, x in arrays.items():
        places = [under(name), f"{STATISTICS}{under(name)}"]
        found |= {place: x for place in places if place in there}
    return found
