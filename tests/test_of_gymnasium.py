"""Environments stepped on the host: against a plain loop, repeated, forgotten, and gymnasium's."""

import re
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec
from launching import assert_resumes_to_the_bit, figures, run

from jaxdl import envs, errors, keys
from jaxdl.control.policies import evenly
from jaxdl.envs import of_gymnasium, vectorised
from jaxdl.envs.of_gymnasium import Host, on_host
from jaxdl.errors import UserError

LIMIT = 6


class Walk:
    """As of gymnasium. A number that drifts by draws of its own: an end above 2, cut off below -2.

    Like gymnasium's TimeLimit it says that it is cut off at the limit, whether it ends there or
    not.
    """

    stepped = 0

    def reset(self, seed=None):
        assert type(seed) is int
        assert 0 <= seed < 2**31
        self.rng, self.steps = np.random.default_rng(seed), 0
        self.x = self.rng.uniform(-1, 1)
        return self.seen(), {}

    def seen(self):
        return np.array([self.x, self.steps / LIMIT])

    def step(self, action):
        Walk.stepped += 1
        self.steps += 1
        self.x += 0.8 * action + self.rng.normal()
        cut = self.x < -2 or self.steps >= LIMIT
        return self.seen(), self.x, self.x > 2, cut, {}


def walk(world=Walk):
    flat, take = lambda seen: np.float32(seen), lambda action: int(action) - 1
    return on_host(Host("a walk", world, 2, LIMIT, flat, take), dict(actions=3))


def rolled(env, many, steps, key=1):
    act = lambda seen, keys: evenly(env, keys)
    roll = lambda many, key: vectorised.roll_out(env, act, many, key, steps)
    return jax.jit(roll)(many, keys.root(key))


@pytest.fixture(scope="module")
def begun():
    """(an environment, five of it, what 40 steps of them came to)."""
    env = walk()
    many = jax.jit(lambda key: vectorised.create(env, key, 5))(keys.root(0))
    return env, many, rolled(env, many, 40)


def assert_same(one, other):
    jax.tree.map(np.testing.assert_array_equal, one, other)


def test_it_is_what_a_plain_loop_does_and_ends_are_told_apart(begun):
    _, many, (end, moves) = begun
    following = jax.jit(of_gymnasium._next)
    kinds = set()
    for i in range(5):
        world, seed, steps = Walk(), np.asarray(many.state.seed[i]), 0
        seen, _ = world.reset(seed=int(seed[0]) >> 1)
        for t in range(40):
            np.testing.assert_array_equal(moves.observation[t, i], np.float32(seen))
            seen, reward, terminated, cut, _ = world.step(int(moves.action[t, i]) - 1)
            steps += 1
            np.testing.assert_array_equal(moves.next_observation[t, i], np.float32(seen))
            assert moves.reward[t, i] == np.float32(reward)
            assert moves.terminated[t, i] == terminated
            assert moves.truncated[t, i] == (cut and not terminated)
            assert moves.steps[t, i] == steps
            if terminated or cut:
                kinds.add((bool(terminated), bool(cut), steps == LIMIT))
                seed, steps = np.asarray(following(seed)), 0
                seen, _ = world.reset(seed=int(seed[0]) >> 1)
        np.testing.assert_array_equal(end.state.seed[i], seed)
    # By the rules; by the environment itself; by the clock.
    assert kinds >= {(True, False, False), (False, True, False), (False, True, True)}


def test_what_is_asked_again_or_was_forgotten_is_played_again(begun, monkeypatch):
    env, many, both = begun
    assert_same(rolled(env, many, 40), both)
    middle, first = rolled(env, many, 15, key=2)
    last = rolled(env, middle, 15, key=3)
    # Another process, which has no episode yet, of a run that goes on.
    assert_same(rolled(walk(), middle, 15, key=3), last)
    monkeypatch.setattr(of_gymnasium, "EPISODES", 2)
    monkeypatch.setattr(of_gymnasium, "CALLS", 0)
    forgetful = walk()
    assert_same(rolled(forgetful, many, 15, key=2), (middle, first))
    assert_same(rolled(forgetful, middle, 15, key=3), last)


