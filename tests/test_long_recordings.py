"""Recordings that are longer than what is heard at a time are cut between their segments."""

import json

import numpy as np
import pytest
from test_sounds import NOISE, loaded, saved
from test_timed_whisper import FIRST, WORDS, times

from jaxdl import data
from jaxdl.data import audio, sound_files, timed_windows
from jaxdl.data.timed import Segment, steps
from jaxdl.errors import UserError
from jaxdl.generate import Timestamps
from jaxdl.inference import segments

LONG = np.tile(NOISE[:, 0], 10)  # a second of 8000 samples, and a little


@pytest.mark.parametrize("rate", [8000, 16000, 11025, 6000])
def test_a_piece_is_what_the_whole_has_there(rate, tmp_path):
    file = saved(tmp_path / "a.wav", LONG)
    whole = audio.read(file, rate)
    for start, seconds in ((0.0, 0.2), (0.02, 0.1), (0.36, 0.3), (0.9, 1.0)):
        begin = round(start * rate)
        wanted = whole[begin : begin + round(seconds * rate)]
        np.testing.assert_array_equal(audio.read(file, rate, seconds, start), wanted)
    np.testing.assert_array_equal(audio.read(file, rate, None, 0.5), whole[round(0.5 * rate) :])


def test_a_piece_of_other_formats_is_what_the_whole_has_there(tmp_path):
    soundfile = pytest.importorskip("soundfile")
    for name in ("a.flac", "a.ogg"):
        soundfile.write(tmp_path / name, LONG, 8000)
        whole = audio.read(tmp_path / name, 16000)
        found = audio.read(tmp_path / name, 16000, 0.2, 0.4)
        np.testing.assert_allclose(found, whole[6400:9600], atol=1e-6)


def cut(seconds, *spans):
    said = [Segment(*span, f"word {i}", "") for i, span in enumerate(spans)]
    made, too_long = timed_windows.cut(said, seconds)
    told = lambda w: [(round(s.start, 6), round(s.end, 6), s.text[5:]) for s in w.segments]
    return [(round(w.start, 6), told(w), w.following) for w in made], too_long


def test_windows_begin_with_what_the_last_one_heard_the_beginning_of():
    found, too_long = cut(30, (0, 10), (12, 20), (25, 35), (36, 40), (57, 64))
    assert found == [
        (0, [(0, 10, "0"), (12, 20, "1")], 25),
        (25, [(0, 10, "2"), (11, 15, "3")], None),  # which hears up to 55
        (55, [(2, 9, "4")], None),
    ]
    assert too_long == 0


def test_silence_is_in_no_window_of_its_own():
    # A window that only heard a beginning would tell its listener to go on behind it.
    assert cut(30, (10, 35), (100, 101))[0] == [
        (10, [(0, 25, "0")], None),
        (100, [(0, 1, "1")], None),
    ]


def test_a_segment_longer_than_a_window_is_left_out():
    found, too_long = cut(30, (1, 5), (6, 50), (51, 60), (60, 60.5))
    assert found == [(0, [(1, 5, "0")], 6), (50, [(1, 10, "2"), (10, 10.5, "3")], None)]
    assert too_long == 1


def test_all_segments_are_in_one_window_each_that_tells_what_was_said():
    rng = np.random.default_rng(0)
    for _ in range(20):
        ends = np.cumsum(rng.choice([0.02, 0.5, 3.0, 9.0], 40)) + 1e-9
        spans = [(a, b) for a, b in zip(ends[:-1:2], ends[1::2], strict=True) if b - a <= 9]
        said = [Segment(a, b, "x", "") for a, b in spans]
        made, too_long = timed_windows.cut(said, 10.0)
        assert too_long == 0
        heard, wanted = [], []
        for window in made:
            # As the tokens of what is learned are read where a recording is transcribed.
            tokens = [
                t
                for s in window.segments
                for t in (FIRST + steps(s.start), 0, FIRST + steps(s.end))
            ]
            if window.following is not None:
                tokens.append(FIRST + steps(window.following))
            begin = steps(window.start) * segments.STRIDE
            there, _ = segments.cut(tokens, Rules(), begin, 1000)
            heard += [(s.start, s.end) for s in there]
            own = [(s.start + window.start, s.end + window.start) for s in window.segments]
            if len(own) == 1 and window.following is None:
                # One that is alone is taken to begin with its window, as transformers has it.
                own = [(window.start, own[0][1])]
            wanted += own
        np.testing.assert_allclose(heard, wanted, atol=1e-6)
        told = [s.start + w.start for w in made for s in w.segments]
        np.testing.assert_allclose(told, [a for a, _ in spans], atol=0.0101)


