"""Environments against Gymnasium's, step for step; ends of episodes; advantages."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxdl import envs
from jaxdl.control.policies import Categorical, Gaussian
from jaxdl.control.returns import gae
from jaxdl.draw import figure
from jaxdl.envs import vectorised
from jaxdl.errors import UserError

GOLDEN = np.load(Path(__file__).parent / "golden" / "envs.npz")
NAMES = ("acrobot", "cartpole", "mountain_car", "pendulum")
FIELDS = ("before", "action", "after", "observation", "reward", "terminated")


def golden(name):
    return (GOLDEN[f"{name}.{field}"] for field in FIELDS)


def assert_close(ours, theirs):
    np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-5)


def state_of(name, x):
    """What states are compared by: the two links' angles are the same a whole turn away."""
    return np.concatenate([np.cos(x[:, :2]), np.sin(x[:, :2]), x[:, 2:]], 1) \
        if name == "acrobot" else x  # fmt: skip


def test_all_environments_are_compared():
    assert tuple(envs.names()) == NAMES
    assert {name.partition(".")[0] for name in GOLDEN.files} == {*NAMES, "made_with"}


@pytest.mark.parametrize("name", NAMES)
def test_each_step_is_gymnasiums(name):
    before, action, after, observation, reward, terminated = golden(name)
    step = jax.jit(jax.vmap(envs.create(name).step))
    ours = step(jnp.float32(before), jnp.asarray(action))
    assert_close(state_of(name, np.asarray(ours[0])), state_of(name, after))
    assert_close(ours[1], observation)
    assert_close(ours[2], reward)
    np.testing.assert_array_equal(ours[3], terminated)
    assert terminated.any() == (name != "pendulum")


def followed(name, dtype):
    """What our steps lead to, each from our own state but at the start of an episode."""
    before, action, after = list(golden(name))[:3]
    # An episode starts where the state is not what the step before led to.
    starts = np.ones(len(before), bool)
    starts[1:] = (before[1:] != after[:-1]).any(1)

    def follow(state, row):
        start, begins, act = row
        state, *rest = envs.create(name).step(jnp.where(begins, start, state), act)
        return state, (state, *rest)

    rows = (jnp.asarray(before, dtype), jnp.asarray(starts), jnp.asarray(action))
    return jax.jit(lambda: jax.lax.scan(follow, rows[0][0], rows)[1])()


@pytest.mark.parametrize("name", NAMES)
def test_whole_episodes_are_gymnasiums(name):
    # In float64: near its upper rest a pendulum makes any rounding grow from step to step.
    with jax.enable_x64(True):
        ours = followed(name, jnp.float64)
    _, _, after, observation, reward, terminated = golden(name)
    assert_close(state_of(name, np.asarray(ours[0])), state_of(name, after))
    assert_close(ours[1], observation)
    assert_close(ours[2], reward)
    np.testing.assert_array_equal(ours[3], terminated)


@pytest.mark.parametrize("name", ("cartpole", "mountain_car"))
def test_whole_episodes_are_gymnasiums_in_float32(name):
    assert_close(followed(name, jnp.float32)[0], list(golden(name))[2])


@pytest.mark.parametrize("name", NAMES)
def test_the_pages_numbers_are_the_functions(name):
    env = envs.create(name)
    state, observation = env.reset(jax.random.key(0))
    action = jnp.int32(0) if env.actions else jnp.zeros(env.action_size)
    after = env.step(state, action)
    assert observation.shape == after[1].shape == (env.observation_size,)
    assert [str(x.dtype) for x in (observation, *after)] == ["float32"] * 4 + ["bool"]
    assert (env.actions is None) != (env.action_size is None)
    picture = figure(1, 1, lambda axes: env.draw(axes, np.asarray(state)), kind="png")
    moved = figure(1, 1, lambda axes: env.draw(axes, np.asarray(state) + 0.3), kind="png")
    assert picture.data != moved.data


def test_a_typo_names_the_nearest():
    with pytest.raises(UserError, match=r"unknown environment 'cartpol': did you mean 'cartpole'"):
        envs.create("cartpol")


def counter(ends_at, max_steps):
    """Counts its steps; terminates when the action says so, and starts at 100 or above."""

    def reset(key):
        state = 100 + jax.random.uniform(key, (1,))
        return state, state

    def step(state, action):
        state = state + 1
        return state, state, state[0], action == ends_at

    return envs.Environment(reset, step, None, 1, max_steps, actions=9)


