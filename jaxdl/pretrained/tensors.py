"""Tensors in files, read one at a time: safetensors or PyTorch's, whole or in shards, or .npz."""

import contextlib
import json
import math
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from jaxdl import paths
from jaxdl.errors import UserError
from jaxdl.pretrained import candidates, foreign, hub, torch_archive, torch_file
from jaxdl.pretrained.darknet import DarknetFile
from jaxdl.pretrained.npz_file import NpzFile

WHOLE = "model.safetensors"
PICKLED = "pytorch_model.bin"

# What PyTorch's own files end in.
TORCH = (".pth", ".pt", ".bin", ".ckpt", ".tar", ".pkl")

# What a file says of itself if `write` made it.
_OWN = "jaxdl"

# As the safetensors format names them.
_FLOATING = ("F64", "F32", "F16", "BF16")

# Elements of a tensor for which a file is opened once more, which takes .9 ms where it has 1,000.
_LARGE = 1 << 18


class Safetensors:
    """The tensors of a safetensors file.

    Attributes:
      names: of all.
      is_own: whether `write` made it.
    """

    def __init__(self, path: Path, file: Any):
        self.names = list(file.keys())
        self.is_own = _OWN in (file.metadata() or {})
        self._path, self._file = path, file

    def shape(self, name: str) -> tuple[int, ...]:
        """Of one, without reading it."""
        return tuple(self._file.get_slice(name).get_shape())

    def is_floating(self, name: str) -> bool:
        """Whether one is of float64, float32, float16 or bfloat16."""
        return self._file.get_slice(name).get_dtype() in _FLOATING

    def read(self, name: str) -> np.ndarray:
        """One, a copy."""
        if math.prod(self.shape(name)) < _LARGE:
            return self._file.get_tensor(name)
        # Opened anew: what has been read of a file stays in memory until it is closed.
        with safe_open(self._path, framework="numpy") as file:
            return file.get_tensor(name)


# What wrappers of PyTorch's put between the parts of names; no model has parts of these names.
_WRAPPERS = re.compile(
    r"(?:^|(?<=\.))(?:_orig_mod|_fsdp_wrapped_module|_checkpoint_wrapped_module)\."
)


class Tensors:
    """Tensors by name, each in one of several open files.

    Attributes:
      names: of all, without those of wrappers such as torch.compile's.
      others: what has a name among them and is no tensor, {name: what it is}.
      is_own: whether `write` made all.
    """

    def __init__(self, files: Mapping[str, Safetensors | torch_file.TorchFile | NpzFile]):
        self._names = {_WRAPPERS.sub("", name): name for name in files}
        if len(self._names) < len(files):  # they are no wrappers' after all
            self._names = {name: name for name in files}
        self.names = self._names.keys()
        self.others = {
            _WRAPPERS.sub("", name): what
            for file in files.values()
            for name, what in getattr(file, "others", {}).items()
        }
        self.is_own = all(getattr(file, "is_own", False) for file in files.values())
        self._files = files

    def shape(self, name: str) -> tuple[int, ...]:
        """Of one, without reading it."""
        return self._files[self._names[name]].shape(self._names[name])

    def is_floating(self, name: str) -> bool:
        """Whether one is of float64, float32, float16 or bfloat16."""
        return self._files[self._names[name]].is_floating(self._names[name])

    def read(self, name: str) -> np.ndarray:
        """One; it may be a view of the file."""
        return self._files[self._names[name]].read(self._names[name])


def locate(source: str | Path) -> Path:
    """The file or folder that a source is; what the hub has is fetched.

    Raises:
      UserError: there is none.
    """
    path = Path(paths.expanded(str(source)))
    if path.exists():
        return path
    if hub.is_id(source) and path.suffix not in (".safetensors", ".npz", ".weights", *TORCH):
        return hub.fetch(str(source))
    raise UserError(f"{path} is no folder and no file")


def folder_of(source: str | Path) -> Path:
    """Where the files beside a source's weights are; raises as `locate`."""
    found = locate(source)
    return found if found.is_dir() else found.parent


@contextlib.contextmanager
def opened(path: Path, checkpoint_key: str | None = None) -> Iterator[Tensors | DarknetFile]:
    """The tensors of a file or folder, to be read while the context lasts.

    Args:
      path: of the file or folder.
      checkpoint_key: which of several models it is, as `candidates.choose` has it; of files but
        PyTorch's, what names begin with.

    Raises:
      UserError: there is no such file, it is damaged or none of tensors, or the key is not one of
        its models'.
    """
    shards = _shards(path) if path.is_dir() else {path: set()}
    with contextlib.ExitStack() as stack:
        files = {}
        for file, named in shards.items():
            if not file.exists():
                raise UserError(f"{file} is not there, but an index.json beside it names it")
            kind = foreign.kind(file)
            if kind == foreign.DARKNET:
                if checkpoint_key is not None:
                    raise UserError(
                        f"{file} is one network: checkpoint_key={checkpoint_key!r} names none of it"
                    )
                yield DarknetFile(file)
                return
            if kind == foreign.SAFETENSORS:
                tensors = stack.enter_context(_safetensors(file))
            elif kind == foreign.NPZ:
                tensors = NpzFile(file)
            else:
                tensors = torch_file.read(file, checkpoint_key)
            if kind != foreign.TORCH and checkpoint_key is not None:
                tensors.names = candidates.under(tensors.names, checkpoint_key)
            for name in tensors.names:
                # A name that the index has in another shard is read from there.
                if name not in files or name in named:
                    files[name] = tensors
        if checkpoint_key is not None and not files:
            raise UserError(f"{path} has no tensors under checkpoint_key={checkpoint_key!r}")
        yield Tensors(files)


@contextlib.contextmanager
def _safetensors(path: Path) -> Iterator["Safetensors"]:
    try:
        file = safe_open(path, framework="numpy")
    except (SafetensorError, OSError) as error:
        raise UserError(f"{path} is damaged, or no safetensors file: {error}") from None
    with file:
        yield Safetensors(path, file)


def _shards(folder: Path) -> dict[Path, set[str]]:
    """The files, and the names that the index has in each."""
    for whole in (WHOLE, PICKLED):
        if (folder / whole).exists():
            return {folder / whole: set()}
        if (index := folder / f"{whole}.index.json").exists():
            return _indexed(index)
    ends = (".safetensors", ".npz", *TORCH)
    there = sorted(file.name for file in folder.iterdir() if file.suffix in ends)
    hint = f": to read {there[0]}, name that file and its model" if there else ""
    raise UserError(f"{folder} has neither {WHOLE} nor {WHOLE}.index.json nor {PICKLED}{hint}")


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
    """Writes all into one file; it replaces an older one once it is whole.

    Args:
      path: of PyTorch's format if it ends in one of `TORCH`, otherwise of safetensors'.
      tensors: each by its name.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.part")
    part.touch()
    mode = part.stat().st_mode
    if path.suffix in TORCH:
        torch_archive.write(part, tensors)
    else:
        # The library writes memory as it lies. Its kin read a file only if it names a format.
        ordered = {name: np.asarray(tensor, order="C") for name, tensor in tensors.items()}
        save_file(ordered, part, metadata={"format": "pt", _OWN: "pretrained"})
    part.chmod(mode)  # The library's own lets nobody else read it.
    part.replace(path)
