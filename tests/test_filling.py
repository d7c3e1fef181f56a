"""[MASK]s in texts: which tokens they are, what they are read with, and what is filled in."""

import functools
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tokenizers
from flax import linen as nn

from jaxdl.data import encoded_texts, tokens
from jaxdl.tasks.shared import filling

BYTES = tokens.create()
SPECIAL = encoded_texts.specials(BYTES)
MASK = SPECIAL.mask
LETTERS = np.frombuffer(b"abcdef ", np.uint8)


class AfterAndBefore(nn.Module):
    """Logits of a token by those on both sides of it: two tables, (4, 4) for each."""

    tables: tuple

    @nn.compact
    def __call__(self, tokens, segments=None, mask=None, *, places=None):
        left, right = (jnp.asarray(table) for table in self.tables)
        near = lambda shift: jnp.take_along_axis(
            tokens, jnp.clip(places + shift, 0, tokens.shape[1] - 1), axis=1
        )
        return left[near(-1)] + right[near(1)]


def tables(seed):
    """Of a token in front and one behind, (260, 260) each."""
    draw = np.random.default_rng(seed)
    return 3 * draw.normal(size=(2, SPECIAL.size, SPECIAL.size))


def filled(text, both, longest=20):
    frozen = tuple(map(Table, both))
    module = AfterAndBefore(frozen)
    each = lambda most: jax.jit(functools.partial(filling.likeliest, module, LETTERS, MASK, most))
    encoded = [filling.encode(BYTES, SPECIAL, t) for t in text]
    return filling.fill(each, encoded, SPECIAL, longest, 4, {})


class Table(np.ndarray):
    """An array that a module may have as a field."""

    def __new__(cls, array):
        return np.asarray(array).view(cls)

    def __hash__(self):
        return id(self)


def recount(text, both):
    """The same in float64, a mask at a time, of a text with fewer masks than READINGS."""
    line = [SPECIAL.cls, *filling.encode(BYTES, SPECIAL, text), SPECIAL.sep]
    said, first = {}, None
    while MASK in line:
        shares = {}
        for i in (i for i, t in enumerate(line) if t == MASK):
            logits = both[0][line[i - 1]] + both[1][line[i + 1]]
            share = np.exp(logits - logits.max())
            shares[i] = (share / share.sum())[LETTERS]
        first = first or shares
        surest = max(shares, key=lambda i: shares[i].max())
        said[surest] = shares[surest].max()
        line[surest] = int(LETTERS[shares[surest].argmax()])
    return line[1:-1], [said[i] for i in sorted(said)], [first[i] for i in sorted(first)]


def test_what_is_said_is_the_surest_first_each_with_those_before_it_known():
    both = tables(0)
    texts = ["a[MASK][MASK][MASK]b[MASK]", "", "abc", "[MASK]" * 5 + "d", "a[MASK]"]
    for text, found in zip(texts, filled(texts, both), strict=True):
        if "[MASK]" not in text:
            assert BYTES.decode(found.tokens) == text
            assert (found.said, found.likeliest) == ((), ())
            continue
        line, said, first = recount(text, both)
        assert found.tokens.tolist() == line
        np.testing.assert_allclose([g.probability for g in found.said], said, rtol=1e-4)
        for guesses, shares in zip(found.likeliest, first, strict=True):
            order = np.argsort(-shares)[:5]
            assert [g.token for g in guesses] == LETTERS[order].tolist()
            np.testing.assert_allclose([g.probability for g in guesses], shares[order], rtol=1e-4)


def test_a_text_of_more_masks_than_readings_is_filled_in_all_the_same():
    (found,) = filled(["[MASK]" * 37], tables(1), longest=16)
    assert set(found.tokens) <= set(LETTERS)
    assert len(found.said) == len(found.likeliest) == 37


