"""Networks by whose maps pictures are compared, and which are not to change: losses see by them.

A classifier: VGG with its published weights (Simonyan and Zisserman, 2014), a run's, or the small
one that comes with the package, which has learned to tell parts of two photographs from each other.

>>> seen = create("vgg19-dcbb9e9d.pth", "vgg19", ("relu1_1", "relu4_2"))
>>> maps = seen.look(seen.variables(), pictures)
"""

import functools
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from etils import epath
from flax import linen as nn

from jaxdl import config as settings
from jaxdl import keys, models, paths, pretrained
from jaxdl.data.preprocess import Preprocess, standardised
from jaxdl.errors import UserError, nearest
from jaxdl.models.vgg import VGG
from jaxdl.pretrained import catalog
from jaxdl.pretrained.architecture import by_name, is_under, name_of
from jaxdl.pretrained.differences import compare, complain
from jaxdl.pretrained.transfer import stamp, weights_of_run
from jaxdl.runs import meaning, workdir

OWN = "photographs"
_OWN_FILE = Path(__file__).parent / "photographs_vgg.npz"
_OWN_FIELDS = dict(stages=(1, 1, 1, 1), channels=(16, 32, 48, 64), batch_norm=True)

# Pixels a side of a picture by which shapes are found; every classifier here takes them.
_SIDE = 96

# How VGG's layers are called where it is used so: stage and place from 1 on.
_OF_VGG = re.compile(r"(conv|relu)([1-9])_([1-9])")


class Source(NamedTuple):
    """A classifier and where its weights come from.

    Attributes:
      name: for messages.
      module: the classifier.
      preprocess: of which mean, std and the order of channels count.
      read: () -> {name: array} of all that it has, on the host.
    """

    name: str
    module: nn.Module
    preprocess: Preprocess
    read: Callable[[], Mapping[str, np.ndarray]]


class Perception(NamedTuple):
    """A network that is not to change, as far as the deepest of some layers.

    Attributes:
      source: what it is.
      layers: {as it was asked for: path of the submodule whose result it is}.
      shapes: its variables without values, none of what lies behind the layers.
    """

    source: Source
    layers: Mapping[str, str]
    shapes: Any

    def check(self) -> None:
        """Raises UserError where the weights cannot be read, or are not the network's."""
        wanted = {name: x.shape for name, x in by_name(self.shapes).items()}
        found = {name: x.shape for name, x in self._arrays().items()}
        found = {name: found[name] for name in found if name in wanted}
        complain(f"{self.source.name} is not the network's", *compare(wanted, found))

    def variables(self) -> Any:
        """Its variables; free to jit, where they are no constants of the program."""
        leaves = by_name(self.shapes)

        def arrays() -> dict[str, np.ndarray]:
            self.check()
            found = self._arrays()
            return {name: np.asarray(found[name], x.dtype) for name, x in leaves.items()}

        given = jax.pure_callback(arrays, leaves)
        return jax.tree.map_with_path(lambda path, _: given[name_of(path)], self.shapes)

    def look(self, variables: Any, images: jax.Array) -> dict[str, jax.Array]:
        """{layer: (batch, h', w', c')} of pictures (batch, h, w, c), uint8 or in [0, 1].

        Grey ones are seen in all colours. They are standardised as the network learned to see them:
        of published weights by the mean and deviation of ImageNet's colours.
        """
        wanted = len(self.source.preprocess.mean)
        if images.shape[-1] == 1 < wanted:
            images = images.repeat(wanted, axis=-1)
        seen = standardised(images, self.source.preprocess)
        return maps(self.source.module, variables, seen, self.layers)

    def _arrays(self) -> Mapping[str, np.ndarray]:
        return self.source.read()


def create(source: str, model: str, layers: Sequence[str], dtype: Any = jnp.float32) -> Perception:
    """A network's layers, whose weights are read when they are needed.

    Args:
      source: `jaxdl.pretrained.load`'s, of a published classifier; the folder of a run that learned
        to classify; "" for the small one that comes with the package, a VGG of four stages of one
        convolution each, with batch norm.
      model: of published weights their model, such as "vgg19"; "" of others.
      layers: of a VGG "relu4_2", the second convolution's of the fourth stage behind its ReLU
        (which is what Gatys et al. call conv4_2: there ReLU works in place), or "conv4_2", in front
        of it; of any network the path of a submodule that makes a map.
      dtype: that the network computes in.

    Raises:
      UserError: there is no such network or layer.
    """
    found = _source(paths.expanded(source), model)
    # In a population a task is made while it is traced, and arrays are not to be part of that.
    with jax.ensure_compile_time_eval():
        module = found.module.clone(dtype=dtype)
        image = jax.ShapeDtypeStruct((1, _SIDE, _SIDE, len(found.preprocess.mean)), jnp.float32)
        called = {layer: _path(module, layer) for layer in layers}
        order = models.call_order(module, image)
        shapes = jax.eval_shape(module.init, keys.abstract(), image)
        _check_layers(found.name, module, shapes, image, called, order)
    last = max(order[path] for path in called.values())
    behind = [name for name, i in order.items() if name and "/" not in name and i > last]
    kept = {
        kind: {k: v for k, v in tree.items() if k not in behind} for kind, tree in shapes.items()
    }
    return Perception(found._replace(module=module), called, kept)


