"""The head of a region proposal network: which anchors hold something, and how it lies in them."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from jaxdl import ops
from jaxdl.layers.conv_act import ConvAct
from jaxdl.layers.convolution import Conv

_DRAWN = nn.initializers.normal(0.01)


class RegionProposals(nn.Module):
    """One small network for all maps (Ren et al., 2015, section 3.1).

    Submodules: ``shared``, 3x3 with a ReLU; ``objectness`` and ``deltas``, 1x1.

    Attributes:
      each: anchors at a cell.
      dtype: of the computation; what comes out is in at least float32.
    """

    each: int
    dtype: Any = None

    @nn.compact
    def __call__(self, maps: Mapping[int, jax.Array]) -> tuple[jax.Array, jax.Array]:
        """(batch, n) logits and (batch, n, 4) deltas of all anchors.

        By map, finest first, then row, column and anchor, as `jaxdl.ops.boxes.anchors` has them;
        deltas as `jaxdl.ops.boxes.decode` takes them.
        """
        features = next(iter(maps.values())).shape[-1]
        shared = ConvAct(features, 3, kernel_init=_DRAWN, dtype=self.dtype, name="shared")
        of_each = lambda name, count: Conv(
            count * self.each, 1, kernel_init=_DRAWN, dtype=self.dtype, name=name
        )
        objectness, deltas = of_each("objectness", 1), of_each("deltas", 4)
        found = []
        for stride in sorted(maps):
            x = shared(maps[stride])
            batch = x.shape[0]
            found.append((objectness(x).reshape(batch, -1), deltas(x).reshape(batch, -1, 4)))
        return tuple(
            ops.widen(jnp.concatenate(parts, axis=1)) for parts in zip(*found, strict=True)
        )
