"""Autoencoders: the model, the update, anomalies, pictures, and runs through the launcher."""

import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny
from launching import ROOT, figures, run, summary
from scipy.special import expit, rel_entr
from sklearn.decomposition import PCA

from benchmarks import anomaly
from jaxdl import config, data, experiment, keys, metrics, models
from jaxdl.errors import UserError
from jaxdl.launch import flags
from jaxdl.metrics import ranking
from jaxdl.parallel import replicas
from jaxdl.report import draw
from jaxdl.tasks.shared import latents
from jaxdl.train.evaluate import Evaluator

KEY = keys.root(0)
TINY = tiny.FLAGS["autoencoder"]
WHOLE = tiny.of_finished("autoencoder:sparse")


def small(**changed):
    """(experiment, state at its start) of a tiny autoencoder of digits."""
    made = config.default()
    made.steps, made.batch_size, made.parallel.data = 4, 24, 1
    made.model = dict(name="autoencoder", hidden=(16,), latent=3)
    made.task = dict(name="reconstruction")
    made.optimizer.update(name="sgd", learning_rate=1.0, schedule="constant")
    made.log.layers, made.eval.best = False, "loss"
    with made.ignore_type():
        made.update_from_flattened_dict(changed)
    built = experiment.create(made)
    return built, built.init_state()


def dense(x, layer):
    return x @ np.asarray(layer["kernel"], np.float64) + np.asarray(layer["bias"], np.float64)


def relu_layers(x, layers):
    """What `jaxdl.models.mlp` computes, in float64."""
    for name in sorted(set(layers) - {"head"}):
        x = np.maximum(dense(x, layers[name]), 0)
    return dense(x, layers["head"])


# The model


@pytest.mark.parametrize("code, output", [("identity", "sigmoid"), ("sigmoid", "identity")])
def test_autoencoder_is_its_layers_one_after_the_other(code, output):
    fields = dict(shape=(4, 3, 2), latent=5, hidden=(8, 6), code=code, output=output)
    module = models.create("autoencoder", **fields)
    x = np.random.default_rng(0).random((3, 4, 3, 2)).astype(np.float32)
    variables = module.init(KEY, x)
    assert variables["params"]["decoder"]["dense_0"]["kernel"].shape == (5, 6)
    last = {"identity": lambda x: x, "sigmoid": expit}
    params = variables["params"]
    inner = last[code](relu_layers(x.reshape(3, 24).astype(np.float64), params["encoder"]))
    outer = last[output](relu_layers(inner, params["decoder"])).reshape(x.shape)
    np.testing.assert_allclose(module.apply(variables, x, method="encode"), inner, atol=1e-5)
    np.testing.assert_allclose(module.apply(variables, x), outer, atol=1e-5)


def test_linear_autoencoder_can_be_principal_components():
    # With the components as weights it has their error: the figure of experiments/autoencoder.py
    # is then one of learning alone.
    built, state = small(**{"model.hidden": (), "model.latent": 4})
    flat = lambda split: split.arrays["image"].reshape(len(split), -1).astype(np.float64)
    pca = PCA(4).fit(flat(built.run.data.train))
    layer = lambda kernel, bias: {
        "head": {"kernel": jnp.asarray(kernel), "bias": jnp.asarray(bias)}
    }
    up, centre = pca.components_.astype(np.float32), pca.mean_.astype(np.float32)
    state = state._replace(
        params={"encoder": layer(up.T, -up @ centre), "decoder": layer(up, centre)}
    )
    test = flat(built.run.data.test)
    error = np.square(test - pca.inverse_transform(pca.transform(test))).mean()
    assert Evaluator(built)(state)["mse"] == pytest.approx(error, rel=1e-5)


# The update


def first(built, state, index=0):
    """(batch, metrics, state after it) of one update."""
    batch = built.layout.put(built.batch(index), built.config.batch_size)
    with jax.set_mesh(built.layout.mesh):
        after, found = jax.jit(built.task.train_step)(state, batch, KEY)
    return batch, metrics.divide(found), after


