"""YOLOv3: what it computes, its weights in Darknet's files, and the anchors of data."""

import functools
import hashlib
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import shipped

from jaxdl import keys, models, pretrained
from jaxdl.data import anchors
from jaxdl.errors import UserError
from jaxdl.pretrained import catalog, darknet

GOLDEN = Path(__file__).parent / "golden"
sys.path.insert(0, str(GOLDEN))

import seeded  # noqa: E402

PARAMETERS = {"yolov3": 61_949_149, "yolov3_tiny": 8_852_366}
SMALL = {
    "yolov3": dict(width=2, depths=(1, 2, 1, 1, 1)),
    "yolov3_tiny": dict(width=2, anchors=models.settings("yolov3")["anchors"][:6]),
}
CLASSES = 4
# What compiles in seconds: when what it is made of has changed.
OWN = ("jaxdl/models/yolov3.py", "jaxdl/pretrained/yolov3.py", "jaxdl/pretrained/darknet.py")
ALSO_SLOW = [
    pytest.param("yolov3", marks=pytest.mark.slow(*OWN, "jaxdl/layers/", "jaxdl/ops/")),
    "yolov3_tiny",
]


@pytest.fixture(scope="module")
def golden():
    with np.load(GOLDEN / "yolo.npz") as file:
        return dict(file)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """A file of Darknet's of each small one, of the weights that the golden file is of."""

    def write(name):
        module = models.create(name, **SMALL[name], num_classes=CLASSES)
        architecture = catalog.of(module)
        shapes = architecture.shapes(module)
        table = architecture.namings["darknet"].table_of(module)
        rules = darknet.in_file(table.expand(shapes))
        drawn = {}
        for theirs, rule in rules.items():
            shape = rule.shape([shapes[ours] for ours in rule.ours])
            of_torch = theirs.replace("rolling_mean", "running_mean")
            of_torch = of_torch.replace("rolling_variance", "running_var")
            drawn[theirs] = seeded.weight(of_torch, shape)
        path = tmp_path_factory.mktemp(name) / f"{name}.weights"
        darknet.write(path, rules, drawn)
        return path

    return functools.cache(write)


@pytest.mark.parametrize("name", shipped.sizes(PARAMETERS, "jaxdl/models/yolov3.py"))
def test_parameter_count_is_the_published_one(name):
    module = models.create(name)
    run = lambda key, x: module.init_with_output(key, x, raw=True)
    maps, variables = jax.eval_shape(run, keys.abstract(), jnp.zeros((1, 416, 416, 3)))
    assert sum(x.size for x in jax.tree.leaves(variables["params"])) == PARAMETERS[name]
    scales = {"yolov3": (8, 16, 32), "yolov3_tiny": (16, 32)}[name]
    assert {s: x.shape for s, x in maps.items()} == {
        s: (1, 416 // s, 416 // s, 3, 85) for s in scales
    }


@pytest.mark.parametrize("name", ALSO_SLOW)
def test_a_file_is_laid_out_as_darknet_has_it_and_read_as_torch_reads_it(name, written, golden):
    path = written(name)
    as_bytes = path.read_bytes()
    assert [hashlib.sha256(as_bytes).hexdigest(), str(len(as_bytes))] == list(
        golden[f"{name}/file"]
    )
    module, variables = pretrained.load(path, name, **SMALL[name])
    assert module.num_classes == CLASSES
    x = seeded.images((2, 64, 64, 3))
    maps = jax.jit(lambda variables, x: module.apply(variables, x, raw=True))(variables, x)
    for stride, found in maps.items():
        expected = golden[f"{name}/{stride}"]
        error = np.abs(seeded.sample(np.asarray(found), 2048) - expected).max()
        assert error < 2e-6 * np.abs(expected).max()


@pytest.mark.parametrize("seen_bits", [32, 64])
def test_both_headers_are_read_and_what_was_read_is_written_back(seen_bits, written, tmp_path):
    as_bytes = written("yolov3_tiny").read_bytes()
    old = tmp_path / "old.weights"
    minor, seen = (1, np.int32(7)) if seen_bits == 32 else (2, np.int64(7))
    old.write_bytes(np.int32([0, minor, 0]).tobytes() + seen.tobytes() + as_bytes[20:])
    assert darknet.header(old) == ((0, minor, 0), 7, 12 + seen_bits // 8)
    module, variables = pretrained.load(old, "yolov3_tiny", **SMALL["yolov3_tiny"])
    pretrained.save(module, variables, tmp_path / "new.weights")
    assert (tmp_path / "new.weights").read_bytes() == as_bytes


def test_another_head_is_drawn_anew_and_safetensors_keep_the_anchors(written, tmp_path):
    fields = SMALL["yolov3_tiny"]
    module, variables = pretrained.load(written("yolov3_tiny"), "yolov3_tiny", 2, **fields)
    assert module.num_classes == 2
    assert variables["params"]["head_16"]["bias"].shape == (3 * 7,)
    pretrained.save(module, variables, tmp_path / "it.safetensors")
    other = {**fields, "anchors": ((1, 1),) * 6}
    found, back = pretrained.load(tmp_path / "it.safetensors", "yolov3_tiny", **other)
    assert found.num_classes == 2
    same = jax.tree.map(np.array_equal, variables, back)
    assert all(jax.tree.leaves(same))


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda x: x[:15], "is cut: it ends within its header"),
        (lambda x: x[:-3], "is cut: it ends within a number"),
        (
            lambda x: x[:-4],
            r"is cut, or of another network: it holds 139,435 numbers, and 'yolov3_",
        ),
        (lambda x: x[:20], r"is cut, or of another network: it holds 0 numbers"),
        (
            lambda x: x[:24] + x[20:-4],
            "is of another network than .*rolling_variance is not all po",
        ),
        (lambda x: b"\1\2\3\4" + x[4:], "does not begin as Darknet's files of weights do"),
    ],
)
def test_what_is_cut_or_of_another_network_is_one_line(change, message, written, tmp_path):
    path = tmp_path / "x.weights"
    path.write_bytes(change(written("yolov3_tiny").read_bytes()))
    with pytest.raises(UserError, match=message) as caught:
        pretrained.load(path, "yolov3_tiny", **SMALL["yolov3_tiny"])
    assert "\n" not in str(caught.value)


