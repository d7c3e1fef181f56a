"""What YOLO learns and finds: losses, boxes from outputs, and the task of them."""

import functools
import json
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import published as weights
import pytest
import tiny
from etils import epath
from launching import ROOT, assert_resumes_to_the_bit, built, figures, run, summary
from PIL import Image

from jaxdl import config as defaults
from jaxdl import data, keys, launch, models, tasks
from jaxdl.data import annotated, coco, facts, letterbox
from jaxdl.errors import UserError
from jaxdl.inference import drawings
from jaxdl.inference.coco_results import Results
from jaxdl.launch import flags
from jaxdl.losses import yolo as losses
from jaxdl.losses.objects import Objects
from jaxdl.metrics import detection
from jaxdl.ops import yolo
from jaxdl.pretrained import transfer
from jaxdl.pretrained.architecture import by_name
from jaxdl.tasks import learner
from jaxdl.tasks.shared import detecting, detectors, judged_boxes

GOLDEN = Path(__file__).parent / "golden"
sys.path.insert(0, str(GOLDEN))

import seeded  # noqa: E402

BOXES = (
    [(2, 3, 12, 15), (20, 8, 52, 30), (3, 4, 12, 15), (30, 30, 38, 41), (0, 0, 61, 40)],
    [(10.5, 20.25, 30, 31), (40, 2, 45.5, 30)],
)
CLASSES = [0, 1, 2, 3, 1], [3, 0]
LEAST, ROOM = 5, 7
# What the task is made of.
OWN = (
    *("jaxdl/tasks/detection.py", "jaxdl/tasks/learner.py", "jaxdl/tasks/shared/detecting.py"),
    *("jaxdl/models/yolov3.py", "jaxdl/losses/yolo.py", "jaxdl/ops/yolo.py", "jaxdl/ops/boxes"),
)


@pytest.fixture(scope="module")
def golden():
    with np.load(GOLDEN / "yolo.npz") as file:
        return {k: x for k, x in file.items() if k.startswith("loss/")}


@pytest.fixture(scope="module")
def maps(golden):
    """The outputs that the golden file's losses are of, (2, rows, columns, 2, 9)."""
    drawn = {s: 0.7 * seeded.normal(f"map/{s}", (2, *hw, 2, 9)) for s, hw in SIDES.items()}
    return {s: jnp.asarray(x, jnp.float32) for s, x in drawn.items()}


SIDES = {8: (6, 8), 16: (3, 4)}


def objects(room: int) -> Objects:
    """Those of the golden file, with padding of NaN and of impossible classes."""
    boxes = np.full((2, room, 4), np.nan, np.float32)
    classes, present = np.full((2, room), -7), np.zeros((2, room), bool)
    for i, (own, labels) in enumerate(zip(BOXES, CLASSES, strict=True)):
        boxes[i, : len(own)], classes[i, : len(own)], present[i, : len(own)] = own, labels, True
    return Objects(*map(jnp.asarray, (boxes, classes, present)))


def test_losses_and_their_gradients_are_those_of_a_loop_over_objects(golden, maps):
    anchors = jnp.asarray(golden["loss/anchors"])

    def total(maps, objects):
        found = losses.losses(maps, anchors, objects)
        parts = jnp.stack([found[k] for k in ("box", "objectness", "classes")], 1)
        return parts.sum(), parts

    compiled = jax.jit(jax.grad(total, has_aux=True))
    gradients, found = compiled(maps, objects(ROOM))
    np.testing.assert_allclose(found, golden["loss/squared"], rtol=2e-6)
    for stride, gradient in gradients.items():
        expected = golden[f"loss/gradient/{stride}"]
        np.testing.assert_allclose(gradient, expected, atol=2e-6 * np.abs(expected).max())
    # Fewer objects, or none, are the same program.
    none = objects(ROOM)._replace(present=jnp.zeros((2, ROOM), bool))
    gradients, found = compiled(maps, none)
    assert compiled._cache_size() == 1
    expected = {s: np.logaddexp(0, maps[s][..., 4]).sum((1, 2, 3)) for s in maps}
    np.testing.assert_allclose(found[:, 1], sum(expected.values()), rtol=2e-6)
    assert not np.any(found[:, [0, 2]])
    assert all(np.isfinite(g).all() for g in gradients.values())


