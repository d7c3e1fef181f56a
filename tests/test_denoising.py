"""Texts with parts left out: what is left and what is to be written are the text again."""

import functools
import itertools

import jax
import numpy as np
import pytest

from jaxdl import keys
from jaxdl.data import denoising, tokens
from jaxdl.data.source_target import specials

LENGTH, MANY = 60, 400
TEXT = np.random.default_rng(0).integers(97, 123, (MANY, LENGTH))
TEXT[:, 14::15] = ord(".")


def damaged(way, special, text=TEXT, seed=0, **how):
    found = jax.jit(functools.partial(way, special=special, **how))(text, keys.root(seed))
    return jax.tree.map(np.asarray, found)


def spans_of(tokens_, sentinels):
    """{sentinel: what stands behind it, up to the next}; in front of the first, under None."""
    found, name = {None: []}, None
    for token in tokens_:
        if token in sentinels:
            name = token
            found[name] = []
        else:
            found[name].append(int(token))
    return found


@pytest.mark.parametrize("density, span", [(0.15, 3.0), (0.9, 2.0)])
def test_what_was_left_out_put_in_place_of_its_sentinel_is_the_text(density, span):
    noise, spans = denoising.noise_counts(LENGTH, density, span)
    special = specials(tokens.Bytes(), spans)
    found = damaged(denoising.span_corruption, special, density=density, span=span)
    assert found.source.shape == (MANY, LENGTH - noise + spans + 1)
    assert found.target.shape == (MANY, noise + spans + 1)
    for text, source, target, hidden in zip(TEXT, *found, strict=True):
        assert source[-1] == target[-1] == special.end
        left = spans_of(target[:-1], special.sentinels)
        assert [*left] == [None, *special.sentinels]  # in order
        assert left.pop(None) == []
        assert all(left.values())  # none is empty
        back = [left.get(int(token), [int(token)]) for token in source[:-1]]
        assert [*itertools.chain(*back)] == text.tolist()
        np.testing.assert_array_equal(hidden, target < 256)
        assert hidden.sum() == noise
        assert source[0] < 256  # the first span is kept


def test_counts_are_those_of_the_paper():
    # 512 tokens: 15 % are 77, in 26 spans of 3 (Raffel et al., 2020, section 3.3.4).
    assert denoising.noise_counts(512, 0.15, 3.0) == (77, 26)
    assert denoising.noise_counts(2, 0.01, 3.0) == (1, 1)
    assert denoising.noise_counts(10, 0.99, 1.0) == (9, 1)


def test_every_way_to_cut_is_as_likely_as_another():
    """Of 5 tokens in 3 spans: (3, 1, 1), (2, 2, 1) …, six ways."""
    each = jax.vmap(lambda key: denoising._lengths(key, 5, 3))
    found = np.asarray(jax.jit(each)(jax.random.split(keys.root(0), 6000)))
    ways, count = np.unique(found, axis=0, return_counts=True)
    assert len(ways) == 6
    assert (ways.sum(axis=1) == 5).all()
    assert (ways >= 1).all()
    assert (abs(count - 1000) < 5 * np.sqrt(1000 * 5 / 6)).all()


def test_masks_stand_where_the_text_is_not():
    special = specials(tokens.Bytes(), 1)
    ends = denoising.sentence_ends(tokens.Bytes(), special.size)
    found = damaged(denoising.infilling, special, sentence_end=ends)
    noise, room = denoising.infilling_counts(LENGTH, 0.3, 3.0)
    assert found.source.shape == (MANY, LENGTH - noise + room + 1)
    mask, counts, orders = special.sentinels[0], [], set()
    for text, source, target, hidden in zip(TEXT, *found, strict=True):
        assert target.tolist() == [*text, special.end]
        assert hidden.sum() == noise == 18
        assert not hidden[-1]
        size = (source != special.pad).sum()
        assert source[size - 1] == special.end
        assert (source[size:] == special.pad).all()
        kept = source[: size - 1][source[: size - 1] != mask]
        counts.append(size - 1 - len(kept))
        seen = text[~hidden[:-1]]
        assert sorted(kept) == sorted(seen)
        whole = [text[i * 15 : i * 15 + 15][~hidden[i * 15 : i * 15 + 15]] for i in range(4)]
        order = sorted(range(4), key=lambda i: _place(kept, whole[i]))
        assert np.concatenate([whole[i] for i in order]).tolist() == kept.tolist()
        orders.add(tuple(order))
        # There is a mask at each place where something is missing, and others where nothing is.
        gone = np.concatenate([hidden[i * 15 : i * 15 + 15] for i in order])
        begins = np.flatnonzero(np.diff(gone, prepend=False) & gone)
        is_mask = source[: size - 1] == mask
        behind = (~is_mask).cumsum()[is_mask]
        assert {int((~gone[:place]).sum()) for place in begins} <= {*behind.tolist()}
    # 18 tokens by a Poisson distribution of mean 3, the last one cut short: 6 spans and a bit.
    assert 6 < np.mean(counts) < 7.2
    assert len(orders) == 24


def _place(text, part):
    """Where ``part`` begins in ``text``."""
    places = [i for i in range(len(text)) if text[i : i + len(part)].tolist() == part.tolist()]
    return places[0]


def test_lengths_are_poissons():
    found = denoising._poisson(3.0)
    assert found[0] == pytest.approx(np.exp(-3))
    assert found[3] - found[2] == pytest.approx(np.exp(-3) * 27 / 6)
    assert found[-1] == pytest.approx(1, abs=1e-7)


def test_draws_follow_from_the_key_or_from_the_text_alone():
    special = specials(tokens.Bytes(), 3)
    make_ = functools.partial(denoising.span_corruption, special=special)
    make = jax.jit(lambda text, key: make_(text, key).source)
    some = TEXT[:8]
    of_text = jax.jit(lambda text: make(text, denoising.key_of_text(text)))
    a, b = of_text(some), of_text(np.roll(some, 3, axis=0))
    np.testing.assert_array_equal(np.roll(a, 3, axis=0), b)
    c, d, e = (make(some, keys.root(seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(c, d)
    assert (np.asarray(c) != np.asarray(e)).any()
    # Each text has a draw of its own, of a key; equal texts have the same by themselves.
    same = np.repeat(some[:1], 8, axis=0)
    assert len({*map(tuple, np.asarray(make(same, keys.root(1))).tolist())}) > 1
    assert len({*map(tuple, np.asarray(of_text(same)).tolist())}) == 1


def test_a_sentence_ends_with_a_full_stop_or_a_mark():
    found = denoising.sentence_ends(tokens.Bytes(), 258)
    assert np.flatnonzero(found).tolist() == sorted(map(ord, ".!?"))
