"""Faster R-CNN: what it finds and learns, and its weights by torchvision's names."""

import functools
import hashlib
import sys
from pathlib import Path

import jax
import jax.export
import jax.numpy as jnp
import numpy as np
import published as weights
import pytest
import tiny
from etils import epath
from launching import assert_resumes_to_the_bit, built, figures, run

from jaxdl import config as defaults
from jaxdl import keys, launch, metrics, models, pretrained
from jaxdl.errors import UserError
from jaxdl.losses import faster_rcnn as losses
from jaxdl.losses import matching
from jaxdl.losses.objects import Objects
from jaxdl.pretrained import catalog, tensors, transfer
from jaxdl.pretrained.architecture import by_name

GOLDEN = Path(__file__).parent / "golden"
sys.path.insert(0, str(GOLDEN))

import seeded  # noqa: E402

# What the golden file is of.
BOXES = (
    [(10, 12, 40, 50), (60, 20, 75, 41), (5, 5, 115, 85)],
    [],
    [(100.5, 60.25, 121, 89), (30, 30, 52, 58)],
)
CLASSES = [0, 3, 1], [], [2, 0]
FIELDS = dict(
    backbone="resnet",
    backbone_fields=("stages=(1, 1, 1, 1)", "width=8", "bottleneck=True"),
    width=16,
    hidden=32,
    sizes=((12,), (24,), (48,), (72,), (100,)),
    region_side=56.0,
)
OWN = (
    *("jaxdl/models/faster_rcnn.py", "jaxdl/losses/faster_rcnn.py", "jaxdl/losses/matching.py"),
    *("jaxdl/ops/regions.py", "jaxdl/ops/boxes", "jaxdl/layers/", "jaxdl/models/resnet.py"),
)


@pytest.fixture(scope="module")
def golden():
    with np.load(GOLDEN / "faster_rcnn.npz") as file:
        return dict(file)


@pytest.fixture(scope="module")
def images():
    return seeded.images((3, 90, 122, 3)) * np.float32(0.25) + np.float32(0.5)


def rules_of(module, naming="torchvision"):
    """{torchvision's name: (rule, shape)} of a module."""
    architecture = catalog.of(module)
    shapes = architecture.shapes(module)
    rules = architecture.namings[naming].table_of(module).expand(shapes)
    return {name: (r, r.shape([shapes[ours] for ours in r.ours])) for name, r in rules.items()}


@pytest.fixture(scope="module", params=["torchvision", "torchvision before 0.13"])
def file(request, tmp_path_factory):
    """A file of the golden network's weights, by today's names and by those of old."""
    module = models.create("faster_rcnn", num_classes=4, **FIELDS)
    now, named = rules_of(module), rules_of(module, request.param)
    by_ours = {rule.ours: seeded.weight(name, shape) for name, (rule, shape) in now.items()}
    path = tmp_path_factory.mktemp("weights") / "it.safetensors"
    tensors.write(path, {name: by_ours[rule.ours] for name, (rule, _) in named.items()})
    return path


@pytest.fixture(scope="module")
def loaded(tmp_path_factory):
    module = models.create("faster_rcnn", num_classes=4, **FIELDS)
    path = tmp_path_factory.mktemp("weights") / "now.safetensors"
    tensors.write(path, {k: seeded.weight(k, shape) for k, (_, shape) in rules_of(module).items()})
    return pretrained.load(path, "faster_rcnn", **FIELDS)


def objects(room: int) -> Objects:
    """Those of the golden file, with padding of NaN and of impossible classes."""
    boxes = np.full((3, room, 4), np.nan, np.float32)
    classes, present = np.full((3, room), -7), np.zeros((3, room), bool)
    for i, (own, labels) in enumerate(zip(BOXES, CLASSES, strict=True)):
        boxes[i, : len(own)] = np.reshape(own, (-1, 4))
        classes[i, : len(own)], present[i, : len(own)] = labels, True
    return Objects(*map(jnp.asarray, (boxes, classes, present)))


