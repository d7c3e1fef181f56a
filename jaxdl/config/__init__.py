"""The keys of a config, what they mean, and the files that set them."""

from jaxdl.config.files import load
from jaxdl.config.settings import (
    HARMLESS,
    KEYS,
    OPTIONAL,
    PLUGS,
    TYPES,
    Key,
    changed,
    check_key,
    default,
    describe,
    differences,
    expand_paths,
    flatten,
    validate,
)

__all__ = [
    "HARMLESS",
    "KEYS",
    "OPTIONAL",
    "PLUGS",
    "TYPES",
    "Key",
    "changed",
    "check_key",
    "default",
    "describe",
    "differences",
    "expand_paths",
    "flatten",
    "load",
    "validate",
]