@pytest.mark.slow("jaxdl/envs/", "jaxdl/experiment/")
def test_members_of_a_population_may_have_the_same_seeds(begun):
    env, many, (_, moves) = begun
    twice = jax.tree.map(lambda x: jnp.stack([x, x]), many)
    left = lambda seen, keys: jnp.zeros(len(keys), jnp.int32)
    even = lambda seen, keys: evenly(env, keys)

    def roll(many, which):
        act = lambda seen, keys: jnp.where(which, even(seen, keys), left(seen, keys))
        return vectorised.roll_out(env, act, many, keys.root(1), 40)[1]

    found = jax.jit(jax.vmap(roll))(twice, jnp.array([True, False]))
    assert_same(jax.tree.map(lambda x: x[0], found), moves)
    assert not found.action[1].any()
    assert not np.array_equal(found.next_observation[1], found.next_observation[0])


@pytest.mark.slow("jaxdl/envs/", "jaxdl/parallel/")
def test_devices_change_no_number():
    env = walk()
    mesh = Mesh(np.array(jax.devices()[:4]), ("data",), axis_types=(AxisType.Auto,))
    split = NamedSharding(mesh, PartitionSpec("data"))
    many = jax.jit(lambda key: vectorised.create(env, key, 8))(keys.root(0))
    assert_same(rolled(env, jax.device_put(many, split), 20), rolled(env, many, 20))


def test_episodes_that_are_over_cost_nothing():
    env = walk()
    play = jax.jit(
        lambda key: vectorised.play(env, lambda seen: jnp.ones(len(seen), jnp.int32), key, 9)
    )
    Walk.stepped = 0
    found = play(keys.root(5))
    assert len(set(found.steps.tolist())) > 1
    assert Walk.stepped == found.steps.sum()
    world, seed = Walk(), found.first.seed[0][0]
    world.reset(seed=int(seed) >> 1)
    for t in range(int(found.steps[0])):
        seen = world.step(0)[0]
        np.testing.assert_array_equal(found.first.observation[t + 1], np.float32(seen))


@pytest.mark.slow("jaxdl/envs/", "jaxdl/runs/")
def test_a_run_goes_on_to_the_bit(monkeypatch, tmp_path):
    monkeypatch.setitem(envs._registry._entries, "walk", walk)
    flags = (*tiny.FLAGS["a2c"], "--config.task.env=walk", "--config.log.every=1")
    more = ("--config.steps=4", "--config.eval.every=4", "--config.checkpoint.every=2")
    assert_resumes_to_the_bit("a2c", tmp_path, *flags, *more, at=2)
    assert figures(tmp_path / "whole", "train")[-1]["episode_length"] <= LIMIT


class Fails(Walk):
    """It breaks when so many episodes have begun."""

    begun = 0

    def reset(self, seed=None):
        type(self).begun += 1
        return super().reset(seed)

    def step(self, action):
        if self.begun > 28:
            raise ValueError("the motor is\nnot there")
        return super().step(action)


def test_an_exception_is_put_off_and_all_is_nan_from_there_on(monkeypatch):
    monkeypatch.setattr(Fails, "begun", 0)
    host = Host(
        "a walk", Fails, 2, LIMIT, lambda seen: np.float32(seen), lambda action: int(action)
    )
    seed, none = np.uint32([[3, 4]]), np.zeros(1, np.int32)
    step = lambda: host.step(seed, seed + 1, none, np.zeros((1, LIMIT), np.int32), none)
    assert np.isfinite(host.start(seed)).all()
    monkeypatch.setattr(Fails, "begun", 99)
    for _ in range(2):
        found = step()
        assert np.isnan(found.reward).all()
        assert np.isnan(found.observation).all()
        assert found.observation.shape == (1, 2)
        assert not found.terminated.any()
    assert np.isnan(host.start(seed)).all()
    error = errors.taken()
    assert str(error) == (
        "a walk failed at step 1 of an episode, for action 0: ValueError: the motor is not there"
    )
    assert isinstance(error.__cause__, ValueError)
    assert errors.taken() is None


