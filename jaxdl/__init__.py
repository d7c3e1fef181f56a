"""Every classic deep-learning system as pure functions on pytrees, and one launcher for them all.

``import jaxdl`` costs nothing: each part is imported when it is first used, so that
``jaxdl.losses.cross_entropy`` works after a bare ``import jaxdl``.
"""

import importlib

__version__ = "0.1.0"

# Public name: the module behind it, wherever it lies.
_PARTS = {
    **{
        name: name
        for name in (
            "anatomy", "config", "control", "data", "envs", "errors", "experiment", "generate",
            "inference", "keys", "layers", "losses", "metrics", "models", "ops", "optim",
            "parallel", "plan", "precision", "pretrained", "registry", "report", "runs", "tasks",
            "train", "trees",
        )
    },
    "checkpoint": "runs.checkpoint",
    "recipes": "config.recipes",
    "schedules": "optim.schedules",
}  # fmt: skip


def __getattr__(name: str):
    if name in _PARTS:
        return importlib.import_module(f"jaxdl.{_PARTS[name]}")
    raise AttributeError(f"module 'jaxdl' has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*globals(), *_PARTS]
