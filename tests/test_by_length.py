"""Texts of unequal length in batches of a few shapes."""

import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.data import encoded_texts, tokens
from jaxdl.tasks.shared import by_length

SPECIAL = encoded_texts.specials(tokens.Bytes())


def encoded(sizes):
    rng = np.random.default_rng(0)
    texts = [rng.integers(0, 256, size - 2) for size in sizes]
    return [encoded_texts.wrapped([text], SPECIAL, 300) for text in texts]


@pytest.mark.parametrize("longest", [3, 8, 130, 512, 1500])
def test_lengths_end_with_the_longest(longest):
    found = by_length.lengths(longest)
    assert found[-1] == longest
    assert found == sorted({*found})


@pytest.mark.parametrize("at_once, count", [(256, 500), (4, 500), (256, 3), (1, 1)])
def test_every_text_is_in_one_batch_that_has_room(at_once, count):
    sizes = np.random.default_rng(1).integers(3, 301, count)
    seen = []
    for length, rows, chosen in by_length.groups(sizes, 300, at_once):
        assert sizes[chosen].max() <= length
        assert rows <= at_once
        assert rows == 1 or rows * length <= max(by_length.TOKENS, sizes.sum() // 64)
        seen += [*chosen]
    assert sorted(seen) == [*range(count)]


def test_shapes_are_few_and_padding_little():
    sizes = np.clip(np.random.default_rng(2).lognormal(3.3, 0.5, 5000).astype(int) + 3, 3, 300)
    found = list(by_length.groups(sizes, 300, 256))
    assert len(found) <= len(by_length.lengths(300))
    texts = encoded(sizes)
    assert by_length.padding(texts, 300, 256) < 0.15
    assert by_length.padding(texts, 300, 5000) < 0.15


def test_rows_come_back_in_order_and_shapes_are_as_said():
    sizes, shapes = [5, 60, 9, 33, 60, 4, 20, 300], []

    def each(state, batch, key):
        shapes.append(batch["tokens"].shape)
        real = jnp.where(batch["mask"], batch["tokens"], 0)
        return {"sum": real.sum(axis=1) * state, "size": batch["mask"].sum(axis=1)}

    texts = encoded(sizes)
    found = by_length.over_texts(each, texts, SPECIAL, 300, 4, jnp.int32(2))
    assert found["size"].tolist() == sizes
    assert found["sum"].tolist() == [2 * int(text.tokens.sum()) for text in texts]
    # The texts of 60 fill the batch of 300, in which 1024 tokens have room; one is left at the end.
    assert {*shapes} == {(3, 300), (4, 40), (1, 8)}
    through = 3 * 300 + 4 * 40 + 1 * 8
    assert by_length.padding(texts, 300, 4) == pytest.approx(1 - sum(sizes) / through)
