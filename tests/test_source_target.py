"""Pairs of texts as encoder-decoders take them, the user's own and numbers in words."""

import json

import numpy as np
import pytest
from test_text import trained

from jaxdl import config, data
from jaxdl.data import length_groups, numbers, source_target, tokens
from jaxdl.errors import UserError

BYTES = tokens.Bytes()


def load(name, **settings):
    return data.load({**config.default().data, "name": name, **settings})


# Special tokens


def test_bytes_get_special_tokens_behind_their_own():
    special = source_target.specials(BYTES, 3)
    assert special == (256, 257, 256, (258, 259, 260), 261, (), False, None)
    text = "a <0> é<2>"
    found = special.encode(BYTES, text)
    assert found.tolist() == [97, 32, 258, 32, 0xC3, 0xA9, 260]
    assert special.decode(BYTES, [*found, 257, 97, 256]) == text
    assert special.decode(BYTES, []) == ""
    # A sentinel that there is not is text, and so are all where there are none.
    assert special.encode(BYTES, "<3>").tolist() == [*b"<3>"]
    assert source_target.specials(BYTES).encode(BYTES, "<0>").tolist() == [*b"<0>"]


def test_a_tokenizer_keeps_the_special_tokens_that_it_has(tmp_path):
    import tokenizers

    made = tokenizers.Tokenizer.from_file(trained(tmp_path))
    made.add_special_tokens(["<pad>", "</s>", "<extra_id_1>", "<mask>"])
    made.save(str(tmp_path / "own.json"))
    own = tokens.create(str(tmp_path / "own.json"))
    first = own.size - 4
    # Sentinel 0 is not there, and gets the next id.
    assert source_target.specials(own, 2) == (
        *(first, first + 1, first, (own.size, first + 2), own.size + 1, (), False, None),
    )
    assert source_target.specials(own, 1).sentinels == (first + 3,)


# Tables of one's own

ROWS = [{"source": f"read {i}", "target": "write" * (1 + i % 3), "more": i} for i in range(20)]


def written(file, rows=ROWS):
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(file)


def texts(split):
    special = source_target.specials(BYTES)
    batch = split.take(np.arange(len(split)))
    sides = ([special.decode(BYTES, t) for t in batch[n]] for n in ("source", "target"))
    return [*zip(*sides, strict=True)]


def test_pairs_are_split_ended_and_filled_up(tmp_path):
    found = load("pairs", path=written(tmp_path / "a.jsonl"), test_fraction=0.25)
    assert (len(found.train), len(found.test)) == (15, 5)
    wanted = {(row["source"], row["target"]) for row in ROWS}
    assert {*texts(found.train), *texts(found.test)} == wanted
    batch = found.train.take(np.arange(3))
    assert batch["source"].shape == (3, 8)  # "read 19" and the end
    assert batch["target"].shape == (3, 16)
    assert batch["source"].dtype == batch["target"].dtype == np.int32
    assert ((batch["source"] == 257).sum(axis=1) == 1).all()
    everything = found.train.take(np.arange(15))
    share = sum((everything[n] == 256).sum() for n in ("source", "target")) / (15 * 24)
    assert length_groups.note(found.train, 5) == f"1 length (8 + 16): {share:.0%} padding"
    assert found.notes == ()
    assert len(found.test.about["sources"]) == 5
    again = load("pairs", path=written(tmp_path / "a.jsonl"), test_fraction=0.25)
    assert again.train.fingerprint() == found.train.fingerprint()
    other = load("pairs", path=written(tmp_path / "a.jsonl"), test_fraction=0.25, split_seed=1)
    assert other.train.fingerprint() != found.train.fingerprint()
    assert texts(found.train.subset(np.array([3, 1]))) == [texts(found.train)[i] for i in (3, 1)]


def test_parts_of_a_folder_are_what_they_are_called(tmp_path):
    for part, some in {"train": ROWS[:9], "test": ROWS[9:12], "validation": ROWS[12:13]}.items():
        written(tmp_path / f"{part}.jsonl", some)
    found = load("pairs", path=str(tmp_path))
    assert [len(x) for x in (found.train, found.test, found.validation)] == [9, 3, 1]
    chosen = load("pairs", path=str(tmp_path), eval_on="validation")
    assert (len(chosen.train), len(chosen.test), chosen.validation) == (9, 1, None)
    (tmp_path / "validation.jsonl").unlink()
    chosen = load("pairs", path=str(tmp_path), eval_on="validation", test_fraction=0.3)
    assert (len(chosen.train), len(chosen.test)) == (7, 2)
    assert not {*texts(chosen.test)} & {(row["source"], row["target"]) for row in ROWS[9:12]}


def test_columns_have_the_names_that_they_are_given(tmp_path):
    (tmp_path / "a.csv").write_text("question,answer\n" + "one,two\n" * 3)
    how = dict(path=str(tmp_path / "a.csv"), test_fraction=0.4)
    found = load("pairs", source="question", target="answer", **how)
    assert texts(found.train)[0] == ("one", "two")


