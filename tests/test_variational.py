"""Variational autoencoders: the bound against exact likelihoods, the update, and runs."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny
from launching import figures, run, summary
from scipy.special import logsumexp
from scipy.stats import multivariate_normal, norm
from sklearn.metrics import roc_auc_score
from test_autoencoders import assert_same, first, relu_layers

from jaxdl import config, experiment, keys, models
from jaxdl.errors import UserError
from jaxdl.train.evaluate import Evaluator

KEY = keys.root(0)
TINY = tiny.FLAGS["vae"]


def small(**changed):
    """(experiment, state at its start) of a tiny variational autoencoder of digits."""
    made = config.default()
    made.steps, made.batch_size, made.parallel.data = 4, 24, 1
    made.model = dict(name="vae", hidden=(16,), latent=3, variance="pixel")
    made.task = dict(name="variational", levels=17)
    made.optimizer.update(name="sgd", learning_rate=1e-3, schedule="constant")
    made.log.layers, made.eval.best = False, "elbo"
    with made.ignore_type():
        made.update_from_flattened_dict(changed)
    built = experiment.create(made)
    return built, built.init_state()


# The model


@pytest.mark.parametrize("variance", ["pixel", "image", "shared"])
def test_vae_is_its_layers_one_after_the_other(variance):
    fields = dict(shape=(2, 3, 2), latent=4, hidden=(8, 6), variance=variance)
    module = models.create("vae", **fields)
    x = np.random.default_rng(0).random((5, 2, 3, 2)).astype(np.float32)
    params = module.init(KEY, x)["params"]
    noise = np.random.default_rng(1)  # no bias is 0, and no two variances are the same
    params = jax.tree.map(lambda p: p + 0.1 * noise.normal(size=p.shape).astype(p.dtype), params)
    wide = relu_layers(x.reshape(5, 12).astype(np.float64), params["encoder"])
    encoded = module.apply({"params": params}, x, method="encode")
    np.testing.assert_allclose(encoded, (wide[:, :4], wide[:, 4:]), atol=1e-5)
    made = relu_layers(wide[:, :4], params["decoder"])
    if variance == "image":
        made = made.reshape(5, 2, 3, 4)
        wanted = made[..., :2], made[..., 2:]
    else:
        made = made.reshape(5, 2, 3, 2)
        assert params["log_variance"].shape == ((12,) if variance == "pixel" else (1,))
        each = np.broadcast_to(params["log_variance"], 12).reshape(2, 3, 2)
        wanted = made, np.broadcast_to(each, made.shape)
    decoded = module.apply({"params": params}, encoded[0], method="decode")
    np.testing.assert_allclose(decoded, wanted, atol=1e-5)


# The bound


def linear(exact):
    """A factor analysis of the digits as a VAE without hidden layers.

    Args:
      exact: whether the encoder gives the posterior.

    Returns:
      The experiment, the state, and the log-density of images (n, 64), in float64.
    """
    built, state = small(**{"model.hidden": (), "task.samples": 4, "task.levels": 0})
    rng = np.random.default_rng(0)
    variance = rng.uniform(0.05, 0.2, 64)
    # Columns that are orthogonal under the noise: the posterior's dimensions are independent.
    basis = np.linalg.qr(rng.normal(size=(64, 3)))[0] * [1.0, 2.0, 3.0]
    loading, centre = basis * np.sqrt(variance)[:, None], rng.uniform(0, 0.5, 64)
    precision = 1 + np.square([1.0, 2.0, 3.0])
    to_code = (loading / variance[:, None]) / precision
    spread = -np.log(precision) + (0.0 if exact else 1.0)
    head = lambda kernel, bias: {
        "head": {"kernel": jnp.asarray(kernel, jnp.float32), "bias": jnp.asarray(bias, jnp.float32)}
    }
    zeros = np.zeros_like(to_code)
    params = {
        "encoder": head(np.hstack([to_code, zeros]), np.append(-centre @ to_code, spread)),
        "decoder": head(loading.T, centre),
        "log_variance": jnp.asarray(np.log(variance), jnp.float32),
    }
    assert jax.tree.map(jnp.shape, params) == jax.tree.map(jnp.shape, dict(state.params))
    density = multivariate_normal(centre, loading @ loading.T + np.diag(variance))
    return built, state._replace(params=params), density.logpdf


@pytest.mark.parametrize("exact", [True, False])
def test_bounds_of_a_linear_model_lie_below_its_exact_log_density_and_reach_it(exact):
    built, state, log_density = linear(exact)
    found = Evaluator(built)(state)
    truth = log_density(built.run.data.test.arrays["image"].reshape(-1, 64)).mean()
    assert found["elbo"] == pytest.approx(found["log_likelihood"] - found["kl"], abs=1e-4)
    if exact:  # any draw of the code then says the same
        assert found["importance_weighted"] == pytest.approx(truth, abs=1e-3)
        # The divergence in closed form, the rest by a draw.
        assert found["elbo"] == pytest.approx(truth, abs=0.3)
    else:
        # A deviation √e too wide costs KL(q ‖ p) = (e - 2) / 2 a dimension.
        assert found["elbo"] == pytest.approx(truth - 1.5 * (np.e - 2), abs=0.3)
        assert found["elbo"] + 0.5 < found["importance_weighted"] < truth


def test_update_lowers_the_bound_of_float64():
    built, state = small(**{"task.beta": 3.0, "model.variance": "image"})
    batch, found, _ = first(built, state)
    images = np.asarray(batch["image"], np.float64)
    noise = np.asarray(jax.random.uniform(keys.named(KEY, "levels"), images.shape), np.float64)
    images = (images * 16 + noise) / 17
    encoded = relu_layers(images.reshape(24, 64), state.params["encoder"])
    mean, log_variance = encoded[:, :3], encoded[:, 3:]
    noise = np.asarray(jax.random.normal(keys.named(KEY, "code"), (24, 3)), np.float64)
    code = mean + np.exp(log_variance / 2) * noise
    made = relu_layers(code, state.params["decoder"]).reshape(24, 8, 8, 2)
    likely = norm.logpdf(images, made[..., :1], np.exp(made[..., 1:] / 2)).sum((1, 2, 3))
    kl = (mean**2 + np.exp(log_variance) - 1 - log_variance).sum(1) / 2
    wanted = {
        "loss": 3 * kl - likely, "elbo": likely - kl, "log_likelihood": likely, "kl": kl,
    }  # fmt: skip
    for name, values in wanted.items():
        assert found[name] == pytest.approx(values.mean(), rel=1e-4)


def test_importance_weighted_bound_is_burda_grosse_and_salakhutdinovs():
    built, state = small(**{"task.samples": 3, "data.test_fraction": 0.1})
    test, key = built.run.data.test, jax.random.fold_in(keys.named(built.key, "eval"), 0)
    images = test.arrays["image"].astype(np.float64)
    assert len(test) <= built.config.eval.batch_size  # one batch
    noise = np.asarray(jax.random.uniform(keys.named(key, "levels"), images.shape), np.float64)
    images = (images * 16 + noise) / 17
    encoded = relu_layers(images.reshape(len(test), 64), state.params["encoder"])
    mean, log_variance = encoded[:, :3], encoded[:, 3:]
    weights = []
    for draw in jax.random.split(key, 3):
        noise = np.asarray(jax.random.normal(keys.named(draw, "code"), mean.shape), np.float64)
        code = mean + np.exp(log_variance / 2) * noise
        made = relu_layers(code, state.params["decoder"])
        deviation = np.exp(np.asarray(state.params["log_variance"], np.float64).ravel() / 2)
        likely = norm.logpdf(images.reshape(len(test), 64), made, deviation).sum(1)
        posterior = norm.logpdf(code, mean, np.exp(log_variance / 2)).sum(1)
        weights.append(likely + norm.logpdf(code).sum(1) - posterior)
    wanted = logsumexp(weights, axis=0).mean() - np.log(3)
    assert Evaluator(built)(state)["importance_weighted"] == pytest.approx(wanted, rel=1e-4)


def test_anomaly_is_told_by_the_bound():
    built, state = small(**{"data.anomaly": "1"})
    test = built.run.data.test
    assert 0 < built.task.score(state, test, KEY)["auroc"] < 1
    # Images that the model says nothing of but their variance: the brighter, the less likely.
    state = state._replace(params=jax.tree.map(jnp.zeros_like, state.params))
    bright = np.square(test.arrays["image"] * 16 / 17 + 1 / 34).sum(axis=(1, 2, 3))
    wanted = roc_auc_score(test.labels == 1, bright)
    assert built.task.score(state, test, KEY)["auroc"] == pytest.approx(wanted, abs=0.02)


def test_eight_devices_learn_what_one_does():
    assert_same(*(first(*small(**{"parallel.data": n})) for n in (1, 8)))


def test_bf16_computes_in_bf16_over_float32_parameters():
    (_, a, _), (_, b, state) = (first(*small(precision=p)) for p in ("float32", "bf16"))
    assert all(x.dtype in (np.float32, np.int32) for x in jax.tree.leaves(state))
    assert a["loss"] != b["loss"]
    assert a["loss"] == pytest.approx(b["loss"], rel=0.02)


# Bad input


REFUSED = {
    "--config.model.latent=0": "latent=0",
    "--config.model.variance=pixels": "did you mean 'pixel'",
    "--config.task.beta=-1": "config.task.beta=-1.0 must be at least 0",
    "--config.task.levels=1": "config.task.levels=1 must be at least 2, or 0 for none",
    "--config.task.samples=-1": "config.task.samples=-1 must be at least 0",
    "--config.data.name=none": "has none",
}


@pytest.mark.parametrize("argument", REFUSED)
def test_bad_setting_is_one_clear_line(argument, tmp_path, capsys):
    assert run("vae", tmp_path / "run", *TINY, argument) == 2
    said = capsys.readouterr().err.strip()
    assert said.startswith("error: ")
    assert "\n" not in said
    assert REFUSED[argument] in said
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("name", ["mlp", "autoencoder"])
def test_a_model_that_gives_no_distributions_is_refused(name):
    with pytest.raises(UserError, match=f"such as 'vae', not '{name}'"):
        small(**{"model": dict(name=name)})


# Runs


def test_run_leaves_its_figures_and_pictures(finished):
    finished = finished("vae")
    found = summary(finished)
    assert found["steps"] == 12
    last = found["final"]
    assert last["elbo"] == pytest.approx(last["log_likelihood"] - last["kl"], rel=1e-4)
    assert last["importance_weighted"] > last["elbo"]
    assert found["best"]["elbo"] >= last["elbo"]
    assert [line["step"] for line in figures(finished, "train")] == [3, 6, 9, 12]
    page = (finished / "report.html").read_text()
    for heading in ("Reconstructions", "Most anomalous", "Between two images", "Codes by class",
                    "samples over the run", "Gradient flow"):  # fmt: skip
        assert f"<h2>{heading}</h2>" in page


def test_evaluate_and_sample_modes(finished, capsys):
    capsys.readouterr()
    finished, flags = finished("vae"), tiny.of_finished("vae")
    assert run("vae", finished, *flags, "--mode=evaluate") == 0
    said, best = capsys.readouterr().out, summary(finished)["best"]
    for name in ("elbo", "importance_weighted", "kl"):
        assert f"{name} {best[name]:.4f}" in said
    assert run("vae", finished, *flags, "--mode=sample") == 0
    file = finished / "samples" / "samples.png"
    assert f"sample {file}" in capsys.readouterr().out
    picture = file.read_bytes()
    assert run("vae", finished, *flags, "--mode=sample") == 0
    assert file.read_bytes() == picture
