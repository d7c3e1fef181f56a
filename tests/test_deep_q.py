"""DQN's forms: goals of several steps, double ones, priorities, two streams; in float64."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny
from launching import assert_resumes_to_the_bit, figures, leaves, run

from jaxdl import keys, models
from jaxdl.control import deep_q, replay, returns

FORMS = (
    *tiny.FLAGS["dqn"],
    *("--config.model.name=dueling", "--config.model.hidden=8", "--config.model.stream=8"),
    *("--config.task.n_steps=3", "--config.task.priority=.6"),
)


@pytest.mark.usefixtures("explicit")
def test_several_rewards_are_added_up_to_an_end():
    rng = np.random.default_rng(0)
    rewards = rng.standard_normal((4, 50)).astype(np.float32)
    ended = rng.random((4, 50)) < 0.3
    found, taken = returns.n_step(jnp.asarray(rewards), jnp.asarray(ended), 0.9)
    for i in range(50):
        stop = next((t + 1 for t in range(4) if ended[t, i]), 4)
        assert taken[i] == stop
        wanted = sum(0.9**t * np.float64(rewards[t, i]) for t in range(stop))
        assert float(found[i]) == pytest.approx(wanted, rel=1e-5, abs=1e-6)


class Table:
    """A network whose values are a product."""

    def apply(self, variables, observation):
        return observation @ variables["params"]


@pytest.mark.usefixtures("explicit")
@pytest.mark.parametrize("double", [True, False])
@pytest.mark.parametrize("steps", [1, 3])
def test_goals_are_the_published_ones(steps, double):
    """``Σ γ^k r + γ^m q_target(s_m, a')``, a' by the learner where double, in float64."""
    rng = np.random.default_rng(1)
    many, actions, size = 40, 3, 4
    normal = lambda *shape: rng.standard_normal(shape).astype(np.float32)
    params, target = normal(size, actions), normal(size, actions)
    terminated = rng.random((many, steps)) < 0.2
    windows = dict(
        observation=normal(many, steps, size),
        action=rng.integers(0, actions, (many, steps)).astype(np.int32),
        reward=normal(many, steps),
        next_observation=normal(many, steps, size),
        terminated=terminated,
        truncated=~terminated & (rng.random((many, steps)) < 0.2),
    )
    agent = deep_q.Agent(Table(), None, 4, 0.9, double, 0.5, steps)
    params, target, given = jax.tree.map(jnp.asarray, (params, target, windows))
    batch = deep_q.several(given, 0.9)
    found = deep_q.goals(agent, params, target, batch)
    np.testing.assert_array_equal(batch["action"], windows["action"][:, 0])
    wide = lambda x: np.asarray(x, np.float64)
    ends = set()
    for i in range(many):
        wanted = 0.0
        for k in range(steps):
            wanted += 0.9**k * 0.5 * float(windows["reward"][i, k])
            if terminated[i, k] or windows["truncated"][i, k]:
                break
        ends.add((k, bool(terminated[i, k]), bool(windows["truncated"][i, k])))
        if not terminated[i, k]:
            after = wide(windows["next_observation"][i, k])
            following = after @ wide(target)
            best = (after @ wide(params) if double else following).argmax()
            wanted += 0.9 ** (k + 1) * following[best]
        assert float(found[i]) == pytest.approx(wanted, rel=1e-4, abs=1e-5)
    assert len(ends) == 2 * steps + 1  # both kinds at every step, and none


def ring(times, capacity=8, priorities=False):
    """Two rings that ``times`` transitions went into, two at once: their number, and 100 more."""
    made = replay.create(jax.ShapeDtypeStruct((), jnp.int32), 2, capacity, priorities)
    for t in range(0, times, 2):
        made = replay.add(made, jnp.add.outer(jnp.arange(t, t + 2), jnp.array([0, 100])))
    return made


@pytest.mark.usefixtures("explicit")
@pytest.mark.parametrize("times", [6, 8, 12])
def test_steps_in_a_row_are_in_a_row(times):
    made, own = ring(times), jax.random.split(keys.root(0), 2)
    places = replay.evenly(made, own, 400, 3)
    rows = np.asarray(replay.windows(made, places, 3)).reshape(2, 400, 3)
    firsts = range(max(0, times - 8), times - 2)  # the last two are followed by none yet
    for i in range(2):
        np.testing.assert_array_equal(np.diff(rows[i]), 1)
        assert sorted(set(rows[i, :, 0] - 100 * i)) == list(firsts)


@pytest.mark.usefixtures("explicit")
@pytest.mark.parametrize("steps", [1, 3])
def test_what_was_misjudged_is_drawn_more_often(steps):
    made, count = ring(6, priorities=True), 8000
    np.testing.assert_array_equal(made.priority[:, :6], 1)
    errors = np.array([[4, 1, 1, 0.25, 9, 1], [1, 1, 1, 1, 1, 25]], np.float32)
    at = jnp.broadcast_to(jnp.arange(6), (2, 6))
    made = replay.judged(made, at, jnp.asarray(errors.ravel()))
    # What is new comes in at the ring's highest.
    more = replay.add(made, jnp.full((2, 2), 7))
    np.testing.assert_array_equal(more.priority[:, 6:], [[9, 9], [25, 25]])
    own = jax.random.split(keys.root(3), 2)
    places, odds = replay.prioritised(made, own, count, 0.5, steps)
    for i in range(2):
        weight = np.sqrt(np.float64(errors[i]))[: 6 - steps + 1]
        share = weight / weight.sum()
        counts = np.bincount(places[i], minlength=6)
        assert counts[len(share) :].sum() == 0
        # Five standard deviations of a binomial count.
        tolerance = 5 * np.sqrt(count * share * (1 - share))
        assert (np.abs(counts[: len(share)] - count * share) < tolerance).all()
        np.testing.assert_allclose(odds[i], (share * len(share))[places[i]], rtol=1e-5)


@pytest.mark.usefixtures("explicit")
def test_weights_take_back_how_often_it_was_drawn():
    made = replay.create({"reward": jax.ShapeDtypeStruct((), jnp.float32)}, 2, 4, priorities=True)
    made = replay.add(made, {"reward": jnp.arange(8.0).reshape(4, 2)})
    priority = jnp.array([1.0, 2, 3, 4, 4, 3, 2, 1])
    made = replay.judged(made, jnp.broadcast_to(jnp.arange(4), (2, 4)), priority)
    agent = deep_q.Agent(Table(), None, 4, 0.9, True, 1.0, 1, 1.0)
    own = jax.random.split(keys.root(0), 2)
    batch, places = deep_q.seen(agent, made, own, 30, jnp.float32(0.7))
    chance = np.float64(priority).reshape(2, 4) / 20  # each ring is half of all draws
    each = np.take_along_axis(chance, np.asarray(places), axis=1)
    weight = (8 * each.ravel()) ** -0.7
    np.testing.assert_allclose(batch["weight"], weight / weight.max(), rtol=1e-5)
    rewards = np.take_along_axis(np.arange(8.0).reshape(4, 2).T, np.asarray(places), axis=1)
    np.testing.assert_array_equal(batch["reward"], rewards.ravel())


def test_two_streams_are_put_together_as_published():
    module = models.create("dueling")
    x = jax.random.normal(keys.root(0), (5, 4))
    variables = module.init(keys.root(1), x)
    assert sum(p.size for p in jax.tree.leaves(variables)) == 133_635
    p = jax.tree.map(np.float64, variables["params"])
    layer = lambda name, x: x @ p[name]["kernel"] + p[name]["bias"]
    shared = np.maximum(layer("dense_0", np.float64(x)), 0)
    stream = lambda name: layer(f"{name}_head", np.maximum(layer(f"{name}_0", shared), 0))
    advantage = stream("advantage")
    wanted = stream("value") + advantage - advantage.mean(-1, keepdims=True)
    np.testing.assert_allclose(module.apply(variables, x), wanted, rtol=1e-4, atol=1e-5)


def test_all_forms_together_go_on_to_the_bit(tmp_path):
    flags = (*FORMS, "--config.checkpoint.every=4", "--config.log.every=3")
    assert_resumes_to_the_bit("dqn", tmp_path, *flags, at=4, same_calls=True)


@pytest.mark.slow("dqn", "jaxdl/parallel/", "jaxdl/control/")
@pytest.mark.parametrize("devices", [{"data": 8}, {"data": 4, "strategy": "pmap"}])
def test_all_forms_together_are_the_same_on_many_devices(devices, tmp_path):
    mesh = [f"--config.parallel.{name}={value}" for name, value in devices.items()]
    sgd = ("--config.optimizer.name=sgd", "--config.optimizer.learning_rate=.01")
    assert run("dqn", tmp_path / "one", *FORMS, *sgd) == 0
    assert run("dqn", tmp_path / "many", *FORMS, *sgd, *mesh) == 0
    for a, b in zip(leaves(tmp_path / "one"), leaves(tmp_path / "many"), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)
    one, many = (figures(tmp_path / name, "train")[-1] for name in ("one", "many"))
    assert one["loss"] == pytest.approx(many["loss"], rel=1e-4)


@pytest.mark.parametrize(
    ("flag", "message"),
    [
        ("n_steps=5", "config.task.n_steps=5 is more than config.task.rollout=4"),
        ("n_steps=0", "config.task.n_steps=0 must be at least 1"),
        ("priority=1.5", "config.task.priority=1.5 must be at least 0 and at most 1"),
        ("correction=-1", "config.task.correction=-1.0 must be at least 0 and at most 1"),
        ("correction=.6", "corrects for what config.task.priority draws more often"),
    ],
)
def test_forms_that_cannot_be(flag, message, tmp_path, capsys):
    assert run("dqn", tmp_path / "run", *tiny.FLAGS["dqn"], f"--config.task.{flag}") == 2
    captured = capsys.readouterr().err
    assert message in captured
    assert captured.count("\n") == 1
