"""Runs that start from other weights: what is loaded, what is new, frozen phases, further heads."""

import json
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from launching import figures, leaves, run, summary
from PIL import Image

from jaxdl import config, experiment, keys, layers, models, pretrained
from jaxdl.errors import UserError
from jaxdl.experiment import use
from jaxdl.pretrained import transfer
from jaxdl.runs import checkpoint

FIELDS = dict(stages=(2,), channels=(8,), hidden=8, pooled=1)
MODEL = dict(name="vgg", batch_norm=True, order="conv_norm_act", dropout=0.3, **FIELDS)
SMALL = tuple(f"--config.model.{name}={value}" for name, value in FIELDS.items())
FEW = ("--config.data.repeat=4",)
RESNET = dict(stages=(1, 1), width=4, stem="small")


def state_of(workdir, step=None):
    state = checkpoint.restore(workdir, step)
    return jax.tree.map(np.asarray, {"params": state["params"], **state["model_state"]})


def start(made):
    """The variables that an experiment begins with."""
    found = jax.jit(made.task.init)(keys.named(made.key, "init"), made.batch(0))
    return jax.tree.map(np.asarray, found.variables)


def same(a, b):
    return jax.tree.all(jax.tree.map(lambda x, y: np.array_equal(x, y), a, b))


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """A run that has learned the digits 0 to 4."""
    folder = tmp_path_factory.mktemp("transfer") / "source"
    assert run("transfer:pretrain", folder, *SMALL, "--config.data.symmetries=1") == 0
    return folder


def settings(source="", **changed):
    made = config.default()
    made.model = dict(MODEL)
    made.steps, made.batch_size = 4, 16
    made.data.classes = (5, 6, 7)
    made.parallel.data = 1
    made.pretrained.source = str(source)
    with made.unlocked(), made.ignore_type():
        for key, value in changed.items():
            group, _, name = key.partition("__")
            if name:
                made[group][name] = value
            else:
                made[key] = value
    return experiment.complete(made)


# From an earlier run


def test_a_run_begins_with_the_best_of_an_earlier_one_and_a_new_head(source):
    best = state_of(source, checkpoint_of_best(source))
    found, other = (start(experiment.create(settings(source, seed=seed))) for seed in (0, 1))
    for collection in ("params", "batch_stats"):
        for name, expected in best[collection].items():
            if name != "head":
                assert same(found[collection][name], expected), name
    assert found["params"]["head"]["kernel"].shape == (8, 3)
    assert not same(found["params"]["head"], other["params"]["head"])  # drawn by the seed


def test_what_is_to_be_fresh_is_drawn_anew_and_the_rest_is_the_earlier_runs(source):
    best = state_of(source, checkpoint_of_best(source))["params"]
    own = dict(data__classes=(0, 1, 2, 3, 4), pretrained__fresh=("^dense_1/", "norm"))
    found, other = (start(experiment.create(settings(source, seed=seed, **own))) for seed in (0, 1))
    for name in ("dense_0", "head"):
        assert same(found["params"][name], best[name])
    for i in (0, 1):
        block = found["params"][f"block_0_{i}"]
        assert same(block["conv"], best[f"block_0_{i}"]["conv"])
        assert (block["norm"]["scale"] == 1).all()
        assert (found["batch_stats"][f"block_0_{i}"]["norm"]["mean"] == 0).all()
    assert not same(found["params"]["dense_1"], best["dense_1"])
    assert not same(found["params"]["dense_1"], other["params"]["dense_1"])


def test_a_head_of_the_same_classes_can_be_fresh_too(source):
    best = state_of(source, checkpoint_of_best(source))["params"]
    own = dict(data__classes=(0, 1, 2, 3, 4), pretrained__fresh=("^head/",))
    found = start(experiment.create(settings(source, **own)))["params"]
    assert not same(found["head"], best["head"])
    assert all(same(found[name], best[name]) for name in best if name != "head")


def checkpoint_of_best(workdir):
    return summary(workdir)["best"]["step"]


@pytest.mark.parametrize("classes, kept", [((0, 1, 2, 3, 4), True), ((4, 3, 2, 1, 0), False)])
def test_the_head_stays_where_the_classes_are_the_same(source, classes, kept):
    found = start(experiment.create(settings(source, data__classes=classes)))
    best = state_of(source, checkpoint_of_best(source))
    assert same(found["params"]["head"], best["params"]["head"]) is kept