@pytest.mark.slow(*OWN, "jaxdl/pretrained/")
def test_parameters_and_names_are_torchvisions(golden):
    module = models.create("faster_rcnn")
    named = {name: shape for name, (_, shape) in rules_of(module).items()}
    lines = [f"{name} {tuple(shape)}" for name, shape in sorted(named.items())]
    digest = hashlib.sha256("\n".join(lines).encode()).hexdigest()
    shapes = catalog.of(module).shapes(module)
    count = sum(int(np.prod(s)) for k, s in shapes.items() if not k.startswith("batch_stats/"))
    assert [digest, str(count)] == list(golden["names"])
    assert count == 41_755_286


@pytest.mark.slow(*OWN)
def test_boxes_and_scores_are_torchvisions(loaded, golden, images):
    module, variables = loaded
    assert module.num_classes == 4
    found = jax.jit(module.apply)(variables, images)
    for i in range(3):
        count = len(golden[f"{i}/scores"])
        assert count > 5
        np.testing.assert_allclose(found["scores"][i, :count], golden[f"{i}/scores"], atol=1e-4)
        np.testing.assert_array_equal(found["classes"][i, :count] + 1, golden[f"{i}/labels"])
        np.testing.assert_allclose(found["boxes"][i, :count], golden[f"{i}/boxes"], atol=1e-3)
        assert not np.any(found["scores"][i, count:])
        assert not np.any(found["boxes"][i, count:])


@pytest.mark.slow(*OWN)
def test_losses_and_gradients_are_torchvisions(loaded, golden, images):
    module, variables = loaded
    rest = {k: x for k, x in variables.items() if k != "params"}

    def total(params, objects):
        choose = functools.partial(losses.choose, objects, None, size=48)
        outputs = module.apply({"params": params, **rest}, images, train=True, choose=choose)
        found = losses.stage_losses(outputs, objects, None, size=32)
        means = {name: x.mean() for name, x in found.items()}
        return sum(means.values()), means

    compiled = jax.jit(jax.grad(total, has_aux=True))
    gradients, found = compiled(variables["params"], objects(4))
    theirs = dict(objectness="objectness", proposals="rpn_box_reg", classes="classifier")
    theirs["box"] = "box_reg"
    for ours, name in theirs.items():
        np.testing.assert_allclose(found[ours], golden[f"loss/loss_{name}"], rtol=1e-4, atol=1e-4)
    flat = catalog.of(module).flatten(module, {"params": gradients, **rest})
    for name, (rule, _) in rules_of(module).items():
        if f"gradient/{name}" in golden:
            expected = golden[f"gradient/{name}"]
            made = seeded.summary(name, rule.to_theirs([flat[ours] for ours in rule.ours]))
            np.testing.assert_allclose(made, expected, atol=2e-4 * expected[0] + 1e-6, err_msg=name)
    # Fewer objects, or none, are the same program.
    none = objects(4)._replace(present=jnp.zeros((3, 4), bool))
    gradients, found = compiled(variables["params"], none)
    assert compiled._cache_size() == 1
    assert found["box"] == found["proposals"] == 0
    assert all(np.isfinite(g).all() for g in jax.tree.leaves(gradients))


@pytest.mark.slow(*OWN, "jaxdl/pretrained/")
def test_files_are_read_by_names_of_today_and_of_old_and_written_back(file, loaded, tmp_path):
    module, variables = pretrained.load(file, "fasterrcnn_resnet50_fpn", **FIELDS)
    assert module.num_classes == 4
    assert module.norm_epsilon == 0  # of the weights that torchvision calls so
    assert jax.tree.all(jax.tree.map(np.array_equal, variables, loaded[1]))
    pretrained.save(module, variables, tmp_path / "it.safetensors")
    with tensors.opened(tmp_path / "it.safetensors") as written:
        assert set(written.names) == set(rules_of(module))
    other, drawn = pretrained.load(file, "faster_rcnn", 2, **FIELDS)
    assert other.num_classes == 2
    assert drawn["params"]["head_box"]["bias"].shape == (12,)
    same = functools.partial(np.testing.assert_array_equal, drawn["params"]["dense_1"]["kernel"])
    same(variables["params"]["dense_1"]["kernel"])


