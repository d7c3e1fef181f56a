"""What tasks that lead images through a code share: the model, anomalies, and pictures."""

import functools
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from jaxdl import keys, models
from jaxdl.data import Data, without_padding
from jaxdl.data.preprocess import unit_range
from jaxdl.errors import UserError
from jaxdl.metrics import ranking
from jaxdl.report import draw
from jaxdl.tasks import learner
from jaxdl.tasks.shared import generation
from jaxdl.tasks.shared.checks import need_batches
from jaxdl.tasks.shared.contract import Run
from jaxdl.tasks.shared.model import build_model
from jaxdl.tasks.shared.splits import EachFn, over_split

# Pairs of images that strips lead from one to the other of, and the images between.
_PAIRS, _BETWEEN = 4, 6

# The most codes in a plane.
_CODES = 2000


def create_model(run: Run, parts: int, example: str) -> tuple[nn.Module, tuple[int, ...]]:
    """The model for the run's images, and their shape (h, w, c).

    Args:
      run: the run's config and data.
      parts: arrays that the model's ``encode`` and ``decode`` return: 1, or 2 of distributions.
      example: a model of this kind, for messages.

    Raises:
      UserError: no images, or a model that does not encode and decode them.
    """
    need_batches(run)
    config = run.config
    shape = run.data.train.take(np.arange(1))["image"].shape[1:]
    module = build_model(run, {"shape": shape}, because="as the images have it")

    def through(images: jax.Array) -> tuple[Any, Any]:
        encode, decode = (
            functools.partial(module.init_with_output, keys.root(0), method=method)
            for method in ("encode", "decode")
        )
        code, _ = encode(images)
        return code, decode(jax.tree.leaves(code)[0])[0]

    fits = all(callable(getattr(module, m, None)) for m in ("encode", "decode"))
    if fits:
        made = jax.eval_shape(through, jax.ShapeDtypeStruct((1, *shape), jnp.float32))
        fits = all(len(jax.tree.leaves(part)) == parts for part in made)
    if not fits:
        raise UserError(
            f"task {config.task.name!r} needs a model that encodes and decodes, such as "
            f"{example!r}, not {config.model.name!r}"
        )
    return module, shape


def parameters(
    module: nn.Module, shape: tuple[int, ...], state: learner.Learner
) -> dict[str, jax.Array]:
    """`Task.parameters` of a model of `create_model`, for its images' shape (h, w, c)."""
    image = jax.ShapeDtypeStruct((1, *shape), jnp.float32)
    return learner.parameters(state.params, models.call_order(module, image))


def init(
    module: nn.Module,
    start: Callable[[Mapping], learner.Learner],
    key: jax.Array,
    batch: Mapping,
) -> learner.Learner:
    """`Task.init` of a model of `create_model`; ``start`` is `jaxdl.tasks.learner.by_config`'s."""
    return start(module.init(key, unit_range(batch["image"][:1])))


def score(
    each: EachFn, data: Data, at_once: int, state: learner.Learner, split: Any, key: jax.Array
) -> dict[str, float]:
    """`Task.score`: ``auroc`` of how little each image is like what was learned.

    Args:
      each: (state, batch, key) -> (batch,), higher for what is less like it.
      data: with an anomaly.
      at_once: images at a time.
      state: for ``each``; so is key.
      split: the evaluation part.
      key: its stream "score" is used.
    """
    found = over_split(each, split, at_once, state, keys.named(key, "score"))
    return {"auroc": ranking.auroc(found, split.labels == data.anomaly)}


def known(batch: Mapping, data: Data) -> jax.Array | None:
    """Weights (batch,) of what counts in an evaluation: no padding, and no anomalies."""
    if data.anomaly is None:
        return without_padding(batch)
    return without_padding(batch, (batch["label"] != data.anomaly).astype(jnp.float32))


def pictures(
    encode: EachFn,
    decode: Callable[[jax.Array], jax.Array],
    state: learner.Learner,
    scores: np.ndarray,
    said: str,
    split: Any,
    data: Data,
    at_once: int,
) -> dict[str, draw.Picture]:
    """What the report of any such task shows of an evaluation split.

    Args:
      encode: (state, batch with ``image`` (n, h, w, c), key) -> codes (n, d).
      decode: codes (n, d) -> images (n, h, w, c).
      state: for ``encode``.
      scores: (size,), of the split's images, higher for what is less like the training part.
      said: what these are.
      split: the evaluation part.
      data: has the classes.
      at_once: images that are encoded at a time.
    """
    codes, decode = over_split(encode, split, at_once, state), jax.jit(decode)
    return {
        "Most anomalous": most_anomalous(scores, said, split, data),
        "Between two images": interpolations(codes, decode, split, data),
        "Codes by class": plane(codes, split.labels, data),
    }


