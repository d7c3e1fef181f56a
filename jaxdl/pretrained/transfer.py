"""Runs that begin with weights from elsewhere: a published checkpoint, or an earlier run's best.

`config.pretrained` says which. The weights are read when a run begins, and are part of its state
from then on: what goes on with it, or evaluates it, reads its own checkpoints alone.
"""

import functools
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from etils import epath
from flax import linen as nn
from ml_collections import ConfigDict

from jaxdl import config as settings
from jaxdl import keys, models, optim, precision, pretrained
from jaxdl.data.preprocess import Preprocess, standardised
from jaxdl.errors import UserError
from jaxdl.optim import lora
from jaxdl.per_member import Swept
from jaxdl.pretrained import catalog
from jaxdl.pretrained.architecture import by_name, is_under, name_of
from jaxdl.pretrained.differences import compare, complain
from jaxdl.runs import checkpoint, meaning, workdir

# Fields of a module that its weights have no part in.
_OURS = ("name", "num_classes", "dtype", "parent")

# Settings of data that leave it open which classes there are.
_SAME_CLASSES = (
    *("split", "test_fraction", "split_seed", "eval_on", "anomaly", "label_noise"),
    *("labels_per_class", "label_seed", "image_size"),
)


class Start(NamedTuple):
    """What a run begins with.

    Attributes:
      module: its model.
      variables: what ``module.init`` returned -> the same with the weights in it, free to jit.
      standardise: images (batch, h, w, c) in [0, 1] -> what the model takes.
      check: raises UserError if the weights are not there; a run that has begun needs none.
    """

    module: nn.Module
    variables: Callable[[Any], Any]
    standardise: Callable[[jax.Array], jax.Array]
    check: Callable[[], None]


def fresh(module: nn.Module) -> Start:
    """The start of a module whose weights are drawn."""
    return Start(module, lambda fresh: fresh, lambda x: x, lambda: None)


class Weights(NamedTuple):
    """What was read.

    Attributes:
      module: that they fit, with as many classes as are wanted.
      arrays: by name, on the host; a head that is to be new is left out.
    """

    module: nn.Module
    arrays: Mapping[str, np.ndarray]


def create(config: ConfigDict, data: Any, num_classes: int) -> Start:
    """How a run with `config.pretrained.source` begins.

    Where ``config.model.name`` is not set, the model that was found is written there; and in
    ``config.pretrained.model``, whose images published weights see.

    Args:
      config: all settings.
      data: `jaxdl.data.Data`.
      num_classes: logits that are wanted.

    Raises:
      UserError: the source is there and does not fit, or is not there and nothing else says which
        model it is.
    """
    refuse(config, ("generation",))
    given, image = config.pretrained, data.train.take(np.arange(1))["image"]
    path = epath.Path(given.source)
    is_run = (path / "checkpoints").is_dir()
    if is_run and given.model:
        raise UserError(
            f"pretrained.model={given.model!r}: a run's folder says by itself which model it has"
        )
    if is_run and given.checkpoint_key:
        raise UserError(
            f"pretrained.checkpoint_key={given.checkpoint_key!r}: a run's folder holds one model"
        )
    if given.model and config.model.name and _chosen(given.model)[0] != config.model.name:
        raise UserError(
            f"config.model.name={config.model.name!r} is not pretrained.model={given.model!r}: "
            "set one of them"
        )
    fields = {k: v for k, v in config.model.items() if k not in _OURS}
    swept = {k: v for k, v in fields.items() if isinstance(v, Swept)}
    fixed = hashable({k: v for k, v in fields.items() if k not in swept})
    gone = None
    try:
        # In a population a task is made while it is traced, and arrays are not to be part of that.
        with jax.ensure_compile_time_eval():
            if is_run:
                data_set = hashable(_data_set(settings.flatten(config)))
                name = config.model.name
                names = tuple(data.class_names)
                found = _of_run(
                    given.source, name, fixed, names, num_classes, data_set, stamp(path)
                )
            else:
                name = given.model or config.model.name
                found = _published(
                    given.source, name, fixed, num_classes, image.shape[1],
                    given.checkpoint_key or None, stamp(path),
                )  # fmt: skip
    except UserError as error:
        if path.exists():
            raise
        name, own = (config.model.name, {}) if config.model.name else _chosen(given.model, error)
        module = models.create(name, **{**own, **dict(fixed)}, num_classes=num_classes)
        found, gone = Weights(module, {}), error
    if not config.model.name:
        write_model(config, found.module, _chosen(given.model)[0] if given.model else "")
    module = found.module.clone(**swept, dtype=precision.compute_dtype(config.precision))
    standardise = standardise_by(config, data, image.shape[-1], is_run or gone is not None, path)
    example = lambda: (standardise(np.zeros(image.shape, np.float32)),)
    return begun(config, module, found, gone, example, (head_of(module),))._replace(
        standardise=standardise
    )


def refuse(config: ConfigDict, unused: Sequence[str]) -> None:
    """Raises UserError for the first of these settings of `config.pretrained` that is given."""
    for name in unused:
        if value := config.pretrained[name]:
            raise UserError(
                f"config.pretrained.{name}={value!r}: task {config.task.name!r} has no use of it"
            )