def test_complete_overlap_in_place_of_squared_errors(golden, maps):
    anchors = jnp.asarray(golden["loss/anchors"])
    run = functools.partial(losses.losses, box_loss="ciou", ignore=0.3)
    found = jax.jit(run)(maps, anchors, objects(LEAST))
    found = np.stack([found[k] for k in ("box", "objectness", "classes")], 1)
    np.testing.assert_allclose(found, golden["loss/ciou"], rtol=1e-5)
    with pytest.raises(UserError, match="unknown box_loss 'cyou'"):
        losses.losses(maps, anchors, objects(LEAST), box_loss="cyou")


def test_outputs_are_the_boxes_of_the_paper(golden, maps):
    grid = yolo.Grid.of(maps)
    found = yolo.decode(yolo.flat(maps), grid, jnp.asarray(golden["loss/anchors"]))
    expected = [golden[f"loss/boxes/{s}"].reshape(2, -1, 4) for s in SIDES]
    np.testing.assert_allclose(found, np.concatenate(expected, 1), rtol=1e-5, atol=1e-4)


def test_each_object_is_found_once_and_what_is_less_sure_is_left_out():
    """Two classes at one place, one of them twice, and one over the edge."""
    anchors = jnp.float32([(8, 8), (16, 16)])
    outputs = np.full((1, 4, 4, 2, 7), -20.0, np.float32)
    outputs[..., :4] = 0
    outputs[0, 1, 2, 1, 4:] = 20, 2, 1  # centre (20, 12), 16 by 16
    outputs[0, 1, 2, 0, 4:] = 1, -20, -20
    outputs[0, 1, 1, 1, :4] = 3, 0, 0, 0  # nearly the same box, from the cell before
    outputs[0, 1, 1, 1, 4:] = 20, 0, -20
    outputs[0, 3, 0, 0, 2:4] = 1.0  # reaches over the edge
    outputs[0, 3, 0, 0, 4:] = 20, -20, 0
    how = dict(least_score=0.05, overlap=0.5, detections=5, candidates=30)
    found = jax.jit(functools.partial(yolo.detect, **how))({8: jnp.asarray(outputs)}, anchors)
    sigmoid = lambda x: 1 / (1 + np.exp(-x))
    np.testing.assert_allclose(found["scores"][0], [*map(sigmoid, (2, 1, 0)), 0, 0], atol=1e-6)
    assert found["classes"][0].tolist() == [0, 1, 1, 0, 0]
    assert found["classes"].dtype == jnp.int32
    box = [12, 4, 28, 20]
    half = 4 * np.e
    cut = [0, 28 - half, 4 + half, 32]
    np.testing.assert_allclose(found["boxes"][0, :3], [box, box, cut], atol=1e-5)
    assert not np.any(found["boxes"][0, 3:])


@pytest.fixture(scope="module")
def made():
    """The task on 12 scenes of two squares, and its data."""
    rng = np.random.default_rng(0)
    corner = rng.integers(0, 20, (12, 2, 2))
    boxes = np.concatenate([corner, corner + rng.integers(6, 12, (12, 2, 2))], -1)
    image = rng.integers(0, 60, (12, 32, 32, 1), dtype=np.uint8)
    for i, j in np.ndindex(12, 2):
        x0, y0, x1, y1 = boxes[i, j]
        image[i, y0:y1, x0:x1] = 150 + 100 * j
    classes = np.tile(np.int32([0, 1]), (12, 1))
    present = np.ones((12, 2), bool)
    arrays = dict(image=image, boxes=boxes.astype(np.float32), classes=classes, present=present)
    both = data.Arrays(arrays)
    config = defaults.default()
    config.task = dict(name="detection", box_loss="ciou")
    config.batch_size = 4
    config.model = dict(name="yolov3_tiny", width=4, stages=2, detections=8, candidates=64)
    config.optimizer.learning_rate = 1e-2
    run = tasks.Run(config, data.Data(both, both, class_names=("grey", "white")), 20, 3.0)
    return tasks.create(run), run


