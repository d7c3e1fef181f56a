"""SARSA and expected SARSA: their targets, exact values of what is learned, and the cliff."""

import functools

import jax
import numpy as np
import pytest
import tiny
from launching import assert_resumes_to_the_bit, assert_same_bits, leaves, run, summary

from jaxdl import config, keys, tasks
from jaxdl.control import tabular as exact
from jaxdl.control.policies import epsilon_greedy
from jaxdl.data import Data
from jaxdl.envs import tabular

START, GOAL, COLUMNS = 36, 47, 12


def soft(q, epsilon):
    """Probabilities of actions, one state after another."""
    found = np.full(q.shape, epsilon / q.shape[-1])
    for place in np.ndindex(q.shape[:-1]):
        best = np.flatnonzero(q[place] == q[place].max())
        found[place][best] += (1 - epsilon) / len(best)
    return found


def summed_up(world, policy, discount, doublings=24):
    """What a policy is worth, the sum of what it gets over 2^24 steps, float64."""
    p = np.float64(world.probability)
    weight = policy[..., None] * p / p.sum(-1, keepdims=True)
    values, states = (weight * world.reward).sum((1, 2)), np.arange(len(policy))
    step = np.zeros((len(policy), len(policy)))
    where = np.broadcast_to(states[:, None, None], weight.shape), world.next_state
    np.add.at(step, where, discount * np.where(world.terminal, 0, weight))
    for _ in range(doublings):
        values, step = values + step @ values, step @ step
    return values


@pytest.mark.parametrize(("name", "discount"), [("frozen_lake", 0.99), ("cliff_walking", 1.0)])
def test_values_of_a_random_policy_are_those_of_its_equation(name, discount):
    world = tabular.create(name)
    shape = world.next_state.shape[:2]
    # Of few different numbers, so that some are equally good.
    q = np.random.default_rng(0).integers(0, 3, shape).astype(float)
    policy = soft(q, 0.6)
    np.testing.assert_allclose(epsilon_greedy(q, 0.6), policy, rtol=1e-12)
    found = exact.policy_values(world, policy, discount)
    np.testing.assert_allclose(found, summed_up(world, policy, discount), rtol=1e-6, atol=1e-9)


def test_a_policy_that_never_arrives_has_no_undiscounted_value():
    world = tabular.create("cliff_walking")
    policy = np.eye(4)[np.zeros(48, int)]  # up, for ever
    policy[COLUMNS * 2 + 11] = policy[GOAL] = np.eye(4)[2]  # but down at the goal's column
    found = exact.policy_values(world, policy, 1.0)
    assert found[COLUMNS * 2 + 11] == -1
    assert np.isnan(found[START])
    np.testing.assert_allclose(exact.policy_values(world, policy, 0.9)[START], -10, rtol=1e-12)


def made(learners=3, steps=10, schedule="constant", **settings):
    chosen = config.default()
    chosen.update(batch_size=learners, steps=steps)
    chosen.optimizer.update(schedule=schedule, learning_rate=0.5)
    with chosen.unlocked():
        chosen.task = dict(name="q_learning", **settings)
        chosen.data.name = "none"
    return tasks.create(tasks.Run(chosen, Data(), steps, None))


@pytest.mark.parametrize("target", ["sampled", "expected"])
def test_the_update_is_the_published_one(target):
    """Along the way that each learner took, in float64; the clock ends an episode on it."""
    task = made(env="cliff_walking", transitions=1, discount=0.9, epsilon=0.5, last_epsilon=0.5,
                target=target)  # fmt: skip
    world, key = tabular.create("cliff_walking"), keys.root(0)
    state, step = task.init(key, {}), jax.jit(task.train_step)
    # The second learner has one step left before the clock is up.
    state = state._replace(steps=state.steps.at[1].set(198))
    mine, followed = np.zeros((3, 48, 4)), 0
    for i in range(40):
        after, _ = step(state, {}, jax.random.fold_in(key, i))
        before = mine.copy()
        for learner, place, action in np.argwhere(np.asarray(after.q != state.q)):
            then = world.next_state[place, action, 0]
            over = int(after.steps[learner]) == 0
            if target == "sampled":
                chosen = int(state.action[learner])
                assert chosen in (-1, action)  # what was chosen is what is done
                followed += chosen >= 0
                assert (int(after.action[learner]) < 0) == over
                later = before[learner, then]
                # What would have been done is not kept where the clock stops it.
                later = later if over else later[[int(after.action[learner])]]
            else:
                later = [soft(before[learner, then], 0.5) @ before[learner, then]]
            found = float(after.q[learner, place, action])
            goals = world.reward[place, action, 0] + 0.9 * np.asarray(later)
            moved = before[learner, place, action]
            moved = moved + 0.5 * (goals - moved)
            best = moved[np.abs(moved - found).argmin()]
            assert found == pytest.approx(best, rel=1e-5)
            mine[learner, place, action] = best
        state = after
    assert target == "expected" or followed > 100


