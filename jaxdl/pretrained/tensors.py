"""Tensors in files: a folder of safetensors, whole or in shards, read one tensor at a time."""

import contextlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from jaxdl.errors import UserError

WHOLE = "model.safetensors"
INDEX = f"{WHOLE}.index.json"

# As the format names them.
FLOATING = ("F64", "F32", "F16", "BF16")


class Tensors:
    """Tensors by name, each in one of several open files."""

    def __init__(self, files: Mapping[str, Any]):
        self.names = files.keys()
        self._files = files

    def shape(self, name: str) -> tuple[int, ...]:
        """Of one, without reading it."""
        return tuple(self._files[name].get_slice(name).get_shape())

    def is_floating(self, name: str) -> bool:
        """Whether one is of float64, float32, float16 or bfloat16."""
        return self._files[name].get_slice(name).get_dtype() in FLOATING

    def read(self, name: str) -> np.ndarray:
        """One."""
        return self._files[name].get_tensor(name)


@contextlib.contextmanager
def opened(folder: Path) -> Iterator[Tensors]:
    """The tensors of a folder, to be read while the context lasts.

    Raises:
      UserError: there is no such file, or it is damaged.
    """
    shards = _shards(folder)
    with contextlib.ExitStack() as stack:
        files = {}
        for path, named in shards.items():
            try:
                file = stack.enter_context(safe_open(path, framework="numpy"))
            except FileNotFoundError:
                raise UserError(f"{path} is not there, but {folder / INDEX} names it") from None
            except (SafetensorError, OSError) as error:
                raise UserError(f"{path} is damaged, or no safetensors file: {error}") from None
            for name in file.keys():  # noqa: SIM118 (a file, not a dict)
                # A name that the index has in another shard is read from there.
                if name not in files or name in named:
                    files[name] = file
        yield Tensors(files)


def _shards(folder: Path) -> dict[Path, set[str]]:
    """The files, and the names that the index has in each."""
    if (folder / WHOLE).exists():
        return {folder / WHOLE: set()}
    index = folder / INDEX
    if not index.exists():
        raise UserError(f"{folder} has neither {WHOLE} nor {INDEX}")
    try:
        names = json.loads(index.read_text())["weight_map"]
        shards = {folder / file: set() for file in sorted(set(names.values()))}
        for name, file in names.items():
            shards[folder / file].add(name)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{index} is no index of shards: {error!r}") from None
    return shards


def write(folder: Path, tensors: Mapping[str, np.ndarray]) -> None:
    """Writes all into one file of the folder; it replaces an older one once it is whole."""
    path = folder / WHOLE
    part = path.with_name(f"{WHOLE}.part")
    part.touch()
    mode = part.stat().st_mode
    # The library writes memory as it lies. Its kin read a file only if it names a format.
    ordered = {name: np.ascontiguousarray(tensor) for name, tensor in tensors.items()}
    save_file(ordered, part, metadata={"format": "pt"})
    part.chmod(mode)  # The library's own lets nobody else read it.
    part.replace(path)
