"""Pictures of several things otherwise than they were taken: image, mask and boxes move together.

A batch has ``image`` (batch, h, w, c) floating in [0, 1]; it may have ``mask``, and ``boxes``
(batch, n, 4) with further arrays (batch, n) of the same things, `OBJECTS`.
"""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp

from jaxdl import keys
from jaxdl.data.augment import create_alone
from jaxdl.data.augment.geometry import random_flip, share_left
from jaxdl.data.augment.mixing import neighbour
from jaxdl.data.augment.transform import Batch, moves
from jaxdl.data.augment.window import random_window
from jaxdl.per_member import any_on

# Arrays (batch, n, …) of a picture's things. Those of ``crowd`` and ``difficult`` are not present:
# they are neither learned, nor wrong where they are found.
OBJECTS = ("boxes", "classes", "present", "crowd", "difficult", "visible")

# The share of a box's area that must be left of it.
LEAST_VISIBLE = 0.2


@moves("image", "mask", *OBJECTS)
def mosaic(key: jax.Array, batch: Batch, share: float) -> dict[str, Any]:
    """Joins parts of four pictures in ``share`` of the examples (Bochkovskiy et al., 2020).

    The four, each example and the three before it, meet at a uniform point with a corner each, at
    their own size, so that the part of each which lies across from that corner is cut off
    (arXiv:2004.10934, figure 3; without the four's own change of scale, which `random_affine` makes
    of the whole).

    Args:
      key: typed random key.
      batch: of pictures of one size.
      share: from 0 to 1.

    Returns:
      The batch with four times as many boxes an example, (batch, 4 n, 4), and likewise the other
      `OBJECTS`; those that cannot be seen are not ``present`` (``visible`` or not).
    """
    B, H, W, _ = batch["image"].shape
    k_which, k_place = jax.random.split(key)
    chosen = jax.random.bernoulli(k_which, jnp.float32(share), (B,))
    size = jnp.array([H, W], jnp.float32)
    place = jax.random.uniform(k_place, (B, 2), jnp.float32)
    # 0 is the picture as it is, in the lower right quarter.
    meet = jnp.where(chosen[:, None], jnp.floor(place * size), 0).astype(jnp.int32)

    def join(x: jax.Array) -> jax.Array:
        # In the pictures' own coordinates, where the parts do not overlap; then rolled into place.
        y, x_at = jnp.arange(H)[None, :, None], jnp.arange(W)[None, None]
        above, left = y >= H - meet[:, 0, None, None], x_at >= W - meet[:, 1, None, None]
        fit = lambda where: where.reshape(*where.shape, *(1,) * (x.ndim - 3))
        before = [neighbour(x, i) for i in range(4)]
        upper = jnp.where(fit(left), before[3], before[2])
        lower = jnp.where(fit(left), before[1], before[0])
        joined = jnp.where(fit(above), upper, lower)
        return jax.vmap(lambda x, by: jnp.roll(x, (by[0], by[1]), (0, 1)))(joined, meet)

    found = {name: join(batch[name]) for name in ("image", "mask") if name in batch}
    if "boxes" not in batch:
        return {**batch, **found}
    things = {name: jnp.asarray(batch[name]) for name in OBJECTS if name in batch}
    gathered = {name: [] for name in things}
    for i in range(4):  # as `join` numbers them: the lower right quarter, its left, those above
        own = {name: neighbour(x, i) for name, x in things.items()}
        low = jnp.stack([-W * (i % 2) + meet[:, 1], -H * (i // 2) + meet[:, 0]], axis=1)
        ends = jnp.tile(low, 2)[:, None].astype(own["boxes"].dtype)  # (B, 1, 4)
        whole = own["boxes"] + ends
        edges = jnp.clip(ends + jnp.array([0, 0, W, H], ends.dtype), 0, jnp.array([W, H, W, H]))
        cut = jnp.clip(whole, edges[..., [0, 1, 0, 1]], edges[..., [2, 3, 2, 3]])
        own["boxes"] = cut.astype(whole.dtype)
        left = share_left(cut, whole)
        if "visible" in own:
            own["visible"] = own["visible"] * left
        for name in ("present", "crowd", "difficult"):
            if name in own:
                own[name] = own[name] & (left > 0)
        for name, x in own.items():
            gathered[name].append(x)
    return {**batch, **found, **{name: jnp.concatenate(x, 1) for name, x in gathered.items()}}


def create(settings: Mapping[str, Any]) -> Callable[[jax.Array, Batch], dict[str, Any]]:
    """The augmentation that a config describes.

    Args:
      settings: the keys of `config.augment_scene` (see `jaxdl.config`); 0 or False leaves one out.

    Returns:
      A function (key, batch) -> batch, free to jit. A box that is cut is what is left of it; one
      of which less than a fifth of the area is left is not ``present`` any more, nor ``crowd`` or
      ``difficult``, and is 0. With mosaic there are four times as many boxes.
    """
    s = settings
    alone = create_alone(s)

    def augment(key: jax.Array, batch: Batch) -> dict[str, Any]:
        with_boxes = "boxes" in batch
        if with_boxes:
            batch = {**batch, "visible": jnp.ones(batch["boxes"].shape[:2], jnp.float32)}
        if any_on(s["mosaic"]):
            batch = mosaic(keys.named(key, "mosaic"), batch, s["mosaic"])
        batch = alone(keys.named(key, "alone"), batch)
        if s["flip_vertical"]:
            batch = random_flip(keys.named(key, "flip_vertical"), batch, vertical=True)
        if s["window"]:
            batch = random_window(keys.named(key, "window"), batch, s["window"])
        return without_hidden(batch) if with_boxes else dict(batch)

    return augment


def without_hidden(batch: Batch) -> dict[str, Any]:
    """The batch without ``visible``; things of which less than a fifth is visible are gone."""
    batch = dict(batch)
    seen = batch.pop("visible") >= LEAST_VISIBLE
    there = jnp.zeros(seen.shape, bool)
    for name in ("present", "crowd", "difficult"):
        if name in batch:
            batch[name] = batch[name] & seen
            there = there | batch[name]
    batch["boxes"] = jnp.where(there[..., None], batch["boxes"], 0)
    return batch
