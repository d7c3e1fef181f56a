"""What is declared of a published architecture: its settings and its tensors."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from flax import linen as nn

from jaxdl import models
from jaxdl.errors import UserError
from jaxdl.optim import path_name
from jaxdl.pretrained.mapping import Shape, Table, compare, complain


class Architecture(NamedTuple):
    """A published architecture and the jaxdl model that computes it.

    Attributes:
      model: the model's name in `jaxdl.models`.
      inputs: module -> shapes and dtypes of an example for ``module.init``.
      table: the tensors.
      sizes: {the module's field: config.json's key}.
      fixed: {config.json's key: values with which the module computes the same}; the first is the
        one of files without the key, and the one written.
      written: further settings that the original library asks for.
    """

    model: str
    inputs: Callable[[nn.Module], tuple]
    table: Table
    sizes: Mapping[str, str]
    fixed: Mapping[str, tuple]
    written: Mapping[str, Any] = {}

    def fields(self, config: Mapping[str, Any], path: Path) -> dict[str, Any]:
        """The module's fields from a config.json.

        Raises:
          UserError: one is missing or is no size.
        """
        for key in self.sizes.values():
            value = config.get(key)
            if type(value) is not int or value < 1:
                raise UserError(f"{path}: {key}={value!r} must be a whole number from 1 on")
        return {field: config[key] for field, key in self.sizes.items()}

    def check(self, config: Mapping[str, Any], path: Path) -> None:
        """Raises UserError where a config.json asks for what the module does not compute."""
        for key, values in self.fixed.items():
            if config.get(key, values[0]) not in values:
                raise UserError(
                    f"{path}: {key}={config[key]!r}, but model {self.model!r} has {values[0]!r}"
                )

    def config(self, module: nn.Module) -> dict[str, Any]:
        """The config.json of a module."""
        sizes = {key: getattr(module, field) for field, key in self.sizes.items()}
        fixed = {key: values[0] for key, values in self.fixed.items()}
        return {**fixed, **self.written, **sizes}

    def flatten(self, module: nn.Module, variables: Any) -> dict[str, np.ndarray]:
        """The module's variables as host arrays by name.

        Raises:
          UserError: they are not the module's.
        """
        flat = {_name(path): np.asarray(x) for path, x in jax.tree.leaves_with_path(variables)}
        shapes = {name: x.shape for name, x in flat.items()}
        complain("the variables are not the module's", *compare(self.shapes(module), shapes))
        return flat

    def unflatten(self, module: nn.Module, flat: Mapping[str, np.ndarray]) -> Any:
        """The module's variables from arrays by name."""
        return jax.tree.map_with_path(lambda path, _: flat[_name(path)], self._abstract(module))

    def shapes(self, module: nn.Module) -> dict[str, Shape]:
        """The shapes of the module's variables by name."""
        leaves = jax.tree.leaves_with_path(self._abstract(module))
        return {_name(path): x.shape for path, x in leaves}

    def _abstract(self, module: nn.Module) -> Any:
        key = jax.eval_shape(lambda: jax.random.key(0))
        return jax.eval_shape(module.init, key, *self.inputs(module))


def _name(path: Any) -> str:
    return path_name(path).removeprefix("params/")


def find(module: nn.Module, known: list[Architecture]) -> Architecture:
    """The one whose model a module is; UserError if there is none."""
    for architecture in known:
        if type(module) is type(models.create(architecture.model)):
            return architecture
    names = ", ".join(architecture.model for architecture in known)
    raise UserError(
        f"no published checkpoints are known for a {type(module).__name__}: one of {names}"
    )
