"""RandAugment and AugMix: operations of a table, drawn for every image, on the device.

Images are (batch, h, w, c) in [0, 1]; within, they are grey levels, of which there are 256. What
turns and moves an image turns no mask and no box: there is none of examples that have them.
"""

import functools
from collections.abc import Callable, Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxdl.data.augment import levels
from jaxdl.data.augment.transform import Batch, moves, need_no

# Magnitudes of RandAugment go from 0 to 30, AugMix's severities from 1 to 10.
BINS, SEVERITIES = 31, 10
# What AugMix leaves out, so that it shares nothing with what its robustness is judged by.
COLOURS = ("brightness", "color", "contrast", "sharpness")


class Operation(NamedTuple):
    """One of the table.

    Attributes:
      apply: (image (h, w, c) int32 in [0, 255], an argument) -> the same.
      arguments: (bins, 2, …), by magnitude and by sign; both signs are alike of what has none.
    """

    apply: Callable[[jax.Array, jax.Array], jax.Array]
    arguments: np.ndarray


def table(height: int, width: int, bins: int, farthest: float, posterized: int) -> dict:
    """{name: `Operation`} of images of this size, as torchvision's tables have them.

    Args:
      height: of the images.
      width: of the images.
      bins: magnitudes, from nothing to the most.
      farthest: share of a side that is the most that an image moves.
      posterized: bits that are left of eight at the least magnitude; at the most it is four fewer.
    """
    up = lambda most: np.linspace(0, most, bins)
    signed = lambda values: np.stack([values, -values], axis=1)
    alike = lambda values: np.stack([values, values], axis=1)
    one, none = np.ones((bins, 2)), np.zeros((bins, 2))
    whole = lambda *parts: levels.fixed(np.stack(np.broadcast_arrays(*parts), axis=-1))
    shear, turn = signed(up(0.3)), signed(up(30.0))
    along = lambda side: np.trunc(signed(up(farthest * side)))
    factors = (1 + signed(up(0.9))).astype(np.float32)
    bits = posterized - np.round(np.arange(bins) / ((bins - 1) / 4)).astype(np.int32)
    alone = lambda apply: Operation(lambda image, _: apply(image), none)
    return {
        "identity": alone(lambda image: image),
        "shear_x": Operation(levels.affine, whole(one, shear, none, none, one, none)),
        "shear_y": Operation(levels.affine, whole(one, none, none, shear, one, none)),
        "translate_x": Operation(levels.affine, whole(one, none, -along(width), none, one, none)),
        "translate_y": Operation(levels.affine, whole(one, none, none, none, one, -along(height))),
        "rotate": Operation(levels.affine, levels.fixed(levels.rotation(turn, height, width))),
        "brightness": Operation(levels.brightness, factors),
        "color": Operation(levels.color, factors),
        "contrast": Operation(levels.contrast, factors),
        "sharpness": Operation(levels.sharpness, factors),
        "posterize": Operation(levels.posterize, alike(bits)),
        "solarize": Operation(
            levels.solarize, alike(np.linspace(255.0, 0.0, bins)).astype(np.float32)
        ),
        "autocontrast": alone(levels.autocontrast),
        "equalize": alone(levels.equalize),
    }


def rand_augment_table(height: int, width: int) -> dict[str, Operation]:
    """The fourteen operations of RandAugment, of 31 magnitudes."""
    return table(height, width, BINS, 150 / 331, 8)


def aug_mix_table(height: int, width: int) -> dict[str, Operation]:
    """The nine of AugMix, of ten severities."""
    found = table(height, width, SEVERITIES, 1 / 3, 4)
    return {name: x for name, x in found.items() if name not in (*COLOURS, "identity")}


def applied(
    operations: Mapping[str, Operation],
    image: jax.Array,
    which: jax.Array,
    magnitude: jax.Array | int,
    sign: jax.Array,
) -> jax.Array:
    """Operation number ``which`` of an image (h, w, c) in grey levels."""
    branches = [
        functools.partial(
            lambda operation, image: operation.apply(
                image, jnp.asarray(operation.arguments)[magnitude, sign]
            ),
            operation,
        )
        for operation in operations.values()
    ]
    return jax.lax.switch(which, branches, image)


@moves("image")
def rand_augment(key: jax.Array, batch: Batch, count: int = 2, magnitude: int = 9) -> Batch:
    """``count`` operations on each image, each drawn out of fourteen, with either sign.

    Cubuk et al., 2019, "RandAugment", arXiv 1909.13719; the table is torchvision's.

    Args:
      key: typed random key.
      batch: with ``image`` (batch, h, w, c).
      count: operations in a row.
      magnitude: of all of them, from 0 to 30.
    """
    need_no("rand_augment", batch, "mask", "boxes")
    images = jnp.asarray(batch["image"])
    B, H, W, _ = images.shape
    operations = rand_augment_table(H, W)
    k_which, k_sign = jax.random.split(key)
    which_BxN = jax.random.randint(k_which, (B, count), 0, len(operations), jnp.int32)
    sign_BxN = jax.random.bernoulli(k_sign, jnp.float32(0.5), (B, count)).astype(jnp.int32)

    def one(image: jax.Array, which: jax.Array, sign: jax.Array) -> jax.Array:
        for i in range(count):
            image = applied(operations, image, which[i], magnitude, sign[i])
        return image

    made = jax.vmap(one)(_levels(images), which_BxN, sign_BxN)
    return {**batch, "image": _unit(made, images.dtype)}


