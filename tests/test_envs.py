"""Environments against Gymnasium's, step for step; ends of episodes; draws; speed; advantages."""

import functools
import itertools
import sys
import types
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxdl import envs, keys
from jaxdl.control.policies import Categorical, Gaussian, evenly
from jaxdl.control.returns import gae
from jaxdl.envs import columns, draws, speed, vectorised
from jaxdl.errors import UserError
from jaxdl.report.draw import figure
from jaxdl.tasks.shared import episodes

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
    state, observation = jax.jit(env.reset)(keys.root(0))
    action = jnp.int32(0) if env.actions else jnp.zeros(env.action_size)
    after = jax.jit(env.step)(state, action)
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
    many = vectorised.create(env, keys.root(0), 2)
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
    many = vectorised.create(env, keys.root(0), 2)
    _, move = vectorised.advance(env, many, jnp.int32([0, 1]), (many.state, many.observation))
    np.testing.assert_array_equal(move.terminated, [False, True])
    np.testing.assert_array_equal(move.truncated, [True, False])


def test_returns_are_of_one_episode_each():
    env = envs.create("cartpole")
    always_left = lambda x: jnp.zeros(x.shape[0], jnp.int32)
    height = lambda seen: seen[:, 2]
    found = vectorised.play(env, always_left, keys.root(0), 20, height)
    assert not found.cut.any()
    state = jax.vmap(env.reset)(vectorised.own_keys(keys.root(0), jnp.arange(20)))[0]
    step = jax.jit(env.step)
    for i in range(3):
        x, length, ended = state[i], 0, False
        while not ended:
            x, _, _, ended = step(x, jnp.int32(0))
            length += 1
        assert found.steps[i] == found.total[i] == length
    states, length = found.first, found.steps[0]
    assert states.shape == (501, 4)
    assert_close(states[0], state[0])
    assert_close(found.value[:length, 0], states[:length, 2])
    assert (found.reward[:length, 0] == 1).all()
    assert abs(states[length, 2]) > np.deg2rad(12) >= abs(states[length - 1, 2])


def test_values_stand_beside_returns_that_are_known():
    rng, gamma, steps = np.random.default_rng(0), 0.5, np.array([3, 8])
    reward = rng.normal(size=(10, 2)).astype(np.float32)
    found = episodes.returns(reward, steps, gamma)
    for i, length in enumerate(steps):
        for t in range(length):
            after = sum(gamma**k * float(r) for k, r in enumerate(reward[t:length, i]))
            assert found[t, i] == pytest.approx(after)
    assert not found[8:].any()
    # The second was cut off: .5^5 is less than 5 % and .5^4 is not, so of it the first four steps.
    cut, value = np.array([False, True]), np.ones((10, 2), np.float32)
    played = vectorised.Played(None, steps, None, cut, reward, value)
    expected = episodes.Expected(None, gamma, 2.0)
    (picture,) = episodes._expected(played, expected).values()
    known = np.concatenate([found[:3, 0], found[:4, 1]])
    assert "at 7 steps of 2 episodes" in picture.caption
    assert f"{2 * known.mean():.3g} and 1 in the mean" in picture.caption
    endless = episodes.Expected(None, 1.0, 1.0)
    assert "at 3 steps of 2" in episodes._expected(played, endless)["Values and returns"].caption
    assert episodes._expected(played._replace(cut=np.array([True, True])), endless) == {}


def at_random(env):
    return lambda observation, keys: evenly(env, keys)


