"""Tables of texts: what is read of good files, and what is said of bad ones."""

import csv
import json

import pytest

from jaxdl.data import rows
from jaxdl.errors import UserError

# Quotation marks, a comma, letters at which `str.splitlines` cuts, lines within a text.
TEXTS = ['He said "no", twice', "a\u2028b\x85c\x1cd", "two\nlines", "naïve 東京 🦊", "", " spaced "]


def written(path, texts, labels=None):
    """A table of texts and labels, by a library that others write theirs with."""
    labels = labels or [f"c{i}" for i in range(len(texts))]
    if path.suffix == ".jsonl":
        lines = [json.dumps(dict(label=n, text=t)) for n, t in zip(labels, texts, strict=True)]
        path.write_text("\n".join(lines) + "\n")
        return path
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerows([("label", "text"), *zip(labels, texts, strict=True)])
    return path


@pytest.mark.parametrize("kind", [".jsonl", ".csv"])
def test_texts_come_back_as_they_were(tmp_path, kind):
    found = rows.read(written(tmp_path / f"table{kind}", TEXTS), ("text", "label"))
    assert [row.text("text") for row in found] == TEXTS
    assert [row.label("label") for row in found] == [f"c{i}" for i in range(len(TEXTS))]
    first = 1 if kind == ".jsonl" else 2
    assert [row.line for row in found][:3] == [first, first + 1, first + 2]
    # A text of two lines takes two of a .csv.
    assert found[3].line == first + 3 + (kind == ".csv")


def test_in_tsv_quotation_marks_are_letters(tmp_path):
    file = tmp_path / "table.tsv"
    file.write_text('label\ttext\nx\t"half, "\n')
    assert rows.read(file, ("text",))[0].text("text") == '"half, "'


def test_csv_of_pandas_and_of_windows(tmp_path):
    file = tmp_path / "table.CSV"
    file.write_bytes(b'\xef\xbb\xbf,text, label\r\n0,"a ""b""\r\nc",1\r\n\r\n1,d,2\r\n')
    found = rows.read(file, ("text", "label"))
    assert [(r.line, r.text("text"), r.label("label")) for r in found] == [
        (2, 'a "b"\r\nc', "1"),
        (5, "d", "2"),
    ]


def test_long_texts_and_the_limit_that_others_have_set(tmp_path):
    limit = csv.field_size_limit()
    found = rows.read(written(tmp_path / "table.csv", ["x" * 200_000]), ("text",))
    assert len(found[0].text("text")) == 200_000
    assert csv.field_size_limit() == limit


def test_only_what_was_asked_for_is_kept(tmp_path):
    file = tmp_path / "table.jsonl"
    file.write_text('{"text": "a", "tags": ["B", "O"], "id": 1}\n\n{"text": "b"}')
    first, second = rows.read(file, ("text",), ("tags",))
    assert first.cells == {"text": "a", "tags": ["B", "O"]}
    assert (second.line, second.cells) == (3, {"text": "b"})


def test_semicolons_part_cells_where_no_comma_does(tmp_path):
    file = tmp_path / "table.csv"
    file.write_text('text;label\n"a; b, c";d\n')
    assert rows.read(file, ("text", "label"))[0].cells == {"text": "a; b, c", "label": "d"}
    file.write_text("text,la;bel\na;b,c\n")
    assert rows.read(file, ("text",))[0].cells == {"text": "a;b"}


def test_labels_are_texts_or_whole_numbers(tmp_path):
    file = tmp_path / "table.jsonl"
    file.write_text('{"label": 3}\n{"label": " three "}')
    assert [row.label("label") for row in rows.read(file, ("label",))] == ["3", "three"]


BROKEN = {
    "a.txt": ("text\nx", "is no table: name a file (.jsonl, .ndjson, .csv, .tsv)"),
    "a.jsonl": ("\n \n", "a.jsonl has no rows"),
    "a.csv": ("text,label\n", "a.csv has no rows"),
    "b.csv": ("txt,label\nx,y\n", "line 2: no column 'text': did you mean 'txt'?"),
    "i.csv": ("x,y\nz,z\n", "one of: x, y; the first row has the columns' names, and data.text"),
    "c.csv": ("text\nx\ny,z\n", "2 cells, but there are 1 columns: one with ',' in it stands in"),
    "j.csv": ("text;n\nx;y;z\n", "3 cells, but there are 2 columns: one with ';' in it stands in"),
    "d.csv": ("text,text\nx,y\n", "line 1: column 'text' is there twice"),
    "e.csv": ('text\nx\n"y\n', "line 3 is broken: unexpected end of data; a cell in quotation"),
    "b.jsonl": ('{"text": "a"}\n{"text": \n', "line 2 is not JSON: Expecting value"),
    "c.jsonl": ('["a"]', "line 1 is no JSON object"),
    "d.jsonl": ('{"text": "a"}\n{}', "line 2: no column 'text': there is none"),
    "f.jsonl": ('{"text": null}', "line 1: 'text' must be a text, not null"),
    "g.jsonl": ('{"text": "\\ud800"}', "line 1: 'text' is no Unicode text"),
    "h.jsonl": ('{"text": {"long": "' + "x" * 99 + '"}}', "must be a text, not"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_broken_is_told_in_one_line(tmp_path, name):
    content, message = BROKEN[name]
    (tmp_path / name).write_text(content)
    with pytest.raises(UserError) as caught:
        rows.read(tmp_path / name, ("text",), settings={"text": "data.text"})[0].text("text")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 300 + len(str(tmp_path))


@pytest.mark.parametrize("value", ["true", "1.5", "[]", '" "', "null"])
def test_what_is_no_label(tmp_path, value):
    (tmp_path / "a.jsonl").write_text(f'{{"label": {value}}}')
    with pytest.raises(UserError, match=r"line 1: 'label' (must be a text or a whole|is empty)"):
        rows.read(tmp_path / "a.jsonl", ("label",))[0].label("label")


def test_bytes_that_are_no_text(tmp_path):
    (tmp_path / "a.csv").write_bytes(b"text\n\xe4\n")
    with pytest.raises(UserError, match=r"a.csv is not UTF-8 text: byte 0xe4 at offset 5"):
        rows.read(tmp_path / "a.csv", ("text",))


# Parts


def test_a_table_is_all_there_is_and_a_folder_may_have_three(tmp_path):
    for name in ("train.csv", "Dev.jsonl", "test.tsv", "other.csv", ".train.csv"):
        (tmp_path / name).write_text("text\na\n")
    found = rows.parts(str(tmp_path))
    assert {part: file.name for part, file in found.items()} == {
        "train": "train.csv",
        "test": "test.tsv",
        "validation": "Dev.jsonl",
    }
    assert list(rows.parts(str(tmp_path / "other.csv"))) == ["train"]


@pytest.mark.parametrize(
    "there, message",
    [
        (
            (),
            "has no file called train; a table of texts (.jsonl, .ndjson, .csv, .tsv) there: none",
        ),
        (("test.csv",), "there: test.csv"),
        (("train.csv", "train.jsonl"), "more than one file of train: train.csv and train.jsonl"),
        (None, "is no file or folder: name a table of texts"),
    ],
)
def test_folders_without_such_tables(tmp_path, there, message):
    for name in there or ():
        (tmp_path / name).touch()
    with pytest.raises(UserError) as caught:
        rows.parts(str(tmp_path) if there is not None else "")
    assert message in str(caught.value)
