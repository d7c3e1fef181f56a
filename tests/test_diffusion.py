"""Diffusion: schedules, sampling, the U-Net, the update, and runs through the launcher."""

import functools

import jax
import jax.numpy as jnp
import numeric
import numpy as np
import pytest
import tiny
from launching import figures, leaves, run, summary

from jaxdl import config, experiment, keys, layers, models, ops
from jaxdl.errors import UserError
from jaxdl.generate import diffusion
from jaxdl.metrics import sample_quality

KEY = keys.root(0)
TINY = tiny.FLAGS["ddpm"]
WHOLE = tiny.of_finished("ddpm")


# The process


def test_linear_schedule_is_the_published_one():
    signal = diffusion.signal_shares("linear", 1000)
    beta = 1 - np.append(signal[0], signal[1:] / signal[:-1])
    assert beta[0] == pytest.approx(1e-4)
    assert beta[-1] == pytest.approx(0.02)
    np.testing.assert_allclose(np.diff(beta), (0.02 - 1e-4) / 999, rtol=1e-6)
    # Ho et al., 2020, section 4: what is left at the end is all but standard normal.
    assert 4e-5 < signal[-1] < 4.1e-5


def test_cosine_schedule_is_the_published_one():
    signal = diffusion.signal_shares("cosine", 1000)
    f = lambda t: np.cos((t / 1000 + 0.008) / 1.008 * np.pi / 2) ** 2
    t = np.arange(1, 1000)  # the last β is cut to .999
    np.testing.assert_allclose(signal[:-1], f(t) / f(0), rtol=1e-9)
    assert signal[-1] == pytest.approx(signal[-2] * 0.001)


@pytest.mark.parametrize("timesteps", [1, 2, 15, 1000])
@pytest.mark.parametrize("schedule", diffusion.SCHEDULES)
def test_signal_falls_within_its_range(schedule, timesteps):
    signal = diffusion.signal_shares(schedule, timesteps)
    assert signal.shape == (timesteps,)
    assert (np.diff(signal) < 0).all()
    assert ((signal > 0) & (signal < 1)).all()


@pytest.mark.parametrize("prediction", diffusion.PREDICTIONS)
def test_a_right_answer_means_the_image(prediction):
    rng = np.random.default_rng(0)
    x, noise = rng.normal(size=(2, 5, 3, 3, 1))
    signal = np.array([0.999, 0.7, 0.5, 0.1, 0.01])
    with jax.enable_x64(True):
        noisy = diffusion.add_noise(x, noise, signal)
        share = signal.reshape(5, 1, 1, 1)
        np.testing.assert_allclose(noisy, np.sqrt(share) * x + np.sqrt(1 - share) * noise)
        answer = diffusion.target(prediction, x, noise, signal)
        found = diffusion.PREDICTIONS[prediction].image(answer, noisy, share)
    np.testing.assert_allclose(found, x, atol=1e-12)
    wanted = {"epsilon": noise, "x0": x, "v": np.sqrt(share) * noise - np.sqrt(1 - share) * x}
    np.testing.assert_allclose(answer, wanted[prediction])


def test_unknown_names_are_told_the_nearest():
    with pytest.raises(UserError, match="unknown noise schedule 'cosin': did you mean 'cosine'"):
        diffusion.signal_shares("cosin", 10)
    with pytest.raises(UserError, match="unknown prediction 'epsilom': did you mean 'epsilon'"):
        diffusion.target("epsilom", None, None, jnp.zeros(1))


def test_chosen_steps_are_spread_and_begin_with_the_most_noise():
    np.testing.assert_array_equal(diffusion.chosen_steps(7, 7), [6, 5, 4, 3, 2, 1, 0])
    np.testing.assert_array_equal(diffusion.chosen_steps(1000, 4), [999, 749, 499, 249])
    for steps in (1, 3, 25, 999, 1000):
        chosen = diffusion.chosen_steps(1000, steps)
        assert chosen[0] == 999
        assert len(set(chosen.tolist())) == steps
        assert chosen[-1] >= 0


