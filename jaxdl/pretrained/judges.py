"""Networks by whose features generated images are judged, with their weights.

>>> judge = inception("pt_inception-2015-12-05-6726825d.pth")
>>> real, made = (judge.of_folder(folder).features for folder in ("real", "made"))
>>> sample_quality.frechet_distance(real, made)

Figures are named after the judge, "fid/inception" or "fid/digits": those of two judges have nothing
to do with each other.
"""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from etils import epath

from jaxdl import paths, pretrained
from jaxdl.data import pictures
from jaxdl.errors import UserError

# Pixels a side that each judge sees.
INCEPTION_SIZE, DIGITS_SIZE = 299, 8

# What the digits' judge calls its classes.
DIGITS = tuple("0123456789")

_DIGITS = Path(__file__).parent / "digits_judge.npz"
_EXACT = jax.lax.Precision.HIGHEST


class Seen(NamedTuple):
    """What a judge makes of images.

    Attributes:
      features: (n, d) float32.
      logits: (n, classes) float32.
    """

    features: Any
    logits: Any


class Judge(NamedTuple):
    """A network that is not to change.

    Attributes:
      name: behind the stroke of the figures that are by its features.
      size: pixels a side that it sees; so are channels.
      variables: its weights, on the host.
      fit: images (n, h, w, c) in [0, 1], float32, to (n, size, size, channels); free to jit.
      look: (variables, what `fit` made) -> `Seen`; free to jit.
    """

    name: str
    size: int
    channels: int
    variables: Any
    fit: Callable[[jax.Array], jax.Array]
    look: Callable[[Any, jax.Array], Seen]

    def of(self, variables: Any, images: jax.Array) -> Seen:
        """Of images (n, h, w, c), uint8 or floats in [0, 1]; free to jit."""
        if images.dtype == jnp.uint8:
            images = images / jnp.float32(255)
        return self.look(variables, self.fit(images.astype(jnp.float32)))

    def of_folder(self, folder: str | Path, at_once: int = 32) -> Seen:
        """Of all pictures in a folder and those below, in the order of their names, on the host.

        Each is brought to the judge's size by itself, so that they may be of any sizes.

        Args:
          folder: with files that Pillow reads; others are left out.
          at_once: pictures a call of the network.

        Raises:
          UserError: there are no pictures, or one of them is broken.
        """
        root = epath.Path(paths.expanded(str(folder)))
        found = pictures.below(root)
        variables, look = jax.device_put(self.variables), jax.jit(self.look)
        seen = []
        for start in range(0, len(found), at_once):
            part = found[start : start + at_once]
            batch = np.concatenate([self._seen(file) for file in part])
            filled = np.concatenate([batch, np.repeat(batch[-1:], at_once - len(part), axis=0)])
            made = jax.device_get(look(variables, filled))
            seen.append(jax.tree.map(lambda x, part=part: x[: len(part)], made))
        return jax.tree.map(lambda *parts: np.concatenate(parts), *seen)

    def _seen(self, file: epath.Path) -> np.ndarray:
        """A picture as the network sees it, (1, size, size, channels) float32."""
        with pictures.opened(file) as found:
            pixels = np.asarray(pictures.decoded(found, file, self.channels), np.float32)
        return np.asarray(self.fit(pixels.reshape(1, *pixels.shape[:2], self.channels) / 255))


def inception(path: str | Path) -> Judge:
    """Inception v3 as Heusel et al., 2017, use it: 2048 features, 1008 logits, in float32.

    Images of any size are brought to 299 pixels bilinearly without antialiasing, and to [-1, 1].

    Args:
      path: the weights that pytorch-fid publishes, pt_inception-2015-12-05-6726825d.pth, or the
        same as .safetensors.

    Raises:
      UserError: the file is missing, damaged, or holds other weights.
    """
    found = pretrained.tensors.locate(path)
    return _inception(str(found), found.stat().st_mtime)


@functools.lru_cache(maxsize=1)
def _inception(path: str, stamp: float) -> Judge:
    module, variables = pretrained.load(path, "inception_v3_fid")

    def look(variables: Any, images: jax.Array) -> Seen:
        with jax.default_matmul_precision("highest"):  # a TPU's usual products are of bfloat16
            return Seen(*module.apply(variables, 2 * images - 1, pooled=True))

    fit = lambda images: bilinear(in_colour(images), INCEPTION_SIZE)
    host = jax.tree.map(np.asarray, variables)
    return Judge("inception", INCEPTION_SIZE, 3, host, fit, look)


@functools.cache
def digits() -> Judge:
    """A small classifier of scikit-learn's digits: 32 features of images of 8x8 pixels in grey.

    Two dense layers with ReLU; the features are what the second gives. It has learned from the
    training part of the usual split (data.split_seed=0), and names .98 of the others rightly.
    """
    with np.load(_DIGITS) as file:
        variables = {name: file[name].astype(np.float32) for name in file.files}

    def look(variables: Any, images: jax.Array) -> Seen:
        x = images.reshape(len(images), -1)
        dense = lambda x, name: (
            jnp.dot(x, variables[f"{name}/kernel"], precision=_EXACT) + variables[f"{name}/bias"]
        )
        features = jax.nn.relu(dense(jax.nn.relu(dense(x, "dense_0")), "dense_1"))
        return Seen(features, dense(features, "head"))

    return Judge("digits", DIGITS_SIZE, 1, variables, _small, look)


def sees_digits(shape: tuple[int, ...]) -> bool:
    """Whether `digits` can look at images (h, w, c)."""
    height, width, channels = shape
    return height == width and height % DIGITS_SIZE == 0 and channels == 1


def bilinear(images: jax.Array, size: int) -> jax.Array:
    """(n, h, w, c) float32 to (n, size, size, c), without antialiasing.

    What PyTorch's interpolate gives with align_corners=False, where it enlarges and where it
    shrinks: each pixel is a mean of the two nearest in each direction, whatever else there is. Of
    an array on the host it is one there, and nothing is compiled for its size.
    """
    rows, columns = (_between(n, size) for n in images.shape[1:3])
    on_host = isinstance(images, np.ndarray)
    product = np.matmul if on_host else functools.partial(jnp.matmul, precision=_EXACT)
    n, height, _, channels = images.shape
    across = product(columns, images).reshape(n, height, size * channels)
    return product(rows, across).reshape(n, size, size, channels)


def in_colour(images: jax.Array) -> jax.Array:
    """(n, h, w, 3), of as many channels or of one."""
    return images if images.shape[-1] == 3 else images.repeat(3, axis=-1)


def _between(count: int, size: int) -> np.ndarray:
    """(size, count): what each new pixel takes of the old ones, along one direction."""
    place = np.maximum((np.arange(size) + 0.5) * (count / size) - 0.5, 0)
    first = np.minimum(place.astype(np.int64), count - 1)
    second = np.minimum(first + 1, count - 1)
    shares = np.zeros((size, count), np.float32)
    np.add.at(shares, (np.arange(size), first), 1 - (place - first))
    np.add.at(shares, (np.arange(size), second), place - first)
    return shares


def _small(images: jax.Array) -> jax.Array:
    """(n, h, w, 1), sides a multiple of 8, to means (n, 8, 8, 1)."""
    n, height = images.shape[:2]
    if not sees_digits(images.shape[1:]):
        raise UserError(
            f"the digits' judge sees squares in grey whose side is a multiple of {DIGITS_SIZE}, "
            f"not images {images.shape[1:]}"
        )
    step = height // DIGITS_SIZE
    return images.reshape(n, DIGITS_SIZE, step, DIGITS_SIZE, step, 1).mean(axis=(2, 4))