@pytest.mark.slow(*OWN)
def test_the_task_learns_and_its_anchors_are_kept_with_the_weights(made):
    task, run = made
    batch = run.data.train.take(np.arange(4))
    state = jax.jit(task.init)(keys.root(0), batch)
    kept = np.asarray(state.model_state["constants"]["anchors"])
    areas = kept.prod(1)
    assert kept.shape == (6, 2)
    assert (np.diff(areas) >= 0).all()
    assert kept.min() >= 6
    assert kept.max() <= 11
    step, losses = jax.jit(task.train_step), []
    for i in range(20):
        state, metrics = step(state, batch, jax.random.fold_in(keys.root(1), i))
        losses.append(float(metrics["loss"].total / metrics["loss"].weight))
    assert losses[-1] < losses[0] / 2
    assert step._cache_size() == 1
    np.testing.assert_array_equal(state.model_state["constants"]["anchors"], kept)
    found = jax.jit(task.predict)(state, run.data.test.take(np.arange(3))["image"])
    assert {k: x.shape for k, x in found.items()} == {
        "boxes": (3, 8, 4), "scores": (3, 8), "classes": (3, 8),
    }  # fmt: skip
    assert (np.diff(found["scores"], axis=1) <= 0).all()


def test_what_is_found_is_told_in_words_and_as_json():
    boxes = np.float32([(1, 2, 3.456, 4), (0, 0, 9, 9), (0, 0, 1, 1)])
    prediction = dict(boxes=boxes, scores=np.float32([0.9, 0.3, 0.1]), classes=np.array([1, 0, 0]))
    said = detecting.describe(("cat", "dog"), 0.25, prediction)
    assert said.text == "dog 90% at 1 2 3 4  cat 30% at 0 0 9 9"
    assert said.record["objects"][0] == {"class": "dog", "score": 0.9, "box": [1, 2, 3.46, 4]}
    assert len(said.record["objects"]) == 2
    assert detecting.describe(("cat", "dog"), 0.95, prediction).text == "nothing"


def test_finds_are_written_as_coco_has_them(tmp_path):
    found = [tasks.Detection(2, "dog", 0.5, (1.0, 2.0, 4.0, 8.0))]
    for names, ids in (
        (("b/000012.jpg", "a/7.png", "3.jpg"), [12, 3]),
        (("b/000012.jpg", "a/7.png", "a.jpg"), [1, 3]),
        (("b/12.jpg", "a/7.png", "a/12.jpg"), [1, 3]),
        (("x.npy[0]", "x.npy[1]", "x.npy[2]"), [1, 3]),
    ):
        results = Results()
        for name, own in zip(names, (found, [], found), strict=True):
            results.add(name, own)
        results.write(epath.Path(tmp_path / "results.json"))
        rows = json.loads((tmp_path / "results.json").read_text())
        assert [row["image_id"] for row in rows] == ids
        assert rows[0] == {
            "image_id": ids[0], "file_name": Path(names[0]).name, "category_id": 3,
            "category_name": "dog", "bbox": [1, 2, 3, 6], "score": 0.5,
        }  # fmt: skip


def test_finds_are_drawn_into_their_pictures(tmp_path):
    drawn = drawings.Drawings(epath.Path(tmp_path / "pictures"))
    image = np.full((40, 60, 1), 90, np.uint8)
    cat = {"class": "cat", "score": 0.9, "box": [10, 5, 50, 35]}
    dog = {"class": "dog", "score": 0.8, "box": [2, 20, 20, 39]}
    files = [drawn.write(name, image, own) for name, own in (
        ("a/1.png", [cat, dog]), ("b/1.png", [dog]), ("2.jpeg", []), ("x.npy[3]", []),
    )]  # fmt: skip
    assert files == [f"pictures/{x}" for x in ("1.png", "1-2.png", "2.jpg", "x-3.png")]
    first, second, jpeg, plain = (np.asarray(Image.open(tmp_path / x)).astype(int) for x in files)
    assert (plain == 90).all()
    assert abs(jpeg - 90).max() < 5
    assert first.shape == (40, 60, 3)
    coloured = (first != 90).any(-1)
    rows, columns = np.nonzero(coloured)
    assert (rows.min(), columns.min()) == (5, 2)
    # The last pixels of a box are those in front of its edge.
    assert coloured[34, 10:50].all()
    assert coloured[5:35, 49].all()
    assert not coloured[35:, 21:].any()
    assert not coloured[:, 50:].any()
    assert coloured[38, 2:20].all()
    # A class has one colour in all of them.
    assert (first[38, 3] == second[38, 3]).all()
    assert (first[38, 3] != first[34, 48]).any()


