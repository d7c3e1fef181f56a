"""What is hidden of texts: how much of them, what never is, whole words, and by which keys."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from test_text import trained

from jaxdl import keys
from jaxdl.data import encoded_texts, masking, tokens

SPECIAL = encoded_texts.specials(tokens.create())
ORDINARY = np.arange(256)


def texts(lengths, T, seed=0):
    """(tokens, real) of bytes, (n, T) each."""
    draws = np.random.default_rng(seed)
    real = np.arange(T) < np.array(lengths)[:, None]
    return np.where(real, draws.integers(32, 127, real.shape), 0).astype(np.int32), real


def hidden(tokens, allowed, seed=0, **how):
    each = jax.random.split(keys.root(seed), len(tokens))
    how = dict(rate=0.15, special=SPECIAL, ordinary=ORDINARY) | how
    run = jax.jit(lambda each, tokens, allowed: masking.mask(each, tokens, allowed, **how))
    return jax.tree.map(np.asarray, run(each, tokens, allowed))


def test_texts_are_framed_as_they_are_on_the_host():
    text, real = texts([7, 1, 0, 5], 7)
    found = masking.framed(jnp.asarray(text), jnp.asarray(real), SPECIAL)
    own = [encoded_texts.wrapped([t[r]], SPECIAL, 9) for t, r in zip(text, real, strict=True)]
    wanted = encoded_texts.stacked(own, SPECIAL, 9)
    np.testing.assert_array_equal(found.tokens, wanted["tokens"])
    np.testing.assert_array_equal(found.mask, wanted["mask"])


@pytest.mark.parametrize("rate", [0.15, 0.4, 1.0, 0.01])
def test_as_many_tokens_are_chosen_as_the_rate_says_and_no_special_one(rate):
    lengths = [40, 20, 10, 3, 1]
    text, real = texts(lengths, 40)
    framed = masking.framed(jnp.asarray(text), jnp.asarray(real), SPECIAL)
    found = hidden(framed.tokens, np.ones(framed.tokens.shape, bool), rate=rate)
    assert found.places.shape == (5, max(1, round(42 * rate)))
    wanted = np.maximum(1, np.round(rate * np.array(lengths)))
    np.testing.assert_array_equal(found.weight.sum(axis=1), wanted)
    chosen = found.weight > 0
    whole = np.asarray(framed.tokens)
    np.testing.assert_array_equal(np.take_along_axis(whole, found.places, 1), found.targets)
    assert found.targets[chosen].max() < 256
    # No place twice, and all others are as they were.
    assert all(len({*row}) == len(row) for row in found.places)
    at = np.zeros(whole.shape, bool)
    np.put_along_axis(at, found.places, chosen, axis=1)
    np.testing.assert_array_equal(found.tokens[~at], whole[~at])
    assert (found.tokens[at] == SPECIAL.mask).sum() == found.hidden.sum()


def test_of_the_chosen_eight_tenths_are_hidden_one_is_random_and_one_is_shown():
    text, real = texts([64] * 512, 64)
    found = hidden(text, real)
    shown = np.take_along_axis(found.tokens, found.places, 1)
    count = int(found.weight.sum())
    assert count == 512 * 10
    is_other = ~found.hidden & (shown != found.targets)
    within = lambda share: 4 * np.sqrt(share * (1 - share) / count)
    assert found.hidden.sum() / count == pytest.approx(0.8, abs=within(0.8))
    # One of 256 random tokens is the one that stood there.
    assert is_other.sum() / count == pytest.approx(0.1 * 255 / 256, abs=within(0.1))
    drawn = np.bincount(shown[is_other], minlength=SPECIAL.size)
    assert not drawn[256:].any()
    assert (drawn[:256] > 0).mean() > 0.7
    # Every place is as likely as any other.
    where = np.bincount(found.places.ravel(), minlength=64)
    assert where.min() > 80 - 5 * np.sqrt(80)
    assert where.max() < 80 + 5 * np.sqrt(80)


def test_shares_of_their_own():
    text, real = texts([64] * 8, 64)
    every = hidden(text, real, random=0.0, kept=0.0)
    assert every.hidden.all()
    none = hidden(text, real, random=0.0, kept=1.0)
    np.testing.assert_array_equal(none.tokens, text)


def test_what_may_not_be_chosen_is_not():
    text, real = texts([30, 12], 30)
    allowed = real & (np.arange(30) >= 8)
    found = hidden(text, allowed)
    assert found.places[found.weight > 0].min() >= 8
    np.testing.assert_array_equal(found.weight.sum(axis=1), [3, 1])
    nothing = hidden(text, np.zeros_like(real))
    assert not nothing.weight.any()
    np.testing.assert_array_equal(nothing.tokens, text)


# Whole words


def words_of(tokenizer, text):
    """[(word's number, its text)] of a text's tokens."""
    found = tokenizer.encode(text).astype(np.int32)
    special = encoded_texts.specials(tokenizer)
    number = masking.words(jnp.asarray(found)[None], tokenizer.joins(), special.size)[0]
    groups = {}
    for token, word in zip(found, np.asarray(number).tolist(), strict=True):
        groups.setdefault(word, []).append(token)
    return [tokenizer.decode(np.array(group)) for group in groups.values()]


def word_piece(folder):
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers

    names = ["[UNK]", "snake", "##_", "##case", "##2", "na", "##ïve", ",", "a"]
    made = Tokenizer(models.WordPiece({n: i for i, n in enumerate(names)}, unk_token="[UNK]"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    made.decoder = decoders.WordPiece()
    made.save(str(folder / "words.json"))
    return str(folder / "words.json")


def test_words_of_bytes():
    text = "a snake_case2, naïve\n\tb-c"
    wanted = ["a", " ", "snake_case2", ",", " ", "naïve", "\n", "\t", "b", "-", "c"]
    assert words_of(tokens.create(), text) == wanted


def test_words_of_byte_pairs(tmp_path):
    found = words_of(tokens.create(trained(tmp_path)), "a snake_case2, naïve\n\tthe c")
    assert [word.strip() for word in found if word.strip()] == [
        *("a", "snake_case2", ",", "naïve", "the", "c")
    ]
    assert "".join(found) == "a snake_case2, naïve\n\tthe c"


def test_words_of_word_pieces(tmp_path):
    found = words_of(tokens.create(word_piece(tmp_path)), "a snake_case2, naïve")
    assert found == ["a", "snake_case2", ",", "naïve"]


def test_words_are_hidden_whole_while_they_fit():
    draws, T = np.random.default_rng(0), 60
    lines = [" ".join("x" * draws.integers(1, 9) for _ in range(40))[:T] for _ in range(200)]
    text = np.stack([np.frombuffer(line.encode(), np.uint8) for line in lines]).astype(np.int32)
    word = masking.words(jnp.asarray(text), tokens.Bytes().joins(), SPECIAL.size)
    found = hidden(text, np.ones_like(text, bool), rate=0.2, word=word)
    counts = found.weight.sum(axis=1)
    assert counts.max() <= 12
    assert counts.min() >= 1
    assert counts.mean() > 9
    for row, weight, places in zip(np.asarray(word), found.weight, found.places, strict=True):
        chosen = {*places[weight > 0].tolist()}
        for number in {*row[list(chosen)].tolist()}:
            assert {*np.flatnonzero(row == number).tolist()} <= chosen


def test_a_word_longer_than_the_rate_is_cut_where_it_is_all_there_is():
    text = np.full((1, 20), ord("x"), np.int32)
    found = hidden(text, text > 0, word=jnp.zeros_like(text))
    assert found.weight.sum() == 3


# Keys


def test_a_text_is_hidden_alike_in_any_batch():
    text, real = texts([30] * 6, 30)
    text[5] = text[0]
    each = masking.fixed_keys(keys.root(0), jnp.asarray(text))
    how = dict(rate=0.3, special=SPECIAL, ordinary=ORDINARY)
    found = masking.mask(each, jnp.asarray(text), jnp.asarray(real), **how)
    turned = masking.mask(each[::-1], jnp.asarray(text)[::-1], jnp.asarray(real), **how)
    np.testing.assert_array_equal(found.tokens[::-1], turned.tokens)
    np.testing.assert_array_equal(found.tokens[0], found.tokens[5])
    data = np.asarray(jax.random.key_data(each))
    assert len({tuple(row) for row in data.tolist()}) == 5
    # One token that is another, or two that change places, make another draw.
    changed = text[:2].copy()
    changed[0, 3] += 1
    changed[1, [4, 9]] = changed[1, [9, 4]] + [0, 1]
    other = np.asarray(jax.random.key_data(masking.fixed_keys(keys.root(0), jnp.asarray(changed))))
    assert (other != data[:2]).any(axis=1).all()
