"""What a file of weights is by its first bytes, whatever its name ends in."""

import re
import zipfile
from pathlib import Path

from jaxdl.data import files
from jaxdl.errors import UserError

# {what a file begins with: what it is, and what would be right}.
_OTHERS = {
    rb"(\xef\xbb\xbf)?\s*[{\[]": "is JSON, not the weights",
    rb"\x89HDF\r\n\x1a\n": (
        "is an HDF5 file, as Keras writes: only safetensors, PyTorch's files and .npz are read"
    ),
    rb"GGUF": "is a GGUF file: only safetensors, PyTorch's files and .npz are read",
    rb"\x93NUMPY": "is one NumPy array: weights are read from .npz, arrays by name",
    rb"\x1f\x8b|BZh|\xfd7zXZ|7z\xbc\xaf|\x28\xb5\x2f\xfd": "is compressed: unpack it first",
    rb"(?s).{257}ustar": "is a tar archive: unpack it first",
}
SAFETENSORS, NPZ, TORCH, DARKNET = "safetensors", "npz", "torch", "darknet"

# A version of Darknet's, 0.1 or 0.2, and a small revision.
_DARKNET = rb"(?s)\0{4}[\1\2]\0{3}.\0{3}"


def kind(path: Path) -> str:
    """Who reads a file: `SAFETENSORS`, `NPZ`, `TORCH` or `DARKNET`.

    Raises:
      UserError: it is empty, or something else that has a name.
    """
    try:
        with open(path, "rb") as file:
            start = file.read(512)
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}") from None
    if not start:
        raise UserError(f"{path} is damaged: it is empty")
    if what := files.in_place(start):
        raise UserError(f"{path} is not the weights, but {what}")
    for pattern, what in _OTHERS.items():
        if re.match(pattern, start):
            raise UserError(f"{path} {what}")
    if re.match(_DARKNET, start):
        return DARKNET
    # The length of its header, then the header, which is JSON.
    if start[8:9] == b"{" and int.from_bytes(start[:8], "little") < 1 << 40:
        return SAFETENSORS
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
        return NPZ if names and all(name.endswith(".npy") for name in names) else TORCH
    if start[:1] == b"\x80":
        return TORCH
    return {".safetensors": SAFETENSORS, ".weights": DARKNET}.get(path.suffix, TORCH)
