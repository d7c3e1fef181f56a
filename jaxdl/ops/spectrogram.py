"""Sound as what is heard in it: power by time and frequency, on a mel scale, in logarithms.

Everything is computed in at least float32, whatever a run computes in: from the loudest to what is
still heard are eight powers of ten.
"""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np

from jaxdl.errors import UserError
from jaxdl.ops.forms import by_platform
from jaxdl.ops.wide import widen

# Of Whisper's: samples a second, in a frame, and from one frame to the next.
RATE, WINDOW, HOP = 16000, 400, 160

# Samples from which CPUs take the recordings of a batch one after the other: what is in between
# then stays in a cache. Batches of eight of 30 s take .6 of the processor time.
_LONG = 1 << 17

# Slices that a frame is put together of; where it takes more, it is gathered.
_MOST_PIECES = 16

# Slaney's scale: even up to 1000 Hz, at 200/3 Hz a mel; above, 27 mels for a factor of 6.4.
_HERTZ_A_MEL, _BEND, _STEP = 200 / 3, 15.0, math.log(6.4) / 27


def hertz_to_mel(hertz: np.ndarray, scale: str = "slaney") -> np.ndarray:
    """Pitch of frequencies, on the scale of "slaney" (1998) or "htk" (O'Shaughnessy, 1987).

    Raises:
      UserError: there is no such scale.
    """
    hertz = np.asarray(hertz, np.float64)
    if _is_htk(scale):
        return 2595 * np.log10(1 + hertz / 700)
    low = hertz / _HERTZ_A_MEL
    return np.where(low < _BEND, low, _BEND + np.log(np.maximum(low, _BEND) / _BEND) / _STEP)


def mel_to_hertz(mels: np.ndarray, scale: str = "slaney") -> np.ndarray:
    """The inverse of `hertz_to_mel`."""
    mels = np.asarray(mels, np.float64)
    if _is_htk(scale):
        return 700 * (10 ** (mels / 2595) - 1)
    high = _BEND * np.exp(_STEP * (np.maximum(mels, _BEND) - _BEND))
    return _HERTZ_A_MEL * np.where(mels < _BEND, mels, high)


def _is_htk(scale: str) -> bool:
    if scale not in ("slaney", "htk"):
        raise UserError(f"a mel scale is 'slaney' or 'htk', not {scale!r}")
    return scale == "htk"


def mel_bands(
    bins: int,
    bands: int,
    rate: float,
    *,
    low: float = 0.0,
    high: float | None = None,
    scale: str = "slaney",
    by_area: bool = True,
) -> np.ndarray:
    """Triangles that overlap by half, evenly spread on a mel scale: (bins, bands) float32.

    Args:
      bins: of a power spectrum from 0 Hz to half of ``rate``.
      bands: how many.
      rate: samples a second.
      low: Hz where the first begins.
      high: Hz where the last ends; None is half of ``rate``.
      scale: "slaney" or "htk".
      by_area: each has the same area over its Hz, as Slaney's and Whisper's have; or else each is 1
        at its top.

    Raises:
      UserError: counts or frequencies that cannot be.
    """
    high = rate / 2 if high is None else high
    if bins < 2 or bands < 1 or not 0 <= low < high <= rate / 2:
        raise UserError(
            f"mel bands: {bands} of {bins} frequencies, from {low:g} to {high:g} Hz, cannot be: at "
            f"least 1 of at least 2, from at least 0 to at most {rate / 2:g} Hz"
        )
    ends = hertz_to_mel(np.array([low, high]), scale)
    corners = mel_to_hertz(np.linspace(*ends, bands + 2), scale)
    at = np.linspace(0, rate / 2, bins)[:, None]
    left, top, right = corners[:-2], corners[1:-1], corners[2:]
    found = np.maximum(0, np.minimum((at - left) / (top - left), (right - at) / (right - top)))
    return (found * (2 / (right - left) if by_area else 1)).astype(np.float32)