@pytest.mark.parametrize("room", [8, 18, 400])
def test_every_mask_is_read_in_a_window_with_something_behind_it(room):
    draw = np.random.default_rng(2)
    texts = [np.where(draw.random(n) < share, MASK, 97) for n in (1, 8, 9, 200, 0, 300)
             for share in (0.02, 0.3, 1.0)]  # fmt: skip
    read = [np.zeros(len(text), int) for text in texts]
    for w in filling.windows(texts, MASK, room):
        n, begin = len(texts[w.text]), read[w.text][w.start : w.until]
        assert 0 <= w.start < w.until <= w.stop <= n
        assert w.stop - w.start == min(n, room)
        assert w.stop == n or w.stop - w.until >= room // 4
        # Those that an earlier window has read are not its own.
        begin[(texts[w.text][w.start : w.until] == MASK) & (begin == 0)] += 1
    for text, own in zip(texts, read, strict=True):
        np.testing.assert_array_equal(own == 1, text == MASK)


def test_a_long_text_is_read_around_its_masks():
    both = tables(3)
    text = "abcdef " * 9 + "a[MASK]c" + " fed" * 20 + "[MASK][MASK]"
    (found,) = filled([text], both, longest=12)
    line, said, _ = recount(text, both)
    assert found.tokens.tolist() == line
    np.testing.assert_allclose([g.probability for g in found.said], said, rtol=1e-4)


def words(tmp_path, names, added=()):
    made = tokenizers.Tokenizer(
        tokenizers.models.WordLevel({n: i for i, n in enumerate(names)}, unk_token="[UNK]")
    )
    made.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    made.add_special_tokens([*added])
    file = tmp_path / "tokenizer.json"
    made.save(str(file))
    return tokens.create(str(file))


@pytest.mark.parametrize(
    "mask, added, id_of_mask",
    [("[MASK]", ["[MASK]"], 3), ("[MASK]", [], 3), ("<mask>", ["<mask>"], 3), ("other", [], 7)],
    ids=["special", "a word", "another name", "none"],
)
def test_a_hidden_token_is_the_tokenizers_or_stands_behind_its_own(
    tmp_path, mask, added, id_of_mask
):
    tokenizer = words(tmp_path, ["[UNK]", "red", "bird", mask], added)
    special = encoded_texts.specials(tokenizer)
    assert special.mask == id_of_mask
    found = filling.encode(tokenizer, special, "red [MASK] bird[MASK]")
    np.testing.assert_array_equal(found, [1, id_of_mask, 2, id_of_mask])


def test_bytes_beside_a_hidden_one_are_as_they_came():
    text = "é[MASK]ü\udcff"
    wanted = [*"é".encode(), MASK, *"ü".encode(), 255]
    np.testing.assert_array_equal(filling.encode(BYTES, SPECIAL, text), wanted)
    assert filling.encode(BYTES, SPECIAL, "").size == 0


def test_lines_and_records():
    guess = filling.Guess
    told = (guess(98, 0.75), guess(32, 0.125))
    one = filling.Filled(np.frombuffer(b"abc", np.uint8), (guess(98, 0.75),), (told,))
    found = filling.describe(one, BYTES)
    assert found.text == "abc  b 75.0%  ' ' 12.5%"
    mask = {"token": "b", "id": 98, "probability": 0.75}
    space = {"token": " ", "id": 32, "probability": 0.125}
    assert found.record == {"text": "abc", "masks": [{**mask, "likeliest": [mask, space]}]}
    json.dumps(found.record)
    two = one._replace(said=one.said * 2, likeliest=one.likeliest * 2)
    assert filling.describe(two, BYTES).text == "abc  b 75.0%  b 75.0%"


def test_texts_without_a_mask_alone_are_not_answered(capsys):
    never = lambda most: pytest.fail("was asked")
    assert filling.answers(never, ["abc", ""], BYTES, 20, 4, {}) == []
    assert capsys.readouterr().err == ""
    assert filling.answers(never, ["a <mask> b"], BYTES, 20, 4, {}) == []
    said = capsys.readouterr().err
    assert said == "note: nothing is filled in: a hidden token is written [MASK], not <mask>\n"
