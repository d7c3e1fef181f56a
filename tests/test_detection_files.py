"""Own pictures with boxes: COCO's JSON, YOLO's texts and Pascal VOC's XML, right and wrong."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import writing_scenes
from PIL import Image

from jaxdl import config as settings
from jaxdl import data as data_sets
from jaxdl.data import annotated, facts, letterbox, outlines
from jaxdl.data.voc import tree_of
from jaxdl.errors import UserError

GOLDEN = Path(__file__).parent / "golden"
NAMES = tuple("0123456789")
FORMS = ("coco", "yolo", "voc")


def load(name, path, **own):
    given = settings.default().data
    with given.unlocked():
        given.update({"name": name, "path": str(path), "channels": 1} | own)
    return data_sets.load(given)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """Folders of the same twelve scenes by form, and their arrays; one has nothing in it."""
    config = settings.default().data
    with config.unlocked():
        config.update({"name": "scenes", "examples": 40, "test_examples": 1, "image_size": 32})
        config.update({"scales": (1.0, 2.0), "most": 3})
    arrays = {name: x[:12] for name, x in data_sets.load(config).train.arrays.items()}
    first = arrays["classes"][:, 0]
    first[:10] = np.arange(10)  # all classes are there
    arrays["present"][11] = False
    root = tmp_path_factory.mktemp("forms")
    for form in FORMS:
        getattr(writing_scenes, form)(root / form, arrays, NAMES)
    return root, arrays


@pytest.fixture
def copied(written, tmp_path):
    """A form of the scenes to be spoilt: its folder."""

    def copy(form):
        return Path(shutil.copytree(written[0] / form, tmp_path / form))

    return copy


def every(made):
    """The pictures of all parts, in the order of training and test."""
    parts = [made.train.arrays, made.test.arrays]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def test_all_three_are_the_same_arrays(written):
    root, arrays = written
    made = {form: load(form, root / form, test_fraction=0.25) for form in FORMS}
    first = made["coco"]
    assert len(first.train) == 9
    for form, one in made.items():
        assert one.class_names == NAMES, form
        assert one.class_ids == (tuple(range(3, 73, 7)) if form == "coco" else ()), form
        assert facts.of(one)._replace(class_ids=[]) == facts.of(first)._replace(class_ids=[]), form
        assert any("1 pictures have nothing in them" in note for note in one.notes)
        for name, x in every(one).items():
            np.testing.assert_array_equal(x, every(first)[name], err_msg=f"{form} {name}")
    # And those that were written.
    got = every(first)
    assert set(got) == {"image", "boxes", "classes", "present"}
    order = [int((arrays["image"] == image).all((1, 2, 3)).argmax()) for image in got["image"]]
    assert sorted(order) == list(range(12))
    for name in ("image", "boxes", "classes", "present"):
        there = arrays["present"][order]
        want = arrays[name][order]
        if name in ("boxes", "classes"):
            want, got[name] = want[there], got[name][there]
        np.testing.assert_array_equal(got[name], want)


def test_outlines_are_pycocotools_to_the_pixel():
    golden = np.load(GOLDEN / "outlines.npz")
    shape = tuple(golden["shape"])
    masks = np.unpackbits(golden["masks"], count=int(np.prod(shape))).reshape(shape).astype(bool)
    given = json.loads(str(golden["outlines"]))
    assert len(given) == len(masks) > 150
    assert sum(isinstance(one, dict) for one in given) > 30
    for one, want in zip(given, masks, strict=True):
        np.testing.assert_array_equal(outlines.mask(one, *shape[1:]), want)


def test_letterboxed_and_stretched(tmp_path):
    wide = np.zeros((10, 40, 3), np.uint8)
    wide[2:6, 8:24] = 255
    Image.fromarray(wide).save(tmp_path / "wide.png")
    fit = letterbox.fitted(40, 10, 20, "letterbox")
    assert fit.boxes([8, 2, 24, 6]).tolist() == [4, 8.0, 12, 10.0]
    image = fit.picture(tmp_path / "wide.png", 1)[..., 0]
    assert (image[:7] == letterbox.GREY).all()
    assert (image[12:] == letterbox.GREY).all()
    assert (image[8:10, 5:11] > 200).all()  # antialiased
    assert (image[11, 5:11] < 50).all()
    mask = fit.mask((wide[..., 0] > 0).astype(np.uint8), outside=9)
    assert (mask[7:12] == (image[7:12] > 127)).mean() > 0.9
    assert (mask[:7] == 9).all()
    fit = letterbox.fitted(40, 10, 20, "stretch")
    assert fit.boxes([8, 2, 24, 6]).tolist() == [4, 4, 12, 12]
    mask = fit.mask((wide[..., 0] > 0).astype(np.uint8))
    assert mask.sum() == 64
    assert mask[4:12, 4:12].all()


def test_boxes_follow_into_the_square(written):
    root, _ = written
    plain = every(load("coco", root / "coco"))
    twice = every(load("coco", root / "coco", image_size=64, channels=3))
    np.testing.assert_allclose(twice["boxes"], 2 * plain["boxes"])
    assert twice["image"].shape == (12, 64, 64, 3)


def edit(file, change):
    content = json.loads(file.read_text())
    change(content)
    file.write_text(json.dumps(content))


def test_cocos_crowds_and_masks(copied):
    root = copied("coco")

    def change(content):
        one, two = content["annotations"][:2]
        one.update(iscrowd=1, image_id=100, bbox=[0, 0, 8, 8])
        one["segmentation"] = [[0, 0, 8, 0, 8, 8, 0, 8]]
        two.update(image_id=100, segmentation=[[4, 4, 12, 4, 12, 12, 4, 12]])
        del two["bbox"]
        content["annotations"] = [one, two]
        content["images"] = content["images"][:4]

    edit(root / "annotations" / "instances_train.json", change)
    made = load("coco", root, masks=True, split="halves")
    arrays = made.train.arrays
    assert arrays["crowd"].tolist() == [[True, False], [False, False]]
    assert arrays["present"].tolist() == [[False, True], [False, False]]
    assert arrays["boxes"][0].tolist() == [[0, 0, 8, 8], [4, 4, 12, 12]]
    label = 1 + arrays["classes"][0, 1]
    mask = arrays["mask"][0]
    assert (mask[4:12, 4:12] == label).all()
    assert (mask[:4, :8] == 255).all()
    assert mask[12:].sum() == 0
    assert "1 pictures" not in made.notes
    assert "3 pictures have nothing in them" in made.notes


def test_masks_of_a_whole_set(written):
    root, _ = written
    made = every(load("coco", root / "coco", masks=True))
    for mask, boxes, classes, present in zip(
        *(made[name] for name in ("mask", "boxes", "classes", "present")), strict=True
    ):
        want = np.zeros((32, 32), np.uint8)
        for (x0, y0, x1, y1), label in zip(
            boxes[present].astype(int), classes[present], strict=True
        ):
            want[y0:y1, x0:x1] = 1 + label
        np.testing.assert_array_equal(mask, want)


@pytest.mark.parametrize("form", ["coco", "yolo"])
def test_what_does_not_fit_in_memory_is_read_as_it_is_asked_for(written, monkeypatch, form):
    root, _ = written
    masks = dict(masks=True) if form == "coco" else {}
    whole = load(form, root / form, **masks)
    monkeypatch.setattr(annotated, "IN_MEMORY", 0)
    found = load(form, root / form, **masks)
    assert isinstance(found.train, annotated.Annotated)
    indices = np.array([3, 0, 3])
    for name, x in found.train.take(indices).items():
        np.testing.assert_array_equal(x, whole.train.arrays[name][indices])
    known, again = facts.of(found), facts.of(load(form, root / form, **masks))
    assert known == again
    assert known.parts["train"].arrays == facts.of(whole).parts["train"].arrays


def test_a_picture_that_was_held_upright(copied):
    # What a camera notes of how it was held turns the picture; boxes are those of what is seen.
    root = copied("voc")
    tall = np.zeros((8, 16), np.uint8)
    noted = Image.Exif()
    noted[0x0112] = 6
    Image.fromarray(tall).save(root / "JPEGImages" / "000.png", exif=noted.tobytes())
    with pytest.raises(UserError, match="is 8 x 16 pixels, not 32 x 32"):
        load("voc", root)


def test_parts_as_they_come(written, tmp_path):
    root, _ = written
    for part in ("train", "valid", "test"):  # as Roboflow has them
        shutil.copytree(root / "coco" / "images", tmp_path / "c" / part)
        source = root / "coco" / "annotations" / "instances_train.json"
        shutil.copy(source, tmp_path / "c" / part / "_annotations.coco.json")
        shutil.copytree(root / "yolo" / "images" / "train", tmp_path / "y" / part / "images")
        shutil.copytree(root / "yolo" / "labels" / "train", tmp_path / "y" / part / "labels")
        shutil.copytree(root / "voc" / "JPEGImages", tmp_path / "v" / part)
        for file in (root / "voc" / "Annotations").iterdir():
            shutil.copy(file, tmp_path / "v" / part)
    (tmp_path / "y" / "data.yaml").write_text(
        "train: ../train/images\nval: ../valid/images\ntest: ../test/images\n"
        f"nc: 10\nnames: {list(NAMES)}\n"
    )
    for form, name in zip(FORMS, ("c", "y", "v"), strict=True):
        made = load(form, tmp_path / name)
        assert [len(x) for x in (made.train, made.test, made.validation)] == [12, 12, 12], form
        watched = load(form, tmp_path / name, eval_on="validation")
        assert watched.validation is None
        assert len(watched.test) == 12


# What is wrong, in each form: how it is spoilt, and what is said.


def first(content):
    return content["annotations"][0]


WRONG_JSON = {
    "outside": (
        lambda c: first(c).update(bbox=[40, 1, 5, 5]),
        r"annotation 0: box \(40, 1, 45, 6\) lies outside the picture of 32 x 32 pixels",
    ),
    "inside out": (
        lambda c: first(c).update(bbox=[9, 1, -5, 5]),
        "annotation 0: bbox .* inside out",
    ),
    "no number": (lambda c: first(c).update(bbox=[9, 1, "5", 5]), "annotation 0: bbox must be"),
    "not finite": (lambda c: first(c).update(bbox=[9, 1, float("nan"), 5]), "bbox must be"),
    "huge": (lambda c: first(c).update(bbox=[9, 1, 10**400, 5]), "bbox must be"),
    "no class": (
        lambda c: first(c).update(category_id=99),
        "annotation 0: there is no category 99",
    ),
    "no image": (lambda c: first(c).update(image_id=7), "annotation 0: there is no image 7"),
    "twice": (lambda c: c["annotations"][1].update(id=0), "annotation 0 is there twice"),
    "image twice": (lambda c: c["images"][1].update(id=100), "image 100 is there twice"),
    "file twice": (
        lambda c: c["images"][1].update(file_name="000.png"),
        "two images are '000.png'",
    ),
    "category twice": (lambda c: c["categories"][1].update(id=3), "category 3 is there twice"),
    "name twice": (lambda c: c["categories"][1].update(name="1"), "two categories are called '1'"),
    "other size": (
        lambda c: c["images"][2].update(width=64),
        "image 102: .* is 32 x 32 pixels, not 64 x 32",
    ),
    "no file": (
        lambda c: c["images"][2].update(file_name="x.png"),
        r"image 102: there is no picture .*x.png \(1 of 12",
    ),
    "leads out": (lambda c: c["images"][2].update(file_name="../x.png"), "leads out of the folder"),
    "nothing": (lambda c: c.update(annotations=[]), "there is nothing in the pictures"),
    "no list": (lambda c: c.pop("categories"), "must have a list of objects 'categories'"),
    "no box": (lambda c: [first(c).pop(k) for k in ("bbox", "segmentation")], "neither bbox nor"),
    "mask size": (
        lambda c: first(c)["segmentation"].update(size=[9, 9]),
        r"outline, its size is \[9, 9\]",
    ),
    "broken runs": (lambda c: first(c)["segmentation"].update(counts="~~"), "runs are broken"),
    "other runs": (
        lambda c: first(c)["segmentation"].update(counts=[5, 5]),
        "its runs are of 10 pixels",
    ),
    "two points": (lambda c: first(c).update(segmentation=[[1, 2, 3, 4]]), "three points at least"),
    "area": (lambda c: first(c).update(area=-3), "annotation 0: area must be pixels², at least 0"),
    "far": (lambda c: first(c).update(segmentation=[[0, 0, 1e9, 0, 5, 5]]), "far outside"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG_JSON)
def test_wrong_json(copied, name):
    change, says = WRONG_JSON[name]
    root = copied("coco")
    edit(root / "annotations" / "instances_train.json", change)
    with pytest.raises(UserError, match=says) as error:
        load("coco", root, masks=True)
    assert "\n" not in str(error.value)


def test_a_json_that_is_cut(copied):
    root = copied("coco")
    file = root / "annotations" / "instances_train.json"
    file.write_text(file.read_text()[:-50])
    with pytest.raises(UserError, match="is not JSON, or cut off"):
        load("coco", root)
    file.write_text("[]")
    with pytest.raises(UserError, match="is no JSON object"):
        load("coco", root)
    with pytest.raises(UserError, match="is no file or folder"):
        load("coco", root / "nothing")
    file.unlink()
    with pytest.raises(UserError, match="has no JSON called train; JSON there: none"):
        load("coco", root)


def test_what_is_usual_is_counted(copied):
    root = copied("coco")

    def change(content):
        own = next(one for one in content["annotations"] if one["image_id"] == 100)
        more = [dict(own, id=1000), dict(own, id=1001, bbox=[3, 3, 0, 5])]
        content["annotations"] += [*more, dict(own, id=1002, bbox=[28, 3, 10, 5])]

    edit(root / "annotations" / "instances_train.json", change)
    made = load("coco", root, most=1)
    assert set(made.notes) >= {
        "1 pictures have nothing in them",
        "1 boxes are empty, and are left out",
        "1 boxes reach over their picture's edge, and are cut there",
        "1 boxes are there twice, and are taken once",
    }
    assert any("more than data.most=1 things" in note for note in made.notes)
    assert every(made)["boxes"].shape == (12, 1, 4)


WRONG_ROWS = {
    "0 .5 .5 .1": "4 numbers: a class and",
    "0 .5 .5 .1 .1 .9": "6 numbers",
    "10 .5 .5 .1 .1": "class 10: there are 10 names, numbered from 0 to 9",
    "-1 .5 .5 .1 .1": "class -1: there are",
    "0.5 .5 .5 .1 .1": "must be a whole number",
    "0 16 16 4 4": "16 must be a share of the picture, from 0 to 1, not pixels",
    "0 .5 .5 1.011 .1": "1.011 must be a share",
    "0 -.02 .5 .1 .1": "-0.02 must be a share",
    "0 .5 .5 nan .1": "must be a share",
    "cat .5 .5 .1 .1": "must be numbers",
    "nan .5 .5 .1 .1": "must be a whole number",
    "0 1.01 .5 .01 .01": "lies outside the picture",
}


@pytest.mark.parametrize("row", WRONG_ROWS)
def test_wrong_rows(copied, row):
    root = copied("yolo")
    (root / "labels" / "train" / "001.txt").write_text(f"\n{row}\n")
    with pytest.raises(UserError, match=f"001.txt, line 2.*{WRONG_ROWS[row]}") as error:
        load("yolo", root)
    assert "\n" not in str(error.value)


def test_yolos_outlines_missing_files_and_repeated_rows(copied):
    root = copied("yolo")
    labels = root / "labels" / "train"
    row = "3 .25 .25 .75 .25 .75 .75 .25 .75"
    (labels / "000.txt").write_text(f"{row}\n{row}\n")
    (labels / "002.txt").unlink()
    made = load("yolo", root / "data.yaml", masks=True, split="halves")
    arrays = made.train.arrays
    assert arrays["boxes"][0, 0].tolist() == [8, 8, 24, 24]
    assert arrays["mask"][0].sum() == 16 * 16 * 4
    assert not arrays["present"][2].any()
    assert "1 of 12 pictures of train have no labels' file" in made.notes
    assert "1 boxes are there twice, and are taken once" in made.notes
    (root / "list.txt").write_text("images/train/000.png\nimages/train/001.png\n")
    file = root / "data.yaml"
    file.write_text(file.read_text().replace("train: images/train", "train: list.txt"))
    assert len(every(load("yolo", root))["image"]) == 2


WRONG_YAML = {
    "names: [a": "is not YAML",
    "- a": "must have the keys",
    "train: images/train": "names must list the classes",
    "train: images/train\nnames: [a, b, a]": "names has 'a' twice",
    "train: images/train\nnames: {1: a, 2: b}": "numbered from 0 to 1",
    "train: images/train\nnc: 3\nnames: [a, b]": "nc is 3, but there are 2 names",
    "train: nowhere\nnames: [a, b]": "is no folder, and no list of pictures",
    "train: labels/train\nnames: [a, b]": "holds no pictures",
    "val: images/train\nnames: ['0', b, c, d, e, f, g, h, i, j]": "has no train",
    "train: 5\nnames: [a, b]": "must be a folder",
    "train: !!python/object/apply:print [x]\nnames: [a]": "is not YAML",
}


@pytest.mark.parametrize("content", WRONG_YAML)
def test_wrong_yaml(copied, content):
    root = copied("yolo")
    (root / "data.yaml").write_text(content)
    with pytest.raises(UserError, match=WRONG_YAML[content]) as error:
        load("yolo", root)
    assert "\n" not in str(error.value)


def test_no_labels_at_all(copied):
    root = copied("yolo")
    shutil.rmtree(root / "labels")
    with pytest.raises(UserError, match=r"no picture has its labels: .*labels/train/000.txt"):
        load("yolo", root)


BOX = "<bndbox><xmin>3</xmin><ymin>4</ymin><xmax>9</xmax><ymax>12</ymax></bndbox>"
OF_0 = "<object><name>0</name>{}</object></annotation>"
WRONG_XML = {
    "<annotation><object>": "is not XML that can be read",
    "<html></html>": "is no annotation, but <html>",
    "<annotation><object></object></annotation>": "object 1 has no name",
    "<annotation>" + OF_0.format(""): "bndbox/xmin must be a number, not",
    "<annotation>" + OF_0.format(BOX.replace("3", "20", 1)): "is inside out",
    "<annotation>" + OF_0.format(BOX.replace(">9<", ">x<")): "xmax must be a number, not 'x'",
    "<annotation><size><width>9</width><height>32</height></size>"
    + OF_0.format(BOX): "is 32 x 32 pixels, not 9 x 32",
    '<!DOCTYPE a [<!ENTITY b "c">]><annotation>&b;</annotation>': "declares a document type",
    "<annotation>&b;</annotation>": "undefined entity",
    "<annotation>" * 40 + "</annotation>" * 40: "more than 32 deep",
}  # fmt: skip


@pytest.mark.parametrize("content", WRONG_XML)
def test_wrong_xml(copied, content):
    root = copied("voc")
    (root / "Annotations" / "003.xml").write_text(content)
    with pytest.raises(UserError, match=f"003.xml.*{WRONG_XML[content]}") as error:
        load("voc", root)
    assert "\n" not in str(error.value)


def test_vocs_difficult_objects_counting_from_0_and_no_lists(copied):
    root = copied("voc")
    made = f"<annotation><object><name>0</name><difficult>1</difficult>{BOX}"
    made += f"<part><name>head</name>{BOX}</part></object></annotation>"
    (root / "Annotations" / "000.xml").write_text(made)
    shutil.rmtree(root / "ImageSets")
    arrays = load("voc", root, split="halves").train.arrays
    assert arrays["difficult"][0].tolist()[0]
    assert not arrays["present"][0].any()
    assert arrays["boxes"][0, 0].tolist() == [2, 3, 9, 12]
    assert not arrays["difficult"][1:].any()
    arrays = load("voc", root, split="halves", one_based=False).train.arrays
    assert arrays["boxes"][0, 0].tolist() == [3, 4, 9, 12]


def test_a_class_of_the_test_part_alone_and_a_list_that_names_nothing(copied):
    root = copied("voc")
    lists = root / "ImageSets" / "Main"
    (lists / "test.txt").write_text("000\n")
    (lists / "train.txt").write_text("001 1\n002 -1\n")
    with pytest.raises(
        UserError, match=r"000\.xml: object 1: there is no '0' in the training part"
    ):
        load("voc", root)
    (lists / "train.txt").write_text("001\n999\n")
    with pytest.raises(UserError, match=r"train\.txt: there is no .*999\.xml"):
        load("voc", root)


def test_elements_as_they_stand():
    tree = tree_of(b"<a><b>1 &lt; 2</b><c/></a>")
    assert tree.findtext("b") == "1 < 2"
    assert [one.tag for one in tree] == ["b", "c"]


def test_settings_that_cannot_be(written):
    root, _ = written
    with pytest.raises(UserError, match=r"data\.fit='crop' must be letterbox or stretch"):
        load("coco", root / "coco", fit="crop")
    with pytest.raises(UserError, match=r"data\.channels=2"):
        load("yolo", root / "yolo", channels=2)
    with pytest.raises(UserError, match=r"data\.most=-1"):
        load("voc", root / "voc", most=-1)
