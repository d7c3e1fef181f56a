"""PyTorch's files: the numbers that PyTorch wrote, from both kinds; and nothing is executed.

The files in golden/torch_files are made by golden/make_torch_files.py.
"""

import collections
import io
import os
import pickle
import struct
import zipfile
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest

from jaxdl.errors import UserError
from jaxdl.pretrained import stand_ins, torch_file

GOLDEN = Path(__file__).parent / "golden" / "torch_files"
KINDS = ["", "_legacy"]
GRID = np.arange(24, dtype=np.float32).reshape(4, 6) / 8
TENSORS = {
    "float32": GRID,
    "float64": GRID.astype(np.float64) / 3,
    "float16": (GRID / 3).astype(np.float16),
    "bfloat16": (GRID / 3).astype(ml_dtypes.bfloat16),
    "int64": np.array([-(2**40), 0, 7]),
    "uint8": np.array([[0, 255]], np.uint8),
    "bool": np.array([True, False]),
    "scalar": np.float32(2.5),
    "empty": np.zeros((0, 3), np.float32),
    "parameter": np.array([1, -1], np.float32),
    "strided": GRID.T[1::2, 2:],
    "row": GRID[3],
    "expanded": np.broadcast_to(GRID[1, :1], (3, 2)),
}


@pytest.mark.parametrize("kind", KINDS)
def test_all_kinds_of_tensors_are_read(kind):
    file = torch_file.read(GOLDEN / f"tensors{kind}.pth")
    assert list(file.names) == list(TENSORS)
    for name, expected in TENSORS.items():
        found = file.read(name)
        assert found.dtype == expected.dtype, name
        assert file.shape(name) == found.shape == expected.shape, name
        np.testing.assert_array_equal(found, expected, err_msg=name)
        assert file.is_floating(name) == (name not in ("int64", "uint8", "bool")), name


@pytest.mark.parametrize("kind", KINDS)
def test_views_that_are_conjugated_or_negated_when_used_are_so(kind):
    # Their numbers are stored as they were before: torch 2.13.0.
    file = torch_file.read(GOLDEN / f"conjugated{kind}.pth")
    plane = np.array([1 + 2j, 3 - 4j, -1 + 1j], np.complex64)
    wanted = {"plane": plane, "conjugate": plane.conj(), "pieces": plane.conj()[::2]}
    assert list(file.names) == list(wanted)
    for name, expected in wanted.items():
        np.testing.assert_array_equal(file.read(name), expected, err_msg=name)
    found = torch_file.read(GOLDEN / f"negated{kind}.pth").read("imaginary")
    np.testing.assert_array_equal(found, np.float32([-2, 4, -1]))


@pytest.mark.parametrize("kind", KINDS)
def test_a_state_dict_beside_an_optimizer_is_found(kind):
    file = torch_file.read(GOLDEN / f"nested{kind}.pth")
    names = ["weight", "bias", "running_mean", "running_var", "num_batches_tracked"]
    assert list(file.names) == names
    np.testing.assert_array_equal(file.read("running_mean"), np.float32([3, 4]))


@pytest.mark.parametrize("kind", KINDS)
def test_a_whole_module_has_the_tensors_of_its_state_dict(kind):
    file = torch_file.read(GOLDEN / f"module{kind}.pth")
    names = ["weight", "bias", "running_mean", "running_var", "num_batches_tracked"]
    assert list(file.names) == names
    np.testing.assert_array_equal(file.read("running_mean"), np.float32([3, 4]))


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_of_other_things_is_refused(kind):
    with pytest.raises(UserError, match="holds no tensors by name, but a list"):
        torch_file.read(GOLDEN / f"list{kind}.pth")


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_cut_anywhere_is_called_damaged(tmp_path, kind):
    data = (GOLDEN / f"tensors{kind}.pth").read_bytes()
    path = tmp_path / "cut.pth"
    for left in range(0, len(data), 97):
        path.write_bytes(data[:left])
        with pytest.raises(UserError, match=r"cut\.pth is damaged, or no file of PyTorch's"):
            torch_file.read(path)


# What a pickle could do.


class Calls:
    """Pickled as a call."""

    def __init__(self, function, *arguments):
        self.call = (function, arguments)

    def __reduce__(self):
        return self.call


