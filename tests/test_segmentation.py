"""A class for every pixel: losses, which pixels count, figures, masks in files, and transfer."""

import functools
import itertools
import json
import runpy

import jax
import jax.numpy as jnp
import numpy as np
import published as weights
import pytest
import tiny
import writing_scenes
from etils import epath
from launching import assert_resumes_to_the_bit, built, learned, made, summary
from PIL import Image

from jaxdl import checkpoint, experiment, keys, launch, losses, metrics, models
from jaxdl import config as defaults
from jaxdl.data import Arrays, letterbox
from jaxdl.data.augment import scene
from jaxdl.data.preprocess import Preprocess
from jaxdl.errors import UserError
from jaxdl.inference import export, pictures, predict
from jaxdl.inference.masks import Masks
from jaxdl.inference.pictures import Picture
from jaxdl.metrics import segmentation as figures
from jaxdl.tasks import segmentation
from jaxdl.tasks.shared import judged_masks
from jaxdl.tasks.shared.pixelwise import Pixelwise

RNG = np.random.default_rng(0)
LOGITS = RNG.normal(size=(2, 3, 4, 5)).astype(np.float32)
MASK = RNG.integers(0, 5, (2, 3, 4)).astype(np.uint8)
WEIGHTS = RNG.uniform(0.5, 2, (2, 3, 4)) * (RNG.random((2, 3, 4)) < 0.7)