@pytest.mark.slow("jaxdl/envs/", "jaxdl/train/", "jaxdl/errors.py")
def test_an_environment_that_fails_on_the_way_is_one_line_and_the_checkpoint_is_kept(
    monkeypatch, tmp_path, capfd
):
    monkeypatch.setitem(envs._registry._entries, "walk", lambda: walk(Fails))
    monkeypatch.setattr(Fails, "begun", 0)
    flags = (*tiny.FLAGS["a2c"], "--config.task.env=walk", "--config.checkpoint.every=1")
    assert run("a2c", tmp_path, *flags, "--config.steps=40", "--config.eval.every=40") == 2
    told = capfd.readouterr().err.strip().splitlines()
    assert "Traceback" not in "\n".join(told)
    wanted = (
        r"error: step \d+: a walk failed at step \d of an episode, for action \d: ValueError: the "
        r"motor is not there; the update was not applied; checkpoint \d+ is kept"
    )
    assert re.fullmatch(wanted, told[-1])


@pytest.mark.parametrize("library", ["gymnasium", "gymnax"])
def test_a_library_that_is_missing_is_named_with_its_extra(library, monkeypatch):
    monkeypatch.setitem(sys.modules, library, None)
    name = f"{library}:CartPole-v1"
    told = rf"env='{name}' needs {library}: pip install -e '.\[{library}\]'"
    with pytest.raises(UserError, match=told):
        envs.create(name)


def test_another_library_is_refused():
    with pytest.raises(UserError, match="unknown library of environments 'gym': did you mean"):
        envs.create("gym:CartPole-v1")


# What follows is of gymnasium itself, where it is installed.


@pytest.fixture
def gymnasium():
    return pytest.importorskip("gymnasium")


@pytest.fixture
def named(gymnasium):
    """(observation space, action space, what a step shows) -> the name of such an environment."""

    def register(seen, taken, shown, reward=1.0, limit=5):
        class Own(gymnasium.Env):
            observation_space, action_space = seen, taken
            taken_so_far = []

            def reset(self, *, seed=None, options=None):
                super().reset(seed=seed)
                return seen.sample() if shown is None else shown, {}

            def step(self, action):
                assert self.action_space.contains(action), action
                self.taken_so_far.append(action)
                return seen.sample() if shown is None else shown, reward, False, False, {}

        name = f"Own{len(made)}-v0"
        gymnasium.register(name, entry_point=Own, max_episode_steps=limit)
        made.append(name)
        return f"gymnasium:{name}"

    made = []
    yield register
    for name in made:
        del gymnasium.registry[name]


def test_spaces_are_taken_as_they_are(gymnasium, named, capfd):
    box, choice = gymnasium.spaces.Box, gymnasium.spaces.Discrete
    pair = gymnasium.spaces.Dict(a=choice(3, start=5), b=box(0, 255, (2, 2), np.uint8))
    shown = {"a": np.int64(6), "b": np.uint8([[1, 2], [3, 255]])}
    # Actions 1 and 2, called 0 and 1 here.
    env = envs.create(named(pair, choice(2, start=1), shown))
    assert (
        "is stepped in Python on the host, one environment after another" in capfd.readouterr().err
    )
    assert (env.actions, env.observation_size, env.max_steps) == (2, 7, 5)
    many = vectorised.create(env, keys.root(0), 3)
    _, moves = rolled(env, many, 6)
    np.testing.assert_array_equal(moves.observation[0, 0], [0, 1, 0, 1, 2, 3, 255])
    assert moves.truncated.T.tolist() == [[False] * 4 + [True, False]] * 3
    assert not moves.terminated.any()

    low, high = np.float64([-1, 0]), np.float64([1, 0.1])
    env = envs.create(named(box(-1, 1, (3,)), box(low, high, dtype=np.float64), None))
    np.testing.assert_array_equal(env.action_high, np.float32(high))
    moves = rolled(env, vectorised.create(env, keys.root(0), 3), 4)[1]
    assert moves.action.shape == (4, 3, 2)
    # The largest float32 number of the range is above the largest double, and is clipped.
    state = jax.tree.map(lambda x: x[0], vectorised.create(env, keys.root(0), 1).state)
    env.step(state, env.from_units(jnp.float32([9, 9])))


