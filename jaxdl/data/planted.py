"""A small drawn graph, some of whose nodes do not belong where they are.

As Ding et al., 2019, "Deep Anomaly Detection on Attributed Networks", section 5.1, plant them.
"""

import numpy as np

from jaxdl.data import Whole, block_model, blocks, graph, register
from jaxdl.errors import UserError

USUAL = "usual"


@register("planted")
def planted(
    nodes: int = 2000,
    edges: int = 10_000,
    communities: int = 5,
    features: int = 16,
    within: float = 0.8,
    signal: float = 3.0,
    cliques: int = 5,
    clique: int = 10,
    strangers: int = 50,
    among: int = 50,
    data_seed: int = 0,
) -> Whole:
    """A stochastic block model's graph with anomalies of two kinds: what a node is, is its label.

    "clique" nodes are all joined to each other, whatever their communities. A "stranger" has the
    features of another node in place of its own: of ``among`` that are drawn for it those that are
    farthest from them. All others are "usual". Which are which is for `auroc` alone.

    Args:
      nodes: of them, as many of each community.
      edges: undirected, before cliques are joined.
      communities: 2 or more.
      features: of a node: ``signal`` in a direction of its community, and normal noise of deviation
        1.
      within: the share of edges inside of a community.
      signal: the length of a community's mean.
      cliques: how many.
      clique: nodes of each.
      strangers: how many.
      among: nodes that are drawn for each.
      data_seed: of all that is drawn.
    """
    for name, value, low in (
        ("communities", communities, 2),
        ("features", features, 1),
        ("edges", edges, 1),
        ("cliques", cliques, 0),
        ("clique", clique, 2),
        ("strangers", strangers, 0),
        ("among", among, 1),
    ):
        if value < low:
            raise UserError(f"data.{name}={value} must be at least {low}")
    odd = cliques * clique + strangers
    if not 0 < odd <= nodes // 2 or nodes < 2 * communities:
        raise UserError(
            f"data.nodes={nodes}: {cliques} cliques of {clique} and {strangers} strangers must be "
            "at least one node and at most half of all"
        )
    if not 0 < within < 1:
        raise UserError(f"data.within={within} must be above 0 and below 1")
    if edges > (most := nodes * (nodes // communities) // 4):
        raise UserError(f"data.edges={edges} must be at most {most} with {nodes} nodes")
    rng = np.random.default_rng(data_seed)
    community = rng.permutation(np.arange(nodes, dtype=np.int32) % communities)
    means = blocks.directions(communities, features, rng) * np.float32(signal)
    x = rng.standard_normal((nodes, features), np.float32) + means[community]
    pairs = block_model.draw_pairs(community, communities, edges, within, rng).T
    chosen = rng.choice(nodes, odd, replace=False)
    joined, strange = np.split(chosen, [cliques * clique])
    one, other = np.triu_indices(clique, 1)
    whole = joined.reshape(cliques, clique)
    added = np.stack([whole[:, one].ravel(), whole[:, other].ravel()], axis=1)
    labels = np.zeros(nodes, np.int32)
    labels[joined], labels[strange] = 1, 2
    x[strange] = _farthest(x, strange, among, rng)
    names = (USUAL, "clique", "stranger")
    return Whole(graph.create(x, np.concatenate([pairs, added]), labels, "planted", names))


def _farthest(x: np.ndarray, nodes: np.ndarray, among: int, rng: np.random.Generator) -> np.ndarray:
    """(n, features): for each of ``nodes`` (n,) the farthest of so many rows of ``x``."""
    drawn = x[rng.integers(0, len(x), (len(nodes), among))]
    apart = np.square(drawn - x[nodes, None]).sum(axis=-1)
    return drawn[np.arange(len(nodes)), apart.argmax(axis=1)]
