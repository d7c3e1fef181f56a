"""Own pictures with masks: as numbers, as colours and as two values, right and wrong."""

import shutil

import numpy as np
import pytest
from PIL import Image

from jaxdl import config as settings
from jaxdl import data as data_sets
from jaxdl.data import facts, masks
from jaxdl.errors import UserError

TABLE = "r,g,b,name\n0 0 0 ground\n200,10,10,car\n10 200 10\tside walk\n# a note\n1 1 1 Void\n"
COLOURS = np.array([[0, 0, 0], [200, 10, 10], [10, 200, 10]], np.uint8)


def load(path, **own):
    given = settings.default().data
    with given.unlocked():
        given.update({"name": "masks", "path": str(path), "channels": 1, "split": "halves"} | own)
    return data_sets.load(given)


def write(folder, masks, save=lambda mask, file: Image.fromarray(mask).save(file), suffix=""):
    """A folder of pictures, each as grey as its number, and of masks (h, w) uint8."""
    for name in ("images", "masks"):
        (folder / name).mkdir(parents=True)
    for i, mask in enumerate(masks):
        shown = np.full(mask.shape, 10 * i, np.uint8)
        Image.fromarray(shown).save(folder / "images" / f"{i}.png")
        save(mask, folder / "masks" / f"{i}{suffix}.png")
    return folder


@pytest.fixture
def drawn():
    return np.random.default_rng(0).integers(0, 3, (4, 12, 16)).astype(np.uint8)


def palette(mask, file):
    made = Image.new("P", mask.shape[::-1])
    made.putdata(mask.ravel().tolist())
    made.putpalette(COLOURS.ravel().tolist())
    made.save(file)


def coloured(mask, file):
    Image.fromarray(COLOURS[mask]).save(file)


def test_numbers_palettes_and_colours_are_the_same(drawn, tmp_path):
    drawn[0, 0] = 0
    plain = load(write(tmp_path / "index", drawn))
    by_palette = load(write(tmp_path / "palette", drawn, palette, suffix="_mask"))
    root = write(tmp_path / "colours", drawn, coloured)
    (root / "table.txt").write_text(TABLE)
    by_table = load(root, colours="table.txt")
    (root / "masks").rename(root / "SegmentationClass")
    shutil.copytree(tmp_path / "palette" / "masks", root / "masks")
    by_both = load(root, colours="table.txt", masks="masks")
    assert plain.class_names == ("1", "2")
    assert by_table.class_names == by_both.class_names == ("car", "side walk")
    assert load(tmp_path / "index", names=("a", "b", "c")).class_names == ("a", "b", "c")
    for made in (plain, by_palette, by_table, by_both):
        arrays = made.train.arrays
        assert arrays["mask"].dtype == np.uint8
        assert arrays["mask"].shape == (2, 16, 16)
        assert arrays["image"].shape == (2, 16, 16, 1)
        np.testing.assert_array_equal(arrays["mask"][:, 2:14], drawn[:2])
        assert (arrays["mask"][:, :2] == 255).all()  # margins
        assert (arrays["image"][1, 2:14] == 10).all()
    assert facts.of(plain).parts["test"].examples == 2
    stretched = load(tmp_path / "index", fit="stretch", image_size=24, ignored=-1)
    assert set(np.unique(stretched.train.arrays["mask"])) == {0, 1, 2}
    margins = load(tmp_path / "index", ignored=-1).train.arrays["mask"]
    assert not margins[:, :2].any()


def test_what_does_not_fit_in_memory_is_read_as_it_is_asked_for(drawn, tmp_path, monkeypatch):
    root = write(tmp_path / "data", drawn)
    whole = load(root)
    monkeypatch.setattr(masks, "IN_MEMORY", 0)
    found = load(root)
    for name, x in found.train.take(np.array([1, 0])).items():
        np.testing.assert_array_equal(x, whole.train.arrays[name][[1, 0]])
    assert facts.of(found) == facts.of(load(root))


def test_two_values(drawn, tmp_path):
    half = (drawn > 0).astype(np.uint8)
    for name, white in (("0 and 1", 1), ("0 and 255", 255)):
        made = load(write(tmp_path / name, half * white))
        assert made.class_names == ("foreground",)
        np.testing.assert_array_equal(made.train.arrays["mask"][:, 2:14], half[:2])
    grey = write(tmp_path / "grey", half * 200 + drawn)  # as JPEG leaves them
    made = load(grey, kind="binary", names=("road",))
    assert made.class_names == ("road",)
    np.testing.assert_array_equal(made.train.arrays["mask"][:, 2:14], half[:2])
    with pytest.raises(UserError, match="a binary mask has one class"):
        load(grey, kind="binary", names=("a", "b"))


