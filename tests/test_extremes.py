"""Settings that are divided, rounded to updates or exponentiated, where numbers fall together."""

import math
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl import config, data, losses, optim
from jaxdl.config import settings as keys_of
from jaxdl.control import temporal_difference
from jaxdl.control.policies import Categorical
from jaxdl.data.parts import held_out
from jaxdl.errors import UserError
from jaxdl.experiment import build, sweep
from jaxdl.generate import beams, diffusion, log_probabilities
from jaxdl.optim import schedules
from jaxdl.tasks import dqn, ppo
from jaxdl.train import lr_find

PEAK = 0.2


def schedule_of(steps=110, **changed):
    settings = config.default().optimizer
    with settings.unlocked(), settings.ignore_type():
        settings.update({"learning_rate": PEAK, "schedule_unit": "steps", **changed})
    return schedules.create(settings, steps=steps)


def rates(at, **changed):
    return [float(schedule_of(**changed)(t)) for t in at]


# Schedules


def test_two_boundaries_at_the_same_update_fall_twice():
    # PyTorch's MultiStepLR of the milestones (50, 50).
    found = rates((49, 50, 109), schedule="step", boundaries=(50.1, 50.4))
    np.testing.assert_allclose(found, [0.2, 0.002, 0.002], rtol=1e-6)


def test_a_boundary_within_the_warm_up_falls_there():
    # PyTorch's ChainedScheduler of LinearLR over 10 updates and MultiStepLR of (5, 20).
    found = rates((4, 5, 9, 10, 19, 20), schedule="step", warmup=10.0, boundaries=(5, 20))
    np.testing.assert_allclose(found, [0.08, 0.01, 0.018, 0.02, 0.02, 0.002], rtol=1e-6)


def test_a_length_that_is_asked_for_is_an_update_at_least():
    assert rates((0, 1), schedule="constant", warmup=0.4) == [0, pytest.approx(PEAK)]
    settings = config.default().optimizer
    settings.update(unfreeze=0.004, schedule_unit="fraction")
    assert schedules.frozen(settings, steps=100) == 1


@pytest.mark.parametrize("factor", [1e-50, 1e50])
def test_an_exponential_schedule_to_a_factor_beyond_float32(factor):
    lowest = 1e-30 if factor > 1 else PEAK
    found = rates(
        (0, 1, 50, 70), steps=100, learning_rate=lowest, schedule="exponential", end_factor=factor
    )
    expected = [lowest * factor ** (t / 100) for t in (0, 1, 50, 70)]
    np.testing.assert_allclose(found, expected, rtol=2e-5)


@pytest.mark.parametrize(
    "changed, words",
    [
        (dict(boundaries=(math.nan,)), ("optimizer.boundaries", "nan", "at least 0")),
        (dict(boundaries=(math.inf,)), ("optimizer.boundaries", "inf", "at least 0")),
        (dict(boundaries=(-5.0,)), ("optimizer.boundaries", "-5.0", "at least 0")),
        (dict(steps=2**31), ("2147483648", "2147483647")),
    ],
)
def test_lengths_that_cannot_be_counted_are_refused(changed, words):
    with pytest.raises(UserError) as error:
        schedule_of(schedule="step", **changed)
    assert all(word in str(error.value) for word in words)


@pytest.mark.parametrize("name", sorted(schedules.SCHEDULES))
def test_the_longest_run_has_a_rate_at_its_middle(name):
    late = dict(end_factor=0.1, boundaries=(1e12,))
    schedule = schedule_of(schedules.MOST_UPDATES, schedule=name, **late)
    assert 0 < float(jax.jit(schedule)(jnp.int32(2**30))) <= PEAK * (1 + 1e-6)


# Lengths