@pytest.mark.slow(*OWN, "jaxdl/pretrained/")
def test_a_backbone_that_torchvision_has_no_names_for_is_one_line(tmp_path):
    fields = dict(backbone="coatnet_0", num_classes=2, width=8, hidden=8)
    module = models.create("faster_rcnn", **fields)
    shapes = jax.eval_shape(module.init, keys.abstract(), jnp.zeros((1, 32, 32, 3)))
    hollow = jax.tree.map(lambda x: np.broadcast_to(np.float32(0), x.shape), shapes)
    with pytest.raises(UserError, match="'coatnet_0' has no names of torchvision's"):
        pretrained.save(module, hollow, tmp_path / "x.safetensors")


# What is learned from


def overlap(a, b):
    """Of two boxes, in float64."""
    sides = [min(a[i + 2], b[i + 2]) - max(a[i], b[i]) for i in range(2)]
    shared = max(sides[0], 0) * max(sides[1], 0)
    area = lambda box: (box[2] - box[0]) * (box[3] - box[1])
    return shared / (area(a) + area(b) - shared)


def test_boxes_answer_as_in_a_loop_over_them():
    rng = np.random.default_rng(0)
    corner = rng.uniform(0, 60, (1, 80, 2))
    boxes = np.concatenate([corner, corner + rng.uniform(4, 30, (1, 80, 2))], -1)
    true = np.array([[(10, 10, 40, 45), (30, 25, 36, 40), (200, 200, 201, 201), (0, 0, 1e4, 1e4)]])
    present = jnp.array([[True, True, True, False]])
    there = Objects(jnp.float32(true), jnp.zeros((1, 4), int), present)
    found = matching.match(jnp.float32(boxes), there, 0.5, 0.3, each_object=True)
    table = np.array([[overlap(a, b) for b in true[0, :3]] for a in boxes[0]])
    best = table.max(1)
    positive = best >= 0.5
    for j in range(2):  # nothing overlaps the third
        positive |= table[:, j] == table[:, j].max()
    np.testing.assert_array_equal(found.positive[0], positive)
    np.testing.assert_array_equal(found.negative[0], (best < 0.3) & ~positive)
    assert positive.sum() > (best >= 0.5).sum() > 0  # both rules are at work
    np.testing.assert_array_equal(found.index[0][best > 0], table.argmax(1)[best > 0])
    none = there._replace(present=jnp.zeros((1, 4), bool))
    found = matching.match(jnp.float32(boxes[0]), none, 0.5, 0.3, each_object=True)
    assert found.negative.all()
    assert not found.positive.any()


