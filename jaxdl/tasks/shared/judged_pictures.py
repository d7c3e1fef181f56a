"""How enlarged pictures are judged, each as a whole: figures, and what a report shows."""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxdl.data import smaller
from jaxdl.data.preprocess import unit_range
from jaxdl.data.spread import evenly
from jaxdl.metrics import HIGH
from jaxdl.metrics import image_quality as figures
from jaxdl.ops import colours
from jaxdl.report import draw

# In the report: rows, and the pictures that they are looked for in.
_SHOWN, _LOOKED_THROUGH = 8, 16

# Decibels of what differs in nothing: in a mean, infinity would be all that counts.
MOST = 100.0

_OWN = ("psnr", "ssim")
DIRECTIONS = {
    **{f"{start}{name}": HIGH for start in ("", "bicubic_", "tile_") for name in _OWN},
    "gain": HIGH,
}

# (state, picture (h, w, c) uint8) -> (h * scale, w * scale, c) uint8.
Enlarge = Callable[[Any, np.ndarray], np.ndarray]


def of_each(found: jax.Array, true: jax.Array, edge: int) -> dict[str, jax.Array]:
    """``psnr``, at most 100 dB, and ``ssim`` of each picture, (batch,), as papers have them.

    Args:
      found: (batch, h, w, c) uint8, or floats in [0, 1], which are judged as the bytes that they
        would be written as.
      true: the same.
      edge: rows and columns at each edge that do not count: as many as the scale.
    """
    brightness = lambda images: figures.shaved(colours.luminance(_as_bytes(images)), edge)
    a, b = brightness(found), brightness(true)
    return {"psnr": jnp.minimum(figures.psnr(a, b), MOST), "ssim": figures.ssim(a, b)}


def _as_bytes(images: jax.Array) -> jax.Array:
    """In [0, 1], of whole numbers of 255."""
    return jnp.round(255 * jnp.clip(unit_range(images), 0, 1)) * (1 / 255)


_of_each = jax.jit(of_each, static_argnames="edge")


def score(enlarge: Enlarge, state: Any, split: Any, key: jax.Array) -> dict[str, float]:
    """`Task.score`: means over a split's whole pictures.

    Args:
      enlarge: what is judged.
      state: for it.
      split: `jaxdl.data.smaller.Patches`; of any other each example is a picture.
      key: draws nothing.

    Returns:
      ``psnr`` and ``ssim`` of luminance, without as many pixels at each edge as the scale;
      ``bicubic_psnr`` and ``bicubic_ssim``, what Pillow's bicubic filter reaches from the same
      small pictures; and ``gain``, the decibels over it.
    """
    found: dict[str, list[float]] = {}
    for small, large in _pairs(split):
        scale = large.shape[0] // small.shape[0]
        made = {"": enlarge(state, small), "bicubic_": smaller.enlarged(small, scale)}
        for start, picture in made.items():
            for name, value in _of_each(picture[None], large[None], edge=scale).items():
                found.setdefault(start + name, []).append(float(value[0]))
    means = {name: float(np.mean(values)) for name, values in found.items()}
    return {**means, "gain": means["psnr"] - means["bicubic_psnr"]}


def artifacts(
    enlarge: Enlarge, side: int, state: Any, split: Any, key: jax.Array
) -> dict[str, draw.Picture]:
    """`Task.artifacts`: the squares of the split's pictures that came out worst.

    Args:
      enlarge: what is judged.
      side: pixels of the small squares.
      state: for ``enlarge``.
      split: as `score`'s.
      key: draws nothing.
    """
    rows = []
    pairs = _pairs(split)
    for i in evenly(len(pairs), _LOOKED_THROUGH):
        rows += _squares(enlarge, side, state, pairs[i])
    if not rows:
        return {}
    worst = sorted(rows, key=lambda row: row[0])[:_SHOWN]
    lines = [text for _, _, captions in worst for text in captions]
    return {
        "Most wrong": draw.image_grid(
            np.concatenate([images for _, images, _ in worst]),
            lines,
            f"Of {len(rows)} squares of the evaluation part those with the lowest PSNR, of "
            f"luminance; {np.mean([row[0] for row in rows]):.2f} dB on average.",
            columns=4,
            inch=1.8,
        )
    }


# PSNR, (4, h, w, c) of what is shown, and what is written above each.
_Row = tuple[float, np.ndarray, Sequence[str]]


def _squares(enlarge: Enlarge, side: int, state: Any, pair: smaller.Pair) -> list[_Row]:
    small, large = pair
    scale = large.shape[0] // small.shape[0]
    wide = side * scale
    shown = {
        "small": small.repeat(scale, 0).repeat(scale, 1),
        "bicubic": smaller.enlarged(small, scale),
        "ours": enlarge(state, small),
        "true": large,
    }
    inside = [
        (y, x)
        for y in range(0, large.shape[0] - wide + 1, wide)
        for x in range(0, large.shape[1] - wide + 1, wide)
    ]
    cut = lambda picture: np.stack([picture[y : y + wide, x : x + wide] for y, x in inside])
    squares = {name: cut(picture) for name, picture in shown.items()}
    measured = functools.partial(_of_each, true=squares["true"], edge=scale)
    decibels = {name: np.asarray(measured(squares[name])["psnr"]) for name in ("bicubic", "ours")}
    told = lambda name, i: f"{name} {decibels[name][i]:.2f} dB" if name in decibels else name
    return [
        (
            float(decibels["ours"][i]),
            np.stack([found[i] for found in squares.values()]),
            [told(name, i) for name in squares],
        )
        for i in range(len(inside))
    ]


def _pairs(split: Any) -> Sequence[smaller.Pair]:
    """The whole pictures of a split."""
    if hasattr(split, "pictures"):
        return split.pictures
    batch = split.take(np.arange(len(split)))
    return [smaller.Pair(*each) for each in zip(batch["image"], batch["target"], strict=True)]
