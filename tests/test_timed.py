"""What is said when: tables of segments, subtitles, and the tokens of times."""

import json

import numpy as np
import pytest
from etils import epath

from jaxdl.data import subtitles, timed
from jaxdl.data.subtitles import Line
from jaxdl.errors import UserError

# As they come out of each kind of file: (start, end, text).
SAID = [(0.0, 1.5, "One & <two>"), (1.5, 3.25, "three"), (3661.004, 3662.0, "four five")]


def told(segments):
    return [(one.start, one.end, one.text) for one in segments]


def test_tables_and_subtitles_tell_the_same(tmp_path):
    listed = [dict(start=a, end=b, text=f" {text}") for a, b, text in SAID]
    empty = dict(start=1.5, end=1.5, text=" ")
    rows = {
        "list.jsonl": json.dumps(dict(file="a.wav", text="…", segments=[*listed, empty])),
        "rows.jsonl": "\n".join(json.dumps(dict(row, file="a.wav")) for row in listed),
        "rows.csv": "file,start,end,text\n"
        + "\n".join(f"a.wav,{a},{b},{text}" for a, b, text in SAID),
        "rows.tsv": "file\tend\tstart\ttext\n"
        + "\n".join(f"a.wav\t{b}\t{a}\t{text}" for a, b, text in SAID),
    }
    for name, content in rows.items():
        (tmp_path / name).write_text(content)
        found = timed.of_table(epath.Path(tmp_path / name), "file", "text")
        assert {k: told(read.said()) for k, read in found.items()} == {tmp_path / "a.wav": SAID}
    for kind, write in ((".srt", subtitles.srt), (".vtt", subtitles.vtt)):
        file = epath.Path(tmp_path / f"a{kind}")
        file.write_text(write([Line(*one) for one in [*SAID[:2], (2, 2.5, " "), SAID[2]]]))
        assert told(timed.of_subtitles(file)) == SAID


def test_subtitles_of_other_programs_are_read(tmp_path):
    srt, vtt = epath.Path(tmp_path / "a.srt"), epath.Path(tmp_path / "a.VTT")
    srt.write_text(
        "\ufeff1\r\n00:00:01,5 --> 00:00:02,250  X1:40 X2:600\r\n<i>One</i>\r\n{\\an8}two 1 < 2\r\n"
        "\r\n\r\n2\r\n0:00:02.250 --> 00:00:03,000\r\n\r\n"
    )
    assert subtitles.read(srt) == [(2, Line(1.5, 2.25, "One two 1 < 2")), (8, Line(2.25, 3, ""))]
    vtt.write_text(
        "WEBVTT - a name\n\nSTYLE\n::cue { color: red }\n\nNOTE\nnot said\n\n"
        "first\n00:01.000 --> 00:02.500 align:start\n<v Anna><b>Yes</b> &amp;\n<00:01.500>no\n\n"
        "01:00:00.000 --> 01:00:01.000\n1 &lt; 2"
    )
    assert subtitles.read(vtt) == [(10, Line(1, 2.5, "Yes & no")), (14, Line(3600, 3601, "1 < 2"))]


@pytest.mark.parametrize(
    "content, message",
    [
        ("1\n00:00:01 --> 00:00:02,000\na\n", "a.srt, line 2: '00:00:01' is no time, such as"),
        ("1\n00:00:01,000 -> 00:00:02,000\na\n", "a.srt, line 1: '1' has no times, such as"),
        ("1\n00:00:01,000 -->\na\n", "a.srt, line 2: '' is no time"),
        ("", "a.srt: nothing is said in it"),
    ],
)
def test_broken_subtitles_are_one_line(content, message, tmp_path):
    file = epath.Path(tmp_path / "a.srt")
    file.write_text(content)
    with pytest.raises(UserError, match=message) as caught:
        timed.of_subtitles(file)
    assert "\n" not in str(caught.value)


TABLES = {
    "file,start,end,text\na.wav,1,0.5,b": r"t.csv, line 2: from 1 to 0.5 s: the end must be 0.02 s",
    "file,start,end,text\na.wav,1,1.005,b": r"line 2: from 1 to 1.005 s: the end must be 0.02 s",
    "file,start,end,text\na.wav,-1,2,b": r"line 2: from -1 to 2 s: times are counted from 0",
    "file,start,end,text\na.wav,0,2,b\na.wav,1,3,c": "line 3: from 1 to 3 s begins before the .* 2",
    "file,start,end,text\na.wav,zero,2,b": "line 2: 'start' must be a number of seconds",
    "file,start,end,text\na.wav,0,nan,b": "line 2: 'end' must be a number of seconds",
    "file,start,end,text\na.wav,0,1, ": "a.wav: nothing is said in it",
    "file,start,text\na.wav,0,b": "t.csv, line 2 tells no times: it needs a list 'segments', or",
    "file,segments\na.wav,b": "line 2: 'segments' must be a list of objects, such as",
    '{"file": "a.wav", "segments": [{"start": 0, "end": 1}]}': "line 1: segment 1 must be such as",
    '{"file": "a.wav", "segments": [{"start": 0, "end": true, "text": "b"}]}': "1: 'end' must be a",
    '{"file": "a.wav", "segments": []}': "a.wav: nothing is said in it",
    '{"file": "a.wav", "segments": [{"start": 0, "end": 1, "text": "b"}]}\n'
    '{"file": "a.wav", "segments": []}': "line 2: the recording of .*line 1 has segments twice",
}


@pytest.mark.parametrize("content", TABLES)
def test_segments_that_cannot_be_are_one_line(content, tmp_path):
    table = epath.Path(tmp_path / ("t.jsonl" if content.startswith("{") else "t.csv"))
    table.write_text(content)
    with pytest.raises(UserError, match=TABLES[content]) as caught:
        [read.said() for read in timed.of_table(table, "file", "text").values()]
    assert "\n" not in str(caught.value)


def test_segments_outside_of_what_is_heard_are_one_line():
    at = lambda start, end: [timed.Segment(start, end, "a", "t.csv, line 2")]
    timed.check_within(at(0.5, 30.009), length=1.0, seconds=30.0)
    with pytest.raises(UserError, match=r"line 2: from 1 to 2 s is behind the end .*, at 1$"):
        timed.check_within(at(1.0, 2.0), length=1.0, seconds=30.0)
    with pytest.raises(UserError, match=r"line 2: from 0.5 to 30.02 s is outside of the 30 s that"):
        timed.check_within(at(0.5, 30.02), length=1.0, seconds=30.0)


def test_texts_stand_between_the_nearest_times():
    said = [timed.Segment(0.0, 0.0299, "ab", ""), timed.Segment(0.03, 29.9999, "c", "")]
    encode = lambda text: np.frombuffer(text.encode(), np.uint8)
    found = timed.encoded(said, encode, 1000)
    np.testing.assert_array_equal(found, [1000, 97, 98, 1001, 1002, 99, 2500])
    assert [timed.steps(0.02 * i) for i in range(1501)] == [*range(1501)]
