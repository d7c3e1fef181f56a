"""Telephone keys as they sound: two tones each, in noise. What sounds can be learned from at once.

A key is a row's frequency and a column's (ITU-T Q.23, 1988). How long it is held, how loud, how far
the frequencies and the two levels are off are drawn within what a receiver has to bear (Q.24):
tones of at least 40 ms and as long pauses, 1.5% and 4 to 8 dB. Added are white noise all along and
clicks, as of a switch.
"""

import functools
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxdl.data import Data, register
from jaxdl.data.drawn import Drawn
from jaxdl.data.source_target import specials
from jaxdl.data.split import Arrays
from jaxdl.data.tokens import Bytes
from jaxdl.errors import UserError

RATE = 8000
KEYS = "123A456B789C*0#D"
ROWS, COLUMNS = (697.0, 770.0, 852.0, 941.0), (1209.0, 1336.0, 1477.0, 1633.0)

# Seconds: of a tone, of the pause behind it, in front of the first and behind the last.
_TONE, _PAUSE, _FRONT, _BEHIND = (0.045, 0.14), (0.04, 0.08), (0.0, 0.2), (0.02, 0.1)
_RAMP, _DECAY = 0.004, 0.001  # of a tone's ends, of a click
_LOUDNESS, _KEY_LOUDNESS, _TWIST = (-30.0, -8.0), (-3.0, 3.0), (-4.0, 4.0)  # dB
_OFF, _CLICKS, _CLICK_LOUDNESS = 0.015, 3, (0.0, 12.0)

# Recordings that NumPy makes together: what it computes with then lies in a cache.
_AT_ONCE = 4

_SPECIALS = specials(Bytes())


