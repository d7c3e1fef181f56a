"""Recordings as text with times: the segments of transformers' generate, subtitles, the command.

golden/whisper.npz is made by golden/make_whisper.py; weights and spectrograms are drawn here anew.
"""

import dataclasses
import functools
import json
import wave
import zlib

import jax
import numpy as np
import pytest
from test_whisper import golden, spectrogram, theirs, whisper, write  # noqa: F401

from jaxdl import generate, launch
from jaxdl.data import subtitles
from jaxdl.data.subtitles import Line
from jaxdl.errors import UserError
from jaxdl.generate import Settings, Speech, Timestamps, speech
from jaxdl.inference import segments, transcribe
from jaxdl.inference.before import Before
from jaxdl.inference.transcribe import UNLIMITED, Limits, Transcriber

FILES = (
    *("jaxdl/generate/", "jaxdl/inference/transcribe.py", "jaxdl/inference/segments.py"),
    "jaxdl/models/whisper.py",
)


def settings_of(case):
    """Those of a golden case: of the folder, and of the call."""
    found = golden()[0]["recordings"][case]
    own = ("language", "task", "num_beams", "condition_on_prev_tokens", "prompt_condition_type")
    given = {k: x for k, x in found["given"].items() if k in own}
    return Settings.of({**found["settings"], **given})


PREVIOUS = 408
# Every day one program; the others are made of the same parts.
CASES = [
    case if case.startswith("silence") else pytest.param(case, marks=pytest.mark.slow(*FILES))
    for case in golden()[0]["recordings"]
]


@pytest.mark.parametrize("case", CASES)
def test_segments_are_those_of_transformers(case, whisper):  # noqa: F811
    found = golden()[0]["recordings"][case]
    asked = found["given"]
    names = ("compression_ratio_threshold", "logprob_threshold", "no_speech_threshold")
    limits = Limits((0.0,), *map(asked.get, names))
    told = asked.get("prompt_ids", [PREVIOUS])
    assert told[0] == PREVIOUS
    hears = Transcriber(*whisper, settings_of(case), limits, told=tuple(told[1:]))
    heard = transcribe.of_spectrogram(hears, spectrogram("long", 170)[found["row"]])
    assert [s.tokens for s in heard.segments] == [tokens for _, _, tokens, _ in found["segments"]]
    for ours, (start, end, _, log_p) in zip(heard.segments, found["segments"], strict=True):
        np.testing.assert_allclose((ours.start, ours.end), (start, end), atol=1e-9)
        if log_p is not None:
            assert ours.log_p == pytest.approx(log_p, abs=1e-4)
    if "language" not in asked:
        assert heard.language in ("en", "de", "fr")


@pytest.mark.parametrize(
    "said, limits, count",
    [
        (dict(language="en"), UNLIMITED, 0),
        (dict(language=None), UNLIMITED, 1),  # a recording's language, of its first window
        (dict(language="en"), UNLIMITED._replace(no_speech=0.6), 2),
    ],
    ids=["given", "detected", "silence"],
)
def test_what_follows_the_start_is_asked_where_something_reads_it(
    whisper,  # noqa: F811
    monkeypatch,
    said,
    limits,
    count,
):
    module, variables = whisper
    asked = []

    def first(*_):
        asked.append(1)
        return np.zeros((1, module.vocab_size), np.float32)

    monkeypatch.setattr(transcribe.speech, "first_logits", first)
    monkeypatch.setattr(transcribe.speech, "encode", lambda *_: None)
    monkeypatch.setattr(transcribe, "_written", lambda *_: ([], (0.0, 0.0, 1.0, None), True))
    settings = settings_of(next(iter(golden()[0]["recordings"])))
    settings = Settings.of({**settings.said(), **said})
    spectrogram = np.zeros((2 * module.frames, module.bands), np.float32)
    heard = transcribe.of_spectrogram(Transcriber(module, variables, settings, limits), spectrogram)
    assert (heard.segments, len(asked)) == ([], count)


