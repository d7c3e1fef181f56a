"""One graph on several devices: a part of its nodes on each, with the edges that arrive there."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxdl import ops
from jaxdl.errors import UserError
from jaxdl.tasks.shared import side_by_side
from jaxdl.tasks.shared.checks import check_counts
from jaxdl.tasks.shared.contract import Run
from jaxdl.tasks.shared.side_by_side import State

SETTING = "config.task.parts"


class Divided(NamedTuple):
    """Where a graph's nodes lie.

    Attributes:
      parts: how many the graph is cut into; 1 leaves nodes where they are.
      at: (nodes,) integers, the place of each.
      places: how many there are, of which some may be empty.
    """

    parts: int
    at: np.ndarray
    places: int

    def laid(self, x: np.ndarray) -> np.ndarray:
        """(places, …): the rows of ``x`` (nodes, …) where their nodes lie, and 0 elsewhere."""
        made = np.zeros((self.places, *x.shape[1:]), x.dtype)
        made[self.at] = x
        return made

    def of_nodes(self, x: jax.Array) -> jax.Array:
        """(nodes, …): the rows of ``x`` (places, …) in the nodes' order."""
        return x if self.parts == 1 else x[self.at]

    @property
    def is_node(self) -> np.ndarray | None:
        """(places,) float32, 0 of an empty one; None where there may be none."""
        return None if self.parts == 1 else self.laid(np.ones(len(self.at), np.float32))

    def adjacency(
        self,
        made_of: Callable[..., ops.Edges],
        edges: np.ndarray,
        weights: np.ndarray | None = None,
        room: int = 1,
    ) -> ops.Edges:
        """``made_of(edges, nodes, weights)`` of edges (edges, 2), by part.

        ``room`` is for how many edges each part has room at least.
        """
        with jax.ensure_compile_time_eval():
            whole = made_of(edges, len(self.at), weights)
            whole = whole if self.parts > 1 else ops.in_rows(whole, len(self.at))
        return whole if self.parts == 1 else ops.edges_in_parts(whole, self.at, self.parts, room)

    def pairs(self, pairs: np.ndarray) -> np.ndarray:
        """``pairs`` (n, 2) of nodes, or their places (parts, n / parts, 2), as many in each part.

        What fills up is a place with itself: `jaxdl.tasks.shared.links.is_pair`.
        """
        if self.parts == 1:
            return pairs
        made = np.zeros((self.parts * -(-len(pairs) // self.parts), 2), np.int32)
        made[: len(pairs)] = self.at[pairs]
        return made.reshape(self.parts, -1, 2)

    def some_pairs(self, pairs: np.ndarray) -> np.ndarray:
        """The same of such as some are to be drawn of: a few stand there twice to fill up."""
        room = self.parts * -(-len(pairs) // self.parts)
        return self.pairs(np.resize(pairs, (room, 2)))

    def partition(self, *alike: str) -> Callable[[State], State]:
        """`Task.partition`, of a graph in parts: all but ``alike`` is split, learners are not.

        Of one part learners are.
        """
        if self.parts == 1:
            return side_by_side.partition
        return lambda state: side_by_side.alike(state, *alike)

    @property
    def shared(self) -> tuple[str, int] | None:
        """`jaxdl.tasks.Task.shared`."""
        return None if self.parts == 1 else (SETTING, self.parts)


def divide(run: Run, module: Any, edges: np.ndarray, nodes: int, parts: int) -> Divided:
    """A graph for a run that has it in ``parts``, by undirected edges (edges, 2).

    Raises:
      UserError: more parts than nodes, a network that takes all nodes' means, or devices that each
        see a part of a batch.
    """
    check_counts(parts=parts)
    if parts == 1:
        return Divided(1, np.arange(nodes), nodes)
    config = run.config
    if parts > nodes:
        raise UserError(f"{SETTING}={parts} must be at most {nodes}, the nodes of the graph")
    if config.parallel.strategy != "jit":
        raise UserError(
            f"{SETTING}={parts} must be 1 with config.parallel.strategy="
            f"{config.parallel.strategy!r}: a graph lies in parts by 'jit'"
        )
    if getattr(module, "norm", "") in ("batch", "graph"):
        raise UserError(
            f"{SETTING}={parts} must be 1 with config.model.norm={module.norm!r}, which is over "
            "all nodes of a graph: or set 'layer' or ''"
        )
    at = ops.places_in_parts(np.bincount(edges.ravel(), minlength=nodes), parts)
    return Divided(parts, at, parts * -(-nodes // parts))
