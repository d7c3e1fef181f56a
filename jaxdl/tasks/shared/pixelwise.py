"""Networks that say something of every pixel: what they see, and which pixels they tell of."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxdl.data.preprocess import unit_range


class Pixelwise(NamedTuple):
    """How images meet a network whose masks may be smaller than they are.

    Such a network has ``input_side`` and ``output_side``, as `jaxdl.models.unet.UNet` has. One
    without them gives masks of its images' size.

    Attributes:
      module: the network.
      standardise: images (batch, h, w, c) in [0, 1] -> what it takes.
      whole: whether images are continued at their edges, by mirroring, as far as the network needs
        to tell of all their pixels; otherwise it tells of those in the middle.
      shifts: along each axis, that `logits` averages over; 1 for the image as it is.
    """

    module: Any
    standardise: Callable[[jax.Array], jax.Array]
    whole: bool = True
    shifts: int = 1

    def logits(self, variables: Any, images: jax.Array) -> jax.Array:
        """(batch, h, w, classes) of images (batch, h, w, c), uint8 or floats in [0, 1].

        With ``shifts`` these are log-probabilities: the mean over images that are moved by 0 to
        ``shifts`` - 1 pixels along each axis (Coifman and Donoho, 1995, "Translation-Invariant
        De-Noising", call it cycle spinning). What halves its maps sees other places in each.
        """
        if self.shifts == 1:
            return self._logits(variables, images)
        n, (B, h, w, _) = self.shifts, images.shape
        around = ((0, 0), (n - 1, n - 1), (n - 1, n - 1), (0, 0))
        room = jnp.pad(unit_range(images), around, mode="edge")
        part = (B, h + n - 1, w + n - 1, images.shape[3])
        moved = lambda down, right: jax.lax.dynamic_slice(
            room, (0, n - 1 - down, n - 1 - right, 0), part
        )
        classes = jax.eval_shape(lambda: self._logits(variables, moved(0, 0))).shape[-1]

        def added(total: jax.Array, by: jax.Array) -> tuple[jax.Array, None]:
            found = jax.nn.softmax(self._logits(variables, moved(*by)))
            return total + jax.lax.dynamic_slice(found, (0, *by, 0), total.shape), None

        shifts = jnp.stack(jnp.meshgrid(jnp.arange(n), jnp.arange(n)), -1).reshape(-1, 2)
        total, _ = jax.lax.scan(added, jnp.zeros((B, h, w, classes)), shifts)
        return jnp.log(jnp.maximum(total / n**2, jnp.finfo(total.dtype).tiny))

    def _logits(self, variables: Any, images: jax.Array) -> jax.Array:
        return self.told(self.module.apply(variables, self.seen(images), train=False), images)

    def seen(self, images: jax.Array) -> jax.Array:
        """What the network gets of images (batch, h, w, c), uint8 or floats in [0, 1]."""
        x = self.standardise(unit_range(images))
        if not (self.whole and hasattr(self.module, "input_side")):
            return x
        sides = [self._around(side) for side in x.shape[1:3]]
        return jnp.pad(x, ((0, 0), *sides, (0, 0)), mode="symmetric") if any(map(any, sides)) else x

    def told(self, made: jax.Array, images: jax.Array) -> jax.Array:
        """Of what the network made, (batch, h', w', …), the pixels that are of ``images``."""
        return made[:, : images.shape[1], : images.shape[2]]

    def judged(self, pixels: jax.Array) -> jax.Array:
        """Of something of images, (batch, h, w, …), the pixels that the network tells of."""
        if self.whole or not hasattr(self.module, "output_side"):
            return pixels
        lost = [side - self.module.output_side(side) for side in pixels.shape[1:3]]
        top, left = (pixels_lost // 2 for pixels_lost in lost)
        height, width = pixels.shape[1:3]
        return pixels[:, top : top + height - lost[0], left : left + width - lost[1]]

    def _around(self, side: int) -> tuple[int, int]:
        """Pixels that come before and behind."""
        needed = self.module.input_side(side)
        before = (needed - self.module.output_side(needed)) // 2
        return before, needed - side - before