def test_ancestral_sampling_is_ho_jain_and_abbeels():
    # Their equation 7, with the mean and the variance of the posterior, in a loop of float64.
    signal, steps = diffusion.signal_shares("linear", 30), 30
    network = lambda x, t: 0.3 * jnp.sin(x) + 0.01 * t[:, None]
    with jax.enable_x64(True):
        start = jax.random.normal(KEY, (6, 2), jnp.float64)
        found, frames = diffusion.sample(network, KEY, start, signal, steps=steps, seen=2)
        draws = jax.random.split(KEY, steps)
        noise = [np.asarray(jax.random.normal(k, (6, 2), jnp.float64)) for k in draws]
    x, seen = np.asarray(start), []
    beta = 1 - np.append(signal[0], signal[1:] / signal[:-1])
    for t, z in zip(reversed(range(steps)), noise, strict=True):
        seen.append(x[:2])
        before = signal[t - 1] if t else 1.0
        said = 0.3 * np.sin(x) + 0.01 * t
        image = np.clip((x - np.sqrt(1 - signal[t]) * said) / np.sqrt(signal[t]), -1, 1)
        mean = (np.sqrt(before) * beta[t] * image + np.sqrt(1 - beta[t]) * (1 - before) * x) / (
            1 - signal[t]
        )
        x = mean + np.sqrt((1 - before) / (1 - signal[t]) * beta[t]) * z
    np.testing.assert_allclose(found, x, atol=1e-9)
    np.testing.assert_allclose(frames, seen, atol=1e-9)


MEAN, DEVIATION = 0.2, 0.15


def sampled_gaussian(steps, eta, prediction="v"):
    """Samples (20,000, 1) by the best answer for data N(MEAN, DEVIATION²), in closed form."""
    signal = diffusion.signal_shares("cosine", 1000)

    def network(x, t):
        share = jnp.asarray(signal, x.dtype)[t][:, None]
        gain = DEVIATION**2 * jnp.sqrt(share) / (share * DEVIATION**2 + 1 - share)
        image = MEAN + gain * (x - jnp.sqrt(share) * MEAN)
        noise = (x - jnp.sqrt(share) * image) / jnp.sqrt(1 - share)
        return diffusion.PREDICTIONS[prediction].target(image, noise, share)

    start = jax.random.normal(KEY, (20_000, 1))
    key = keys.named(KEY, "steps")
    return diffusion.sample(
        network, key, start, signal, steps=steps, prediction=prediction, eta=eta
    )[0]


@pytest.mark.parametrize("eta", [0.0, 1.0])
def test_with_the_best_answer_samples_come_to_have_the_datas_distribution(eta):
    # Steps that are not small lose variance, about half as much with twice the steps.
    made = {steps: sampled_gaussian(steps, eta) for steps in (50, 200, 1000)}
    lost = [abs(1 - np.std(x) / DEVIATION) for x in made.values()]
    assert lost[0] > 2 * lost[1] > 4 * lost[2]
    assert lost[2] < 0.02
    assert np.mean(made[1000]) == pytest.approx(MEAN, abs=0.005)


def test_samples_are_the_same_whatever_is_predicted():
    made = [sampled_gaussian(25, 0.0, prediction) for prediction in diffusion.PREDICTIONS]
    np.testing.assert_allclose(made[0], made[2], atol=1e-3)
    np.testing.assert_allclose(made[1], made[2], atol=1e-3)


def test_guidance_leads_away_from_the_unconditional_answer():
    a, b = jnp.array([1.0, 2.0]), jnp.array([0.0, 4.0])
    np.testing.assert_array_equal(diffusion.guided(a, b, 0.0), a)
    np.testing.assert_allclose(diffusion.guided(a, b, 1.5), [2.5, -1.0])


