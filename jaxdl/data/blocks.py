"""A graph of any size, drawn, of which is known how well its nodes can be told apart."""

from collections.abc import Sequence

import numpy as np

from jaxdl.data import Data, block_model, csr, large_graph, register, sampled_links
from jaxdl.errors import UserError


@register("blocks")
def blocks(
    nodes: int = 1_000_000,
    edges: int = 10_000_000,
    communities: int = 5,
    features: int = 16,
    within: float = 0.5,
    signal: float = 1.0,
    data_seed: int = 0,
    seeds: int = 512,
    fan_out: Sequence[int] = (10, 10),
    labels_per_class: int = 0,
    label_seed: int = 0,
    held_out: float = 0.0,
    split_seed: int = 0,
    whole: bool = False,
) -> Data:
    """A stochastic block model's graph, whose nodes have features by their class.

    Args:
      nodes: of them, as many of each class.
      edges: undirected, between different pairs.
      communities: the classes, 2 or more.
      features: of a node: ``signal`` in a direction of its class, and normal noise of deviation 1.
        The directions are at right angles, as far as there are so many.
      within: the share of edges inside of a class; 1 / communities would tell nothing.
      signal: the length of a class' mean.
      data_seed: of all that is drawn, but for which labels are known.
      seeds: nodes of a neighbourhood, or edges with held_out; ``batch_size`` counts neighbourhoods.
      fan_out: neighbours that are drawn for a node, one number a layer.
      labels_per_class: known labels of each class; all others are to be found.
      label_seed: of the draw of known labels.
      held_out: the share of edges that are to be found, for task "sampled_link_prediction"; 0:
        nodes are classified, and all edges known.
      split_seed: of the draw of these edges.
      whole: the graph is one piece, for tasks such as "node_classification"; seeds and fan_out are
        then not used.

    A note tells what no classifier exceeds but by chance: how often the likeliest class is right
    given a node's own features and the true classes of all other nodes, which is more than anybody
    is told. How near to that one comes who is told no more than there is, `jaxdl.data.block_model`
    has a way to find out. Of links the note tells the area under the curve
    (`jaxdl.metrics.ranking`) of who knows all classes, and so which pairs are of one.
    """
    for name, value, low in (
        ("communities", communities, 2),
        ("features", features, 1),
        ("edges", edges, 1),
        ("nodes", nodes, 2 * communities),
    ):
        if value < low:
            raise UserError(f"data.{name}={value} must be at least {low}")
    if not 0 < within < 1:
        raise UserError(f"data.within={within} must be above 0 and below 1")
    if not 0 <= signal < float("inf"):
        raise UserError(f"data.signal={signal} must be at least 0")
    if held_out and labels_per_class:
        raise UserError(
            f"data.labels_per_class={labels_per_class} is for classes of nodes, and "
            f"data.held_out={held_out} for links: set one of them"
        )
    if held_out and whole:
        raise UserError(
            f"data.held_out={held_out} is for what is drawn from a graph, and not with "
            "data.whole=True"
        )
    # A node has few of its class to be joined to, and the last free pairs are found by chance.
    most = nodes * (nodes // communities) // 4
    if edges > most:
        raise UserError(f"data.edges={edges} must be at most {most} with {nodes} nodes")
    rng = np.random.default_rng(data_seed)
    labels = rng.permutation(np.arange(nodes, dtype=np.int32) % communities)
    means = directions(communities, features, rng) * np.float32(signal)
    x = rng.standard_normal((nodes, features), np.float32)
    x += means[labels]
    pairs = block_model.draw_pairs(labels, communities, edges, within, rng)
    graph = csr.create(*pairs, nodes, "blocks")
    if held_out:
        best = (1 + within - 1 / communities) / 2
        return sampled_links.create(
            graph,
            x,
            "blocks",
            held_out=held_out,
            split_seed=split_seed,
            seeds=seeds,
            fan_out=fan_out,
            notes=(f"nothing finds links here with an AUROC above {best:.4f}, but by chance",),
        )
    evidence = block_model.of_features(x, means)
    evidence += block_model.of_neighbours(
        graph, labels, communities, block_model.odds(within, communities)
    )
    best = (evidence.argmax(axis=1) == labels).mean()
    return large_graph.create(
        graph,
        x,
        labels,
        [str(i) for i in range(communities)],
        "blocks",
        seeds=seeds,
        fan_out=fan_out,
        labels_per_class=labels_per_class,
        label_seed=label_seed,
        whole=whole,
        notes=(f"no classifier has an accuracy above {best:.4f} here, but by chance",),
    )


def directions(classes: int, features: int, rng: np.random.Generator) -> np.ndarray:
    """(classes, features) float32 of length 1, at right angles if there are no more classes."""
    drawn = rng.standard_normal((features, classes))
    if classes <= features:
        drawn = np.linalg.qr(drawn)[0]
    return (drawn / np.linalg.norm(drawn, axis=0)).T.astype(np.float32)
