"""Each of the graphs that lie side by side as one row."""

from typing import Any

import jax
from flax import linen as nn

from jaxdl import ops
from jaxdl.layers.graph_norm import GraphAttentionPool
from jaxdl.registry import choose

POOLS = ("sum", "mean", "max", "attention")


class GraphPool(nn.Module):
    """(places, features) -> (graphs, features); a graph without nodes is 0.

    Parameters: ``gate`` of `GraphAttentionPool`, with "attention".

    Attributes:
      how: "sum", which tells most multisets apart (Xu et al., 2019, section 4), "mean", "max" or
        "attention".
      dtype: of the computation.
    """

    how: str = "sum"
    dtype: Any = None

    @nn.compact
    def __call__(self, x: jax.Array, members: ops.Members) -> jax.Array:
        """Empty places count as none.

        Raises:
          UserError: no such way.
        """
        choose("pool", self.how, dict.fromkeys(POOLS))
        if self.how == "attention":
            pooled = GraphAttentionPool(dtype=self.dtype, name="gate")(x, *members)
        else:
            pooled = ops.segment_reduction(self.how)(x, *members)
        return pooled[::2]
