"""Environments of gymnax: as a plain loop steps them, of one like theirs, and of theirs."""

import sys
import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny
from launching import figures, run

from jaxdl import envs, keys
from jaxdl.control.policies import evenly
from jaxdl.envs import agreement, draws, vectorised
from jaxdl.errors import UserError


class Drift:
    """As gymnax has them: states begin with Python's numbers, rewards are whole ones, steps draw.

    One that reaches 3 ends; below -3 it is cut off, and after max_steps_in_episode.
    """

    def observation_space(self, params):
        return types.SimpleNamespace(low=-9, high=9, shape=(2, 1))

    def action_space(self, params):
        return types.SimpleNamespace(n=3, shape=())

    def see(self, state):
        return jnp.array([[state["x"]], [state["time"]]])

    def reset_env(self, key, params):
        state = {"x": jax.random.randint(key, (), -1, 2), "time": 0}
        return self.see(state), state

    def step_env(self, key, state, action, params):
        noise = jax.random.randint(key, (), -1, 2)
        state = {"x": state["x"] + action - 1 + noise, "time": state["time"] + 1}
        return self.see(state), state, 2, state["x"] >= 3, {}

    def is_truncated(self, state, params):
        return (state["x"] <= -3) | (state["time"] >= params.max_steps_in_episode)


@pytest.fixture
def library(monkeypatch):
    """In the place of gymnax."""
    params = types.SimpleNamespace(max_steps_in_episode=7)

    def make(name):
        if name == "Far-v0":
            raise OSError("no\nnetwork")
        return Drift(), params

    fake = types.SimpleNamespace(registered_envs=["Drift-v0", "Far-v0"], make=make)
    monkeypatch.setitem(sys.modules, "gymnax", fake)


def rolled(env, many, steps):
    act = lambda seen, keys: evenly(env, keys)
    roll = lambda many, key: vectorised.roll_out(env, act, many, key, steps)
    return jax.jit(roll)(many, keys.root(1))


def test_steps_are_theirs_and_ends_are_told_apart(library):
    env = envs.create("gymnax:Drift-v0")
    assert (env.actions, env.observation_size, env.max_steps) == (3, 2, 7)
    agreement.check(env)
    many = jax.jit(lambda key: vectorised.create(env, key, 6))(keys.root(0))
    _, moves = rolled(env, many, 30)
    step = jax.jit(lambda *args: Drift().step_env(*args, None)[:2])
    split = jax.jit(lambda words: jax.random.split(draws.of_words(words)))
    # The first episode of each, by its own words.
    for i in range(6):
        state, words = jax.tree.map(lambda x, i=i: x[i], (many.state.own, many.state.words))
        for t in range(30):
            now, later = split(words)
            words = jax.random.bits(later, (2,), jnp.uint32)
            seen, state = step(now, state, moves.action[t, i])
            np.testing.assert_array_equal(moves.next_observation[t, i], seen.ravel())
            assert moves.terminated[t, i] == (state["x"] >= 3)
            cut = (state["x"] <= -3 or t == 6) and not moves.terminated[t, i]
            assert moves.truncated[t, i] == cut
            if moves.ended[t, i]:
                break
    assert (moves.reward == 2).all()
    early = moves.truncated & (moves.steps < 7)
    assert moves.terminated.any()
    assert early.any()
    assert (moves.truncated & ~early).any()
    assert len(np.unique(np.asarray(moves.next_observation[:, 0, 0]))) > 2


@pytest.mark.slow("jaxdl/envs/", "a2c")
def test_an_agent_learns_in_one(library, tmp_path):
    flags = ("--config.task.env=gymnax:Drift-v0", "--config.log.report=true")
    once = ("--config.steps=2", "--config.eval.every=2")
    assert run("a2c", tmp_path, *tiny.FLAGS["a2c"], *flags, *once) == 0
    assert 2 <= figures(tmp_path, "eval")[-1]["mean_return"] <= 14
    assert "<h2>Episode</h2>" in (tmp_path / "report.html").read_text()


@pytest.mark.parametrize(
    "name, message",
    [
        ("Drft-v0", "unknown environment of gymnax 'Drft-v0': did you mean 'Drift-v0'"),
        ("Far-v0", "gymnax cannot make Far-v0: no network"),
    ],
)
def test_what_cannot_be_had_is_one_line(name, message, library):
    with pytest.raises(UserError, match=message):
        envs.create(f"gymnax:{name}")


# What follows is of gymnax itself, where it is installed.


def test_all_of_theirs_keep_to_their_word():
    gymnax = pytest.importorskip("gymnax")
    # That one downloads its pictures when it is made.
    for name in set(gymnax.registered_envs) - {"MNISTBandit-bsuite"}:
        agreement.check(envs.create(f"gymnax:{name}"))


def test_theirs_is_ours():
    pytest.importorskip("gymnax")
    ours, theirs = envs.create("pendulum"), envs.create("gymnax:Pendulum-v1")
    assert theirs.max_steps == ours.max_steps
    np.testing.assert_array_equal(theirs.action_high, [2])
    many = jax.jit(lambda key: vectorised.create(theirs, key, 8))(keys.root(0))
    end, moves = rolled(theirs, many, 200)
    angle = np.arctan2(moves.observation[..., 1], moves.observation[..., 0])
    before = jnp.stack([angle, moves.observation[..., 2]], axis=-1)
    _, seen, reward, terminated = jax.jit(jax.vmap(jax.vmap(ours.step)))(before, moves.action)
    np.testing.assert_allclose(seen, moves.next_observation, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(reward, moves.reward, rtol=1e-4, atol=1e-4)
    assert not (terminated | moves.terminated).any()
    assert moves.truncated[-1].all()
    assert (end.steps == 0).all()


def test_a_wall_takes_no_speed_in_theirs():
    """What docs/control.md says of MountainCarContinuous-v0, and findings/ shows."""
    gymnax = pytest.importorskip("gymnax")
    theirs, params = gymnax.make("MountainCarContinuous-v0")
    state = theirs.reset_env(keys.root(0), params)[1]
    state = state.replace(position=jnp.float32(-1.2), velocity=jnp.float32(-0.05))
    seen = theirs.step_env(keys.root(0), state, jnp.float32([-1]), params)[0]
    assert seen[0] == np.float32(-1.2)
    assert seen[1] < -0.04
