"""Sounds to classes: what is heard in a step, how it is augmented, and sounds of one's own."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from launching import (
    ROOT,
    assert_resumes_to_the_bit,
    assert_same_bits,
    built,
    leaves,
    made,
    run,
)
from test_sounds import folder, saved

from jaxdl import config as settings
from jaxdl import experiment, keys, launch, metrics
from jaxdl.config import files
from jaxdl.data.augment import sound
from jaxdl.errors import UserError
from jaxdl.tasks.shared import hearing

B, N = 64, 50
COUNTED = np.tile(np.arange(1, N + 1, dtype=np.float32), (B, 1))


def moved(transform, batch, *arguments, seed=0):
    before = dict(batch)
    after = jax.jit(transform, static_argnums=(*range(2, 2 + len(arguments)),))(
        keys.root(seed), batch, *arguments
    )
    changed = {name for name in before if np.any(np.asarray(after[name]) != before[name])}
    assert changed <= set(transform.moves)
    return jax.tree.map(np.asarray, after)


# Augmentation


def test_a_shift_moves_the_sound_and_its_end_and_brings_silence():
    lengths = np.full(B, 30, np.int32)
    found = moved(sound.time_shift, {"samples": COUNTED, "length": lengths, "label": lengths}, 12)
    by = found["length"] - 30
    for samples, shift in zip(found["samples"], by.tolist(), strict=True):
        wanted = np.zeros(N)
        wanted[max(0, shift) : N + min(0, shift)] = COUNTED[0][max(0, -shift) : N - max(0, shift)]
        np.testing.assert_array_equal(samples, wanted)
    assert (by.min(), by.max()) == (-12, 12)
    ends = moved(sound.time_shift, {"samples": COUNTED, "length": np.full(B, N)}, 12)["length"]
    assert ends.max() == N


def test_noise_has_the_ratio_that_was_asked_for_and_stays_out_of_padding():
    rng = np.random.default_rng(0)
    samples = rng.normal(size=(8, 20000)).astype(np.float32)
    lengths = np.full(8, 15000, np.int32)
    samples[:, 15000:] = 0
    samples[7] = 0
    found = moved(sound.add_noise, {"samples": samples, "length": lengths}, 6.0, 6.0)
    noise = found["samples"] - samples
    assert (noise[:, 15000:] == 0).all()
    assert (noise[7] == 0).all()
    power = lambda x: np.square(x[:7, :15000]).mean(axis=1)
    np.testing.assert_allclose(10 * np.log10(power(samples) / power(noise)), 6, atol=0.2)
    drawn = moved(sound.add_noise, {"samples": samples, "length": lengths}, 0.0, 20.0)["samples"]
    ratios = 10 * np.log10(power(samples) / power(drawn - samples))
    assert np.ptp(ratios) > 3


@pytest.mark.parametrize("transform, axis", [(sound.time_masks, 1), (sound.frequency_masks, 2)])
def test_masks_hide_whole_stretches_behind_the_mean(transform, axis):
    rng = np.random.default_rng(0)
    seen = rng.normal(size=(B, 30, 20)).astype(np.float32)
    found = moved(transform, {"spectrogram": seen}, 2, 6)["spectrogram"]
    other = moved(transform, {"spectrogram": seen}, 2, 6, seed=1)["spectrogram"]
    assert (found != other).any()
    hidden = found != seen
    mean = np.broadcast_to(seen.mean((1, 2), keepdims=True), seen.shape)
    np.testing.assert_allclose(found[hidden], mean[hidden], atol=1e-6)
    along = hidden.any(axis=3 - axis)
    np.testing.assert_array_equal(hidden, np.expand_dims(along, 3 - axis) & hidden)
    assert (hidden.all(axis=3 - axis) == along).all()
    counts = along.sum(axis=1)
    assert counts.max() <= 12
    assert 3 < counts.mean() < 7  # twice the mean of 0 … 6, less where both meet
    assert along[:, 0].any()
    assert along[:, -1].any()


def test_only_what_is_on_changes_anything():
    plain = settings.default().augment_sound
    of_samples, of_spectrograms = sound.create(plain, 8000, 160)
    batch = {"samples": COUNTED, "length": np.full(B, N, np.int32)}
    for name, array in of_samples(keys.root(0), batch).items():
        np.testing.assert_array_equal(array, batch[name])
    seen = {"spectrogram": np.ones((2, 5, 4), np.float32)}
    np.testing.assert_array_equal(of_spectrograms(keys.root(0), seen)["spectrogram"], 1)
    given = settings.default()
    given.epochs, given.model.name = 1.0, "mlp"
    given.augment_sound.snr = (5.0, 1.0)
    with pytest.raises(UserError, match=r"augment_sound.snr=.*two numbers from -100 to 100"):
        settings.validate(given)


# The task


@pytest.fixture(scope="module")
def small():
    """(experiment, state) of the smallest, its weights drawn by NumPy, which compiles nothing."""
    one = built("keys", "--config.parallel.data=1", "--config.log.layers=false")
    rng = np.random.default_rng(0)
    drawn = lambda x: np.abs(rng.normal(size=x.shape)).astype(x.dtype)
    return one, jax.tree.map(drawn, one.abstract_state)


def test_a_step_hears_what_its_key_draws(small):
    one, _ = small
    assert one.batch(0).keys() == {"number"}
    hear = hearing.training(one.run, hearing.of_run(one.run, 8, 0.04, 0.04))
    heard = jax.eval_shape(hear, one.batch(0), one.key)
    size, count = one.config.batch_size, one.task.sound.count
    assert heard["samples"].shape == (size, count)
    assert heard["spectrogram"].shape == (size, count // 320, 8)
    assert heard["spectrogram"].dtype == jnp.float32
    augmented = one.config.copy_and_resolve_references()
    augmented.augment_sound.update(shift=0.1, snr=(0, 9.0), time_masks=2, frequency_masks=1)
    run = one.run._replace(config=augmented)
    hear = hearing.training(run, hearing.of_run(run, 8, 0.04, 0.04))
    with jax.numpy_rank_promotion("raise"), jax.numpy_dtype_promotion("strict"):
        jax.eval_shape(hear, one.batch(0), one.key)


def test_accuracy_is_told_at_each_ratio_and_is_that_of_its_part(small):
    one, state = small
    test = one.run.data.test
    batch = test.take(np.arange(len(test)))
    step, predict = one.task.eval_step, one.task.predict
    both = jax.jit(
        lambda state, batch: (step(state, batch, one.key), predict(state, batch["samples"]))
    )
    found, said = both(state, batch)
    found = metrics.divide(found)
    right = np.asarray(said["logits"]).argmax(-1) == batch["label"]
    for ratio in (10, 0):
        assert found[f"accuracy_{ratio}db"] == pytest.approx(right[batch["snr"] == ratio].mean())
        assert one.task.directions[f"accuracy_{ratio}db"] == metrics.HIGH
    assert found["accuracy"] == pytest.approx(right.mean())


BAD = {
    "--config.data.name=dial_tones --config.data.test_examples=4": "has sounds without classes",
    "--config.data.name=numbers": "learns from sounds, such as data.name='sounds' or 'dial_keys'",
    "--config.data.name=none": "data set 'none' has none",
    "--config.task.bands=0": "config.task.bands=0 must be from 1 to 160",
    "--config.task.hop=9.": "config.task.hop=9 must be from 0.00025 to 0.52",
    "--config.task.window=.0001": "config.task.window=0.0001 must be from",
    "--config.task.label_smoothing=1.": "label_smoothing=1.0 must be at least 0 and below 1",
    "--config.augment.flip=true": "uses nothing of config.augment",
    "--config.augment_sound.snr=(1,)": "two numbers from -100 to 100",
    "--config.data.snrs=(1.,2.)": "did you mean 'snr'",
}


@pytest.mark.parametrize("argument", BAD)
def test_a_bad_setting_is_one_clear_line(argument):
    few = () if "data." in argument else ("--config.data.test_examples=2",)
    with pytest.raises(UserError) as error:
        made("keys", *few, *argument.split())
    assert "\n" not in str(error.value)
    assert BAD[argument] in str(error.value)


def test_what_takes_no_sound_refuses_changes_of_sound():
    with pytest.raises(UserError, match=r"uses nothing of config\.augment_sound"):
        made("mlp", "--config.augment_sound.shift=1.")


@pytest.mark.parametrize("variant", ["cnn", "gru"])
def test_both_models_see_frames_below_one_another(variant):
    config = files.load(f"{ROOT / 'experiments' / 'keys.py'}:{variant}")
    config.data.test_examples = 2
    state = experiment.create(config).abstract_state
    shapes = {leaf.shape for leaf in jax.tree.leaves(state.params)}
    # 3x3 kernels of one channel; a frame's 64 bands to three gates of 64.
    assert {"cnn": (3, 3, 1, 8), "gru": (64, 192)}[variant] in shapes


# Runs


OWN = ("--config.data.name=sounds", "--config.data.rate=8000", "--config.data.seconds=.15",
       "--config.batch_size=4", "--config.steps=60", "--config.eval.every=60",
       "--config.model.channels=(4,)", "--config.model.hidden=8", "--config.task.hop=.02",
       "--config.augment_sound.shift=.02", "--config.augment_sound.time_masks=1",
       "--config.augment_sound.frequency_masks=1", "--config.augment_sound.frequency_mask=4",
       "--config.log.report=false", "--config.log.layers=false")  # fmt: skip


def test_sounds_of_ones_own_are_learned_and_told(tmp_path, capsys):
    root = folder(tmp_path / "data")
    own = (f"--config.data.path={root}", "--config.optimizer.learning_rate=1e-2", *OWN)
    assert run("keys", tmp_path / "run", *own) == 0
    heard = saved(tmp_path / "new" / "a.wav",
                  0.3 * np.sin(2 * np.pi * 1200 * np.arange(16000) / 16000), 16000)  # fmt: skip
    heard.with_name("b.wav").write_bytes(b"no sound")
    capsys.readouterr()
    for file in root.rglob("*.wav"):  # a run needs its data no more
        file.unlink()
    given = ["--mode=predict", f"--workdir={tmp_path / 'run'}", f"--input={tmp_path / 'new'}"]
    assert launch.main(given) == 2
    out, err = capsys.readouterr()
    assert "a.wav  high " in out
    assert err.startswith("error: 1 of 2 sounds could not be read: ")
    assert "b.wav is no WAV" in err or "b.wav is a broken sound" in err
    (line,) = (tmp_path / "run" / "predictions.jsonl").read_text().splitlines()
    assert json.loads(line)["classes"][0]["class"] == "high"
    (vector,) = np.load(tmp_path / "run" / "embeddings.npy")
    assert np.square(vector).sum() == pytest.approx(1, rel=1e-5)


def test_sounds_decoded_on_the_way_are_learned_as_those_in_memory_are(tmp_path, monkeypatch):
    from jaxdl.data import sound_files

    root = folder(tmp_path / "data")
    own = (f"--config.data.path={root}", *OWN, "--config.steps=6", "--config.eval.every=6")
    assert run("keys", tmp_path / "at_once", *own) == 0
    monkeypatch.setattr(sound_files, "IN_MEMORY", 0)
    assert run("keys", tmp_path / "later", *own) == 0
    assert_same_bits(leaves(tmp_path / "at_once"), leaves(tmp_path / "later"))


def test_a_run_that_was_cut_ends_like_one_that_was_not(tmp_path):
    import tiny

    few = ("--config.eval.every=6", "--config.log.every=3", "--config.augment_sound.snr=(0.,9.)",
           "--config.ema=.9", "--config.accumulate=2")  # fmt: skip
    assert_resumes_to_the_bit("keys", tmp_path, *tiny.FLAGS["keys"], *few, at=6)


def test_a_report_shows_what_was_taken_for_what(small):
    one, state = small
    shown = one.task.artifacts(state, one.run.data.test, one.key)
    assert list(shown) == ["Confusion matrix", "Most wrong"]
    assert "evaluation examples are wrong" in shown["Most wrong"].caption
