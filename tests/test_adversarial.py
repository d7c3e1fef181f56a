"""Adversarial learning: losses, layers, measures, the update, and runs through the launcher."""

import functools
import io

import jax
import jax.numpy as jnp
import numeric
import numpy as np
import pytest
import tiny
from launching import figures, leaves, run, summary
from PIL import Image

from jaxdl import config, experiment, keys, layers, metrics, models, tasks
from jaxdl.errors import UserError
from jaxdl.losses import gan
from jaxdl.metrics import sample_quality

KEY = keys.root(0)
SMALL = tiny.FLAGS["dcgan"]
SGD = ("--config.optimizer.name=sgd", "--config.optimizer.b1=none", "--config.optimizer.b2=none")


# Losses


def by_hand(name, real, fake):
    """(discriminator's, generator's) from the papers' formulas, float64."""
    p = lambda x: 1 / (1 + np.exp(-x))
    return {
        "non_saturating": (-np.log(p(real)) - np.log(1 - p(fake)), -np.log(p(fake))),
        "wasserstein": (fake - real, -fake),
        "least_squares": ((real - 1) ** 2 / 2 + fake**2 / 2, (fake - 1) ** 2 / 2),
        "hinge": (np.maximum(0, 1 - real) + np.maximum(0, 1 + fake), -fake),
    }[name]


@pytest.mark.parametrize("name", gan.GAMES)
def test_losses_are_those_of_the_papers(name):
    rng = np.random.default_rng(0)
    real, fake = 3 * rng.normal(size=(2, 50))
    game, (theirs, own) = gan.GAMES[name], by_hand(name, real, fake)
    single = lambda x: jnp.asarray(x, jnp.float32)
    np.testing.assert_allclose(game.discriminator(single(real), single(fake)), theirs, rtol=1e-5)
    np.testing.assert_allclose(game.generator(single(fake)), own, rtol=1e-5)


@pytest.mark.parametrize("name", gan.GAMES)
def test_losses_and_gradients_are_finite_and_float32_for_any_logit(name):
    game, far = gan.GAMES[name], jnp.array([-3e4, -90.0, 0.0, 90.0, 3e4], jnp.bfloat16)
    for values in (game.discriminator(far, -far), game.generator(far)):
        assert values.dtype == jnp.float32
        assert np.isfinite(values).all()
    assert np.isfinite(jax.grad(lambda x: game.generator(x).sum())(far)).all()


def test_gradient_penalty_is_that_of_the_slopes_between():
    with jax.enable_x64(True):
        rng = np.random.default_rng(0)
        real, fake, w = rng.normal(size=(5, 3)), rng.normal(size=(5, 3)), rng.normal(size=(3, 4))
        critic = lambda x: jnp.tanh(x @ w).sum(-1)
        found = gan.gradient_penalty(critic, jnp.asarray(real), jnp.asarray(fake), KEY)
        share = np.asarray(jax.random.uniform(KEY, (5, 1), jnp.float64))
        between = share * real + (1 - share) * fake
        slopes = numeric.gradient(lambda x: float(critic(x).sum()), between)
        wanted = (np.linalg.norm(slopes, axis=1) - 1) ** 2
        np.testing.assert_allclose(found, wanted, rtol=1e-7)


def test_gradient_penaltys_own_gradient_is_right_through_the_network():
    # The penalty's gradient in the weights is one of a gradient: convolutions' second derivatives.
    module = models.create("dcgan_8", widths=(4, 3), normalization="none", initializer="he_normal")
    with jax.enable_x64(True):
        rng = np.random.default_rng(0)
        real, fake = (jnp.asarray(x) for x in rng.uniform(-1, 1, (2, 4, 8, 8, 1)))
        variables = module.init(KEY, real, method="discriminate")
        params = jax.tree.map(lambda x: jnp.asarray(x, jnp.float64), variables["params"])
        flat, rebuild = jax.flatten_util.ravel_pytree(params)

        @jax.jit
        def penalty(flat):
            wide = module.clone(dtype=jnp.float64)
            critic = lambda x: wide.apply({"params": rebuild(flat)}, x, method="discriminate")
            return gan.gradient_penalty(critic, real, fake, KEY).mean()

        gradient = np.asarray(jax.grad(penalty)(flat))
        for i in range(3):
            direction = np.random.default_rng(i).normal(size=flat.shape)
            along = numeric.gradient(
                lambda t, d=direction: float(penalty(flat + t * d)), np.zeros(())
            )
            np.testing.assert_allclose(gradient @ direction, along, rtol=1e-5)


