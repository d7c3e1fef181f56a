"""Sounds as data: files of every kind, folders of them, and dial tones."""

import struct
import sys
import wave

import jax
import numpy as np
import pytest
from etils import epath

from jaxdl import config, data, keys
from jaxdl.data import audio, dial_tones, sound_files
from jaxdl.errors import UserError

RNG = np.random.default_rng(0)
NOISE = np.clip(RNG.normal(size=(801, 2)) * 0.3, -1, 1)


def riff(numbers, code, bits, rate=8000, channels=None, extensible=False, extra=b""):
    """A WAV of (frames, channels), which are numbers as they are written."""
    channels = numbers.shape[1] if channels is None else channels
    block = numbers.shape[1] * bits // 8 if channels else 0
    head = struct.pack(
        "<HHIIHH", 0xFFFE if extensible else code, channels, rate, rate * block % 2**32, block, bits
    )
    if extensible:
        head += struct.pack("<HHIH", 22, bits, 0, code) + bytes(14)
    content = numbers.tobytes()
    if bits == 24:
        content = numbers.astype("<i4").view(np.uint8).reshape(-1, 4)[:, :3].tobytes()
    chunks = b"fmt " + struct.pack("<I", len(head)) + head + extra
    chunks += b"data" + struct.pack("<I", len(content)) + content
    return b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WAVE" + chunks


def saved(path, samples, rate=8000):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(riff(np.rint(samples.reshape(len(samples), -1) * 32767).astype("<i2"), 1, 16,
                          rate))  # fmt: skip
    return path


def loaded(name, **settings):
    given = config.default().data
    with given.unlocked():
        given.update(name=name, **settings)
    return data.load(given)


# Files

KINDS = {
    "8 bits": (np.rint(NOISE * 127 + 128).astype("u1"), 1, 8, lambda x: (x - 128.0) / 128),
    "16 bits": (np.rint(NOISE * 32767).astype("<i2"), 1, 16, lambda x: x / 2.0**15),
    "24 bits": (np.rint(NOISE * (2**23 - 1)).astype("<i4"), 1, 24, lambda x: x / 2.0**23),
    "32 bits": (np.rint(NOISE * (2**31 - 1)).astype("<i4"), 1, 32, lambda x: x / 2.0**31),
    "float32": (NOISE.astype("<f4"), 3, 32, lambda x: x),
    "float64": (NOISE.astype("<f8"), 3, 64, lambda x: x),
}


@pytest.mark.parametrize("extensible", [False, True], ids=["plain", "extensible"])
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_wav_is_read_and_its_channels_averaged(kind, extensible, tmp_path):
    numbers, code, bits, value = KINDS[kind]
    odd = b"LIST" + struct.pack("<I", 3) + b"abc\0"  # a chunk of an odd length is padded
    file = tmp_path / "a.wav"
    file.write_bytes(riff(numbers, code, bits, extensible=extensible, extra=odd))
    found = audio.read(file, 8000)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, value(numbers.astype(float)).mean(axis=1), atol=1e-7)
    assert audio.duration(file) == 801 / 8000


def test_what_pythons_and_scipys_writers_write_is_read(tmp_path):
    from scipy.io import wavfile

    numbers = KINDS["16 bits"][0]
    with wave.open(str(tmp_path / "python.wav"), "wb") as out:
        out.setparams((2, 2, 8000, 0, "NONE", ""))
        out.writeframes(numbers.tobytes())
    wavfile.write(tmp_path / "scipy.wav", 8000, numbers)
    found = [audio.read(tmp_path / name, 8000) for name in ("python.wav", "scipy.wav")]
    np.testing.assert_array_equal(*found)
    _, by_scipy = wavfile.read(tmp_path / "python.wav")
    np.testing.assert_allclose(found[0], by_scipy.mean(axis=1) / 2**15, atol=1e-7)


