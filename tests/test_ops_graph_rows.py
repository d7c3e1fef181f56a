"""Sums over neighbours by rows of edges, against loops in float64."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from both_modes import check

from jaxdl import models, ops
from jaxdl.ops import graph, graph_rows

# With rows of at most 4 the node of 9 neighbours has three, the one of 4 just one; some have none,
# one hears itself, one pair is there twice.
NODES, WIDTHS = 13, (2, 4)
PAIRS = np.array(
    [(i, 0) for i in range(1, 10)] + [(i, 1) for i in range(7, 11)] + [(2, 3)] * 2 + [(4, 4)]
)


@pytest.fixture
def edges(monkeypatch):
    """Sorted by target, with rows, and with weights that differ."""
    monkeypatch.setattr(graph, "_MANY", 0)
    monkeypatch.setattr(graph_rows, "_WIDTHS", WIDTHS)
    weight = np.random.default_rng(0).standard_normal(len(PAIRS))
    return ops.in_rows(ops.connect(PAIRS, NODES, weight=weight), NODES)


def test_each_edge_is_in_one_row_of_its_node(edges):
    rows = graph_rows.rows_of(PAIRS[:, 1], NODES)
    found = [
        edges[:length]
        for block in zip(rows.edges, rows.lengths, strict=True)
        for edges, length in zip(*map(np.asarray, block), strict=True)
    ]
    assert sorted(np.concatenate(found)) == list(range(len(PAIRS)))
    assert [edges.shape[1] for edges in rows.edges] == [2, 4]
    owners = {int(row): node for node, row in enumerate(rows.first) if row < len(found)}
    owners |= dict(zip(rows.more.tolist(), rows.owners.tolist(), strict=True))
    assert len(owners) == len(found)
    assert all((PAIRS[edges, 1] == owners[row]).all() for row, edges in enumerate(found))


def test_sums_are_those_of_a_loop_and_so_are_derivatives_of_both_modes(edges):
    rng = np.random.default_rng(1)
    x, weights = rng.standard_normal((NODES, 2, 3)), rng.standard_normal((len(PAIRS), 2))
    expected = np.zeros_like(x)
    for source, target, weight in zip(edges.source, edges.target, weights, strict=True):
        expected[target] += weight[:, None] * x[source]
    f = lambda x, weights: ops.sum_of_heads(x, weights, edges)
    with jax.enable_x64(True):
        np.testing.assert_allclose(jax.jit(f)(x, weights), expected, atol=1e-12)
        check(f, (jnp.asarray(x), jnp.asarray(weights)))
        slope = lambda edges: jax.jit(
            jax.grad(lambda *a: jnp.sin(ops.sum_of_heads(*a, edges)).sum(), (0, 1))
        )(x, weights)
        for a, b in zip(slope(edges), slope(edges._replace(rows=None)), strict=True):
            np.testing.assert_allclose(a, b, atol=1e-12)
    half = jax.jit(f)(x.astype(jnp.bfloat16), weights.astype(np.float32))
    assert half.dtype == jnp.bfloat16
    np.testing.assert_allclose(half.astype(np.float32), expected, atol=0.05, rtol=0.02)


@pytest.mark.parametrize("how", ["sum", "mean", "max"])
def test_neighbours_are_one_as_they_are_without_rows(how, edges):
    x = np.random.default_rng(2).standard_normal((NODES, 3))
    with jax.enable_x64(True):
        f = lambda x, weight, edges: ops.aggregate(x, edges._replace(weight=weight), how)
        weight = edges.weight.astype(float)
        of = lambda edges: jax.value_and_grad(
            lambda *a: jnp.sin(f(*a, edges)).sum(), (0, 1)
        )(jnp.asarray(x), weight)  # fmt: skip
        alone = jax.tree.leaves(of(edges._replace(rows=None)))
        for a, b in zip(jax.tree.leaves(of(edges)), alone, strict=True):
            np.testing.assert_allclose(a, b, atol=1e-12)


def test_a_number_that_is_none_goes_to_neighbours_alone(edges):
    """What fills up a row is its own edge, not the first node's."""
    x = np.zeros((NODES, 1))
    x[0] = np.nan
    assert not np.isnan(ops.aggregate(jnp.asarray(x), edges)).any()  # nobody hears node 0
    x[:2, 0] = 0, np.nan
    heard = np.isnan(ops.aggregate(jnp.asarray(x), edges))[:, 0]
    np.testing.assert_array_equal(np.flatnonzero(heard), [0])


def test_a_graph_without_edges_and_one_of_few(monkeypatch):
    few = ops.connect(PAIRS, NODES)
    assert ops.in_rows(few, NODES).rows is None
    monkeypatch.setattr(graph, "_MANY", 0)
    none = ops.in_rows(ops.connect(PAIRS[:0], 3), 3)
    np.testing.assert_array_equal(ops.aggregate(jnp.ones((3, 2)), none), np.zeros((3, 2)))


@pytest.mark.parametrize("name", ["gat", "graphsage"])
def test_networks_say_the_same_by_rows(name, edges):
    module = models.create(name, num_classes=2, hidden=(4,))
    pairs = np.unique(np.sort(PAIRS[PAIRS[:, 0] != PAIRS[:, 1]], axis=1), axis=0)
    plain = getattr(module, "adjacency", ops.normalised)(pairs, NODES)
    x = jnp.asarray(np.random.default_rng(3).standard_normal((NODES, 3)), jnp.float32)
    variables = module.init(jax.random.key(0), x, plain)

    def slopes(adjacency):
        loss = lambda variables: jnp.sin(module.apply(variables, x, adjacency)).sum()
        return jax.tree.leaves(jax.jit(jax.grad(loss))(variables))

    for a, b in zip(slopes(plain), slopes(ops.in_rows(plain, NODES)), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)
