"""PyTorch's files of tensors (.pth, .pt, .bin), read without PyTorch and without executing them.

Both kinds hold a pickle that says which tensors there are and raw numbers beside it: a zip archive
(PyTorch 1.6 and later) or several pickles one behind the other (before, and many files of
torchvision's). A pickle may call any function of any installed package. Here nothing that it names
is imported: what tensors are made of has parts of ours in its place, and all else is a `StandIn`
that does nothing. Numbers are read from the mapped file when a tensor is.
"""

import collections
import contextlib
import mmap
import pickle
import struct
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import ml_dtypes
import numpy as np

from jaxdl.errors import UserError
from jaxdl.pretrained import candidates
from jaxdl.pretrained.stand_ins import StandIn, is_stand_in_class, stand_in

# Storage types of PyTorch, as pickles name them.
STORAGES = {
    "DoubleStorage": np.float64,
    "FloatStorage": np.float32,
    "HalfStorage": np.float16,
    "BFloat16Storage": ml_dtypes.bfloat16,
    "LongStorage": np.int64,
    "IntStorage": np.int32,
    "ShortStorage": np.int16,
    "CharStorage": np.int8,
    "ByteStorage": np.uint8,
    "BoolStorage": np.bool_,
    "ComplexDoubleStorage": np.complex128,
    "ComplexFloatStorage": np.complex64,
}
# Of newer types of numbers, whose tensors are not read.
_UNTYPED = ("torch.storage", "UntypedStorage")
_FLOATING = (np.float64, np.float32, np.float16, ml_dtypes.bfloat16)

# The first pickle of a file of the older kind.
_MAGIC = 0x1950A86A20F9469CFC6C


class Storage(NamedTuple):
    """A row of numbers that tensors are pieces of.

    Attributes:
      dtype: of the numbers.
      key: its name in the file.
      start: where in it this one begins, in numbers.
      count: of the numbers.
    """

    dtype: np.dtype
    key: str
    start: int
    count: int


class Tensor(NamedTuple):
    """A piece of a storage, not read yet.

    Of a view that is conjugated or negated when it is used, the storage has the numbers of before.
    """

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    conjugated: bool = False
    negated: bool = False

    def check(self, size: int) -> None:
        """Raises ValueError if a storage of so many bytes has no such numbers."""
        first = self.storage.start + self.offset
        if len(self.shape) != len(self.strides) or min((*self.shape, *self.strides, first)) < 0:
            raise ValueError(f"shape {self.shape} with strides {self.strides} at {first}")
        if self.count and (first + self.count) * self.storage.dtype.itemsize > size:
            raise ValueError(f"{self.count} numbers from {first} on in {size} bytes")

    @property
    def is_floating(self) -> bool:
        """Whether its numbers are float64, float32, float16 or bfloat16."""
        return self.storage.dtype in _FLOATING

    @property
    def count(self) -> int:
        """Of numbers from the first to the last one."""
        if 0 in self.shape:
            return 0
        return 1 + sum((n - 1) * step for n, step in zip(self.shape, self.strides, strict=True))

    def of(self, data: memoryview) -> np.ndarray:
        """Its numbers from those of the storage, without a copy if they lie well and are these."""
        kind = self.storage.dtype
        flat = np.frombuffer(
            data, kind, self.count, (self.storage.start + self.offset) * kind.itemsize
        )
        strides = [step * kind.itemsize for step in self.strides]
        view = np.lib.stride_tricks.as_strided(flat, self.shape, strides, writeable=False)
        view = view.conj() if self.conjugated else view
        view = -view if self.negated else view
        return np.require(view, requirements="A")


class TorchFile:
    """The tensors of a file by name.

    Attributes:
      names: of all.
      others: what has a name among them and is no tensor, {name: what it is}.
    """

    def __init__(self, data: memoryview, places: Mapping[str, slice], model: candidates.Model):
        """Of the file's bytes, where in them each storage is, and the tensors by name."""
        self.names, self.others = model.tensors.keys(), model.others
        self._data, self._places, self._tensors = data, places, model.tensors

    def shape(self, name: str) -> tuple[int, ...]:
        """Of one, without reading it."""
        return self._tensors[name].shape

    def is_floating(self, name: str) -> bool:
        """Whether one is of float64, float32, float16 or bfloat16."""
        return self._tensors[name].is_floating

    def read(self, name: str) -> np.ndarray:
        """One, a view of the file."""
        tensor = self._tensors[name]
        return tensor.of(self._data[self._places[tensor.storage.key]])


