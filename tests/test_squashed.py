"""A Gaussian squashed by tanh: densities and entropies in float64, and agents that act by it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny
from launching import figures, run
from scipy import stats

from jaxdl import envs, keys
from jaxdl.control.policies import Gaussian, SquashedGaussian
from jaxdl.control.rollouts import Agent

MEANS, LOG_STDS = np.array([[0.0, -1.3], [2.5, 0.4], [-6.0, 0.1]]), np.array([-0.7, 0.9])


def log_density(x, mean, log_std):
    """Of tanh x where x is normal: by 1 - tanh² x = cosh⁻² x, in float64."""
    return stats.norm.logpdf(x, mean, np.exp(log_std)) + 2 * np.log(np.cosh(x))


@pytest.mark.usefixtures("explicit")
def test_log_probabilities_are_those_of_the_squashed_action():
    x = MEANS + np.exp(LOG_STDS) * np.random.default_rng(0).normal(size=(40, 3, 2))
    found = SquashedGaussian(jnp.float32(MEANS)[None], jnp.float32(LOG_STDS)).log_prob(
        jnp.float32(x)
    )
    np.testing.assert_allclose(found, log_density(x, MEANS, LOG_STDS).sum(-1), rtol=2e-6, atol=5e-6)


def test_a_density_adds_up_to_one_over_the_range():
    one = SquashedGaussian(jnp.float32([0.4]), jnp.float32([-0.2]))
    a = np.linspace(-1, 1, 20001)[1:-1]
    density = np.exp(one.log_prob(jnp.float32(np.arctanh(a))[:, None]))
    assert np.trapezoid(density, a) == pytest.approx(1, abs=1e-4)


@pytest.mark.usefixtures("explicit")
def test_what_is_far_out_has_a_density_and_a_gradient():
    # Here tanh is 1 in float32, and no x could be found of it again.
    x = jnp.float32([[30.0], [-30.0]])
    value = lambda mean: SquashedGaussian(mean, jnp.zeros(1)).log_prob(x).sum()
    mean = jnp.float32([[29.0], [-31.0]])
    wanted = log_density(np.float64(x), np.float64(mean), 0.0).sum()
    np.testing.assert_allclose(value(mean), wanted, rtol=1e-6)
    np.testing.assert_allclose(jax.grad(value)(mean), x - mean, rtol=1e-6)


def entropy(mean, log_std):
    """``-∫ p log p`` over x, on a grid so fine that the trapezoid rule is exact in float64."""
    std = np.exp(log_std)
    x = np.linspace(mean - 12 * std, mean + 12 * std, 20001)
    return np.trapezoid(-stats.norm.pdf(x, mean, std) * log_density(x, mean, log_std), x)


@pytest.mark.usefixtures("explicit")
def test_entropies_and_their_gradients():
    of = lambda mean, log_std: SquashedGaussian(mean, log_std).entropy()
    wanted = [sum(map(entropy, row, LOG_STDS)) for row in MEANS]
    args = jnp.float32(MEANS), jnp.float32(LOG_STDS)
    np.testing.assert_allclose(of(*args), wanted, atol=3e-5)
    by_mean, by_std = jax.grad(lambda *args: of(*args).sum(), argnums=(0, 1))(*args)
    slope = lambda f, x, h=1e-3: (f(x + h) - f(x - h)) / (2 * h)
    wide = slope(lambda s: sum(entropy(m, s) for m in MEANS[:, 1]), LOG_STDS[1])
    assert float(by_std[1]) == pytest.approx(wide, abs=1e-3)
    assert float(by_mean[1, 0]) == pytest.approx(
        slope(lambda m: entropy(m, LOG_STDS[0]), MEANS[1, 0]), abs=1e-3
    )
    # A plain Gaussian's grows without end; squashed, nothing is wider than even.
    assert float(of(jnp.zeros((1, 1)), jnp.float32([0.0]))[0]) < np.log(2)


def test_the_environment_is_told_what_was_squashed():
    env = envs.create("pendulum")
    drawn = jnp.float32([[-9.0], [0.3], [2.0]])
    by = {kind: Agent(None, env, kind).done(drawn)[:, 0] for kind in (Gaussian, SquashedGaussian)}
    np.testing.assert_allclose(by[Gaussian], [-2, 0.6, 2], rtol=1e-6)
    np.testing.assert_allclose(by[SquashedGaussian], 2 * np.tanh([-9, 0.3, 2]), rtol=1e-6)
    assert Agent(None, envs.create("cartpole"), Gaussian).done(1) == 1


def test_draws_are_as_likely_as_they_are_said_to_be():
    one = SquashedGaussian(jnp.float32([0.5]), jnp.float32([0.2]))
    noise = one.noise(keys.root(0), (20000, 1))
    actions = np.asarray(one.units(one.sample(noise)))[:, 0]
    below = stats.norm.cdf(np.arctanh(np.array([-0.5, 0.2, 0.8])), 0.5, np.exp(0.2))
    shares = [(actions < a).mean() for a in (-0.5, 0.2, 0.8)]
    np.testing.assert_allclose(shares, below, atol=5 * 0.5 / 20000**0.5)


@pytest.mark.slow("ppo", "a2c", "jaxdl/control/", "jaxdl/envs/")
@pytest.mark.parametrize("experiment", ["ppo:pendulum", "a2c"])
def test_agents_learn_with_it(experiment, tmp_path):
    flags = ("--config.task.env=pendulum", "--config.task.continuous=squashed")
    once = ("--config.log.every=1", "--config.steps=2", "--config.eval.every=2")
    assert run(experiment, tmp_path, *tiny.FLAGS[experiment], *flags, *once) == 0
    first = figures(tmp_path, "train")[0]
    # Before any update, of a mean near 0 and a deviation of 1.
    assert first["entropy"] == pytest.approx(entropy(0.0, 0.0), abs=0.05)
    assert first["reward"] < 0


@pytest.mark.parametrize(
    "flag, message",
    [
        ("continuous=squashed", "'squashed' is of continuous actions, and environment 'cartpole'"),
        ("continuous=squash", "unknown distribution in config.task.continuous 'squash': did you"),
    ],
)
def test_refusals(flag, message, tmp_path, capsys):
    assert run("ppo", tmp_path / "run", *tiny.FLAGS["ppo"], f"--config.task.{flag}") == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
