"""Environments that do not keep to what they say of themselves: one line, before anything runs."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny
from launching import figures, run

from jaxdl import envs, keys, metrics
from jaxdl.envs import agreement, vectorised
from jaxdl.errors import UserError
from jaxdl.tasks.shared import episodes

TWO = jnp.zeros(2, jnp.float32)


def environment(**changes):
    """Two numbers, three actions; with changes."""
    step = lambda state, action: (state, TWO, jnp.float32(0), jnp.bool_(False))
    plain = envs.Environment(lambda key: (TWO, TWO), step, None, 2, 9, actions=3, name="mine")
    return plain._replace(**changes)


def stepping(state=TWO, observation=TWO, reward=0.0, terminated=False):
    reward = jnp.float32(reward) if isinstance(reward, float) else reward
    return lambda own, action: (state, observation, reward, jnp.asarray(terminated))


def test_what_keeps_to_its_word_passes():
    for name in envs.names():
        agreement.check(envs.create(name))
    agreement.check(environment())
    bounds = dict(action_low=np.float32([-1, 0]), action_high=np.float32([1, 3]))
    agreement.check(environment(actions=None, action_size=2, **bounds))
    with jax.enable_x64(True):
        agreement.check(environment(reset=lambda key: (TWO, jnp.zeros(2, jnp.float64))))


@pytest.mark.parametrize(
    "changes, message",
    [
        (dict(step=stepping(observation=jnp.zeros(3))),
         r"step returns an observation float32 \(3,\): it must be float32 \(2,\)"),
        (dict(reset=lambda key: (TWO, jnp.zeros((1, 2)))), r"reset returns an observation float32"),
        (dict(step=stepping(observation=jnp.zeros(2, jnp.int32))), r"an observation int32 \(2,\)"),
        (dict(step=stepping(state=jnp.zeros(2, jnp.int32))),
         r"reset returns the state as float32 \(2,\), step as int32 \(2,\)"),
        (dict(reset=lambda key: ({"x": TWO, "y": TWO}, TWO),
              step=stepping(state={"x": TWO, "y": TWO[0]})), r"the state's y as float32 \(2,\)"),
        (dict(step=stepping(state=(TWO, TWO))), r"step PyTreeDef\(\(\*, \*\)\): they must be the"),
        (dict(step=stepping(reward=jnp.zeros(1))), r"a reward float32 \(1,\): it must be float32"),
        (dict(step=stepping(reward=jnp.int32(1))), r"a reward int32 \(\): it must be float32"),
        (dict(step=stepping(terminated=0.0)), r"terminated float32 \(\): it must be bool \(\)"),
        (dict(step=lambda state, action: (state, TWO)), r"step must return \(state, observation,"),
        (dict(reset=lambda key: TWO), r"reset must return \(state, observation\)"),
        (dict(actions=None), r"actions=None and action_size=None: one of them"),
        (dict(action_size=1), r"actions=3 and action_size=1: one of them"),
        (dict(actions=2.5), r"actions=2.5 must be a whole number"),
        (dict(actions=-2), r"actions=-2 must be a whole number, at least 1"),
        (dict(max_steps=0), r"max_steps=0 must be a whole number"),
        (dict(actions=None, action_size=2, action_low=1.0), r"action_low=1.0 and action_high=1.0"),
        (dict(actions=None, action_size=2, action_high=np.inf), r"both must be finite"),
        (dict(actions=None, action_size=2, action_low=np.zeros(3)), r"action_low has shape \(3,\)"),
    ],
)  # fmt: skip
def test_what_does_not_is_named(changes, message):
    with pytest.raises(UserError, match=rf"environment 'mine': .*{message}"):
        vectorised.create(environment(**changes), keys.root(0), 2)


@pytest.fixture
def registered(monkeypatch):
    """(environment) registers it as "mine"."""
    return lambda env: monkeypatch.setitem(envs._registry._entries, "mine", lambda: env)


def test_the_launcher_says_it_in_one_line(registered, tmp_path, capsys):
    registered(environment(step=stepping(observation=jnp.zeros(3))))
    assert run("ppo", tmp_path / "run", *tiny.FLAGS["ppo"], "--config.task.env=mine") == 2
    error = capsys.readouterr().err
    assert "error: environment 'mine': step returns an observation float32 (3,)" in error
    assert error.count("\n") == 1


def spoilt(reward):
    """A count of steps, of which the third of each episode has another reward."""
    see = lambda count: jnp.stack([count, count]).astype(jnp.float32)

    def step(count, action):
        bad = count == 2
        return count + 1, see(count + 1), jnp.where(bad, reward, jnp.float32(1)), count == 8

    return environment(reset=lambda key: (jnp.int32(0), see(jnp.int32(0))), step=step, max_steps=20)


@pytest.mark.usefixtures("explicit")
def test_what_is_not_finite_of_a_rollout_is_named_and_counted():
    time, count = np.arange(1, 5, dtype=np.int32), np.ones((4, 2), bool)
    moves = vectorised.Transition(
        observation=np.zeros((4, 2, 3), np.float32),
        action=np.ones((4, 2), np.int32),
        reward=np.ones((4, 2), np.float32),
        next_observation=np.zeros((4, 2, 3), np.float32),
        terminated=~count,
        truncated=~count,
        total=np.ones((4, 2), np.float32),
        steps=np.stack([time, time + 4], axis=1),
    )
    assert episodes.explained(environment(), moves) is None
    assert metrics.divide(episodes.ended(jax.tree.map(jnp.asarray, moves)))["reward"] == 1
    moves.next_observation[3, 0, 1] = np.inf
    told = episodes.explained(environment(), moves)
    assert "'mine' gave an observation of inf at step 4 of an episode (environment 0, roll" in told
    moves.reward[2, 1] = np.nan
    told = episodes.explained(environment(), moves)
    assert "gave a reward of nan at step 7 of an episode (environment 1, rollout step 2)" in told
    assert "for action 1 in observation [0., 0., 0.]: it must be finite" in told
    # No episode has ended: without this figure nobody would see it until it is learned from.
    found = episodes.ended(jax.tree.map(jnp.asarray, moves))
    assert np.isnan(found["reward"].total)
    assert found["episode_return"].total == 0


@pytest.mark.slow("jaxdl/tasks/", "jaxdl/train/loop.py", "jaxdl/control/")
@pytest.mark.parametrize("experiment, reward", [("dqn", np.nan), ("a2c:a3c", -np.inf)])
def test_a_reward_that_is_not_finite_is_named(experiment, reward, registered, tmp_path, capsys):
    registered(spoilt(jnp.float32(reward)))
    flags = ("--config.task.env=mine", "--config.log.every=1", "--config.task.rollout=2")
    assert run(experiment, tmp_path, *tiny.FLAGS[experiment], *flags) == 3
    error = capsys.readouterr().err
    # Two steps an update: the second update has it, and is undone.
    assert (
        f"error: step 2: environment 'mine' gave a reward of {reward} at step 3 of an episode "
        "(environment 0, rollout step 0), for action"
    ) in error
    assert "in observation [2., 2.]: it must be finite; the update was not applied" in error
    assert error.count("\n") == 1
    assert [line["reward"] for line in figures(tmp_path, "train")] == [1]