def test_what_is_too_long_is_cut_and_counted(tmp_path):
    found = load("pairs", path=written(tmp_path / "a.jsonl"), target_length=11)
    assert found.train.take(np.arange(1))["target"].shape == (1, 11)
    # Of 20 targets 6 have 15 letters: 5 tokens of each are lost.
    tokens_of_all = sum(len(row["target"]) + 1 for row in ROWS)
    assert found.notes[0] == (
        "6 of 20 targets are longer than data.target_length=11, and were cut: "
        f"{30 / tokens_of_all:.1%} of all target tokens"
    )
    assert {len(t) for _, t in texts(found.train)} == {5, 10}


@pytest.mark.parametrize(
    "row, settings, says",
    [
        ({"source": "a", "target": ""}, {}, "line 21: 'target' is empty"),
        ({"source": "", "target": "a"}, {}, "line 21: 'source' is empty"),
        ({"source": "a"}, {}, "line 21: no column 'target'"),
        ({"source": "a", "target": 3}, {}, "line 21: 'target' must be a text, not 3"),
        ({}, {"target": "summary"}, "line 1: no column 'summary'"),
        (ROWS[0], {"target": "source"}, "both 'source': name two columns"),
        (ROWS[0], {"source_length": 1}, "data.source_length=1 must be at least 2"),
        (ROWS[0], {"test_fraction": 0.99}, "1 would be left"),
    ],
)
def test_bad_pairs_are_one_line(row, settings, says, tmp_path):
    path = written(tmp_path / "a.jsonl", [*ROWS, row])
    if "test_fraction" in settings:
        path, says = written(tmp_path / "a.jsonl", ROWS[:1]), "0 would be left to learn from"
    with pytest.raises(UserError) as error:
        load("pairs", path=path, **settings)
    assert says in str(error.value)
    assert "\n" not in str(error.value)


# Numbers

VALUES = {
    **{
        w: i
        for i, w in enumerate(
            ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
        )
    },
    **{
        w: 10 + i
        for i, w in enumerate(
            [
                "ten",
                "eleven",
                "twelve",
                "thirteen",
                "fourteen",
                "fifteen",
                "sixteen",
                "seventeen",
                "eighteen",
                "nineteen",
            ]
        )
    },
    **{
        w: 20 + 10 * i
        for i, w in enumerate(
            ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
        )
    },
}


def read(words):
    """The number that English words are: another way than that by which they were written."""
    total = part = 0
    for word in words.replace("-", " ").split():
        if word == "hundred":
            part *= 100
        elif word == "thousand":
            total, part = part * 1000, 0
        else:
            part += VALUES[word]
    return total + part


def test_words_read_back_are_the_numbers():
    rng = np.random.default_rng(0)
    some = [
        *range(1, 3000),
        *range(1000, 10**6, 1000),
        *rng.integers(1, 10**6, 2000).tolist(),
        999_999,
    ]
    for number in some:
        assert read(numbers.words(number)) == number
    assert numbers.words(700_013) == "seven hundred thousand thirteen"
    assert numbers.words(21) == "twenty-one"
    assert numbers.words(110_000) == "one hundred ten thousand"


def test_numbers_are_held_out_by_the_seed():
    found = load("numbers", test_fraction=0.001)
    assert (len(found.train), len(found.test)) == (999_000, 999)
    everything = np.concatenate([found.train.values, found.test.values])
    np.testing.assert_array_equal(np.sort(everything), np.arange(1, 10**6))
    for source, target in texts(found.test.subset(np.arange(0, 999, 50))):
        assert read(target) == int(source)
    # Half of a pass has numbers of as many digits alike, the rest any.
    places = found.train.shuffled(np.random.default_rng(0))
    assert len(places) == len(found.train)
    digits = np.bincount([len(str(n)) for n in found.train.values[places[:20_000]]]) / 20_000
    for count, share in enumerate(digits[1:], 1):
        assert share == pytest.approx(1 / 12 + 0.45 * 10.0 ** (count - 6), abs=0.012)
    other = load("numbers", test_fraction=0.001, split_seed=1)
    assert other.test.fingerprint() != found.test.fingerprint()
    chosen = load("numbers", test_fraction=0.001, eval_on="validation")
    assert not {*chosen.test.values.tolist()} & {*found.test.values.tolist()}
    assert not {*chosen.train.values.tolist()} & {*found.test.values.tolist()}
    batch = found.train.take(np.array([0, -1]))
    assert {name: x.shape for name, x in batch.items()} == {"source": (2, 7), "target": (2, 65)}
    # No number's words are cut: the longest have a letter of every kind of place.
    assert max(len(numbers.words(1001 * i)) for i in range(100, 1000)) == 64
    with pytest.raises(UserError, match="both need one"):
        load("numbers", test_fraction=1e-9)
