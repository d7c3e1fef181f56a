"""Architectures by name: one a file, found by being here.

>>> module = create("vit_s16", num_classes=10)
"""

import functools
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import jax
from flax import linen as nn

from jaxdl import keys
from jaxdl.errors import UserError
from jaxdl.registry import Registry, check_names

_registry = Registry("model", "jaxdl.models")

# What every linen module has, and no configuration sets.
_NOT_SETTINGS = ("parent", "name")


def register(name: str, variants: Mapping[str, Mapping[str, Any]] | None = None) -> Callable:
    """Class decorator: makes a linen module available under ``name``.

    Args:
      name: for the module with its own defaults.
      variants: further names, each with the fields that differ from the defaults.
    """

    def add(module: type[nn.Module]) -> type[nn.Module]:
        _registry.register(name)(module)
        for variant, fields in (variants or {}).items():
            _registry.register(variant)(functools.partial(module, **fields))
        return module

    return add


def names() -> list[str]:
    """All model names, sorted."""
    return _registry.names()


def knows(name: str) -> bool:
    """Whether a model is called so."""
    return _registry.knows(name)


def settings(name: str) -> dict[str, Any]:
    """The fields of the model called ``name`` and their values."""
    fields = _registry.settings(name)
    return {k: v for k, v in fields.items() if k not in _NOT_SETTINGS}


def create(name: str, **fields: Any) -> nn.Module:
    """The model called ``name``, with ``fields`` in place of its published ones.

    Args:
      name: one of `names()`.
      **fields: the module's own fields: num_classes, dtype, depth …; parent=None of one that is
        made inside another and gets its name later.

    Returns:
      A linen module: ``module.init(key, x)``, ``module.apply(variables, x, train=False)``.

    Raises:
      UserError: no such model, or the model has no such field; the nearest are named.
    """
    if not name:
        raise UserError(
            "config.model.name is not set: name a model, or, of tasks that learn on from published "
            "weights or a run, these by config.pretrained.source, whose model it is then; models "
            f"are {', '.join(names())}"
        )
    factory = _registry.get(name)
    check_names(f"model {name!r}", set(fields) - set(_NOT_SETTINGS), settings(name))
    return factory(**fields)


def call_order(module: nn.Module, *inputs: Any) -> dict[str, int]:
    """Where each submodule stands in the forward pass, first call first.

    Args:
      module: a linen module.
      *inputs: arrays, or their shapes and dtypes, for ``module.init``; nothing is computed.

    Returns:
      {"": 0, "patch_embed": 1, "block_0": 2, "block_0/attention": 3, …}.
    """
    order: dict[str, int] = {}

    def record(call, args, kwargs, context):
        order.setdefault("/".join(context.module.path), len(order))
        return call(*args, **kwargs)

    with nn.intercept_methods(record):
        jax.eval_shape(module.init, keys.abstract(), *inputs)
    return order


def outermost(order: Iterable[str]) -> list[str]:
    """Those of `call_order`'s submodules that are the module's own, in their order."""
    return [name for name in order if name and "/" not in name]