@pytest.mark.parametrize(
    "positives, negatives, wanted",
    [
        (40, 50, 8),
        pytest.param(3, 50, 3, marks=pytest.mark.slow("jaxdl/losses/")),
        pytest.param(40, 5, 8, marks=pytest.mark.slow("jaxdl/losses/")),
    ],
)
def test_a_sample_is_balanced_as_far_as_there_are_boxes(positives, negatives, wanted):
    kind = np.zeros((2, 100), int)
    kind[:, :positives], kind[:, positives : positives + negatives] = 1, -1
    rng = np.random.default_rng(1)
    kind = jnp.asarray(np.stack([rng.permutation(row) for row in kind]))
    draw = jax.jit(lambda key: matching.sample(key, kind > 0, kind < 0, 32, 0.25))
    counts = np.zeros((2, 100))
    for i in range(200):
        found = draw(jax.random.fold_in(keys.root(0), i))
        if not i:
            assert found.positive.sum(1).tolist() == [wanted] * 2
            assert found.taken.sum(1).tolist() == [wanted + min(32 - wanted, negatives)] * 2
            of = np.take_along_axis(np.asarray(kind), np.asarray(found.index), 1)
            np.testing.assert_array_equal(found.positive, (of == 1) & found.taken)
            assert (of[found.taken] != 0).all()
        for row in range(2):
            taken = np.asarray(found.index[row])[np.asarray(found.taken[row])]
            assert len(set(taken.tolist())) == len(taken)
            counts[row, taken] += 1
    # Each is as likely as another: 200 draws of wanted / positives.
    share = counts[np.asarray(kind) > 0] / 200
    expected = wanted / positives
    assert abs(share - expected).max() <= 4.5 * np.sqrt(expected * (1 - expected) / 200)
    first = matching.sample(None, kind > 0, kind < 0, 32, 0.25)
    for row in range(2):
        np.testing.assert_array_equal(
            first.index[row, :wanted], np.flatnonzero(np.asarray(kind[row]) > 0)[:wanted]
        )


def test_an_error_counts_in_squares_and_then_linearly():
    errors = np.array([[0.05, -0.1, 0.0, 1 / 9], [2, -3, 0.2, 0.0]])
    small = lambda e: e * e * 4.5 if abs(e) < 1 / 9 else abs(e) - 1 / 18
    wanted = [sum(map(small, row)) for row in errors]
    np.testing.assert_allclose(losses.smooth(jnp.float32(errors)), wanted, rtol=1e-6)


# The network


TINY = dict(
    backbone="resnet", backbone_fields=("stem=small", "width=4", "stages=(1,1,1)"), strides=(2, 4),
    width=4, hidden=8, sizes=((8,), (16,), (24,)), num_classes=2, regions=(24, 12),
    region_candidates=(40, 20), region_size=3, detections=5, mean=(0.5,), std=(0.25,),
)  # fmt: skip


def made(side=30, **fields):
    module = models.create("faster_rcnn", **{**TINY, **fields})
    x = jnp.asarray(seeded.normal("x", (2, side, side, 1)), jnp.float32)
    return module, x, jax.jit(module.init)(keys.root(0), x)


@pytest.mark.slow(*OWN)
def test_frozen_norms_are_no_parameters_and_change_nothing_in_training():
    module, x, variables = made()
    assert "norm" not in variables["params"]["backbone"]["stem"]
    frozen = variables["batch_stats"]["backbone"]["stem"]["norm"]
    assert {k: v.shape for k, v in frozen.items()} == dict.fromkeys(
        ("scale", "bias", "mean", "var"), (4,)
    )
    run = jax.jit(functools.partial(module.apply, train=True, mutable=["batch_stats"]))
    _, after = run(variables, x)
    assert jax.tree.all(
        jax.tree.map(np.array_equal, after["batch_stats"], variables["batch_stats"])
    )
    free, _, others = made(frozen_norms=False)
    assert {*others["params"]["backbone"]["stem"]["norm"]} == {"scale", "bias"}
    _, after = free.apply(others, x, train=True, mutable=["batch_stats"])
    moved = after["batch_stats"]["backbone"]["stem"]["norm"]["mean"]
    assert not np.array_equal(moved, others["batch_stats"]["backbone"]["stem"]["norm"]["mean"])


@pytest.mark.slow(*OWN)
def test_what_is_found_is_of_one_size_within_the_image_and_best_first():
    module, x, variables = made(least_score=0.0)
    found = jax.jit(module.apply)(variables, x)
    assert {k: (v.shape, v.dtype) for k, v in found.items()} == {
        "boxes": ((2, 5, 4), jnp.float32),
        "scores": ((2, 5), jnp.float32),
        "classes": ((2, 5), jnp.int32),
    }
    assert found["boxes"].min() >= 0
    assert found["boxes"].max() <= 30  # and not the 32 that it is filled up to
    assert (np.diff(found["scores"]) <= 0).all()
    assert (found["scores"] > 0).all()
    nothing = jax.jit(module.copy(least_score=0.99).apply)(variables, x)
    assert not any(np.any(v) for v in nothing.values())