def test_passes_in_whole_batches_are_a_whole_number_of_updates():
    run = config.default()
    for epochs, examples, batch_size in ((30, 25, 3), (7, 29, 7), (30, 31, 15), (3, 30, 30)):
        run.update(epochs=float(epochs), batch_size=batch_size)
        assert build.updates(run, examples) == -(-epochs * examples // batch_size)


def test_a_share_held_out_is_what_it_is_in_decimals():
    assert [held_out(100, share) for share in (0.29, 0.57, 0.58, 0.005)] == [29, 57, 58, 0]


def test_label_noise_of_less_than_one_example_is_refused():
    settings = config.default().data
    settings.label_noise = 1e-5
    with pytest.raises(UserError, match=r"label_noise=1e-05 of \d+ training examples"):
        data.load(settings)


def test_a_range_test_is_read_from_the_loss_that_fills_its_memory():
    found = [lr_find._first(steps) for steps in (20, 60, 100, 140, 150, 200, 400)]
    assert found == [0, 2, 4, 6, 7, 9, 19]


def test_values_of_a_sweep_that_lie_close_stay_apart():
    found = sweep._range("ema", "0.9999990:0.9999999:4")
    np.testing.assert_allclose(found, np.linspace(0.999999, 0.9999999, 4), rtol=0, atol=3e-9)
    assert sweep._range("rate", "1e-4:1e-1:4:log") == [1e-4, 1e-3, 1e-2, 1e-1]
    with pytest.raises(UserError, match="must be a whole number"):
        sweep._value("model.depth", int, "inf")


# What float32 and 32 bits cannot hold


@pytest.mark.parametrize(
    "name, value",
    [
        *(("optimizer.b2", v) for v in (1.0, 1 - 1e-8, -0.1, math.nan)),
        *(("optimizer.b1", v) for v in (1.0, 1.5)),
        ("optimizer.momentum", 1.0),
        ("optimizer.decay", -0.1),
        *(("optimizer.eps", v) for v in (-1.0, 1e-50, math.inf, math.nan)),
        *(("optimizer.learning_rate", v) for v in (1e-50, 1e39)),
        *(("seed", v) for v in (2**32, 2**64)),  # JAX has the same key for 2³² as for 0
    ],
)
def test_a_setting_that_rounding_would_change_is_refused(name, value):
    with pytest.raises(UserError, match=re.escape(f"config.{name}={value!r}")) as error:
        keys_of.check_key(name, value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("b2", [0.0, 0.999, 0.99999])
def test_adams_first_updates_are_the_rate_for_every_memory(b2):
    settings = config.default().optimizer
    settings.update(name="adam", b2=b2, weight_decay=0.0)
    keys_of.check_key("optimizer.b2", b2)
    optimizer = optim.create(settings, lambda step: 0.1)
    params = {"w": jnp.ones((2, 2))}
    state = optimizer.init(params)
    for _ in range(2):
        updates, state = optimizer.update({"w": jnp.full((2, 2), 0.5)}, state, params)
        np.testing.assert_allclose(updates["w"], -0.1, rtol=1e-3)


def test_a_range_of_rates_and_a_groups_factor_stay_within_float32():
    run = config.default()
    run.update(steps=10)
    run.lr_find.update(low=1e-37, high=10.0)
    with pytest.raises(UserError, match=r"lr_find\.high=10 must be at most 1e30 times"):
        config.validate(run)
    with pytest.raises(UserError, match=r"optimizer\.groups: 'w=1e39'"):
        optim.group_factors({"w": jnp.ones(1)}, ("w=1e39",))


def test_seeds_of_a_population_stay_below_2_to_the_32():
    run = config.default()
    run.update(seed=2**32 - 2, population=2)
    assert [member.seed for member in sweep.members(run)] == [2**32 - 2, 2**32 - 1]
    run.population = 3
    with pytest.raises(UserError, match=r"config\.seed=4294967296"):
        sweep.members(run)


# Texts

LOGITS = np.array([3.0, 2.9, -1e4, 1e4, 1e4 - 1, -np.inf])


@pytest.mark.parametrize("temperature", [1e-300, 1e-46, 1e-38, 1e-3, 1e38, 1e300])
def test_any_temperature_above_0_gives_the_softmax(temperature):
    found = np.exp(log_probabilities(jnp.asarray(LOGITS, jnp.float32), temperature=temperature))
    with np.errstate(over="ignore"):
        weights = np.exp((LOGITS - LOGITS.max()) / temperature)
    np.testing.assert_allclose(found, weights / weights.sum(), rtol=2e-3, atol=1e-7)


@pytest.mark.parametrize("vocabulary", [10, 50])
def test_a_nucleus_of_equally_likely_tokens_has_its_share_of_them(vocabulary):
    for count in {1, 2, 5, 9, vocabulary // 2, vocabulary - 1}:
        found = log_probabilities(jnp.zeros(vocabulary), top_p=count / vocabulary)
        assert int((found > -jnp.inf).sum()) == count


def test_the_smallest_nucleus_and_the_largest_number_of_tokens():
    np.testing.assert_array_equal(np.exp(log_probabilities(jnp.zeros(3), top_p=1e-300)), [1, 0, 0])
    found = np.exp(log_probabilities(jnp.zeros(3), top_k=2**40))
    np.testing.assert_allclose(found, 1 / 3, rtol=1e-6)


@pytest.mark.parametrize("penalty", [1e3, -1e3, math.inf, math.nan])
def test_a_length_penalty_that_leaves_no_scores_is_refused(penalty):
    with pytest.raises(UserError, match=r"length_penalty=.*tokens=100 .* from -15 to 15"):
        beams.beam_search(None, None, [[0]], tokens=100, length_penalty=penalty)


# Diffusion


@pytest.mark.parametrize("schedule, timesteps", [("cosine", 1000), ("linear", 10)])
@pytest.mark.parametrize("steps", [1, 2, 5])
def test_few_ancestral_steps_give_what_they_do_in_float64(schedule, timesteps, steps):
    # With 5 of 1000 steps the old noise's share is 5e-10 of the new one's, and rounds to below 0.
    signal = diffusion.signal_shares(schedule, timesteps)
    start = jax.random.normal(jax.random.key(0), (2, 3))
    key = jax.random.key(1)
    found, _ = diffusion.sample(
        lambda x, t: 0.3 * jnp.sin(x), key, start, signal, steps=steps, prediction="x0"
    )
    x, chosen = np.float64(start), diffusion.chosen_steps(timesteps, steps)
    assert len({*chosen}) == steps
    shares = [*signal[chosen], 1.0]
    for now, then, own in zip(shares, shares[1:], jax.random.split(key, steps), strict=False):
        image = 0.3 * np.sin(x)
        fresh = (1 - now / then) / (1 - now)
        old = math.sqrt((1 - then) * max(1 - fresh, 0) / (1 - now))
        drawn = np.float64(jax.random.normal(own, x.shape))
        x = math.sqrt(then) * image + old * (x - math.sqrt(now) * image)
        x += math.sqrt((1 - then) * fresh) * drawn
    np.testing.assert_allclose(found, x, atol=2e-6)


def test_one_timestep_leaves_as_little_of_the_image_as_many():
    for schedule in diffusion.SCHEDULES:
        assert diffusion.signal_shares(schedule, 1)[-1] == pytest.approx(1e-3)


def test_large_guidance_keeps_an_answer_that_both_agree_on():
    same = jnp.float32(0.3)
    assert [float(diffusion.guided(same, same, w)) for w in (0.0, 1e8, 3e38)] == [same] * 3


# Control


def test_a_ratio_beyond_float32_has_the_gradient_of_what_is_left_out():
    def objective(log_ratio, advantage):
        ratio = ppo._exponential(log_ratio)
        return jnp.minimum(ratio * advantage, jnp.clip(ratio, 0.8, 1.2) * advantage)

    for log_ratio in (0.1, 39.0):
        assert float(ppo._exponential(jnp.float32(log_ratio))) == pytest.approx(
            math.exp(log_ratio), rel=1e-5
        )
    assert float(jax.grad(objective)(100.0, 2.0)) == 0
    assert float(objective(100.0, 2.0)) == pytest.approx(2.4)
    assert -math.inf < float(jax.grad(objective)(100.0, -2.0)) < -1e17


def test_an_action_that_is_ruled_out_leaves_the_others_as_they_are():
    logits = jnp.array([1.0, -jnp.inf, 0.0])
    both = lambda x: Categorical(x).entropy() + Categorical(x).log_prob(jnp.int32(0))
    share = 1 / (1 + math.e)
    entropy = -share * math.log(share) - (1 - share) * math.log(1 - share)
    assert float(both(logits)) == pytest.approx(entropy + math.log(1 - share), rel=1e-6)
    assert np.isfinite(jax.grad(both)(logits)).all()


def test_exploration_that_takes_no_time_is_over_at_once():
    at = lambda length, done: float(dqn.exploring(1.0, 0.05, length, jnp.int32(done)))
    assert at(0.0, 0) == at(10.0, 10) == at(10.0, 11) == pytest.approx(0.05)
    assert [at(10.0, 0), at(10.0, 5)] == [1.0, pytest.approx(0.525)]


def test_what_has_no_weight_is_never_picked():
    weights = jnp.array([[0.0, 0.9, 0.09999, 0.0]])  # which add up to below 1
    ends = [
        temporal_difference.pick(weights.cumsum(-1), jnp.array([[u]])) for u in (0.0, 1 - 2**-23)
    ]
    assert [int(place[0]) for place in ends] == [1, 2]


# Losses


def test_a_density_has_twice_the_room_of_its_variance():
    x, log_variance = jnp.full((1, 1), 1e-20), jnp.full((1, 1), -100.0)
    found = losses.normal_log_likelihood(x, jnp.zeros((1, 1)), log_variance)
    exact = -0.5 * (math.log(2 * math.pi) - 100 + 1e-40 * math.exp(100))
    assert float(found[0]) == pytest.approx(exact, rel=1e-6)


def test_units_that_are_always_on_or_off_have_a_finite_divergence():
    sparsity = lambda x: losses.sparsity(jax.nn.sigmoid(x), 0.05)
    value, slope = jax.value_and_grad(sparsity)(jnp.array([-200.0, 30.0, 0.0]))
    assert math.isfinite(value)
    np.testing.assert_allclose(slope, [0, 0, 0.45], atol=1e-6)