def archive(path, content: bytes, **parts: bytes):
    """A zip archive as PyTorch's, with this pickle."""
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("archive/data.pkl", content)
        for key, data in parts.items():
            file.writestr(f"archive/data/{key}", data)
    return path


def row(path, content: bytes):
    """A file of the older kind, with this pickle and no numbers."""
    start = [0x1950A86A20F9469CFC6C, 1001, dict(little_endian=True)]
    path.write_bytes(b"".join(pickle.dumps(x, 2) for x in start) + content + pickle.dumps([], 2))
    return path


@pytest.mark.parametrize("write", [archive, row])
@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4, 5])
@pytest.mark.parametrize(
    "function, arguments",
    [
        (os.system, ("touch {mark}",)),
        (eval, ("open({mark!r}, 'w')",)),
        (getattr, ("text", "upper")),
        (io.FileIO, ("{mark}", "w")),
    ],
)
def test_a_pickle_that_calls_functions_is_refused(tmp_path, write, protocol, function, arguments):
    mark = tmp_path / "mark"
    call = Calls(function, *(x.format(mark=str(mark)) for x in arguments))
    path = write(tmp_path / "evil.pth", pickle.dumps({"weight": call}, protocol))
    message = (
        rf"evil\.pth holds no tensors by name, but weight \([\w.]*{function.__name__}\), and no"
    )
    with pytest.raises(UserError, match=message):
        torch_file.read(path)
    assert not mark.exists()


@pytest.mark.parametrize(
    "code",
    [
        b"cjaxdl.pretrained.torch_file\nos\n.",
        b"ctorch\n__builtins__\n.",
        b"ccollections\nOrderedDict.__init__.__globals__\n.",
        b"\x80\x04\x8c\x0bcollections\x8c\x1eOrderedDict.__init__.__class__\x93.",
    ],
)
def test_names_behind_allowed_names_are_refused(tmp_path, code):
    with pytest.raises(UserError, match=r"nothing is executed here|is damaged"):
        torch_file.read(archive(tmp_path / "evil.pth", code))


def test_what_a_pickle_gets_hold_of_cannot_be_changed(tmp_path):
    """The opcode b sets attributes of what was made."""
    names = (b"ctorch\nSize\n", b"ctorch\nFloatStorage\n", b"ctorch._utils\n_rebuild_tensor_v2\n")
    for name in names:
        for state in (b"}S'dtype'\nI1\ns", b"N}S'dtype'\nI1\ns\x86"):
            with pytest.raises(UserError, match="is damaged"):
                torch_file.read(archive(tmp_path / "evil.pth", name + state + b"b."))


def test_stand_ins_cannot_be_changed_and_change_nothing(tmp_path):
    """Of a class the opcodes that set something are refused; of an object they do nothing."""
    tensor = pickled(0, (8,), (1,))[:-1]  # a state dict, without the end
    numbers = np.arange(8, dtype=np.float32).tobytes()
    read = lambda code: torch_file.read(archive(tmp_path / "x.pth", code, **{"0": numbers}))
    states = (b"}S'what'\nI1\nsb", b"N}S'what'\nI1\ns\x86b", b"I1\na", b"(I1\ne", b"S'what'\nI1\ns")
    for state in states:
        with pytest.raises(UserError, match="is damaged"):
            read(tensor + b"S'x'\ncos\nsystem\n" + state + b"s.")
        file = read(tensor + b"S'x'\ncos\nsystem\n(tR" + state + b"s.")
        assert dict(file.others) == {"x": "os.system"}
        assert list(file.names) == ["weight"]


def test_modules_in_modules_do_not_grow_without_end(tmp_path, monkeypatch):
    """Each is twice in the next; the limit is lowered, so that few do."""
    monkeypatch.setattr(stand_ins, "_MOST_NAMES", 30)
    parts = lambda children: b"}(S'_parameters'\n}S'_buffers'\n}S'_modules'\n}(" + children + b"uub"
    leaf = b"cx\nM\n(tR}(S'_parameters'\n" + pickled(0, (8,), (1,))[:-1] + b"S'_buffers'\n}ub"
    code = leaf
    for i in range(4):
        put = f"p{i}\n".encode()
        code += put + b"cx\nM\n(tR" + parts(f"S'a'\ng{i}\nS'b'\ng{i}\n".encode())
    numbers = {"0": np.zeros(8, np.float32).tobytes()}
    file = torch_file.read(archive(tmp_path / "x.pth", code + b".", **numbers))
    assert len(file.names) == 16
    assert "b.a.b.b.weight" in file.names
    code += b"p9\ncx\nM\n(tR" + parts(b"S'a'\ng9\nS'b'\ng9\n")
    with pytest.raises(UserError, match="a module of more than 30 tensors"):
        torch_file.read(archive(tmp_path / "x.pth", code + b".", **numbers))