@pytest.mark.parametrize("how", letterbox.FITS)
def test_boxes_find_back_into_their_picture(how):
    fit = letterbox.fitted(200, 80, 64, how)
    boxes = np.array([(0, 0, 200, 80), (20.5, 10, 33, 79)])
    np.testing.assert_allclose(fit.back(fit.boxes(boxes)), boxes, atol=1e-9)
    margin = fit.back(np.array([-5.0, 0, 70, 64]))
    np.testing.assert_allclose(margin, (0, 0, 200, 80))


@pytest.mark.parametrize("how", letterbox.FITS)
def test_masks_find_back_into_their_picture(how):
    fit = letterbox.fitted(40, 16, 80, how)
    mask = np.random.default_rng(0).integers(0, 9, (16, 40), np.uint8)
    np.testing.assert_array_equal(fit.mask_back(fit.mask(mask)), mask)
    smaller = letterbox.fitted(200, 80, 40, how)
    assert smaller.mask_back(np.zeros((40, 40), np.uint8)).shape == (80, 200)


def test_what_an_experiment_sets_of_its_own_scenes_is_none_of_other_data():
    own = flags.parse([f"--config={ROOT / 'experiments' / 'yolo.py'}"]).config
    assert own.data.examples > 2048
    argv = [f"--config={ROOT / 'experiments' / 'yolo.py'}:yolov3", "--config.data.name=coco"]
    other = flags.parse(argv).config
    assert "examples" not in other.data
    assert other.data.image_size == 416
    with pytest.raises(UserError, match="has no key 'examples'"):
        flags.parse([*argv, "--config.data.examples=3"])


def test_a_model_that_finds_no_boxes_is_one_line(made):
    _, run = made
    config = run.config.copy_and_resolve_references()
    config.model = dict(name="lenet")
    with pytest.raises(UserError, match="model 'lenet' finds no boxes"):
        tasks.create(run._replace(config=config))


@pytest.fixture
def found(made):
    """What finds all objects of the test part but three, and what it finds."""
    _, run = made
    found = {
        "boxes": run.data.test.arrays["boxes"].copy(),
        "scores": np.tile(np.float32([0.9, 0.4]), (12, 1)),
        "classes": run.data.test.arrays["classes"].copy(),
    }
    found["classes"][5] = [1, 0]  # both wrong
    found["scores"][7, 1] = 0.1  # too unsure to be shown
    return lambda variables, images: {k: jnp.asarray(x) for k, x in found.items()}


NOBODY = learner.Learner(jnp.zeros(()), {}, ())


def test_scores_are_cocos_of_the_whole_split(made, found):
    _, run = made
    split = run.data.test
    score = detecting.figures(found, run.data.class_names, 0.25, 12)["score"]
    figures = score(NOBODY, split, keys.root(0))
    assert set(figures) < set(detecting.directions())
    assert not {"map_medium", "map_large", "ar_large"} & set(figures)  # of sizes that none has
    # Of grey 11 of 12 are found, and then one that is none; of white first one that is none.
    assert figures["ar100"] == pytest.approx(11 / 12)
    for name in ("map", "map50", "map75", "map_small"):
        assert figures[name] == pytest.approx(92 / 101 * (1 + 11 / 12) / 2)
    # What is difficult is neither missed nor found, what is padding is nothing.
    flags = {"difficult": np.zeros((12, 2), bool), "present": np.ones((12, 2), bool)}
    flags["difficult"][5], flags["present"][5] = True, False
    figures = score(NOBODY, data.Arrays(split.arrays | flags), keys.root(0))
    assert figures["ar100"] == 1


@pytest.fixture(scope="module")
def given(tmp_path_factory):
    """The golden file's JSON as a user has it, as data; and the finds, as pycocotools had them."""
    content = json.loads((GOLDEN / "coco_scores.json").read_text())
    root = tmp_path_factory.mktemp("scored")
    (root / "annotations").mkdir()
    (root / "images").mkdir()
    for part in ("train", "val"):
        file = root / "annotations" / f"instances_{part}.json"
        file.write_text(json.dumps(content["dataset"]))
    for one in content["dataset"]["images"]:
        picture = Image.new("L", (one["width"], one["height"]))
        picture.save(root / "images" / one["file_name"])
    return content, root


