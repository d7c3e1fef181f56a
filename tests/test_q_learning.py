"""Tabular Q-learning: the worlds' tables, exact values, the update, and runs by the launcher."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny
from launching import (
    REPORT,
    assert_same_bits,
    figures,
    leaves,
    run,
    summary,
)

from jaxdl import config, keys, tasks
from jaxdl.control import tabular as exact
from jaxdl.data import Data
from jaxdl.envs import tabular

GOLDEN = np.load(Path(__file__).parent / "golden" / "tables.npz")
SHORT = (*tiny.FLAGS["q_learning"], "--config.eval.every=3")


def merged(probability, next_state, reward, terminal):
    """{(state, action): {(next state, reward, terminal): probability}} of nonzero outcomes."""
    found = {}
    for index in np.ndindex(probability.shape):
        if probability[index] > 0:
            outcomes = found.setdefault(index[:2], {})
            after = (int(next_state[index]), float(reward[index]), bool(terminal[index]))
            outcomes[after] = outcomes.get(after, 0.0) + float(probability[index])
    return found


@pytest.mark.parametrize("name", tabular.WORLDS)
def test_tables_are_gymnasiums(name):
    world = tabular.create(name)
    theirs = {part.split("/")[1]: GOLDEN[part] for part in GOLDEN if part.startswith(f"{name}/")}
    parts = ("probability", "next_state", "reward", "terminal")
    ours = merged(*(getattr(world, part) for part in parts))
    expected = merged(*(theirs[part] for part in parts))
    assert ours.keys() == expected.keys()
    for place, outcomes in expected.items():
        assert ours[place] == pytest.approx(outcomes, abs=1e-6)
    np.testing.assert_allclose(world.start, theirs["start"], atol=1e-7)
    assert world.max_steps == (theirs["max_steps"] or 200)  # CliffWalking has no limit


def numpy_values(world, discount, policy=None, sweeps=3000):
    """Bellman's equation in float64: the optimum, or what ``policy`` is worth."""
    p, r = np.float64(world.probability), np.float64(world.reward)
    q = np.zeros(p.shape[:2])
    for _ in range(sweeps):
        v = q.max(1) if policy is None else q[np.arange(len(q)), policy]
        q = (p * (r + discount * np.where(world.terminal, 0, v[world.next_state]))).sum(-1)
    return q


@pytest.mark.usefixtures("explicit")
@pytest.mark.parametrize("name, discount", [("frozen_lake", 0.99), ("taxi", 0.9)])
def test_value_iteration_finds_the_optimum(name, discount):
    world = tabular.create(name)
    ours = exact.value_iteration(world, discount)
    np.testing.assert_allclose(ours, numpy_values(world, discount), atol=2e-5)


@pytest.mark.usefixtures("explicit")
def test_expected_return_is_that_of_played_episodes():
    world = tabular.create("frozen_lake")
    policy = np.asarray(exact.value_iteration(world, 0.99).argmax(-1))
    rng, wins, episodes = np.random.default_rng(0), 0.0, 4000
    for _ in range(episodes):
        state = rng.choice(16, p=np.float64(world.start))
        for _ in range(world.max_steps):
            i = rng.integers(3)  # outcomes are equally likely
            place = state, policy[state], i
            wins += world.reward[place]
            state = world.next_state[place]
            if world.terminal[place]:
                break
    expected = float(exact.expected_return(world, jnp.asarray(policy)))
    assert wins / episodes == pytest.approx(expected, abs=4 * 0.5 / episodes**0.5)


def made(**settings):
    chosen = config.default()
    chosen.update(batch_size=3, steps=10)
    chosen.optimizer.update(schedule="constant", learning_rate=0.5)
    with chosen.unlocked():
        chosen.task = dict(name="q_learning", **settings)
        chosen.data.name = "none"
    return tasks.create(tasks.Run(chosen, Data(), 10, None))