@functools.cache
def learned(target):
    """Tables of 8 learners after 12,000 steps each, of which a tenth are random."""
    task = made(8, 120, "linear", env="cliff_walking", discount=1.0, epsilon=0.1, last_epsilon=0.1,
                target=target)  # fmt: skip
    key = keys.root(0)
    state, step = task.init(key, {}), jax.jit(task.train_step)
    for i in range(120):
        state, found = step(state, {}, jax.random.fold_in(key, i))
    figures = task.score(state, None, key)
    return (
        np.asarray(state.q),
        figures,
        float(found["episode_return"].total) / float(found["episode_return"].weight),
    )


def rows(q):
    """Those that the best actions lead through, between the first step and the cliff's last one."""
    world, place, found = tabular.create("cliff_walking"), START, {}
    for _ in range(100):
        if place == GOAL:
            return [found[column] for column in range(1, 11)]
        row, column = divmod(place, COLUMNS)
        found[column] = max(row, found.get(column, 0))
        place = int(world.next_state[place, q[place].argmax(), 0])
    raise AssertionError("it never arrives")


def best_soft(world, epsilon, sweeps=2000):
    """The best there is among policies of which a share epsilon is random, float64."""
    q = np.zeros(world.next_state.shape[:2])
    for _ in range(sweeps):
        worth = (1 - epsilon) * q.max(-1) + epsilon * q.mean(-1)
        q = (world.reward + np.where(world.terminal, 0, worth[world.next_state]))[..., 0]
    return (1 - epsilon) * q[START].max() + epsilon * q[START].mean()


def test_q_learning_walks_along_the_edge_and_sarsa_keeps_off_it():
    """Sutton and Barto, 2018, example 6.6."""
    on_edge, figures, while_learning = learned("max")
    assert [rows(q) for q in on_edge] == [[2] * 10] * 8
    assert figures["mean_return"] == -13
    best = best_soft(tabular.create("cliff_walking"), 0.1)
    assert figures["exploring_value"] < 1.5 * best
    for target, near in (("sampled", 1.15), ("expected", 1.02)):
        tables, found, returns = learned(target)
        assert max(max(rows(q)) for q in tables) < 2
        assert found["mean_return"] < -13  # which is longer
        assert near * best <= found["exploring_value"] <= best  # but better while exploring
        assert returns > 1.2 * best > while_learning


def test_sarsa_goes_on_and_is_the_same_on_eight_devices(tmp_path):
    small = (*tiny.FLAGS["q_learning:sarsa"], "--config.eval.every=6", "--config.log.every=3")
    keep = "--config.checkpoint.every=4"
    assert_resumes_to_the_bit("q_learning:sarsa", tmp_path, *small, keep, at=4)
    assert run("q_learning:sarsa", tmp_path / "many", *small, "--config.parallel.data=8") == 0
    assert_same_bits(leaves(tmp_path / "whole"), leaves(tmp_path / "many"))
    assert np.isfinite(summary(tmp_path / "many")["final"]["exploring_value"])


def test_a_target_that_there_is_none_of_is_refused(tmp_path, capsys):
    assert run("q_learning", tmp_path, "--config.task.target=expcted") == 2
    assert "did you mean 'expected'" in capsys.readouterr().err
