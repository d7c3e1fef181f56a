"""A network on all nodes of a graph, layer after layer, a part of the nodes at a time.

Hamilton et al., 2017, section 4.1, and what has become usual: one layer for all nodes, then the
next, so that nothing is computed twice, and every node hears all of its neighbours.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxdl import ops, parallel
from jaxdl.data.csr import Csr
from jaxdl.data.split import Batch
from jaxdl.tasks.shared.splits import over_split

Layer = Callable[[Any, Batch, jax.Array], jax.Array]


class Stretches:
    """A split whose examples are stretches of a graph's nodes, with all edges that arrive there.

    Args:
      graph: which.
      edges: of a stretch, at most, if no node alone has more.
    """

    def __init__(self, graph: Csr, edges: int):
        self._graph = graph
        self._edges = min(max(edges, int(graph.degrees.max(initial=0)), 1), len(graph.indices) or 1)
        starts = [0]
        while starts[-1] < graph.nodes:
            stop = (
                np.searchsorted(graph.indptr, graph.indptr[starts[-1]] + self._edges, "right") - 1
            )
            # Nodes without edges take room too.
            starts.append(min(int(stop), starts[-1] + self._edges, graph.nodes))
        self._starts = np.array(starts)
        self._nodes = int(np.diff(self._starts).max())

    def __len__(self) -> int:
        """How many there are."""
        return len(self._starts) - 1

    def take(self, indices: np.ndarray) -> Batch:
        """Stretches at ``indices`` (n,).

        Returns:
          ``node`` (n, nodes) int32, ``source`` (n, edges) int32, nodes of the graph, and ``target``
          (n, edges) int32, places in ``node``; one behind the last fills up; ``weight`` (n, edges)
          float32 of a graph that has weights.
        """
        made = {
            "node": np.zeros((len(indices), self._nodes), np.int32),
            "source": np.zeros((len(indices), self._edges), np.int32),
            "target": np.full((len(indices), self._edges), self._nodes, np.int32),
        }
        weights = self._graph.weights
        if weights is not None:
            made["weight"] = np.zeros((len(indices), self._edges), np.float32)
        for i, index in enumerate(indices):
            start, stop = self._starts[index : index + 2]
            ends = self._graph.indptr[start : stop + 1]
            count = ends[-1] - ends[0]
            made["node"][i, : stop - start] = np.arange(start, stop)
            made["source"][i, :count] = self._graph.indices[ends[0] : ends[-1]]
            made["target"][i, :count] = np.repeat(np.arange(stop - start), np.diff(ends))
            if weights is not None:
                made["weight"][i, :count] = weights[ends[0] : ends[-1]]
        return made

    def joined(self, rows: np.ndarray) -> np.ndarray:
        """(nodes, …) of what was computed of all stretches, (stretches, nodes, …), in order."""
        return rows[np.arange(self._nodes) < np.diff(self._starts)[:, None]]


def of_all(
    module: Any, graph: Csr, features: np.ndarray, edges: int
) -> Callable[[Any], np.ndarray]:
    """A function variables -> what ``module`` tells of all nodes, as `layer_wise` has it.

    Args:
      module: `jaxdl.models.node_network.NodeNetwork`.
      graph: of the nodes.
      features: (nodes, features).
      edges: at once, on each device.
    """
    each, stretches = layers(module), functools.cache(lambda: Stretches(graph, edges))
    return lambda variables: layer_wise(each, bool(module.jump), variables, features, stretches())


def layers(module: Any) -> list[Layer]:
    """Functions ((variables, x), `Stretches` batch, key) -> (stretches, nodes, features).

    One for each layer of ``module`` (`jaxdl.models.node_network.NodeNetwork`), compiled once. x is
    what the layer before it told of all nodes; of a head that reads all layers what each did.
    """
    return [jax.jit(functools.partial(_layer, module, i)) for i in range(len(module.hidden) + 1)]


def _layer(
    module: Any, index: int, state: tuple[Any, Any], batch: Batch, key: jax.Array
) -> jax.Array:
    variables, x = state

    def one(batch: Batch) -> jax.Array:
        node, source, target = (batch[name] for name in ("node", "source", "target"))
        if isinstance(x, tuple):
            near, source = tuple(told[node] for told in x), source[:0]
        else:
            near = x[jnp.concatenate([node, source])]
        places = len(node) + jnp.arange(len(source), dtype=jnp.int32)
        count = len(source)
        weight = batch["weight"][:count] if "weight" in batch else None
        edges = module.drawn(places, target[:count], jnp.ones(count, jnp.float32), weight)
        hops = ops.Hops(edges, (len(node),) * module.depth, (len(source),) * module.depth)
        return module.apply(variables, near, hops, train=False, only=index)

    return jax.vmap(one)(dict(batch))


def layer_wise(
    each: Sequence[Layer], jump: bool, variables: Any, features: np.ndarray, stretches: Stretches
) -> np.ndarray:
    """(nodes, …): what the last layer tells of all nodes, on the host.

    Args:
      each: of `layers`.
      jump: whether the last one reads all others.
      variables: of the network.
      features: (nodes, features).
      stretches: of the graph; each device takes one at a time.
    """
    layout = parallel.layout_of(variables)
    place = jnp.asarray if layout is None else lambda x: jax.device_put(x, layout.replicated)
    told, x = [], place(features)
    of_all = lambda layer, x: stretches.joined(over_split(layer, stretches, 1, (variables, x)))
    for layer in each[:-1]:
        x = place(of_all(layer, x))
        told += [x] if jump else []
    return of_all(each[-1], tuple(told) if jump else x)
