"""PyTorch's files of tensors (.pth, .pt, .bin), written without PyTorch.

A zip archive, as torch.save writes it from 1.6 on: a pickle of {name: tensor}, in which each tensor
names the row of numbers that is an entry of its own. The pickle names PyTorch's functions, so that
it is put together here of its instructions; torch.load reads it with ``weights_only`` as well.
"""

import pickle
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from jaxdl.pretrained.torch_file import STORAGES

_KINDS = {np.dtype(dtype): name for name, dtype in STORAGES.items()}

# The folder of the archive, any, and the version of its layout.
_FOLDER, _VERSION = "archive", b"3\n"

_BEGINS = pickle.PROTO + b"\x02"


def write(path: Path, tensors: Mapping[str, np.ndarray]) -> None:
    """Writes all into one file.

    Args:
      path: the file.
      tensors: each by its name, of a dtype that PyTorch has.
    """
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        put = lambda name, data: archive.writestr(f"{_FOLDER}/{name}", data)
        ordered = {name: np.asarray(x, order="C") for name, x in tensors.items()}
        put("data.pkl", _pickled(ordered))
        put("byteorder", b"little")
        for i, x in enumerate(ordered.values()):
            put(f"data/{i}", x.astype(x.dtype.newbyteorder("<"), copy=False).tobytes())
        put("version", _VERSION)


def _pickled(tensors: Mapping[str, np.ndarray]) -> bytes:
    items = [_plain(name) + _tensor(i, x) for i, (name, x) in enumerate(tensors.items())]
    filled = pickle.MARK + b"".join(items) + pickle.SETITEMS
    return _BEGINS + pickle.EMPTY_DICT + filled + pickle.STOP


def _tensor(index: int, x: np.ndarray) -> bytes:
    """``_rebuild_tensor_v2(storage, offset, shape, strides, requires_grad, hooks)``."""
    parts = ("storage", str(index), "cpu", x.size)
    word, *rest = map(_plain, parts)
    kind = _named("torch", _KINDS[x.dtype])
    storage = _tuple(word, kind, *rest) + pickle.BINPERSID
    strides = tuple(step // x.itemsize for step in x.strides)
    hooks = _named("collections", "OrderedDict") + pickle.EMPTY_TUPLE + pickle.REDUCE
    arguments = _tuple(storage, *map(_plain, (0, x.shape, strides, False)), hooks)
    return _named("torch._utils", "_rebuild_tensor_v2") + arguments + pickle.REDUCE


def _named(module: str, name: str) -> bytes:
    return pickle.GLOBAL + f"{module}\n{name}\n".encode()


def _tuple(*items: bytes) -> bytes:
    return pickle.MARK + b"".join(items) + pickle.TUPLE


def _plain(value: Any) -> bytes:
    """A pickle's instructions for a value of Python's, without its beginning and end."""
    return pickle.dumps(value, 2)[len(_BEGINS) : -len(pickle.STOP)]
