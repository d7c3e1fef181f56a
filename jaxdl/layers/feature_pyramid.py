"""The feature pyramid: maps of a backbone, each of which learns what the coarser ones have seen."""

from collections.abc import Mapping
from typing import Any

import jax
from flax import linen as nn

from jaxdl.layers.convolution import Conv

# Var[w] = 1 / fan_in, uniform, as torchvision draws its pyramid.
_UNIFORM = nn.initializers.lecun_uniform()


class FeaturePyramid(nn.Module):
    """Maps of one number of features, finest first (Lin et al., 2017, section 3).

    ``inner_{i}`` is a 1x1 convolution of the i-th finest map; the next coarser one's sum, enlarged,
    is added; ``outer_{i}``, 3x3, is what comes out. There are no activations.

    Attributes:
      features: of each map that comes out.
      extra: coarser maps that follow, each every second cell of the one before.
      dtype: of the computation.
    """

    features: int = 256
    extra: int = 1
    dtype: Any = None

    @nn.compact
    def __call__(self, maps: Mapping[int, jax.Array]) -> dict[int, jax.Array]:
        """{stride: (batch, h, w, c)}, to {stride: (batch, h, w, features)}.

        Each map's sides must be the next coarser one's, times the ratio of their strides.
        """
        conv = lambda name, kernel: Conv(
            self.features, kernel, kernel_init=_UNIFORM, dtype=self.dtype, name=name
        )
        strides, found, above = sorted(maps), {}, None
        for i in reversed(range(len(strides))):
            x = conv(f"inner_{i}", 1)(maps[strides[i]])
            if above is not None:
                x = x + _enlarged(above, strides[i + 1] // strides[i])
            above = x
            found[strides[i]] = conv(f"outer_{i}", 3)(x)
        coarse = strides[-1]
        for _ in range(self.extra):
            found[2 * coarse] = found[coarse][:, ::2, ::2]
            coarse *= 2
        return dict(sorted(found.items()))


def _enlarged(x: jax.Array, times: int) -> jax.Array:
    """Each cell so many times in both directions."""
    return x.repeat(times, axis=1).repeat(times, axis=2)