class Rules:
    timestamps = Timestamps(FIRST, WORDS, None)


def made(root, **settings):
    """A recording of 1 s, whose windows are of .3 s, and short ones."""
    (root / "tokenizer.json").write_text(json.dumps(times()["tokenizer"]))
    saved(root / "train" / "long.wav", LONG)
    texts = [text for row in times()["said"] for *_, text in row]
    spans = [(0.0, 0.1), (0.12, 0.28), (0.28, 0.4), (0.42, 0.56), (0.6, 0.94), (0.94, 1.0)]
    rows = [f'long.wav,{a},{b},"{texts[i % len(texts)]}"' for i, (a, b) in enumerate(spans)]
    for part in ("train", "test"):
        for i in range(2):
            saved(root / part / f"{i}.wav", NOISE[100 * i :, 0])
    short = [f"{i}.wav,0,.08,{texts[0]}" for i in range(2)]
    (root / "train" / "transcripts.csv").write_text(
        "\n".join(["file,start,end,text", *rows, *short])
    )
    (root / "test" / "transcripts.csv").write_text("\n".join(["file,start,end,text", *short]))
    how = dict(rate=8000, seconds=0.3, times=True, tokenizer=str(root / "tokenizer.json"))
    return loaded("recordings", path=str(root), **how | settings)


def test_long_recordings_are_learned_in_pieces(tmp_path, monkeypatch):
    pytest.importorskip("tokenizers")
    found = made(tmp_path)
    assert found.notes == (
        "1 of 3 recordings of train are longer than data.seconds=0.3, and are cut between their "
        "segments into 3",
        "1 segments of train are longer than data.seconds=0.3 themselves, and are left out",
    )
    batch = found.train.take(np.arange(5))
    whole = audio.read(tmp_path / "train" / "long.wav", 8000)
    starts, lengths = [0, 2240, 7520], [2400, 2400, len(whole) - 7520]
    for row, start, length in zip(batch["samples"], starts, lengths, strict=False):
        np.testing.assert_array_equal(row[:length], whole[start : start + length])
        assert not row[length:].any()
    assert batch["length"].tolist() == [*lengths, 801, 701]
    at = [[t - FIRST for t in row if t >= FIRST] for row in batch["target"].tolist()]
    # The first ends where the next segment begins; behind the second is one that is left out.
    assert at[:3] == [[0, 5, 6, 14, 14], [0, 6, 7, 14], [0, 3]]
    monkeypatch.setattr(sound_files, "IN_MEMORY", 0)
    later = made(tmp_path)
    np.testing.assert_array_equal(later.train.lengths, batch["length"])
    one, other = (data.training_batches(x.train, 4, seed=3)(2) for x in (found, later))
    for name, array in one.items():
        np.testing.assert_array_equal(other[name], array)
    names = [name for name in later.train.names if "long" in name]
    assert names == ["train/long.wav", "train/long.wav@0.28", "train/long.wav@0.94"]


def test_times_behind_the_end_are_named(tmp_path):
    pytest.importorskip("tokenizers")
    made(tmp_path)
    table = tmp_path / "train" / "transcripts.csv"
    table.write_text(table.read_text() + "\nlong.wav,1.2,1.3,two\n")
    how = dict(rate=8000, seconds=0.3, times=True, tokenizer=str(tmp_path / "tokenizer.json"))
    found = loaded("recordings", path=str(tmp_path), **how)
    assert len(found.train) == 2
    assert any("from 1.2 to 1.3 s is behind the end of the recording" in x for x in found.notes)
    with pytest.raises(UserError, match=r"from 1\.2 to 1\.3 s is behind the end"):
        loaded("recordings", path=str(tmp_path), **how, broken=0.0)