def read(path: Path, checkpoint_key: str | None = None) -> TorchFile:
    """The tensors of a file.

    Args:
      path: the file.
      checkpoint_key: which model it is where a training program saved several, as
        `candidates.choose` has it.

    Raises:
      UserError: the file is damaged, none of PyTorch's, has no tensors by name, or several such
        mappings and no key.
    """
    with _told(path):
        data, found, places = _loaded(path)
        model = candidates.choose(found, Tensor, checkpoint_key)
        for tensor in model.tensors.values():
            place = places[tensor.storage.key]
            tensor.check(min(place.stop, len(data)) - place.start)
    return TorchFile(data, places, model)


def beside(path: Path) -> Mapping[str, Any]:
    """What a program saved in a file by name, {} if it saved something else.

    Tensors are `Tensor`s, not read, and what is no data of Python's is a `StandIn`.

    Raises:
      UserError: the file is damaged, or none of PyTorch's.
    """
    with _told(path):
        found = _loaded(path)[1]
    plain = isinstance(found, dict) and not isinstance(found, StandIn)
    return {str(key): value for key, value in found.items()} if plain else {}


@contextlib.contextmanager
def _told(path: Path) -> Iterator[None]:
    """Says of errors whose they are."""
    try:
        yield
    except UserError as error:
        raise UserError(f"{path} {error}") from None
    except Exception as error:  # a pickle may fail in any way
        raise UserError(f"{path} is damaged, or no file of PyTorch's: {error!r}") from None


def _loaded(path: Path) -> tuple[memoryview, Any, dict[str, slice]]:
    """The file's bytes, what was saved, and where in them each storage is."""
    with open(path, "rb") as file:
        data = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
        return data, *(_zipped if zipfile.is_zipfile(path) else _legacy)(file, data)


def _zipped(file: BinaryIO, data: memoryview) -> tuple[Any, dict[str, slice]]:
    """What was saved in an archive, and where the storages are in its bytes, by key."""
    with zipfile.ZipFile(file) as archive:
        names = archive.namelist()
        if any(name.split("/")[1:2] == ["code"] for name in names):
            raise UserError("is TorchScript, a program: save the model's state_dict() instead")
        if not any(name.endswith("/data.pkl") for name in names):
            raise UserError("is a zip archive, but none of PyTorch's: it has no data.pkl")
        (main,) = (name for name in names if name.count("/") == 1 and name.endswith("/data.pkl"))
        folder = main.removesuffix("data.pkl")
        order = f"{folder}byteorder"
        _check_order(order not in names or archive.read(order) == b"little")
        found = _Unpickler(archive.open(main)).load()
        places = {}
        for entry in archive.infolist():
            if entry.filename.startswith(f"{folder}data/"):
                if entry.compress_type != zipfile.ZIP_STORED:
                    raise ValueError(f"{entry.filename} is compressed")
                # The archive's directory says where an entry's header is; its name and a filler
                # stand between that and the numbers.
                name, filler = struct.unpack_from("<HH", data, entry.header_offset + 26)
                start = entry.header_offset + 30 + name + filler
                key = entry.filename.removeprefix(f"{folder}data/")
                places[key] = slice(start, start + entry.file_size)
    return found, places


def _legacy(file: BinaryIO, data: memoryview) -> tuple[Any, dict[str, slice]]:
    """The same of a row of pickles: four, the storages' keys, and the numbers in their order."""
    if type(first := _Unpickler(file).load()) is not int:
        raise UserError("is a pickle that torch.save has not written: write it by torch.save")
    if first != _MAGIC:
        raise ValueError("it begins with another number")
    _Unpickler(file).load()  # the protocol's version, which has always been 1001
    _check_order(_Unpickler(file).load()["little_endian"])
    unpickler = _Unpickler(file)
    found = unpickler.load()
    places = {}
    for key in _Unpickler(file).load():
        (count,) = struct.unpack("<q", file.read(8))
        start = file.tell()
        if unpickler.storages[key] is None:
            raise UserError("has numbers of a type that is not read: save them as float32")
        places[key] = slice(start, start + count * unpickler.storages[key].itemsize)
        file.seek(places[key].stop)
    return found, places