def rebuilt(offset, shape, strides, count, key=0) -> bytes:
    """The code of one float32 tensor, made without PyTorch."""
    return (
        b"ctorch._utils\n_rebuild_tensor_v2\n("
        b"(S'storage'\nctorch\nFloatStorage\nS'%d'\nS'cpu'\n"
        % key
        + f"I{count}\ntQI{offset}\n".encode()
        + b"".join(b"(" + b"".join(b"I%d\n" % n for n in x) + b"t" for x in (shape, strides))
        + b"I00\nNtR"
    )


def pickled(offset, shape, strides, count=8) -> bytes:
    """A state dict of one tensor."""
    return b"}S'weight'\n" + rebuilt(offset, shape, strides, count) + b"s."


@pytest.mark.parametrize(
    "offset, shape, strides",
    [
        (0, (9,), (1,)),
        (7, (2,), (1,)),
        (-1, (2,), (1,)),
        (0, (2,), (-1,)),
        (0, (-2,), (1,)),
        (0, (2, 2), (7, 1)),
        (0, (2, 2), (1,)),
        (0, (2**62, 2), (2**62, 1)),
        (2**70, (), ()),
    ],
)
def test_no_tensor_reaches_outside_its_storage(tmp_path, offset, shape, strides):
    numbers = np.arange(8, dtype=np.float32).tobytes()
    path = archive(tmp_path / "x.pth", pickled(offset, shape, strides), **{"0": numbers})
    with pytest.raises(UserError, match="is damaged"):
        torch_file.read(path)


def test_a_tensor_is_a_view_of_the_file(tmp_path):
    numbers = np.arange(8, dtype=np.float32)
    path = archive(tmp_path / "x.pth", pickled(1, (3, 2), (2, 1)), **{"0": numbers.tobytes()})
    found = torch_file.read(path).read("weight")
    np.testing.assert_array_equal(found, numbers[1:7].reshape(3, 2))
    assert not found.flags.writeable
    with pytest.raises(ValueError, match="read-only"):
        found[0, 0] = 1


def test_compressed_and_missing_and_foreign_numbers_are_refused(tmp_path):
    content = pickled(0, (8,), (1,))
    with pytest.raises(UserError, match="is damaged"):
        torch_file.read(archive(tmp_path / "missing.pth", content))
    with zipfile.ZipFile(tmp_path / "x.pth", "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("archive/data.pkl", content)
        file.writestr("archive/data/0", bytes(32))
    with pytest.raises(UserError, match="archive/data/0 is compressed"):
        torch_file.read(tmp_path / "x.pth")
    with zipfile.ZipFile(archive(tmp_path / "big.pth", content), "a") as file:
        file.writestr("archive/byteorder", "big")
    with pytest.raises(UserError, match="big-endian order: save it anew"):
        torch_file.read(tmp_path / "big.pth")


def test_things_beside_tensors_are_named(tmp_path):
    content = pickle.dumps(collections.OrderedDict(epoch=3, lr=0.1), 2)
    with pytest.raises(
        UserError, match=r"no tensors by name, but epoch \(int\), lr \(float\), and"
    ):
        torch_file.read(archive(tmp_path / "x.pth", content))


@pytest.mark.parametrize("data", [b"", b"PK", b"\x80\x02.", struct.pack("<q", 7), b"hello\n"])
def test_what_is_no_file_of_pytorchs_is_refused(tmp_path, data):
    (tmp_path / "x.pth").write_bytes(data)
    with pytest.raises(UserError, match=r"x\.pth is damaged, or no file of PyTorch's"):
        torch_file.read(tmp_path / "x.pth")
