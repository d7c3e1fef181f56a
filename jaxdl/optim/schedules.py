"""Learning rates over time: functions from the update's number to the rate."""

import collections
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import optax

from jaxdl.errors import UserError
from jaxdl.per_member import any_on, each
from jaxdl.registry import choose

Schedule = Callable[[jax.Array | int], jax.Array]

# Updates are counted in 32 bits with a sign.
MOST_UPDATES = 2**31 - 1


def _constant(peak, steps, s):
    return optax.constant_schedule(peak)


def _step(peak, steps, s):
    """Times ``decay_factor`` at each boundary, twice where two of them are the same update."""
    times = collections.Counter(s["boundaries"])
    return optax.piecewise_constant_schedule(
        peak, {update: s["decay_factor"] ** n for update, n in times.items()}
    )


def _cosine(peak, steps, s):
    """Half a cosine from the peak to ``peak * end_factor`` (Loshchilov and Hutter, 2016)."""
    return optax.cosine_decay_schedule(peak, steps, alpha=s["end_factor"])


def _linear(peak, steps, s):
    return optax.linear_schedule(peak, peak * s["end_factor"], steps)


def _late_linear(peak, steps, s):
    """The peak for half of the time, then a line to ``peak * end_factor`` (Zhu et al., 2017, 4)."""
    late = steps - steps // 2
    return optax.linear_schedule(peak, peak * s["end_factor"], late, transition_begin=steps // 2)


def _exponential(peak, steps, s):
    """``peak · end_factor^(t/steps)``: by the same factor at each update; above 1 it grows."""
    if not s["end_factor"] > 0:
        raise UserError(
            "optimizer.schedule='exponential' never comes to optimizer.end_factor=0: use one "
            "above 0, such as 0.01"
        )
    # By its logarithm, and in two steps: the factor itself may be beyond float32.
    log = each(math.log, s["end_factor"])

    def schedule(t):
        root = jnp.exp(log / 2 * jnp.clip(t / steps, 0, 1))
        return peak * root * root

    return schedule


def _rsqrt(peak, steps, s):
    """``peak √(w / (w + t))``: w = the warm-up's length, or 1/10 of the run without one."""
    w = s["warmup"] or max(steps // 10, 1)
    return lambda t: peak * jnp.sqrt(w / (w + jnp.maximum(t, 0)))


def _one_cycle(peak, steps, s):
    """Cosine up from peak/25, then cosine down to peak/25/10⁴ (Smith and Topin, 2017).

    The constants and the last step's position are PyTorch's OneCycleLR's: the peak at 30% of the
    run by default (``warmup`` says otherwise) and the lowest rate at the last update.
    """
    up = float(s["warmup"] or 0.3 * steps) - 1
    first, last = peak / 25, peak / 25 / 1e4

    def schedule(t):
        cos = lambda a, b, part: b + (a - b) / 2 * (1 + jnp.cos(jnp.pi * part))
        rise = cos(first, peak, t / jnp.maximum(up, 1e-9))
        fall = cos(peak, last, jnp.clip((t - up) / jnp.maximum(steps - 1 - up, 1e-9), 0, 1))
        return jnp.where(t <= up, rise, fall)

    return schedule


SCHEDULES: dict[str, Callable[..., Schedule]] = {
    "constant": _constant,
    "cosine": _cosine,
    "exponential": _exponential,
    "late_linear": _late_linear,
    "linear": _linear,
    "one_cycle": _one_cycle,
    "rsqrt": _rsqrt,
    "step": _step,
}

UNITS = dict.fromkeys(("epochs", "fraction", "steps"))


def check(settings: Mapping[str, Any]) -> None:
    """Raises UserError for a schedule or unit that does not exist."""
    choose("schedule", settings["schedule"], SCHEDULES)
    choose("optimizer.schedule_unit", settings["schedule_unit"], UNITS)


def create(
    settings: Mapping[str, Any], *, steps: int, steps_per_epoch: float | None = None
) -> Schedule:
    """The schedule that `config.optimizer` describes.

    Args:
      settings: ``learning_rate`` (the peak), ``schedule`` (a name in SCHEDULES), ``warmup``
        (length of a linear rise from 0 in front of the schedule), ``boundaries`` and
        ``decay_factor`` (of "step"), ``end_factor`` (of "cosine", "linear" and "exponential"), and
        ``schedule_unit``: whether lengths count "epochs", "steps", or a "fraction" of the run.
      steps: updates in the whole run, the warm-up included.
      steps_per_epoch: needed for the unit "epochs".

    Returns:
      A function of the update's number (0 for the first), traced or not.

    Raises:
      UserError: an unknown name or unit, or lengths that do not fit into the run.
    """
    check(settings)
    s = dict(settings)
    make = SCHEDULES[s["schedule"]]
    if steps > MOST_UPDATES:
        raise UserError(
            f"the run has {steps} updates, but they are counted up to {MOST_UPDATES} only"
        )
    for boundary in s["boundaries"]:
        if not isinstance(boundary, int | float) or isinstance(boundary, bool):
            raise UserError(f"optimizer.boundaries: {boundary!r} is not a number")
        if not 0 <= boundary < math.inf:
            raise UserError(f"optimizer.boundaries: {boundary!r} must be at least 0")
    unit = _unit(s, [s["warmup"], *s["boundaries"]], steps, steps_per_epoch)
    s["warmup"] = _updates(s["warmup"] * unit)
    s["boundaries"] = [round(min(b * unit, MOST_UPDATES)) for b in s["boundaries"]]
    if not 0 <= s["warmup"] < max(steps, 1):
        raise UserError(
            f"optimizer.warmup is {s['warmup']} steps long, but the run has only {steps}"
        )
    if s["schedule"] == "one_cycle" or not s["warmup"]:  # one_cycle has a rise of its own
        return make(s["learning_rate"], steps, s)
    rise = optax.linear_schedule(0.0, s["learning_rate"], s["warmup"])
    if s["schedule"] == "step":  # boundaries count from the start of the run, as a user does
        rest, falls = optax.constant_schedule(s["learning_rate"]), make(1.0, steps, s)
    else:
        rest, falls = make(s["learning_rate"], steps - s["warmup"], s), lambda t: 1.0
    whole = optax.join_schedules([rise, rest], [s["warmup"]])
    return lambda t: whole(t) * falls(t)


def frozen(settings: Mapping[str, Any], *, steps: int, steps_per_epoch: float | None = None) -> int:
    """The updates in which only the head learns, by ``unfreeze``; arguments as of `create`.

    Raises:
      UserError: there are more of them than the run has.
    """
    length = settings["unfreeze"]
    if not any_on(length):
        return 0
    count = _updates(length * _unit(settings, [length], steps, steps_per_epoch))
    if count > steps:
        raise UserError(f"optimizer.unfreeze is at step {count}, but the run has only {steps}")
    return count


def _updates(length: Any) -> Any:
    """A length as whole updates: the nearest number, but one at least of what is asked for."""
    whole = lambda x: max(1, round(min(x, MOST_UPDATES + 1))) if x > 0 else 0
    return each(whole, length)


def _unit(
    settings: Mapping[str, Any], lengths: Sequence[Any], steps: int, steps_per_epoch: float | None
) -> float:
    """The updates in one of ``schedule_unit``; 1 where none of the lengths needs it."""
    unit = {"epochs": steps_per_epoch, "steps": 1.0, "fraction": float(steps)}[
        settings["schedule_unit"]
    ]
    if unit is None and any(lengths):
        raise UserError(
            "optimizer.schedule_unit='epochs' needs data with epochs: use 'steps' or 'fraction'"
        )
    return 1.0 if unit is None else unit