def loaded(root, **own):
    config = defaults.default().data
    with config.unlocked():
        config.update({"name": "coco", "path": str(root), "channels": 1, "image_size": 64} | own)
    return data.load(config)


def as_found(content, made, split):
    """The golden file's results as a detector has them, in squares, in the split's order."""
    rows = content["results"]
    ids = sorted(one["id"] for one in content["dataset"]["images"])
    most = max(sum(row["image_id"] == i for row in rows) for i in ids)
    found = {
        "boxes": np.zeros((len(ids), most, 4), np.float32),
        "scores": np.zeros((len(ids), most), np.float32),
        "classes": np.zeros((len(ids), most), np.int32),
    }
    for n, i in enumerate(ids):
        own = [row for row in rows if row["image_id"] == i]
        for j, row in enumerate(own):
            x, y, w, h = row["bbox"]
            found["boxes"][n, j] = split.judged.fits[n].boxes([x, y, x + w, y + h])
            found["scores"][n, j] = row["score"]
            found["classes"][n, j] = made.class_ids.index(row["category_id"])
    return found


@pytest.mark.parametrize("how", [{}, dict(fit="stretch"), dict(most=1)])
def test_own_files_are_scored_as_pycocotools_scores_them(given, how, monkeypatch):
    content, root = given
    if how:  # read as it is asked for
        monkeypatch.setattr(annotated, "IN_MEMORY", 0)
    made = loaded(root, **how)
    split = made.test
    found = as_found(content, made, split)
    detect = lambda variables, images: {k: jnp.asarray(x) for k, x in found.items()}
    score = detecting.figures(detect, made.class_names, 0.25, len(split))["score"]
    figures = score(NOBODY, split, keys.root(0))
    expected = content["summary"]
    assert min(expected) > 0.05  # every size is there
    np.testing.assert_allclose([*figures.values()], expected, rtol=0, atol=1e-9)
    # In the squares, or by the boxes' areas, they are others.
    seen = judged_boxes.in_rows(found | {f"true_{k}": x for k, x in split.take(
        np.arange(len(split))).items()})  # fmt: skip
    other = detection.summary(detection.curves(*seen, len(made.class_names)))
    assert abs(other["map_small"] - figures["map_small"]) > 0.01
    assert np.isnan(other["map_large"])


def test_finds_in_own_files_have_the_ids_that_are_there(given, tmp_path):
    content, root = given
    made = facts.of(loaded(root)).restored()
    listed = coco.listed(epath.Path(root / "annotations" / "instances_val.json"))
    assert made.class_names == ("cup", "fork", "spoon", "knife")
    assert made.class_ids == (3, 7, 44, 90)
    assert dict(zip(made.class_ids, made.class_names, strict=True)) == listed.categories
    results = Results(dict(zip(made.class_names, made.class_ids, strict=True)))
    order = []
    for file, number in zip(listed.files, listed.ids, strict=True):
        assert file.name == f"{number}.png"
        own = [row for row in content["results"] if row["image_id"] == number]
        order += own
        edges = lambda x, y, w, h: (x, y, x + w, y + h)
        found = [
            tasks.Detection(made.class_ids.index(c), listed.categories[c], row["score"],
                            edges(*row["bbox"]))
            for row in own
            for c in [row["category_id"]]
        ]  # fmt: skip
        results.add(str(file), found, number)
    assert not results.counted
    results.write(epath.Path(tmp_path / "results.json"))
    rows = json.loads((tmp_path / "results.json").read_text())
    for row, want in zip(rows, order, strict=True):
        assert {k: row[k] for k in ("image_id", "category_id", "score")} == {
            k: want[k] for k in ("image_id", "category_id", "score")
        }
        np.testing.assert_allclose(row["bbox"], want["bbox"], atol=1e-9)
    with pytest.raises(UserError, match="found is 'plate', of which there is no category"):
        results.add("x.png", [tasks.Detection(0, "plate", 0.5, (0, 0, 1, 1))], 3)


