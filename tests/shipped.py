"""What jaxdl itself registers: snippets, examples and benchmarks add to the same tables."""

import pytest
import selection

from jaxdl import models


def model_names() -> list[str]:
    """The names of jaxdl's own models, whatever tests have run in this process before."""
    factory = lambda name: selection.unwrapped(models._registry.get(name))
    return [name for name in models.names() if factory(name).__module__.startswith("jaxdl.")]


def sizes(counts: dict[str, int], *files: str) -> list:
    """Names to parametrise a test by: all but the two smallest wait for a change of the files.

    Args:
      counts: {name: parameters}; large models take seconds to trace.
      files: those of the family, beside jaxdl/layers/, which all are made of.
    """
    daily = sorted(counts, key=counts.get)[:2]
    mark = pytest.mark.slow(*files, "jaxdl/layers/")
    return [name if name in daily else pytest.param(name, marks=mark) for name in counts]
