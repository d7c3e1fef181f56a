"""Images made larger by a whole number of times, bicubically."""

import functools

import jax
import jax.numpy as jnp
import numpy as np

# Keys, 1981, equation 4: the value that makes it exact of parabolas, as Pillow, MATLAB and jax
# have it. PyTorch and OpenCV take -.75.
_A = -0.5


def enlarge(x: jax.Array, scale: int) -> jax.Array:
    """Cubic convolution (Keys, 1981, equation 15) in both directions; free to jit.

    At an edge the pixels that are there are weighed so that their weights have the sum 1, as Pillow
    and `jax.image.resize` have it: of floats all three are the same within rounding. Of bytes
    Pillow makes whole numbers after each direction, and cuts them at 0 and 255; nothing is rounded
    or cut here.

    Every pixel is the same sum of its neighbours wherever it is in the image, in the same order: a
    part of an image is enlarged to the bits that the whole has there.

    Args:
      x: (batch, h, w, c), floating.
      scale: at least 1.

    Returns:
      (batch, h * scale, w * scale, c), in x's dtype.
    """
    for axis in (1, 2):
        x = _along(x, axis, scale)
    return x


def _along(x: jax.Array, axis: int, scale: int) -> jax.Array:
    x = jnp.moveaxis(x, axis, 1)
    size = x.shape[1]
    padded = jnp.pad(x, ((0, 0), (2, 2), *((0, 0),) * (x.ndim - 2)))
    there = jnp.pad(jnp.ones(x.shape[1:2], x.dtype), (2, 2)).reshape(1, -1, *(1,) * (x.ndim - 2))

    def phase(i: int) -> jax.Array:
        """The pixels that lie i-th in theirs."""
        weights = _weights((i + 0.5) / scale - 0.5).tolist()
        summed = lambda x: functools.reduce(
            jnp.add, [x[:, k : k + size] * weight for k, weight in enumerate(weights) if weight]
        )
        return summed(padded) / summed(there)

    made = jnp.stack([phase(i) for i in range(scale)], axis=2)
    return jnp.moveaxis(made.reshape(x.shape[0], size * scale, *x.shape[2:]), 1, axis)


def _weights(offset: float) -> np.ndarray:
    """(5,): of the pixels from 2 before to 2 behind, of a point ``offset`` pixels off."""
    far = np.abs(np.arange(-2, 3) - offset)
    near = ((_A + 2) * far - (_A + 3)) * far**2 + 1
    outer = ((far - 5) * far + 8) * far * _A - 4 * _A
    return np.where(far < 1, near, np.where(far < 2, outer, 0.0))