@pytest.mark.parametrize("name", ("cartpole", "pendulum"))
def test_a_rollout_is_single_steps_with_new_starts_at_ends(name):
    env, n, steps = envs.create(name)._replace(max_steps=30), 5, 100
    start = vectorised.create(env, keys.root(0), n)
    end, moves = jax.jit(lambda e, k: vectorised.roll_out(env, at_random(env), e, k, steps))(
        start, keys.root(1)
    )
    assert moves.observation.shape == (steps, n, env.observation_size)
    assert end.state.shape == start.state.shape
    # On the host, where to take a number out is no program.
    start, end, moves = jax.tree.map(np.asarray, (start, end, moves))
    step, state, counts, starts = jax.jit(env.step), list(start.state), [0] * n, []
    for t, i in itertools.product(range(steps), range(n)):
        after, observation, reward, terminated = step(state[i], moves.action[t, i])
        assert_close(moves.next_observation[t, i], observation)
        assert_close(moves.reward[t, i], reward)
        assert moves.terminated[t, i] == terminated
        counts[i] += 1
        assert moves.steps[t, i] == counts[i]
        assert moves.ended[t, i] == (terminated or counts[i] == 30)
        if not moves.ended[t, i]:
            state[i] = after
            continue
        # The next state is that of the rollout, which both environments show in the observation.
        seen = (moves.observation[t + 1] if t + 1 < steps else end.observation)[i]
        speed_of = {"cartpole": lambda x: x, "pendulum": lambda x: np.stack(
            [np.arctan2(x[1], x[0]), x[2]])}[name]  # fmt: skip
        state[i], counts[i] = speed_of(seen), 0
        starts.append(np.asarray(state[i]))
    bound = {"cartpole": 0.05, "pendulum": np.pi}[name]
    starts = np.array(starts)
    assert len(starts) >= 3 * n
    assert np.abs(starts).max() <= bound + 1e-6
    assert len(np.unique(starts, axis=0)) == len(starts)  # no two starts are the same
    np.testing.assert_array_equal(end.steps, counts)


def test_an_environment_does_the_same_among_others():
    env = envs.create("cartpole")

    @functools.partial(jax.jit, static_argnums=0)
    def roll(n):
        start = vectorised.create(env, keys.root(0), n)
        return vectorised.roll_out(env, at_random(env), start, keys.root(1), 40)[1]

    few, many = roll(2), roll(7)
    np.testing.assert_array_equal(few.action, many.action[:, :2])
    np.testing.assert_array_equal(few.next_observation, many.next_observation[:, :2])
    assert (many.action[:, 0] != many.action[:, 1]).any()


def test_columns_come_together_again():
    tree = (
        (jnp.arange(6.0).reshape(3, 2), jnp.arange(3)),
        [jnp.zeros((3, 40)), jnp.ones((3, 2, 2))],
    )
    apart = columns.of(tree)
    assert [x.shape for x in jax.tree.leaves(apart)] == [(3,), (3,), (3,), (3, 40), (3, 2, 2)]
    jax.tree.map(np.testing.assert_array_equal, columns.whole(apart), tree)
    assert jax.tree.structure(columns.whole(apart)) == jax.tree.structure(tree)


def drawn_bits():
    """(streams, steps, environments, draws) of the cheap generator."""
    own = draws.words(vectorised.own_keys(keys.root(5), jnp.arange(256, dtype=jnp.uint32)), 2)
    now = jax.random.bits(keys.root(6), (256, 2), jnp.uint32)
    of_step = lambda own, w: jax.vmap(lambda k: jax.random.bits(k, (4,), jnp.uint32))(
        draws.keys(own, w)
    )
    return np.asarray(jax.jit(jax.vmap(jax.vmap(of_step, (None, 0)), (0, None)))(own, now))


def test_cheap_draws_are_even_and_independent():
    bits = drawn_bits()

    def assert_even(x, of):
        counts = np.bincount(x.ravel(), minlength=of)
        squares = ((counts - x.size / of) ** 2 / (x.size / of)).sum()
        # χ² has mean of - 1 and variance 2 (of - 1): within five standard deviations.
        assert abs(squares - (of - 1)) < 5 * (2 * (of - 1)) ** 0.5

    for low in (0, 13, 27):
        x = (bits >> low) & 31
        assert_even(x, 32)
        for axis in range(4):  # a stream, a step, an environment, a draw beside the next one
            a, b = np.take(x, [0], axis), np.take(x, [1], axis)
            assert_even(32 * a + b, 1024)
            last = x.shape[axis] - 1
            a, b = (np.take(x, np.arange(i, last + i), axis) for i in (0, 1))
            assert_even(a ^ b, 32)
        # Keys are sums of an environment's words and a step's: no pattern is left of it.
        square = x[:, 0::2, 0::2] ^ x[:, 1::2, 0::2] ^ x[:, 0::2, 1::2] ^ x[:, 1::2, 1::2]
        assert_even(square, 32)


