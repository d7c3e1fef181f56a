"""A published Whisper that learns recordings of one's own, and what comes of it."""

import functools
import json
import shutil
import wave
from types import SimpleNamespace

import jax
import numpy as np
import pytest
from etils import epath
from launching import assert_resumes_to_the_bit, figures, run
from test_whisper import golden, spectrogram, whisper  # noqa: F401

from jaxdl import config, experiment, keys, launch, models, ops, pretrained
from jaxdl.data.source_target import Specials
from jaxdl.errors import UserError
from jaxdl.generate import Settings, Speech, entries, speech
from jaxdl.inference import transcribe
from jaxdl.launch import use
from jaxdl.launch.flags import parse
from jaxdl.runs import checkpoint
from jaxdl.tasks import sequence_to_sequence
from jaxdl.tasks.shared.reading import Example

pytest.importorskip("tokenizers")

FRAMES, BANDS = 60, 10
TEXTS = ("red green", "Blue.", "green green blue", "red") * 2
SPECIAL = (
    *("<|endoftext|>", "<|startoftranscript|>", "<|en|>", "<|de|>", "<|translate|>"),
    *("<|transcribe|>", "<|startoflm|>", "<|startofprev|>", "<|nospeech|>", "<|notimestamps|>"),
    *(f"<|{i * 0.02:.2f}|>" for i in range(FRAMES // 2 + 1)),
)


def tokenizer():
    """Byte pairs, and the special tokens of Whisper, put around texts as its own file does."""
    from tokenizers import (
        AddedToken,
        Tokenizer,
        decoders,
        models,
        pre_tokenizers,
        processors,
        trainers,
    )

    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=270, initial_alphabet=sorted(alphabet), show_progress=False
    )
    made.train_from_iterator([f" {text}" for text in TEXTS], trainer)
    made.add_special_tokens([AddedToken(name, special=True) for name in SPECIAL])
    around = ("<|startoftranscript|>", "<|notimestamps|>", "<|endoftext|>")
    made.post_processor = processors.TemplateProcessing(
        single=f"{around[0]} {around[1]} $A {around[2]}",
        special_tokens=[(name, made.token_to_id(name)) for name in around],
    )
    return made


@functools.cache
def published(hidden=24):
    """(module, variables, settings, the tokenizer) of a small one."""
    made = tokenizer()
    token = made.token_to_id
    module = models.create(
        "whisper", vocab_size=made.get_vocab_size(), width=16, heads=2, hidden=hidden,
        encoder_depth=1, decoder_depth=1, bands=BANDS, frames=FRAMES, context=24,
    )  # fmt: skip
    given = np.zeros((1, 2, BANDS), np.float32), np.zeros((1, 1), np.int32)
    draws = np.random.default_rng(3)
    variables = jax.tree.map(
        lambda x: draws.normal(0, 0.1, x.shape).astype(np.float32),
        jax.eval_shape(module.init, keys.abstract(), *given),
    )
    end = token("<|endoftext|>")
    settings = Settings(
        decoder_start_token_id=token("<|startoftranscript|>"), eos_token_id=end,
        pad_token_id=end, bos_token_id=end, max_length=24,
        suppress_tokens=tuple(token(name) for name in SPECIAL[4:9]),
        begin_suppress_tokens=(token("Ġ"), end),
        others=dict(
            is_multilingual=True, no_timestamps_token_id=token("<|notimestamps|>"),
            lang_to_id={name: token(name) for name in ("<|en|>", "<|de|>")},
            task_to_id={name: token(f"<|{name}|>") for name in ("transcribe", "translate")},
            prev_sot_token_id=token("<|startofprev|>"), max_initial_timestamp_index=12,
            return_timestamps=False, forced_decoder_ids=[[1, None], [2, 261]],
        ),
    )  # fmt: skip
    return module, variables, settings, made


def sound(path, seconds, seed):
    noise = np.random.default_rng(seed).normal(size=round(16000 * seconds))
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16000)
        file.writeframes(np.clip(4000 * noise, -32768, 32767).astype("<i2").tobytes())


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """The published folder, and that of the recordings."""
    source, data = (tmp_path_factory.mktemp(name) for name in ("published", "recordings"))
    module, variables, settings, made = published()
    pretrained.save(module, variables, source, generation=settings)
    made.save(str(source / "tokenizer.json"))
    lines = ["file,text"]
    for i, text in enumerate(TEXTS):
        sound(data / f"{i}.wav", 0.3 + 0.03 * i, i)
        lines.append(f"{i}.wav,{text}")
    (data / "transcripts.csv").write_text("\n".join(lines) + "\n")
    return source, data


