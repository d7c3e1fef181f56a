"""Pages and pictures of a run."""

from jaxdl.report.training import write

__all__ = ["write"]
