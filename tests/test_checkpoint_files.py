"""Checkpoints as training programs save them, and files that are none: what is read of each.

The files in golden/checkpoints are made by golden/make_checkpoints.py: by the savers of timm and
Lightning, and by torch.save.
"""

import pickle
import zipfile
from collections import OrderedDict
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
from safetensors.numpy import save_file

from jaxdl.errors import UserError
from jaxdl.pretrained import tensors, torch_file

GOLDEN = Path(__file__).parent / "golden" / "checkpoints"
NAMES = [f"0.{x}" for x in ("weight", "bias")] + [
    f"1.{x}" for x in ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
]
SEVERAL = {
    "torchvision_ema": ("model", "model_ema"),
    "timm_ema": ("state_dict", "state_dict_ema"),
    "teacher": ("student", "teacher"),
    "whole_and_ema": ("model", "ema"),
}
UNREADABLE = ("numpy_weights", "one_numpy", "float8")
ALONE = sorted({file.stem for file in GOLDEN.iterdir()} - {*SEVERAL, *UNREADABLE})


def assert_is_the_model(file, first=0.0, prefix=""):
    names = [name for name in file.names if name != "n_averaged"]
    assert names == [prefix + name for name in NAMES]
    for name, shape in {"0.weight": (3, 2), "0.bias": (3,), "1.running_var": (3,)}.items():
        expected = first + np.arange(np.prod(shape), dtype=np.float32).reshape(shape) / 2
        np.testing.assert_array_equal(file.read(prefix + name), expected)


@pytest.mark.parametrize("name", ALONE)
def test_the_model_is_found_among_all_that_a_program_saves(name):
    file = torch_file.read(GOLDEN / f"{name}.pth")
    assert_is_the_model(file, prefix="model." if name == "lightning" else "")


def tensors_said(path):
    """What PyTorch would be called with for each tensor of a file, and the numbers behind it."""
    archive = zipfile.ZipFile(path)
    folder = archive.namelist()[0].partition("/")[0]
    assert not any(entry.compress_type for entry in archive.infolist())
    assert archive.read(f"{folder}/byteorder") == b"little"
    assert archive.read(f"{folder}/version") == b"3\n"
    called = lambda name: lambda *args: (name, args)

    class Unpickler(pickle.Unpickler):
        def find_class(self, module, name):
            whole = f"{module}.{name}"
            return OrderedDict if whole == "collections.OrderedDict" else called(whole)

        def persistent_load(self, identity):
            word, kind, key, place, count = identity
            return word, kind()[0], place, count, archive.read(f"{folder}/data/{key}")

    return dict(Unpickler(archive.open(f"{folder}/data.pkl")).load())


def test_pytorch_is_told_the_same_of_what_is_written_as_of_its_own_files(tmp_path):
    theirs = GOLDEN.parent / "torch_files" / "tensors.pth"
    file, new = torch_file.read(theirs), tmp_path / "new.pth"
    pieces = ("parameter", "strided", "row", "expanded")  # of other numbers, or by other functions
    tensors.write(new, {name: file.read(name) for name in file.names if name not in pieces})
    said = {name: x for name, x in tensors_said(theirs).items() if name not in pieces}
    assert len(said) == 9
    assert tensors_said(new) == said


def test_numbers_of_every_kind_are_written(tmp_path):
    kinds = torch_file.STORAGES.values()
    drawn = np.random.default_rng(0).integers(0, 2, (3, 4, 5))
    made = {f"{np.dtype(kind)}": drawn.astype(kind).transpose(2, 0, 1) for kind in kinds}
    made |= {"scalar": np.array(3.5), "empty": np.zeros((0, 2), np.float32)}
    file = tmp_path / "new.pt"
    tensors.write(file, made)
    found = torch_file.read(file)
    assert list(found.names) == list(made)
    for name, x in made.items():
        np.testing.assert_array_equal(found.read(name), x, strict=True)


@pytest.mark.parametrize("name", SEVERAL)
def test_several_models_are_listed_with_the_setting_that_picks_one(name):
    keys = SEVERAL[name]
    path = GOLDEN / f"{name}.pth"
    message = rf"{name}\.pth holds 2 models, {keys[0]}, {keys[1]}: .*\.checkpoint_key={keys[0]} say"
    with pytest.raises(UserError, match=message):
        torch_file.read(path)
    first = {"student": 20.0, "teacher": 0.0, "model": 0.0, "state_dict": 0.0}
    for key in keys:
        file = torch_file.read(path, key)
        prefix = "module." if key == "model_ema" else ""
        assert_is_the_model(file, first.get(key, 10.0), prefix)
    with pytest.raises(UserError, match=rf"checkpoint_key='no'; there is {keys[0]}, {keys[1]}$"):
        torch_file.read(path, "no")


def test_what_stands_where_a_tensor_is_wanted_is_named():
    array = r"numpy\._?core\.multiarray\._reconstruct"
    with pytest.raises(
        UserError, match=rf"no tensors by name, but state_dict\.0\.weight \({array}"
    ):
        torch_file.read(GOLDEN / "numpy_weights.pth")
    file = torch_file.read(GOLDEN / "one_numpy.pth")
    assert list(file.names) == NAMES[1:]
    assert list(file.others) == ["0.weight"]
    assert list(torch_file.read(GOLDEN / "float8.pth").others) == ["0.weight"]