def maps(
    module: nn.Module, variables: Any, images: jax.Array, layers: Mapping[str, str]
) -> dict[str, jax.Array]:
    """What submodules make of pictures; nothing behind the deepest of them is computed.

    Args:
      module: a network.
      variables: for ``module.apply``; what lies behind needs none.
      images: (batch, h, w, c).
      layers: {name: path of a submodule that is called once}.

    Returns:
      {name: what it returned}.
    """
    found = {}

    def record(call: Callable, args: tuple, kwargs: dict, context: Any) -> Any:
        made = call(*args, **kwargs)
        path = "/".join(context.module.path)
        if context.method_name == "__call__" and path in layers.values():
            found[path] = made
            if len(found) == len(set(layers.values())):
                raise _SeenError
        return made

    try:
        with nn.intercept_methods(record):
            module.apply(variables, images, train=False)
    except _SeenError:
        pass
    return {name: found[path] for name, path in layers.items()}


class _SeenError(Exception):
    """Ends a pass: all that was wanted is there."""


def _path(module: nn.Module, layer: str) -> str:
    named = _OF_VGG.fullmatch(layer) if isinstance(module, VGG) else None
    if named is None:
        return layer
    block = f"block_{int(named[2]) - 1}_{int(named[3]) - 1}"
    return block if named[1] == "relu" else f"{block}/conv"


def _check_layers(
    name: str,
    module: nn.Module,
    shapes: Any,
    image: jax.ShapeDtypeStruct,
    called: Mapping[str, str],
    order: Mapping[str, int],
) -> None:
    """Raises UserError for the first layer that is none, or makes no map."""
    known = [path for path in order if path]
    if isinstance(module, VGG):
        known = [
            f"{kind}{i + 1}_{j + 1}"
            for i, count in enumerate(module.stages)
            for j in range(count)
            for kind in ("relu", "conv")
        ]
    for layer, path in called.items():
        if path not in order:
            raise UserError(f"{name} has no layer {layer!r}: {nearest(layer, known)}")
    look = functools.partial(maps, module, layers=called)
    for layer, made in jax.eval_shape(look, shapes, image).items():
        if getattr(made, "ndim", 0) != 4:
            raise UserError(f"layer {layer!r} of {name} makes no map of a picture")


# The three kinds of sources. What was read last is kept: a population's task is made several times.


def _source(source: str, model: str) -> Source:
    path = epath.Path(source) if source else None
    is_run = path is not None and (path / "checkpoints").is_dir()
    if model and (path is None or is_run):
        what = "a run says by itself which model it has" if is_run else "it names no weights"
        raise UserError(f"task.features_model={model!r} is of published weights: {what}")
    if path is None:
        return _own()
    if is_run:
        return _of_run(path)
    if not model:
        there = "" if path.exists() else ", and nothing lies there"
        raise UserError(
            f"task.features={source!r} is no run's folder{there}: of published weights say which "
            "model they are of by task.features_model, such as 'vgg19'"
        )
    chosen = catalog.chosen(model)
    module = models.create(chosen.model, **chosen.fields)
    read = lambda: _published(source, model, stamp(path))
    return Source(source, module, pretrained.preprocess(model), read)


def _own() -> Source:
    with np.load(_OWN_FILE) as file:
        mean, std, classes = file["mean"], file["std"], file["classes"]
    module = models.create("vgg", num_classes=int(classes), **_OWN_FIELDS)
    shown = Preprocess(mean=tuple(map(float, mean)), std=tuple(map(float, std)))
    return Source(f"the network {OWN!r}", module, shown, _own_arrays)


@functools.cache
def _own_arrays() -> dict[str, np.ndarray]:
    with np.load(_OWN_FILE) as file:
        return {name: file[name].astype(np.float32) for name in file.files if "/" in name}


@functools.lru_cache(maxsize=1)
def _published(source: str, model: str, stamp: float) -> dict[str, np.ndarray]:
    with jax.ensure_compile_time_eval():
        module, variables = pretrained.load(source, model)
    head = catalog.of(module).head
    found = {name: np.asarray(x) for name, x in by_name(variables).items()}
    return {name: x for name, x in found.items() if not is_under(name, head)}


def _of_run(folder: epath.Path) -> Source:
    earlier = settings.default()
    workdir.adopt(folder, earlier)
    kept, given = meaning.read(folder), earlier.pretrained
    mean, std = (given.mean, given.std) if given.mean else (kept.facts.mean, kept.facts.std)
    shown = Preprocess(mean=tuple(mean), std=tuple(std))
    if given.model:
        shown = pretrained.preprocess(given.model)
    fields = {k: v for k, v in earlier.model.items() if k != "name"}
    if "num_classes" in models.settings(earlier.model.name):
        fields["num_classes"] = len(kept.facts.class_names)
    module = models.create(earlier.model.name, **fields)
    read = lambda: _run_arrays(str(folder), stamp(folder))
    return Source(f"the network of {folder}", module, shown, read)


@functools.lru_cache(maxsize=1)
def _run_arrays(folder: str, stamp: float) -> dict[str, np.ndarray]:
    with jax.ensure_compile_time_eval():
        return weights_of_run(epath.Path(folder), settings.default(), "")
