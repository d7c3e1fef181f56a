"""Folders as they come: classes and parts, what systems leave behind, what is left out."""

import os
import unicodedata

import numpy as np
import pytest
from etils import epath
from PIL import Image

from jaxdl import config, data
from jaxdl.data import files, folder, layout
from jaxdl.errors import UserError
from jaxdl.launch import listing

# What Finder, Windows, Jupyter, archives, disks and network stores leave, and editors.
LEFT_BEHIND = (
    *(".DS_Store", "._0.png", ".0.png.swp", "Thumbs.db", "desktop.ini", "0.png~", "~$0.png"),
    *(".ipynb_checkpoints/0-checkpoint.png", "__MACOSX/._0.png", "__MACOSX/cat/0.png"),
    *("@eaDir/0.png/thumb.jpg", "$RECYCLE.BIN/0.png", "System Volume Information/0.png"),
    *("lost+found/0.png", ".Trash-1000/files/0.png", "__pycache__/0.png", ".git/0.png"),
)


def lay(root, *names):
    """Writes a small picture for each name, or a text where it ends in no picture's ending."""
    for i, name in enumerate(names):
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        if files.of_kind(epath.Path(file), layout.SUFFIXES) and not file.name.startswith("._"):
            Image.new("RGB", (4, 4), (i % 256, 0, 0)).save(file)
        else:
            file.write_bytes(b"no picture")
    return epath.Path(root)


def found(root):
    """{part: {name below the root: class}}, and the notes."""
    made = layout.find(epath.Path(root))
    name = lambda file: str(file.relative_to(root))
    named = {
        part: {name(f): made.class_names[n] for f, n in zip(*labelled, strict=True)}
        for part, labelled in made.parts.items()
    }
    return named, made.notes


def refused(root, *words):
    with pytest.raises(UserError) as caught:
        layout.find(epath.Path(root))
    assert "\n" not in str(caught.value)
    for word in words:
        assert str(word) in str(caught.value)


def load(root, **changed):
    settings = {**config.default().data.to_dict(), "name": "folder", "path": str(root)}
    return data.load({**settings, **changed})


def test_what_systems_and_editors_leave_behind_is_nothing(tmp_path):
    lay(tmp_path, "cat/0.png", "dog/0.png")
    for inside in ("", "cat/", "dog/"):
        lay(tmp_path, *(inside + name for name in LEFT_BEHIND))
    wanted = {"train": {"cat/0.png": "cat", "dog/0.png": "dog"}}
    assert found(tmp_path) == (wanted, ())
    os.renames(tmp_path / "cat", tmp_path / "train/cat")
    os.renames(tmp_path / "dog", tmp_path / "train/dog")
    for part in ("val/", "train/"):
        lay(tmp_path, f"{part}dog/0.png", *(part + name for name in LEFT_BEHIND))
    named, notes = found(tmp_path)
    assert named["validation"] == {"val/dog/0.png": "dog"}
    assert notes == ()


def test_names_are_a_users_own_unless_hidden_or_of_a_system():
    assert all(map(files.is_own, ("a", "a.png", "_a", "-", "a~b", "MACOSX", "Icon", "recycle")))
    assert not any(files.is_own(name.split("/")[0]) for name in LEFT_BEHIND)


def test_experiments_are_listed_without_what_is_left_behind(tmp_path, monkeypatch):
    lay(tmp_path / "experiments", "mine.py", "._mine.py", "_shared.py", ".#mine.py")
    monkeypatch.chdir(tmp_path)
    assert [file.name for file in listing.experiment_files()] == ["mine.py"]


def test_what_is_asked_for_by_name_is_there_whatever_it_is_called(tmp_path):
    hidden = tmp_path / ".cache" / "__MACOSX"
    lay(hidden, "cat/0.png", "dog/0.png")
    assert set(found(hidden)[0]["train"]) == {"cat/0.png", "dog/0.png"}
    inside = epath.Path(hidden) / "cat" / "0.png"
    for pattern, asked in (
        (f"{hidden}/*/*.png", True),
        (f"{tmp_path}/.c*/__MACOSX/**", True),
        (f"{tmp_path}/.cache/*/cat/*.png", False),
    ):
        assert files.matches(inside, pattern) is asked


def test_links_in_a_circle_are_gone_through_once(tmp_path):
    lay(tmp_path, "cat/0.png", "cat/more/1.png")
    (tmp_path / "cat/more/again").symlink_to(tmp_path / "cat")
    (tmp_path / "dog").symlink_to(tmp_path / "cat/more", target_is_directory=True)
    names = [str(p.relative_to(tmp_path)) for p in files.below(epath.Path(tmp_path))]
    assert names == ["cat/0.png", "cat/more/1.png", "dog/1.png", "dog/again/0.png"]