def test_vocs_figures_are_told_where_they_are_meant(made, found):
    _, run = made
    names, split = run.data.class_names, run.data.test
    score = detecting.figures(found, names, 0.25, 12, vocs=True)["score"]
    figures = score(NOBODY, split, keys.root(0))
    assert set(figures) < set(detecting.directions(vocs=True))
    # As above: one of 12 is not found; of white first comes one that is none.
    assert figures["voc2010_map"] == pytest.approx((11 / 12 + 11 / 12 * 11 / 12) / 2)
    assert figures["voc2007_map"] == pytest.approx(10 / 11 * (1 + 11 / 12) / 2)
    for own, wanted in (({}, False), (dict(voc_figures=True), True)):
        config = run.config.copy_and_resolve_references()
        config.task.update(own)
        assert ("voc2007_map" in tasks.create(run._replace(config=config)).directions) is wanted
    del config.task["voc_figures"]
    config.data.name = "voc"
    assert "voc2010_map" in tasks.create(run._replace(config=config)).directions


@pytest.mark.slow("jaxdl/tasks/shared/", "jaxdl/report/", "jaxdl/metrics/")
def test_the_report_shows_scenes_the_most_wrong_first(made, found):
    _, run = made
    figures = detecting.figures(found, run.data.class_names, 0.25, 12)
    shown = figures["artifacts"](NOBODY, run.data.test, keys.root(0))
    scenes = shown["Scenes, the most wrong first"]
    assert "Of 24 objects 3 are missed, and 2 are found where there are none" in scenes.caption
    assert b"grey" in shown["Precision over recall"].data
    assert b"ground" in shown["Confusion of objects"].data
    assert "grey 0.911, white 0." in shown["Average precision by class"].caption


# Weights from elsewhere


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """A file of Darknet's of the small network with five classes, and its variables."""
    module = models.create("yolov3_tiny", width=4, stages=2, num_classes=5)
    path = tmp_path_factory.mktemp("darknet") / "it.weights"
    return path, weights.write(module, 32, path)


def of_source(run, path, make=tasks.create, **own):
    """The run's task, with weights of ``path``."""
    config = run.config.copy_and_resolve_references()
    config.pretrained.source = str(path)
    for name, value in own.items():
        group, _, key = name.partition("__")
        config[group].update({key: value})
    seen = run.data._replace(mean=np.float32([0.3]), std=np.float32([0.2]))
    return make(run._replace(config=config, data=seen))


def kind_of(run):
    """What the task is made of: its start alone."""
    module = tasks.build_model(run, {"num_classes": len(run.data.class_names)}, because="so")
    weights = dict(box=1.0, objectness=1.0, classes=1.0)
    how = dict(box_loss="ciou", ignore=0.5, anchors_each=3, anchors_learned=1, regions_learned=1)
    return detectors.create(run, module, weights=weights, **how)


def is_as(params, variables):
    """Top-level submodules whose parameters are these."""
    same = lambda a, b: a.shape == b.shape and np.array_equal(a, b)
    of = lambda name: jax.tree.map(same, dict(params[name]), dict(variables["params"][name]))
    return {name for name in params if jax.tree.all(of(name))}


HEADS = {"head_4", "head_2"}


def test_a_yolo_begins_with_darknets_weights_and_heads_of_its_own(made, published):
    _, run = made
    path, variables = published
    for own in ({}, dict(model__anchors=((5.0, 6.0), (7.0, 8.0)) * 3)):
        start = of_source(run, path, kind_of, **own).start
        # A grey picture is grey in all colours, and no more is done to it.
        image = np.random.default_rng(0).random((1, 32, 32, 1), np.float32)
        seen = np.asarray(start.standardise(image))
        np.testing.assert_array_equal(seen, image.repeat(3, -1))
        shapes = jax.eval_shape(start.module.init, keys.root(0), seen)
        fresh = jax.tree.map(lambda x: np.full(x.shape, 7, x.dtype), shapes)
        begun = start.variables(fresh)
        assert {*begun["params"]} - is_as(begun["params"], variables) == HEADS
        kernel = begun["params"]["head_4"]["kernel"]
        assert (np.unique(kernel), kernel.shape[-1]) == (7, 3 * (5 + 2))
        statistics = jax.tree.map(np.array_equal, begun["batch_stats"], variables["batch_stats"])
        assert jax.tree.all(statistics)
        anchors = np.asarray(begun["constants"]["anchors"])
        if own:
            assert (anchors == 7).all()  # those that the module has
        else:
            assert 6 <= anchors.min() < anchors.max() <= 11  # of the data's boxes
            assert (np.diff(anchors.prod(1)) >= 0).all()


