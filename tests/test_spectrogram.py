"""Spectrograms: transformers' own for Whisper, and what physics says of the rest."""

import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from launching import ROOT

from jaxdl import ops
from jaxdl.errors import UserError
from jaxdl.ops import spectrogram

GOLDEN = ROOT / "tests" / "golden"
RATE = 16000


@pytest.fixture(scope="module")
def golden():
    return np.load(GOLDEN / "spectrograms.npz")


def sounds(length):
    """As `make_spectrograms` has them, which needs transformers to be imported."""
    sys.path.insert(0, str(GOLDEN))
    import seeded

    t = np.arange(length) / RATE
    noise = seeded.normal(f"sound {length}", (length,))
    chirp = np.sin(2 * np.pi * (100 + 3000 * t) * t) * (t > t[-1] / 2)
    tone = np.sin(2 * np.pi * 440 * t)
    return np.stack([3 * noise, tone, 0.3 * chirp, 1e-4 * noise, 0 * t]).astype(np.float32)


WHISPER = jax.jit(lambda x: {bands: ops.whisper_log_mel(x, bands) for bands in (80, 128)})


@pytest.mark.parametrize("length", [4000, 1234, 401])
def test_whisper_hears_what_transformers_makes(length, golden):
    for bands, found in WHISPER(sounds(length)).items():
        assert found.shape == (5, length // 160, bands)
        np.testing.assert_allclose(found, golden[f"{length}_{bands}"], atol=1e-4)


def test_thirty_seconds_are_filled_up_with_silence(golden):
    samples = np.pad(sounds(4000)[:3], ((0, 0), (0, 480_000 - 4000)))
    found = jax.jit(ops.whisper_log_mel)(samples)
    assert found.shape == (3, 3000, 80)
    np.testing.assert_allclose(found[:, ::40], golden["whole_80"], atol=1e-4)


@pytest.mark.parametrize("bands", [3, 128])
def test_several_long_recordings_are_heard_as_by_numpy(bands):
    samples = sounds(spectrogram._LONG)[[0, 2]]
    ends = np.pad(samples.astype(float), ((0, 0), (200, 200)), mode="reflect")
    frames = ends[:, 160 * np.arange(len(samples[0]) // 160)[:, None] + np.arange(400)]
    power = np.abs(np.fft.rfft(frames * np.hanning(401)[:-1])) ** 2
    wanted = np.log10(np.maximum(power @ spectrogram.mel_bands(201, bands, RATE), 1e-10))
    wanted = (np.maximum(wanted, wanted.max((1, 2), keepdims=True) - 8) + 4) / 4
    for some in (slice(0, 2), slice(1, 2), 1):
        found = jax.jit(ops.whisper_log_mel, static_argnums=1)(samples[some], bands)
        np.testing.assert_allclose(found, wanted[some], atol=1e-4)


def test_mel_bands_are_transformers_own_on_both_scales(golden):
    slaney = ops.mel_bands(201, 80, 16000)
    np.testing.assert_allclose(slaney, golden["slaney"], rtol=1e-5, atol=1e-8)
    htk = ops.mel_bands(129, 40, 8000, low=100, high=4000, scale="htk", by_area=False)
    np.testing.assert_allclose(htk, golden["htk"], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("scale", ["slaney", "htk"])
def test_mels_and_hertz_are_inverse(scale):
    hertz = np.linspace(0, 8000, 50)
    mels = spectrogram.hertz_to_mel(hertz, scale)
    np.testing.assert_allclose(spectrogram.mel_to_hertz(mels, scale), hertz, atol=1e-9)
    # 1000 Hz are 15 of Slaney's mels, and 1000 of htk's.
    wanted = {"slaney": 15, "htk": 1000}[scale]
    assert spectrogram.hertz_to_mel(np.array(1000.0), scale) == pytest.approx(wanted, rel=1e-4)


@pytest.mark.parametrize(
    "window, hop, size, centred",
    [(400, 160, 0, True), (64, 16, 128, True), (64, 48, 0, False), (60, 7, 90, False)],
)
def test_frames_are_those_of_a_plain_loop_and_keep_their_energy(window, hop, size, centred):
    x = np.random.default_rng(0).normal(size=(2, 1000)).astype(np.float32)
    spectrum = jax.jit(lambda x: ops.power_spectrogram(x, window, hop, size=size, centred=centred))
    found = np.asarray(spectrum(x), np.float64)
    size = size or window
    before = (size - window) // 2 if centred else 0
    hann = np.zeros(size)
    hann[before : before + window] = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(window) / window)
    padded = np.pad(x, ((0, 0), (size // 2,) * 2), mode="reflect") if centred else x
    reach = size if centred else window
    starts = range(0, padded.shape[1] - reach + 1, hop)
    padded = np.pad(padded, ((0, 0), (0, size)))
    frames = np.stack([padded[:, s : s + size] * hann for s in starts], axis=1)
    wanted = np.abs(np.fft.rfft(frames)) ** 2
    assert found.shape == wanted.shape
    np.testing.assert_allclose(found, wanted, atol=1e-5 * wanted.max())
    # Parseval: frequencies other than 0 and half the rate stand for two.
    twice = 2 * found.sum(-1) - found[..., 0] - found[..., -1]
    np.testing.assert_allclose(twice, size * np.square(frames).sum(-1), rtol=1e-5)


def test_a_tone_peaks_where_it_is_with_the_windows_power():
    hertz, level = 1200.0, 0.5
    tone = level * np.sin(2 * np.pi * hertz * np.arange(8000) / RATE)
    both = jax.jit(lambda x: (ops.power_spectrogram(x), ops.log_mel(x)))
    power, heard = (np.asarray(x)[5:-5] for x in both(tone.astype(np.float32)))
    assert set(power.argmax(-1)) == {round(hertz / RATE * 400)}
    np.testing.assert_allclose(power.max(-1), (level * 400 / 4) ** 2, rtol=1e-3)
    centres = spectrogram.mel_to_hertz(np.linspace(0, spectrogram.hertz_to_mel(8000.0), 82))[1:-1]
    assert set(heard.argmax(-1)) == {np.abs(centres - hertz).argmin()}


def test_silence_is_minus_one_and_a_half():
    silent = jax.jit(ops.whisper_log_mel)(np.zeros((1, 800), np.int16))
    np.testing.assert_array_equal(silent, np.full((1, 5, 80), -1.5, np.float32))


def test_both_derivatives_agree_and_are_the_differences():
    x, v = np.random.default_rng(0).normal(size=(2, 800))
    f = jax.jit(lambda x: jnp.sum(jnp.sin(ops.log_mel(x, bands=20))))
    with jax.enable_x64(True):
        forward, backward = jax.jvp(f, (x,), (v,))[1], jnp.vdot(jax.grad(f)(x), v)
        near = (f(x + 1e-6 * v) - f(x - 1e-6 * v)) / 2e-6
    assert forward.dtype == np.float64
    assert float(forward) == pytest.approx(float(backward), rel=1e-9)
    assert float(forward) == pytest.approx(float(near), rel=1e-6)


def test_vmap_is_the_batch_and_bf16_is_computed_in_float32():
    x = jnp.asarray(sounds(1234), jnp.bfloat16)
    every = lambda x: (ops.whisper_log_mel(x), jax.vmap(ops.log_mel)(x))
    batch, mapped, wide = jax.jit(lambda x: (*every(x), every(x.astype(jnp.float32))[0]))(x)
    assert batch.dtype == jnp.float32
    np.testing.assert_allclose(mapped, batch, atol=1e-6)
    np.testing.assert_array_equal(batch, wide)


def test_what_cannot_be_is_one_line():
    x = np.zeros((1, 500), np.float32)
    for call, said in {
        lambda: ops.power_spectrogram(x, 1): "window=1 must be at least 2",
        lambda: ops.power_spectrogram(x, 400, 0): "hop=0",
        lambda: ops.power_spectrogram(x, 400, size=300): "size=300",
        lambda: ops.power_spectrogram(x, 600, centred=False): "500 samples are too few",
        lambda: ops.whisper_log_mel(x[:, :100]): "fewer than a hop of 160",
        lambda: ops.mel_bands(201, 0, 16000): "mel bands: 0 of 201",
        lambda: ops.mel_bands(201, 80, 16000, high=9000): "to 9000 Hz",
        lambda: ops.mel_bands(201, 80, 16000, scale="bark"): "not 'bark'",
    }.items():
        with pytest.raises(UserError, match=said) as error:
            call()
        assert "\n" not in str(error.value)