def begun(
    config: ConfigDict,
    module: nn.Module,
    found: Weights,
    gone: UserError | None,
    example: Callable[[], Sequence[Any]],
    heads: Sequence[tuple[str, ...]],
) -> Start:
    """A run's beginning with the weights that were found.

    Args:
      config: all settings.
      module: that learns.
      found: the weights.
      gone: what is to be raised once they are needed, where there are none.
      example: makes what the module takes, of one example: arrays.
      heads: top-level submodules that may be new, each group as a whole; the first is the head, ()
        of a model that has none.

    Raises:
      UserError: the weights do not fit.
    """
    given, head = config.pretrained, heads[0]
    fresh = jax.eval_shape(lambda key: module.init(key, *example()), keys.abstract())
    optim.matching(fresh["params"], given.fresh, "pretrained.fresh")
    kept = lambda arrays: _not_named(arrays, given.fresh)
    found = found._replace(arrays=kept(found.arrays))
    if head and not any(is_under(name, head) for name in by_name(fresh)):
        raise UserError(f"pretrained.source={given.source}: the model has no head called {head}")
    if gone is None:
        _check_fit(given.source, kept(by_name(fresh)), found.arrays, heads)

    def check() -> None:
        if gone is not None:
            raise gone

    def arrays() -> dict[str, np.ndarray]:
        check()
        return dict(found.arrays)

    def variables(fresh: Any) -> Any:
        leaves = by_name(fresh)
        names = found.arrays if gone is None else kept(leaves)
        # As constants of the program they would be compiled with it, a second for each 10 MB.
        shapes = {k: jax.ShapeDtypeStruct(leaves[k].shape, leaves[k].dtype) for k in names}
        given = jax.pure_callback(arrays, shapes)
        return jax.tree.map_with_path(lambda path, x: given.get(name_of(path), x), fresh)

    return Start(module, variables, lambda images: images, check)


# The two kinds of sources. What was read last is kept: a population's task is made several times.


@functools.lru_cache(maxsize=1)
def _published(
    source: str, model: str, fields: tuple, num_classes: int, side: int,
    checkpoint_key: str | None, stamp: float,
) -> Weights:  # fmt: skip
    own = dict(fields)
    if models.knows(model):
        # All fields stand in a config; those that were left as they come are the checkpoint's.
        usual = models.settings(model)
        own = {k: v for k, v in own.items() if k not in usual or v != usual[k]}
    own |= dict(image_size=side, checkpoint_key=checkpoint_key)
    load = functools.partial(pretrained.load, source, model or None, **own)
    try:
        module, variables = load()
        new_head = module.num_classes != num_classes
    except UserError:  # of a checkpoint without a head the rest may fit
        module, variables = load(num_classes=num_classes)
        new_head = True
    module = module.clone(num_classes=num_classes)
    head = head_of(module) if new_head else ()
    arrays = {name: np.asarray(x) for name, x in by_name(variables).items()}
    return Weights(module, without(arrays, head))


@functools.lru_cache(maxsize=1)
def _of_run(
    source: str,
    model: str,
    fields: tuple,
    class_names: tuple[str, ...],
    num_classes: int,
    data_set: tuple,
    stamp: float,
) -> Weights:
    folder, earlier = epath.Path(source), settings.default()
    arrays = weights_of_run(folder, earlier, model)
    own = dict(fields) if model else {k: v for k, v in earlier.model.items() if k not in _OURS}
    module = models.create(earlier.model.name, **own, num_classes=num_classes)
    kept, same = meaning.read(folder), dict(data_set) == _data_set(settings.flatten(earlier))
    if kept is not None:  # the same folder may hold other classes by now
        same = same and kept.facts.class_names == [*class_names]
    return Weights(module, without(arrays, () if same else head_of(module)))


def weights_of_run(folder: epath.Path, earlier: ConfigDict, model: str) -> dict[str, np.ndarray]:
    """An earlier run's best weights, or its newest, by name; moving averages if it kept some.

    Args:
      folder: its workdir.
      earlier: is filled with its settings.
      model: that it must be of; "" for any.

    Raises:
      UserError: it is of another model, or of a population.
    """
    workdir.adopt(folder, earlier)
    if model and model != earlier.model.name:
        raise UserError(
            f"config.model.name={model!r}, but pretrained.source={folder} is a run of "
            f"{earlier.model.name!r}"
        )
    with checkpoint.Checkpoints(folder, earlier, read_only=True) as checkpoints:
        step = checkpoints.best_step()
    state = checkpoint.restore(folder, step)
    state = state.get("learner", state)  # of what keeps more than a network
    if "params" not in state:
        raise UserError(
            f"pretrained.source={folder} is no run of one network: of a population, a member's own "
            "folder is (--config.member=0, or another)"
        )
    params, model_state = state.get("average") or (state["params"], state["model_state"])
    if adapted := state.get("adapted"):
        params = lora.merged(lora.Adapted(**adapted), params)
    found = by_name({"params": params, **(model_state or {})})
    return {name: np.asarray(x) for name, x in found.items()}