@pytest.mark.parametrize(
    "fields, message",
    [
        (dict(strides=(4, 2)), r"config.model.strides=\(4, 2\) must be ascending powers of 2"),
        (dict(strides=(2, 16)), "gives maps of strides 1, 2, 4, and config.model.strides asks"),
        (dict(extra=0), "must be one tuple for each of the 2 maps"),
        (dict(sizes=((8,), (16,), (24, 30))), "as many sizes for each map"),
        (dict(ratios=(1.0, 0.0)), "must be positive"),
        (dict(mean=(0.5, 0.5)), "must be one number for each of the images' 1 channels"),
        (dict(hidden=0), "config.model.hidden=0 must be at least 1"),
        (dict(backbone="mlp", backbone_fields=()), "'mlp' gives no maps"),
        (dict(backbone="vit", backbone_fields=()), "gives no? maps|gives maps of strides"),
    ],
)
def test_fields_that_do_not_fit_are_one_line(fields, message):
    module = models.create("faster_rcnn", **{**TINY, **fields})
    with pytest.raises(UserError, match=message) as caught:
        jax.eval_shape(module.init, keys.abstract(), jnp.zeros((1, 32, 32, 1)))
    assert "\n" not in str(caught.value)


# The task

SMALL = ("--config.data.scales=(1.,2.)", "--config.data.most=3", "--config.parallel.data=1")
TASK = ("jaxdl/tasks/detection.py", "jaxdl/tasks/shared/", "jaxdl/tasks/learner.py", *OWN)


def test_settings_of_the_other_kind_are_refused():
    for name, flag, wrong in (
        ("faster_rcnn", "--config.task.box_loss=ciou", "task.box_loss='ciou': model 'faster_rcnn'"),
        ("faster_rcnn", "--config.task.ignore=.4", "task.ignore=0.4: model 'faster_rcnn' has no"),
        ("yolo", "--config.task.regions_learned=9", "task.regions_learned=9: model 'yolov3' has"),
        ("faster_rcnn", "--config.task.regions_learned=0", "regions_learned=0 must be at least 1"),
    ):
        with pytest.raises(UserError) as error:
            built(name, *tiny.FLAGS[name], flag)
        assert wrong in str(error.value)
        assert "\n" not in str(error.value)


@pytest.mark.slow(*TASK)
def test_it_learns_by_one_program_whatever_is_in_the_pictures():
    one = built(
        "faster_rcnn", *tiny.FLAGS["faster_rcnn"], *SMALL, "--config.optimizer.learning_rate=.01",
        "--config.optimizer.schedule=constant",
    )  # fmt: skip
    state, batch = one.init_state(), one.batch(0)
    step, losses_of = jax.jit(one.task.train_step), []
    for i in range(25):
        state, made = step(state, batch, jax.random.fold_in(one.key, i))
        losses_of.append(metrics.divide(made)["loss"])
    assert np.mean(losses_of[-3:]) < 0.7 * losses_of[0]
    parts = ("box", "classes", "objectness", "proposals")
    total = sum(float(made[name].total) for name in parts)
    np.testing.assert_allclose(total, float(made["loss"].total), rtol=1e-5)
    programs = step._cache_size()
    for room in (1, 0):
        fewer = {**batch, "present": batch["present"] & (np.arange(3) < room)}
        _, made = step(state, fewer, jax.random.fold_in(one.key, 1))
        assert np.isfinite(float(made["loss"].total))
    assert step._cache_size() == programs
    found = jax.jit(one.task.predict)(state, batch["image"])
    assert found["boxes"].shape == (len(batch["image"]), 8, 4)