def test_the_model_need_not_be_named_and_is_written_down(source):
    made = experiment.create(settings(source, model=dict(name="")))
    assert made.config.model.name == "vgg"
    assert made.config.model.channels == (8,)
    assert found_shapes(start(made)) == found_shapes(start(experiment.create(settings(source))))


def found_shapes(tree):
    return jax.tree.map(np.shape, tree)


def test_a_moving_average_is_what_is_taken(source, tmp_path):
    assert run("transfer:pretrain", tmp_path / "ema", *SMALL, "--config.ema=.9") == 0
    state = checkpoint.restore(tmp_path / "ema", checkpoint_of_best(tmp_path / "ema"))
    found = start(experiment.create(settings(tmp_path / "ema")))
    assert same(found["params"]["block_0_0"], state["average"][0]["block_0_0"])
    assert not same(found["params"]["block_0_0"], state["params"]["block_0_0"])


def test_members_of_a_population_begin_with_the_same_weights_and_heads_of_their_own(source):
    made = experiment.create(
        settings(source, population=2, sweep="model.dropout=0,.5; optimizer.layer_decay=.5,1")
    )
    found = start_of_members(made)
    best = state_of(source, checkpoint_of_best(source))
    kernel = found["params"]["block_0_0"]["conv"]["kernel"]
    assert kernel.shape[0] == 8
    for member in kernel:
        np.testing.assert_array_equal(member, best["params"]["block_0_0"]["conv"]["kernel"])
    heads = found["params"]["head"]["kernel"]
    assert not np.array_equal(heads[0], heads[1])
    np.testing.assert_array_equal(heads[0], heads[2])  # the same seed


def start_of_members(made):
    return jax.tree.map(np.asarray, made.init_state().own.variables)


def test_evaluating_and_going_on_need_no_source(source, tmp_path):
    copy = tmp_path / "source"
    shutil.copytree(source, copy)
    flags = (*SMALL, *FEW, f"--config.pretrained.source={copy}")
    assert run("transfer", tmp_path / "run", *flags) == 0
    before, line = leaves(tmp_path / "run"), figures(tmp_path / "run", "eval")[-1]
    shutil.rmtree(copy)
    assert run("transfer", tmp_path / "run", "--mode=evaluate") == 0
    again = figures(tmp_path / "run", "evaluate")[-1]
    assert {again["accuracy"]} <= {x["accuracy"] for x in figures(tmp_path / "run", "eval")}
    assert run("transfer", tmp_path / "run", *flags) == 0  # it has ended
    assert all(np.array_equal(a, b) for a, b in zip(before, leaves(tmp_path / "run"), strict=True))
    assert line["step"] == 12


@pytest.mark.parametrize(
    "changed, words",
    [
        (dict(model=dict(name="mlp")), ("config.model.name='mlp'", "'vgg'")),
        (dict(pretrained__model="resnet50"), ("pretrained.model='resnet50'", "by itself")),
        (
            dict(model={**MODEL, "channels": (9,)}),
            ("does not fit the model", "conv/kernel is (3, 3, 8, 8), should be (3, 3, 9, 9)"),
        ),
        (dict(pretrained__fresh=("dens_",)), ("pretrained.fresh: 'dens_' matches no", "dense_0")),
        (dict(pretrained__checkpoint_key="ema"), ("checkpoint_key='ema'", "one model")),
        (dict(pretrained__mean=(0.5,)), ("pretrained.mean and pretrained.std",)),
    ],
)
def test_what_does_not_fit_is_one_line(source, changed, words):
    with pytest.raises(UserError) as caught:
        experiment.create(settings(source, **changed))
    message = str(caught.value)
    assert "\n" not in message
    for word in words:
        assert word in message


def test_a_head_of_classes_that_were_called_otherwise_is_new(source, tmp_path):
    shutil.copytree(source, tmp_path / "source")
    file = tmp_path / "source" / "data.json"
    file.write_text(file.read_text().replace('"4"', '"four"'))
    best = state_of(source, checkpoint_of_best(source))["params"]["head"]
    for folder, kept in ((source, True), (tmp_path / "source", False)):
        found = start(experiment.create(settings(folder, data__classes=(0, 1, 2, 3, 4))))
        assert same(found["params"]["head"], best) is kept