def beside(rows: Mapping[str, jax.Array]) -> draw.Picture:
    """Images (n, h, w, c) in [0, 1] above what was made of them, by name."""
    images = np.concatenate([np.asarray(row).clip(0, 1) for row in rows.values()])
    count = len(images) // len(rows)
    captions = [name for name in rows for _ in range(count)]
    return draw.image_grid(images, captions, "Evaluation images.", columns=count)


def shown(split: Any, count: int = 8) -> jax.Array:
    """Images (count, h, w, c) of a split, float32 in [0, 1], evenly spread."""
    return jnp.asarray(generation.spread(split, count))


def most_anomalous(scores: np.ndarray, said: str, split: Any, data: Data) -> draw.Picture:
    """The 16 images of a split with the highest scores (n,), and these."""
    worst = np.argsort(-scores, kind="stable")[:16]
    labels = split.labels[worst]
    caption = f"The highest of {len(scores)}: {said}, behind the class."
    if data.anomaly is not None:
        caption += (
            f" {(labels == data.anomaly).sum()} of these {len(worst)} are of the class that was "
            f"not learned from, {data.class_names[data.anomaly]}."
        )
    captions = [
        f"{data.class_names[c]}  {scores[i]:.3g}" for c, i in zip(labels, worst, strict=True)
    ]
    return draw.image_grid(split.take(worst)["image"], captions, caption)


def interpolations(
    codes: np.ndarray, decode: Callable[[jax.Array], jax.Array], split: Any, data: Data
) -> draw.Picture:
    """Strips from one image of a split to one of another class, straight on between their codes.

    Args:
      codes: (n, d), of the split's images.
      decode: codes (n, d) -> images (n, h, w, c).
      split: where the images are from; anomalies are left out.
      data: has the classes.
    """
    labels = split.labels
    usual = np.flatnonzero(labels != (-1 if data.anomaly is None else data.anomaly))
    # Evenly spread, each with the next of another class.
    first = usual[np.linspace(0, len(usual), _PAIRS, endpoint=False).astype(np.int64)]
    other = lambda i: next((j for j in usual if j > i and labels[j] != labels[i]), usual[0])
    ends_Px2 = np.array([(i, other(i)) for i in first])
    share_B = np.linspace(0, 1, _BETWEEN)
    start_PxD, stop_PxD = codes[ends_Px2].swapaxes(0, 1)
    between_PxBxD = start_PxD[:, None] + share_B[:, None] * (stop_PxD - start_PxD)[:, None]
    made = np.asarray(decode(between_PxBxD.reshape(_PAIRS * _BETWEEN, -1)))
    images = generation.spread(split.subset(ends_Px2.ravel()), ends_Px2.size)
    images = images.reshape(_PAIRS, 2, *made.shape[1:])
    made = made.reshape(_PAIRS, _BETWEEN, *made.shape[1:]).clip(0, 1)
    strips = np.concatenate([images[:, :1], made, images[:, 1:]], axis=1)
    return draw.image_grid(
        strips.reshape(-1, *made.shape[2:]),
        ["image", *(f"{share:.0%}" for share in share_B), "image"] * _PAIRS,
        "Two evaluation images in each row, and between them what lies on the straight line from "
        "the code of one to the code of the other.",
        columns=_BETWEEN + 2,
    )


def plane(codes: np.ndarray, labels: np.ndarray, data: Data) -> draw.Picture:
    """The codes (n, d) of images with ``labels`` (n,), coloured by class.

    Two dimensions are shown as they are, more by their first two principal components.
    """
    chosen = np.linspace(0, len(codes) - 1, min(_CODES, len(codes))).astype(np.int64)
    codes, labels = np.asarray(codes[chosen], np.float64), labels[chosen]
    dimensions = codes.shape[1]
    if dimensions <= 2:
        points = np.pad(codes, ((0, 0), (0, 2 - dimensions)))
        said, axes = "The codes.", ("first dimension", "second dimension")
    else:
        centred = codes - codes.mean(axis=0)
        _, sizes, directions = np.linalg.svd(centred, full_matrices=False)
        points = centred @ directions[:2].T
        variance = np.square(sizes)
        said = (
            f"The first two principal components of the codes, which have {dimensions} dimensions: "
            f"{variance[:2].sum() / max(variance.sum(), 1e-30):.0%} of their variance."
        )
        axes = ("first component", "second component")
    return draw.scatter(points, labels, data.class_names, said, axes)