def test_gradient_penalty_of_a_flat_critic_has_a_finite_gradient():
    x = jnp.ones((2, 3))
    penalty = lambda w: gan.gradient_penalty(lambda x: x @ w, x, x, KEY).sum()
    assert penalty(jnp.zeros(3)) == 2
    assert np.isfinite(jax.grad(penalty)(jnp.zeros(3))).all()


# Layers and models


@pytest.mark.parametrize("kind", ["conv", "dense"])
def test_spectral_norm_becomes_that_of_the_singular_values(kind):
    x = jax.random.normal(KEY, (2, 5, 5, 3))
    layer = layers.SpectralConv(7) if kind == "conv" else layers.SpectralDense(7)
    variables = layer.init(KEY, x)
    start = variables["spectral"]["u"]
    for _ in range(100):
        _, new = layer.apply(variables, x, train=True, mutable=["spectral"])
        variables = {**variables, **new}
    assert not np.allclose(start, variables["spectral"]["u"])
    kernel = np.asarray(variables["params"]["kernel"], np.float64)
    largest = np.linalg.svd(kernel.reshape(-1, 7), compute_uv=False)[0]
    plain = layers.Conv(7) if kind == "conv" else layers.Dense(7)
    params = {"params": {**variables["params"], "kernel": jnp.float32(kernel / largest)}}
    np.testing.assert_allclose(layer.apply(variables, x), plain.apply(params, x), atol=1e-5)


def test_spectral_norm_gradient_leaves_the_scale_alone():
    # A kernel and its double give the same result, so the gradient has no part along the kernel.
    x = jax.random.normal(KEY, (2, 5))
    layer = layers.SpectralDense(4)
    variables = layer.init(KEY, x)
    of = lambda kernel: (
        layer.apply({**variables, "params": {**variables["params"], "kernel": kernel}}, x) ** 2
    ).sum()
    kernel = variables["params"]["kernel"]
    gradient = jax.grad(of)(kernel)
    assert np.abs(gradient).max() > 0.1
    np.testing.assert_allclose((gradient * kernel).sum(), 0, atol=1e-4)


def test_transposed_convolution_spreads_each_pixel_by_the_kernel():
    x = np.random.default_rng(0).normal(size=(2, 3, 3, 2)).astype(np.float32)
    layer = layers.ConvTranspose(5)
    variables = layer.init(KEY, x)
    variables["params"]["bias"] = jnp.arange(5.0)
    kernel = np.asarray(variables["params"]["kernel"], np.float64)  # (4, 4, out, in)
    wide = np.zeros((2, 8, 8, 5))
    for i, j in np.ndindex(3, 3):
        wide[:, 2 * i : 2 * i + 4, 2 * j : 2 * j + 4] += np.einsum(
            "bc,yxfc->byxf", x[:, i, j], kernel
        )
    wanted = wide[:, 1:7, 1:7] + np.arange(5)
    np.testing.assert_allclose(layer.apply(variables, x), wanted, atol=1e-4)


def count(tree):
    return sum(x.size for x in jax.tree.leaves(tree["params"]))


def test_published_dcgan_has_its_parameters_and_shapes():
    module = models.create("dcgan_64")
    latent = jax.ShapeDtypeStruct((2, 100), jnp.float32)
    init = functools.partial(module.init_with_output, method="generate")
    images, generator = jax.eval_shape(init, KEY, latent)
    assert images.shape == (2, 64, 64, 3)
    assert count(generator) == 3_576_704
    init = functools.partial(module.init_with_output, method="discriminate")
    logits, discriminator = jax.eval_shape(init, KEY, images)
    assert logits.shape == (2,)
    assert count(discriminator) == 2_765_568
    assert set(generator["params"]) == {"generator"}
    assert set(discriminator["params"]) == {"discriminator"}