@pytest.mark.slow(*TASK, "jaxdl/pretrained/")
def test_a_backbone_is_the_classifiers_frozen_and_then_not(tmp_path):
    fields = dict(stages=(1, 1), width=4, stem="small")
    module = models.create("resnet18", num_classes=5, **fields)
    variables = weights.write(module, 16, tmp_path / "it.safetensors")
    flags = (
        *(*tiny.FLAGS["faster_rcnn:resnet50"], *SMALL, "--config.model.backbone=resnet18"),
        f"--config.pretrained.source={tmp_path / 'it.safetensors'}",
        *("--config.optimizer.schedule_unit=steps", "--config.optimizer.schedule=constant"),
        *("--config.optimizer.unfreeze=1", "--config.optimizer.warmup=0"),
    )
    one = built("faster_rcnn:resnet50", *flags)
    states = [one.init_state()]
    step = jax.jit(one.task.train_step)
    for i in range(2):
        states.append(step(states[-1], one.batch(i), one.key)[0])
    stem = lambda state: state.params["backbone"]["stem"]["conv"]["kernel"]
    own = variables["params"]["stem"]
    np.testing.assert_array_equal(stem(states[0]), own["conv"]["kernel"])
    np.testing.assert_array_equal(stem(states[1]), own["conv"]["kernel"])
    assert not np.array_equal(stem(states[2]), own["conv"]["kernel"])
    heads = [state.params["head_class"]["kernel"] for state in states]
    assert not np.array_equal(heads[0], heads[1])
    wanted = {**own["norm"], **variables["batch_stats"]["stem"]["norm"]}
    for state in states:  # the norms are frozen for good
        norm = state.model_state["batch_stats"]["backbone"]["stem"]["norm"]
        assert jax.tree.all(jax.tree.map(np.array_equal, dict(norm), wanted))


@pytest.mark.slow(*TASK, "jaxdl/pretrained/", "jaxdl/runs/")
def test_a_backbone_is_that_of_a_run_which_learned_to_classify(tmp_path):
    folder = tmp_path / "classifier"
    assert run("resnet", folder, *tiny.FLAGS["resnet"], "--config.model.width=4") == 0
    own = transfer.weights_of_run(epath.Path(folder), defaults.default(), "")
    one = built(
        "faster_rcnn", *tiny.FLAGS["faster_rcnn"], *SMALL, f"--config.pretrained.source={folder}",
        "--config.optimizer.schedule_unit=steps", "--config.optimizer.schedule=constant",
        "--config.optimizer.unfreeze=1", "--config.optimizer.warmup=0",
    )  # fmt: skip
    states = [one.init_state()]
    step = jax.jit(one.task.train_step)
    for i in range(2):
        states.append(step(states[-1], one.batch(i), one.key)[0])
    same = [
        {
            name: np.array_equal(x, own[name])
            for name, x in by_name({
                "params": state.params["backbone"],
                "batch_stats": state.model_state["batch_stats"]["backbone"],
            }).items()
        }
        for state in states
    ]  # fmt: skip
    assert len(same[0]) > 10
    assert all(same[0].values())
    assert all(same[1].values())  # its statistics too
    assert not any(value for name, value in same[2].items() if name.endswith("kernel"))
    heads = [state.params["head_class"]["kernel"] for state in states]
    assert not np.array_equal(heads[0], heads[1])


WHOLE = (*TASK, "jaxdl/runs/", "jaxdl/parallel/", "jaxdl/inference/", "jaxdl/experiment/")


