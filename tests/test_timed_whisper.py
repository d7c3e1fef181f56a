"""A published Whisper that learns texts with times: its labels and its loss are transformers'.

golden/whisper_times.json is made by golden/make_whisper_times.py; weights are drawn here anew.
"""

import functools
import json
import wave
from pathlib import Path

import jax
import numpy as np
import pytest
from launching import run, summary
from test_whisper import golden, spectrogram, theirs, whisper, write  # noqa: F401

from jaxdl import config, data, experiment, launch
from jaxdl.errors import UserError
from jaxdl.generate import Timestamps, speech
from jaxdl.tasks import sequence_to_sequence
from jaxdl.tasks.shared.reading import Example

pytest.importorskip("tokenizers")

WORDS, EN, TRANSCRIBE, FIRST, LAST = 400, 402, 406, 411, 441


@functools.cache
def times():
    return json.loads((Path(__file__).parent / "golden" / "whisper_times.json").read_text())


def tone(path, hertz=0):
    """A WAV of 0.6 s."""
    samples = 9000 * np.sin(2 * np.pi * hertz * np.arange(9600) / 16000)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16000)
        file.writeframes(samples.astype("<i2").tobytes())


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """The published folder, and that of the recordings, whose parts hold the same."""
    source, folder = (tmp_path_factory.mktemp(name) for name in ("published", "recordings"))
    write(source)
    said = golden()[0]["calls"]["detected"]["settings"]
    (source / "generation_config.json").write_text(json.dumps(said))
    (source / "tokenizer.json").write_text(json.dumps(times()["tokenizer"]))
    rows = []
    for i, segments in enumerate(times()["said"]):
        tone(folder / f"{i}.wav", 300 + 900 * i)
        listed = [dict(zip(("start", "end", "text"), one, strict=True)) for one in segments]
        rows.append(json.dumps(dict(file=f"{i}.wav", segments=listed, text="…")))
    for part in ("train", "test"):
        (folder / f"{part}.jsonl").write_text("\n".join(rows))
    return source, folder


def made(folders, **changed):
    source, recordings = folders
    asked = config.default()
    asked.steps, asked.batch_size, asked.parallel.data = 4, 2, 1
    asked.task = dict(name="transcription", bands=10, mask_padding=False)
    asked.task.generation = ("language=en",)
    asked.data.update(name="recordings", path=str(recordings), seconds=0.6, times=True)
    asked.data.tokenizer, asked.pretrained.source = str(source / "tokenizer.json"), str(source)
    with asked.ignore_type():
        asked.update_from_flattened_dict(changed)
    return experiment.create(experiment.complete(asked))


def test_labels_are_those_of_transformers(folders):
    found = made(folders)
    writer = found.task.publish.args[0]
    assert writer.prompt == (EN, TRANSCRIBE)
    assert writer.times == Timestamps(FIRST, WORDS, 12)
    batch = found.run.data.test.take(np.arange(3))
    prompt = np.tile(writer.prompt, (3, 1))
    target = np.concatenate([prompt, batch["target"]], axis=1)
    expected = np.array(times()["labels"])
    assert target.shape == expected.shape
    counts = expected != -100
    np.testing.assert_array_equal(target[counts], expected[counts])
    assert (target[~counts] == writer.special.pad).all()
    # Of a target the words count, and not when they are said.
    said = [" ".join(text for *_, text in row) for row in times()["said"]]
    assert [writer.text(row) for row in batch["target"]] == said


def test_a_tokenizer_need_not_name_the_times(folders, tmp_path):
    older = json.loads(json.dumps(times()["tokenizer"]))
    older["added_tokens"] = [x for x in older["added_tokens"] if x["id"] < FIRST]
    (tmp_path / "tokenizer.json").write_text(json.dumps(older))
    asked = config.default().data
    with asked.unlocked():
        asked.update(name="recordings", path=str(folders[1]), seconds=0.6, times=True)
        asked.tokenizer = str(tmp_path / "tokenizer.json")
    found = data.load(asked).test.take(np.arange(3))["target"]
    expected = np.array(times()["labels"])[:, 2:]
    counts = expected != -100
    np.testing.assert_array_equal(found[counts], expected[counts])