# Cutting, without a model: 10 is the end of a text, 20 the time 0, a step 2 frames.
SPEECH = Speech(11, 10, {}, {}, 19, None, (), None, None)


@pytest.mark.parametrize(
    "tokens, expected, further",
    [
        # Nothing but words: all of the window.
        ([1, 2], [(1.0, 1.6, [1, 2])], 60),
        # A first time alone tells nothing; another tells the end.
        ([20, 1, 2], [(1.0, 1.6, [20, 1, 2])], 60),
        ([20, 1, 25], [(1.0, 1.1, [20, 1, 25])], 60),
        # A pair, and a rest that the next window hears again.
        ([20, 1, 25, 25, 2], [(1.0, 1.1, [20, 1, 25, 25])], 10),
        # Two pairs.
        (
            [22, 1, 25, 26, 2, 30, 30],
            [(1.04, 1.1, [22, 1, 25]), (1.12, 1.2, [26, 2, 30, 30])],
            20,
        ),
        # A single time at the end: nothing is said behind it.
        ([20, 1, 25, 26, 2, 30], [(1.0, 1.1, [20, 1, 25]), (1.12, 1.2, [26, 2, 30])], 60),
        ([], [(1.0, 1.6, [])], 60),
    ],
)
def test_windows_are_cut_at_pairs_of_times(tokens, expected, further):
    found, step = segments.cut(tokens, SPEECH, begin=100, frames=60)
    assert step == further
    assert [s.tokens for s in found] == [tokens for *_, tokens in expected]
    for ours, (start, end, _) in zip(found, expected, strict=True):
        np.testing.assert_allclose((ours.start, ours.end), (start, end), atol=1e-9)


def test_a_text_that_repeats_itself_is_found_and_tried_again(whisper, monkeypatch):  # noqa: F811
    tokens = [7] * 100
    assert transcribe.compression(tokens, 51865) == 200 / len(zlib.compress(bytes([7, 0] * 100)))
    assert transcribe.compression([1, 2, 3], 200) < 1
    tries = []

    def written(module, variables, settings, encoded, prompt, *, temperature, **others):
        tries.append(temperature)
        log_p = {0.0: -2.0, 0.5: -0.5, 1.0: -0.1}[temperature]
        words = [7] * 20 if temperature < 1 else [*range(20)]
        return generate.speech.Written(np.array([[*words, 400]]), np.array([log_p]))

    monkeypatch.setattr(transcribe.speech, "write", written)
    first = np.zeros((1, 442), np.float32)
    first[0, 409] = np.log(441)  # nobody speaks, by one half
    monkeypatch.setattr(transcribe.speech, "first_logits", lambda *_: first)
    monkeypatch.setattr(transcribe.speech, "encode", lambda *_: None)
    hears = Transcriber(*whisper, settings_of("plain_0"), Limits((0.0, 0.5, 1.0), 1.3, -1.0, 0.6))
    heard = lambda **said: transcribe.of_spectrogram(
        hears._replace(limits=hears.limits._replace(**said)), np.zeros((60, 10), np.float32)
    )
    (segment,) = heard().segments
    assert tries == [0.0, 0.5, 1.0]
    assert (segment.temperature, segment.tokens) == (1.0, [*range(20)])
    np.testing.assert_allclose((segment.log_p, segment.no_speech), (-0.1, 0.5), rtol=1e-6)
    del tries[:]
    assert heard(compression=None).segments[0].temperature == 0.5
    assert tries == [0.0, 0.5]
    # Silence is not tried again.
    del tries[:]
    assert heard(no_speech=0.4).segments == []
    assert tries == [0.0]
    del tries[:]
    assert heard(compression=None, log_p=None, no_speech=0.4).segments[0].temperature == 0.0