@pytest.mark.parametrize("normalization", ["batch", "layer", "spectral", "none"])
@pytest.mark.parametrize("name, size", [("dcgan_8", 8), ("dcgan_28", 28), ("dcgan_32", 32)])
def test_small_dcgan_makes_images_of_its_size(name, size, normalization):
    module = models.create(name, normalization=normalization)
    shape = jax.eval_shape(lambda: module.init_with_output(KEY, jnp.zeros((3, 16))))[0]
    assert shape.shape == (3,)
    images = jax.eval_shape(
        lambda: module.init_with_output(KEY, jnp.zeros((3, 16)), method="generate")[0]
    )
    assert images.shape[1:3] == (size, size)


@pytest.mark.parametrize("normalization", ["layer", "spectral", "none"])
def test_an_examples_logit_depends_on_no_other(normalization):
    module = models.create("dcgan_8", normalization=normalization, widths=(8, 4))
    images = jax.random.uniform(KEY, (4, 8, 8, 1))
    variables = module.init(KEY, images, method="discriminate")
    judge = lambda x: module.apply(variables, x, method="discriminate")
    np.testing.assert_allclose(judge(images)[:1], judge(images[:1]), atol=1e-6)


def test_a_discriminator_told_the_class_projects_what_it_sees_on_it():
    # Miyato and Koyama, 2018, equation 4: with each row of V a unit vector, what a label adds is
    # one of the last features φ; with any other V it is their product.
    module = models.create("dcgan_8", widths=(8, 4), num_classes=32, normalization="layer")
    images = jax.random.uniform(KEY, (32, 8, 8, 1))
    variables = module.init(KEY, images, jnp.zeros(32, jnp.int32), method="discriminate")
    params = variables["params"]["discriminator"]
    labels = jnp.arange(32)  # one for each of the 2 · 2 · 8 features

    @jax.jit
    def judged(kernel, images, labels):
        changed = {"discriminator": {**params, "classes": {"kernel": kernel}}}
        return module.apply({"params": changed}, images, labels, method="discriminate")

    one = images[:1].repeat(32, axis=0)
    plain = judged(jnp.zeros((32, 32)), images, labels)
    features = judged(jnp.eye(32), one, labels) - plain[0]
    assert np.abs(features).max() > 1e-3
    own = params["classes"]["kernel"]
    np.testing.assert_allclose(judged(own, one, labels) - plain[0], own @ features, atol=1e-5)
    plain_module = models.create("dcgan_8", widths=(8, 4), normalization="layer")
    rest = {"discriminator": {k: v for k, v in params.items() if k != "classes"}}
    unconditional = plain_module.apply({"params": rest}, images, method="discriminate")
    np.testing.assert_allclose(plain, unconditional, atol=1e-6)


# Measures


def cloud(seed, size=400, offset=0.0):
    return np.random.default_rng(seed).normal(size=(size, 2, 2)) + offset


def test_nearest_is_the_nearest():
    a, b = cloud(0, 7), cloud(1, 2100)
    distance, index = sample_quality.nearest(b, a)
    every = np.linalg.norm((b[:, None] - a[None]).reshape(2100, 7, -1), axis=-1)
    np.testing.assert_array_equal(index, every.argmin(1))
    np.testing.assert_allclose(distance, every.min(1))
    _, index = sample_quality.nearest(b, b, leave_out=True)
    assert (index != np.arange(2100)).all()


def test_two_samples_of_one_distribution_are_told_apart_by_chance():
    found = [sample_quality.two_sample_accuracy(cloud(2 * i), cloud(2 * i + 1)) for i in range(5)]
    assert np.mean(found) == pytest.approx(0.5, abs=0.03)


def test_two_sample_accuracy_grows_with_the_distance_and_falls_with_copying():
    accuracy = lambda offset: sample_quality.two_sample_accuracy(cloud(0), cloud(1, offset=offset))
    assert 0.6 < accuracy(1.0) < 0.95
    assert accuracy(20.0) == 1
    noise = 1e-3 * cloud(1)
    assert sample_quality.two_sample_accuracy(cloud(0) + noise, cloud(0)) < 0.05
    with pytest.raises(ValueError, match="3 generated examples against 4 real"):
        sample_quality.two_sample_accuracy(cloud(0, 3), cloud(0, 4))


def test_copies_are_told_from_new_examples():
    learned, held_out = cloud(0), cloud(1)
    assert sample_quality.copies(cloud(2), held_out, learned) == pytest.approx(1, abs=0.15)
    assert sample_quality.copies(learned[:50] + 1e-3, held_out, learned) < 0.02