def test_what_cannot_be_had_is_one_line(gymnasium, named):
    box, choice = gymnasium.spaces.Box, gymnasium.spaces.Discrete
    one, plain, two = box(-1, 1, (2,)), choice(2), np.zeros(2, np.float32)
    for name, message in {
        "gymnasium:Cartpole-v1": "gymnasium cannot make 'Cartpole-v1': .*Did you mean: `CartPole`",
        "gymnasium:no_such_module:Mine-v0": "gymnasium cannot make 'no_such_module:Mine-v0': ",
        "gymnasium:CliffWalking-v1": "CliffWalking-v1 has no time limit: register it with one",
        named(one, box(-np.inf, np.inf, (1,)), two): "without bounds: wrap it in",
        named(one, gymnasium.spaces.MultiBinary(2), two): "only a Discrete, or a Box of floats",
        named(gymnasium.spaces.Sequence(choice(2)), plain, two): "cannot be laid out in a row",
        named(one, plain, np.zeros(3, np.float32)): "reset shows 3 numbers, and observation_space",
        named(choice(3), plain, 7): "reset shows what is not in its observation_space",
        named(one, plain, two, reward=float("nan")): "a reward of nan at step 1 of random ones",
    }.items():
        with pytest.raises(UserError, match=message) as caught:
            envs.create(name)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("when", ["its making", "reset", "step 1 of random ones"])
def test_what_fails_when_it_is_tried_is_one_line(gymnasium, when):
    class Broken(gymnasium.Env):
        observation_space = gymnasium.spaces.Box(-1, 1, (2,))
        action_space = gymnasium.spaces.Discrete(2)

        def __init__(self):
            self.fail("its making")

        def reset(self, *, seed=None, options=None):
            self.fail("reset")
            return np.zeros(2, np.float32), {}

        def step(self, action):
            self.fail("step 1 of random ones")

        def fail(self, now):
            if now == when:
                raise RuntimeError("no motor")

    gymnasium.register("Broken-v0", entry_point=Broken, max_episode_steps=5)
    try:
        with pytest.raises(UserError) as caught:
            envs.create("gymnasium:Broken-v0")
    finally:
        del gymnasium.registry["Broken-v0"]
    assert str(caught.value) == f"gymnasium's Broken-v0 failed at {when}: RuntimeError: no motor"


def test_theirs_is_ours(gymnasium):
    ours, theirs = envs.create("cartpole"), envs.create("gymnasium:CartPole-v1")
    assert (theirs.actions, theirs.observation_size) == (ours.actions, ours.observation_size)
    many = vectorised.create(theirs, keys.root(0), 8)
    moves = rolled(theirs, many, 60)[1]
    _, seen, reward, terminated = jax.jit(jax.vmap(jax.vmap(ours.step)))(
        moves.observation, moves.action
    )
    np.testing.assert_allclose(seen, moves.next_observation, rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(reward, moves.reward)
    np.testing.assert_array_equal(terminated, moves.terminated)
    assert moves.terminated.any()


@pytest.mark.slow("jaxdl/envs/", "ppo")
def test_an_agent_learns_in_one(gymnasium, tmp_path):
    flags = ("--config.task.env=gymnasium:Pendulum-v1", "--config.log.report=true")
    once = ("--config.steps=2", "--config.eval.every=2")
    assert run("ppo:pendulum", tmp_path, *tiny.FLAGS["ppo:pendulum"], *flags, *once) == 0
    assert -2000 < figures(tmp_path, "eval")[-1]["mean_return"] < -500
    page = (tmp_path / "report.html").read_text()
    assert "<h2>Episode</h2>" in page
    assert "Environment steps a second" not in page
