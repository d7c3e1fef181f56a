"""MNIST's file format."""

import gzip
import math
import struct

import numpy as np
from etils import epath

from jaxdl.data import Source, register
from jaxdl.data.arrays import labelled_images
from jaxdl.errors import UserError, one_line


def read_idx(path: epath.PathLike) -> np.ndarray:
    """One idx file of unsigned bytes, gzipped or not, as an array.

    The format: two zero bytes, 8 for unsigned bytes, the number of axes, each axis' length as a
    big-endian 32-bit integer, then the bytes (LeCun, Cortes and Burges, 1998).

    Raises:
      UserError: the file is not of this form or is cut short.
    """
    raw = epath.Path(path).read_bytes()
    try:
        if raw[:2] == b"\x1f\x8b":
            raw = gzip.decompress(raw)
        zeros, kind, axes = struct.unpack(">HBB", raw[:4])
        shape = struct.unpack(f">{axes}I", raw[4 : 4 + 4 * axes])
    except Exception as error:  # gzip and its decompressor have errors of their own
        raise UserError(f"{path} is not an idx file: {one_line(error)}") from None
    body = raw[4 + 4 * axes :]
    if zeros or kind != 8 or axes > 32:  # as many as arrays have in every NumPy
        raise UserError(f"{path} is not an idx file of unsigned bytes: it begins {raw[:4].hex()}")
    size = math.prod(shape)
    if len(body) != size:
        fault = "cut short" if len(body) < size else "too long"
        raise UserError(f"{path} is {fault}: {shape} needs {size} bytes, it has {len(body)}")
    return np.frombuffer(body, np.uint8).reshape(shape)


@register("idx")
def idx(path: str = "") -> Source:
    """A folder with MNIST's files: train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-… .

    Also with a dot in place of the second dash, and gzipped (.gz); or a folder in which torchvision
    has put them into MNIST/raw, or one alone of its kind.
    """
    folder = epath.Path(path)
    if not path or not folder.is_dir():
        raise UserError(f"data.path={path!r} is no folder: name one with train-images-idx3-ubyte")

    if not any(folder.glob("*-idx*")) and not any(folder.glob("*.idx*")):
        # Where torchvision keeps them: in root/MNIST/raw, or root/FashionMNIST/raw.
        raw = [*folder.glob("raw"), *folder.glob("*/raw")]
        folder = raw[0] if len(raw) == 1 else folder

    def find(part: str, kind: str) -> epath.Path:
        stem = f"{part}-{kind}"
        for name in (stem, stem.replace("-idx", ".idx")):
            for suffix in ("", ".gz"):
                if (folder / (name + suffix)).is_file():
                    return folder / (name + suffix)
        raise UserError(f"{path} has no file {stem} (or {stem}.gz)")

    def part(name: str):
        images = read_idx(find(name, "images-idx3-ubyte"))
        labels = read_idx(find(name, "labels-idx1-ubyte"))
        return labelled_images(images, labels, f"{path}/{name}")

    return Source(part("train"), part("t10k"))