# From a published checkpoint


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    """(a checkpoint of a small ResNet of five classes, its variables)."""
    module = models.create("resnet18", num_classes=5, **RESNET)
    variables = jax.jit(module.init)(keys.root(1), jnp.zeros((1, 16, 16, 3)))
    variables = jax.tree.map(lambda x: np.asarray(x) + np.float32(0.01), variables)
    path = tmp_path_factory.mktemp("published") / "small.safetensors"
    pretrained.save(module, variables, path)
    return path, jax.tree.map(np.asarray, variables)


def published(file, **changed):
    own = dict(model=dict(name="resnet18", **RESNET), data__image_size=16)
    return experiment.create(settings(file, **{**own, **changed}))


@pytest.mark.parametrize("classes, kept", [((1, 2, 3, 4, 5), True), ((1, 2, 3), False)])
def test_a_published_head_stays_where_the_number_of_classes_is_its_own(file, classes, kept):
    path, variables = file
    found = start(published(path, data__classes=classes))
    assert same(found["params"]["stem"], variables["params"]["stem"])
    assert same(found["batch_stats"], variables["batch_stats"])
    assert same(found["params"]["head"], variables["params"]["head"]) is kept


def test_images_are_standardised_as_published_and_grey_ones_have_all_colours(file):
    path, _ = file
    made = published(path)
    state = made.init_state()
    grey = made.batch(0)["image"]
    assert grey.shape == (16, 16, 16, 1)
    seen = (np.repeat(grey, 3, -1) - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    module = models.create("resnet18", num_classes=3, **RESNET)
    expected = jax.jit(module.apply)(state.variables, jnp.asarray(seen, jnp.float32))
    found = made.task.predict(state, grey)["logits"]
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


def test_a_folder_says_itself_how_images_are_standardised(tmp_path):
    (tmp_path / "preprocessor_config.json").write_text(
        '{"size": 16, "image_mean": [0.2, 0.4, 0.6], "image_std": 0.25}'
    )
    made = config.default()
    made.model = dict(name="vit")
    standardise = transfer.standardise_by(made, None, 3, False, tmp_path)
    found = standardise(np.ones((1, 2, 2, 3), np.float32))
    np.testing.assert_allclose(found[0, 0, 0], [3.2, 2.4, 1.6], rtol=1e-5)
    assert (made.pretrained.mean, made.pretrained.std) == ((0.2, 0.4, 0.6), (0.25,) * 3)


def test_images_are_standardised_as_published_when_the_file_is_gone(file, tmp_path):
    path, _ = file
    copy = tmp_path / path.name
    shutil.copy(path, copy)
    made = published(copy)
    images = np.random.default_rng(0).integers(0, 256, (2, 16, 16, 1), np.uint8)
    state = made.init_state()
    expected = made.task.predict(state, images)["logits"]
    copy.unlink()
    found = use.create(made.config, made.run.data).task.predict(state, images)["logits"]
    np.testing.assert_array_equal(found, expected)
    # Who goes on with it need not name the model either.
    again = settings(copy, model=dict(name="resnet18", **RESNET), data__image_size=16)
    assert made.config.pretrained.model == "resnet18"
    assert config.differences(config.flatten(made.config), config.flatten(again)) == []


def test_a_published_checkpoint_learns_a_folder_of_images(file, tmp_path):
    path, _ = file
    images = tmp_path / "images"
    rng = np.random.default_rng(0)
    for label, colour in (("blue", 2), ("red", 0)):
        (images / label).mkdir(parents=True)
        for i in range(20):
            pixels = rng.integers(0, 100, (20, 24, 3), np.uint8)
            pixels[..., colour] += 100
            Image.fromarray(pixels).save(images / label / f"{i}.png")
    flags = (
        *("--config.data.name=folder", f"--config.data.path={images}"),
        *("--config.data.image_size=16", "--config.data.classes=()"),
        *("--config.data.labels_per_class=0", "--config.pretrained.mean=()"),
        *("--config.pretrained.std=()", f"--config.pretrained.source={path}"),
    )
    model = "--config.pretrained.model=resnet18"
    file_of = tmp_path / "own.py"
    file_of.write_text(
        "from jaxdl import config\n"
        "def get_config():\n"
        "    c = config.default()\n"
        f"    c.model = dict(name='resnet18', **{RESNET!r})\n"
        "    c.optimizer.schedule_unit, c.optimizer.unfreeze = 'fraction', .5\n"
        "    c.optimizer.layer_decay, c.optimizer.learning_rate = .7, .03\n"
        "    return c\n"
    )
    assert run(str(file_of), tmp_path / "run", *flags, model) == 0
    assert figures(tmp_path / "run", "eval")[-1]["accuracy"] > 0.9
    stored = json.loads((tmp_path / "run" / "config.json").read_text())
    assert stored["pretrained.model"] == "resnet18"


# Frozen at first


def test_until_it_is_unfrozen_all_but_the_head_stays_to_the_bit(source, tmp_path):
    flags = (*SMALL, *FEW, f"--config.pretrained.source={source}", "--config.checkpoint.keep=9")
    often = ("--config.checkpoint.every=3", "--config.optimizer.unfreeze=.5")
    assert run("transfer", tmp_path / "run", *flags, *often) == 0
    best = state_of(source, checkpoint_of_best(source))
    found = {step: state_of(tmp_path / "run", step) for step in (6, 9)}
    for name in ("block_0_0", "block_0_1"):
        assert same(found[6]["params"][name], best["params"][name])
        assert not same(found[9]["params"][name], best["params"][name])
    assert same(found[6]["batch_stats"], best["batch_stats"])
    assert not same(found[9]["batch_stats"], best["batch_stats"])
    norms = [x["gradient_norm"] for x in figures(tmp_path / "run", "train")]
    assert np.isfinite(norms).all()


def test_a_frozen_phase_learns_the_head_of_the_network_as_it_is_evaluated(source):
    made = experiment.create(
        settings(
            source, optimizer__unfreeze=2.0, optimizer__schedule_unit="steps",
            optimizer__name="sgd", optimizer__schedule="constant",
        )
    )  # fmt: skip
    state, batch = made.init_state(), made.batch(0)
    after, _ = jax.jit(made.task.train_step)(state, batch, made.key)
    module = models.create(**MODEL, num_classes=3)
    seen = (batch["image"] - made.run.data.mean) / made.run.data.std

    def loss(head):
        variables = {**state.variables, "params": {**state.params, "head": head}}
        logits = module.apply(variables, seen)
        shares = jax.nn.log_softmax(logits)
        return -jnp.take_along_axis(shares, batch["label"][:, None], 1).mean()

    gradient = jax.grad(loss)(state.params["head"])
    for name in ("kernel", "bias"):
        np.testing.assert_allclose(
            after.params["head"][name],
            state.params["head"][name] - 1e-3 * gradient[name],
            rtol=1e-5,
            atol=1e-7,
        )


# Further heads


class WithAuxiliary(nn.Module):
    """Linear, with two more heads that are sown in training."""

    num_classes: int = 3
    dtype: object = jnp.float32

    @nn.compact
    def __call__(self, x, *, train=False):
        x = x.reshape(x.shape[0], -1)
        for i in range(2):
            logits = layers.Dense(self.num_classes, name=f"aux_{i}")(x)
            if train or self.is_initializing():
                self.sow("auxiliary", "logits", logits)
        return layers.Dense(self.num_classes, name="head")(x)


@pytest.mark.parametrize("weight", [0.3, 0.0])
def test_further_heads_add_their_weighted_losses_in_training_alone(weight, monkeypatch):
    monkeypatch.setitem(models._registry._entries, "with_auxiliary", WithAuxiliary)
    made = experiment.create(
        settings(
            model=dict(name="with_auxiliary"), task__auxiliary=weight, task__label_smoothing=0.1
        )
    )
    state, batch = made.init_state(), made.batch(0)
    assert state.model_state == {}
    assert set(state.params) == {"aux_0", "aux_1", "head"}
    after, found = made.task.train_step(state, batch, made.key)
    assert after.model_state == {}
    seen = (batch["image"] - made.run.data.mean) / made.run.data.std
    x = seen.reshape(len(seen), -1)

    def loss(name, smoothing):
        logits = x @ state.params[name]["kernel"] + state.params[name]["bias"]
        targets = jax.nn.one_hot(batch["label"], 3) * (1 - smoothing) + smoothing / 3
        return float(-(jax.nn.log_softmax(logits) * targets).sum(-1).mean())

    expected = loss("head", 0.1) + weight * (loss("aux_0", 0.1) + loss("aux_1", 0.1))
    assert float(found["loss"].total / found["loss"].weight) == pytest.approx(expected, rel=1e-5)
    figure = made.task.eval_step(state, batch, made.key)["loss"]
    assert float(figure.total / figure.weight) == pytest.approx(loss("head", 0.0), rel=1e-5)
    moved = any(
        not np.array_equal(after.params["aux_0"][k], x) for k, x in state.params["aux_0"].items()
    )
    assert moved is (weight > 0)