@pytest.mark.parametrize("rate", [16000, 4000, 11025])
def test_resampling_is_scipys_and_keeps_the_length(rate, tmp_path):
    from scipy.signal import resample_poly

    file = saved(tmp_path / "a.wav", NOISE[:, 0])
    whole = audio.read(file, 8000)
    found = audio.read(file, rate)
    common = np.gcd(rate, 8000)
    np.testing.assert_array_equal(found, resample_poly(whole, rate // common, 8000 // common))
    assert len(found) == -(-801 * rate // 8000)


def test_a_tone_stays_what_it_is_and_its_beginning_is_that_of_the_whole(tmp_path):
    t = np.arange(8000) / 8000
    file = saved(tmp_path / "a.wav", 0.5 * np.sin(2 * np.pi * 440 * t))
    found = audio.read(file, 16000)
    wanted = 0.5 * np.sin(2 * np.pi * 440 * np.arange(16000) / 16000)
    np.testing.assert_allclose(found[500:-500], wanted[500:-500], atol=2e-3)
    np.testing.assert_array_equal(audio.read(file, 16000, 0.25), found[:4000])


def test_a_pipes_file_and_one_cut_off_have_what_is_there(tmp_path):
    whole = riff(KINDS["16 bits"][0], 1, 16)
    for name, content, frames in (
        ("pipe", whole[:4] + b"\xff" * 4 + whole[8:40] + b"\xff" * 4 + whole[44:], 801),
        ("ended", whole[:4] + bytes(4) + whole[8:40] + bytes(4) + whole[44:], 801),
        ("cut", whole[: 44 + 400], 100),
    ):
        (tmp_path / name).write_bytes(content)
        assert len(audio.read(tmp_path / name, 8000)) == frames


def test_what_is_no_sound_is_one_line(tmp_path):
    whole = riff(KINDS["16 bits"][0], 1, 16)
    nan = KINDS["float32"][0].copy()
    nan[7, 1] = np.nan
    huge = np.full((9, 1), 1e300)
    for content, said in {
        b"": "is empty",
        b"no sound at all" * 9: "what is not plain WAV needs the extra audio",
        riff(KINDS["8 bits"][0], 7, 8): "is a WAV of mu-law with 8 bits",
        whole[:30]: "is a broken WAV: its format is cut off",
        whole[:36]: "is a broken WAV: it ends before its samples",
        whole[:44]: "has no samples",
        whole[:12] + whole[36:]: "is a broken WAV: its samples come before their format",
        riff(KINDS["16 bits"][0], 1, 16, channels=0): "has no channels",
        riff(KINDS["16 bits"][0], 1, 16, rate=0): "has a rate of 0",
        riff(KINDS["16 bits"][0], 1, 16, rate=2**32 - 1): "from 1000 to 1000000 are read",
        riff(nan, 3, 32): "has samples that are no numbers, the first at 7",
        riff(huge, 3, 64): "has samples that are no numbers, the first at 0",
        b"version https://git-lfs.github.com/spec/v1\n": "a Git LFS pointer",
        b"<html>": "a web page",
    }.items():
        file = tmp_path / "a.wav"
        file.write_bytes(content)
        with pytest.MonkeyPatch.context() as patch:
            patch.setitem(sys.modules, "soundfile", None)
            with pytest.raises(UserError) as error:
                audio.read(file, 8000)
        assert str(error.value).startswith(str(file))
        assert said in str(error.value)
        assert "\n" not in str(error.value)
    with pytest.raises(UserError, match="cannot be read: No such file"):
        audio.read(tmp_path / "none.wav", 8000)


def test_what_is_longer_than_memory_is_one_line(tmp_path, monkeypatch):
    file = saved(tmp_path / "a.wav", np.tile(NOISE, (3, 1)))
    monkeypatch.setattr(audio, "MOST", 2000)
    with pytest.raises(UserError, match=r"a\.wav is 0\.0 hours long with 2 channels at 8000 Hz"):
        audio.read(file, 8000)
    assert len(audio.read(file, 8000, 0.01)) == 80  # its beginning is not


def test_other_formats_are_the_librarys(tmp_path):
    soundfile = pytest.importorskip("soundfile")
    tone = 0.5 * np.sin(2 * np.pi * 440 * np.arange(4000) / 8000)
    for name in ("a.flac", "a.ogg", "a.mp3"):
        soundfile.write(tmp_path / name, np.stack([tone, 0.5 * tone], axis=1), 8000)
        found = audio.read(tmp_path / name, 8000)
        by_library, _ = soundfile.read(tmp_path / name, dtype="float32")
        np.testing.assert_allclose(found, by_library.mean(axis=1), atol=1e-7)
        assert audio.duration(tmp_path / name) == len(found) / 8000
        assert np.corrcoef(found[500:3500], tone[500:3500])[0, 1] > 0.99
    file = tmp_path / "a.flac"
    np.testing.assert_allclose(audio.read(file, 8000), 0.75 * tone, atol=1e-4)
    file.write_bytes(file.read_bytes()[:300])
    with pytest.raises(UserError, match=r"a\.flac is a broken sound"):
        audio.read(file, 8000)
    # Of such a one the library says that it is no file.
    file = tmp_path / "b.mp3"
    file.write_bytes(b"\xff\xfb\x90\x00" + bytes(50))
    with pytest.raises(UserError, match=r"b\.mp3 is a broken sound, or none: .*(?<!\.)$") as error:
        audio.read(file, 8000)
    assert "does not exist" not in str(error.value)


# Folders


def folder(root):
    """Six low and six high tones of unequal lengths."""
    for i in range(6):
        t = np.arange(900 + 100 * i) / 8000
        for name, hertz in (("low", 300), ("high", 1200)):
            saved(root / name / f"{i}.wav", 0.5 * np.sin(2 * np.pi * hertz * t))
    return root


def test_class_folders_are_read_divided_and_filled_up(tmp_path):
    root = folder(tmp_path)
    (root / "low" / "notes.txt").write_text("not a sound")
    found = loaded("sounds", path=str(root), rate=16000, seconds=0.15, test_fraction=0.25)
    assert found.class_names == ("high", "low")
    assert (len(found.train), len(found.test)) == (9, 3)
    batch = found.train.take(np.arange(9))
    assert batch["samples"].shape == (9, 2400)
    assert batch["samples"].dtype == np.float32
    assert set(batch["length"]) <= {1800, 2000, 2200, 2400}
    for samples, length in zip(batch["samples"], batch["length"], strict=True):
        assert (samples[length:] == 0).all()
    assert (found.train.rate, found.train.count) == (16000, 2400)
    assert any("notes" not in note and "1 .txt" in note for note in found.notes)
    assert any("heard up to there" in note for note in found.notes)


def test_files_are_read_as_they_are_asked_for_where_they_are_many(tmp_path, monkeypatch):
    root = folder(tmp_path)
    how = dict(path=str(root), rate=8000, seconds=0.1, test_fraction=0.25)
    at_once = loaded("sounds", **how)
    monkeypatch.setattr(sound_files, "IN_MEMORY", 0)
    later = loaded("sounds", **how)
    assert isinstance(later.train, sound_files.Files)
    batches = [data.training_batches(found.train, 5, seed=1) for found in (at_once, later)]
    for step in (0, 3):
        one, other = (of(step) for of in batches)
        assert one.keys() == other.keys() == {"samples", "length", "label"}
        for name, array in one.items():
            np.testing.assert_array_equal(other[name], array)


def test_a_bad_folder_of_sounds_is_one_line(tmp_path):
    root = folder(tmp_path)
    for settings, said in {
        (("path", str(tmp_path / "none")),): "is no folder",
        (("path", str(root / "low")),): "each class needs a folder of sounds",
        (("path", str(root)), ("rate", 0)): "data.rate=0 must be from 1000",
        (("path", str(root)), ("seconds", 0.0)): "data.seconds=0 must be from 0.01",
        (("path", str(root)), ("channels", 1)): "did you mean",
    }.items():
        with pytest.raises(UserError) as error:
            loaded("sounds", **dict(settings))
        assert said in str(error.value) or said == "did you mean"
    (root / "none").mkdir()
    with pytest.raises(UserError, match=r"none holds no sounds \(\.wav"):
        loaded("sounds", path=str(root))


# Recordings with texts


def spoken(root, count=5):
    for i in range(count):
        saved(root / "clips" / f"{i}.wav", NOISE[: 200 + 50 * i, 0])
    return root


def test_a_table_and_texts_beside_sounds_are_the_same_recordings(tmp_path):
    root = spoken(tmp_path / "table")
    saved(root / "clips" / "without.wav", NOISE)
    rows = [f"clips/{i}.wav,word {i}" for i in range(5)]
    (root / "transcripts.csv").write_text("\n".join(["file,text", *rows]))
    by_table = loaded("recordings", path=str(root), rate=8000, seconds=0.06, test_fraction=0.2)
    beside = spoken(tmp_path / "beside")
    saved(beside / "clips" / "without.wav", NOISE)
    for i in range(5):
        (beside / "clips" / f"{i}.txt").write_text(f"word {i}\n")
    by_texts = loaded("recordings", path=str(beside), rate=8000, seconds=0.06, test_fraction=0.2)
    for found in (by_table, by_texts):
        # Longer than .06 s is one of the five.
        assert (len(found.train), len(found.test)) == (4, 1)
        assert "1 sounds below" in found.notes[0]
        assert found.notes[0].endswith("have no text, and are left out: without.wav")
        assert found.train.take(np.arange(1))["samples"].shape == (1, 480)
    batch = by_table.train.take(np.arange(4))
    for name, array in by_texts.train.take(np.arange(4)).items():
        np.testing.assert_array_equal(batch[name], array)
    said = [bytes(row[row < 256].astype(np.uint8)).decode() for row in batch["target"]]
    assert all(text.startswith("word ") for text in said)
    assert (batch["target"][:, 6] == 257).all()  # the end token
    # A sound and its text stay together: the lengths are those of the numbers.
    assert [int(t[-1]) for t in said] == [(n - 200) // 50 for n in batch["length"]]


def test_lengths_of_recordings_are_known_before_they_are_read(tmp_path, monkeypatch):
    monkeypatch.setattr(sound_files, "IN_MEMORY", 0)
    for i, rate in enumerate((8000, 11025, 16000, 44100)):
        saved(tmp_path / f"{i}.wav", NOISE[: 301 + i, 0], rate)
        (tmp_path / f"{i}.txt").write_text(f"{i}")
    found = loaded("recordings", path=str(tmp_path), rate=8000, seconds=0.06).train
    few = found.subset(np.arange(2))
    for part in (found, few):
        np.testing.assert_array_equal(
            part.lengths, part.take(np.arange(len(part)))["length"], strict=True
        )
    assert len(few) == 2


def test_texts_with_what_the_tokenizer_lacks_are_told(tmp_path):
    tokenizers = pytest.importorskip("tokenizers")
    made = tokenizers.Tokenizer(
        tokenizers.models.WordLevel({"<unk>": 0, "one": 1, "two": 2}, "<unk>")
    )
    made.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    made.save(str(tmp_path / "words.json"))
    how = dict(rate=8000, seconds=0.1, tokenizer=str(tmp_path / "words.json"))
    for i, text in enumerate(("one two", "one drei", "two", "vier")):
        saved(tmp_path / "own" / f"{i}.wav", NOISE[:300, 0])
        (tmp_path / "own" / f"{i}.txt").write_text(text)
    notes = loaded("recordings", path=str(tmp_path / "own"), **how).notes
    (note,) = [n for n in notes if "lacks" in n]
    assert note.startswith("2 of 4 texts have characters that the tokenizer lacks, such as ")
    assert "'drei' in that of 1.wav" in note or "'vier' in that of 3.wav" in note
    # One that has no token for what it lacks leaves it out.
    letters = tokenizers.Tokenizer(
        tokenizers.models.BPE({c: i for i, c in enumerate("enotwr")}, [])
    )
    letters.save(str(tmp_path / "letters.json"))
    own = {**how, "tokenizer": str(tmp_path / "letters.json")}
    notes = loaded("recordings", path=str(tmp_path / "own"), **own).notes
    (note,) = [n for n in notes if "lacks" in n]
    assert note.startswith("2 of 4 texts have characters that the tokenizer lacks, such as ")
    assert "'d' in that of 1.wav" in note or "'vi' in that of 3.wav" in note
    (tmp_path / "own" / "1.txt").write_text("one")
    (tmp_path / "own" / "3.txt").write_text("two")
    for settings in (how, own):
        notes = loaded("recordings", path=str(tmp_path / "own"), **settings).notes
        assert not any("lacks" in n for n in notes)


def test_parts_are_tables_or_folders(tmp_path):
    root = spoken(tmp_path)
    lines = [f'{{"path": "clips/{i}.wav", "sentence": "w{i}"}}' for i in range(5)]
    (root / "train.jsonl").write_text("\n".join(lines[:3]))
    (root / "test.jsonl").write_text("\n".join(lines[3:]))
    how = dict(rate=8000, seconds=1.0, file="path", text="sentence")
    found = loaded("recordings", path=str(root), **how)
    assert (len(found.train), len(found.test)) == (3, 2)
    for part, numbers in (("train", range(3)), ("val", range(3, 5))):
        for i in numbers:
            saved(root / "own" / part / f"{i}.wav", NOISE)
            (root / "own" / part / f"{i}.txt").write_text(f"w{i}")
    found = loaded("recordings", path=str(root / "own"), rate=8000, seconds=1.0)
    assert (len(found.train), len(found.test)) == (3, 2)


def test_bad_recordings_are_one_line(tmp_path):
    root = spoken(tmp_path)
    table = root / "transcripts.csv"
    for content, said in {
        "file,text\nclips/x.wav,b": "1 of 1 recordings cannot be used, which leaves none",
        "file,text\nclips/1.wav,": "'text' is empty",
        "file,text\nclips/0.wav,a\nclips/0.wav,b": "'clips/0.wav' has a text already, line 2",
        "sound,text\nclips/0.wav,a": "no column 'file'",
        "file,text\nclips/0.wav,a": "1 recordings cannot be split",
    }.items():
        table.write_text(content)
        with pytest.raises(UserError) as error:
            loaded("recordings", path=str(root), rate=8000)
        assert said in str(error.value)
        assert "\n" not in str(error.value)
    table.unlink()
    with pytest.raises(UserError, match="holds no recordings with texts"):
        loaded("recordings", path=str(root))
    for i in range(5):
        (root / "clips" / f"{i}.txt").write_text("a")
    with pytest.raises(UserError, match="none of 5 recordings of train is at most"):
        loaded("recordings", path=str(root), seconds=0.02)


# Dial tones


def spectrum_keys(samples, length):
    """The key that a plain Goertzel-like search hears in a recording of one."""
    t = np.arange(length) / dial_tones.RATE
    power = lambda hertz: max(
        abs(np.exp(-2j * np.pi * f * t) @ samples[:length])
        for f in hertz * np.linspace(0.985, 1.015, 7)
    )
    row = np.argmax([power(f) for f in dial_tones.ROWS])
    return dial_tones.KEYS[4 * row + np.argmax([power(f) for f in dial_tones.COLUMNS])]


def test_a_key_is_heard_by_its_published_frequencies():
    # The rows and columns of a telephone, by Q.23.
    assert dial_tones.KEYS == "123A456B789C*0#D"
    found = loaded("dial_tones", most=1, test_snr=(20.0,), test_examples=48).test.arrays
    heard = [spectrum_keys(*one) for one in zip(found["samples"], found["length"], strict=True)]
    told = [dial_tones.KEYS[label] for label in found["label"]]
    assert heard == told
    assert [bytes(t[:1].astype(np.uint8)).decode() for t in found["target"]] == told


def test_the_test_part_is_fixed_and_the_same_at_each_ratio():
    how = dict(most=3, least=2, test_snr=(40.0, 0.0), test_examples=8)
    one, same = (loaded("dial_tones", **how).test for _ in range(2))
    assert one.fingerprint() == same.fingerprint()
    arrays = one.arrays
    np.testing.assert_array_equal(arrays["target"][:8], arrays["target"][8:])
    np.testing.assert_array_equal(arrays["snr"], [40.0] * 8 + [0.0] * 8)
    ends = (arrays["target"] == 257).argmax(axis=1)
    assert set(ends) == {2, 3}
    assert np.abs(arrays["samples"]).max() <= 1
    other = loaded("dial_tones", **how, eval_on="validation").test
    assert other.fingerprint() != one.fingerprint()


def test_the_ratio_is_what_it_says():
    keys_, most = "159D", 2
    rng = np.random.default_rng(1)
    uniform = rng.random((64, dial_tones.numbers_of(most)), np.float32)
    normal = rng.standard_normal((64, dial_tones.samples_for(most)), np.float32)
    uniform[:, 4 + 9 * most : 4 + 9 * most + 3] = 0.9  # no clicks
    make = lambda snr, normal: dial_tones.synthesise(
        uniform, normal, keys_, 2, most, np.full(64, snr, np.float32)
    )
    clean, noisy = make(0.0, 0 * normal), make(0.0, normal)
    tones = np.square(clean["samples"])
    power = tones.sum(axis=1) / (tones > 0).sum(axis=1)
    noise = noisy["samples"] - clean["samples"]
    ratio = power / (np.square(noise).sum(axis=1) / clean["length"])
    assert abs(10 * np.log10(ratio)).max() < 0.6
    np.testing.assert_array_equal(
        [bytes(t[:2].astype(np.uint8)).decode()[0] in keys_ for t in clean["target"]], True
    )


def test_numpy_and_the_device_draw_the_same_sounds(explicit):
    rng = np.random.default_rng(2)
    uniform = rng.random((4, dial_tones.numbers_of(3)), np.float32)
    normal = rng.standard_normal((4, dial_tones.samples_for(3)), np.float32)
    how = dict(keys=dial_tones.KEYS, least=1, most=3, snr=(0.0, 20.0))
    host = dial_tones.synthesise(uniform, normal, **how)
    made = jax.jit(lambda u, n: dial_tones.synthesise(u, n, **how))
    device = made(jax.numpy.asarray(uniform), jax.numpy.asarray(normal))
    for name, array in host.items():
        assert array.dtype == device[name].dtype
        np.testing.assert_allclose(device[name], array, atol=1e-3)


def test_training_draws_anew_by_the_key():
    train = loaded("dial_tones", most=1).train
    batch = train.take(np.arange(3))
    draw = jax.jit(train.draw)
    a, same, b = (draw(keys.root(seed), batch) for seed in (0, 0, 1))
    assert a["samples"].shape == (3, train.count)
    np.testing.assert_array_equal(a["samples"], same["samples"])
    assert (np.asarray(a["samples"]) != np.asarray(b["samples"])).any()


@pytest.mark.parametrize(
    "settings, said",
    [
        (dict(least=3, most=2), "data.least=3 and data.most=2"),
        (dict(keys="1x"), "data.keys='1x' must be two or more of"),
        (dict(keys="11"), "each once"),
        (dict(snr=(1.0,)), "data.snr=(1.0,) must be two numbers of decibels"),
        (dict(snr=(5.0, 1.0)), "the first must not be above the second"),
        (dict(test_snr=()), "data.test_snr=() must be one number or more"),
        (dict(test_examples=0), "data.test_examples=0 must be at least 1"),
        (dict(path="x"), "takes none"),
    ],
)
def test_bad_settings_of_dial_tones_are_one_line(settings, said):
    with pytest.raises(UserError) as error:
        loaded("dial_tones", **settings)
    assert said in str(error.value)


def test_a_sounds_file_may_be_a_path_of_any_kind(tmp_path):
    file = saved(tmp_path / "a.wav", NOISE)
    np.testing.assert_array_equal(audio.read(str(file), 8000), audio.read(epath.Path(file), 8000))
