"""Pages and pictures of a run."""

import importlib
import threading

from jaxdl.report.training import write

__all__ = ["prepare", "write"]


def prepare() -> None:
    """Imports what pictures are drawn with, half a second, on a thread while a run trains."""
    names = ("matplotlib.backends.backend_agg", "matplotlib.backends.backend_svg")
    load = lambda: [importlib.import_module(name) for name in names]
    threading.Thread(target=load, daemon=True).start()
