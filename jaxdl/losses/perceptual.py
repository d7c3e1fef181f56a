"""How alike pictures are by the maps that a network makes of them, and how smooth they are.

Gatys, Ecker and Bethge, 2016, "Image Style Transfer Using Convolutional Neural Networks" (CVPR),
and Johnson, Alahi and Fei-Fei, 2016, "Perceptual Losses for Real-Time Style Transfer and
Super-Resolution" (arXiv 1603.08155). No network stands here: what is compared are maps, or what a
function makes of pictures that gives {layer: map (batch, h, w, c)}.

Each loss is one number an example, in float32 or wider. Layers count alike, and their number does
not count, as where Gatys et al. give each of L layers the weight 1 / L; Johnson et al. add.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxdl import ops
from jaxdl.losses.per_example import mse

Maps = Mapping[str, jax.Array]


class Weights(NamedTuple):
    """What each part counts in a sum; numbers, such as config settings.

    Attributes:
      content: of `content_loss`.
      style: of `style_loss`.
      variation: of `total_variation`.
    """

    content: Any = 1.0
    style: Any = 1.0
    variation: Any = 0.0


class Parts(NamedTuple):
    """The losses that pictures are made by, (batch,) each.

    Attributes:
      content: `content_loss`.
      style: `style_loss`.
      variation: `total_variation`.
    """

    content: jax.Array
    style: jax.Array
    variation: jax.Array

    def total(self, weights: Weights) -> jax.Array:
        """Their weighted sum, (batch,)."""
        pairs = zip(weights, self, strict=True)
        return sum(weight * part for weight, part in pairs)


def gram(features: jax.Array) -> jax.Array:
    """How often channels are there together, wherever: ``G = FᵀF / (h w)``, F of (h w, c).

    Gatys et al., equation 3, over the number of places, so that pictures of other sizes compare.

    Args:
      features: (batch, h, w, c).

    Returns:
      (batch, c, c).
    """
    flat = features.reshape(len(features), -1, features.shape[-1])
    # In full precision on every kind of device: a TPU's usual product is of bfloat16.
    with jax.default_matmul_precision("highest"):
        product = jax.vmap(lambda rows: ops.dense(rows.T, rows, wide=True))(flat)
    return product / flat.shape[1]


def grams(maps: Maps) -> dict[str, jax.Array]:
    """`gram` of each layer."""
    return {layer: gram(features) for layer, features in maps.items()}


def content_loss(found: Maps, wanted: Maps) -> jax.Array:
    """Mean squared difference of maps: Johnson et al., equation 2; a mean over layers.

    Gatys et al., equation 1, take half of the sum over a map in place of its mean.

    Args:
      found: {layer: (batch, h, w, c)}.
      wanted: the same layers.

    Returns:
      (batch,).
    """
    return _mean(mse(found[layer], wanted[layer]) for layer in wanted)


def style_loss(found: Maps, wanted: Maps) -> jax.Array:
    """Mean squared difference of Gram matrices: Johnson et al., equation 4; a mean over layers.

    A layer's is four times that of Gatys et al., equation 4. (In Johnson et al. the matrix is over
    the channels too, and the norm is of the sum, which comes to the same.)

    Args:
      found: {layer: maps (batch, h, w, c)}, of any h and w.
      wanted: {layer: `gram` (batch, c, c), or (1, c, c) for all}, of the style.

    Returns:
      (batch,).
    """
    of_layer = lambda layer: gram(found[layer])
    pairs = ((of_layer(layer), wanted[layer]) for layer in wanted)
    return _mean(mse(own, jnp.broadcast_to(style, own.shape)) for own, style in pairs)


def total_variation(images: jax.Array) -> jax.Array:
    """Mean squared difference of a pixel to the next, to the right plus below, (batch,).

    Mahendran and Vedaldi, 2015 (arXiv 1412.0035), equation 5 with β = 2, over the number of
    differences: 0 of one colour; a picture of one row or column has those of one direction alone.

    Args:
      images: (batch, h, w, c), not 1 x 1.
    """
    images = images.astype(ops.wide_dtype(images.dtype))
    steps = [images[:, 1:] - images[:, :-1], images[:, :, 1:] - images[:, :, :-1]]
    return sum(jnp.square(step).reshape(len(step), -1).mean(1) for step in steps if step.size)


def parts(
    look: Callable[[jax.Array], Maps], images: jax.Array, content: Maps, style: Maps
) -> Parts:
    """How far pictures are from what they are to show and from how they are to look.

    Args:
      look: pictures -> {layer: map}, all layers of ``content`` and ``style``.
      images: (batch, h, w, c).
      content: {layer: map (batch, h', w', c')} of what they are to show.
      style: {layer: `gram` (batch or 1, c', c')} of how they are to look.
    """
    found = look(images)
    return Parts(content_loss(found, content), style_loss(found, style), total_variation(images))


def _mean(losses: Any) -> jax.Array:
    found = list(losses)
    return sum(found) / len(found)
