"""Tensors in files: safetensors, whole or in shards, or PyTorch's, read one tensor at a time."""

import contextlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from jaxdl import paths
from jaxdl.errors import UserError
from jaxdl.pretrained import hub, torch_file

WHOLE = "model.safetensors"
PICKLED = "pytorch_model.bin"

# What PyTorch's own files end in.
TORCH = (".pth", ".pt", ".bin")

# What a file says of itself if `write` made it.
_OWN = "jaxdl"

# As the safetensors format names them.
_FLOATING = ("F64", "F32", "F16", "BF16")


class Safetensors:
    """The tensors of an open safetensors file.

    Attributes:
      names: of all.
      is_own: whether `write` made it.
    """

    def __init__(self, file: Any):
        self.names = list(file.keys())
        self.is_own = _OWN in (file.metadata() or {})
        self._file = file

    def shape(self, name: str) -> tuple[int, ...]:
        """Of one, without reading it."""
        return tuple(self._file.get_slice(name).get_shape())

    def is_floating(self, name: str) -> bool:
        """Whether one is of float64, float32, float16 or bfloat16."""
        return self._file.get_slice(name).get_dtype() in _FLOATING

    def read(self, name: str) -> np.ndarray:
        """One."""
        return self._file.get_tensor(name)


class Tensors:
    """Tensors by name, each in one of several open files.

    Attributes:
      names: of all.
      is_own: whether `write` made all.
    """

    def __init__(self, files: Mapping[str, Safetensors | torch_file.TorchFile]):
        self.names = files.keys()
        self.is_own = all(getattr(file, "is_own", False) for file in files.values())
        self._files = files

    def shape(self, name: str) -> tuple[int, ...]:
        """Of one, without reading it."""
        return self._files[name].shape(name)

    def is_floating(self, name: str) -> bool:
        """Whether one is of float64, float32, float16 or bfloat16."""
        return self._files[name].is_floating(name)

    def read(self, name: str) -> np.ndarray:
        """One; it may be a view of the file."""
        return self._files[name].read(name)


def locate(source: str | Path) -> Path:
    """The file or folder that a source is; what the hub has is fetched.

    Raises:
      UserError: there is none.
    """
    path = Path(paths.expanded(str(source)))
    if path.exists():
        return path
    if hub.is_id(source) and path.suffix not in (".safetensors", *TORCH):
        return hub.fetch(str(source))
    raise UserError(f"{path} is no folder and no file")


@contextlib.contextmanager
def opened(path: Path) -> Iterator[Tensors]:
    """The tensors of a file or folder, to be read while the context lasts.

    Raises:
      UserError: there is no such file, or it is damaged.
    """
    shards = _shards(path) if path.is_dir() else {path: set()}
    with contextlib.ExitStack() as stack:
        files = {}
        for file, named in shards.items():
            if not file.exists():
                raise UserError(f"{file} is not there, but an index.json beside it names it")
            if file.suffix == ".safetensors":
                tensors = stack.enter_context(_safetensors(file))
            else:
                tensors = torch_file.read(file)
            for name in tensors.names:
                # A name that the index has in another shard is read from there.
                if name not in files or name in named:
                    files[name] = tensors
        yield Tensors(files)


@contextlib.contextmanager
def _safetensors(path: Path) -> Iterator["Safetensors"]:
    try:
        file = safe_open(path, framework="numpy")
    except (SafetensorError, OSError) as error:
        raise UserError(f"{path} is damaged, or no safetensors file: {error}") from None
    with file:
        yield Safetensors(file)


def _shards(folder: Path) -> dict[Path, set[str]]:
    """The files, and the names that the index has in each."""
    for whole in (WHOLE, PICKLED):
        if (folder / whole).exists():
            return {folder / whole: set()}
        if (index := folder / f"{whole}.index.json").exists():
            return _indexed(index)
    raise UserError(f"{folder} has neither {WHOLE} nor {WHOLE}.index.json nor {PICKLED}")


def _indexed(index: Path) -> dict[Path, set[str]]:
    try:
        names = json.loads(index.read_text())["weight_map"]
        shards = {index.parent / file: set() for file in sorted(set(names.values()))}
        for name, file in names.items():
            shards[index.parent / file].add(name)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{index} is no index of shards: {error!r}") from None
    return shards


def write(path: Path, tensors: Mapping[str, np.ndarray]) -> None:
    """Writes all into one file; it replaces an older one once it is whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.part")
    part.touch()
    mode = part.stat().st_mode
    # The library writes memory as it lies. Its kin read a file only if it names a format.
    ordered = {name: np.asarray(tensor, order="C") for name, tensor in tensors.items()}
    save_file(ordered, part, metadata={"format": "pt", _OWN: "pretrained"})
    part.chmod(mode)  # The library's own lets nobody else read it.
    part.replace(path)