def test_least_class_share_counts_by_the_nearest_class():
    middles = np.array([[0.0, 0], [10, 0], [0, 10]])
    examples = np.repeat(middles, 4, axis=0) + 0.1 * np.arange(12)[:, None]
    labels = np.repeat(np.arange(3), 4)
    made = middles[[0] * 6 + [1] * 3 + [2]]
    assert sample_quality.least_class_share(made, examples, labels, 3) == pytest.approx(0.1)
    assert sample_quality.least_class_share(made[:9], examples, labels, 3) == 0
    assert sample_quality.least_class_share(made, examples, labels, 4) == 0


# The update


def small(**task):
    made = config.default()
    made.steps, made.batch_size, made.parallel.data = 4, 24, 1
    made.model = dict(name="dcgan_8", widths=(8, 4))
    made.task = dict(name="adversarial", latent=8, **task)
    made.optimizer.schedule, made.optimizer.b1 = "linear", 0.5
    return made


@functools.cache
def one_step(ema=0.0, **task):
    """(experiment, compiled step, state before, state after, its figures) of the first update."""
    made = small(**task)
    made.ema = ema
    built = experiment.create(made)
    state, step = built.init_state(), jax.jit(built.task.train_step)
    new, found = step(state, built.batch(0), built.key)
    return built, step, state, new, divided(found)


def divided(found):
    return metrics.divide(found)


def counts(state):
    return [int(tasks.learner.updates_done(network.opt_state)) for network in state]


def test_discriminator_takes_n_critic_steps_an_update():
    built, step, _, new, found = one_step(n_critic=3, discriminator_rate=2.0)
    assert counts(new) == [1, 3]
    assert found["discriminator_learning_rate"] == pytest.approx(2e-3)  # not yet fallen
    assert found["generator_learning_rate"] == pytest.approx(1e-3)
    newer, more = step(new, built.batch(1), built.key)
    assert counts(newer) == [2, 6]
    # The rate of the second of four updates, for each of the discriminator's three.
    assert divided(more)["discriminator_learning_rate"] == pytest.approx(2 * 0.75e-3)


def test_each_networks_step_moves_that_network_alone():
    # At rate 0 the discriminator stands still: the generator's step, which looks through it, does
    # not touch it, its statistics included, and its own step moves nothing of the generator.
    same = lambda a, b: jax.tree.leaves(jax.tree.map(lambda x, y: bool((x == y).all()), a, b))
    _, _, state, new, _ = one_step(ema=0.5, discriminator_rate=0.0)
    assert all(same(state.discriminator.params, new.discriminator.params))
    assert not any(same(state.generator.params, new.generator.params))
    _, _, state, moved, _ = one_step(ema=0.5)
    assert not any(same(state.discriminator.params, moved.discriminator.params))
    assert counts(moved) == [1, 1]
    # Two passes in training, of real and of generated images, and none of the generator's step.
    stands, moves = (jax.tree.leaves(x.discriminator.model_state) for x in (new, moved))
    for a, b in zip(stands, moves, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7)


def test_first_losses_are_those_of_the_first_networks():
    # The discriminator stands still, so both losses follow from the first weights.
    built, _, state, _, found = one_step(ema=0.5, discriminator_rate=0.0)
    module = models.create("dcgan_8", widths=(8, 4))

    @functools.partial(jax.jit, static_argnums=1)
    def apply(network, method, x):
        apply = functools.partial(module.apply, train=True, mutable=["batch_stats"])
        return apply(network.variables, x, method=method)[0]

    judge = lambda x: np.float64(apply(state.discriminator, "discriminate", x))
    stream = keys.named(jax.random.split(keys.named(built.key, "discriminator"), 1)[0], "noise")
    fake = apply(state.generator, "generate", jax.random.normal(stream, (24, 8)))
    real = 2 * built.batch(0)["image"] - 1
    wanted = by_hand("non_saturating", judge(real), judge(fake))[0].mean()
    assert found["discriminator_loss"] == pytest.approx(wanted, rel=1e-4)
    stream = keys.named(keys.named(built.key, "generator"), "noise")
    fake = apply(state.generator, "generate", jax.random.normal(stream, (24, 8)))
    wanted = by_hand("non_saturating", judge(fake), judge(fake))[1].mean()
    assert found["generator_loss"] == pytest.approx(wanted, rel=1e-4)