def test_a_yolos_own_classes_keep_its_heads_and_its_anchors(made, published, tmp_path):
    _, run = made
    path, variables = published
    five = run._replace(data=run.data._replace(class_names=tuple("abcde")))
    start = of_source(five, path, kind_of).start
    image = np.zeros((1, 32, 32, 3), np.float32)
    shapes = jax.eval_shape(start.module.init, keys.root(0), image)
    begun = start.variables(jax.tree.map(lambda x: np.full(x.shape, 7, x.dtype), shapes))
    assert is_as(begun["params"], variables) == {*begun["params"]}
    published_anchors = models.settings("yolov3_tiny")["anchors"]
    np.testing.assert_array_equal(begun["constants"]["anchors"], published_anchors)


@pytest.mark.parametrize(
    ("own", "message"),
    [
        (dict(model__width=8), "it.weights is cut, or of another network"),
        (dict(pretrained__model="resnet18"), "pretrained.model='resnet18' is no YOLOv3Tiny"),
        (dict(pretrained__source="gone.weights"), "gone.weights"),
    ],
)
def test_weights_that_are_no_yolos_are_one_line(own, message, made, published):
    _, run = made
    with pytest.raises(UserError, match=message) as error:
        of_source(run, published[0], **own).check()
    assert "\n" not in str(error.value)


@pytest.mark.slow(*OWN, "jaxdl/pretrained/")
def test_a_yolos_backbone_is_frozen_and_then_not(made, published):
    _, run = made
    path, variables = published
    own = dict(
        optimizer__schedule_unit="steps", optimizer__schedule="constant", optimizer__unfreeze=1.0,
        optimizer__warmup=0.0, optimizer__head=("^(head|last|neck|up)(_|/)",),
    )  # fmt: skip
    begun = of_source(run, path, **own)
    batch = run.data.train.take(np.arange(4))
    states = [jax.jit(begun.init)(keys.root(0), batch)]
    step = jax.jit(begun.train_step)
    for _ in range(2):
        states.append(step(states[-1], batch, keys.root(1))[0])
    backbone = {f"block_{i}" for i in range(4)}
    assert is_as(states[0].params, variables) == {*states[0].params} - HEADS
    assert is_as(states[1].params, variables) == backbone
    assert is_as(states[2].params, variables) == set()


# Whole runs

# Of a network that has learned little, finds of any score.
FEW = (
    *("--config.data.image_size=32", "--config.data.scales=(1.,2.)", "--config.data.most=3"),
    "--config.model.least_score=1e-4",
)
WHOLE = (*OWN, "jaxdl/tasks/shared/", "jaxdl/metrics/", "jaxdl/inference/", "jaxdl/runs/")


