"""Images to vectors, of which what is alike lies close together."""

import functools
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxdl import keys, models
from jaxdl.data import augment, class_batches, without_padding
from jaxdl.data.preprocess import unit_range
from jaxdl.errors import UserError
from jaxdl.losses.cosines import unit
from jaxdl.metrics import Mean
from jaxdl.tasks import Description, Run, Task, classification, learner, over_split, register
from jaxdl.tasks.shared import comparing, embedded
from jaxdl.tasks.shared.checks import check_at_least, check_counts, need_batches

# Numbers of a vector that a line tells; all are in embeddings.npy.
_TOLD = 8


@register("embedding", groups=("model", "augment", "pretrained"), derives=("num_classes",))
def embedding(
    run: Run,
    dimensions: int = 64,
    loss: str = "triplet",
    mining: str = "",
    margin: float = 0.0,
    temperature: float = 0.0,
    scale: float = 0.0,
    projection: int = 0,
    recalls: tuple = (1, 5),
    probe: tuple = (),
) -> Task:
    """Vectors of length 1, (batch, dimensions), of ``image`` (batch, h, w, c), by comparing.

    Args:
      run: the run's config and data. The model is any that classifies images, with a last layer of
        ``dimensions``. Batches are of so many classes by so many examples (``data.class_batches``)
        where the loss compares by classes.
      dimensions: of a vector.
      loss: "contrastive", "triplet", "supervised_contrastive" or "arcface" by ``label``; or, by
        two views of each image, which `config.augment` draws, without labels, "info_nce" or
        "nt_xent" (`jaxdl.losses.metric_learning`, `jaxdl.losses.cosines`).
      mining: of the triplets: "all", "hard" or "semi_hard", which "" is.
      margin: distance of "contrastive" (1) and "triplet" (0.2), angle of "arcface" (0.5); 0 is
        these, as it is for the next two.
      temperature: of the losses by cosines (0.1; "nt_xent" 0.5).
      scale: of "arcface" (64).
      projection: the loss sees vectors of this size, by a rectifier and a dense layer that are used
        in training alone (Chen et al., 2020, section 4.2); 0 has none.
      recalls: each k of ``recall_at_k``.
      probe: numbers of labels a class: ``probe_k`` is the accuracy of a linear classifier on the
        vectors of so few, ``pixels_k`` of one on their pixels.

    The metric of training is ``loss``, the mean over its terms; figures of evaluation are of the
    whole part (`jaxdl.metrics.retrieval`): the recalls, ``map_at_r`` and ``nmi``.
    """
    need_batches(run)
    check_counts(dimensions=dimensions)
    check_at_least(0, projection=projection)
    own = dict(mining=mining, margin=margin, temperature=temperature, scale=scale)
    kind, terms = comparing.create(loss, **own)
    _check(run, loss, kind, recalls, probe)
    module, weights, standardise, check = classification.start(run, dimensions)
    centres = len(run.data.class_names) if kind.centres else 0
    augmented = augment.create_alone(run.config.augment)
    seen = functools.partial(views, augmented, standardise, kind.views)
    compared = functools.partial(comparing.over_devices, terms, kind.views)
    loss_fn = functools.partial(training_loss, learner.forward(module), seen, compared)
    order = functools.cache(lambda: classification.call_order(module, standardise, run.data.train))
    start, update = learner.by_config(run, loss_fn, layers=lambda: models.outermost(order()))
    further = functools.partial(_with_further, dimensions, projection, centres)
    vectors_of = functools.partial(vectors, module, standardise)
    each = jax.jit(lambda state, batch, key: vectors_of(state, batch["image"]))
    over = lambda state, split: over_split(each, split, run.config.eval.batch_size, state)
    return Task(
        init=functools.partial(_init, module, standardise, weights, further, start),
        train_step=update,
        score=functools.partial(_score, over, run.data.train, recalls, probe),
        artifacts=functools.partial(_artifacts, over, run.data.class_names),
        parameters=lambda state: learner.parameters(state.params, order()),
        predict=lambda state, images: {"vector": vectors_of(state, images)},
        describe=describe,
        directions=embedded.directions(recalls, probe),
        check=check,
    )


def views(
    augmented: Callable[[jax.Array, Mapping], Mapping],
    standardise: Callable[[jax.Array], jax.Array],
    count: int,
    batch: Mapping,
    key: jax.Array,
) -> jax.Array:
    """``count`` augmentations of each image, (count·batch, h, w, c), one view after the other."""
    image = unit_range(batch["image"])
    key = keys.named(key, "augment")
    made = [augmented(jax.random.fold_in(key, i), {"image": image}) for i in range(count)]
    return standardise(jnp.concatenate([view["image"] for view in made]))


