"""Experiment files: Python that makes a config."""

import importlib.util
import inspect
import sys
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from jaxdl import paths
from jaxdl.errors import UserError, nearest


def load(file: str) -> ConfigDict:
    """The config that an experiment file makes: ``path.py`` or ``path.py:variant``.

    Raises:
      UserError: no such file, an error in it, or a variant that it does not have.
    """
    path, _, variant = paths.expanded(file).partition(":")
    if not Path(path).is_file():
        here = [str(p) for p in Path(path).parent.glob("*.py")] + [
            str(p) for p in Path("experiments").glob("*.py")
        ]
        raise UserError(f"--config={path}: no such file; {nearest(path, here) if here else ''}")
    module = _import(Path(path))
    if not hasattr(module, "get_config"):
        raise UserError(f"{path} has no function get_config() that returns a config")
    if variant and not inspect.signature(module.get_config).parameters:
        raise UserError(f"{path} has no variants: leave out {variant!r}")
    try:
        config = module.get_config(variant) if variant else module.get_config()
    except UserError:
        raise
    except Exception as error:
        raise UserError(f"{path}: {_where(error, path)}") from error
    if not isinstance(config, ConfigDict):
        raise UserError(f"{path}: get_config() returned {type(config).__name__}, not a ConfigDict")
    return config


def _import(path: Path) -> Any:
    spec = importlib.util.spec_from_file_location(f"experiment_{path.stem}", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    try:
        spec.loader.exec_module(module)
    except UserError:
        raise
    except Exception as error:
        raise UserError(f"{path}: {_where(error, str(path))}") from error
    return module


def _where(error: Exception, path: str) -> str:
    """The error and the line of ``path`` that it came from."""
    import traceback

    here = Path(path).absolute()
    lines = [
        f.lineno
        for f in traceback.extract_tb(error.__traceback__)
        if Path(f.filename).absolute() == here
    ]
    line = lines[-1] if lines else getattr(error, "lineno", None)
    at = f" (line {line})" if line else ""
    # ml_collections escapes the line breaks of its messages.
    message = " ".join(str(error).replace("\\n", " ").split())
    return f"{type(error).__name__}: {message}{at}"
