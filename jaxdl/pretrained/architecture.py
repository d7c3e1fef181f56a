"""What is declared of a published architecture: whose tensors have which names, and its models."""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from jaxdl import keys
from jaxdl.data.preprocess import Preprocess
from jaxdl.pretrained.differences import compare, complain
from jaxdl.pretrained.mapping import Shape, Table, number_places
from jaxdl.trees import path_name


class Published(NamedTuple):
    """A model as a library publishes it.

    Attributes:
      model: its name in `jaxdl.models`.
      fields: of the module, in place of that name's own.
      preprocess: what its weights want to see.
    """

    model: str
    fields: Mapping[str, Any] = {}
    preprocess: Preprocess = Preprocess()


class Naming(NamedTuple):
    """How one library names an architecture's tensors.

    Attributes:
      table: the tensors; made for a module where their names depend on its fields.
      models: the library's own names of models.
      read: (config.json as transformers writes it, its path) -> fields of the registered module;
        raises UserError for what the module cannot compute.
      write: module -> a config.json that transformers reads.
      classes: of config.json's architectures those whose files are read, with the fields that each
        has besides; those without a head for classes have num_classes=0.
      beside: (what a PyTorch file holds beside its tensors, its path) -> the same fields, or None
        for a file that is not the library's.
    """

    table: Table | Callable[[nn.Module], Table]
    models: Mapping[str, Published] = {}
    read: Callable[[Mapping[str, Any], Path], dict[str, Any]] | None = None
    write: Callable[[nn.Module], dict[str, Any]] | None = None
    classes: Mapping[str, Mapping[str, Any]] = {}
    beside: Callable[[Mapping[str, Any], Path], dict[str, Any] | None] | None = None

    def table_of(self, module: nn.Module) -> Table:
        """The table for a module."""
        return self.table if isinstance(self.table, Table) else self.table(module)


class Architecture(NamedTuple):
    """A published architecture and the jaxdl model that computes it.

    Attributes:
      model: the model's name in `jaxdl.models`.
      inputs: (module, image size or None) -> shapes and dtypes of an example for ``module.init``.
      namings: by library, "torchvision", "timm" or "transformers"; `save` writes the first.
      model_types: config.json's model_type where transformers wrote it.
      head: the module's top-level submodules that depend on num_classes.
      head_size: module -> (a, b): the axis of a head's tensors that tells the number of classes has
        a of each class, and b more.
      head_fields: the module's fields that say what kind of head it has: where another is asked for
        than the file has, the head is drawn anew.
      neck: top-level submodules that a head reads through: where the head is drawn anew, so are
        those of them that the file lacks.
      optional: collections and top-level submodules that any file may lack, and that are then what
        ``module.init`` makes them.
      told: what only the tensors of a file tell, as fields of the module.
      resize: {a parameter of ours, with places such as {i}: (array, shape at another image size)
        -> array}.
      image_size: of the images that a file's model takes, from its tensors' {name: shape}, names
        both with and without prefix; None where it does not show.
    """

    model: str
    inputs: Callable[[nn.Module, int | None], tuple]
    namings: Mapping[str, Naming]
    model_types: tuple[str, ...] = ()
    head: tuple[str, ...] = ()
    head_size: Callable[[nn.Module], tuple[int, int]] = lambda module: (1, 0)
    head_fields: tuple[str, ...] = ()
    neck: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()
    told: Callable[[Any], Mapping[str, Any]] | None = None
    resize: Mapping[str, Callable[[np.ndarray, Shape], np.ndarray]] = {}
    image_size: Callable[[Mapping[str, Shape]], int | None] | None = None

    def takes(self, module: nn.Module) -> str:
        """What its first input is: "texts", of tokens, "sounds", of frames, or "images"."""
        first = self.inputs(module, None)[0]
        if jnp.issubdtype(first.dtype, jnp.integer):
            return "texts"
        return "sounds" if first.ndim == 3 else "images"

    def abstract(self, module: nn.Module, image_size: int | None = None) -> Any:
        """The module's variables without their values."""
        return jax.eval_shape(module.init, keys.abstract(), *self.inputs(module, image_size))

    def shapes(self, module: nn.Module, image_size: int | None = None) -> dict[str, Shape]:
        """The shapes of the module's variables by name."""
        return {name: x.shape for name, x in by_name(self.abstract(module, image_size)).items()}

    def flatten(self, module: nn.Module, variables: Any) -> dict[str, np.ndarray]:
        """The module's variables as host arrays by name.

        Raises:
          UserError: they are not the module's.
        """
        flat = {name: np.asarray(x) for name, x in by_name(variables).items()}
        found = {name: x.shape for name, x in flat.items()}
        # What can be brought to another image size may be there at any.
        fixed = self.shapes(module)
        free = {name: found[name] for name in fixed if name in found and self.resizer(name)}
        complain("the variables are not the module's", *compare({**fixed, **free}, found))
        return flat

    def in_head(self, name: str) -> bool:
        """Whether a variable of this name depends on num_classes."""
        return is_under(name, self.head)

    def resizer(self, name: str) -> Callable[[np.ndarray, Shape], np.ndarray] | None:
        """What brings the parameter of this name to another image size, if anything does."""
        for pattern, resize in self.resize.items():
            if re.fullmatch(number_places(pattern), name):
                return resize
        return None


def tokens(*lengths: int) -> Callable[[nn.Module, int | None], tuple]:
    """`Architecture.inputs` of what takes texts, so many of these lengths."""
    texts = tuple(jax.ShapeDtypeStruct((1, length), jnp.int32) for length in lengths)
    return lambda module, image_size: texts


def source_and_target(module: nn.Module, image_size: int | None) -> tuple:
    """`Architecture.inputs` of encoder-decoders, and of their encoders alone."""
    return tokens(*(1, 1) if module.decoder_depth else (1,))(module, image_size)


def images(size: int = 224, channels: int = 3) -> Callable[[nn.Module, int | None], tuple]:
    """`Architecture.inputs` of what takes images, of this size unless another is asked for."""

    def inputs(module: nn.Module, image_size: int | None) -> tuple:
        side = image_size or size
        return (jax.ShapeDtypeStruct((1, side, side, channels), jnp.float32),)

    return inputs


def by_name(variables: Any) -> dict[str, Any]:
    """The leaves of a module's variables by name; those of "params" without the collection's."""
    return {name_of(path): x for path, x in jax.tree.leaves_with_path(variables)}


def is_under(name: str, parts: tuple[str, ...]) -> bool:
    """Whether a variable of this name, of parameters or batch_stats, is of these submodules."""
    name = name.removeprefix("batch_stats/")
    return any(name.startswith(f"{part}/") for part in parts)


def name_of(path: Any) -> str:
    """The name of a leaf of a module's variables."""
    return path_name(path).removeprefix("params/")