def test_ends_are_told_apart_and_the_last_observation_is_kept():
    env = counter(ends_at=1, max_steps=3)
    many = vectorised.create(env, jax.random.key(0), 2)
    first = np.asarray(many.observation[:, 0])
    assert first[0] != first[1]
    fresh = (jnp.full((2, 1), 7.0), jnp.full((2, 1), 8.0))
    seen = []
    for action in ([0, 0], [1, 0], [0, 0], [0, 1]):
        many, move = vectorised.advance(env, many, jnp.int32(action), fresh)
        seen.append(move)
    rows = lambda field: np.stack([np.asarray(getattr(move, field)) for move in seen])
    np.testing.assert_array_equal(rows("terminated").T, [[0, 1, 0, 0], [0, 0, 0, 1]])
    np.testing.assert_array_equal(rows("truncated").T, [[0, 0, 0, 0], [0, 0, 1, 0]])
    np.testing.assert_array_equal(rows("steps").T, [[1, 2, 1, 2], [1, 2, 3, 1]])
    x, y = first
    assert_close(rows("observation")[..., 0].T, [[x, x + 1, 8, 8], [y, y + 1, y + 2, 8]])
    assert_close(rows("next_observation")[..., 0].T,
                 [[x + 1, x + 2, 8, 9], [y + 1, y + 2, y + 3, 8]])  # fmt: skip
    assert_close(rows("total").T, [[x + 1, 2 * x + 3, 8, 17], [y + 1, 2 * y + 3, 3 * y + 6, 8]])
    np.testing.assert_array_equal(many.steps, [2, 0])
    np.testing.assert_array_equal(many.observation[:, 0], [9, 8])


def test_an_end_at_the_time_limit_is_a_termination():
    env = counter(ends_at=1, max_steps=1)
    many = vectorised.create(env, jax.random.key(0), 2)
    _, move = vectorised.advance(env, many, jnp.int32([0, 1]), (many.state, many.observation))
    np.testing.assert_array_equal(move.terminated, [False, True])
    np.testing.assert_array_equal(move.truncated, [True, False])


def test_returns_are_of_one_episode_each():
    env = envs.create("cartpole")
    always_left = lambda x: jnp.zeros(x.shape[0], jnp.int32)
    found = vectorised.returns(env, always_left, jax.random.key(0), 20)
    state = jax.vmap(env.reset)(vectorised.own_keys(jax.random.key(0), jnp.arange(20)))[0]
    for i in range(3):
        x, length, ended = state[i], 0, False
        while not ended:
            x, _, _, ended = env.step(x, jnp.int32(0))
            length += 1
        assert found[i] == length
    states, length, total = vectorised.episode(env, always_left, jax.random.key(0))
    assert length == total == found[0]
    assert states.shape == (501, 4)
    assert_close(states[0], state[0])
    assert abs(states[length, 2]) > np.deg2rad(12) >= abs(states[length - 1, 2])


@given(data=st.data())
@settings(max_examples=50, deadline=None)
def test_advantages_against_the_definition(data):
    steps, count = data.draw(st.sampled_from([(1, 1), (7, 3), (12, 2)]))
    ends = st.lists(st.sampled_from([0, 0, 1, 2]), min_size=steps * count, max_size=steps * count)
    end = np.array(data.draw(ends)).reshape(steps, count)
    discount, lam = data.draw(st.sampled_from([(0.99, 0.95), (0.9, 0.0), (1.0, 1.0)]))
    rng = np.random.default_rng(data.draw(st.integers(0, 1000)))
    rewards, values, following = rng.normal(size=(3, steps, count))
    advantages, targets = gae(
        *jnp.float32([rewards, values, following]), jnp.asarray(end == 1), jnp.asarray(end == 2),
        discount, lam,
    )  # fmt: skip
    for n in range(count):
        for t in range(steps):
            # The sum of the errors from t to the end of the episode, each weaker than the last.
            wanted = 0.0
            for later in range(t, steps):
                after = 0.0 if end[later, n] == 1 else following[later, n]
                error = rewards[later, n] + discount * after - values[later, n]
                wanted += (discount * lam) ** (later - t) * error
                if end[later, n]:
                    break
            assert advantages[t, n] == pytest.approx(wanted, abs=1e-5)
            assert targets[t, n] == pytest.approx(wanted + values[t, n], abs=1e-5)


def test_policies_against_their_densities():
    logits = jnp.array([0.0, 1.0, -2.0])
    policy = Categorical(logits)
    p = np.exp(logits) / np.exp(logits).sum()
    drawn = Categorical(jnp.tile(logits, (20000, 1))).sample(
        Categorical.noise(jax.random.key(0), (20000, 3))
    )
    # Five standard deviations of a share of 20000 draws.
    np.testing.assert_allclose(np.bincount(drawn, minlength=3) / 20000, p, atol=0.018)
    assert_close(jax.vmap(policy.log_prob)(jnp.arange(3)), np.log(p))
    assert_close(policy.entropy(), -(p * np.log(p)).sum())
    assert policy.mode() == 1

    policy = Gaussian(jnp.array([1.0, -2.0]), jnp.log(jnp.array([0.5, 2.0])))
    drawn = policy.sample(Gaussian.noise(jax.random.key(1), (20000, 2)))
    np.testing.assert_allclose(drawn.mean(0), policy.mean, atol=0.08)
    np.testing.assert_allclose(drawn.std(0), [0.5, 2.0], rtol=0.03)
    normal = lambda x, m, s: -(((x - m) / s) ** 2) / 2 - np.log(s * np.sqrt(2 * np.pi))
    assert_close(policy.log_prob(jnp.array([0.0, 0.0])), normal(0, 1, 0.5) + normal(0, -2, 2))
    # Of n independent ones the sum, and log(.5) + log(2) = 0.
    assert_close(policy.entropy(), 1 + np.log(2 * np.pi))
