"""What networks on the nodes of a graph have in common: their layers' sizes, and how they join."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from jaxdl import layers


class NodeNetwork(nn.Module):
    """Layers on a graph, one upon the other (`jaxdl.layers.graph_stack`), with a head for nodes.

    Attributes:
      num_classes: features of the last layer.
      hidden: features of each layer before it.
      dropout: rate in front of every layer.
      residual: layers are added to what they read.
      jump: "concatenate" or "max" of all layers is read by a dense last one; "" for neither.
      norm: in front of each activation: "batch", "graph", "layer" or "" for none.
      dtype: of the computation; parameters and logits stay float32.
    """

    num_classes: int = 7
    hidden: Sequence[int] = (16,)
    dropout: float = 0.5
    residual: bool = False
    jump: str = ""
    norm: str = ""
    dtype: Any = jnp.float32

    @property
    def depth(self) -> int:
        """Layers on the graph."""
        return len(self.hidden) + (not self.jump)

    @nn.nowrap
    def numbered(self, name: str) -> int:
        """Which layer is called ``name`` in `jaxdl.layers.graph_stack`, from 0."""
        return len(self.hidden) if name == "head" else int(name.removeprefix("conv_"))

    @nn.nowrap
    def stacked(
        self,
        x: jax.Array,
        layer: Callable[[int, str], Callable[[jax.Array], jax.Array]],
        *,
        activation: Callable[[jax.Array], jax.Array],
        train: bool,
        **how: Any,
    ) -> jax.Array:
        """`jaxdl.layers.graph_stack` of this network's fields; called in its compact method.

        ``how`` are further arguments of it.
        """
        return layers.graph_stack(
            x,
            layer,
            self.hidden,
            self.num_classes,
            activation=activation,
            dropout=self.dropout,
            train=train,
            residual=self.residual,
            jump=self.jump,
            norm=self.norm,
            dtype=self.dtype,
            **how,
        )
