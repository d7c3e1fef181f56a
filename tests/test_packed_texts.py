"""Texts of unequal length, several in a row."""

import jax.numpy as jnp
import numpy as np
import pytest
from test_by_length import SPECIAL, encoded

from jaxdl.tasks.shared import by_length, packed_texts


@pytest.mark.parametrize("at_once, count", [(256, 500), (4, 500), (256, 3), (1, 1)])
def test_every_text_is_in_one_row_that_has_room(at_once, count):
    sizes = np.random.default_rng(1).integers(2, 301, count)
    seen = []
    for length, rows, own in packed_texts.rows(sizes, 300, at_once):
        assert rows <= at_once
        assert rows == 1 or rows * length <= max(by_length.TOKENS, sizes.sum() // 64)
        for row in own:
            assert 1 <= len(row) <= packed_texts.places(length)
            assert sizes[row].sum() <= length
            seen += row
    assert sorted(seen) == [*range(count)]


@pytest.mark.parametrize("longest", [2, 3, 5, 16, 64])
def test_short_texts_have_places_in_rows_of_any_length(longest):
    sizes = np.array([2, longest, 2, 2])
    found = [row for _, _, own in packed_texts.rows(sizes, longest, 8) for row in own]
    assert sorted(i for row in found for i in row) == [0, 1, 2, 3]


def test_lengths_are_few_and_padding_hardly_there():
    sizes = np.clip(np.random.default_rng(2).lognormal(3.3, 0.5, 5000).astype(int) + 3, 3, 300)
    assert len(list(packed_texts.rows(sizes, 300, 256))) == 3
    texts = encoded(sizes)
    left = packed_texts.padding(texts, 300, 256)
    assert 0 <= left < 0.03
    assert left < by_length.padding(texts, 300, 256)


def test_texts_come_back_in_order_and_shapes_are_as_said():
    sizes, shapes = [5, 60, 9, 33, 60, 4, 20, 300], []

    def each(state, batch, key):
        shapes.append(batch["tokens"].shape)
        numbers = 1 + jnp.arange(packed_texts.places(batch["tokens"].shape[1]))
        own = batch["texts"][:, None] == numbers[:, None]
        summed = jnp.where(own, batch["tokens"][:, None], 0).sum(-1)
        return jnp.stack([summed * state, own.sum(-1)], axis=-1)

    texts = encoded(sizes)
    found = packed_texts.over_texts(each, texts, SPECIAL, 300, 4, jnp.int32(2))
    assert found[:, 1].tolist() == sizes
    assert found[:, 0].tolist() == [2 * int(text.tokens.sum()) for text in texts]
    # Three rows of 300 have room in a batch of 1024, and the second has room for all the others.
    assert {*shapes} == {(2, 300)}
    assert packed_texts.padding(texts, 300, 4) == pytest.approx(1 - sum(sizes) / 600)