def test_files_come_in_the_order_of_their_paths(tmp_path):
    names = ["B.txt", "a.txt", "a/b.txt", "a/b/c.txt", "a-b/c.txt", "a0.txt", "é.txt"]
    lay(tmp_path, *names)
    assert [*files.below(epath.Path(tmp_path))] == sorted(tmp_path / name for name in names)


def test_pictures_of_a_class_may_lie_in_folders_in_its_own(tmp_path):
    lay(tmp_path, "n01/images/a.JPEG", "n01/images/b.JPEG", "n02/images/a.JPEG", "n02/c.jpg")
    lay(tmp_path, "n01/n01_boxes.txt", "n03/2019/may/a.ppm", "n03/2020/b.PGM", "n03/2020/c.heic")
    named, (note,) = found(tmp_path)
    assert named == {
        "train": {
            "n01/images/a.JPEG": "n01", "n01/images/b.JPEG": "n01",
            "n02/c.jpg": "n02", "n02/images/a.JPEG": "n02",
            "n03/2019/may/a.ppm": "n03", "n03/2020/b.PGM": "n03",
        }
    }  # fmt: skip
    assert note.startswith(f"left out of {tmp_path} for their endings: 1 .txt, 1 .heic (read are ")


@pytest.mark.parametrize(
    "names",
    [
        ("pets/cat/0.png", "pets/dog/0.png"),
        ("pets/cat/0.png", "pets/dog/0.png", "wild/cat/0.png"),
        ("seg_train/seg_train/sea/0.png", "seg_test/seg_test/sea/0.png"),
        ("bottle/train/good/0.png", "cable/train/good/0.png"),
        ("cat/0.png", "dog/0.png", "test/cat/0.png", "test/dog/0.png"),
        ("archive/train/cat/0.png", "archive/val/cat/0.png"),
    ],
    ids=["wrapped", "shared", "wrapped twice", "parts in classes", "beside", "a whole set"],
)
def test_folders_that_could_be_the_classes_are_asked_about(tmp_path, names):
    lay(tmp_path, *names)
    refused(tmp_path, "could be a class", "data.path")


def test_one_class_wrapped_in_itself_is_one_class(tmp_path):
    lay(tmp_path, "celeba/celeba/0.jpg", "celeba/celeba/1.jpg")
    assert set(found(tmp_path)[0]["train"].values()) == {"celeba"}


@pytest.mark.parametrize("train", ["train", "Train", "training"])
@pytest.mark.parametrize(
    "beside, part",
    [("test", "test"), ("Testing", "test"), ("VAL", "validation"), ("valid", "validation"),
     ("validation", "validation"), ("dev", "validation")],
)  # fmt: skip
def test_parts_are_known_by_their_usual_names(tmp_path, train, beside, part):
    lay(tmp_path, f"{train}/cat/0.png", f"{train}/dog/0.png", f"{beside}/dog/1.png")
    named, notes = found(tmp_path)
    assert set(named["train"]) == {f"{train}/cat/0.png", f"{train}/dog/0.png"}
    assert named[part] == {f"{beside}/dog/1.png": "dog"}
    assert not notes


def test_a_train_may_be_what_is_to_be_seen(tmp_path):
    lay(tmp_path, "car/0.png", "train/0.png", "tram/0.png")
    named, (note,) = found(tmp_path)
    assert set(named["train"].values()) == {"car", "train", "tram"}
    assert f"{tmp_path / 'train'} is taken for a class" in note
    lay(tmp_path / "flat", "train/0.png", "test/0.png")
    refused(tmp_path / "flat", "holds no class folders")


@pytest.mark.parametrize(
    "unlabelled",
    ["test/0.png", "test/images/0.JPEG", "test/test/0.png", "test/unknown/0.png"],
)
def test_a_part_without_labels_is_left_out_and_said(tmp_path, unlabelled):
    lay(tmp_path, "train/cat/0.png", "train/dog/0.png", "val/cat/1.png", unlabelled)
    named, (note,) = found(tmp_path)
    assert named["validation"] == {"val/cat/1.png": "cat"}
    assert "test" not in named
    assert note == f"{tmp_path / 'test'} has neither class folders nor labels, and is left out"
    measured = load(tmp_path)
    assert (len(measured.test), measured.validation) == (1, None)