@pytest.mark.parametrize("task", [{}, dict(n_critic=2, loss="wasserstein", gradient_penalty=10.0)])
def test_both_networks_are_told_the_label_and_learn_of_it(task):
    made = small(classes=True, **task)
    made.model.normalization = "layer" if task else "batch"
    made.optimizer.name = "adam"
    built = experiment.create(made)
    state = built.init_state()
    batch = {**built.batch(0), "label": np.tile([3, 3, 5], 8).astype(np.int32)}
    new, _ = jax.jit(built.task.train_step)(state, batch, built.key)
    rows = lambda state: (
        state.generator.params["generator"]["project"]["kernel"][8:],  # behind the noise
        state.discriminator.params["discriminator"]["classes"]["kernel"],
    )
    for before, after in zip(rows(state), rows(new), strict=True):
        moved = np.abs(after - before).max(axis=1) > 0
        assert np.flatnonzero(moved).tolist() == [3, 5]
    found = built.task.score(new, built.run.data.test, KEY)
    assert 0 <= found["named_right"] <= 1
    assert 0 <= found["named_right/digits"] <= 1
    assert {"named_right", "named_right/digits"} <= set(built.task.directions)


def test_samples_are_of_the_classes_asked_for():
    shown = []
    for asked in ((), (7, "2")):
        built = experiment.create(small(classes=True, asked=asked))
        shown.append(built.task.sample(built.init_state(), KEY)["samples"])
    sizes = [Image.open(io.BytesIO(picture.data)).size for picture in shown]
    assert sizes[0][1] > 3 * sizes[1][1]
    # Of labels alone, with the same noise, images differ.
    module = built.task.sample.args[0].module
    variables, noise = built.init_state().generator.variables, jnp.ones((2, 8))
    a, b = module.apply(variables, noise, jnp.array([7, 2]), method="generate")
    assert np.abs(a - b).max() > 1e-4


def test_weights_are_clipped_and_only_the_discriminators():
    _, _, _, new, _ = one_step(clip_weights=0.005, loss="wasserstein")
    largest = lambda tree: max(float(jnp.abs(x).max()) for x in jax.tree.leaves(tree))
    assert largest(new.discriminator.params) == pytest.approx(0.005)
    assert largest(new.generator.params) > 0.005


def test_samples_come_from_the_average():
    built, _, state, new, _ = one_step(ema=0.5, discriminator_rate=0.0)
    score = lambda state: built.task.score(state, built.run.data.test, KEY)
    assert new.discriminator.average is None
    # The average of one update is too near the parameters to tell apart, so it is moved away.
    far = jax.tree.map(lambda x: 20 * x, new.generator.average)
    params, model_state = far
    averaged = new._replace(generator=new.generator._replace(average=far))
    plain = new._replace(generator=new.generator._replace(average=None))
    moved = new._replace(generator=plain.generator._replace(params=params, model_state=model_state))
    assert score(averaged)["copies"] == pytest.approx(score(moved)["copies"], rel=1e-6)
    assert score(averaged)["copies"] != pytest.approx(score(plain)["copies"], rel=1e-3)
    # After one update the decay is 2/11, which is below .5.
    for before, after, kept in zip(
        *map(jax.tree.leaves, (state.generator.params, new.generator.params)),
        jax.tree.leaves(new.generator.average[0]),
        strict=True,
    ):
        np.testing.assert_allclose(kept, 2 / 11 * before + 9 / 11 * after, atol=1e-6)


# Bad input


REFUSED = {
    "--config.task.n_critic=0": "config.task.n_critic=0 must be at least 1",
    "--config.task.n_critic=5": "must be a multiple of config.task.n_critic=5",
    "--config.task.latent=0": "config.task.latent=0 must be at least 1",
    "--config.task.loss=hinged": "did you mean 'hinge'",
    "--config.task.clip_weights=-1": "config.task.clip_weights=-1.0 must be at least 0",
    "--config.model.channels=3": "generates images of 8x8x3 but the data's are 8x8x1",
    "--config.model.base=4": "generates images of 16x16x1 but the data's are 8x8x1",
    "--config.model.normalization=bach": "did you mean 'batch'",
    "--config.task.gradient_penalty=10": "config.model.normalization='batch' mixes",
    "--config.task.clips=1": "did you mean",
    "--config.task.asked=3": "config.task.asked=3 needs a model that knows classes",
    "--config.data.name=none": "has none",
}


