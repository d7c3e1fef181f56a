"""StyleGAN2: its operations against the paper's formulas in float64, its networks, its updates."""

import functools
import itertools
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numeric
import numpy as np
import pytest
import tiny
from both_modes import jitted
from launching import assert_resumes_to_the_bit, built, leaves, run, summary

from jaxdl import experiment, keys, metrics, models, ops, tasks
from jaxdl.errors import UserError
from jaxdl.layers.equalised import EqualisedConv, EqualisedDense
from jaxdl.losses import gan
from jaxdl.models.stylegan2_discriminator import batch_deviation
from jaxdl.ops.upfirdn import BINOMIAL
from jaxdl.optim import lazy
from jaxdl.tasks import stylegan2 as game
from jaxdl.tasks.shared import two_players
from jaxdl.trees import path_name

GOLDEN = Path(__file__).parent / "golden"
sys.path.insert(0, str(GOLDEN))

import seeded  # noqa: E402

KEY = keys.root(0)
NAME = "stylegan2"
TINY = tiny.FLAGS[NAME]
UNEVEN = (0.1, 0.2, 0.3, 0.25, 0.15)


# Operations: everything written out in two dimensions, zeros and all


def by_definition(x, taps, up=1, down=1, padding=(0, 0)):
    """Zeros between and around, the filter turned and slid, every n-th pixel; float64."""
    batch, h, w, channels = x.shape
    before, after = padding
    wide = np.zeros((batch, up * h, up * w, channels))
    wide[:, ::up, ::up] = x
    far = 20  # zeros on all sides, of which negative padding takes from the image
    wide = np.pad(wide, ((0, 0), (far, far), (far, far), (0, 0)))
    cut = lambda size: slice(far - before, far + up * size + after)
    wide = wide[:, cut(h), cut(w)]
    kernel = np.outer(taps, taps)[::-1, ::-1]
    return slid(wide, kernel[..., None, None] * np.eye(channels))[:, ::down, ::down]


def slid(x, kernel):
    """Cross-correlation of (b, h, w, c) with (k, k, c, f), where the kernel lies within."""
    k = kernel.shape[0]
    h, w = x.shape[1] - k + 1, x.shape[2] - k + 1
    places = itertools.product(range(k), repeat=2)
    return sum(x[:, i : i + h, j : j + w] @ kernel[i, j] for i, j in places)


