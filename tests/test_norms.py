"""Norms of pytrees: by leaf and by layer, against NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.optim import norms

TREE = {
    "block_0": {
        "dense": {"kernel": jnp.array([[3.0, 0.0]]), "bias": jnp.array([4.0])},
        "scale": jnp.array([2.0, -1.0, 2.0]),
    },
    "token": jnp.array([-6.0, 8.0, 0.0]),
    "half": jnp.full((4,), 300.0, jnp.float16),  # its square is no float16
    "one": jnp.float32(7.0),
}


def test_norms_by_layer_are_euclidean_and_named_by_the_leafs_parent():
    names, found = norms.by_layer(TREE, norms.squares(TREE)[0])
    found = dict(zip(names, found.tolist(), strict=True))
    wanted = {"block_0/dense": 5.0, "block_0": 3.0, "token": 10.0, "half": 600.0, "one": 7.0}
    assert found == pytest.approx(wanted, rel=1e-6)


def test_squares_of_several_trees_are_those_of_each_leaf_in_order():
    rng = np.random.default_rng(0)
    shapes = [(7,), (3, 5), (7,), (), (2, 3, 3, 4), (5,), (7,), (3, 5)]
    trees = [[rng.normal(size=s).astype(np.float32) for s in shapes] for _ in range(2)]
    found = jax.jit(norms.squares)(*trees)
    wanted = [[np.square(x, dtype=np.float64).sum() for x in tree] for tree in trees]
    np.testing.assert_allclose(found, wanted, rtol=1e-6)
    _, each = norms.by_layer(trees[0], found)  # of a list each leaf is a layer
    np.testing.assert_allclose(each, np.sqrt(wanted), rtol=1e-6)


def test_of_nothing_there_are_no_norms():
    found = norms.squares({}, {})
    names, each = norms.by_layer({}, found)
    assert found.shape == (2, 0)
    assert names == []
    assert each.shape == (2, 0)