def test_noise_is_added_to_what_is_seen_and_not_to_what_is_wanted():
    built, state = small(**{"task.noise": 0.3})
    batch, found, _ = first(built, state)
    images = np.asarray(batch["image"], np.float64)
    noise = np.asarray(jax.random.normal(keys.named(KEY, "noise"), images.shape), np.float64)
    seen = (images + 0.3 * noise).reshape(24, -1)
    made = relu_layers(relu_layers(seen, state.params["encoder"]), state.params["decoder"])
    wanted = np.square(made - images.reshape(24, -1)).mean()
    assert found["loss"] == pytest.approx(wanted, rel=1e-5)
    assert found["mse"] == found["loss"]
    _, clean, _ = first(*small())
    assert clean["loss"] != found["loss"]


SPARSE = {"task.sparsity": 0.5, "task.rate": 0.2, "model.code": "sigmoid"}


def test_sparsity_is_of_the_batchs_mean_rates_and_only_learned_by():
    built, state = small(**SPARSE)
    batch, found, _ = first(built, state)
    images = np.asarray(batch["image"], np.float64).reshape(24, -1)
    code = expit(relu_layers(images, state.params["encoder"]))
    two = lambda p: np.stack([p, 1 - p])
    penalty = rel_entr(two(np.full(3, 0.2)), two(code.mean(axis=0))).sum()
    mse = np.square(relu_layers(code, state.params["decoder"]) - images).mean()
    assert found["mse"] == pytest.approx(mse, rel=1e-5)
    assert found["rate"] == pytest.approx(code.mean(), rel=1e-5)
    assert found["loss"] == pytest.approx(mse + 0.5 * penalty, rel=1e-5)
    measured = Evaluator(built)(state)
    assert measured["loss"] == measured["mse"]


def test_sparsity_brings_the_units_to_their_rate():
    changed = {**SPARSE, "task.sparsity": 10.0, "optimizer.learning_rate": 0.2}
    built, state = small(**changed)
    step = jax.jit(built.task.train_step)
    for i in range(60):
        state, found = step(state, built.batch(i), KEY)
    assert float(found["rate"].total / found["rate"].weight) == pytest.approx(0.2, abs=0.03)