def test_update_is_watkins():
    """Along the way that each learner took, in float64."""
    task = made(env="cliff_walking", transitions=1, discount=0.9, epsilon=1.0, last_epsilon=1.0)
    world, key = tabular.create("cliff_walking"), keys.root(0)
    state = task.init(key, {})
    mine, step = np.zeros((3, 48, 4)), jax.jit(task.train_step)
    for i in range(60):
        after, found = step(state, {}, jax.random.fold_in(key, i))
        changed = np.argwhere(np.asarray(after.q != state.q))
        for learner, place, action in changed:
            assert place == state.place[learner]
            reward = world.reward[place, action, 0]
            following = mine[learner, world.next_state[place, action, 0]].max()
            goal = reward + 0.9 * (0 if world.terminal[place, action, 0] else following)
            mine[learner, place, action] += 0.5 * (goal - mine[learner, place, action])
            if not world.terminal[place, action, 0]:
                assert after.place[learner] == world.next_state[place, action, 0]
        assert len(changed) == 3  # every step costs something there
        np.testing.assert_allclose(after.q, mine, rtol=1e-5)
        state = after
    assert np.isfinite(found["loss"].total)


def test_episodes_end_at_the_time_limit_and_count_once():
    task = made(env="taxi", transitions=1, epsilon=1.0, last_epsilon=1.0)
    key = keys.root(1)
    state, step = task.init(key, {}), jax.jit(task.train_step)
    lengths, counted = [], 0.0
    for i in range(410):
        after, found = step(state, {}, jax.random.fold_in(key, i))
        over = np.asarray(after.steps) == 0
        np.testing.assert_array_equal(after.steps[~over], state.steps[~over] + 1)
        lengths += (np.asarray(state.steps)[over] + 1).tolist()
        counted += float(found["episode_return"].weight)
        state = after
    assert max(lengths) == 200
    assert lengths.count(200) >= 3  # who drives about at random seldom arrives
    assert counted == len(lengths)


def test_learners_reach_the_optimum(tmp_path):
    assert run("q_learning:cliff_walking", tmp_path / "run", "--config.steps=100",
               "--config.eval.every=100", "--config.batch_size=8", REPORT) == 0  # fmt: skip
    found = summary(tmp_path / "run")["final"]
    world = tabular.create("cliff_walking")
    q = numpy_values(world, 1.0, sweeps=200)
    assert found["optimum"] == q[36].max() == -13
    assert found["distance_to_optimum"] <= 0.02
    page = (tmp_path / "run" / "report.html").read_text()
    assert "<h2>Policy: cliff walking</h2>" in page


@pytest.mark.parametrize("devices", [{"data": 8}, {"data": 4, "strategy": "pmap"}])
def test_one_device_equals_eight(devices, tmp_path):
    mesh = [f"--config.parallel.{name}={value}" for name, value in devices.items()]
    assert run("q_learning", tmp_path / "one", *SHORT) == 0
    assert run("q_learning", tmp_path / "many", *SHORT, *mesh) == 0
    assert_same_bits(leaves(tmp_path / "one"), leaves(tmp_path / "many"))
    one, many = (figures(tmp_path / name, "train")[-1] for name in ("one", "many"))
    assert one["loss"] == pytest.approx(many["loss"], rel=1e-5)


@pytest.mark.parametrize(
    "flag, message",
    [
        ("--config.task.env=frozen_lak", "did you mean 'frozen_lake'"),
        ("--config.task.discount=1.5", "config.task.discount=1.5 must be at least 0 and at most 1"),
        ("--config.task.transitions=0", "config.task.transitions=0 must be at least 1"),
        ("--config.data.name=digits", "needs data.name='none', not data set 'digits'"),
        ("--config.batch_size=9", "does not divide over 8 devices"),
    ],
)
def test_settings_that_cannot_be(flag, message, tmp_path, capsys):
    flags = (*SHORT, flag, "--config.parallel.data=-1")
    assert run("q_learning", tmp_path / "run", *flags) == 2
    captured = capsys.readouterr().err
    assert message in captured
    assert captured.count("\n") == 1