def test_what_is_ignored(drawn, tmp_path):
    drawn[:, 0] = 255
    root = write(tmp_path / "a", drawn)
    assert load(root).class_names == ("1", "2")
    assert (load(root).train.arrays["mask"][:, 2] == 255).all()
    with pytest.raises(UserError, match="values of a mask must be from 0 to 254, not 255"):
        load(root, ignored=-1)
    void = np.where(drawn == 255, 0, drawn)

    def save(mask, file):
        made = COLOURS[mask]
        made[0] = 1
        Image.fromarray(made).save(file)

    root = write(tmp_path / "b", void, save)
    (root / "t.txt").write_text(TABLE)
    assert (load(root, colours="t.txt").train.arrays["mask"][:, 2] == 255).all()


def test_parts_and_what_is_left_out(drawn, tmp_path):
    for part in ("train", "val", "test"):
        write(tmp_path / part, drawn, suffix="_mask")
    (tmp_path / "train" / "masks" / "3_mask.png").unlink()
    shutil.copy(tmp_path / "val" / "masks" / "1_mask.png", tmp_path / "val" / "masks" / "9.png")
    made = load(tmp_path)
    assert [len(x) for x in (made.train, made.test, made.validation)] == [3, 4, 4]
    assert [note.split(" ", 1)[0] for note in made.notes] == ["1", "1"]
    assert "have no mask, and are left out" in made.notes[0]
    assert "have no picture" in made.notes[1]


WRONG = {
    "size": "2.png is 8 x 8 pixels, but its picture .*2.png 16 x 12",
    "past": r"0.png: value 2 of a mask: there are 1 data.names, of 1 to 1",
    "colours": "is a mask of colours: name their table by data.colours",
    "no masks": "there is no folder 'masks' in .*: name that of the masks by data.masks",
    "empty": "holds no masks",
    "named": "no mask in .* is called as .*0.png is",
    "two": "0.jpg and .*0.png are masks of one picture",
    "broken": "1.png is a broken image",
    "nothing": "all other masks are empty",
    "kind": "data.kind='x' must be",
    "ignored": "data.ignored=256 must be",
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong(drawn, tmp_path, name):
    root, own = write(tmp_path / "data", drawn), {}
    folder = root / "masks"
    match name:
        case "size":
            Image.fromarray(np.ones((8, 8), np.uint8)).save(folder / "2.png")
        case "past":
            own = dict(names=("a",))
        case "colours":
            coloured(drawn[0], folder / "0.png")
        case "no masks":
            shutil.rmtree(folder)
        case "empty":
            shutil.rmtree(folder)
            folder.mkdir()
        case "named":
            for file in list(folder.iterdir()):
                file.rename(folder / f"m{file.name}")
        case "two":
            Image.fromarray(drawn[0]).save(folder / "0.jpg")
        case "broken":
            (folder / "1.png").write_bytes(b"no image")
        case "nothing":
            for file in folder.iterdir():
                Image.fromarray(np.zeros((12, 16), np.uint8)).save(file)
        case "kind":
            own = dict(kind="x")
        case "ignored":
            own = dict(ignored=256)
    with pytest.raises(UserError, match=WRONG[name]) as error:
        load(root, **own)
    assert "\n" not in str(error.value)


WRONG_TABLES = {
    "0 0 0 ground\n": "must name from 2 to 254 classes",
    "0 0 0 ground\n0 0 0 car\n": r"line 2: colour \(0, 0, 0\) is there twice",
    "0 0 0 ground\n0 0 300 car\n": "line 2: red, green, blue to 255",
    "0 0 0 ground\n0 0 car\n": "line 2: red, green, blue",
    "0 0 0 ground\n200 10 10\n": "line 2: red, green, blue to 255 and a name",
    "0 0 0 ground\n1 1 1 a\n2 2 2 a\n": "each once",
    "0 0 0 ground\n200 10 10 car\n": r"0.png: colour \(10, 200, 10\) of .* pixels is not in",
}


@pytest.mark.parametrize("table", WRONG_TABLES)
def test_wrong_tables(drawn, tmp_path, table):
    root = write(tmp_path / "data", drawn, coloured)
    (root / "t.txt").write_text(table)
    with pytest.raises(UserError, match=WRONG_TABLES[table]):
        load(root, colours="t.txt")
    with pytest.raises(UserError, match=r"data\.colours: there is no .*other.txt"):
        load(root, colours="other.txt")