@pytest.mark.slow(*WHOLE)
def test_a_run_that_was_cut_ends_like_one_that_was_not_and_is_of_use(tmp_path, capsys):
    flags = (
        *(*tiny.FLAGS["yolo"], *FEW, "--config.checkpoint.every=4", "--config.eval.every=2"),
        *("--config.eval.score_every=5", "--config.log.report=true"),
        "--config.task.shown_score=0.",
    )
    assert_resumes_to_the_bit("yolo", tmp_path, *flags, at=8)
    folder = tmp_path / "whole"
    lines = figures(folder, "eval")
    assert [line["step"] for line in lines if "map50" in line] == [6, 10, 12]
    best = summary(folder)["best"]
    assert best["map50"] == max(line["map50"] for line in lines if "map50" in line)
    page = (folder / "report.html").read_text()
    for heading in ("Average precision by class", "Confusion of objects", "Scenes, the most wrong"):
        assert f"<h2>{heading}" in page
    assert run("yolo", folder, *flags, "--mode=evaluate") == 0
    (line,) = figures(folder, "evaluate")
    for name in ("map", "map50", "ar100", "map_small"):
        assert line[name] == pytest.approx(best[name], abs=1e-6)

    # A picture twice as wide as high is seen whole, and told of in its own pixels.
    rng = np.random.default_rng(0)
    picture = rng.integers(0, 256, (40, 80), np.uint8)
    Image.fromarray(picture).save(tmp_path / "7.png")
    argv = ["--mode=predict", f"--workdir={folder}", f"--input={tmp_path / '7.png'}"]
    assert launch.main(argv) == 0
    (line,) = map(json.loads, (folder / "predictions.jsonl").read_text().splitlines())
    rows = json.loads((folder / "coco_results.json").read_text())
    assert line["picture"] == "pictures/7.png"
    assert Image.open(folder / line["picture"]).size == (80, 40)
    square = letterbox.fitted(80, 40, 32, "letterbox")
    np.save(tmp_path / "square.npy", square.picture(epath.Path(tmp_path / "7.png"), 1)[None])
    assert launch.main([*argv[:2], f"--input={tmp_path / 'square.npy'}"]) == 0
    seen = json.loads((folder / "coco_results.json").read_text())
    assert len(rows) == len(seen) >= len(line["objects"]) > 0
    assert {(row["image_id"], row["file_name"]) for row in rows} == {(7, "7.png")}
    for own, row, one in zip(line["objects"], rows, seen, strict=False):
        x, y, w, h = one["bbox"]
        expected = np.clip([x * 2.5, (y - 8) * 2.5, (x + w) * 2.5, (y + h - 8) * 2.5], 0,
                           [80, 40, 80, 40])  # fmt: skip
        np.testing.assert_allclose(own["box"], expected, atol=0.02)
        np.testing.assert_allclose(np.add(row["bbox"], [0, 0, *row["bbox"][:2]]), expected,
                                   atol=1e-3)  # fmt: skip
        assert row["score"] == pytest.approx(one["score"], abs=1e-5)
    # How sure is asked for at the time.
    assert launch.main([*argv, "--config.task.shown_score=1."]) == 0
    assert not json.loads((folder / "predictions.jsonl").read_text())["objects"]
    assert json.loads((folder / "coco_results.json").read_text()) == rows
    # A list of COCO's form says which pictures, and what these and the classes are called.
    listed = dict(
        images=[dict(id=4711, file_name="7.png")],
        categories=[dict(id=100 - i, name=str(i)) for i in range(10)],
    )
    (tmp_path / "list.json").write_text(json.dumps(listed))
    assert launch.main([*argv[:2], f"--input={tmp_path / 'list.json'}"]) == 0
    again = json.loads((folder / "coco_results.json").read_text())
    for own, row in zip(again, rows, strict=True):
        assert own == row | dict(image_id=4711, category_id=101 - row["category_id"])
    listed["categories"].pop()
    (tmp_path / "list.json").write_text(json.dumps(listed))
    assert any(row["category_name"] == "9" for row in rows)
    assert launch.main([*argv[:2], f"--input={tmp_path / 'list.json'}"]) == 2
    assert "found is '9', of which there is no category" in capsys.readouterr().err

    # Another run begins with all of it, of the same classes also with its heads and anchors.
    began = built("yolo", *flags, f"--config.pretrained.source={folder}").init_state()
    kept = transfer.weights_of_run(epath.Path(folder), defaults.default(), "")
    there = by_name({"params": began.params, **began.model_state})
    assert there.keys() == kept.keys()
    for name, x in there.items():
        np.testing.assert_array_equal(x, kept[name], err_msg=name)


@pytest.mark.slow(*WHOLE, "jaxdl/parallel/", "jaxdl/experiment/")
def test_eight_devices_score_as_one_does_and_members_each_their_own(tmp_path):
    found = []
    for devices in (1, 8):
        flags = (*FEW, "--config.data.test_examples=9", f"--config.parallel.data={devices}")
        one = built("yolo", *flags)
        found.append(one.task.score(one.init_state(), one.run.data.test, one.key))
    assert found[0]["ar100"] > 0
    assert found[1] == pytest.approx(found[0], abs=1e-3)
    members = ("--config.population=2", "--config.steps=4", "--config.eval.every=2")
    assert run("yolo", tmp_path, *tiny.FLAGS["yolo"], *FEW, *members) == 0
    assert len(figures(tmp_path, "eval")[-1]["map50"]) == 2
