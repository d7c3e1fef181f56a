"""Recordings to texts, by a decoder and by connectionist temporal classification."""

import io
import wave

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from launching import ROOT, assert_resumes_to_the_bit, built, figures, run
from tiny import FLAGS

from jaxdl import keys, launch, losses, models, ops
from jaxdl.data.sound_files import Files
from jaxdl.data.split import IS_REAL, Arrays
from jaxdl.errors import UserError
from jaxdl.metrics import LOW
from jaxdl.report import page, sound
from jaxdl.tasks import ctc
from jaxdl.tasks.shared import transcripts

NAMES = ("whisper", "whisper:ctc")


@pytest.fixture(scope="module")
def made():
    return built("whisper:ctc")


@pytest.fixture(scope="module")
def heard(made):
    return transcripts.of_run(made.run, 8, 0.025, 0.01)


@pytest.fixture(scope="module")
def batch(made):
    return made.run.data.test.take(np.arange(4))


def test_spectrograms_are_made_in_the_step_and_their_ends_are_known(heard, batch):
    example = heard.prepare(batch, None)
    assert heard.hears[1:] == (200, 80, 8, 0)
    np.testing.assert_array_equal(example.source, ops.log_mel(batch["samples"], 8000, 200, 80, 8))
    # A frame counts if it begins within the recording.
    wanted = np.arange(heard.hears.shape[0])[None] * 80 < batch["length"][:, None]
    np.testing.assert_array_equal(example.source_mask, wanted)
    assert example.weight.tolist() == [1, 1, 1, 1]


def test_what_is_learned_from_is_drawn_by_the_key_and_never_twice(made, heard):
    numbers = made.run.data.train.take(np.arange(3))
    first, again, other = (
        heard.prepare(numbers, key) for key in (keys.root(0), keys.root(0), keys.root(1))
    )
    np.testing.assert_array_equal(first.source, again.source)
    assert not np.array_equal(first.source, other.source)
    assert not np.array_equal(first.source[0], first.source[1])


