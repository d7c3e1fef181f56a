"""Pages and pictures of a run."""

import importlib

from jaxdl.report.training import write

__all__ = ["prepare", "write"]


def prepare() -> None:
    """Imports what pictures are drawn with: half a second."""
    for name in ("backends.backend_agg", "backends.backend_svg", "figure"):
        importlib.import_module(f"matplotlib.{name}")