@moves("image")
def aug_mix(
    key: jax.Array,
    batch: Batch,
    severity: int = 3,
    *,
    width: int = 3,
    depth: int = 3,
    alpha: float = 1.0,
) -> Batch:
    """A mixture of each image with ``width`` chains of operations on it.

    Hendrycks et al., 2019, "AugMix", arXiv 1912.02781, algorithm 1, without the consistency loss:
    ``m x + (1 - m) Σ w_i chain_i(x)``, m ~ Beta(α, α), w ~ Dirichlet(α).

    Args:
      key: typed random key.
      batch: with ``image`` (batch, h, w, c).
      severity: operations are as strong as one drawn from 1 to this, of 10.
      width: chains.
      depth: operations in a chain at most; how many is drawn too.
      alpha: > 0.
    """
    need_no("aug_mix", batch, "mask", "boxes")
    images = jnp.asarray(batch["image"])
    B, H, W, _ = images.shape
    operations = aug_mix_table(H, W)
    k_which, k_size, k_sign, k_depth, k_chains, k_share = jax.random.split(key, 6)
    shape = (B, width, depth)
    which = jax.random.randint(k_which, shape, 0, len(operations), jnp.int32)
    size = jax.random.randint(k_size, shape, 0, severity, jnp.int32)
    sign = jax.random.bernoulli(k_sign, jnp.float32(0.5), shape).astype(jnp.int32)
    depths = jax.random.randint(k_depth, (B, width), 1, depth + 1, jnp.int32)
    shares = jax.random.dirichlet(k_chains, jnp.full(width, alpha), (B,), jnp.float32)
    kept = jax.random.beta(k_share, alpha, alpha, (B,), jnp.float32)

    def chain(image, which, size, sign, length):
        for i in range(depth):
            made = applied(operations, image, which[i], size[i], sign[i])
            image = jnp.where(i < length, made, image)
        return image

    chains = jax.vmap(chain, (None, 0, 0, 0, 0))
    made = jax.vmap(chains)(_levels(images), which, size, sign, depths)  # (B, width, h, w, c)
    mixed = jnp.einsum("bn,bnhwc->bhwc", shares, _unit(made, jnp.float32))
    share = kept[:, None, None, None]
    return {**batch, "image": (share * images + (1 - share) * mixed).astype(images.dtype)}


@moves("image")
def random_erasing(
    key: jax.Array,
    batch: Batch,
    share: float = 0.5,
    *,
    area: tuple[float, float] = (0.02, 0.4),
    aspect: float = 0.3,
) -> Batch:
    """A rectangle of noise in a share of the images.

    Zhong et al., 2017, "Random erasing data augmentation", arXiv 1708.04896, algorithm 1, whose
    values are drawn for each pixel; a rectangle that is too long for an image is cut to its side,
    where the paper draws again.

    Args:
      key: typed random key.
      batch: with ``image`` (batch, h, w, c) in [0, 1].
      share: of the images that lose a rectangle.
      area: least and largest part of the image that it has.
      aspect: least ratio of its sides, whose inverse is the largest.
    """
    images = jnp.asarray(batch["image"])
    B, H, W, _ = images.shape
    k_which, k_area, k_aspect, k_place, k_noise = jax.random.split(key, 5)
    draw = functools.partial(jax.random.uniform, shape=(B,), dtype=jnp.float32)
    pixels = H * W * draw(k_area, minval=area[0], maxval=area[1])
    ratio = draw(k_aspect, minval=aspect, maxval=1 / aspect)
    place = jax.random.uniform(k_place, (2, B), jnp.float32)

    def inside(size: int, side_B: jax.Array, place_B: jax.Array) -> jax.Array:
        side_B = jnp.clip(jnp.round(side_B), 1, size)
        start_B = jnp.floor(place_B * (size - side_B + 1))
        at = jnp.arange(size) - start_B[:, None]
        return (at >= 0) & (at < side_B[:, None])

    rows = inside(H, jnp.sqrt(pixels * ratio), place[0])
    columns = inside(W, jnp.sqrt(pixels / ratio), place[1])
    erased = jax.random.bernoulli(k_which, jnp.float32(share), (B, 1, 1))
    box = (rows[:, :, None] & columns[:, None, :] & erased)[..., None]
    noise = jax.random.uniform(k_noise, images.shape, jnp.float32).astype(images.dtype)
    return {**batch, "image": jnp.where(box, noise, images)}


def _levels(images: jax.Array) -> jax.Array:
    return jnp.clip(jnp.round(images.astype(jnp.float32) * 255), 0, 255).astype(jnp.int32)


def _unit(grey: jax.Array, dtype: jnp.dtype) -> jax.Array:
    return (grey.astype(jnp.float32) / 255).astype(dtype)