def _data_set(flat: Mapping[str, Any]) -> dict[str, Any]:
    """Of a flat config what says which classes there are, by which numbers."""
    own = {k.removeprefix("data."): v for k, v in flat.items() if k.startswith("data.")}
    return {k: hashable(v) for k, v in own.items() if k not in _SAME_CLASSES}


def stamp(path: epath.Path) -> float:
    """Another number once a file or a run's checkpoints have changed."""
    there = [p for p in (path, path / "checkpoints") if p.exists()]
    return max((p.stat().mtime for p in there), default=0.0)


# Models


def _chosen(name: str, otherwise: UserError | None = None) -> tuple[str, dict[str, Any]]:
    """(our name, fields) of a model by a library's name or ours."""
    if not name and otherwise is not None:
        raise otherwise
    found = catalog.chosen(name)
    return found.model, found.fields


def head_of(module: nn.Module) -> tuple[str, ...]:
    """The top-level submodules that depend on the number of classes."""
    try:
        return catalog.of(module).head
    except UserError:
        return ("head",)


def without(arrays: Mapping[str, Any], head: tuple[str, ...]) -> dict[str, Any]:
    """Those of no submodule in ``head``."""
    return {name: x for name, x in arrays.items() if not is_under(name, head)}


def _not_named(arrays: Mapping[str, Any], patterns: Sequence[str]) -> dict[str, Any]:
    """Those in whose names none of the regular expressions is found."""
    named = lambda name: any(re.search(p, name.removeprefix("batch_stats/")) for p in patterns)
    return {name: x for name, x in arrays.items() if not named(name)}


def write_model(config: ConfigDict, module: nn.Module, name: str) -> None:
    """So that a run's config.json holds its model, and who evaluates it needs no source."""
    name = name or next(n for n in models.names() if type(models.create(n)) is type(module))
    fields = {k: getattr(module, k) for k in models.settings(name) if k not in _OURS}
    with config.unlocked():
        config.model = ConfigDict(
            {"name": name} | {k: v for k, v in fields.items() if v is not None}
        )


def _check_fit(
    source: str,
    leaves: Mapping[str, Any],
    arrays: Mapping[str, np.ndarray],
    heads: Sequence[tuple[str, ...]],
) -> None:
    wanted = {name: x.shape for name, x in leaves.items()}
    found = {name: x.shape for name, x in arrays.items()}
    for head in heads:
        if not set(found) - set(without(found, head)):  # it is a new one
            wanted = without(wanted, head)
    complain(f"pretrained.source={source} does not fit the model", *compare(wanted, found))


def hashable(value: Any) -> Any:
    """Settings as what a cache can know them by: tuples, of mappings sorted pairs."""
    if isinstance(value, Mapping):
        return tuple(sorted((k, hashable(v)) for k, v in value.items()))
    return tuple(map(hashable, value)) if isinstance(value, list | tuple) else value


# Images


def standardise_by(
    config: ConfigDict, data: Any, channels: int, is_run: bool, path: Any
) -> Callable[[jax.Array], jax.Array]:
    """Published weights see what they were trained on; those of a run, what any run sees.

    Args:
      config: all settings; of published weights, what is found is written to `config.pretrained`.
      data: `jaxdl.data.Data`, by whose mean and deviation a run's images are standardised.
      channels: of the images.
      is_run: whether the weights are a run's.
      path: of published ones.

    Raises:
      UserError: nobody says how, or it is of other channels.
    """
    given, published = config.pretrained, None
    if bool(given.mean) != bool(given.std):
        raise UserError("pretrained.mean and pretrained.std: set both, or none")
    if given.model or not is_run:
        name = given.model or config.model.name
        try:
            published = pretrained.preprocess(name)
            given.model = name  # by which config.json says it, when the source is gone
        except UserError:
            said = None if given.model or given.mean else pretrained.preprocessor.beside(path)
            if said is not None and said.channels == "rgb":
                given.mean, given.std = said.mean, said.std  # also when the source is gone
            if not given.mean:
                raise UserError(
                    f"no published model is called {name!r}: say how its images are standardised "
                    "by pretrained.mean and pretrained.std, or which it is by pretrained.model"
                ) from None
    mean, std = (given.mean, given.std) if given.mean else (data.mean, data.std)
    if published is None:
        published = Preprocess(mean=tuple(mean), std=tuple(std))
    elif given.mean:
        published = published._replace(mean=tuple(mean), std=tuple(std))
    wanted = len(published.mean)
    if len(published.std) != wanted or (channels != wanted and 1 not in (channels, wanted)):
        raise UserError(
            f"the images have {channels} channels, and pretrained.mean and pretrained.std "
            f"{wanted} and {len(published.std)}"
        )

    def standardise(images: jax.Array) -> jax.Array:
        if channels == 1 < wanted:  # grey in all colours
            images = images.repeat(wanted, axis=-1)
        return standardised(images, published)

    return standardise
