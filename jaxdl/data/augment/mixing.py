"""Two examples made one: images and labels, which are then distributions over classes.

Labels are (batch, num_classes) float32. What an image shows where is not to be told from a mixture,
so there is none of examples with masks or boxes.
"""

import jax
import jax.numpy as jnp

from jaxdl.data.augment.transform import Batch, moves, need_no


def neighbour(a: jax.Array, by: int = 1) -> jax.Array:
    """The example ``by`` before each one, whose order is random already.

    A permutation would do the same, but gather the whole batch on every device of a mesh.
    """
    return jnp.roll(a, by, axis=0)


@moves("image", "label")
def mixup(key: jax.Array, batch: Batch, alpha: float) -> Batch:
    """Blends each example with the one before it by λ ~ Beta(α, α) (Zhang et al., 2017).

    Args:
      key: typed random key.
      batch: ``image`` (batch, h, w, c) and ``label`` (batch, num_classes), distributions.
      alpha: > 0.
    """
    need_no("mixup", batch, "mask", "boxes")
    images, labels = jnp.asarray(batch["image"]), jnp.asarray(batch["label"])
    share_B = jax.random.beta(key, alpha, alpha, images.shape[:1], jnp.float32)
    mix = lambda a, share: (share * a + (1 - share) * neighbour(a)).astype(a.dtype)
    mixed, labels = mix(images, share_B[:, None, None, None]), mix(labels, share_B[:, None])
    return {**batch, "image": mixed, "label": labels}


@moves("image", "label")
def cutmix(key: jax.Array, batch: Batch, alpha: float) -> Batch:
    """Pastes a box of the example before into each, labels mixed by area (Yun et al., 2019).

    The box has 1 - λ of the area, λ ~ Beta(α, α), at a uniform place, cut off at the edges; labels
    follow the area that is really covered. Arguments as `mixup`'s.
    """
    need_no("cutmix", batch, "mask", "boxes")
    images, labels = jnp.asarray(batch["image"]), jnp.asarray(batch["label"])
    k_share, k_place = jax.random.split(key)
    B, H, W, _ = images.shape
    side_B = jnp.sqrt(1 - jax.random.beta(k_share, alpha, alpha, (B,), jnp.float32))
    centre_2xB = jax.random.uniform(k_place, (2, B), jnp.float32) * jnp.array([[H], [W]])

    def inside(size: int, centre_B: jax.Array) -> jax.Array:
        half_B = side_B * size / 2
        low = jnp.clip(jnp.round(centre_B - half_B), 0, size)[:, None]
        high = jnp.clip(jnp.round(centre_B + half_B), 0, size)[:, None]
        at = jnp.arange(size)
        return (at >= low) & (at < high)

    box_BxHxW = inside(H, centre_2xB[0])[:, :, None] & inside(W, centre_2xB[1])[:, None, :]
    kept_B = jnp.maximum(
        1 - box_BxHxW.mean((1, 2), dtype=jnp.float32)[:, None], 0
    )  # rounding can leave -1e-8
    mixed = jnp.where(box_BxHxW[..., None], neighbour(images), images)
    labels = kept_B * labels + (1 - kept_B) * neighbour(labels)
    return {**batch, "image": mixed, "label": labels}