def test_each_windows_first_try_is_by_beams_and_further_ones_are_drawn(
    whisper,  # noqa: F811
    monkeypatch,
):
    module, variables = whisper
    tried = []

    def found(name, temperature):
        tried.append((name, temperature))
        words = [[411, 7, 8, 425, 425, 400]]  # a window of which the next begins at 28 frames
        log_p = [-18.0 if temperature < 0.4 else -3.0]
        return np.array(words), np.array(log_p)

    def beams(*_, beams, scored, **others):
        assert (beams, scored) == (3, True)
        texts, log_p = found("beams", 0.0)
        return texts[:, None], log_p[:, None], log_p[:, None]

    def drawn(*_, temperature, **others):
        return found("drawn", temperature)

    monkeypatch.setattr(transcribe.speech, "beam_search", beams)
    monkeypatch.setattr(transcribe.speech, "sample", drawn)
    monkeypatch.setattr(transcribe.speech, "encode", lambda *_: None)
    limits = Limits((0.0, 0.2, 0.4), None, -1.0, None)
    hears = Transcriber(module, variables, settings_of("beams_0"), limits)
    heard = transcribe.of_spectrogram(hears, np.zeros((56, module.bands), np.float32))
    assert tried == [("beams", 0.0), ("drawn", 0.2), ("drawn", 0.4)] * 2
    assert [(s.temperature, s.log_p) for s in heard.segments] == [(0.4, -0.5)] * 2


# What was said before


def test_padding_in_front_of_a_prompt_takes_up_no_position(whisper):  # noqa: F811
    module, variables = whisper
    encoded = np.random.default_rng(0).normal(size=(1, 30, module.width)).astype(np.float32)
    prompt = np.array([[PREVIOUS, 21, 22, 401, 404]], np.int32)
    decode = jax.jit(functools.partial(module.apply, method="decode"))
    wanted = decode(variables, prompt, encoded)[:, -1]
    # More places than the model has positions.
    padded = np.concatenate([np.full((1, 36), 400, np.int32), prompt], axis=1)
    behind = lambda padding: speech.logits_behind(
        module, variables, encoded, padded, np.arange(41)[None] >= padding
    )
    np.testing.assert_allclose(behind(36), wanted, rtol=1e-5, atol=1e-5)
    assert np.abs(wanted - behind(39)).max() > 0.1


def before(told=(), **said):
    known = Speech.of(Settings.of({**SAID, **said}))
    return Before(known, told, 5)


def segment(*tokens):
    return segments.Segment(0.0, 1.0, [*tokens])


def test_what_is_shown_of_the_text_before():
    asked = dict(condition_on_prev_tokens=True)
    nothing, text = before(), before(**asked)
    for one in (nothing, text):
        assert one.shown() == []
        one.add([segment(411, 1, 2, 415, 415), segment(415, 3, 420)])
    assert nothing.shown() == []
    # Of two times at an end one, and of all the last five.
    assert text.shown() == [PREVIOUS, 2, 415, 415, 3, 420]
    text.temperature = 0.5
    assert text.shown() == []
    text.temperature = 0.4
    assert text.shown()[0] == PREVIOUS


def test_what_is_told_beforehand_is_shown():
    always, first = before((7, 8)), before((7, 8), condition_on_prev_tokens=True)
    each = before((7, 8), condition_on_prev_tokens=True, prompt_condition_type="all-segments")
    for one in (always, first, each):
        assert one.shown() == [PREVIOUS, 7, 8]
        one.add([segment(411, 1, 2, 415)])
    assert always.shown() == [PREVIOUS, 7, 8]
    assert first.shown() == [PREVIOUS, 8, 411, 1, 2, 415]
    assert each.shown() == [PREVIOUS, 7, 8, 411, 1, 2, 415]
    tokens, mask = each.in_front(each.shown(), np.array([[401, 403]]))
    assert tokens.shape == mask.shape == (1, 1 + 2 + 5 + 2)
    assert tokens[0, mask[0]].tolist() == [*each.shown(), 401, 403]
    assert not mask[0, :1].any()
    assert len(before(range(9)).shown()) == 1 + 5