def asked(folders, **changed):
    source, data = folders
    made = config.default()
    made.steps, made.batch_size, made.parallel.data = 4, 2, 1
    made.task = dict(name="transcription", bands=BANDS, mask_padding=False)
    made.task.generation = ("language=de",)
    made.data.update(name="recordings", path=str(data), seconds=0.6, test_fraction=0.5)
    made.data.tokenizer, made.pretrained.source = str(source / "tokenizer.json"), str(source)
    made.log.layers = False
    with made.ignore_type():
        made.update_from_flattened_dict(changed)
    return experiment.complete(made)


def writer_of(made):
    return made.task.publish.args[0]


def test_recordings_are_heard_and_written_as_the_published_ones_are(folders):
    made = experiment.create(asked(folders))
    _, _, settings, tokens = published()
    prepare = made.task.eval_step.__wrapped__.args[2]
    part = made.run.data.test
    batch = part.take(np.arange(len(part)))
    whole = np.zeros((len(part), 160 * FRAMES), np.float32)
    whole[:, : batch["samples"].shape[1]] = batch["samples"]
    special = writer_of(made).special

    @jax.jit
    def seen(batch, whole):
        example = prepare(batch, None)
        shifted = sequence_to_sequence.shifted(example.target, special)
        return example, shifted, ops.whisper_log_mel(whole, BANDS)

    example, shifted, expected = seen(batch, whole)
    # 0.6 s, of which silence is a part: nothing is hidden.
    assert example.source_mask is None
    np.testing.assert_allclose(example.source, expected, atol=2e-6)
    start, de, transcribe_, no_times, end = (
        tokens.token_to_id(f"<|{name}|>")
        for name in ("startoftranscript", "de", "transcribe", "notimestamps", "endoftext")
    )
    for row, given in zip(np.asarray(example.target), np.asarray(shifted), strict=True):
        written = row[: row.tolist().index(end)].tolist()
        assert written[:3] == [de, transcribe_, no_times]
        assert tokens.decode(written[3:])[1:] in TEXTS
        assert tokens.decode(written[3:])[0] == " "
        assert given[: len(written) + 1].tolist() == [start, *written]
        assert set(row[len(written) + 1 :].tolist()) <= {special.pad}
    assert special.pad != end
    # What transformers writes of this folder and language begins alike.
    known = Speech.of(Settings.of({**settings.said(), "language": "de"}))
    assert known.prompt(np.zeros(1), timestamps=False).tolist() == [[start, de, transcribe_,
                                                                     no_times]]  # fmt: skip
    assert writer_of(made).begin == (start, de, transcribe_, no_times)
    assert writer_of(made).text(np.array([*written[3:], end, 5])) in TEXTS


def test_the_loss_of_a_text_is_that_of_transformers(whisper):  # noqa: F811
    module, variables = whisper
    about = golden()[0]
    labels = np.array(about["labels"], np.int32)
    special = Specials(pad=401, end=400, start=401, sentinels=(), size=442, spoken=True)
    target = np.where(labels == -100, special.pad, labels)
    example = Example(spectrogram("short", 60), None, target, np.ones(len(target), np.float32))
    given = sequence_to_sequence.shifted(target, special)
    logits = jax.jit(module.apply)(variables, example.source, given)
    nats, _, weight = sequence_to_sequence.predictions(logits, example, special)
    np.testing.assert_allclose((nats * weight).sum() / weight.sum(), about["loss"], rtol=1e-5)


