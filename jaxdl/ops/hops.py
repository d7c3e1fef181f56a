"""A part of a graph that was drawn for a few of its nodes: each layer tells of fewer of them."""

import dataclasses

import jax

from jaxdl.ops.graph import Edges


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Hops:
    """Nodes in the order in which they were found, those that are asked for first.

    What the last layer tells of the first nodes it hears from what the layer before it tells of
    these and the nodes they were joined to, and so on: each reads a part of what the one before it
    reads, and nothing is computed that is not asked for.

    Attributes:
      edges: all that were drawn, sorted by target, so that those to the first nodes come first. A
        target that is no node is padding.
      nodes: of how many nodes each layer tells.
      counts: how many edges arrive there, at most: what follows is of others, or padding.
    """

    edges: Edges
    nodes: tuple[int, ...] = dataclasses.field(metadata=dict(static=True))
    counts: tuple[int, ...] = dataclasses.field(metadata=dict(static=True))


def of_layer(edges: Edges | Hops, layer: int) -> tuple[Edges, int | None]:
    """The edges that a layer, counted from 0, hears by, and of how many nodes it tells.

    Of a whole graph these are all edges, and None for all nodes.
    """
    if isinstance(edges, Edges):
        return edges, None
    first = edges.counts[layer]
    return jax.tree.map(lambda x: x[:first], edges.edges), edges.nodes[layer]