def test_named_right_counts_by_the_nearest_class():
    examples = np.array([[0.0, 0], [10, 0], [0, 10]])
    made = examples[[0, 1, 2, 1]] + 0.1
    found = sample_quality.named_right(made, np.array([0, 1, 2, 2]), examples, np.arange(3))
    assert found == 0.75


# Layers


def group_norm(x, scale, bias, groups, epsilon):
    """From the definition, float64."""
    x = np.asarray(x, np.float64)
    parts = x.reshape(len(x), -1, groups, x.shape[-1] // groups)
    normal = (parts - parts.mean((1, 3), keepdims=True)) / np.sqrt(
        parts.var((1, 3), keepdims=True) + epsilon
    )
    return normal.reshape(x.shape) * scale + bias


@pytest.mark.parametrize("groups", [1, 2, 6])
@pytest.mark.parametrize("offset", [0.0, 1000.0])
def test_group_norm_is_its_definition(groups, offset):
    rng = np.random.default_rng(0)
    x = (rng.normal(size=(3, 4, 5, 6)) * 2 + offset).astype(np.float32)
    scale, bias = rng.normal(size=(2, 6)).astype(np.float32)
    found = ops.group_norm(x, scale, bias, groups, 1e-5)
    wanted = group_norm(x, scale, bias, groups, 1e-5)
    np.testing.assert_allclose(found, wanted, atol=2e-3 if offset else 1e-5)


def test_group_norms_gradient_is_right():
    rng = np.random.default_rng(0)
    x, weight = rng.normal(size=(2, 2, 3, 4)), rng.normal(size=(2, 3, 4))[None]
    scale, bias = rng.normal(size=(2, 4))
    with jax.enable_x64(True):
        of = lambda x: (ops.group_norm(x, scale, bias, 2, 1e-5) * weight).sum()
        wanted = numeric.gradient(lambda x: (group_norm(x, scale, bias, 2, 1e-5) * weight).sum(), x)
        np.testing.assert_allclose(jax.grad(of)(jnp.asarray(x)), wanted, atol=1e-7)


def test_groups_that_do_not_divide_the_channels_are_refused():
    with pytest.raises(UserError, match="6 channels do not divide into 4 groups"):
        layers.GroupNorm(4).init(KEY, jnp.zeros((1, 2, 2, 6)))


def test_sinusoids_are_their_formula():
    found = layers.sinusoids(jnp.array([0, 7, 999]), 6)
    rate = np.array([1.0, 0.01, 1e-4])
    angle = np.array([[0], [7], [999]]) * rate
    np.testing.assert_allclose(found, np.hstack([np.sin(angle), np.cos(angle)]), atol=1e-5)
    with pytest.raises(ValueError, match="even number"):
        layers.sinusoids(jnp.zeros(1), 5)


# The U-Net


def inputs(size, channels, batch=1):
    one = jax.ShapeDtypeStruct((batch,), jnp.int32)
    return jax.ShapeDtypeStruct((batch, size, size, channels), jnp.float32), one, one


# The published one; the small one by hand: see the test of every layer below.
@pytest.mark.parametrize(
    "name, size, channels, count", [("ddpm_cifar10", 32, 3, 35_746_307), ("ddpm_8", 8, 1, 701_345)]
)
def test_unet_has_its_parameters_and_shape(name, size, channels, count):
    module = models.create(name)
    made, variables = jax.eval_shape(module.init_with_output, KEY, *inputs(size, channels, 2))
    assert made.shape == (2, size, size, channels)
    assert sum(x.size for x in jax.tree.leaves(variables["params"])) == count


class Reference:
    """The U-Net in NumPy float64, one operation after the other, for weights by name."""

    def __init__(self, params, width, groups):
        self.params = jax.tree.map(lambda x: np.asarray(x, np.float64), params)
        self.width, self.groups = width, groups

    def at(self, path):
        node = self.params
        for part in path.split("/"):
            node = node[part]
        return node

    silu = staticmethod(lambda x: x / (1 + np.exp(-x)))

    def dense(self, x, path):
        return x @ self.at(path)["kernel"] + self.at(path)["bias"]

    def norm(self, x, path):
        return group_norm(x, self.at(path)["scale"], self.at(path)["bias"], self.groups, 1e-6)

    def conv(self, x, path, stride=1, before=1):
        kernel = self.at(path)["kernel"]
        k, side = len(kernel), x.shape[1] // stride
        pad = (0, 0) if k == 1 else (before, 1)
        x = np.pad(x, ((0, 0), pad, pad, (0, 0)))
        found = np.zeros((len(x), side, side, kernel.shape[-1])) + self.at(path)["bias"]
        for i, j in np.ndindex(k, k):
            seen = x[:, i : i + stride * side : stride, j : j + stride * side : stride]
            found += seen @ kernel[i, j]
        return found

    def block(self, x, embedding, path):
        y = self.conv(self.silu(self.norm(x, f"{path}/norm_0")), f"{path}/conv_0")
        y = y + self.dense(self.silu(embedding), f"{path}/time")[:, None, None]
        y = self.conv(self.silu(self.norm(y, f"{path}/norm_1")), f"{path}/conv_1")
        return y + (self.conv(x, f"{path}/shortcut") if "shortcut" in self.at(path) else x)

    def attend(self, x, path):
        tokens = self.norm(x, f"{path}/norm").reshape(len(x), -1, x.shape[-1])
        maps = self.at(f"{path}/attention")
        # One head: its axis stands in the middle of kernels that go in, in front of those out.
        go = lambda name: tokens @ maps[name]["kernel"][:, 0] + maps[name]["bias"][0]
        q, k, v = go("query"), go("key"), go("value")
        share = numeric.softmax(q @ k.swapaxes(1, 2) / np.sqrt(q.shape[-1]))
        y = share @ v @ maps["out"]["kernel"][0] + maps["out"]["bias"]
        return x + y.reshape(x.shape)

    def __call__(self, x, t, label):
        half = self.width // 2
        angle = t[:, None] * 10000.0 ** (-np.arange(half) / (half - 1))
        embedding = np.hstack([np.sin(angle), np.cos(angle)])
        embedding = self.dense(self.silu(self.dense(embedding, "time_0")), "time_1")
        embedding = embedding + self.at("label/embedding")[label]
        stem = self.conv(x, "stem")
        large = self.block(stem, embedding, "down_0_0")
        half_size = self.conv(large, "halve_0", stride=2, before=0)
        small = self.attend(self.block(half_size, embedding, "down_1_0"), "down_1_0_attention")
        x = self.attend(self.block(small, embedding, "middle_0"), "middle_attention")
        x = self.block(x, embedding, "middle_1")
        for j, passed in enumerate((small, half_size)):
            x = self.block(np.concatenate([x, passed], -1), embedding, f"up_1_{j}")
            x = self.attend(x, f"up_1_{j}_attention")
        x = self.conv(x.repeat(2, 1).repeat(2, 2), "double_1")
        for j, passed in enumerate((large, stem)):
            x = self.block(np.concatenate([x, passed], -1), embedding, f"up_0_{j}")
        return self.conv(self.silu(self.norm(x, "norm")), "out")


def test_unet_is_the_published_one_layer_by_layer():
    fields = dict(width=4, multipliers=(1, 2), blocks=1, attention=(2,), groups=2, channels=1)
    module = models.create("ddpm", **fields, dropout=0.0, num_classes=3)
    x, t, label = (
        np.random.default_rng(0).normal(size=(2, 4, 4, 1)), np.array([0, 700]), np.array([1, 3]),
    )  # fmt: skip
    variables, apply = jax.jit(module.init)(KEY, x, t, label), jax.jit(module.apply)
    assert (apply(variables, x, t, label) == 0).all()  # it starts by saying nothing
    # Layers that start at 0 would hide what is in front of them.
    flat, rebuild = jax.flatten_util.ravel_pytree(variables["params"])
    params = rebuild(0.4 * jax.random.normal(KEY, flat.shape))
    found = apply({"params": params}, x, t, label)
    wanted = Reference(params, 4, 2)(x, t, label)
    np.testing.assert_allclose(found, wanted, atol=1e-5 * np.abs(wanted).max())


# The update


def small(**task):
    made = config.default()
    made.steps, made.batch_size, made.parallel.data = 4, 24, 1
    made.model = dict(name="ddpm_8", width=8, groups=2, multipliers=(1,), attention=())
    made.task = dict(name="diffusion", timesteps=20, sampling_steps=4, ancestral_steps=3, **task)
    return made


def test_first_loss_is_that_of_an_answer_of_nothing():
    # The last layer starts at 0, so the loss is the mean square of what was asked for.
    for prediction in diffusion.PREDICTIONS:
        built = experiment.create(small(prediction=prediction))
        state, key = built.init_state(), built.key
        _, found = jax.jit(built.task.train_step)(state, built.batch(0), key)
        images = 2 * np.asarray(built.batch(0)["image"], np.float64) - 1
        t = jax.random.randint(keys.named(key, "timestep"), (24,), 0, 20)
        noise = np.asarray(jax.random.normal(keys.named(key, "noise"), images.shape), np.float64)
        share = diffusion.signal_shares("linear", 20)[t].reshape(-1, 1, 1, 1)
        wanted = {
            "epsilon": noise, "x0": images,
            "v": np.sqrt(share) * noise - np.sqrt(1 - share) * images,
        }[prediction]  # fmt: skip
        loss = float(found["loss"].total / found["loss"].weight)
        assert loss == pytest.approx(np.square(wanted).mean(), rel=1e-5)


@functools.cache
def conditional(drop_label):
    """(experiment, state after four updates) of a model that knows classes."""
    made = small(classes=True, drop_label=drop_label, guidance=2.0 if drop_label else 0.0)
    made.optimizer.name = "adam"
    built = experiment.create(made)
    state, step = built.init_state(), jax.jit(built.task.train_step)
    # Layers that start at 0 let the first two updates' gradients of the table through to nothing.
    for i in range(4):
        state, _ = step(state, built.batch(i), keys.at_step(built.key, i))
    return built, state


def test_dropped_labels_are_learned_as_no_label():
    # Adam moves the rows of the table that any example looked at, and no others.
    start = conditional(0.0)[0].init_state()
    moved = {}
    for rate in (0.0, 1.0):
        table = conditional(rate)[1].params["label"]["embedding"]
        before = start.params["label"]["embedding"]
        moved[rate] = np.abs(table - before).max(axis=1) > 0
    assert moved[0.0].tolist() == [True] * 10 + [False]
    assert moved[1.0].tolist() == [False] * 10 + [True]


def test_samples_come_from_the_average():
    made = small()
    made.ema, made.optimizer.learning_rate = 0.9, 0.05
    built = experiment.create(made)
    state, _ = jax.jit(built.task.train_step)(built.init_state(), built.batch(0), built.key)
    score = lambda state: built.task.score(state, built.run.data.test, KEY)
    params, rest = state.average
    averaged = state._replace(average=None, params=params)
    assert score(state) == score(averaged)
    assert score(state) != score(state._replace(average=None))
    assert rest == {}


# Bad input


REFUSED = {
    "--config.task.schedule=cosin": "did you mean 'cosine'",
    "--config.task.prediction=eps": "unknown prediction 'eps'",
    "--config.task.sampler=ddin": "did you mean 'ddim'",
    "--config.task.classes=false": "config.task.guidance=1.0 needs a model that knows classes",
    "--config.task.drop_label=0": "set config.task.drop_label above 0",
    "--config.task.drop_label=2": "config.task.drop_label=2.0 must be at least 0 and at most 1",
    "--config.task.guidance=-1": "config.task.guidance=-1.0 must be at least 0",
    "--config.task.sampling_steps=21": "at most config.task.timesteps=20",
    "--config.task.timesteps=0": "config.task.timesteps=0 must be at least 1",
    "--config.model.channels=3": "config.model.channels=3 but the images have 1",
    "--config.model.multipliers=(1,1,1,1,1)": "a side must be a multiple of 16",
    "--config.model.groups=3": "width=8 must be even and a multiple of groups=3",
    "--config.data.name=none": "has none",
}


@pytest.mark.parametrize("argument", REFUSED)
def test_bad_setting_is_one_clear_line(argument, tmp_path, capsys):
    assert run("ddpm", tmp_path / "run", *TINY, argument) == 2
    said = capsys.readouterr().err.strip()
    assert said.startswith("error: ")
    assert "\n" not in said
    assert REFUSED[argument] in said
    assert not (tmp_path / "run").exists()


def test_a_model_that_knows_no_timesteps_is_refused():
    made = small()
    made.model = dict(name="mlp")
    with pytest.raises(UserError, match="such as 'ddpm', not 'mlp'"):
        experiment.create(made)


def test_a_model_of_other_classes_is_refused():
    made = small(classes=True)
    made.model.num_classes = 3
    with pytest.raises(UserError, match="num_classes=3 must be 10"):
        experiment.create(made)


# Runs


def test_run_leaves_its_figures_and_pictures(finished):
    finished = finished("ddpm")
    found = summary(finished)
    assert found["steps"] == 12
    for name in ("two_sample_accuracy", "ancestral_two_sample_accuracy", "named_right"):
        assert 0 <= found["final"][name] <= 1
    assert found["final"]["copies"] > 0
    assert found["final"]["fid/digits"] > 0
    assert np.isfinite(found["final"]["loss"])
    assert [line["step"] for line in figures(finished, "train")] == [3, 6, 9, 12]
    page = (finished / "report.html").read_text()
    for heading in ("Denoising", "Generated, and nearest in training", "Gradient flow"):
        assert f"<h2>{heading}</h2>" in page
    assert list(finished.glob("samples/step_*/samples.png"))


def test_evaluate_mode_gives_the_best_figures(finished, capsys):
    finished = finished("ddpm")
    capsys.readouterr()
    assert run("ddpm", finished, *WHOLE, "--mode=evaluate") == 0
    said, best = capsys.readouterr().out, summary(finished)["best"]
    for name in ("two_sample_accuracy", "ancestral_two_sample_accuracy", "named_right"):
        assert f"{name} {best[name]:.4f}" in said


def test_sample_mode_makes_the_same_picture_again(finished, capsys):
    finished = finished("ddpm")
    capsys.readouterr()
    assert run("ddpm", finished, *WHOLE, "--mode=sample") == 0
    assert f"sample {finished / 'samples' / 'samples.png'}" in capsys.readouterr().out
    picture = (finished / "samples" / "samples.png").read_bytes()
    assert run("ddpm", finished, *WHOLE, "--mode=sample") == 0
    assert (finished / "samples" / "samples.png").read_bytes() == picture


# Of what an evaluation draws, the least.
PLAIN = (*TINY, "--config.task.ancestral_steps=0", "--config.task.classes=false",
         "--config.task.guidance=0", "--config.steps=4", "--config.eval.every=4")  # fmt: skip


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """The folder of a run of 4 updates on one device, by plain gradient descent."""
    folder = tmp_path_factory.mktemp("plain")
    assert run("ddpm", folder, *PLAIN, "--config.optimizer.name=sgd") == 0
    return folder


@pytest.mark.slow("ddpm", "jaxdl/parallel/")
def test_eight_devices_learn_what_one_does(plain, tmp_path):
    flags = (*PLAIN, "--config.optimizer.name=sgd", "--config.parallel.data=8")
    assert run("ddpm", tmp_path, *flags) == 0
    for a, b in zip(leaves(plain), leaves(tmp_path), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=max(1e-5 * np.abs(a).max(), 1e-6))