def test_a_run_that_has_begun_needs_no_folder_and_goes_out_as_one(folders, tmp_path):
    gone = shutil.copytree(folders[0], tmp_path / "gone")
    given = asked((gone, folders[1]))
    given.data.tokenizer = str(folders[0] / "tokenizer.json")
    made = experiment.create(given)
    # What is told of the special tokens goes with the run.
    state = made.init_state()
    made.task.publish(state, tmp_path / "out")
    module, variables, settings, _ = published()
    # At evaluation it writes the first 30 s, without times, as that folder would.
    batch = made.run.data.test.take(np.arange(2))
    samples = np.pad(batch["samples"], ((0, 0), (0, 160 * FRAMES - batch["samples"].shape[1])))
    found = jax.jit(made.task.predict)(state, samples)["written"]
    asked_for = Settings.of({**settings.said(), "language": "de"})
    prompt = Speech.of(asked_for).prompt(np.zeros(2), timestamps=False)
    encoded = speech.encode(module, variables, ops.whisper_log_mel(samples, BANDS))
    wanted = speech.write(module, variables, asked_for, encoded, prompt).tokens
    assert [*map(writer_of(made).text, found)] == [*map(writer_of(made).text, wanted)]
    found, same = pretrained.load(tmp_path / "out")
    assert found == module
    jax.tree.map(np.testing.assert_array_equal, same, variables)
    said = pretrained.generation(tmp_path / "out").said()
    assert said == {**settings.said(), "language": "de"}
    shutil.rmtree(gone)
    again = experiment.create(made.config)
    assert writer_of(again)._replace(tokenizer=None) == writer_of(made)._replace(tokenizer=None)
    assert again.abstract_state == made.abstract_state
    with pytest.raises(UserError, match="gone"):
        again.task.check()


REFUSED = {
    "task.generation": ((), "know several languages: say which .*language=de"),
    "task.generation ": (("language=dee",), "language='dee': "),
    "task.generation  ": (("language=de", "task=sing"), "task='sing'"),
    "task.mask_padding": (True, "learned of sounds filled up with silence .*mask_padding=False"),
    "task.bands": (12, "config.task.bands=12, but the model hears 10: set config.task.bands=10"),
    "task.hop": (0.02, "hears 16000 samples a second in frames of 0.025 s, 0.01 s from"),
    "data.seconds": (0.7, "config.data.seconds=0.7: the model hears 60 frames, 0.6 seconds"),
    "data.tokenizer": ("", "is not the tokenizer of .*: set it to"),
    "task.tokens": (22, "has positions for 24 tokens, and examples have 26: lower .* by 2"),
}


@pytest.mark.parametrize("setting", REFUSED)
def test_what_does_not_fit_is_one_line(setting, folders):
    value, message = REFUSED[setting]
    with pytest.raises(UserError, match=message) as caught:
        experiment.create(asked(folders, **{setting.strip(): value}))
    assert "\n" not in str(caught.value)


def test_tables_of_special_tokens_are_read_as_they_are_written():
    settings = published()[2]
    assert Settings.of(entries.parsed(entries.listed(settings), "x")) == settings


def test_it_learns_by_the_launcher_goes_on_to_the_bit_and_is_heard_by_the_folder(
    folders, tmp_path, capsys
):
    source, data = folders
    flags = [
        f"--config.pretrained.source={source}", f"--config.data.path={data}",
        f"--config.data.tokenizer={source / 'tokenizer.json'}", "--config.data.seconds=.6",
        "--config.data.test_fraction=.5", f"--config.task.bands={BANDS}",
        "--config.task.generation=language=de", "--config.batch_size=2",
        "--config.optimizer.learning_rate=3e-3", "--config.checkpoint.every=6",
    ]  # fmt: skip
    assert_resumes_to_the_bit("whisper:published", tmp_path, *flags, at=6, same_calls=True)
    whole = tmp_path / "whole"
    losses = [row["loss"] for row in figures(whole, "eval")]
    assert losses[-1] < losses[0]
    assert launch.main([f"--workdir={whole}", "--mode=export"]) == 0
    out = whole / "export"
    assert (out / "tokenizer.json").read_bytes() == (source / "tokenizer.json").read_bytes()
    assert Speech.of(transcribe.load(out).settings).language == "de"
    # The run and that folder hear the same, window after window, however they are asked.
    talks = tmp_path / "talks"
    talks.mkdir()
    sound(talks / "long.wav", 1.5, 9)
    sound(talks / "short.wav", 0.4, 10)
    for how in ("", "language=en,num_beams=2,temperature=0"):
        own = ["--mode=predict", f"--input={talks}"]
        own += [f"--config.pretrained.generation={how}"] if how else []
        theirs = [f"--config.pretrained.source={out}", f"--workdir={tmp_path / 'theirs'}"]
        assert launch.main([*own, f"--workdir={whole}"]) == 0
        assert ("long.wav  en" if how else "long.wav  de") in capsys.readouterr().out
        assert launch.main([*own, *theirs]) == 0
        for name in ("predictions.jsonl", "long.srt", "long.vtt", "short.srt"):
            assert (whole / name).read_text() == (tmp_path / "theirs" / name).read_text()
        said = [json.loads(line) for line in (whole / "predictions.jsonl").open()]
        assert max(segment["end"] for segment in said[0]["segments"]) > 0.6
        assert any(segment["text"] for segment in said[0]["segments"])
    capsys.readouterr()
    own = [f"--workdir={whole}", *own[:2]]
    assert launch.main([*own, "--config.pretrained.generation=beam=2"]) == 2
    assert "config.pretrained.generation: no setting is called 'beam'" in capsys.readouterr().err
    # Another run begins where this one ended, and is heard likewise.
    made = experiment.create(asked((whole, data)))
    jax.tree.map(
        np.testing.assert_array_equal, made.init_state().best_variables, pretrained.load(out)[1]
    )
    for setting, value, message in (
        ("task.mask_padding", True, "learned of sounds filled up with silence"),
        ("task.generation", (), "know several languages"),
        ("data.rate", 8000, "hears 16000 samples a second in frames of 0.025 s, 0.01 s"),
        ("data.tokenizer", "", "learned of other tokens"),
    ):
        with pytest.raises(UserError, match=message):
            experiment.create(asked((whole, data), **{setting: value}))
    flags[0] = f"--config.pretrained.source={whole}"
    again = tmp_path / "again"
    assert run("whisper:published", again, *flags, "--config.steps=2") == 0
    shutil.rmtree(whole)
    assert launch.main([own[1], own[2], f"--workdir={again}"]) == 0
    assert len((again / "predictions.jsonl").read_text().splitlines()) == 2