@pytest.mark.parametrize("argument", REFUSED)
def test_bad_setting_is_one_clear_line(argument, tmp_path, capsys):
    assert run("dcgan", tmp_path / "run", *SMALL, argument) == 2
    said = capsys.readouterr().err.strip()
    assert said.startswith("error: ")
    assert "\n" not in said
    assert REFUSED[argument] in said
    assert not (tmp_path / "run").exists()


def test_both_bounds_of_the_slope_are_refused(tmp_path, capsys):
    assert run("wgan", tmp_path / "run", *SMALL, "--config.task.clip_weights=.01") == 2
    assert "set one of them to 0" in capsys.readouterr().err


def test_a_model_that_generates_nothing_is_refused():
    made = small()
    made.model = dict(name="mlp")
    with pytest.raises(UserError, match="such as 'dcgan', not 'mlp'"):
        experiment.create(made)


# Runs


RUNS = ("dcgan", "wgan:gradient_penalty")


@pytest.mark.parametrize("name", RUNS)
def test_run_leaves_its_figures_and_pictures(name, finished):
    folder = finished(name)
    found = summary(folder)
    assert found["steps"] == 12
    assert 0 <= found["final"]["two_sample_accuracy"] <= 1
    assert found["final"]["copies"] > 0
    assert 0 <= found["final"]["least_class_share"] <= 0.1
    assert found["final"]["fid/digits"] > 0
    assert 1 <= found["final"]["inception_score/digits"] <= 10
    assert np.isfinite(found["final"]["generator_loss"])
    lines = figures(folder, "train")
    assert [line["step"] for line in lines] == [3, 6, 9, 12]
    assert {"generator_loss", "discriminator_loss", "real_logit", "fake_logit"} <= set(lines[0])
    parts = figures(folder, "layers")[-1]["gradient_norm"]
    assert {part.split("/")[0] for part in parts} == {"generator", "discriminator"}
    page = (folder / "report.html").read_text()
    assert "<h2>Generated, and nearest in training</h2>" in page
    assert "generator/project/kernel" in page
    assert "discriminator/halve_0/kernel" in page
    assert list(folder.glob("samples/step_*/samples.png"))


def test_evaluate_and_sample_modes(finished, capsys):
    folder = finished("dcgan")
    capsys.readouterr()
    assert run("dcgan", folder, *tiny.of_finished("dcgan"), "--mode=evaluate") == 0
    said = capsys.readouterr().out
    best = summary(folder)["best"]
    assert f"two_sample_accuracy {best['two_sample_accuracy']:.4f}" in said
    assert f"copies {best['copies']:.4f}" in said
    assert run("dcgan", folder, *tiny.of_finished("dcgan"), "--mode=sample") == 0
    assert f"sample {folder / 'samples' / 'samples.png'}" in capsys.readouterr().out
    picture = (folder / "samples" / "samples.png").read_bytes()
    assert picture[1:4] == b"PNG"
    assert run("dcgan", folder, *tiny.of_finished("dcgan"), "--mode=sample") == 0
    assert (folder / "samples" / "samples.png").read_bytes() == picture


def assert_close(ours, theirs):
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=max(1e-5 * np.abs(a).max(), 1e-6))


@pytest.mark.slow("dcgan", "wgan", "jaxdl/parallel/")
@pytest.mark.parametrize("name", (*RUNS, "dcgan:conditional"))
def test_eight_devices_learn_what_one_does(name, tmp_path):
    flags = (*SMALL, *SGD, "--config.optimizer.learning_rate=.02", "--config.batch_size=48",
             "--config.steps=4", "--config.log.layers=false")  # fmt: skip
    assert run(name, tmp_path / "one", *flags) == 0
    assert run(name, tmp_path / "eight", *flags, "--config.parallel.data=8") == 0
    assert_close(leaves(tmp_path / "one"), leaves(tmp_path / "eight"))


def test_steps_that_do_not_divide_over_pmapped_devices_are_refused():
    made = small(n_critic=3)
    made.parallel.strategy, made.parallel.data = "pmap", 4
    built = experiment.create(made)
    part = {"image": jnp.zeros((built.config.batch_size // 4 + 1, 8, 8, 1))}
    with pytest.raises(UserError, match="does not divide the 7 examples"):
        jax.eval_shape(built.task.train_step, built.abstract_state, part, built.key)