def assert_same(one, other):
    """Both (batch, metrics, state) are the same but for rounding."""
    assert one[1] == {name: pytest.approx(value, rel=1e-5) for name, value in other[1].items()}
    for a, b in zip(*(jax.tree.leaves(found[2]) for found in (one, other)), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


def test_eight_devices_learn_what_one_does():
    changed = {**SPARSE, "task.noise": 0.3}
    assert_same(*(first(*small(**changed, **{"parallel.data": n})) for n in (1, 8)))


def test_eight_devices_evaluate_as_one_does():
    changed = {"task.noise": 0.3, "task.draws": 2, "data.anomaly": "7"}
    one, eight = (small(**changed, **{"parallel.data": n}) for n in (1, 8))
    a, b = (Evaluator(built)(state) for built, state in (one, eight))
    assert a == {name: pytest.approx(figure, rel=1e-5) for name, figure in b.items()}


def test_rates_under_pmap_are_those_of_all_devices():
    built, state = small(**SPARSE)
    one = jax.device_get(first(built, state))
    parts = jax.tree.map(lambda x: x.reshape(8, 3, *x.shape[1:]), one[0])
    with replicas.mapped_over("device"):
        mapped = jax.pmap(built.task.train_step, axis_name="device", in_axes=(None, 0, None))
        after, found = mapped(jax.device_get(state), parts, KEY)
    found = {name: float(m.total[0] / m.weight[0]) for name, m in found.items()}
    assert_same(one, (None, found, jax.tree.map(lambda x: x[0], after)))


def test_bf16_computes_in_bf16_over_float32_parameters():
    (_, a, _), (_, b, state) = (first(*small(precision=p)) for p in ("float32", "bf16"))
    assert all(x.dtype in (np.float32, np.int32) for x in jax.tree.leaves(state))
    assert a["loss"] != b["loss"]
    assert a["loss"] == pytest.approx(b["loss"], rel=0.02)


# Anomalies


def load(**changed):
    return data.load({**config.default().data.to_dict(), **changed})


@pytest.mark.parametrize("eval_on", ["test", "validation"])
def test_training_never_sees_the_anomaly_and_evaluation_keeps_it(eval_on):
    usual, found = load(eval_on=eval_on), load(eval_on=eval_on, anomaly="3")
    kept = usual.train.labels != 3
    for name in ("image", "label"):
        np.testing.assert_array_equal(found.train.arrays[name], usual.train.arrays[name][kept])
        np.testing.assert_array_equal(found.test.arrays[name], usual.test.arrays[name])
    assert (found.anomaly, usual.anomaly) == (3, None)
    assert found.class_names == usual.class_names
    np.testing.assert_allclose(found.mean, found.train.arrays["image"].mean(), rtol=1e-5)


def folder_of(tmp_path, labels, names=None):
    images = np.random.default_rng(0).integers(0, 256, (len(labels), 4, 4), np.uint8)
    file = tmp_path / "own.npz"
    np.savez(file, x_train=images, y_train=labels, x_test=images[:8], y_test=labels[:8])
    return dict(name="npz", path=str(file))


def test_anomaly_of_ones_own_images(tmp_path):
    found = load(**folder_of(tmp_path, np.arange(24) % 3), anomaly="1")
    assert np.bincount(found.train.labels).tolist() == [8, 0, 8]
    assert np.bincount(found.test.labels).tolist() == [3, 3, 2]


@pytest.mark.parametrize(
    "settings, labels, said",
    [
        (dict(anomaly="11"), None, "unknown class in data.anomaly '11'"),
        (dict(anomaly="three"), None, "unknown class in data.anomaly 'three'"),
        (dict(name="karate", anomaly="1"), None, "is for labelled images: data set 'karate'"),
        (dict(anomaly="0"), np.zeros(24, int), "leaves nothing to learn from"),
        (dict(anomaly="1"), np.arange(24) // 12, "0 of 8 evaluation examples are of this class"),
    ],
)
def test_anomaly_that_cannot_be_is_refused(settings, labels, said, tmp_path):
    own = folder_of(tmp_path, labels) if labels is not None else {}
    with pytest.raises(UserError) as caught:
        load(**own, **settings)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("draws", [1, 3])
def test_auroc_is_the_share_of_pairs_in_order(draws):
    built, state = small(**{"data.anomaly": "7", "task.noise": 0.2, "task.draws": draws})
    test, key = built.run.data.test, KEY
    found = built.task.score(state, test, key)
    noises = jax.random.split(jax.random.fold_in(keys.named(key, "score"), 0), draws)
    padded = np.minimum(np.arange(built.config.eval.batch_size), len(test) - 1)
    # By hand, in float64: the first batch alone, and the share of its pairs.
    images = test.take(padded)["image"].astype(np.float64)
    errors = []
    for noise in noises:
        drawn = np.asarray(jax.random.normal(keys.named(noise, "noise"), images.shape))
        seen = (images + 0.2 * drawn).reshape(len(images), -1)
        made = relu_layers(relu_layers(seen, state.params["encoder"]), state.params["decoder"])
        errors.append(np.square(made - images.reshape(len(images), -1)).mean(axis=1))
    errors, is_anomaly = np.mean(errors, axis=0), test.labels[padded] == 7
    part = test.subset(padded)
    pairs = errors[is_anomaly][:, None] - errors[~is_anomaly]
    wanted = (pairs > 0).mean() + (pairs == 0).mean() / 2
    assert built.task.score(state, part, key)["auroc"] == pytest.approx(wanted, abs=1e-3)
    assert found["auroc"] != found.get("mse")


def test_figures_leave_out_the_anomaly():
    built, state = small(**{"data.anomaly": "7"})
    test = built.run.data.test
    images = test.arrays["image"][test.labels != 7].reshape(-1, 64).astype(np.float64)
    made = relu_layers(relu_layers(images, state.params["encoder"]), state.params["decoder"])
    found = Evaluator(built)(state)
    assert found["mse"] == pytest.approx(np.square(made - images).mean(), rel=1e-5)
    assert 0 <= found["auroc"] <= 1
    assert "auroc" not in Evaluator(small()[0])(state)


def test_equal_scores_count_half():
    anomalies = np.array([1, 1, 0, 0, 2]) == 1
    assert ranking.auroc(np.array([3.0, 3, 1, 2, 0]), anomalies) == 1
    assert ranking.auroc(np.array([0.0, 0, 1, 2, 3]), anomalies) == 0
    assert ranking.auroc(np.ones(5), anomalies) == 0.5


def test_benchmark_leaves_each_class_out_in_turn(tmp_path, capsys, monkeypatch):
    ran = []

    def launched(argv):
        options = flags.parse(argv)
        digit = int(options.config.data.anomaly)
        ran.append((digit, options.config.steps))
        folder = Path(options.workdir)
        folder.mkdir(parents=True)
        (folder / "summary.json").write_text(json.dumps({"final": {"auroc": digit / 10}}))
        return 3 if options.config.seed == digit == 4 else 0

    monkeypatch.setattr(anomaly.launch, "main", launched)
    own = [f"--config={ROOT / 'experiments' / 'autoencoder.py'}:anomaly", "--config.steps=5"]
    assert anomaly.main([*own, f"--workdir={tmp_path / 'a'}"]) == 0
    assert ran == [(digit, 5) for digit in range(10)]
    found = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert found == [*([str(i), f"0.{i}00"] for i in range(10)), ["mean", "0.450"]]
    assert anomaly.main([*own, f"--workdir={tmp_path / 'b'}", "--config.seed=4"]) == 3
    assert len(ran) == 15  # what comes behind the run that failed was not begun
    assert anomaly.main(own) == 2
    assert "--workdir is missing" in capsys.readouterr().err


# Pictures


@pytest.fixture
def drawn(monkeypatch):
    """What pictures were asked for, by the function that draws them."""
    asked = {}
    for name in ("image_grid", "scatter"):
        keep = lambda *args, name=name, **kwargs: asked.setdefault(name, (args, kwargs))
        monkeypatch.setattr(draw, name, keep)
    return asked


def test_strips_lead_from_one_image_to_one_of_another_class(drawn):
    digits = load(anomaly="0")
    flat = lambda images: np.asarray(images).reshape(len(images), -1)
    images = digits.test.arrays["image"]
    # The code is the image: what lies between is the mean of the two, by their shares.
    latents.interpolations(
        flat(images), lambda codes: codes.reshape(-1, 8, 8, 1), digits.test, digits
    )
    (strips, captions), sizes = drawn["image_grid"][0][:2], drawn["image_grid"][1]
    strips = strips.reshape(-1, sizes["columns"], 8, 8, 1)
    assert captions[: sizes["columns"]][1:-1] == [
        f"{s:.0%}" for s in np.linspace(0, 1, sizes["columns"] - 2)
    ]
    label_of = lambda image: digits.test.labels[np.square(images - image).sum((1, 2, 3)).argmin()]
    for strip in strips:
        start, *between, stop = strip
        for share, image in zip(np.linspace(0, 1, len(between)), between, strict=True):
            np.testing.assert_allclose(image, (1 - share) * start + share * stop, atol=1e-6)
        assert label_of(start) != label_of(stop)
        assert 0 not in (label_of(start), label_of(stop))


@pytest.mark.parametrize("dimensions", [1, 2, 5])
def test_plane_is_that_of_the_first_two_components(dimensions, drawn):
    codes = np.random.default_rng(0).normal(size=(50, dimensions)) * np.arange(1, dimensions + 1)
    labels = np.arange(50) % 10
    latents.plane(codes, labels, load())
    points = drawn["scatter"][0][0]
    if dimensions == 5:
        wanted = PCA(2).fit_transform(codes)
        np.testing.assert_allclose(np.abs(points), np.abs(wanted), atol=1e-9)
        share = PCA(2).fit(codes).explained_variance_ratio_.sum()
        assert f"{share:.0%} of their variance" in drawn["scatter"][0][3]
    else:
        np.testing.assert_array_equal(points[:, :dimensions], codes)
    np.testing.assert_array_equal(drawn["scatter"][0][1], labels)


def test_most_anomalous_come_first(drawn):
    digits = load(anomaly="4")
    scores = np.arange(len(digits.test)) * 1.0
    latents.most_anomalous(scores, "number", digits.test, digits)
    images, captions, caption = drawn["image_grid"][0]
    np.testing.assert_array_equal(images, digits.test.arrays["image"][::-1][:16])
    assert captions[0] == f"{digits.test.labels[-1]}  {len(digits.test) - 1:.3g}"
    among = (digits.test.labels[-16:] == 4).sum()
    assert f"{among} of these 16 are of the class that was not learned from, 4" in caption


# Bad input


REFUSED = {
    "--config.model.latent=0": "latent=0",
    "--config.model.hidden=(0,)": "hidden=(0,)",
    "--config.model.code=sigmod": "did you mean 'sigmoid'",
    "--config.task.noise=-1": "config.task.noise=-1.0 must be at least 0",
    "--config.task.sparsity=-1": "config.task.sparsity=-1.0 must be at least 0",
    "--config.task.sparsity=1": "set config.model.code='sigmoid'",
    "--config.task.rate=0": "config.task.rate=0.0 must be above 0 and below 1",
    "--config.task.draws=0": "config.task.draws=0 must be at least 1",
    "--config.data.anomaly=10": "unknown class in data.anomaly '10'",
    "--config.data.name=none": "has none",
}


@pytest.mark.parametrize("argument", REFUSED)
def test_bad_setting_is_one_clear_line(argument, tmp_path, capsys):
    assert run("autoencoder", tmp_path / "run", *TINY, argument) == 2
    said = capsys.readouterr().err.strip()
    assert said.startswith("error: ")
    assert "\n" not in said
    assert REFUSED[argument] in said
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("name", ["mlp", "vae"])
def test_a_model_that_does_not_encode_and_decode_images_is_refused(name):
    with pytest.raises(UserError, match=f"such as 'autoencoder', not '{name}'"):
        small(**{"model": dict(name=name)})


def test_a_model_of_other_images_is_refused():
    with pytest.raises(UserError, match="shape=4x4x1 must be 8x8x1, as the images have it"):
        small(**{"model": dict(name="autoencoder", shape=(4, 4, 1))})


def test_unknown_variant_names_the_nearest(tmp_path, capsys):
    assert run("autoencoder:denoise", tmp_path / "run") == 2
    assert "did you mean 'denoising'" in capsys.readouterr().err


# Runs


def test_run_leaves_its_figures_and_pictures(finished):
    finished = finished("autoencoder:sparse")
    found = summary(finished)
    assert found["steps"] == 12
    assert found["final"]["loss"] == found["final"]["mse"]
    assert 0 <= found["final"]["auroc"] <= 1
    assert [line["step"] for line in figures(finished, "train")] == [3, 6, 9, 12]
    page = (finished / "report.html").read_text()
    for heading in ("Reconstructions", "Most anomalous", "Between two images", "Codes by class",
                    "Gradient flow"):  # fmt: skip
        assert f"<h2>{heading}</h2>" in page


def test_evaluate_mode_gives_the_figures_and_sample_mode_says_that_there_are_none(finished, capsys):
    finished = finished("autoencoder:sparse")
    capsys.readouterr()
    assert run("autoencoder:sparse", finished, *WHOLE, "--mode=evaluate") == 0
    said, best = capsys.readouterr().out, summary(finished)["best"]
    for name in ("mse", "auroc"):
        assert f"{name} {best[name]:.4f}" in said
    assert run("autoencoder:sparse", finished, *WHOLE, "--mode=sample") == 2
    said = capsys.readouterr().err.strip()
    assert said.startswith("error: ")
    assert "\n" not in said