def test_a_key_may_be_what_names_begin_with(tmp_path):
    arrays = {"net.w": np.float32([1]), "net.b": np.float32([2]), "network.w": np.float32([3])}
    save_file(arrays, tmp_path / "x.safetensors")
    np.savez(tmp_path / "y.npz", **{k.replace(".", "/"): x for k, x in arrays.items()})
    for name, split in {"x.safetensors": ".", "y.npz": "/"}.items():
        with tensors.opened(tmp_path / name, "net") as file:
            assert set(file.names) == {f"net{split}w", f"net{split}b"}
    file = torch_file.read(GOLDEN / "lightning.pth", "model.1")
    assert list(file.names) == [f"model.{name}" for name in NAMES[2:]]
    with pytest.raises(UserError, match=r"x\.safetensors, name that file and its model"):
        tensors.opened(tmp_path).__enter__()


# Files that hold no weights, or have another name than what they are.

FOREIGN = {
    "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n": "a Git LFS pointer",
    "/annex/objects/MD5-s9--00\n": "a git-annex pointer",
    "<!DOCTYPE html>\n<html>": "a web page",
    "\n<html lang=en>": "a web page",
    "\ufeff<HTML>": "a web page",
    '<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>': "a server's message",
    '{"error": "Repository not found"}': "JSON",
    "": "damaged: it is empty",
    "\x89HDF\r\n\x1a\n": "an HDF5 file",
    "GGUF\x03": "a GGUF file",
    "\x93NUMPY\x01": "one NumPy array",
    "\x1f\x8b\x08": "compressed",
    "0" * 257 + "ustar": "a tar archive",
}


@pytest.mark.parametrize("suffix", ["pth", "safetensors", "npz"])
@pytest.mark.parametrize("content, what", FOREIGN.items(), ids=FOREIGN.values())
def test_what_is_no_file_of_weights_is_told_from_damage(tmp_path, suffix, content, what):
    path = tmp_path / f"x.{suffix}"
    path.write_bytes(content.encode("utf-8" if "\ufeff" in content else "latin1"))
    with pytest.raises(UserError, match=rf"x\.{suffix} is .*{what}"), tensors.opened(path):
        pass


def test_a_file_is_what_it_holds_whatever_its_name(tmp_path):
    arrays = {"w": np.float32([[1, 2]]), "b": np.float16([3])}
    save_file(arrays, tmp_path / "x.pth")
    np.savez(tmp_path / "y", **arrays)
    (tmp_path / "y.npz").rename(tmp_path / "y.bin")
    (tmp_path / "z.safetensors").write_bytes((GOLDEN / "net.pth").read_bytes())
    for name in ("x.pth", "y.bin"):
        with tensors.opened(tmp_path / name) as file:
            for key, array in arrays.items():
                np.testing.assert_array_equal(file.read(key), array)
        message = f"{name} has no tensors under checkpoint_key='ema'"
        with pytest.raises(UserError, match=message), tensors.opened(tmp_path / name, "ema"):
            pass
    with tensors.opened(tmp_path / "z.safetensors") as file:
        assert_is_the_model(file)


def test_arrays_by_name_are_read_and_objects_are_not(tmp_path):
    half = np.arange(4).astype(ml_dtypes.bfloat16)
    np.savez_compressed(tmp_path / "x.npz", half=half, count=np.int64(3))
    with tensors.opened(tmp_path / "x.npz") as file:
        assert [file.is_floating(name) for name in ("half", "count")] == [True, False]
        assert file.shape("half") == (4,)
        np.testing.assert_array_equal(file.read("half").astype(np.float32), np.arange(4))
    np.savez(tmp_path / "y.npz", x=np.array([{}], object))
    with pytest.raises(UserError, match="holds Python objects, which are not read: x"):
        tensors.opened(tmp_path / "y.npz").__enter__()
    data = (tmp_path / "x.npz").read_bytes()
    (tmp_path / "z.npz").write_bytes(data[: len(data) // 2])
    with pytest.raises(UserError, match=r"z\.npz is damaged"):
        tensors.opened(tmp_path / "z.npz").__enter__()


def test_names_of_wrappers_are_no_part_of_names(tmp_path):
    names = {
        "_orig_mod.0.weight": "0.weight",
        "model._orig_mod.1._orig_mod.bias": "model.1.bias",
        "_fsdp_wrapped_module.2._checkpoint_wrapped_module.bias": "2.bias",
        "my_orig_mod.weight": "my_orig_mod.weight",
    }
    save_file({name: np.float32([i]) for i, name in enumerate(names)}, tmp_path / "x.safetensors")
    with tensors.opened(tmp_path / "x.safetensors") as file:
        for i, name in enumerate(names.values()):
            assert file.shape(name) == (1,)
            assert file.is_floating(name)
            np.testing.assert_array_equal(file.read(name), [i])