def test_the_loss_is_of_the_keys_alone_without_their_end(made, heard, batch):
    example, special = heard.prepare(batch, None), heard.special
    states = lambda frames: -(-frames // 2)
    moments = states(heard.hears.shape[0])
    logits = jax.random.normal(keys.root(0), (4, moments, special.size))
    found = ctc.example_losses(logits, example, special, states)
    for row, length, said, nats in zip(
        logits, batch["length"], batch["target"], found, strict=True
    ):
        text = said[: list(said).index(special.end)][None]
        frames = int(np.ceil(length / 80))
        count = (frames + 1) // 2
        alone = losses.ctc(row[None, :count], text, blank=special.pad)
        np.testing.assert_allclose(nats, alone[0], rtol=1e-5)


def test_a_recording_that_is_too_short_for_its_text_is_refused(heard, batch):
    states = lambda frames: -(-frames // 2)
    ctc.check_targets(Arrays(batch), "training", heard, states)
    keys_said = (batch["target"] < 256).sum(axis=1)
    longest = int(np.argmax(keys_said))
    short = {**batch, "length": batch["length"].copy()}
    short["length"][longest] = (2 * keys_said[longest] - 2) * 80  # a moment is two frames
    with pytest.raises(UserError, match=rf"1 of 4 .* number {longest + 1} is"):
        ctc.check_targets(Arrays(short), "training", heard, states)
    # Of files that nobody has read yet as well.
    target, lengths = batch["target"], (batch["length"], short["length"])
    good, bad = (Files([None] * 4, {"target": target}, 8000, 9999, x) for x in lengths)
    ctc.check_targets(good, "training", heard, states)
    with pytest.raises(UserError, match=rf"1 of 4 .* number {longest + 1} is"):
        ctc.check_targets(bad, "training", heard, states)


def test_what_is_padding_of_a_batch_does_not_count(made, heard, batch):
    state = jax.jit(made.task.init)(keys.root(0), None)
    whole = made.task.eval_step(state, batch, keys.root(0))["loss"]
    weights = np.array([1, 0, 1, 1], np.float32)
    padded = {**batch, IS_REAL: weights}
    part = made.task.eval_step(state, padded, keys.root(0))["loss"]
    alone = made.task.eval_step(
        state, {name: x[[0, 2, 3]] for name, x in batch.items()}, keys.root(0)
    )["loss"]
    assert float(whole.weight) == 4
    np.testing.assert_allclose(part, alone, rtol=1e-5)


def test_parameters_are_those_of_the_encoder_and_of_a_layer():
    sizes = dict(width=16, heads=2, hidden=24, bands=8, frames=20)
    seen = jax.ShapeDtypeStruct((1, 20, 8), jnp.float32)

    def count(module):
        params = jax.eval_shape(module.init, keys.abstract(), seen)["params"]
        return sum(x.size for x in jax.tree.leaves(params))

    whole = count(models.create("whisper_ctc", vocab_size=11, depth=2, **sizes))
    encoder = models.create("whisper", encoder_depth=2, decoder_depth=0, **sizes)
    assert whole == count(encoder) + 17 * 11


def test_figures_are_of_whole_texts_and_of_each_ratio_of_noise():
    said, written = ["12", "3", "44", "5"], ["12", "33", "44", ""]
    found = transcripts.figures(said, written, np.array([10.0, 10, 0, 0]))
    assert found["exact_match"] == 0.5
    assert found["exact_match_10db"] == found["exact_match_0db"] == 0.5
    assert found["cer"] == pytest.approx(2 / 6)
    assert found["wer"] == pytest.approx(2 / 4)
    assert set(transcripts.figures(said, written)) == {"exact_match", "wer", "cer"}


def test_of_error_rates_low_is_better(made):
    assert made.task.directions["wer"] == made.task.directions["cer"] == LOW
    assert {"exact_match_10db", "exact_match_0db"} <= {*made.task.directions}


def test_the_report_tells_the_worst_first_and_plays_it(made):
    state = jax.jit(made.task.init)(keys.root(0), None)
    shown = made.task.artifacts(state, made.run.data.test, keys.root(0))
    assert "[said" in shown["Written, the worst first"]
    with wave.open(io.BytesIO(shown["Sound 1"].data)) as file:
        assert file.getframerate() == 8000
        assert 0 < file.getnframes() <= made.run.data.train.count
    assert "data:audio/wav;base64," in page.show(shown["Sound 1"])


def test_samples_become_the_nearest_of_sixteen_bits():
    made = sound.of_samples(np.array([0, 1, -1, 3, np.nan, 0.5]), 8000, "a caption")
    with wave.open(io.BytesIO(made.data)) as file:
        found = np.frombuffer(file.readframes(6), "<i2")
    assert found.tolist() == [0, 32767, -32767, 32767, 0, 16384]
    assert "a caption" in page.show(made)


def test_resumed_is_uninterrupted_to_the_bit(tmp_path):
    flags = (*FLAGS["whisper"], "--config.checkpoint.every=6")
    assert_resumes_to_the_bit("whisper", tmp_path, *flags, at=6, same_calls=True)
    assert "exact_match_10db" in figures(tmp_path / "whole", "eval")[-1]


@pytest.mark.parametrize(
    "name, argument, message",
    [
        ("whisper", "--config.model.name=bart", "reads frames"),
        ("whisper", "--config.task.hop=0", "from 0.00025"),
        ("whisper", "--config.task.window=9", "from 0.00025"),
        ("whisper", "--config.data.name=numbers", "data has no key 'most'"),
        ("whisper:ctc", "--config.task.beams=-1", "beams"),
    ],
)
def test_bad_settings_are_one_clear_line(name, argument, message, tmp_path, capsys):
    assert run(name, tmp_path / "run", *FLAGS[name], argument) == 2
    said = capsys.readouterr().err
    assert message in said
    assert len(said.strip().splitlines()) == 1


@pytest.mark.slow
@pytest.mark.parametrize("experiment", NAMES)
def test_dial_tones_are_heard(experiment, tmp_path):
    name, colon, variant = experiment.partition(":")
    config = f"--config={ROOT / 'experiments' / name}.py{colon}{variant}"
    assert launch.main([config, f"--workdir={tmp_path}"]) == 0
    found = figures(tmp_path, "eval")[-1]
    assert found["exact_match_10db"] >= 0.99
    assert found["exact_match_0db"] >= 0.9