def _cut(path, tmp_path, ends, more=0):
    """A file of the layers before one of ours, and a classifier's last, of ``more`` classes."""
    module = models.create("yolov3_tiny", **SMALL["yolov3_tiny"], num_classes=CLASSES)
    architecture = catalog.of(module)
    shapes = architecture.shapes(module)
    rules = darknet.in_file(architecture.namings["darknet"].table_of(module).expand(shapes))
    count = 0
    for rule in rules.values():
        if rule.ours[0].startswith((ends, f"batch_stats/{ends}")):
            break
        count += sum(int(np.prod(shapes[name])) for name in rule.ours)
    found = tmp_path / "yolov3-tiny.conv.15"
    found.write_bytes(path.read_bytes()[: 20 + 4 * count] + b"\0" * 4 * more * (128 + 1))
    return found


@pytest.mark.parametrize(
    ("ends", "more"),
    [pytest.param("head_32", 0, marks=pytest.mark.slow(*OWN)), ("neck", 7)],
)
def test_what_a_classifier_of_darknets_has_learned_is_read_alone(ends, more, written, tmp_path):
    fields = SMALL["yolov3_tiny"]
    whole = pretrained.load(written("yolov3_tiny"), "yolov3_tiny", **fields)[1]
    path = _cut(written("yolov3_tiny"), tmp_path, ends, more)
    with pytest.raises(UserError, match="does not fit the model"):
        pretrained.load(path, "yolov3_tiny", **fields)
    module, variables = pretrained.load(path, "yolov3_tiny", 2, **fields)
    assert module.num_classes == 2
    same = {
        name: jax.tree.all(jax.tree.map(np.array_equal, own, whole["params"][name]))
        for name, own in variables["params"].items()
        if not name.startswith("head")
    }
    assert {name for name, is_same in same.items() if not is_same} == (
        {"up", "last_16"} | ({"neck", "last_32"} if ends == "neck" else set())
    )
    as_cut = tmp_path / "cut.weights"
    as_cut.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(UserError, match="is cut, or of another network"):
        pretrained.load(as_cut, "yolov3_tiny", 2, **fields)


def test_other_models_have_no_such_files(written, tmp_path):
    with pytest.raises(UserError, match="a file of Darknet's, which 'lenet' is not read from"):
        pretrained.load(written("yolov3_tiny"), "lenet")
    with pytest.raises(UserError, match="'lenet' has no weights of Darknet's"):
        pretrained.save(models.create("lenet"), {}, tmp_path / "x.weights")


def test_settings_that_do_not_fit_are_one_line():
    def shapes(name, side=64, **fields):
        module = models.create(name, **fields)
        return jax.eval_shape(module.init, keys.abstract(), jnp.zeros((1, side, side, 1)))

    with pytest.raises(UserError, match="images of 72x72 pixels: sides must be multiples of 32"):
        shapes("yolov3_tiny", 72)
    with pytest.raises(UserError, match=r"must be pairs of positive sides, as many at each of 2"):
        shapes("yolov3_tiny", anchors=((1, 1), (2, 2), (3, 3)))
    with pytest.raises(UserError, match=r"model.levels=4 must be from 1 to the 3 stages"):
        shapes("yolov3", depths=(1, 1, 1), levels=4)


def test_anchors_are_the_shapes_that_boxes_were_drawn_about():
    rng = np.random.default_rng(5)
    true = np.array([(8, 8), (10, 30), (40, 12), (50, 50)])
    sides = np.repeat(true, [40, 300, 20, 90], axis=0) * np.exp(0.05 * rng.normal(size=(450, 2)))
    found = anchors.fit(sides, 4, seed=1)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, true[[0, 1, 2, 3]], rtol=0.04)
    np.testing.assert_array_equal(found, anchors.fit(sides, 4, seed=1))
    # Two boxes of equal area whose sides are exchanged share 4x4 of 2 * 32 - 16.
    np.testing.assert_allclose(anchors.overlap(np.array([[4, 8]]), np.array([[8, 4]])), 1 / 3)
    more = [anchors.mean_overlap(sides, anchors.fit(sides, k)) for k in (1, 2, 4, 6)]
    assert more == sorted(more)
    assert more[2] > 0.9 > more[0]
    with pytest.raises(
        UserError, match=r"5 anchors need boxes of at least as many shapes.* have 4: set"
    ):
        anchors.fit(np.repeat(true, 9, axis=0), 5)
    with pytest.raises(UserError, match="whose sides are positive"):
        anchors.fit([(1, 0)], 1)