def test_cheap_keys_are_keys_like_any_other():
    (key,) = draws.keys(jnp.uint32([[1], [2]]), jnp.uint32([3, 4]))
    below, folded = jax.random.split(key, 64), jax.random.fold_in(key, 1000)
    words = jax.random.key_data(jnp.concatenate([key[None], below, folded[None]]))
    assert len(np.unique(np.asarray(words), axis=0)) == 66
    assert sorted(jax.random.permutation(key, 20)) == list(range(20))
    x = jax.random.normal(key, (20000,))
    np.testing.assert_allclose([x.mean(), x.std()], [0, 1], atol=0.035)  # five deviations
    for width in (8, 16, 32):
        x = np.asarray(jax.random.bits(key, (20000,), f"uint{width}")) / 2.0**width
        assert x.mean() == pytest.approx(0.5, abs=0.0103)
    with jax.enable_x64(True):
        x = jax.random.uniform(key, (20000,), jnp.float64)
        assert x.dtype == jnp.float64
        assert x.mean() == pytest.approx(0.5, abs=0.0103)


@pytest.mark.parametrize("name", NAMES)
def test_even_actions_are_all_there_are(name):
    env = envs.create(name)
    x = np.asarray(evenly(env, jax.random.split(keys.root(0), 3000)))
    if env.actions:
        # Five standard deviations of a binomial count.
        np.testing.assert_allclose(np.bincount(x) / 3000, np.full(env.actions, 1 / env.actions),
                                   atol=0.046)  # fmt: skip
    else:
        assert x.shape == (3000, env.action_size)
        assert env.action_low <= x.min() < 0.99 * env.action_low
        assert 0.99 * env.action_high < x.max() <= env.action_high


def test_units_are_stretched_to_the_range():
    env = envs.create("pendulum")
    np.testing.assert_allclose(env.from_units(jnp.float32([-3, -1, 0, 0.5, 2])), [-2, -2, 0, 1, 2])
    assert envs.create("cartpole").from_units(1) == 1


class Clock:
    """Every look at it takes a second."""

    def __init__(self):
        self.now = 0.0

    def perf_counter(self):
        self.now += 1
        return self.now


def test_steps_a_second_are_steps_by_the_clock(monkeypatch):
    monkeypatch.setattr(speed, "time", Clock())
    env = counter(ends_at=1, max_steps=3)
    seen = []
    act = lambda weights, x, keys: jnp.int32(x[:, 0] > weights)
    turn = speed.OnDevice(env, act, environments=6, steps=5).turn(jnp.float32(1e9))
    # Two calls of 30 steps fill two seconds; one fills one.
    assert turn(2.0) == turn(1.0) == 30
    found = speed.alternate(
        {"a": lambda s: seen.append("a") or s, "b": lambda s: seen.append("b") or 2 * s}, 3, 0.5
    )
    assert found == {"a": [0.5] * 3, "b": [1.0] * 3}
    assert "".join(seen) == "abbaab"
    assert speed.ratio([4, 9, 2], [2, 3, 2]) == 2


def test_devices_share_the_environments():
    env = counter(ends_at=1, max_steps=3)
    act = lambda weights, x, keys: jnp.int32(x[:, 0] > weights)
    turn = speed.OnDevice(env, act, 8, 2, jax.devices()[:4]).turn(jnp.float32(1e9))
    assert turn(0.001) > 0


class World:
    """As of gymnasium: ends at every fourth step, by its rules and by the clock in turn."""

    def __init__(self):
        self.steps, self.starts, self.actions = 0, [], []

    def reset(self, seed=None):
        self.starts.append(self.steps)
        return np.float32([self.steps]), {}

    def step(self, action):
        self.steps += 1
        self.actions.append(action)
        ends = self.steps % 4 == 0
        return np.float32([self.steps]), 1.0, ends and self.steps % 8 == 0, ends, {}


def test_gymnasium_is_stepped_one_by_one(monkeypatch):
    world = World()
    fake = types.SimpleNamespace(make=lambda name: {"Counter-v0": world}[name])
    monkeypatch.setitem(sys.modules, "gymnasium", fake)
    monkeypatch.setattr(speed, "time", Clock())
    env = counter(ends_at=1, max_steps=3)._replace(gymnasium="Counter-v0")
    act = lambda weights, x, keys: jnp.int32(x[:, 0] * weights)
    turn = speed.in_gymnasium(env, speed.one_by_one(act, jnp.float32(2)))
    assert turn(2.0) == speed.CHUNK
    assert world.steps == 2 * speed.CHUNK
    assert world.starts == list(range(0, 2 * speed.CHUNK + 1, 4))
    # What is done follows from what is seen, also after a new start.
    assert world.actions == [2 * i for i in range(2 * speed.CHUNK)]
    assert type(world.actions[0]) is int


