"""Learning-rate schedules: hand formulas, PyTorch's numbers, units, and wrong lengths."""

import json
import math
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl import config
from jaxdl.errors import UserError
from jaxdl.optim import schedules

GOLDEN = json.loads((Path(__file__).parent / "golden" / "optimizers.json").read_text())

PEAK, STEPS, WARMUP = 0.2, 110, 10


def make(steps=STEPS, steps_per_epoch=None, **changed):
    settings = config.default().optimizer
    if changed.get("schedule") == "exponential":  # which has no end at 0
        changed = {"end_factor": 0.01, **changed}
    with settings.unlocked(), settings.ignore_type():
        settings.update({"learning_rate": PEAK, "schedule_unit": "steps", **changed})
    return schedules.create(settings, steps=steps, steps_per_epoch=steps_per_epoch)


def rates(schedule, steps=STEPS):
    return np.array([float(schedule(t)) for t in range(steps)])


@pytest.mark.parametrize("case", GOLDEN["schedules"])
def test_rates_are_those_of_pytorch(case):
    golden = GOLDEN["schedules"][case]
    schedule = make(golden["steps"], **golden["settings"])
    # Relative to the peak: near 0 a cosine in float32 has no more digits than that.
    np.testing.assert_allclose(
        rates(schedule, golden["steps"]), golden["rates"], rtol=1e-6, atol=1e-7 * 0.1
    )


# name: (settings, rate by the update's number after a warm-up of 10 in a run of 110)
AFTER_WARMUP = {
    "constant": ({}, lambda t: PEAK),
    "cosine": (
        dict(end_factor=0.1),
        lambda t: PEAK * (0.1 + 0.9 * (1 + math.cos(math.pi * (t - 10) / 100)) / 2),
    ),
    "exponential": (dict(end_factor=0.01), lambda t: PEAK * 10 ** (-2 * (t - 10) / 100)),
    "late_linear": (
        dict(end_factor=0.1),
        lambda t: PEAK * (1 if t < 60 else 1 - 0.9 * (t - 60) / 50),
    ),
    "linear": (dict(end_factor=0.5), lambda t: PEAK * (1 - 0.5 * (t - 10) / 100)),
    "rsqrt": ({}, lambda t: PEAK * math.sqrt(10 / t)),
    "step": (
        dict(boundaries=(40.0, 90.0), decay_factor=0.5),
        lambda t: PEAK * (1.0 if t < 40 else 0.5 if t < 90 else 0.25),
    ),
}


