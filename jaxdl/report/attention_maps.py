"""Where attention looks: the weights that a model's layers give each place, collected and drawn."""

import functools
import math
import re
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from jaxdl.report import draw
from jaxdl.trees import path_name

# The most that a picture shows.
_LAYERS, _HEADS = 6, 8

# Weights that are there at a time: half a gigabyte. A ViT-L/16 has 15 million of an image of 224
# pixels, a ViT-B/8 89 million.
_MOST_WEIGHTS = 1 << 27

# Of what covers the patch that counts most, over an image of which so much is left.
_COLOR, _SHARE, _FADED = draw.rgb(draw.COLORS[1]), 0.85, 0.4


def collect(module: nn.Module, variables: Any, *inputs: Any) -> dict[str, np.ndarray]:
    """The attention weights of every layer in one forward pass.

    Args:
      module: any; of its layers those count that are `jaxdl.layers.MultiHeadAttention`.
      variables: its own.
      *inputs: of its `__call__`.

    Returns:
      {"block_0/attention": (batch, heads, T, S), …} float32, by the numbers in the names; empty
      where nothing attends.
    """
    run = functools.partial(_sown, module)
    if not jax.eval_shape(run, variables, *inputs):
        return {}  # without compiling what would find nothing
    found = jax.jit(run)(variables, *inputs)
    return {name: np.asarray(found[name], np.float32) for name in sorted(found, key=_by_number)}


def _sown(module: nn.Module, variables: Any, *inputs: Any) -> dict[str, jax.Array]:
    """`collect`, free to jit, in no order."""
    _, kept = module.apply(variables, *inputs, mutable=["intermediates"])
    return {
        path_name(path[:-2]): leaf
        for path, leaf in jax.tree_util.tree_leaves_with_path(kept.get("intermediates", {}))
        if path_name(path[-2:-1]) == "weights"
    }


def _by_number(name: str) -> list[int | str]:
    return [int(x) if x.isdigit() else x for x in re.split(r"(\d+)", name)]


def rollout(weights: Sequence[jax.Array]) -> jax.Array:
    """How much of each token's input is in each token behind the last layer, by attention alone.

    Abnar and Zuidema, 2020, "Quantifying Attention Flow in Transformers", section 3: half of what a
    layer gives is what its heads saw, whose weights are averaged, the other half is what it was
    given; the layers' matrices are multiplied.

    Args:
      weights: (batch, heads, T, T) of each layer, the first layer first; rows sum to 1.

    Returns:
      (batch, T, T) float32: row t is of token t, and sums to 1. Free to jit.
    """
    whole = itself = jnp.eye(weights[0].shape[-1], dtype=jnp.float32)
    for layer in weights:
        mixed = (layer.astype(jnp.float32).mean(axis=1) + itself) / 2
        whole = jnp.matmul(mixed, whole, precision=jax.lax.Precision.HIGHEST)
    return whole


def to_patches(module: nn.Module, variables: Any, images: jax.Array) -> jax.Array:
    """How much of each patch is in what a Vision Transformer's head reads, by `rollout`.

    Args:
      module: one of which `images_at_once` is not 0.
      variables: its own.
      images: (batch, h, w, c), as the module takes them.

    Returns:
      (batch, h / patch_size, w / patch_size) float32, of the class token, or the mean over patches
      where the mean is read; sums to 1, but for what the class token keeps of itself. Free to jit.
    """
    found = _sown(module, variables, images)
    whole = rollout([found[name] for name in sorted(found, key=_by_number)])
    rows, columns = _grid(module, images)
    with_token = whole.shape[-1] > rows * columns
    read = whole[:, 0, 1:] if with_token else whole.mean(axis=1)
    return read.reshape(-1, rows, columns)


def images_at_once(module: nn.Module, variables: Any, images: Any) -> int:
    """How many images `to_patches` has the memory for at a time; nothing is computed.

    Args:
      module: any.
      variables: its own, or their shapes.
      images: (batch, h, w, c), or their shape.

    Returns:
      0 where a single image is too many, or where the module is of another kind than those that
      have a ``patch_size`` and attend in every layer from all patches, with one token in front of
      them or none, to all.
    """
    if not getattr(module, "patch_size", 0):
        return 0
    one = jax.ShapeDtypeStruct((1, *images.shape[1:]), images.dtype)
    found = jax.eval_shape(functools.partial(_sown, module), variables, one)
    patches = math.prod(_grid(module, one))
    square = {(T, T) for T in (patches, patches + 1)}
    shapes = {x.shape[2:] for x in found.values()}
    if len(shapes) != 1 or not shapes <= square:
        return 0
    return _MOST_WEIGHTS // sum(math.prod(x.shape) for x in found.values())


def _grid(module: nn.Module, images: Any) -> tuple[int, int]:
    height, width = images.shape[1:3]
    return height // module.patch_size, width // module.patch_size


def over_images(
    images: np.ndarray, shares: np.ndarray, captions: Sequence[str], caption: str = ""
) -> draw.Picture:
    """Images, and below each the same with its patches coloured by what they count for.

    Args:
      images: (n, h, w, c), uint8 or in [0, 1]; of other than 3 channels the first, black on white.
      shares: (n, rows, columns), which divide h and w; an image's least is left as it is.
      captions: n lines.
      caption: of the whole.
    """
    least, most = (pick(shares, axis=(1, 2), keepdims=True) for pick in (np.min, np.max))
    spread = np.maximum(most - least, np.finfo(np.float32).tiny)
    dark = _SHARE * (shares - least) / spread
    for axis in (1, 2):
        dark = dark.repeat(images.shape[axis] // shares.shape[axis], axis=axis)
    seen = draw.ink(images)
    # Faded: on black no colour would be seen.
    faded = 1 - _FADED * (1 - seen)
    below = (1 - dark[..., None]) * faded + dark[..., None] * np.array(_COLOR)
    told = [f"{a:.1%} to {b:.1%}" for a, b in zip(least.ravel(), most.ravel(), strict=True)]
    pair = np.concatenate([np.broadcast_to(seen, below.shape), below])
    return draw.image_grid(pair, [*captions, *told], caption, columns=len(images))


def _short(name: str) -> str:
    """Of "decoder_block_0/cross_attention", "block 0": as many letters as have room."""
    found = re.search(r"(?:layer|block|stage)(?:_\d+)+", name)
    return (found[0] if found else name.removesuffix("/attention"))[-11:].replace("_", " ")


def picture(maps: dict[str, np.ndarray], caption: str = "") -> draw.Picture:
    """The maps of the first example, a row a layer and a column a head.

    Args:
      maps: of `collect`, at least one; the first heads of layers evenly spread are shown.
      caption: what was looked at.
    """
    names = list(maps)
    chosen = np.unique(np.linspace(0, len(names) - 1, _LAYERS).round().astype(int))
    heads = min(_HEADS, *(maps[names[i]].shape[1] for i in chosen))
    shown = [(names[i], head, maps[names[i]][0, head]) for i in chosen for head in range(heads)]
    return draw.image_grid(
        np.stack([weights / weights.max() for _, _, weights in shown])[..., None],
        [f"{_short(name)}, head {head}" for name, head, _ in shown],
        f"{caption} A row of a map is a place, its columns are those it looks at; the darkest is "
        "the highest weight of the map.",
        columns=heads,
    )
