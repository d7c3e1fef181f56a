"""A learned number for each way that one place of a map can lie from another."""

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from jaxdl.errors import UserError


class RelativeBias(nn.Module):
    """Added to the scores of attention among the places of a map (Dai et al., 2021, equation 3).

    Parameter: ``table`` (2h - 1, 2w - 1, heads), whose middle is what a place has for itself; row
    and column are the query's minus the key's. So it fits maps of one size only.

    Attributes:
      heads: of the attention.
      stride: pixels of the image between places, for the message about a wrong size.
    """

    heads: int
    stride: int = 1

    @nn.compact
    def __call__(self, h: int, w: int) -> jax.Array:
        """Returns (1, heads, h·w, h·w) float32, which `jaxdl.ops.attention` takes as its mask.

        Raises:
          UserError: the table was made for another size.
        """
        shape = (2 * h - 1, 2 * w - 1, self.heads)
        if self.has_variable("params", "table"):
            rows, columns, _ = self.get_variable("params", "table").shape
            fits = (rows + 1) // 2, (columns + 1) // 2
            if fits != (h, w):
                sizes = ("{}x{}".format(*(n * self.stride for n in x)) for x in (fits, (h, w)))
                raise UserError("relative positions for images of {}, not {}".format(*sizes))
        table = self.param("table", nn.initializers.normal(0.02), shape, jnp.float32)
        y, x = (places.reshape(-1) for places in np.mgrid[:h, :w])
        away = lambda places, n: places[:, None] - places[None, :] + n - 1
        return table[away(y, h), away(x, w)].transpose(2, 0, 1)[None]