def test_the_loss_is_that_of_transformers(folders, whisper):  # noqa: F811
    module, variables = whisper
    special = made(folders).task.publish.args[0].special
    labels = np.array(times()["labels"], np.int32)
    target = np.where(labels == -100, special.pad, labels)
    example = Example(spectrogram("short", 60), None, target, np.ones(len(target), np.float32))
    given = sequence_to_sequence.shifted(target, special)
    logits = jax.jit(module.apply)(variables, example.source, given)
    nats, _, weight = sequence_to_sequence.predictions(logits, example, special)
    np.testing.assert_allclose((nats * weight).sum() / weight.sum(), times()["loss"], rtol=1e-5)


def test_what_is_written_at_evaluation_tells_times(folders, whisper):  # noqa: F811
    module, variables = whisper
    writer = made(folders).task.publish.args[0]
    writer = writer._replace(settings=speech.alone(writer.settings))
    assert writer.module.clone(dtype=None) == module.clone(dtype=None)
    write_ = jax.jit(functools.partial(writer.write, mask=None))
    for row in np.asarray(write_(variables, spectrogram("short", 60))):
        said = row[: np.argmax(row == WORDS) if (row == WORDS).any() else len(row)]
        assert FIRST <= said[0] <= FIRST + 12
        later = said[said >= FIRST]
        assert (np.diff(later) >= 0).all()
        assert all(name not in writer.text(said) for name in ("<|", "|>"))


def test_times_that_were_learned_are_told(folders, tmp_path):
    source, recordings = folders
    flags = [
        f"--config.pretrained.source={source}", f"--config.data.path={recordings}",
        f"--config.data.tokenizer={source / 'tokenizer.json'}", "--config.data.seconds=.6",
        "--config.data.times=true", "--config.task.bands=10",
        "--config.task.generation=language=en", "--config.batch_size=3",
        "--config.parallel.data=1", "--config.optimizer.learning_rate=1e-2",
        "--config.steps=300", "--config.eval.every=300",
    ]  # fmt: skip
    assert run("whisper:published", tmp_path, *flags) == 0
    final = summary(tmp_path)["final"]
    assert final["exact_match"] == final["accuracy"] == 1, final
    asked = "temperature=0,return_token_timestamps=true"
    predict = [f"--workdir={tmp_path}", "--mode=predict", f"--input={recordings}"]
    heads = "--config.pretrained.generation=('alignment_heads=[[1,0]]','%s')"
    assert launch.main([*predict, heads % asked.replace(",", "','")]) == 0
    said = [json.loads(line) for line in (tmp_path / "predictions.jsonl").open()]
    for found, expected in zip(said, times()["said"], strict=True):
        assert [s["text"] for s in found["segments"]] == [f" {text}" for *_, text in expected]
        told = [(s["start"], s["end"]) for s in found["segments"]]
        # A segment that is alone begins with its window, as transformers has it.
        wanted = [(a if len(expected) > 1 else 0.0, b) for a, b, _ in expected]
        np.testing.assert_allclose(told, wanted, atol=0.011)
        for segment in found["segments"]:
            assert "".join(word["text"] for word in segment["words"]) == segment["text"]


REFUSED = {
    "data.seconds": (
        0.62,
        "config.data.seconds=0.62: .* tells times up to 0.6 s",
    ),
    "data.tokenizer": ("", "data.tokenizer='' has no tokens of times, which follow <.notimestamps"),
    "pretrained.source": ("", "config.data.times=True: times are told by a published Whisper"),
}


@pytest.mark.parametrize("setting", REFUSED)
def test_what_does_not_fit_is_one_line(setting, folders):
    value, message = REFUSED[setting]
    with pytest.raises(UserError, match=message) as caught:
        made(folders, **{setting: value})
    assert "\n" not in str(caught.value)


def test_moments_have_no_times(folders):
    asked = {"task": dict(name="ctc"), "model.name": "whisper_ctc", "pretrained.source": ""}
    with pytest.raises(UserError, match=r"config.data.times=True: what is read off moments has no"):
        made(folders, **asked)


def test_a_text_with_special_tokens_in_it_is_one_line(folders, tmp_path):
    tone(tmp_path / "a.wav")
    tone(tmp_path / "b.wav")
    for name in "ab":
        (tmp_path / f"{name}.srt").write_text("1\n00:00:00,000 --> 00:00:00,500\nOne<|0.40|>two\n")
    with pytest.raises(UserError, match=r"wav: 'One<.0.40.>two' has <.0.40.>, which nobody says"):
        made((folders[0], tmp_path), **{"data.test_fraction": 0.5})