def test_a_part_with_other_classes_is_no_part_without_labels(tmp_path):
    lay(tmp_path, "train/cat/0.png", "train/dog/0.png", "val/Cat/0.png", "val/Dog/0.png")
    refused(tmp_path, "'Cat'", tmp_path / "val", tmp_path / "train")


def test_a_folder_of_pictures_beside_their_labels_is_no_class(tmp_path):
    for name in ("images", "Train/JPEGImages"):
        root = tmp_path / name.replace("/", "-")
        refused(lay(root, f"{name}/0.png", f"{name}/1.png", "labels.csv"), "no class folders")


def test_a_name_is_the_same_with_its_accents_apart(tmp_path):
    apart, joined = (unicodedata.normalize(form, "café") for form in ("NFD", "NFC"))
    lay(tmp_path, f"train/{apart}/0.png", "train/tea/1.png", f"val/{joined}/2.png", "val/tea/3.png")
    made = layout.find(epath.Path(tmp_path))
    assert made.class_names == (joined, "tea")
    assert {part: labels for part, (_, labels) in made.parts.items()} == {
        "train": [0, 1],
        "validation": [0, 1],
    }
    lay(tmp_path, f"train/{joined}/4.png")
    refused(tmp_path, "two folders 'café'")


def test_tiny_imagenets_labels_are_read(tmp_path):
    lay(tmp_path, "train/n01/images/0.JPEG", "train/n02/images/0.JPEG")
    lay(tmp_path, "val/images/val_0.JPEG", "val/images/val_1.JPEG", "test/images/0.JPEG")
    file = tmp_path / "val/val_annotations.txt"
    file.write_text("val_1.JPEG\tn01\t0\t0\t3\t3\nval_0.JPEG\tn02\t0\t0\t3\t3\n")
    named, (note,) = found(tmp_path)
    assert named["validation"] == {"val/images/val_0.JPEG": "n02", "val/images/val_1.JPEG": "n01"}
    assert str(tmp_path / "test") in note
    file.write_text("val_1.JPEG\tn01\nval_0.JPEG\tn03\n")
    refused(tmp_path, f"{file}, line 2")


def reds(split):
    return sorted(split.take(np.arange(len(split)))["image"][:, 0, 0, 0].tolist())


@pytest.mark.parametrize("in_memory", [0, 1 << 30])
def test_of_three_parts_each_is_what_it_is_called(tmp_path, monkeypatch, in_memory):
    monkeypatch.setattr(folder, "_IN_MEMORY", in_memory)
    train = [f"train/{c}/{i}.png" for c in ("cat", "dog") for i in range(10)]
    lay(tmp_path, *train, *(f"val/cat/{i}.png" for i in range(3)), "test/dog/0.png")
    usual, chosen = load(tmp_path), load(tmp_path, eval_on="validation")
    assert reds(usual.train) == reds(chosen.train) == [*range(20)]
    assert reds(usual.test) == [23]
    assert reds(usual.validation) == reds(usual.watched) == [20, 21, 22]
    assert reds(chosen.test) == reds(chosen.watched) == [20, 21, 22]
    assert chosen.validation is None
    # What is done to the classes is done to all parts.
    lay(tmp_path, "val/dog/0.png", "test/cat/0.png")
    turned = load(tmp_path, classes=("dog",), symmetries=4)
    assert [len(x) for x in (turned.train, turned.validation, turned.test)] == [40, 4, 4]
    assert turned.class_names[0] == "dog"


def test_pictures_and_folders_that_are_nowhere_are_said(tmp_path):
    lay(tmp_path, "train/cat/0.png", "train/dog/0.png", "train/1.png", "train/2.png")
    lay(tmp_path, "val/cat/0.png", "extra/0.png", "unlabeled/0.png", "readme.txt")
    _, notes = found(tmp_path)
    assert notes == (
        f"beside {tmp_path / 'train'} there are folders that are left out: 'extra', 'unlabeled'",
        f"2 images in {tmp_path / 'train'} are in no class folder, and are left out",
    )


def test_a_class_of_other_files_alone_is_told_what_they_are(tmp_path):
    lay(tmp_path, "cat/0.png", "dog/0.heic", "dog/1.HEIC", "dog/noending")
    refused(tmp_path, f"{tmp_path / 'dog'} holds no images", "2 .heic, 1 without ending")


def test_a_folder_that_cannot_be_read_is_a_line(tmp_path, monkeypatch):
    lay(tmp_path, "cat/0.png")

    def forbidden(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(os, "scandir", forbidden)
    refused(tmp_path, f"{tmp_path} cannot be read: Permission denied")
