"""Deep Q-learning: the replay buffer, the update's goal, and runs by the launcher."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny
from launching import figures, leaves, run, summary

from jaxdl import keys
from jaxdl.control import replay

TINY = tiny.FLAGS["dqn"]


@pytest.mark.usefixtures("explicit")
def test_the_buffer_keeps_the_newest_of_each_environment():
    environments, capacity, time = 3, 8, 4
    like = {"x": jax.ShapeDtypeStruct((2,), jnp.float32)}
    made = replay.create(like, environments, capacity)
    history = np.random.default_rng(0).standard_normal((20, environments, 2)).astype(np.float32)
    for start in range(0, 20, time):
        made = replay.add(made, {"x": jnp.asarray(history[start : start + time])})
        kept = history[max(0, start + time - capacity) : start + time]
        for i in range(environments):
            filled = np.asarray(made.content["x"][i])[: min(start + time, capacity)]
            expected = kept[:, i]
            np.testing.assert_array_equal(np.sort(filled, axis=0), np.sort(expected, axis=0))
    assert made.added.tolist() == [20, 20, 20]
    assert made.capacity == capacity


@pytest.mark.usefixtures("explicit")
def test_draws_are_even_and_of_each_environments_own():
    environments, capacity = 2, 8
    made = replay.create(jax.ShapeDtypeStruct((), jnp.int32), environments, capacity)
    # Six of eight places are filled, by 0 … 5 and 100 … 105.
    made = replay.add(made, jnp.add.outer(jnp.arange(6), jnp.array([0, 100])))
    drawn = replay.sample(made, jax.random.split(keys.root(0), environments), 6000)
    own = np.asarray(drawn).reshape(environments, 6000)
    for i in range(environments):
        values, counts = np.unique(own[i] - 100 * i, return_counts=True)
        assert values.tolist() == [0, 1, 2, 3, 4, 5]
        # Five standard deviations of a binomial count.
        assert np.abs(counts - 1000).max() < 5 * np.sqrt(6000 * 1 / 6 * 5 / 6)


@pytest.mark.parametrize("double", [True, False])
def test_the_goal_is_the_published_one(double):
    """``r + γ q_target(s', a')``, a' by the learner where double; nothing after a termination."""
    from jaxdl import config, tasks
    from jaxdl.data import Data

    chosen = config.default()
    chosen.update(batch_size=4, steps=5, precision="float32")
    with chosen.unlocked():
        chosen.task = dict(
            name="dqn", rollout=2, updates=1, examples=8, capacity=8, double=double, discount=0.9,
            target_rate=0.25, reward_scale=0.5,
        )  # fmt: skip
        chosen.model = dict(name="mlp", hidden=(5,))
        chosen.data.name = "none"
    chosen.optimizer.update(name="sgd", schedule="constant", learning_rate=0.1)
    task = tasks.create(tasks.Run(chosen, Data(), 5, None))
    before = task.init(keys.root(3), {})
    # A target of its own, so that it matters which network chooses.
    before = before._replace(target=jax.tree.map(lambda x: x + 0.3, before.target))
    # The clock ends the first episode at once: its last state's value counts like any other.
    ends = before.envs.steps.at[0].set(499)
    before = before._replace(envs=before.envs._replace(steps=ends))
    after, found = jax.jit(task.train_step)(before, {}, keys.root(4))

    def q(params, x):
        p = jax.tree.map(np.float64, params)
        names = sorted(p)
        hidden = next(n for n in names if n != "head")
        inner = np.maximum(x @ p[hidden]["kernel"] + p[hidden]["bias"], 0)
        return inner @ p["head"]["kernel"] + p["head"]["bias"]

    np.testing.assert_array_equal(after.envs.steps, [1, 2, 2, 2])
    assert not after.replay.content["terminated"].any()
    # The buffer holds all 8 transitions; the batch is drawn from them with replacement, so that
    # the loss is a mean of errors among these.
    seen = jax.tree.map(lambda x: np.asarray(x).reshape(8, *x.shape[2:]), after.replay.content)
    learner, target = before.learner.params, before.target
    following = q(target, seen["next_observation"])
    best = (q(learner, seen["next_observation"]) if double else following).argmax(-1)
    goal = 0.5 * seen["reward"] + 0.9 * np.where(
        seen["terminated"], 0, following[np.arange(8), best]
    )
    value = q(learner, seen["observation"])[np.arange(8), seen["action"]]
    size = np.abs(value - goal)
    errors = np.where(size < 1, size**2 / 2, size - 0.5)
    counts = solve_counts(errors, float(found["loss"].total), value, float(found["value"].total))
    assert counts is not None
    moved = jax.tree.map(lambda t, p: t + 0.25 * (p - t), before.target, after.learner.params)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-6), after.target, moved)


def solve_counts(errors, loss, values, value):
    """How often each transition was drawn, two of each environment: what gives both sums."""
    pairs = [(i, j) for i in range(2) for j in range(i, 2)]
    for choice in np.ndindex(*[len(pairs)] * 4):
        drawn = [2 * env + k for env, c in enumerate(choice) for k in pairs[c]]
        if np.isclose(errors[drawn].sum(), loss, rtol=1e-4) and np.isclose(
            values[drawn].sum(), value, rtol=1e-4, atol=1e-5
        ):
            return drawn
    return None


@pytest.mark.parametrize(
    "devices",
    [
        {"data": 8},
        pytest.param(
            {"data": 4, "strategy": "pmap"}, marks=pytest.mark.slow("dqn", "jaxdl/parallel/")
        ),
    ],
)
def test_one_device_equals_eight(devices, tmp_path):
    mesh = [f"--config.parallel.{name}={value}" for name, value in devices.items()]
    sgd = ("--config.optimizer.name=sgd", "--config.optimizer.learning_rate=.01")
    assert run("dqn", tmp_path / "one", *TINY, *sgd) == 0
    assert run("dqn", tmp_path / "many", *TINY, *sgd, *mesh) == 0
    for a, b in zip(leaves(tmp_path / "one"), leaves(tmp_path / "many"), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)
    one, many = (figures(tmp_path / name, "train")[-1] for name in ("one", "many"))
    assert one["loss"] == pytest.approx(many["loss"], rel=1e-4)


def test_the_buffer_and_the_target_are_saved(finished):
    # The buffer, the target and the environments are among what `finished` compared.
    assert len(leaves(finished("dqn"))) > 20


def test_evaluation_afterwards_gives_the_same_return(finished, capsys):
    folder = finished("dqn")
    capsys.readouterr()
    assert run("dqn", folder, *tiny.of_finished("dqn"), "--mode=evaluate") == 0
    assert f"{summary(folder)['best']['mean_return']:.4f}" in capsys.readouterr().out


@pytest.mark.parametrize(
    "flag, message",
    [
        ("--config.task.env=cartpol", "did you mean 'cartpole'"),
        ("--config.task.env=pendulum", "has continuous actions: task 'ppo' takes them"),
        ("--config.task.capacity=0", "config.task.capacity=0 must be at least 1"),
        ("--config.task.capacity=65", "no multiple of 8 environments x 4 steps: use 96"),
        ("--config.task.examples=12", "no multiple of config.batch_size=8 environments: use 16"),
        ("--config.task.discount=2", "discount=2.0 must be at least 0 and at most 1"),
    ],
)
def test_settings_that_cannot_be(flag, message, tmp_path, capsys):
    assert run("dqn", tmp_path / "run", *TINY, flag) == 2
    captured = capsys.readouterr().err
    assert message in captured
    assert captured.count("\n") == 1
