"""What jaxdl itself registers: snippets, examples and benchmarks add to the same tables."""

import functools

from jaxdl import models


def model_names() -> list[str]:
    """The names of jaxdl's own models, whatever tests have run in this process before."""
    return [name for name in models.names() if _module(name).startswith("jaxdl.")]


def _module(name: str) -> str:
    factory = models._registry.get(name)
    while isinstance(factory, functools.partial):
        factory = factory.func
    return factory.__module__