def power_spectrogram(
    samples: jax.Array, window: int = WINDOW, hop: int = HOP, *, size: int = 0, centred: bool = True
) -> jax.Array:
    """``|STFT|²`` with a periodic Hann window: (..., N) -> (..., frames, size // 2 + 1).

    Not divided by anything: by Parseval's theorem the power of a frame, those of all frequencies
    but 0 and half the rate counted twice, is ``size`` times its windowed samples' squares summed.

    Args:
      samples: real.
      window: samples of a frame.
      hop: samples from one frame to the next.
      size: of the transform, at least ``window``, zeros behind it; 0 is ``window``.
      centred: frame t is around sample t x hop, and the ends are filled up by reflection: there are
        N // hop + 1 frames (of an even size). Otherwise frames begin there, and only whole ones
        count.

    Raises:
      UserError: settings that cannot be, or too few samples for a frame.
    """
    size = size or window
    count = samples.shape[-1]
    if not (window >= 2 and hop >= 1 and size >= window):
        raise UserError(
            f"spectrogram: window={window} must be at least 2, hop={hop} at least 1 and size={size}"
            " at least the window"
        )
    if count < (2 if centred else window):
        raise UserError(f"spectrogram: {count} samples are too few for frames of {window}")
    samples = widen(samples)
    if centred:
        # The window in the middle of the transform, as in torch and librosa.
        ends = [(0, 0)] * (samples.ndim - 1) + [(size // 2, size // 2)]
        samples = jnp.pad(samples, ends, mode="reflect")
    before = (size - window) // 2 if centred else 0
    shape = np.zeros(size)
    shape[before : before + window] = np.hanning(window + 1)[:-1]
    reach = size if centred else window
    count = (samples.shape[-1] - reach) // hop + 1
    found = jnp.fft.rfft(_frames(samples, hop, count, shape.astype(samples.dtype)))
    return jnp.square(found.real) + jnp.square(found.imag)


def _frames(samples: jax.Array, hop: int, count: int, shape: np.ndarray) -> jax.Array:
    """(..., N) -> (..., count, size), each times ``shape`` (size,).

    Zeros stand behind the last sample where a frame has some left.

    Slices of pieces that both the frames and the hops are made of, where these are few: on CPUs
    several times as fast as gathering, and its derivative adds slices in place of scattering.
    """
    size, lead = len(shape), (1,) * samples.ndim
    piece = math.gcd(size, hop)
    a_frame, a_hop = size // piece, hop // piece
    if a_frame > _MOST_PIECES:
        piece, a_frame, a_hop = 1, size, hop
    needed = (count - 1) * a_hop + a_frame
    ends = [(0, 0)] * (samples.ndim - 1)
    samples = samples[..., : needed * piece]
    samples = jnp.pad(samples, [*ends, (0, needed * piece - samples.shape[-1])])
    pieces = samples.reshape(*samples.shape[:-1], needed, piece)
    if a_frame > _MOST_PIECES:
        gathered = samples[..., hop * np.arange(count)[:, None] + np.arange(size)]
        return gathered * shape.reshape(*lead, size)
    last = (count - 1) * a_hop + 1
    # Stacked before the last axis and multiplied then, they are one pass over the frames on CPUs:
    # pieces put one behind the other in the last axis would be copied once more.
    stacked = jnp.stack([pieces[..., i : i + last : a_hop, :] for i in range(a_frame)], axis=-2)
    shaped = stacked * shape.reshape(*lead, a_frame, piece)
    return shaped.reshape(*samples.shape[:-1], count, size)


def log_mel(
    samples: jax.Array, rate: int = RATE, window: int = WINDOW, hop: int = HOP, bands: int = 80
) -> jax.Array:
    """Log-mel spectrogram as Whisper has it: (..., N) -> (..., N // hop, bands), at least float32.

    Logarithms to base 10 of `mel_bands`' power; what is 8 below the loudest of a recording or less
    is taken for 8 below; 4 is added, and all divided by 4. Silence is -1.5. The last frame, which
    is around the end, is left out (Radford et al., 2022, arXiv:2212.04356, section 2.2, and the
    code published with it).

    Args:
      samples: in [-1, 1], of sounds filled up to one length: silence is part of each.
      rate: samples a second.
      window: samples of a frame.
      hop: samples from one frame to the next.
      bands: of the mel scale, from 0 to half the rate.

    Raises:
      UserError: settings that cannot be, or fewer samples than a hop.
    """
    if samples.shape[-1] < hop:
        raise UserError(f"spectrogram: {samples.shape[-1]} samples are fewer than a hop of {hop}")
    one = functools.partial(_mel_power, rate=rate, window=window, hop=hop, bands=bands)
    if samples.ndim < 2 or samples.shape[-1] < _LONG or len(samples) < 2:
        heard = one(samples)
    else:
        heard = by_platform(one, samples, cpu=lambda samples: jax.lax.map(one, samples))
    # The floor is one of power, so that the logarithm takes one pass.
    floor = jnp.maximum(1e-10, 1e-8 * heard.max((-2, -1), keepdims=True))
    return (jnp.log10(jnp.maximum(heard, floor)) + 4) / 4


def _mel_power(samples: jax.Array, rate: int, window: int, hop: int, bands: int) -> jax.Array:
    power = power_spectrogram(samples, window, hop)[..., :-1, :]
    banks = jnp.asarray(_banks(power.shape[-1], bands, rate), power.dtype)
    return jnp.matmul(power, banks, precision=jax.lax.Precision.HIGHEST)


@functools.cache
def _banks(bins: int, bands: int, rate: int) -> np.ndarray:
    return mel_bands(bins, bands, rate)


def whisper_log_mel(samples: jax.Array, bands: int = 80) -> jax.Array:
    """What Whisper hears: (batch, N) at 16 kHz, in [-1, 1] -> (batch, N // 160, bands) float32.

    Equal to transformers' WhisperFeatureExtractor within 1e-4 (tests/test_spectrogram.py). Its
    30 s are 480,000 samples, zeros behind what is shorter, and 3,000 frames.

    Args:
      samples: of any real dtype.
      bands: 80; 128 from large-v3 on.
    """
    return log_mel(samples, bands=bands)