@pytest.mark.parametrize("name", AFTER_WARMUP)
def test_a_linear_rise_then_the_schedules_formula(name):
    settings, formula = AFTER_WARMUP[name]
    schedule = make(schedule=name, warmup=float(WARMUP), **settings)
    expected = [PEAK * t / WARMUP for t in range(WARMUP)]
    expected += [formula(t) for t in range(WARMUP, STEPS + 1)]
    np.testing.assert_allclose(rates(schedule, STEPS + 1), expected, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("name", AFTER_WARMUP)
def test_without_warm_up_the_first_rate_is_the_peak(name):
    settings, _ = AFTER_WARMUP[name]
    assert float(make(schedule=name, **settings)(0)) == pytest.approx(PEAK, rel=1e-6)


@pytest.mark.parametrize("name, last", [("cosine", 0.0), ("late_linear", 0.0), ("linear", 0.0)])
def test_the_rate_falls_to_0_just_after_the_last_update(name, last):
    schedule = make(schedule=name)
    assert float(schedule(STEPS)) == pytest.approx(last, abs=1e-8)
    assert float(schedule(STEPS - 1)) > 0


def test_an_end_factor_above_1_grows_by_the_same_factor_at_each_update():
    got = rates(make(8, schedule="exponential", end_factor=1e7), 9)
    np.testing.assert_allclose(got, PEAK * np.geomspace(1, 1e7, 9), rtol=5e-6)
    assert float(make(8, schedule="exponential", end_factor=1e7)(20)) == got[-1]


def test_rsqrt_without_warm_up_uses_a_tenth_of_the_run():
    schedule = make(100, schedule="rsqrt")
    expected = [PEAK * math.sqrt(10 / (10 + t)) for t in (0, 1, 10, 99)]
    np.testing.assert_allclose([float(schedule(t)) for t in (0, 1, 10, 99)], expected, rtol=1e-6)


def test_one_cycle_goes_from_a_25th_over_the_peak_to_almost_0():
    got = rates(make(50, schedule="one_cycle"), 50)
    assert got[0] == pytest.approx(PEAK / 25, rel=1e-6)
    assert got[14] == pytest.approx(PEAK, rel=1e-6)  # 30% of 50 updates, counted from 0
    assert got[7] == pytest.approx(PEAK / 25 + (PEAK - PEAK / 25) / 2, rel=1e-6)
    assert got[-1] == pytest.approx(PEAK / 25e4, rel=1e-3)
    assert (np.diff(got[:15]) > 0).all()
    assert (np.diff(got[14:]) < 0).all()


@pytest.mark.parametrize("name", sorted(schedules.SCHEDULES))
@pytest.mark.parametrize("unit, per_unit", [("epochs", 5.5), ("fraction", 110.0)])
def test_lengths_mean_the_same_in_any_unit(name, unit, per_unit):
    lengths = dict(warmup=11.0, boundaries=(33.0, 66.0))
    in_steps = make(schedule=name, **lengths)
    other = make(
        steps_per_epoch=5.5,
        schedule=name,
        schedule_unit=unit,
        warmup=11 / per_unit,
        boundaries=tuple(b / per_unit for b in lengths["boundaries"]),
    )
    np.testing.assert_array_equal(rates(other), rates(in_steps))
    # The lengths matter at all, so that equality says something.
    assert (rates(make(schedule=name)) != rates(in_steps)).any()


@pytest.mark.parametrize("name", sorted(schedules.SCHEDULES))
@pytest.mark.parametrize("warmup", [0.0, 10.0])
def test_a_traced_step_gives_the_same_rate(name, warmup):
    schedule = make(schedule=name, warmup=warmup, boundaries=(50.0,))
    at = jnp.array([0, 5, 9, 10, 11, 50, 109])
    traced = jax.jit(jax.vmap(schedule))(at)
    assert traced.shape == at.shape
    np.testing.assert_allclose(
        jnp.broadcast_to(traced, at.shape),
        [float(schedule(int(t))) for t in at],
        rtol=1e-6,
        atol=1e-7 * PEAK,
    )


@pytest.mark.parametrize(
    "changed, words",
    [
        (dict(schedule="cosin"), ("schedule", "'cosin'", "'cosine'")),
        (dict(schedule_unit="epoch"), ("optimizer.schedule_unit", "'epoch'", "'epochs'")),
        (dict(schedule="exponential", end_factor=0.0), ("optimizer.end_factor=0", "above 0")),
        (dict(warmup=float(STEPS)), ("optimizer.warmup", "110")),
        (dict(warmup=1.5, schedule_unit="fraction"), ("optimizer.warmup", "165", "110")),
        (dict(warmup=2.0, schedule_unit="epochs"), ("optimizer.schedule_unit", "steps")),
        (
            dict(schedule="step", boundaries=(2.0,), schedule_unit="epochs"),
            ("optimizer.schedule_unit", "fraction"),
        ),
        (dict(schedule="step", boundaries=("a",)), ("optimizer.boundaries", "'a'")),
    ],
)
def test_a_wrong_setting_is_named_in_one_line(changed, words):
    with pytest.raises(UserError) as caught:
        make(**changed)
    message = str(caught.value)
    assert "\n" not in message
    for word in words:
        assert word in message