def test_a_run_on_tones_begins_where_another_ended(tmp_path):
    small = [
        *("--config.model.width=16", "--config.model.heads=2", "--config.model.hidden=24"),
        *("--config.model.encoder_depth=1", "--config.model.decoder_depth=1"),
        *("--config.steps=2", "--config.batch_size=2", "--config.eval.every=2"),
        *("--config.data.most=3", "--config.data.test_examples=2", "--config.log.layers=false"),
        *("--config.optimizer.warmup=0", "--config.parallel.data=1"),
    ]
    first = tmp_path / "first"
    assert run("whisper", first, *small) == 0
    made = lambda *flags: experiment.create(
        parse(["--config=experiments/whisper.py", *small, f"--config.pretrained.source={first}",
               *flags]).config
    )  # fmt: skip
    found = made()
    assert found.task.transcriber is None
    with checkpoint.Checkpoints(epath.Path(first), found.config, read_only=True) as kept:
        state = checkpoint.restore(epath.Path(first), kept.best_step())
    jax.tree.map(np.testing.assert_array_equal, found.init_state().params, state["params"])
    # Of sounds of another length it knows the places by the formula.
    shorter = made("--config.data.most=2").init_state()
    jax.tree.map(np.testing.assert_array_equal, shorter.params, state["params"])
    places = lambda state: state.model_state["constants"]["encoder_position"].shape[1]
    assert places(shorter) < places(found.init_state())
    for flag, message in (
        ("task.mask_padding=false", "never heard what stands behind a recording: set config.task"),
        ("task.bands=32", "config.task.bands=32, but pretrained.source=.* hears 64: set config"),
        ("task.hop=.02", "hears 8000 samples a second in frames of 0.025 s, 0.015 s from one"),
    ):
        with pytest.raises(UserError, match=message):
            made(f"--config.{flag}")


def test_another_way_to_write_is_asked_of_a_run_and_changes_none_of_its_settings(tmp_path):
    (tmp_path / "config.json").write_text('{"pretrained.generation": ["num_beams=4"]}')
    flag = "--config.pretrained.generation=num_beams=2,language=en"
    asked = [f"--workdir={tmp_path}", "--input=a.wav", "--mode=predict", flag]
    options = parse(asked)
    assert options.generation == ("num_beams=2", "language=en")
    assert options.config.pretrained.generation == ("num_beams=4",)
    # A published folder has no settings of its own but these.
    options = parse([f"--workdir={tmp_path / 'none'}", *asked[1:]])
    assert options.generation == ()
    assert options.config.pretrained.generation == ("num_beams=2", "language=en")
    task = SimpleNamespace(transcriber=None, answer=None, embed=None, publish=None)
    made = SimpleNamespace(task=task, config=config.default())
    with pytest.raises(UserError, match="it is asked of Whisper, and this run's task is"):
        use.of_run(parse(asked), made, epath.Path(tmp_path))
