"""Sounds and texts of a training set that cannot be used: each is named, and the others go on."""

import numpy as np
import pytest
from test_sounds import NOISE, folder, loaded, riff, saved, spoken

from jaxdl import data
from jaxdl.data import left_out, sound_files
from jaxdl.errors import UserError, listed

HOW = dict(rate=8000, seconds=0.2)


def not_a_number(file):
    """A sound that looks whole until its samples are read."""
    samples = np.tile(NOISE[:300, :1], (4, 1)).astype("<f4")
    samples[7] = np.nan
    file.write_bytes(riff(samples, 3, 32))
    return file


def broken(root):
    """A folder of twelve sounds, four of them broken, each in another way."""
    folder(root)
    (root / "low" / "0.wav").write_bytes(b"")
    (root / "low" / "3.wav").write_bytes(b"<html>not found</html>")
    (root / "high" / "1.wav").write_bytes(riff(np.zeros((9, 1), "<i2"), 1, 16, rate=0))
    not_a_number(root / "high" / "2.wav")
    return root


SAID = ("0.wav is empty", "3.wav is not the sound, but a web page", "1.wav has a rate of 0",
        "2.wav has samples that are no numbers, the first at 7")  # fmt: skip


def test_each_is_named_and_the_others_are_learned(tmp_path):
    found = loaded("sounds", path=str(broken(tmp_path)), **HOW, test_fraction=0.25)
    assert len(found.train) + len(found.test) == 8
    assert np.isfinite(found.train.take(np.arange(len(found.train)))["samples"]).all()
    first, *lines = [note for note in found.notes if "heard up to" not in note]
    assert first == "4 sounds cannot be used, and are left out"
    assert len(lines) == 4
    for said in SAID:
        assert any(line.startswith("left out: ") and said in line for line in lines)


def test_none_may_be_broken_where_none_shall(tmp_path):
    with pytest.raises(UserError, match=r"0\.wav is empty|1\.wav has a rate") as error:
        loaded("sounds", path=str(broken(tmp_path)), **HOW, broken=0.0)
    assert "\n" not in str(error.value)


def test_a_set_of_which_most_is_broken_is_refused(tmp_path):
    root = broken(tmp_path)
    with pytest.raises(UserError, match=r"4 of 12 sounds cannot be used, more than data\.broken="):
        loaded("sounds", path=str(root), **HOW, broken=0.3)
    for i in range(6):
        (root / "high" / f"{i}.wav").write_bytes(b"")
    with pytest.raises(UserError, match=r"8 of 12 sounds .* data\.broken=0\.5 of them; the"):
        loaded("sounds", path=str(root), **HOW)
    with pytest.raises(UserError, match="no sound of class 'high' can be used; the first that"):
        loaded("sounds", path=str(root), **HOW, broken=0.9)
    for i in range(6):
        (root / "low" / f"{i}.wav").write_bytes(b"")
    with pytest.raises(UserError, match="12 of 12 sounds cannot be used, which leaves none"):
        loaded("sounds", path=str(root), **HOW, broken=0.9)
    with pytest.raises(UserError, match=r"data\.broken=1 must be at least 0 and less than 1"):
        loaded("sounds", path=str(root), broken=1.0)


def test_so_many_are_named_and_the_rest_is_counted():
    left = left_out.LeftOut(0.5, "sounds")
    assert left.mapped(lambda i: 1 / left_out.MOST_LINES * i, range(3)) == [0, 0.1, 0.2]
    for i in range(13):
        left.add(f"{i}.wav is empty")
    first, *named, last = left.notes()
    assert first.startswith("13 sounds")
    assert named == [f"left out: {i}.wav is empty" for i in range(10)]
    assert last == "left out: 3 more, which are not named"
    left.check(13)
    with pytest.raises(UserError, match="13 of 25"):
        left.check(12)


def parts(root):
    """Twelve sounds to learn from, and four to be measured on."""
    broken(root / "train")
    for name in ("low", "high"):
        for i in range(2):
            saved(root / "test" / name / f"{i}.wav", NOISE[:300, 0])
    return root


def test_another_sound_stands_in_for_one_that_turns_out_to_be_broken(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sound_files, "IN_MEMORY", 0)
    root = parts(tmp_path)
    not_a_number(root / "test" / "low" / "1.wav")
    found = loaded("sounds", path=str(root), **HOW)
    # What the first bytes tell is left out at once, and all of what is measured on.
    assert (len(found.train), len(found.test)) == (9, 3)
    assert sum("left out: " in note for note in found.notes) == 4
    capsys.readouterr()
    (place,) = [i for i, (file,) in enumerate(found.train.examples) if file.name == "2.wav"
                and file.parent.name == "high"]  # fmt: skip
    both = found.train.take(np.array([place, place + 1, place]))
    for array in both.values():
        np.testing.assert_array_equal(array[0], array[1])
        np.testing.assert_array_equal(array[0], array[2])
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 1
    assert said[0].endswith("the first at 7: another sound stands in for it")
    # Whichever of them is read first, by whichever process, a step has one batch.
    again = loaded("sounds", path=str(root), **HOW)
    one, other = (data.training_batches(x.train, 4, seed=0)(5) for x in (found, again))
    for name, array in one.items():
        np.testing.assert_array_equal(other[name], array)
    strict = found.train.subset(np.arange(9))
    strict.most_broken = 0.0
    with pytest.raises(UserError, match=r"2\.wav has samples that are no numbers"):
        strict.take(np.arange(9))
    # What a disk does not give is no question of the file.
    found.train.examples[0][0].unlink()
    with pytest.raises(UserError, match="cannot be read: No such file"):
        found.train.take(np.arange(1))


def test_recordings_that_cannot_be_used_are_named(tmp_path):
    root = spoken(tmp_path, 9)
    not_a_number(root / "clips" / "3.wav")
    (root / "clips" / "4.wav").write_bytes(b"")
    rows = [f"clips/{i}.wav,{'' if i == 5 else 'word'}" for i in (*range(9), 11)]
    (root / "transcripts.csv").write_text("\n".join(["file,text", *rows]))
    found = loaded("recordings", path=str(root), **HOW)
    assert len(found.train) + len(found.test) == 6
    assert found.notes[0] == "4 recordings cannot be used, and are left out"
    for said in (
        "line 7: 'text' is empty",
        "11.wav is no file",
        "4.wav is empty",
        "the first at 7",
    ):
        assert any(said in note for note in found.notes[1:]), said
    with pytest.raises(UserError, match="'text' is empty"):
        loaded("recordings", path=str(root), **HOW, broken=0.0)


def test_a_text_without_a_sound_is_named(tmp_path):
    spoken(tmp_path)
    for i in (*range(5), 9):
        (tmp_path / "clips" / f"{i}.txt").write_text("" if i == 2 else "a")
    found = loaded("recordings", path=str(tmp_path), **HOW)
    assert len(found.train) + len(found.test) == 4
    _, *lines = found.notes
    assert ["9.txt has no sound beside it" in line for line in lines] == [True, False]
    assert "2.txt is empty: it is to have what is said in the sound beside it" in lines[1]


def test_a_message_of_many_files_names_the_first_of_them():
    assert listed(["a is empty", "b is none"]) == "a is empty; b is none"
    assert listed([f"{i} is empty" for i in range(13)], 2) == "0 is empty; 1 is empty; and 11 more"