def _check_order(is_little: bool) -> None:
    if not is_little:
        raise UserError("has its numbers in big-endian order: save it anew")


class _Unpickler(pickle.Unpickler):
    """Makes `Tensor`s of what PyTorch pickles, and `StandIn`s of everything else.

    What pickles can get hold of are types of Python's that hold data, and objects of ours that
    cannot be changed.

    Attributes:
      storages: the dtypes of those seen, by key; None for those that are not read.
    """

    def __init__(self, file: Any):
        # Texts of Python 2 may be bytes; no name that is looked for is.
        super().__init__(file, encoding="utf-8", errors="surrogateescape")
        self.storages: dict[str, np.dtype | None] = {}
        self._stand_ins: dict[str, type[StandIn]] = {}

    def find_class(self, module: str, name: str) -> Any:
        """What stands for what a pickle names."""
        if module == "torch" and name in STORAGES:
            return _Kind(np.dtype(STORAGES[name]))
        if (module, name) == _UNTYPED:
            return _Kind(np.dtype(np.uint8))
        whole = f"{module}.{name}"
        if whole in _KNOWN:
            return _KNOWN[whole]
        return self._stand_ins.setdefault(whole, stand_in(whole))

    def persistent_load(self, identity: Any) -> Any:
        """A storage, from what stands for it in the pickle; or a class, which brings its source."""
        if identity[0] == "module":
            return identity[1]
        word, kind, key, _location, count, *view = identity
        if word != "storage":
            raise pickle.UnpicklingError(f"a {word!r} that is no storage")
        if is_stand_in_class(kind):
            self.storages[key] = None
            return kind()
        self.storages[key] = kind.dtype
        # In older files a storage may be a piece of another.
        _, start, count = (view and view[0]) or (key, 0, count)
        return Storage(kind.dtype, str(key), int(start), int(count))


class _Kind(NamedTuple):
    """A type of storages."""

    dtype: np.dtype


class _Rebuild:
    """Makes a tensor; unlike a function it has no attributes that a pickle could set."""

    __slots__ = ()

    def __call__(
        self, storage: Storage | StandIn, offset: int, shape: tuple, strides: tuple, *more: Any
    ) -> Tensor | StandIn:
        if isinstance(storage, StandIn):
            return storage
        if not isinstance(storage, Storage):
            raise pickle.UnpicklingError("a tensor of no storage")
        # Behind whether it has a gradient, and its hooks.
        marks = more[2] if len(more) > 2 and isinstance(more[2], dict) else {}
        lazily = (marks.get("conj") is True, marks.get("neg") is True)
        shape, strides = (tuple(map(int, numbers)) for numbers in (shape, strides))
        return Tensor(storage, int(offset), shape, strides, *lazily)


class _Wrap:
    """Makes a parameter, which is its tensor here."""

    __slots__ = ()

    def __call__(self, data: Tensor | StandIn, *_: Any) -> Tensor | StandIn:
        return data


class _Retype:
    """Makes a tensor that has attributes, or a subclass of tensors; it is a tensor here."""

    __slots__ = ()

    def __call__(self, make: Any, _type: Any, arguments: tuple, *_: Any) -> Tensor | StandIn:
        if not isinstance(make, _Rebuild | _Wrap) and not is_stand_in_class(make):
            raise pickle.UnpicklingError("a tensor that is made by no tensor's function")
        return make(*arguments)


# What a pickle gets when it names one of these.
_KNOWN = {
    "torch.Size": tuple,
    "builtins.tuple": tuple,
    "builtins.set": set,
    "__builtin__.set": set,
    "collections.OrderedDict": collections.OrderedDict,
    "torch._utils._rebuild_tensor": _Rebuild(),
    "torch._utils._rebuild_tensor_v2": _Rebuild(),
    "torch._utils._rebuild_parameter": _Wrap(),
    "torch._utils._rebuild_parameter_with_state": _Wrap(),
    "torch.nn.parameter.Parameter": _Wrap(),
    "torch._tensor._rebuild_from_type_v2": _Retype(),
}