def samples_for(most: int) -> int:
    """How many hold so many keys of any length, rounded up to hundredths of a second."""
    seconds = _FRONT[1] + _BEHIND[1] + most * (_TONE[1] + _PAUSE[1])
    return -(-round(seconds * RATE) // (RATE // 100)) * (RATE // 100)


def numbers_of(most: int) -> int:
    """Uniform numbers that `synthesise` makes an example of."""
    return 4 + 9 * most + 3 * _CLICKS


def synthesise(
    uniform: Any, normal: Any, keys: str, least: int, most: int, snr: Sequence[float] | Any
) -> dict[str, Any]:
    """Recordings of keys that are pressed one after the other, by NumPy or by jax.

    Args:
      uniform: (n, numbers_of(most)) float32 in [0, 1), NumPy's or jax's.
      normal: (n, samples_for(most)) float32, the noise.
      keys: that are pressed, each as often as another; of KEYS.
      least: keys of a recording, at least; each number is as likely as another.
      most: at most.
      snr: decibels from the noise to the tones, a pair that is drawn between, or (n,) of them.

    Returns:
      ``samples`` (n, samples_for(most)) float32 in [-1, 1], 0 behind ``length`` (n,) int32;
      ``target`` (n, most + 1) int32, the keys as bytes, ended and filled up
      (`jaxdl.data.source_target`); ``snr`` (n,) float32; where ``most`` is 1, ``label`` (n,) int32,
      which of ``keys`` it is.
    """
    xp = jnp if isinstance(uniform, jax.Array) else np
    f32, i32 = np.float32, np.int32
    among = lambda u, ends: f32(ends[0]) + u * f32(ends[1] - ends[0])
    gain = lambda decibels: xp.exp(decibels * f32(np.log(10) / 20))
    whole, each, clicks = xp.split(uniform, [4, 4 + 9 * most], axis=1)
    each = xp.moveaxis(each.reshape(-1, 9, most), 1, 0)  # 9 of (n, most)
    clicks = xp.moveaxis(clicks.reshape(-1, 3, _CLICKS), 1, 0)

    count = least + (whole[:, 0] * f32(most - least + 1)).astype(i32)
    there = xp.arange(most, dtype=i32)[None] < count[:, None]
    which = xp.minimum((each[0] * f32(len(keys))).astype(i32), len(keys) - 1)
    place = np.array([KEYS.index(key) for key in keys], i32)
    place = xp.take(xp.asarray(place), which, axis=0)
    tone, pause = among(each[1], _TONE), among(each[2], _PAUSE)
    both = xp.cumsum(xp.where(there, tone + pause, 0), axis=1, dtype=f32)
    begin = among(whole[:, 1], _FRONT)[:, None] + both - xp.where(there, tone + pause, 0)
    end = xp.where(there, begin + tone, f32(0))
    stop = end.max(axis=1) + among(whole[:, 2], _BEHIND)

    off = lambda u: 1 + among(u, (-_OFF, _OFF))
    low = xp.take(xp.asarray(np.array(ROWS, f32)), place // 4, axis=0) * off(each[3])
    high = xp.take(xp.asarray(np.array(COLUMNS, f32)), place % 4, axis=0) * off(each[4])
    loud = gain(among(whole[:, 3], _LOUDNESS))
    level = gain(among(each[5], _KEY_LOUDNESS)) * f32(0.5)
    twist = gain(among(each[6], _TWIST) / 2)

    time = (xp.arange(normal.shape[1], dtype=f32) / f32(RATE))[None]
    at = functools.partial(_at, begin=xp.where(there, begin, f32(np.inf)), time=time)
    since, left = time - at(begin), at(end) - time
    wave = lambda hertz, phase: xp.sin(f32(2 * np.pi) * (at(hertz) * since + at(phase)))
    made = at(level / twist) * wave(low, each[7]) + at(level * twist) * wave(high, each[8])
    shape = xp.clip(xp.minimum(since, left) / f32(_RAMP), 0, 1)
    made = made * shape

    if not hasattr(snr, "ndim"):
        snr = among(clicks[2, :, 0], snr)
    on = xp.maximum((shape > 0).sum(axis=1, dtype=f32), 1)
    power = xp.square(made).sum(axis=1, dtype=f32) / on
    noise = xp.sqrt(power) / gain(snr)
    made = made + noise[:, None] * normal
    # Each is there in half of the recordings.
    strength = xp.where(clicks[0] < f32(0.5), gain(among(clicks[0] * 2, _CLICK_LOUDNESS)), f32(0))
    for j in range(_CLICKS):
        after = time - (clicks[1, :, j] * stop)[:, None]
        decay = xp.exp(-xp.abs(after) / f32(_DECAY)) * (after >= 0).astype(f32)
        made = made + strength[:, j, None] * f32(0.5) * decay
    made = xp.clip(made * loud[:, None], -1, 1)

    length = xp.minimum((stop * f32(RATE)).astype(i32), i32(normal.shape[1]))
    heard = xp.arange(normal.shape[1], dtype=i32)[None] < length[:, None]
    letters = xp.take(xp.asarray(np.frombuffer(keys.encode(), np.uint8).astype(i32)), which, axis=0)
    places = xp.arange(most + 1, dtype=i32)[None]
    letters = xp.concatenate([letters, letters[:, :1]], axis=1)
    ended = xp.where(places == count[:, None], i32(_SPECIALS.end), i32(_SPECIALS.pad))
    found = {
        "samples": xp.where(heard, made, f32(0)),
        "length": length,
        "target": xp.where(places < count[:, None], letters, ended),
        "snr": snr,
    }
    return {**found, "label": which[:, 0]} if most == 1 else found


def _at(x: Any, begin: Any, time: Any) -> Any:
    """What ``x`` (n, most) has for the key that was pressed last, (n, samples).

    Args:
      x: a number of each key.
      begin: (n, most) seconds, inf of keys that are not pressed.
      time: (1, samples) seconds.
    """
    if isinstance(x, np.ndarray):
        last = np.zeros((len(x), time.shape[1]), np.int32)
        for j in range(1, x.shape[1]):
            last += time >= begin[:, j, None]
        return np.take_along_axis(x, last, axis=1)
    # One pass over the samples, where each look-up would read its own numbers one by one.
    found = jnp.broadcast_to(x[:, :1], (len(x), time.shape[1]))
    for j in range(1, x.shape[1]):
        found = jnp.where(time >= begin[:, j, None], x[:, j, None], found)
    return found


def draw(key: jax.Array, n: int, keys: str, least: int, most: int, snr: Sequence[float]) -> dict:
    """`synthesise` of ``n`` drawn recordings, on the device."""
    k_uniform, k_normal = jax.random.split(key)
    uniform = jax.random.uniform(k_uniform, (n, numbers_of(most)), jnp.float32)
    normal = jax.random.normal(k_normal, (n, samples_for(most)), jnp.float32)
    return synthesise(uniform, normal, keys, least, most, snr)


def fixed(seed: Sequence[int], snrs: Sequence[float], each: int, **how: Any) -> dict[str, Any]:
    """``each`` recordings at every one of ``snrs``, the same whenever they are asked for.

    Recording i is the same at each of them but for how loud the noise is.
    """
    rng = np.random.default_rng(seed)
    most = how["most"]
    uniform = rng.random((each, numbers_of(most)), np.float32)
    normal = rng.standard_normal((each, samples_for(most)), np.float32)
    made = [
        synthesise(uniform[i], normal[i], snr=np.full(len(uniform[i]), snr, np.float32), **how)
        for snr in snrs
        for i in (slice(at, at + _AT_ONCE) for at in range(0, each, _AT_ONCE))
    ]
    return {name: np.concatenate([part[name] for part in made]) for name in made[0]}


class Tones(Arrays):
    """Recordings in memory; ``about`` as of the training part."""

    def __init__(self, arrays: Mapping[str, np.ndarray], about: Mapping[str, Any]):
        super().__init__(arrays)
        self.about = dict(about)
        self.rate, self.count = about["rate"], about["count"]


@register("dial_tones")
def dial_tones(
    least: int = 1,
    most: int = 12,
    keys: str = KEYS,
    snr: tuple[float, ...] = (0.0, 20.0),
    test_snr: tuple[float, ...] = (10.0, 0.0),
    test_examples: int = 256,
    examples: int = 16384,
    data_seed: int = 0,
    eval_on: str = "test",
) -> Data:
    """Keys of a telephone in noise, drawn on the device for each update; the test part is fixed.

    Args:
      least: keys of a recording, at least.
      most: at most; with 1, the key is a ``label``.
      keys: that are pressed, of "123A456B789C*0#D".
      snr: decibels between which the signal-to-noise ratio is drawn in training.
      test_snr: decibels of the test part, each of which has the same recordings.
      test_examples: recordings at each of these.
      examples: of what is called a pass.
      data_seed: of the test part.
      eval_on: "test", or "validation" for other recordings of the same kind.
    """
    _check(least, most, keys, snr, test_snr, test_examples, examples)
    about = dict(rate=RATE, count=samples_for(most), target_length=most + 1, snrs=list(test_snr))
    how = dict(keys=keys, least=least, most=most)
    drawing = functools.partial(draw, **how, snr=tuple(snr))
    name = f"dial tones: {least} to {most} of {keys} at {snr[0]:g} to {snr[1]:g} dB"
    seed = (data_seed, 1 if eval_on == "validation" else 0)
    test = fixed(seed, test_snr, test_examples, **how)
    return Data(
        Drawn(examples, drawing, about, name),
        Tones(test, about),
        class_names=tuple(keys) if most == 1 else (),
        tokenizer=Bytes(),
    )


@register("dial_keys")
def dial_keys(
    keys: str = KEYS,
    snr: tuple[float, ...] = (0.0, 20.0),
    test_snr: tuple[float, ...] = (10.0, 0.0),
    test_examples: int = 256,
    examples: int = 16384,
    data_seed: int = 0,
    eval_on: str = "test",
) -> Data:
    """`dial_tones` of one key each, whose ``label`` it is; arguments as there."""
    how = dict(test_examples=test_examples, examples=examples, data_seed=data_seed)
    return dial_tones(1, 1, keys, snr, test_snr, eval_on=eval_on, **how)


def _check(least, most, keys, snr, test_snr, test_examples, examples) -> None:
    if not 1 <= least <= most <= 64:
        raise UserError(
            f"data.least={least} and data.most={most}: 1 <= least <= most <= 64 is needed"
        )
    if len(keys) < 2 or len(set(keys)) < len(keys) or set(keys) - set(KEYS):
        raise UserError(f"data.keys={keys!r} must be two or more of {KEYS!r}, each once")
    for name, given, size in (("snr", snr, 2), ("test_snr", test_snr, len(test_snr) or 1)):
        numbers = all(isinstance(x, int | float) and -100 <= x <= 100 for x in given)
        if len(given) != size or not numbers:
            wanted = "two numbers" if name == "snr" else "one number or more"
            raise UserError(f"data.{name}={given!r} must be {wanted} of decibels, from -100 to 100")
    if snr[0] > snr[1]:
        raise UserError(f"data.snr={snr!r}: the first must not be above the second")
    for name, given in (("test_examples", test_examples), ("examples", examples)):
        if given < 1:
            raise UserError(f"data.{name}={given} must be at least 1")
