"""PPO: its pieces against their definitions, and whole runs through the real launcher."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny
from launching import figures, leaves, run, summary

from jaxdl import envs, keys, models
from jaxdl.control import returns
from jaxdl.report import draw
from jaxdl.tasks import ppo
from jaxdl.tasks.shared import episodes

TINY = (*tiny.FLAGS["ppo"], "--config.log.every=1", "--config.eval.every=2")


def mesh(**sizes):
    return tuple(f"--config.parallel.{name}={value}" for name, value in sizes.items())


def assert_close(ours, theirs):
    """Within 1e-4 of each array's largest number: rounding that 16 updates made larger."""
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=max(1e-4 * np.abs(a).max(), 1e-6))


def test_the_model_is_what_its_page_says():
    module = models.create("actor_critic", actions=2)
    x = jax.random.normal(keys.root(0), (5, 3, 4))
    variables = module.init(keys.root(1), x)
    assert sum(p.size for p in jax.tree.leaves(variables)) == 9155
    logits, value = module.apply(variables, x)
    assert logits.shape == (5, 3, 2)
    assert value.shape == (5, 3)
    assert jnp.abs(logits).max() < 0.1  # all actions are alike at first
    params = variables["params"]
    for name, gain in (("policy_1", 2**0.5), ("value_1", 2**0.5), ("policy_head", 0.01)):
        w = params[name]["kernel"]
        np.testing.assert_allclose(w.T @ w, gain**2 * np.eye(w.shape[1]), atol=1e-5)
    # Nothing that the value's loss changes is seen by the policy, and the other way round.
    by_value = jax.grad(lambda p: module.apply({"params": p}, x)[1].sum())(params)
    moved = {name for name, layer in by_value.items() if any(map(jnp.any, layer.values()))}
    assert moved == {"value_0", "value_1", "value_head"}


def test_a_continuous_policy_has_one_deviation_in_all_states():
    module = models.create("actor_critic", action_size=2, log_std=-0.5)
    variables = module.init(keys.root(1), jnp.zeros((1, 3)))
    (mean, log_std), value = module.apply(variables, jnp.ones((7, 3)))
    assert (mean.shape, log_std.shape, value.shape) == ((7, 2), (2,), (7,))
    np.testing.assert_array_equal(log_std, [-0.5, -0.5])


@pytest.mark.usefixtures("explicit")
def test_the_values_loss_is_the_larger_of_two():
    batch = {"value": jnp.zeros(4), "target": jnp.float32([1, 1, -1, 0.1])}
    value = jnp.float32([0.1, 0.5, 0.5, 0.5])
    free = (value - batch["target"]) ** 2 / 2
    np.testing.assert_allclose(ppo.clipped_value_loss(value, batch, 0.0), free)
    held = jnp.float32([0.1, 0.2, 0.2, 0.2])
    wanted = np.maximum(free, (held - batch["target"]) ** 2 / 2)
    np.testing.assert_allclose(ppo.clipped_value_loss(value, batch, 0.2), wanted)
    assert (wanted != free).any()


@pytest.mark.usefixtures("explicit")
def test_advantages_are_normalised_over_all_environments():
    x = 3 + 5 * jax.random.normal(keys.root(0), (8, 6))
    found = returns.normalised(x)
    np.testing.assert_allclose(found, (x - np.mean(x)) / np.std(x), rtol=1e-4, atol=1e-5)


def test_a_run_leaves_everything_it_promises(finished):
    folder = finished("ppo")
    found = summary(folder)
    assert found["steps"] == 4
    assert np.isfinite(found["final"]["mean_return"])
    assert found["examples_per_second"] == pytest.approx(16 * 16 * 4 / found["train_seconds"])
    train = figures(folder, "train")
    assert [line["step"] for line in train] == [1, 2, 3, 4]
    for line in train:
        assert line["approximate_kl"] >= 0
        assert 0 <= line["clip_fraction"] <= 1
        assert line["loss"] is not None
    assert [line["step"] for line in figures(folder, "eval")] == [2, 4]
    page = (folder / "report.html").read_text()
    for heading in ("Curves", "Episode", "Gradient flow", "Parameters", "Settings"):
        assert f"<h2>{heading}</h2>" in page


def test_returns_of_finished_episodes_are_reported(tmp_path):
    run("ppo", tmp_path / "run", *TINY, "--config.log.every=4", "--config.eval.every=4")
    (line,) = figures(tmp_path / "run", "train")
    # A CartPole gives 1 a step: an episode's return is its length, and no end is below 8 steps.
    assert line["episode_return"] == pytest.approx(line["episode_length"])
    assert 8 <= line["episode_length"] <= 64


