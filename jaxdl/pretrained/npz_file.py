"""NumPy's archives of arrays by name (.npz), as Google publishes its ViTs; nothing is unpickled."""

import zipfile
from pathlib import Path

import ml_dtypes
import numpy as np

from jaxdl.errors import UserError

_HEADERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}

# What jax's bfloat16 becomes where NumPy writes it: two bytes that say nothing of themselves.
_BFLOAT16 = np.dtype("V2")


class NpzFile:
    """The arrays of a file by name, each read when it is asked for.

    Attributes:
      names: of all, without ".npy".
    """

    def __init__(self, path: Path):
        """Of a file.

        Raises:
          UserError: it is damaged, or holds Python objects.
        """
        self._path, self._headers = path, {}
        try:
            with zipfile.ZipFile(path) as archive:
                for member in archive.namelist():
                    with archive.open(member) as file:
                        shape, _, dtype = _HEADERS[np.lib.format.read_magic(file)](file)
                    self._headers[member.removesuffix(".npy")] = shape, dtype
        except Exception as error:  # a header may be wrong in any way
            raise UserError(f"{path} is damaged, or no file of NumPy's: {error!r}") from None
        self.names = self._headers.keys()
        objects = [name for name, (_, dtype) in self._headers.items() if dtype.hasobject]
        if objects:
            raise UserError(f"{path} holds Python objects, which are not read: {objects[0]}")

    def shape(self, name: str) -> tuple[int, ...]:
        """Of one, without reading it."""
        return self._headers[name][0]

    def is_floating(self, name: str) -> bool:
        """Whether one is of float64, float32, float16 or bfloat16."""
        dtype = self._headers[name][1]
        return dtype == _BFLOAT16 or dtype.kind == "f"

    def read(self, name: str) -> np.ndarray:
        """One.

        Raises:
          UserError: it is cut off or was changed.
        """
        try:
            with np.load(self._path, allow_pickle=False) as file:
                array = file[name]
        except Exception as error:
            raise UserError(f"{self._path} is damaged at {name}: {error!r}") from None
        return array.view(ml_dtypes.bfloat16) if array.dtype == _BFLOAT16 else array