def test_words_become_what_a_processor_makes_of_them():
    pytest.importorskip("tokenizers")
    from jaxdl.data.tokens import Vocabulary

    made = Vocabulary.__new__(Vocabulary)
    made._read(tokenizer(), "x")
    assert transcribe.told_by(made, "  w3 w7 ", 400) == (3, 7)
    for words, message in ((3, "initial_prompt=3 must be a text"), ("w3 w401", "has w401, which")):
        with pytest.raises(UserError, match=message):
            transcribe.told_by(made, words, 400)


# What is asked for

SAID = golden()[0]["calls"]["detected"]["settings"]


@pytest.mark.parametrize(
    "said, times, prompt",
    [
        ({}, False, [401, 999, 410]),
        ({}, True, [401, 999]),
        (dict(language="de"), True, [401, 403, 406]),
        (dict(language="<|DE|>", task="translate"), False, [401, 403, 405, 410]),
        (dict(language="German"), True, [401, 403, 406]),
        (dict(task="translate"), False, [401, 999, 405, 410]),
        # Of older folders.
        (dict(forced_decoder_ids=[[1, None], [2, 406], [3, 410]]), False, [401, 999, 406, 410]),
        (dict(forced_decoder_ids=[[1, 402], [2, 406], [3, 410]]), True, [401, 402, 406]),
        (dict(forced_decoder_ids=[[1, 402]], language="fr"), True, [401, 404, 406]),
        # Of English alone.
        (dict(lang_to_id={}, task_to_id={}), False, [401, 410]),
        (dict(lang_to_id={}, task_to_id={}, no_timestamps_token_id=None), False, [401]),
    ],
)
def test_prompts_are_those_of_transformers(said, times, prompt):
    found = Speech.of(Settings.of({**SAID, **said})).prompt(np.array([999, 999]), times)
    np.testing.assert_array_equal(found, [prompt, prompt])


@pytest.mark.parametrize(
    "said, message",
    [
        (dict(language="dee"), "language='dee': did you mean 'de'|language='dee': .*de"),
        (dict(language="Germn"), "language='Germn': did you mean 'german'"),
        (dict(language="dutch"), r"language='dutch': this model has no token of it \(nl\): one of"),
        (dict(task="sing"), "task='sing': .*translate"),
        (dict(language="de", lang_to_id={}), "language='de': this model knows one language alone"),
        (dict(eos_token_id=None), "need decoder_start_token_id and one eos_token_id"),
        (dict(forced_decoder_ids=[[2, 1]]), r"are not of the places 1, 2"),
        (dict(lang_to_id=[1]), "lang_to_id must hold tokens by name"),
        (dict(condition_on_prev_tokens=3), "condition_on_prev_tokens=3 must be true or false"),
        (dict(prompt_condition_type="all-segment"), "did you mean 'all-segments'"),
        (dict(prompt_condition_type="all-segments"), "needs condition_on_prev_tokens=true"),
    ],
)
def test_what_there_is_not_is_refused(said, message):
    with pytest.raises(UserError, match=message):
        Speech.of(Settings.of({**SAID, **said}))


def test_rules_of_times_that_cannot_be_are_refused(whisper):  # noqa: F811
    module, variables = whisper
    given = dict(source=spectrogram("short", 60)[:1], tokens=2)
    for rules, message in (
        (Timestamps(442, 400), "timestamps.first=442 is no token"),
        (Timestamps(400, 400), "timestamps.end=400 must come before timestamps.first=400"),
        (Timestamps(411, 400, -1), "timestamps.latest_start=-1 must be at least 0"),
    ):
        with pytest.raises(UserError, match=message):
            generate.greedy(module, variables, [[401]], timestamps=rules, **given)
    settings = dataclasses.replace(Settings.of(SAID), eos_token_id=3)
    with pytest.raises(UserError, match="language='de' is of speech, which"):
        dataclasses.replace(settings, others={"language": "de"}).how(1)


# Subtitles

LINES = [Line(0, 1.5, " One & <two>"), Line(1.5, 2, "  "), Line(59.9996, 3661.25, "a\n\nb --> c")]


