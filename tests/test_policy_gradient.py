"""REINFORCE, A2C and A3C: the loss and what is learned from in float64, and whole runs."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny
from launching import assert_resumes_to_the_bit, figures, leaves, run, summary

from jaxdl import config, envs, keys, tasks
from jaxdl.control import returns
from jaxdl.control.rollouts import Agent, first_episode
from jaxdl.data import Data
from jaxdl.envs import vectorised
from jaxdl.tasks import policy_gradient

TIME, MANY, SIZE, ACTIONS = 7, 4, 3, 5


class Linear:
    """A network whose outputs are known."""

    def apply(self, variables, observation):
        params = variables["params"]
        return observation @ params["policy"], observation @ params["value"]


AGENT = Agent(Linear(), envs.create("cartpole")._replace(actions=ACTIONS))


@functools.cache
def drawn():
    """(parameters, moves) of random numbers, in which episodes end in both ways."""
    rng = np.random.default_rng(0)
    normal = lambda *shape: rng.standard_normal(shape).astype(np.float32)
    params = {"policy": normal(SIZE, ACTIONS), "value": normal(SIZE)}
    terminated, truncated = np.zeros((2, TIME, MANY), bool)
    terminated[2, 0] = terminated[4, 1] = truncated[3, 1] = truncated[5, 2] = True
    moves = vectorised.Transition(
        normal(TIME, MANY, SIZE),
        rng.integers(0, ACTIONS, (TIME, MANY)).astype(np.int32),
        normal(TIME, MANY),
        normal(TIME, MANY, SIZE),
        terminated,
        truncated,
        normal(TIME, MANY),
        np.ones((TIME, MANY), np.int32),
    )
    return jax.tree.map(jnp.asarray, (params, moves))


def reference(discount, lam, baseline, scale):
    """Advantages and targets (time, environments), each a sum over what followed, in float64."""
    params, moves = jax.tree.map(np.asarray, drawn())
    wide = lambda x: np.asarray(x, np.float64)
    value = lambda seen: wide(seen) @ wide(params["value"]) * baseline
    now, after = value(moves.observation), value(moves.next_observation)
    advantage = np.zeros((TIME, MANY))
    for t, i in np.ndindex(TIME, MANY):
        for s in range(t, TIME):
            goes_on = 0.0 if moves.terminated[s, i] else after[s, i]
            error = scale * moves.reward[s, i] + discount * goes_on - now[s, i]
            advantage[t, i] += (discount * lam) ** (s - t) * error
            if moves.terminated[s, i] or moves.truncated[s, i]:
                break
    return advantage, advantage + now


CASES = {
    "n steps": dict(discount=0.9, lam=1.0, baseline=True, whole=False, normalise=False),
    "gae": dict(discount=0.9, lam=0.7, baseline=True, whole=False, normalise=True),
    "whole episodes": dict(discount=0.8, lam=1.0, baseline=True, whole=True, normalise=True),
    "no baseline": dict(discount=0.8, lam=1.0, baseline=False, whole=True, normalise=False),
}


@pytest.mark.usefixtures("explicit")
@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_what_is_learned_from_and_the_loss_are_those_of_float64(case):
    params, moves = drawn()
    baseline, scale, entropy, weight = case["baseline"], 0.5, 0.1, 0.3
    seen = policy_gradient.examples(
        AGENT, {"params": params}, moves, whole=case["whole"], baseline=baseline,
        reward_scale=scale, discount=case["discount"], gae_lambda=case["lam"],
        normalise=case["normalise"],
    )  # fmt: skip
    advantage, target = reference(case["discount"], case["lam"], baseline, scale)
    counts = np.ones((TIME, MANY))
    if case["whole"]:
        counts[3:, 0] = counts[4:, 1] = counts[6:, 2] = 0
    if case["normalise"]:
        mean = (advantage * counts).sum() / counts.sum()
        centred = advantage - mean
        advantage = centred / np.sqrt((centred**2 * counts).sum() / counts.sum())
    for name, wanted in (("advantage", advantage), ("target", target), ("weight", counts)):
        np.testing.assert_allclose(seen[name].T, wanted, rtol=1e-4, atol=1e-5, err_msg=name)

    observation, action = np.float64(moves.observation), np.asarray(moves.action)
    wide = {name: np.float64(x) for name, x in params.items()}
    logits = observation @ wide["policy"]
    odds = np.exp(logits - logits.max(-1, keepdims=True))
    odds /= odds.sum(-1, keepdims=True)
    nats = -(odds * np.log(odds)).sum(-1)
    chosen = np.eye(ACTIONS)[action]
    error = observation @ wide["value"] - target
    each = -np.log((odds * chosen).sum(-1)) * advantage - entropy * nats
    each = each + weight * error**2 / 2 * baseline

    def loss(params):
        found = policy_gradient.training_loss(
            AGENT, entropy, weight if baseline else None, params, {}, seen, keys.root(0)
        )
        return found.loss.total / found.loss.weight, found

    grads, found = jax.grad(loss, has_aux=True)(params)
    assert float(found.loss.total) == pytest.approx((each * counts).sum(), rel=1e-5)
    assert float(found.loss.weight) == counts.sum()
    # By hand: of -A log p it is A (p - 1[a]), of the entropy -p (log p + H).
    of_logits = (odds - chosen) * advantage[..., None]
    of_logits += entropy * odds * (np.log(odds) + nats[..., None])
    share = counts / counts.sum()
    wanted = np.einsum("tns,tna,tn->sa", observation, of_logits, share)
    np.testing.assert_allclose(grads["policy"], wanted, rtol=1e-4, atol=1e-6)
    wanted = weight * baseline * np.einsum("tns,tn,tn->s", observation, error, share)
    np.testing.assert_allclose(grads["value"], wanted, rtol=1e-4, atol=1e-6)


@pytest.mark.usefixtures("explicit")
def test_the_first_episode_is_up_to_its_last_step():
    _, moves = drawn()
    assert first_episode(moves).sum(0).tolist() == [3, 4, 6, 7]


def test_normalising_by_weights_of_one_is_normalising():
    x = jax.random.normal(keys.root(0), (6, 5))
    np.testing.assert_allclose(
        returns.normalised(x, jnp.ones((6, 5))), returns.normalised(x), rtol=1e-5
    )


def made(steps=60, **settings):
    chosen = config.default()
    chosen.update(batch_size=8, steps=steps, precision="float32")
    chosen.optimizer.update(name="sgd", schedule="constant", learning_rate=0.3, clip=0.0)
    with chosen.unlocked():
        chosen.task = dict(name="policy_gradient", **settings)
        chosen.model = dict(name="actor_critic", hidden=())
        chosen.data.name = "none"
    return tasks.create(tasks.Run(chosen, Data(), steps, None))


def waiting(ends):
    """Four steps of reward 1 in one state, which then ends by its rules or by the clock alone."""
    see = lambda left: jax.nn.one_hot(left, 4, dtype=jnp.float32) if ends else jnp.ones(4)

    def step(left, action):
        return left - 1, see(left - 1), jnp.float32(1), (left == 0) & ends

    return envs.Environment(
        lambda key: (jnp.int32(3), see(jnp.int32(3))), step, lambda axes, state: None,
        observation_size=4, max_steps=4, actions=2,
    )  # fmt: skip


@pytest.mark.parametrize("rollout", [2, 0])
@pytest.mark.parametrize("ends", [True, False])
def test_the_clock_ends_no_values_and_the_rules_do(ends, rollout, monkeypatch):
    monkeypatch.setattr(envs, "create", lambda name: waiting(ends))
    task = made(env="waiting", rollout=rollout, discount=0.5)
    state, key, step = task.init(keys.root(0), {}), keys.root(1), jax.jit(task.train_step)
    for i in range(60):
        state, found = step(state, {}, jax.random.fold_in(key, i))
    values = task.parameters(state)["value_head/kernel"].ravel() + 0
    values = values + task.parameters(state)["value_head/bias"]
    if ends:  # 1, 1.5, 1.75, 1.875 with the steps that are left
        np.testing.assert_allclose(values, 2 - 0.5 ** np.arange(4), atol=0.02)
    else:
        total = task.parameters(state)["value_head/kernel"].sum()
        total += task.parameters(state)["value_head/bias"][0]
        assert float(total) == pytest.approx(2, abs=0.02)  # 1 / (1 - γ): it would go on
    assert float(found["episode_length"].total / found["episode_length"].weight) == 4


def test_a_stale_gradient_moves_the_newest_parameters():
    fresh, stale = made(rollout=3), made(rollout=3, staleness=2)
    state, key = stale.init(keys.root(0), {}), keys.root(1)
    step_fresh, step_stale = jax.jit(fresh.train_step), jax.jit(stale.train_step)
    history = []
    for i in range(5):
        history.append(state.learner.params)
        of_then = history[max(0, i - 2)]
        one = jax.random.fold_in(key, i)
        own = state.learner._replace(params=of_then)
        alone = policy_gradient.State(own, state.envs, None)
        alone, _ = step_fresh(alone, {}, one)
        moved = jax.tree.map(
            lambda now, old, new: now + (new - old), state.learner.params, of_then,
            alone.learner.params,
        )  # fmt: skip
        state, _ = step_stale(state, {}, one)
        jax.tree.map(
            lambda a, b: np.testing.assert_allclose(a, b, atol=1e-6), state.learner.params, moved
        )
        jax.tree.map(np.testing.assert_array_equal, state.envs, alone.envs)
    assert not np.allclose(history[2]["policy_head"]["kernel"], history[4]["policy_head"]["kernel"])


DEVICES = {
    "data": dict(data=8),
    "fsdp": dict(data=2, fsdp=4, fsdp_min_size=64),
    "pmap": dict(data=8, strategy="pmap"),
}


@pytest.mark.parametrize(
    ("experiment", "devices"),
    [
        ("a2c:a3c", "data"),
        pytest.param("a2c:a3c", "fsdp", marks=pytest.mark.slow("jaxdl/parallel/")),
        pytest.param("reinforce", "pmap", marks=pytest.mark.slow("jaxdl/parallel/", "reinforce")),
    ],
)
def test_devices_change_no_number(experiment, devices, tmp_path):
    mesh = [f"--config.parallel.{name}={value}" for name, value in DEVICES[devices].items()]
    # RMSprop and Adam make rounding of small gradients large.
    small = (*tiny.FLAGS[experiment], "--config.optimizer.eps=.1")
    assert run(experiment, tmp_path / "one", *small) == 0
    assert run(experiment, tmp_path / "many", *small, *mesh) == 0
    for a, b in zip(leaves(tmp_path / "one"), leaves(tmp_path / "many"), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)
    one, many = (figures(tmp_path / name, "train")[-1] for name in ("one", "many"))
    for name in ("loss", "entropy", "value_loss"):
        assert one[name] == pytest.approx(many[name], rel=1e-4, abs=1e-6)


def test_reinforce_plays_an_episode_in_each_environment_and_goes_on(tmp_path):
    flags = (*tiny.FLAGS["reinforce:plain"], "--config.log.every=1", "--config.checkpoint.every=2")
    assert_resumes_to_the_bit("reinforce:plain", tmp_path, *flags, at=2)
    lines = figures(tmp_path / "whole", "train")
    assert all(8 <= line["episode_return"] == line["episode_length"] <= 500 for line in lines)
    assert "value_loss" not in lines[0]
    assert summary(tmp_path / "whole")["steps"] == 3


@pytest.mark.parametrize(
    ("flag", "message"),
    [
        ("task.env=cartpol", "did you mean 'cartpole'"),
        ("task.rollout=-1", "config.task.rollout=-1 must be at least 0"),
        ("task.staleness=-1", "config.task.staleness=-1 must be at least 0"),
        ("task.baseline=false", "config.task.rollout=4: without a baseline nothing tells what"),
        ("task.gae_lambda=1.5", "gae_lambda=1.5 must be at least 0 and at most 1"),
        ("task.value_weight=-1", "config.task.value_weight=-1.0 must be at least 0"),
        ("model.actions=3", "config.model has no key 'actions'"),
        ("data.name=digits", "needs data.name='none'"),
    ],
)
def test_bad_input_is_one_line(flag, message, tmp_path, capsys):
    assert run("a2c", tmp_path / "run", *tiny.FLAGS["a2c"], f"--config.{flag}") == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    "weight", ["gae_lambda=0.9 weighs values", "value_weight=0.5 weighs a value"]
)
def test_without_values_there_is_nothing_to_weigh(weight, tmp_path, capsys):
    flags = (*tiny.FLAGS["reinforce:plain"], f"--config.task.{weight.split()[0]}")
    assert run("reinforce:plain", tmp_path / "run", *flags) == 2
    assert f"{weight}: without a baseline" in capsys.readouterr().err