def softmax(x):
    e = np.exp(x.astype(np.float64) - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


SHARES = softmax(LOGITS)
TRUE = np.eye(5)[MASK]


# Losses


@pytest.mark.parametrize("gamma", [0.0, 2.0, 0.5])
def test_losses_of_pixels_are_those_of_numpy(gamma):
    p = (SHARES * TRUE).sum(-1)
    wanted = (WEIGHTS * (1 - p) ** gamma * -np.log(p)).sum((1, 2)) / WEIGHTS.sum((1, 2))
    found = losses.pixel_focal(LOGITS, MASK, WEIGHTS, gamma=gamma)
    np.testing.assert_allclose(found, wanted, rtol=1e-5)
    if not gamma:
        plain = losses.pixel_cross_entropy(LOGITS, MASK, WEIGHTS)
        np.testing.assert_allclose(plain, wanted, rtol=1e-5)
        np.testing.assert_allclose(
            losses.pixel_cross_entropy(LOGITS, MASK), -np.log(p).mean((1, 2)), rtol=1e-5
        )


def test_dice_is_one_less_what_is_shared():
    both = (WEIGHTS[..., None] * (SHARES + TRUE)).sum((1, 2))
    shared = (WEIGHTS[..., None] * SHARES * TRUE).sum((1, 2))
    wanted = 1 - ((2 * shared + 0.5) / (both + 0.5)).mean(-1)
    np.testing.assert_allclose(losses.dice(LOGITS, MASK, WEIGHTS, smooth=0.5), wanted, rtol=1e-5)
    sure = 1e4 * TRUE
    np.testing.assert_allclose(losses.dice(sure, MASK), 0, atol=1e-6)
    np.testing.assert_allclose(
        losses.dice(sure, (MASK + 1) % 5, smooth=1e-6)[1], 1, atol=1e-4
    )  # the second has pixels of all classes


@pytest.mark.parametrize("loss", [losses.pixel_cross_entropy, losses.pixel_focal, losses.dice])
def test_what_has_no_weight_counts_in_nothing_and_gradients_are_finite(loss):
    other = np.where(WEIGHTS > 0, MASK, 255).astype(np.uint8)
    np.testing.assert_array_equal(loss(LOGITS, other, WEIGHTS), loss(LOGITS, MASK, WEIGHTS))
    logits = np.where(WEIGHTS[..., None] > 0, 1e4 * TRUE, LOGITS).astype(np.float32)
    weights = WEIGHTS * np.array([1, 0])[:, None, None]  # of the second example nothing counts
    found, gradient = jax.value_and_grad(lambda x: loss(x, MASK, weights).sum())(logits)
    assert np.isfinite(found)
    assert np.isfinite(gradient).all()
    assert (np.asarray(gradient)[weights == 0] == 0).all()
    assert loss(LOGITS.astype(jnp.bfloat16), MASK).dtype == jnp.float32


def test_the_mean_over_examples_is_that_over_pixels():
    """As PyTorch's cross_entropy with weight and ignore_index."""
    mask, of_classes = np.where(WEIGHTS > 0, MASK, 255), np.array([0.5, 1, 2, 0, 3])
    each, weight = segmentation.example_loss(
        losses.pixel_cross_entropy, 0.0, 0.0, 255, tuple(of_classes), LOGITS, mask
    )
    w = (mask != 255) * of_classes[MASK]
    wanted = (w * -np.log((SHARES * TRUE).sum(-1))).sum() / w.sum()
    found = metrics.divide({"loss": metrics.Mean.of(each, weight)})["loss"]
    assert found == pytest.approx(wanted, rel=1e-5)
    more, _ = segmentation.example_loss(
        losses.pixel_cross_entropy, 0.5, 0.0, 255, tuple(of_classes), LOGITS, mask
    )
    dice = losses.dice(LOGITS, MASK, (mask != 255).astype(np.float32))
    np.testing.assert_allclose(more - each, 0.5 * dice, atol=1e-6)


def test_classes_among_themselves_are_told_apart_without_the_ground():
    mask = np.where(WEIGHTS > 0, MASK, 255)
    mask[1] = np.where(mask[1] == 255, 255, 0)  # no pixel of a class
    of = lambda among, logits: segmentation.example_loss(
        losses.pixel_cross_entropy, 0.0, among, 255, (), logits, mask
    )[0]
    of_class = (mask > 0) & (mask < 255)
    p = (softmax(LOGITS[..., 1:]) * TRUE[..., 1:]).sum(-1)
    wanted = -2.5 * np.log(p[0][of_class[0]]).mean()
    added = of(2.5, LOGITS) - of(0.0, LOGITS)
    np.testing.assert_allclose(added, [wanted, 0], rtol=1e-5, atol=1e-6)
    # The ground's logit moves nothing of it.
    tilted = LOGITS + np.eye(5, dtype=np.float32)[0]
    np.testing.assert_allclose(of(2.5, tilted) - of(0.0, tilted), added, atol=1e-5)


@pytest.mark.parametrize("own", [dict(flip=True, shift=3), dict(mosaic=1.0)], ids=str)
def test_masks_go_where_augmented_images_go(own):
    classes = RNG.integers(0, 5, (6, 8, 10)).astype(np.uint8)

    def read(params, model_state, key, images, *, train):
        return 1e3 * jax.nn.one_hot(jnp.rint(images[..., 0] * 255).astype(int), 5), {}

    augmented = scene.create({**defaults.default().augment_scene, **own})
    seen = []
    loss = functools.partial(
        segmentation.training_loss,
        read,
        lambda key, batch: seen.append(augmented(key, batch)) or seen[-1],
        Pixelwise(None, lambda x: x, False),
        functools.partial(segmentation.example_loss, losses.pixel_cross_entropy, 0.0, 0.0, -1, ()),
        -1,
    )
    batch = {"image": classes[..., None], "mask": classes}
    found = loss({}, {}, batch, keys.root(0))
    assert found.loss.total == 0
    assert (np.asarray(seen[0]["mask"]) != classes).mean() > 0.3


def test_augmentation_is_the_configs(monkeypatch):
    told = []
    monkeypatch.setattr(segmentation.scene, "create", told.append)
    built("unet", "--config.augment_scene.mosaic=.25", "--config.augment_scene.zoom=.1")
    assert (told[0].mosaic, told[0].zoom) == (0.25, 0.1)


# Networks that tell of fewer pixels than they see


def unpadded():
    model = models.create("unet", num_classes=3, width=2, depth=1, dropout=0.0)
    image = RNG.uniform(size=(2, 24, 27, 1)).astype(np.float32)
    return model, jax.jit(model.init)(keys.root(0), image[:, :20, :20]), image


def test_images_are_mirrored_so_that_all_pixels_are_told():
    model, variables, image = unpadded()
    sees = Pixelwise(model, lambda x: x - 0.5)
    around = np.pad(image - 0.5, ((0, 0), (8, 8), (8, 9), (0, 0)), mode="symmetric")
    np.testing.assert_array_equal(sees.seen(image), around)
    made = model.apply(variables, around)
    found = sees.told(made, image)
    assert made.shape == (2, 24, 28, 3)
    np.testing.assert_array_equal(found, made[:, :, :27])
    assert sees.judged(image) is image
    # The middle is what is told of the image alone.
    alone = model.apply(variables, sees._replace(whole=False).seen(image[:, :, :26]))
    np.testing.assert_allclose(found[:, 8:16, 8:18], alone, atol=1e-5)


def test_otherwise_masks_are_cut_to_the_middle():
    model, _, _ = unpadded()
    sees = Pixelwise(model, lambda x: x, whole=False)
    mask = np.arange(24 * 26).reshape(1, 24, 26)
    np.testing.assert_array_equal(sees.judged(mask), mask[:, 8:16, 8:18])
    with pytest.raises(UserError, match="has no use of images of 25 pixels"):
        sees.judged(np.zeros((1, 25, 26)))
    padded = Pixelwise(models.create("unet_padded"), lambda x: x)
    assert padded.seen(mask[..., None] / 1e4).shape == (1, 24, 26, 1)
    for any_size in (padded, padded._replace(whole=False), Pixelwise(None, lambda x: x, False)):
        np.testing.assert_array_equal(any_size.judged(mask), mask)


def test_probabilities_are_averaged_over_images_that_are_shifted():
    model, variables, image = unpadded()
    sees = Pixelwise(model, lambda x: x - 0.5)
    at_once = functools.partial(jax.jit(Pixelwise.logits, static_argnums=0), sees)
    around = np.pad(image, ((0, 0), (2, 2), (2, 2), (0, 0)), mode="edge")
    wanted = []
    for down, right in itertools.product(range(3), repeat=2):
        moved = around[:, 2 - down :, 2 - right :][:, :26, :29]
        found = at_once(variables, moved)[:, down:, right:][:, :24, :27]
        wanted.append(np.exp(found) / np.exp(found).sum(-1, keepdims=True))
    assert np.std(wanted, axis=0).max() > 0.01
    found = sees._replace(shifts=3).logits(variables, image)
    np.testing.assert_allclose(np.exp(found), np.mean(wanted, axis=0), atol=1e-5)


# Figures


@pytest.fixture(scope="module")
def small():
    """(experiment, state) of the smallest, its weights drawn by NumPy, which compiles nothing."""
    one = built("unet", "--config.task.ignored=3", "--config.task.among=0.")
    rng = np.random.default_rng(0)
    drawn = lambda x: (0.3 * rng.normal(size=x.shape)).astype(x.dtype)
    state = jax.tree.map(drawn, one.abstract_state)
    return one, state._replace(model_state=jax.tree.map(np.abs, state.model_state))


@pytest.fixture(scope="module")
def found(small):
    one, state = small
    return jax.tree.map(np.asarray, jax.jit(one.task.predict)(state, test_part(one)["image"]))


def test_part(one):
    return one.run.data.test.take(np.arange(len(one.run.data.test)))


test_part.__test__ = False


def test_figures_are_of_the_pixels_that_count(small, found):
    one, state = small
    mask, classes = test_part(one)["mask"].astype(int), found["logits"].shape[-1]
    assert classes == 11
    np.testing.assert_array_equal(found["mask"], found["logits"].argmax(-1))
    counts = mask != 3
    assert (~counts).sum() > 0
    matrix = np.zeros((classes, classes), int)
    np.add.at(matrix, (mask[counts], found["mask"][counts]), 1)
    # A padded batch: 16 examples, 5 at a time.
    one.config.eval.batch_size, before = 5, one.config.eval.batch_size
    scores = experiment.create(one.config).task.score(state, one.run.data.test, one.key)
    one.config.eval.batch_size = before
    assert scores["mean_iou"] == pytest.approx(figures.mean_iou(matrix))
    assert scores["mean_dice"] == pytest.approx(figures.mean_dice(matrix))
    assert scores["mean_accuracy"] == pytest.approx(figures.mean_accuracy(matrix))
    step = jax.jit(one.task.eval_step)
    batch = {**test_part(one), "is_real": np.arange(16) < 9}
    made = metrics.divide(step(state, batch, one.key))
    real = counts & (np.arange(16) < 9)[:, None, None]
    assert made["accuracy"] == pytest.approx((found["mask"] == mask)[real].mean(), rel=1e-5)
    nats = -np.log(softmax(found["logits"]))
    own = np.take_along_axis(nats, mask[..., None], -1)[..., 0]
    assert made["loss"] == pytest.approx(own[real].mean(), rel=1e-4)


def test_of_two_classes_the_foregrounds_figures_are_told():
    matrices = np.array([[[5, 1], [2, 4]], [[7, 0], [1, 0]]])
    counted = lambda state, batch, key: jnp.asarray(matrices)[batch["i"]]
    scores = judged_masks.score(counted, 2, (), Arrays({"i": np.arange(2)}), None)
    assert scores["foreground_iou"] == pytest.approx(4 / 8)
    assert scores["foreground_dice"] == pytest.approx(8 / 12)
    assert scores["mean_iou"] == pytest.approx((12 / 16 + 4 / 8) / 2)
    assert set(scores) <= set(judged_masks.DIRECTIONS)


# Predictions


def predictor(small):
    one, state = small
    task = one.task
    size = one.run.data.train.take(np.arange(1))["image"].shape[1]
    how = (task.predict, state, task.describe, task.labels, Preprocess(size=size, resize=size))
    return predict.Predictor(*how, 1, one.layout)


def test_masks_are_written_beside_what_is_said_of_them(small, found, tmp_path):
    images = test_part(small[0])["image"]
    seen = [
        Picture(name, functools.partial(images.__getitem__, i))
        for i, name in enumerate(("a/one.png", "b/one.png", "all.npy[0]", "all.npy[1]"))
    ]
    predict.write(predict.run(predictor(small), seen, 16), epath.Path(tmp_path))
    lines = [json.loads(x) for x in (tmp_path / "predictions.jsonl").read_text().splitlines()]
    assert [line["mask"] for line in lines] == [
        "masks/one.png", "masks/one-2.png", "masks/all-0.png", "masks/all-1.png",
    ]  # fmt: skip
    names = ("ground", *"0123456789")
    for i, line in enumerate(lines):
        with Image.open(tmp_path / line["mask"]) as image:
            mask = np.asarray(image)
            assert image.mode == "P"
        np.testing.assert_array_equal(mask, found["mask"][i])
        for told in line["classes"]:
            assert told["share"] == pytest.approx((mask == names.index(told["class"])).mean())
        assert sum(told["share"] for told in line["classes"]) == pytest.approx(1)


def test_masks_of_files_are_as_large_as_these(small, tmp_path):
    rng = np.random.default_rng(0)
    file = epath.Path(tmp_path / "wide.png")
    Image.fromarray(rng.integers(0, 256, (16, 64), np.uint8)).save(file)
    asked = predictor(small)._replace(fit="letterbox")
    (picture,) = pictures.find(str(file), asked.preprocess, 1, asked.fit)
    (said,) = predict.run(asked, [picture], 1)
    square = np.asarray(asked.predict(asked.variables, picture.read()[None])["mask"])[0]
    assert said.said.mask.shape == (16, 64)
    # Of 32 x 32 pixels the middle eight rows show it, each for two.
    np.testing.assert_array_equal(said.said.mask, square[12:20].repeat(2, 0).repeat(2, 1))


def test_names_of_masks_are_their_pictures(tmp_path):
    masks = Masks(epath.Path(tmp_path / "masks"))
    names = ["x.tar.gz", "dir/.hidden", "é [1].jpg", "one.png", "one-2.png", "b/one.png"]
    written = [masks.write(name, np.zeros((2, 2), np.uint8)) for name in names]
    assert len({*written}) == len(names)
    assert all((tmp_path / name).exists() for name in written)


def test_the_program_says_the_same(small, found, tmp_path):
    files = export.write(predictor(small), epath.Path(tmp_path))
    program = jax.export.deserialize(bytearray(files[0].read_bytes()))
    said = program.call(test_part(small[0])["image"][:2])
    np.testing.assert_allclose(said["logits"], found["logits"][:2], atol=1e-5)
    assert said["mask"].dtype == np.uint8
    about = json.loads(files[1].read_text())
    assert about["output"]["mask"] == ["batch", 32, 32]
    assert about["labels"]["mask"][:2] == ["ground", "0"]


@pytest.mark.parametrize("fit", letterbox.FITS)
def test_its_example_sees_pictures_whole(fit, small, tmp_path, monkeypatch):
    file = epath.Path(tmp_path / "wide.png")
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (17, 63), np.uint8)).save(file)
    asked = predictor(small)._replace(fit=fit)
    export.write(asked, epath.Path(tmp_path / "export"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["example.py", str(file)])
    runpy.run_path(str(tmp_path / "export" / "example.py"))
    (picture,) = pictures.find(str(file), asked.preprocess, 1, fit)
    wanted = np.asarray(asked.predict(asked.variables, picture.read()[None])["mask"])[0]
    with Image.open(tmp_path / "mask.png") as image:
        np.testing.assert_array_equal(np.asarray(image), wanted)
    assert np.unique(wanted).size > 1


# What cannot be

SCENES = ("--config.data.examples=16", "--config.data.test_examples=4")
BAD = {
    "--config.data.name=digits": "learns from 'mask', and data set 'digits' has image, label",
    "--config.task.loss=hinge": "cross_entropy",
    "--config.task.loss=dice --config.task.dice=1.": "is added to a loss that is another than Dice",
    "--config.task.loss=dice --config.task.among=1.": "than Dice, of two classes or more",
    "--config.task.class_weights=(1.,2.)": "must be 11 numbers",
    "--config.task.dice=-1.": "config.task.dice=-1.0 must be at least 0",
    "--config.task.ignored=300": "must be from -1 to 255",
    "--config.task.test_shifts=0": "config.task.test_shifts=0 must be at least 1",
    "--config.task.test_shifts=2 --config.task.mirror=false": "needs config.task.mirror=true",
    "--config.model.padded=false --config.task.mirror=false --config.model.depth=3": (
        "has no use of images of 96 pixels"
    ),
    "--config.augment_sound.shift=1.": "uses nothing of config.augment_sound",
    "--config.augment.mixup=.1": "uses nothing of config.augment",
}


@pytest.mark.parametrize("argument", BAD)
def test_a_bad_setting_is_one_clear_line(argument):
    with pytest.raises(UserError) as error:
        made("unet", *([] if "digits" in argument else SCENES), *argument.split())
    assert "\n" not in str(error.value)
    assert BAD[argument] in str(error.value)


def test_masks_of_annotations_are_to_be_asked_for(tmp_path):
    own = np.array([[[2, 2, 9, 9]]], np.float32), np.array([[1]]), np.array([[True]])
    arrays = dict(zip(("boxes", "classes", "present"), own, strict=True))
    arrays["image"] = np.zeros((1, 16, 16, 1), np.uint8)
    arrays = {name: x.repeat(8, axis=0) for name, x in arrays.items()}
    writing_scenes.coco(tmp_path, arrays, ("a", "b"))
    flags = ("--config.data.name=coco", f"--config.data.path={tmp_path}", "--config.batch_size=2")
    with pytest.raises(UserError, match=r"learns from 'mask', .* config\.data\.masks=true"):
        made("unet", *flags)
    one = made("unet", *flags, "--config.data.masks=true", "--config.augment_scene.window=8")
    assert one.run.data.train.take(np.arange(1))["mask"].sum() == 2 * 7 * 7


@pytest.mark.slow("jaxdl/tasks/segmentation.py")
def test_one_weight_is_the_grounds():
    of = lambda weights: built("unet", f"--config.task.class_weights={weights}")
    one, all_ = of((0.2,)), of((0.2, *(1.0,) * 10))
    state, batch = one.init_state(), one.batch(0)
    found = [made.task.train_step(state, batch, one.key)[1]["loss"] for made in (one, all_)]
    assert float(found[0].total) == float(found[1].total) > 0


def test_a_mask_of_no_class_is_told():
    one = built("unet")
    arrays = dict(one.run.data.train.arrays)
    arrays["mask"] = np.where(arrays["mask"] == 1, 255, arrays["mask"])
    data = one.run.data._replace(train=Arrays(arrays))
    with pytest.raises(UserError, match=r"masks hold 255, .* left out by config.task.ignored"):
        experiment.create(one.config, data=data)
    one.config.task.ignored = 255
    experiment.create(one.config, data=data)


# Backbones that begin with weights from elsewhere

FIELDS = dict(stages=(1, 1), width=4, stem="small")
BACKBONE = ("--config.model.backbone=resnet18",)


@pytest.fixture(scope="module")
def classifier(tmp_path_factory):
    """(a checkpoint of a small ResNet of five classes, its parameters)."""
    module = models.create("resnet18", num_classes=5, **FIELDS)
    path = tmp_path_factory.mktemp("published") / "small.safetensors"
    return path, weights.write(module, 16, path)


def assert_same(found, wanted):
    for (path, x), (_, y) in zip(
        *(jax.tree.leaves_with_path(tree) for tree in (found, wanted)), strict=True
    ):
        np.testing.assert_array_equal(x, y, err_msg=jax.tree_util.keystr(path))


def test_a_backbone_is_the_classifiers_frozen_and_then_not(classifier):
    path, variables = classifier
    one = built(
        "unet:backbone", *BACKBONE, f"--config.pretrained.source={path}",
        "--config.optimizer.schedule_unit=steps", "--config.optimizer.unfreeze=1",
        "--config.parallel.data=1",
    )  # fmt: skip
    states = [one.init_state()]
    step = jax.jit(one.task.train_step)
    for i in range(2):
        states.append(step(states[-1], one.batch(i), one.key)[0])
    own = {k: v for k, v in variables["params"].items() if k != "head"}
    for state in states[:2]:
        assert_same(state.params["backbone"], own)
        assert_same(state.model_state["batch_stats"]["backbone"], variables["batch_stats"])
    changed = lambda a, b, name: not np.array_equal(*(x.params[name]["kernel"] for x in (a, b)))
    assert changed(states[0], states[1], "head")
    stem = [x.params["backbone"]["stem"]["conv"]["kernel"] for x in states]
    assert not np.array_equal(stem[1], stem[2])
    assert "head" not in states[0].params["backbone"]


WRONG = {
    (
        "--config.model.backbone=vgg11",
        "--config.model.backbone_fields=()",
        "--config.model.depth=5",
        "--config.pretrained.model=resnet18",
    ): "does not fit the model",
    ("--config.model.backbone=", "--config.model.backbone_fields=()"): "is of a classifier: name",
    ("--config.pretrained.generation=('num_beams=4',)",): "has no use of it",
    ("--config.model.backbone_fields=('stages=(1,1)','width=8','stem=small')",): "does not fit",
}


@pytest.mark.parametrize("flags", WRONG, ids=lambda flags: flags[0])
def test_weights_that_do_not_fit_are_one_line(flags, classifier):
    source = f"--config.pretrained.source={classifier[0]}"
    with pytest.raises(UserError) as error:
        built("unet:backbone", *BACKBONE, source, *flags)
    assert WRONG[flags] in str(error.value)
    assert "\n" not in str(error.value)


def test_weights_that_are_gone_are_missed_where_a_run_begins(tmp_path):
    one = built("unet:backbone", *BACKBONE, f"--config.pretrained.source={tmp_path / 'gone'}")
    with pytest.raises(UserError, match="gone"):
        one.task.check()


# Whole runs


def test_a_run_that_was_cut_ends_like_one_that_was_not_and_is_of_use(tmp_path):
    few = ("--config.ema=.9", "--config.checkpoint.every=6", "--config.log.report=true")
    assert_resumes_to_the_bit("unet", tmp_path, *tiny.FLAGS["unet"], *few, at=6)
    folder = tmp_path / "whole"
    page = (folder / "report.html").read_text()
    for heading in ("Most wrong", "IoU by class", "Confusion of pixels"):
        assert f"<h2>{heading}</h2>" in page
    assert {"mean_iou", "mean_dice", "accuracy"} <= set(summary(folder)["final"])

    one = built("unet", f"--config.pretrained.source={folder}")
    kept = checkpoint.restore(folder, summary(folder)["best"]["step"])["average"][0]
    assert_same(one.init_state().params, kept)

    images = test_part(one)["image"][:3]
    np.save(tmp_path / "scenes.npy", images)
    argv = ["--mode=predict", f"--workdir={folder}", f"--input={tmp_path / 'scenes.npy'}"]
    assert launch.main(argv) == 0
    assert len([*(folder / "masks").glob("*.png")]) == 3


def test_eight_devices_learn_and_measure_as_one_does():
    found = []
    for devices in (1, 8):
        one, state, of_step = learned(2, "unet", f"--config.parallel.data={devices}")
        scores = one.task.score(state, one.run.data.test, one.key)
        found.append({**of_step, **scores})
    assert found[1] == pytest.approx(found[0], rel=2e-3, abs=1e-4)