def drawn(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


FILTERS = [
    dict(taps=BINOMIAL, up=2, padding=(2, 1)),
    dict(taps=UNEVEN, up=2, padding=(3, 2)),
    dict(taps=UNEVEN, down=2, padding=(1, 3)),
    dict(taps=UNEVEN, up=3, down=2, padding=(2, 4)),
    dict(taps=UNEVEN, up=2, down=3, padding=(-1, 4)),
    dict(taps=(1.0,), up=3, padding=(0, -2)),
    dict(taps=UNEVEN[:2], down=3, padding=(4, -1)),
]


@pytest.mark.parametrize("how", FILTERS)
def test_filtering_is_that_of_the_definition(how):
    x = drawn(2, 5, 4, 3)
    with jax.enable_x64(True):
        found = ops.upfirdn(jnp.asarray(x), **how)
    np.testing.assert_allclose(found, by_definition(x, **how), rtol=1e-12, atol=1e-12)


def test_filtering_refuses_what_leaves_nothing():
    with pytest.raises(ValueError, match="fewer than 5 taps need"):
        ops.upfirdn(jnp.zeros((1, 2, 2, 1)), UNEVEN)


def test_images_are_doubled_bilinearly_and_halved_in_place():
    x = jnp.asarray(drawn(1, 6, 6, 2), jnp.float32)
    inner = np.s_[:, 2:-2, 2:-2]
    wanted = jax.image.resize(x, (1, 12, 12, 2), "bilinear")
    np.testing.assert_allclose(ops.upsampled(x)[inner], wanted[inner], atol=1e-6)
    slope = jnp.broadcast_to(jnp.arange(12.0)[None, :, None, None], (1, 12, 12, 1))
    np.testing.assert_allclose(ops.downsampled(slope)[0, 1:-1, 2, 0], np.arange(2.5, 9, 2))


@pytest.mark.parametrize("k, taps", [(3, (0.1, 0.4, 0.3, 0.2)), (1, UNEVEN), (5, (0.3, 0.7))])
def test_a_joined_convolution_is_both_in_turn(k, taps):
    x, kernel, T = drawn(2, 6, 4, 3), drawn(k, k, 3, 5, seed=1), len(taps)
    with jax.enable_x64(True):
        up = ops.conv_upsampled(jnp.asarray(x), jnp.asarray(kernel), taps)
        down = ops.conv_downsampled(jnp.asarray(x), jnp.asarray(kernel), taps)
    far = k // 2
    doubled = [2 * t for t in taps]
    pads = (far + (T + 1) // 2, far + (T - 2) // 2)
    wanted = slid(by_definition(x, doubled, up=2, padding=pads), kernel)[:, :12, :8]
    np.testing.assert_allclose(up, wanted, rtol=1e-11, atol=1e-11)
    pads = (far + (T - 1) // 2, far + (T - 2) // 2 + T % 2)
    wanted = slid(by_definition(x, taps, padding=pads), kernel)[:, ::2, ::2][:, :3, :2]
    np.testing.assert_allclose(down, wanted, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("convolve", ["conv", "conv_upsampled"])
@pytest.mark.parametrize("demodulate", [True, False])
def test_modulation_is_a_kernel_for_each_example(demodulate, convolve):
    x, kernel, style = drawn(3, 4, 4, 2), drawn(3, 3, 2, 5, seed=1), drawn(3, 2, seed=2)
    convolve = getattr(ops, convolve)
    with jax.enable_x64(True):
        found = ops.modulated_conv(
            *map(jnp.asarray, (x, kernel, style)), demodulate=demodulate, convolve=convolve
        )
        for i in range(3):
            own = style[i][:, None] * kernel
            if demodulate:
                own = own / np.sqrt((own**2).sum((0, 1, 2)) + 1e-8)
            wanted = convolve(jnp.asarray(x[i : i + 1]), jnp.asarray(own))
            np.testing.assert_allclose(found[i : i + 1], wanted, rtol=1e-11, atol=1e-11)


def test_deviation_within_a_group_is_a_channel():
    x = drawn(6, 2, 3, 4).astype(np.float32)
    for group, size in ((3, 3), (4, 3), (1, 1), (100, 6)):  # the largest that divides the batch
        found = batch_deviation(jnp.asarray(x), group)
        np.testing.assert_array_equal(found[..., :4], x)
        each = np.sqrt(np.float64(x).reshape(-1, size, 24).var(1) + 1e-8).mean(1)
        wanted = np.broadcast_to(each.repeat(size)[:, None, None], (6, 2, 3))
        np.testing.assert_allclose(found[..., 4], wanted, rtol=1e-5)


def test_equalised_layers_scale_what_they_learn():
    x = jnp.asarray(drawn(400, 50), jnp.float32)
    layer = EqualisedDense(300, rate=0.01, bias_start=2.0)
    params = layer.init(KEY, x)["params"]
    assert np.std(params["kernel"]) == pytest.approx(100, rel=0.02)
    np.testing.assert_allclose(params["bias"], 200)
    wanted = x @ (params["kernel"] * 0.01 / np.sqrt(50)) + 2
    np.testing.assert_allclose(layer.apply({"params": params}, x), wanted, rtol=1e-4, atol=1e-4)
    image = jnp.asarray(drawn(2, 6, 6, 7), jnp.float32)
    layer = EqualisedConv(9)
    params = layer.init(KEY, image)["params"]
    assert np.std(params["kernel"]) == pytest.approx(1, rel=0.1)
    wanted = ops.conv(image, params["kernel"] / np.sqrt(9 * 7))
    np.testing.assert_allclose(layer.apply({"params": params}, image), wanted, atol=1e-5)


# Losses, and their second derivatives


def test_penalty_of_slopes_is_half_their_square():
    with jax.enable_x64(True):
        real, w = drawn(4, 3), drawn(3, 5, seed=1)
        critic = lambda x: jnp.tanh(x @ w).sum(-1)
        slopes = numeric.gradient(lambda x: float(critic(x).sum()), real)
        found = gan.r1_penalty(critic, jnp.asarray(real))
        np.testing.assert_allclose(found, (slopes**2).sum(1) / 2, rtol=1e-7)


def test_path_lengths_are_of_the_jacobian():
    styles, noise, w = drawn(3, 2, 5), drawn(3, 4, 4, 1, seed=1), drawn(10, 16, seed=2)
    with jax.enable_x64(True):
        make = lambda s: jnp.tanh(s.reshape(3, 10) @ w).reshape(3, 4, 4, 1)
        found = gan.path_lengths(make, jnp.asarray(styles), jnp.asarray(noise))
        slopes = numeric.gradient(lambda s: float((make(s) * noise / 4).sum()), styles)
        np.testing.assert_allclose(found, np.sqrt((slopes**2).sum(2).mean(1)), rtol=1e-7)
    flat = jax.grad(lambda a: gan.path_lengths(lambda s: a * make(s), styles, noise).sum())
    assert np.isfinite(flat(0.0))


def small(**fields):
    fields = dict(widths=(4, 3), channels=1, width=5, mapping_depth=1, group=2) | fields
    return models.create(NAME, **fields)


def wide(tree):
    return jax.tree.map(lambda x: jnp.asarray(0.5 * drawn(*x.shape), jnp.float64), tree)


def test_the_penalties_own_gradients_are_right_through_the_networks():
    module = small(dtype=jnp.float64)
    with jax.enable_x64(True):
        images, latent = jnp.asarray(drawn(2, 8, 8, 1)), jnp.asarray(drawn(2, 3))
        noise = jnp.asarray(drawn(2, module.pixels, seed=1))
        shapes = jax.eval_shape(functools.partial(module.init, method="discriminate"), KEY, images)
        judge = wide(shapes)
        shapes = jax.eval_shape(functools.partial(module.init, method="generate"), KEY, latent)
        maker = wide(shapes)
        styles = jnp.asarray(drawn(2, module.layers, 5, seed=2))

        def slopes(params):
            critic = lambda x: module.apply({"params": params}, x, method="discriminate")
            return gan.r1_penalty(critic, images).sum()

        def paths(params):
            variables = {**maker, "params": params}
            make = lambda s: module.apply(variables, s, noise, method="synthesise")
            return gan.path_lengths(make, styles, images).sum()

        for penalty, params in ((slopes, judge["params"]), (paths, maker["params"])):
            along = wide(params)
            moved = lambda t, p=params, v=along: jax.tree.map(lambda x, y: x + t * y, p, v)
            value = jax.jit(lambda t, f=penalty, m=moved: f(m(t)))
            found = jax.jit(jax.grad(value))(0.0)
            step = 1e-5
            wanted = (value(step) - value(-step)) / (2 * step)
            np.testing.assert_allclose(found, wanted, rtol=1e-6)


# Lazy regularisation


@pytest.mark.parametrize("every", [1, 4, 16])
def test_the_counts_of_lazy_regularisation_are_those_of_a_loop(every):
    count, wanted, due = 0, [], []
    for update in range(3 * every):
        kinds = (["penalty"] if update % every == 0 else []) + ["loss"]
        for kind in kinds:
            wanted.append(update)
            due.append(kind == "penalty")
            count += 1
    counts = jnp.arange(count)
    np.testing.assert_array_equal(lazy.updates_of_loss(counts, every), wanted)
    np.testing.assert_array_equal(lazy.is_due(counts, every), due)


def test_rates_and_memories_of_lazy_regularisation():
    made = built(NAME).config.optimizer
    found = lazy.settings(made, 4)
    assert (found["b1"], found["b2"]) == (0.0, made.b2**0.8)
    made.b1 = made.b2 = None  # as the optimizer comes
    found = lazy.settings(made, 1)
    assert (found["b1"], found["b2"]) == pytest.approx((0.9**0.5, 0.999**0.5))
    assert lazy.settings(made, 0) == dict(made)
    falling = lambda t: 1.0 - 0.1 * t
    lower = lazy.schedule(falling, 4)
    np.testing.assert_allclose([lower(t) for t in range(6)], [0.8, 0.8, 0.72, 0.64, 0.56, 0.48])
    assert lazy.schedule(falling, 0) is falling


# Networks


def count(tree):
    return sum(x.size for x in jax.tree.leaves(tree["params"]))


@pytest.mark.parametrize(
    "name, latent, size, generator, discriminator",
    [("stylegan2_32", 64, 32, 1_075_027, 1_153_473),
     ("stylegan2_1024", 512, 1024, 30_370_060, 29_012_513)],
)  # fmt: skip
def test_parameters_are_the_published_ones(name, latent, size, generator, discriminator):
    module = models.create(name)
    init = functools.partial(module.init_with_output, method="generate")
    images, made = jax.eval_shape(init, KEY, jax.ShapeDtypeStruct((2, latent), jnp.float32))
    assert images.shape == (2, size, size, 3)
    assert count(made) == generator
    init = functools.partial(module.init_with_output, method="discriminate")
    logits, made = jax.eval_shape(init, KEY, images)
    assert logits.shape == (2,)
    assert count(made) == discriminator


def golden():
    """(module, variables of both networks with weights by name, the golden arrays)."""
    module = models.create(NAME, widths=(6, 5, 4), channels=2, width=5, mapping_depth=2)
    init = lambda method, x: jax.eval_shape(functools.partial(module.init, method=method), KEY, x)
    shapes = {
        **init("generate", jnp.zeros((1, 3)))["params"],
        **init("discriminate", jnp.zeros((1, 16, 16, 2)))["params"],
    }
    named = lambda path, x: jnp.asarray(seeded.normal(path_name(path), x.shape), x.dtype)
    params = jax.tree_util.tree_map_with_path(named, shapes)
    variables = {"params": params, "statistics": {"generator": {"mapping": {"mean": jnp.zeros(5)}}}}
    return module, variables, np.load(GOLDEN / "stylegan2.npz")


def inputs_of(wanted):
    return {k: jnp.asarray(wanted[k], jnp.float32) for k in ("latent", "noise", "real", "along")}


def test_values_are_those_of_the_published_definition():
    module, variables, wanted = golden()
    inputs = inputs_of(wanted)

    @jitted
    def values(variables):
        apply = functools.partial(module.apply, variables)
        images = apply(inputs["latent"], inputs["noise"], method="generate")
        return {"images": images, "logits": apply(inputs["real"], method="discriminate")}

    for name, found in values(variables).items():
        np.testing.assert_allclose(found, wanted[name], rtol=2e-4, atol=2e-4)


def test_penalties_and_their_gradients_are_those_of_the_published_definition():
    module, variables, wanted = golden()
    inputs = inputs_of(wanted)

    def penalties(params):
        bound = {**variables, "params": params}
        critic = lambda x: module.apply(bound, x, method="discriminate")
        style = module.apply(bound, inputs["latent"], method="map")
        styles = jnp.broadcast_to(style[:, None], (4, module.layers, 5))
        make = lambda s: module.apply(bound, s, inputs["noise"], method="synthesise")
        paths = gan.path_lengths(make, styles, inputs["along"])
        r1 = gan.r1_penalty(critic, inputs["real"])
        return r1.sum() + paths.sum(), {"r1": r1, "paths": paths}

    gradients, found = jax.jit(jax.grad(penalties, has_aux=True))(variables["params"])
    for name, x in found.items():
        np.testing.assert_allclose(x, wanted[name], rtol=2e-4)
    for path, x in jax.tree_util.tree_leaves_with_path(gradients):
        name = path_name(path)
        of = wanted[f"gradient/{name}"]
        atol = 1e-3 * of[0] + 1e-4
        np.testing.assert_allclose(seeded.summary(name, x), of, rtol=1e-3, atol=atol)


def test_noise_styles_and_truncation_reach_the_image():
    module, variables, arrays = golden()
    latent, noise = jnp.asarray(arrays["latent"]), jnp.asarray(arrays["noise"])
    apply = functools.partial(module.apply, variables)
    make = functools.partial(apply, method="synthesise")
    style = apply(latent, method="map")
    styles = jnp.broadcast_to(style[:, None], (4, module.layers, 5))
    differ = lambda a, b: np.abs(np.asarray(a) - np.asarray(b)).max() > 1e-3
    plain = make(styles, noise)
    assert differ(plain, make(styles))
    np.testing.assert_allclose(make(styles, noise[:1])[0], plain[0], atol=1e-5)
    for layer in range(module.layers):  # each counts
        assert differ(plain, make(styles.at[:, layer].add(1.0), noise))
    moved = {**variables, "statistics": {"generator": {"mapping": {"mean": jnp.arange(5.0)}}}}
    near = module.apply(moved, style, 0.25, method="truncated")
    np.testing.assert_allclose(near, 0.75 * np.arange(5) + 0.25 * style, rtol=1e-5)
    _, new = module.apply(moved, latent, train=True, method="map", mutable=["statistics"])
    wanted = 0.995 * np.arange(5) + 0.005 * np.mean(style, 0)
    np.testing.assert_allclose(new["statistics"]["generator"]["mapping"]["mean"], wanted, rtol=1e-5)


# The update


@functools.cache
def begun(*flags):
    """(experiment, its state at the start)."""
    one = built(NAME, "--config.precision=float32", "--config.log.layers=false", *flags)
    return one, one.init_state()


@functools.cache
def updated(count=4, *flags):
    """(experiment, states before and after each update, their figures)."""
    one, state = begun(*flags)
    step, states, found = jax.jit(one.task.train_step), [], []
    states.append(state)
    for i in range(count):
        state, figures = step(state, one.batch(i), keys.at_step(one.key, i))
        states.append(state)
        found.append(figures)
    return one, states, found


def test_regularisations_are_made_when_they_are_due():
    # The generator's every 2 updates, the discriminator's every 3 (`tiny`).
    _, states, found = updated()
    done = lambda learner: int(tasks.learner.updates_done(learner.opt_state))
    assert [done(s.generator) for s in states] == [0, 2, 3, 5, 6]
    assert [done(s.discriminator) for s in states] == [0, 2, 3, 4, 6]
    assert [float(f["path_length"].weight) for f in found] == [8, 0, 8, 0]
    assert [float(f["r1_penalty"].weight) for f in found] == [16, 0, 0, 16]
    lengths = [s.path_length for s in states]
    first = metrics.divide(found[0])["path_length"]
    third = metrics.divide(found[2])["path_length"]
    assert lengths[1] == lengths[2] == pytest.approx(0.01 * first)
    assert lengths[3] == lengths[4] == pytest.approx(0.01 * first * 0.99 + 0.01 * third)
    assert metrics.divide(found[0])["path_penalty"] == pytest.approx(first**2, rel=0.5)


def test_the_first_updates_of_regularisation_are_adams_of_their_losses():
    # Adam's first step is the rate times the sign of the gradient, k times as heavy or not; which
    # sign that is, is the loss's.
    one, state = begun()
    players, updates, _ = tasks.create(one.run).train_step.args
    images = 2 * one.batch(0)["image"] - 1
    params = state.discriminator.params
    loss = lambda p: game.r1_loss(players, p, {}, {"image": images}, KEY).loss
    gradient = jax.jit(jax.grad(lambda p: loss(p).total / loss(p).weight))(params)
    rate = one.config.optimizer.learning_rate * 3 / 4
    update = updates.discriminator(
        functools.partial(game.r1_loss, players), ema=0.0, layer_norms=False, schedule=None
    )
    new, _ = jax.jit(update)(state.discriminator, {"image": images}, KEY)
    for g, a, b in zip(*map(jax.tree.leaves, (gradient, params, new.params)), strict=True):
        sure = np.abs(g) > 1e-5
        np.testing.assert_allclose((b - a)[sure], -rate * np.sign(g)[sure], rtol=2e-2)
    assert loss(params).weight == len(images)


def players_of(module):
    """With settings that are not the usual ones."""
    return game.Players(module, 3, 0.5, 2.0, 0.99, 1.0, two_players.Pair(4, 16))


def test_styles_are_of_two_latent_vectors_from_the_crossover_on():
    module, variables, _ = golden()
    players, layers = players_of(module), module.layers
    inputs = players.inputs(KEY, 400)
    mixed = np.asarray(inputs["crossover"]) < layers
    assert 0.4 < mixed.mean() < 0.6
    assert set(np.asarray(inputs["crossover"])) == set(range(1, layers + 1))
    styles, _ = players.styles(variables, inputs)
    each = [module.apply(variables, inputs["latent"][:, i], method="map") for i in (0, 1)]
    for i in range(5):
        place = inputs["crossover"][i]
        np.testing.assert_allclose(styles[i, :place], np.tile(each[0][i], (place, 1)), rtol=1e-5)
        rest = layers - place
        np.testing.assert_allclose(styles[i, place:], np.tile(each[1][i], (rest, 1)), rtol=1e-5)


@pytest.mark.parametrize("size", [8, 6])
def test_real_and_generated_images_are_judged_apart(size):
    module, variables, _ = golden()
    players = players_of(module)
    shape = (size, 16, 16, 2)
    real, fake = (jnp.asarray(drawn(*shape, seed=i), jnp.float32) for i in (0, 1))
    found = jitted(players.discriminate_both)(variables, real, fake)
    judge = jitted(players.discriminate)
    for logits, images in zip(found, (real, fake), strict=True):
        np.testing.assert_allclose(logits, judge(variables, images), rtol=1e-4, atol=1e-4)


def test_without_regularisations_updates_are_plain():
    one, states, found = updated(1, "--config.task.r1=0", "--config.task.path_length=0")
    assert not {"r1_penalty", "path_length"} & set(found[0])
    assert metrics.divide(found[0])["generator_learning_rate"] == pytest.approx(
        one.config.optimizer.learning_rate
    )
    assert float(states[1].path_length) == 0


def test_rates_that_are_told_are_lower_where_there_are_more_updates():
    one, _, found = updated()
    rate, told = one.config.optimizer.learning_rate, metrics.divide(found[3])
    assert told["generator_learning_rate"] == pytest.approx(rate * 2 / 3)
    assert told["discriminator_learning_rate"] == pytest.approx(rate * 3 / 4)


# Bad input


REFUSED = {
    "--config.data.image_size=12": "a side is 4 · 2 ^ (widths - 1)",
    "--config.data.image_size=16": "generates images of 8x8x1 but the data's are 16x16x1",
    "--config.model.channels=3": "generates images of 8x8x3 but the data's are 8x8x1",
    "--config.model.widths=()": "must be at least one of the widths",
    "--config.model.memory=1": "memory=1.0 at least 0 and below 1",
    "--config.task.mixing=2": "config.task.mixing=2.0 must be at least 0 and at most 1",
    "--config.task.r1_every=0": "config.task.r1_every=0 must be at least 1",
    "--config.task.r1=-1": "config.task.r1=-1.0 must be at least 0",
    "--config.task.truncation=-1": "config.task.truncation=-1.0 must be at least 0",
    "--config.task.trunc=1": "did you mean 'truncation'",
}


@pytest.mark.parametrize("argument", REFUSED)
def test_bad_setting_is_one_clear_line(argument, tmp_path, capsys):
    assert run(NAME, tmp_path / "run", *TINY, argument) == 2
    said = capsys.readouterr().err.strip()
    assert said.startswith("error: ")
    assert "\n" not in said
    assert REFUSED[argument] in said
    assert not (tmp_path / "run").exists()


def test_a_model_without_styles_is_refused():
    config = built(NAME).config
    config.model = dict(name="dcgan_8")
    with pytest.raises(UserError, match="such as 'stylegan2', not 'dcgan_8'"):
        experiment.create(config)


# Runs


def test_a_run_that_was_cut_goes_on_and_shows_its_styles(tmp_path, capsys):
    few = ("--config.eval.every=6", "--config.ema=.9", "--config.log.report=true")
    assert_resumes_to_the_bit(NAME, tmp_path, *TINY, *few, at=6)
    whole = tmp_path / "whole"
    final = summary(whole)["final"]
    assert 0 <= final["two_sample_accuracy"] <= 1
    assert final["fid/digits"] > 0
    page = (whole / "report.html").read_text()
    for title in ("Between two styles", "Styles mixed", "Generated, and nearest in training"):
        assert f"<h2>{title}</h2>" in page
    assert "generator/synthesis/conv_4/conv/kernel" in page
    capsys.readouterr()
    pictures = []
    for truncation in ("1", "0"):
        flags = (*TINY, *few, f"--config.task.truncation={truncation}")
        assert run(NAME, whole, *flags, "--mode=sample") == 0
        pictures.append((whole / "samples" / "samples.png").read_bytes())
    assert pictures[0] != pictures[1]


def test_eight_devices_learn_what_one_does(tmp_path):
    flags = (
        *TINY, "--config.optimizer.eps=1e-3", "--config.batch_size=32", "--config.steps=4",
        "--config.log.layers=false", "--config.optimizer.learning_rate=1e-3",
    )  # fmt: skip
    assert run(NAME, tmp_path / "one", *flags) == 0
    assert run(NAME, tmp_path / "eight", *flags, "--config.parallel.data=8") == 0
    for a, b in zip(leaves(tmp_path / "one"), leaves(tmp_path / "eight"), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=max(1e-4 * np.abs(a).max(), 1e-6))