def training_loss(
    forward: Callable[..., tuple[jax.Array, dict[str, Any]]],
    seen: Callable[[Mapping, jax.Array], jax.Array],
    compared: Callable[..., Any],
    params: Any,
    model_state: Any,
    batch: Mapping,
    key: jax.Array,
) -> learner.Loss:
    """What the vectors of a batch are worth beside one another.

    Args:
      forward: of `jaxdl.tasks.learner.forward`.
      seen: (batch, key) -> what the network takes, of all views.
      compared: `jaxdl.tasks.shared.comparing.over_devices`.
      params: the network's, with ``projection`` and ``centres`` beside, if there are such.
      model_state: its other collections.
      batch: ``image`` and ``label``.
      key: of augmentation and dropout.
    """
    made, new_state = forward(params, model_state, key, seen(batch, key))
    if "projection" in params:
        made = jax.nn.relu(made) @ params["projection"]["kernel"] + params["projection"]["bias"]
    centres = params["centres"]["embedding"] if "centres" in params else None
    terms = compared(unit(made), batch["label"], centres, without_padding(batch))
    return learner.Loss(Mean(terms.total.sum(), terms.count.sum()), new_state, {})


def vectors(
    module: Any,
    standardise: Callable[[jax.Array], jax.Array],
    state: learner.Learner,
    images: jax.Array,
) -> jax.Array:
    """(batch, dimensions) of length 1, of images (batch, h, w, c), by the averages."""
    made = module.apply(state.best_variables, standardise(unit_range(images)), train=False)
    return unit(made)


def describe(prediction: Mapping[str, np.ndarray]) -> Description:
    """The first numbers of an example's ``vector`` (dimensions,)."""
    vector = prediction["vector"]
    more = " …" if len(vector) > _TOLD else ""
    line = " ".join(f"{x:+.3f}" for x in vector[:_TOLD]) + more
    return Description(line, {}, vector=vector)


def _check(run: Run, loss: str, kind: comparing.Kind, recalls: tuple, probe: tuple) -> None:
    """Raises UserError for settings that do not fit together."""
    config = run.config
    for name, counts in (("recalls", recalls), ("probe", probe)):
        if not all(type(k) is int and k > 0 for k in counts):
            raise UserError(f"config.task.{name}={counts!r} must be whole numbers above 0: (1, 5)")
    if not recalls:
        raise UserError("config.task.recalls=() must have a number at least: (1, 5)")
    if kind.by_class:
        class_batches.check_batch(run.data.train, config.batch_size, f"config.task.loss={loss!r}")
    for name in ("mixup", "cutmix"):
        if config.augment[name]:
            raise UserError(
                f"config.augment.{name}={config.augment[name]!r} mixes classes: task 'embedding' "
                "has no use of it"
            )
    if kind.among and config.accumulate > 1:
        raise UserError(
            f"config.accumulate={config.accumulate}: config.task.loss={loss!r} compares the "
            "examples of a whole batch, which cannot be cut"
        )
    if kind.views == 2 and config.batch_size < 2:
        raise UserError(
            f"config.batch_size={config.batch_size}: config.task.loss={loss!r} tells examples from "
            "one another, of which it takes two at least"
        )


def _with_further(
    dimensions: int, projection: int, centres: int, key: jax.Array, variables: Mapping
) -> dict[str, Any]:
    """The network's variables, and beside its parameters those of the loss."""
    normal = lambda name, *shape: jax.random.normal(keys.named(key, name), shape, jnp.float32)
    params = dict(variables["params"])
    if projection:
        kernel = normal("projection", dimensions, projection) * (2 / dimensions) ** 0.5
        params["projection"] = {"kernel": kernel, "bias": jnp.zeros(projection, jnp.float32)}
    if centres:
        params["centres"] = {"embedding": normal("centres", centres, dimensions)}
    return {**variables, "params": params}


def _init(
    module: Any,
    standardise: Callable[[jax.Array], jax.Array],
    weights: Callable[[Any], Any],
    further: Callable[[jax.Array, Mapping], dict[str, Any]],
    start: Callable[[Mapping], learner.Learner],
    key: jax.Array,
    batch: Mapping,
) -> learner.Learner:
    begin = lambda variables: start(further(key, weights(variables)))
    return classification.init(module, standardise, begin, key, batch)


def _score(
    over: Callable[[learner.Learner, Any], np.ndarray],
    train: Any,
    recalls: tuple,
    probe: tuple,
    state: learner.Learner,
    split: Any,
    key: jax.Array,
) -> dict[str, float]:
    found = embedded.figures(over(state, split), split.labels, recalls)
    return found | embedded.probed(functools.partial(over, state), train, split, probe)


def _artifacts(
    over: Callable[[learner.Learner, Any], np.ndarray],
    class_names: tuple[str, ...],
    state: learner.Learner,
    split: Any,
    key: jax.Array,
) -> dict[str, Any]:
    images = lambda places: split.take(places)["image"]
    return embedded.pictures(over(state, split), split.labels, class_names, images)