def test_the_learning_rate_falls_over_all_optimizer_updates(finished):
    folder = finished("ppo")
    peak = json.loads((folder / "config.json").read_text())["optimizer.learning_rate"]
    rates = [line["learning_rate"] for line in figures(folder, "train")]
    # Four optimizer updates a step, 16 in all: the mean of each four.
    wanted = [peak * np.mean([1 - (4 * i + j) / 16 for j in range(4)]) for i in range(4)]
    np.testing.assert_allclose(rates, wanted, rtol=1e-5)


PRECISE = (*TINY, "--config.parallel.fsdp_min_size=64", "--config.precision=float32")
MESHES = {
    "data": dict(data=8),
    "pmap": dict(data=8, strategy="pmap"),
    "fsdp": dict(data=2, fsdp=4),
}


@pytest.fixture(scope="module")
def on_one_device(tmp_path_factory):
    """Runs on a single device, made once a variant."""
    made = {}

    def get(variant):
        if variant not in made:
            made[variant] = tmp_path_factory.mktemp("one") / "run"
            assert run(f"ppo:{variant}", made[variant], *PRECISE) == 0
        return made[variant]

    return get


@pytest.mark.parametrize(
    "variant, name",
    (
        pytest.param("cartpole", "data", marks=pytest.mark.slow("ppo", "jaxdl/parallel/")),
        ("cartpole", "fsdp"),
        pytest.param("pendulum", "pmap", marks=pytest.mark.slow("ppo", "jaxdl/parallel/")),
    ),
)
def test_devices_change_no_number(variant, name, on_one_device, tmp_path):
    one, many = on_one_device(variant), tmp_path / "run"
    assert run(f"ppo:{variant}", many, *PRECISE, *mesh(**MESHES[name])) == 0
    assert_close(leaves(one), leaves(many))
    for a, b in zip(figures(one, "train"), figures(many, "train"), strict=True):
        assert a.keys() == b.keys()
        for figure in ("loss", "entropy", "value_loss", "episode_return"):
            assert a[figure] == (b[figure] and pytest.approx(b[figure], rel=1e-3, abs=1e-4))


def test_microbatches_change_no_number(on_one_device, tmp_path):
    run("ppo", tmp_path / "four", *PRECISE, "--config.accumulate=4")
    assert_close(leaves(on_one_device("cartpole")), leaves(tmp_path / "four"))


def test_before_any_update_the_policy_is_the_one_that_acted(tmp_path):
    once = ("--config.task.epochs=1", "--config.task.minibatches=1", "--config.log.layers=false")
    run("ppo:pendulum", tmp_path / "run", *TINY, *once)
    for line in figures(tmp_path / "run", "train"):
        # All ratios are 1, so the policy's loss is that of mean normalised advantage: 0.
        assert line["approximate_kl"] == pytest.approx(0, abs=1e-6)
        assert line["policy_loss"] == pytest.approx(0, abs=1e-5)
        assert line["clip_fraction"] == 0
        assert line["gradient_norm"] > 0


def test_it_learns(tmp_path):
    flags = ("--config.steps=30", "--config.batch_size=64", "--config.eval.every=30")
    assert run("ppo", tmp_path / "run", *flags) == 0
    assert summary(tmp_path / "run")["final"]["mean_return"] > 100  # pushing at random: 22


def test_evaluation_afterwards_gives_the_same_return(finished, capsys):
    folder = finished("ppo")
    capsys.readouterr()
    assert run("ppo", folder, *tiny.of_finished("ppo"), "--mode=evaluate") == 0
    assert f"{summary(folder)['best']['mean_return']:.4f}" in capsys.readouterr().out


@pytest.mark.parametrize(
    "flags, message",
    (
        (("--config.task.env=cartpol",), "did you mean 'cartpole'"),
        (("--config.task.rollout=0",), "config.task.rollout=0 must be at least 1"),
        (("--config.task.epochs=0",), "config.task.epochs=0 must be at least 1"),
        (("--config.task.minibatches=3",), "minibatches=3 does not divide config.task.rollout=16"),
        (("--config.task.discount=1.5",), "discount=1.5 must be at least 0 and at most 1"),
        (("--config.task.clip_ratio=0",), "clip_ratio=0.0 must be above 0"),
        (("--config.model.actions=3",), "config.model has no key 'actions'"),  # the task's to say
        (("--config.data.name=digits",), "needs data.name='none'"),
        (("--config.batch_size=12", "--config.parallel.data=8"), "does not divide over 8 devices"),
    ),
)
def test_bad_input_is_one_line(flags, message, tmp_path, capsys):
    assert run("ppo", tmp_path / "run", *TINY, *flags) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert message in lines[-1]


def test_a_film_has_no_more_frames_than_the_episode_has_steps():
    env = envs.create("cartpole")
    states = np.zeros((501, 4), np.float32)
    short, long = (episodes._frames(env, states, n, float(n)) for n in (3, 500))
    assert isinstance(short, draw.Picture)
    assert "3 steps, return 3.0" in short.caption
    assert len(short.data) < len(long.data)