def test_subtitles_are_what_players_read():
    assert subtitles.srt(LINES) == (
        "1\n00:00:00,000 --> 00:00:01,500\nOne & <two>\n\n"
        "2\n00:01:00,000 --> 01:01:01,250\na b -> c\n\n"
    )
    assert subtitles.vtt(LINES) == (
        "WEBVTT\n\n00:00:00.000 --> 00:00:01.500\nOne &amp; &lt;two&gt;\n\n"
        "00:01:00.000 --> 01:01:01.250\na b -&gt; c\n\n"
    )


# The command


def tokenizer():
    """A tokenizer.json of words w0 … w399, and the special ones."""
    from tokenizers import Tokenizer, models, pre_tokenizers

    made = Tokenizer(models.WordLevel({f"w{i}": i for i in range(442)}, "w0"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    return made.to_str()


def sound(path, seconds):
    """A WAV of noise that swells."""
    noise = np.random.default_rng(0).normal(size=round(16000 * seconds))
    samples = 9000 * noise * np.sin(np.arange(len(noise)) / 3000)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16000)
        file.writeframes(np.clip(samples, -32768, 32767).astype("<i2").tobytes())


def test_a_folder_of_recordings_is_transcribed(tmp_path, capsys):
    """One launch: what is read, what is not, what is written."""
    pytest.importorskip("tokenizers")
    folder = write(tmp_path / "model")
    said = golden()[0]["recordings"]["suppressed_0"]["settings"]
    (folder / "generation_config.json").write_text(json.dumps(said))
    (folder / "tokenizer.json").write_text(tokenizer())
    talks = tmp_path / "talks"
    (talks / "more").mkdir(parents=True)
    sound(talks / "a.wav", 0.7)
    sound(talks / "more" / "a.wav", 0.3)
    (talks / "b.wav").write_bytes(b"")
    arguments = [
        "--mode=predict", f"--input={talks}", f"--config.pretrained.source={folder}",
        f"--workdir={tmp_path / 'out'}",
        "--config.pretrained.generation=language=de,temperature=0,no_speech_threshold=none",
    ]  # fmt: skip
    assert launch.main(arguments) == 2
    shown = capsys.readouterr()
    assert "1 of 3 sounds could not be read" in shown.err
    assert "b.wav" in shown.err
    lines = (tmp_path / "out" / "predictions.jsonl").read_text().splitlines()
    first, second = map(json.loads, lines)
    assert first["file"].endswith("talks/a.wav")
    assert second["file"].endswith("more/a.wav")
    assert first["language"] == "de"
    assert first["text"] == "".join(s["text"] for s in first["segments"]).strip()
    assert first["segments"][0]["temperature"] == 0
    assert all(word in first["text"].split() for word in first["segments"][0]["text"].split())
    shown_times = (tmp_path / "out" / "a.srt").read_text().count("-->")
    assert shown_times == len([s for s in first["segments"] if s["text"].strip()])
    assert (tmp_path / "out" / "a-2.vtt").read_text().startswith("WEBVTT\n\n00:00:00.")


def test_what_a_transcription_cannot_use_is_refused(tmp_path):
    from jaxdl import config as settings
    from jaxdl.inference import recordings

    folder = write(tmp_path / "model")
    config = settings.default()
    config.pretrained.source = str(folder)
    assert recordings.is_whisper(config)

    def refused(message, entry="", **group):
        changed = config.copy_and_resolve_references()
        changed.pretrained.update(group, generation=(entry,) if entry else ())
        with pytest.raises(UserError, match=message):
            recordings.of_checkpoint(changed)

    refused("config.pretrained.model is not used", model="whisper")
    refused("no setting is called 'langauge': .*language", "langauge=de")
    refused("return_timestamps=false: windows begin", "return_timestamps=false")
    refused("temperature=-1 must be a number from 0 on", "temperature=-1")
    refused("logprob_threshold='low' must be a number, or none", "logprob_threshold=low")
    refused("do_sample is not used", "do_sample=true")
    refused("need decoder_start_token_id|no_timestamps_token_id")
    (folder / "generation_config.json").write_text(json.dumps(SAID))
    refused(r"has no tokenizer\.json, by which tokens become text: add it")