@pytest.mark.slow(*WHOLE)
def test_a_run_that_was_cut_ends_like_one_that_was_not_and_is_exported(tmp_path):
    flags = (*tiny.FLAGS["faster_rcnn"], *SMALL[:2], "--config.checkpoint.every=4")
    assert_resumes_to_the_bit("faster_rcnn", tmp_path, *flags, "--config.eval.every=4", at=8)
    folder = tmp_path / "whole"
    assert {"loss", "map50", "proposals"} < set(figures(folder, "eval")[-1])
    assert launch.main(["--mode=export", f"--workdir={folder}"]) == 0
    image = np.random.default_rng(0).integers(0, 256, (1, 32, 32, 1), np.uint8)
    program = (folder / "export" / "model.jaxexport").read_bytes()
    found = jax.export.deserialize(bytearray(program)).call(image)
    assert found["boxes"].shape == (1, 8, 4)
    assert (np.diff(found["scores"]) <= 0).all()


@pytest.mark.slow(*WHOLE)
def test_eight_devices_learn_and_score_as_one_does_and_members_each_their_own(tmp_path):
    found = []
    for devices in (1, 8):
        flags = (*tiny.FLAGS["faster_rcnn"], *SMALL[:2], f"--config.parallel.data={devices}")
        one = built("faster_rcnn", *flags)
        state, step = one.init_state(), jax.jit(one.task.train_step)
        with jax.set_mesh(one.layout.mesh):
            for i in range(2):
                batch = jax.tree.map(lambda x: x[0], one.stacked([i]))
                state, made = step(state, batch, one.key)
        scores = one.task.score(state, one.run.data.test, one.key)
        found.append({**metrics.divide(jax.device_get(made)), **scores})
    assert found[1] == pytest.approx(found[0], rel=2e-3, abs=1e-3)
    members = ("--config.population=2", "--config.steps=4", "--config.eval.every=2")
    assert run("faster_rcnn", tmp_path, *tiny.FLAGS["faster_rcnn"], *SMALL[:2], *members) == 0
    assert len(figures(tmp_path, "eval")[-1]["map50"]) == 2


@pytest.mark.slow(*TASK, "jaxdl/pretrained/")
def test_a_run_begins_with_a_published_detector_and_new_heads(loaded, images, tmp_path):
    module, variables = loaded
    pretrained.save(module, variables, tmp_path / "it.safetensors")
    fields = {
        k: v for k, v in FIELDS.items() if k in ("width", "hidden", "region_side", "backbone")
    }
    flags = (
        *(f"--config.model.{k}={v}" for k, v in fields.items()),
        "--config.model.backbone_fields=('stages=(1,1,1,1)','width=8','bottleneck=True')",
        "--config.model.sizes=((12.,),(24.,),(48.,),(72.,),(100.,))",
        *("--config.model.strides=(4,8,16,32)", "--config.model.region_size=7"),
        f"--config.pretrained.source={tmp_path / 'it.safetensors'}",
        "--config.pretrained.model=fasterrcnn_resnet50_fpn",
        *("--config.data.image_size=64", "--config.data.examples=16"),
        *("--config.data.test_examples=8", "--config.batch_size=2", *SMALL),
    )
    with pytest.raises(UserError, match=r"norm_epsilon=1e-05 must be 0.0, as pretrained.model="):
        built("faster_rcnn:resnet50", *flags)
    one = built("faster_rcnn:resnet50", *flags, "--config.model.norm_epsilon=0.")
    state = one.init_state()
    kept = {k: v for k, v in variables["params"].items() if not k.startswith("head")}
    for name, value in kept.items():
        same = jax.tree.map(np.array_equal, state.params[name], value)
        assert jax.tree.all(same), name
    assert state.params["head_class"]["bias"].shape == (11,)
    # It standardises images itself.
    x = jnp.asarray(images[:, :64, :64])
    found = jax.jit(one.task.predict)(state, x)
    fields = {k: v for k, v in one.config.model.items() if k != "name"}
    wanted = models.create("faster_rcnn", **fields, num_classes=10)
    assert wanted.mean[0] == 0.485
    expected = jax.jit(wanted.apply)({"params": state.params, **state.model_state}, x)
    np.testing.assert_allclose(found["scores"], expected["scores"], atol=1e-5)