def test_one_by_one_draws_anew_each_time():
    draw = lambda weights, x, keys: jax.vmap(lambda k: jax.random.uniform(k, (1,)))(keys)
    choose = speed.one_by_one(draw, {}, keys.root(0))
    drawn = [choose(np.zeros(1, np.float32)) for _ in range(5)]
    assert drawn[0].shape == (1,)
    assert len({float(x[0]) for x in drawn}) == 5


def test_without_gymnasium_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "gymnasium", None)
    with pytest.raises(UserError, match=r"CartPole-v1 needs gymnasium: pip install -e '.\[gymn"):
        speed.in_gymnasium(envs.create("cartpole"), lambda observation: 0)
    with pytest.raises(UserError, match="no environment that equals"):
        speed.in_gymnasium(counter(1, 3), lambda observation: 0)


@pytest.mark.parametrize("installed", (True, False))
def test_reports_show_the_speed(installed, monkeypatch):
    fake = types.SimpleNamespace(make=lambda name: World())
    monkeypatch.setitem(sys.modules, "gymnasium", fake if installed else None)
    monkeypatch.setattr(episodes, "SIDE_BY_SIDE", 8)
    monkeypatch.setattr(speed, "time", Clock())
    env = counter(ends_at=1, max_steps=3)._replace(gymnasium="Counter-v0")
    greedy = lambda weights: lambda x: jnp.int32(x[:, 0] > weights)
    pace = episodes._on_device(env, greedy)
    text = episodes.steps_a_second(env, greedy, jnp.float32(1e9), pace)
    lines = text.splitlines()
    assert lines[0].split()[0] == "8"
    assert lines[0].split()[-1] == "256"  # 8 environments, 32 steps, a second
    if installed:
        assert lines[1].split()[-1] == str(speed.CHUNK)
        assert lines[2].split() == ["ratio", "5"]
    else:
        assert "pip install -e '.[gymnasium]'" in lines[-1]


@pytest.mark.parametrize("name", NAMES)
def test_gymnasiums_environment_is_the_same_size(name):
    gymnasium = pytest.importorskip("gymnasium")
    env = envs.create(name)
    theirs = gymnasium.make(env.gymnasium)
    assert theirs.spec.max_episode_steps == env.max_steps
    assert theirs.observation_space.shape == (env.observation_size,)
    if env.actions:
        assert theirs.action_space.n == env.actions
    else:
        assert (theirs.action_space.low, theirs.action_space.high) == (
            env.action_low, env.action_high
        )  # fmt: skip


@given(data=st.data())
@settings(max_examples=50, deadline=None)
def test_advantages_against_the_definition(data):
    steps, count = data.draw(st.sampled_from([(1, 1), (7, 3), (12, 2)]))
    ends = st.lists(st.sampled_from([0, 0, 1, 2]), min_size=steps * count, max_size=steps * count)
    end = np.array(data.draw(ends)).reshape(steps, count)
    discount, lam = data.draw(st.sampled_from([(0.99, 0.95), (0.9, 0.0), (1.0, 1.0)]))
    rng = np.random.default_rng(data.draw(st.integers(0, 1000)))
    rewards, values, following = rng.normal(size=(3, steps, count))
    given = np.float32([rewards, values, following])
    found = jax.jit(gae)(*given, end == 1, end == 2, discount, lam)
    advantages, targets = map(np.asarray, found)
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
        Categorical.noise(keys.root(0), (20000, 3))
    )
    # Five standard deviations of a share of 20000 draws.
    np.testing.assert_allclose(np.bincount(drawn, minlength=3) / 20000, p, atol=0.018)
    assert_close(jax.vmap(policy.log_prob)(jnp.arange(3)), np.log(p))
    assert_close(policy.entropy(), -(p * np.log(p)).sum())
    assert policy.mode() == 1

    policy = Gaussian(jnp.array([1.0, -2.0]), jnp.log(jnp.array([0.5, 2.0])))
    drawn = policy.sample(Gaussian.noise(keys.root(1), (20000, 2)))
    np.testing.assert_allclose(drawn.mean(0), policy.mean, atol=0.08)
    np.testing.assert_allclose(drawn.std(0), [0.5, 2.0], rtol=0.03)
    normal = lambda x, m, s: -(((x - m) / s) ** 2) / 2 - np.log(s * np.sqrt(2 * np.pi))
    assert_close(policy.log_prob(jnp.array([0.0, 0.0])), normal(0, 1, 0.5) + normal(0, -2, 2))
    # Of n independent ones the sum, and log(.5) + log(2) = 0.
    assert_close(policy.entropy(), 1 + np.log(2 * np.pi))
