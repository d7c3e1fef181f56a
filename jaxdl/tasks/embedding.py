"""Images, or texts, to vectors, of which what is alike lies close together."""

import functools
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from jaxdl import keys, models
from jaxdl.data import class_batches, without_padding
from jaxdl.data.preprocess import unit_range
from jaxdl.errors import UserError
from jaxdl.losses.cosines import unit
from jaxdl.metrics import Mean
from jaxdl.per_member import any_on
from jaxdl.tasks import Description, Run, Task, learner, over_split, register
from jaxdl.tasks.shared import comparing, embedded, text_encoder, trunks, verifying
from jaxdl.tasks.shared.checks import check_at_least, check_counts

# Numbers of a vector that a line tells; all are in embeddings.npy.
_TOLD = 8


@register(
    "embedding",
    groups=("model", "augment", "pretrained"),
    derives=(*text_encoder.DERIVED, "num_classes"),
    any_length=True,
)
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
    verification: str = "",
    pixels: float = 0.0,
) -> Task:
    """Vectors of length 1, (batch, dimensions), by comparing examples.

    Args:
      run: the run's config and data: batches with ``image`` (batch, h, w, c), of any model that
        classifies images, or ``tokens`` and ``mask`` (batch, T), of an encoder such as BERT, which
        is called as `jaxdl.models.bert.BERT` is with output "classifier"; its last layer is of
        ``dimensions``. Batches are of so many classes by so many examples (``data.class_batches``)
        where the loss compares by classes.
      dimensions: of a vector.
      loss: "contrastive", "triplet", "supervised_contrastive" or "arcface" by ``label``; or, by
        two views of each example, without labels, "info_nce" or "nt_xent"
        (`jaxdl.losses.metric_learning`, `jaxdl.losses.cosines`). `config.augment` draws the views
        of an image; those of a text differ by dropout.
      mining: of the triplets: "all", "hard" or "semi_hard", which "" is.
      margin: distance of "contrastive" (1) and "triplet" (0.2), angle of "arcface" (0.5); 0 is
        these, as it is for the next two.
      temperature: of the losses by cosines (0.1; "nt_xent" 0.5).
      scale: of "arcface" (64).
      projection: the loss sees vectors of this size, by a rectifier and a dense layer that are used
        in training alone (Chen et al., 2020, section 4.2); 0 has none.
      recalls: each k of ``recall_at_k``.
      probe: numbers of labels a class: ``probe_k`` is the accuracy of a linear classifier on the
        vectors of so few, ``pixels_k`` of one on their pixels; of images alone.
      verification: tells pairs of one class from others by a threshold on their cosine, chosen on
        the validation part: "equal" where false accepts are as frequent as false rejects, or the
        share of false accepts that is allowed, such as "0.01" (`jaxdl.tasks.shared.verifying`).
      pixels: weight of the image itself, its pixels in [0, 1] as a vector of length 1, behind what
        the network makes of it, (batch, dimensions + h·w·c): by 1 two images are as alike as both
        say in the mean. What a network does not learn of classes that it never sees, as who drew
        them, is kept so. The loss sees the network's alone; 0 leaves it at that.

    The metric of training is ``loss``, the mean over its terms; figures of evaluation are of the
    whole part (`jaxdl.metrics.retrieval`): the recalls, ``map_at_r`` and ``nmi``.
    """
    check_counts(dimensions=dimensions)
    check_at_least(0, projection=projection, pixels=pixels)
    own = dict(mining=mining, margin=margin, temperature=temperature, scale=scale)
    kind, terms = comparing.create(loss, **own)
    trunk = trunks.create(run, dimensions, kind.views)
    _check(run, loss, kind, recalls, probe, trunk.are_texts)
    verifying.check(run, verification)
    centres = len(run.data.class_names) if kind.centres else 0
    compared = functools.partial(comparing.over_devices, terms, kind.views)
    loss_fn = functools.partial(training_loss, learner.forward(trunk.module), trunk.views, compared)
    order = trunk.order
    start, update = learner.by_config(run, loss_fn, layers=lambda: models.outermost(order()))
    further = functools.partial(_with_further, dimensions, projection, centres)
    vectors_of = functools.partial(vectors, trunk.module, trunk.inputs, pixels)
    each = jax.jit(lambda state, batch, key: vectors_of(state, batch))
    over = lambda state, split: over_split(each, split, run.config.eval.batch_size, state)
    put_to_use = (
        dict(embed=functools.partial(text_encoder.each_text, each, run.data, 0))
        if trunk.are_texts
        else dict(
            predict=lambda state, images: {"vector": vectors_of(state, {"image": images})},
            describe=describe,
        )
    )
    judged = functools.partial(verifying.figures, over, run.data.validation, verification)
    return Task(
        init=lambda key, batch: trunk.init(lambda made: start(further(key, made)), key, batch),
        train_step=update,
        score=functools.partial(_score, over, run.data.train, recalls, probe, judged),
        artifacts=functools.partial(
            _artifacts, over, run.data.class_names, trunk.shown, bool(verification)
        ),
        parameters=lambda state: learner.parameters(state.params, order()),
        directions=embedded.directions(recalls, probe) | verifying.DIRECTIONS,
        check=trunk.check,
        **put_to_use,
    )


def training_loss(
    forward: Callable[..., tuple[jax.Array, dict[str, Any]]],
    seen: Callable[[Mapping, jax.Array], trunks.Inputs],
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
      batch: of examples with ``label``.
      key: of augmentation and dropout.
    """
    made, new_state = forward(params, model_state, key, *seen(batch, key))
    if "projection" in params:
        made = jax.nn.relu(made) @ params["projection"]["kernel"] + params["projection"]["bias"]
    centres = params["centres"]["embedding"] if "centres" in params else None
    terms = compared(unit(made), batch["label"], centres, without_padding(batch))
    return learner.Loss(Mean(terms.total.sum(), terms.count.sum()), new_state, {})


def vectors(
    module: nn.Module,
    inputs: Callable[[Mapping], trunks.Inputs],
    pixels: float,
    state: learner.Learner,
    batch: Mapping,
) -> jax.Array:
    """(batch, dimensions), or more with ``pixels``, of length 1, by the averages."""
    made = unit(module.apply(state.best_variables, *inputs(batch), train=False))
    if not any_on(pixels):
        return made
    images = unit_range(batch["image"]).reshape(made.shape[0], -1)
    return unit(jnp.concatenate([made, pixels * unit(images)], axis=1))


def describe(prediction: Mapping[str, np.ndarray]) -> Description:
    """The first numbers of an example's ``vector`` (dimensions,)."""
    vector = prediction["vector"]
    more = " …" if len(vector) > _TOLD else ""
    line = " ".join(f"{x:+.3f}" for x in vector[:_TOLD]) + more
    return Description(line, {}, vector=vector)


def _check(
    run: Run, loss: str, kind: comparing.Kind, recalls: tuple, probe: tuple, are_texts: bool
) -> None:
    """Raises UserError for settings that do not fit together."""
    config = run.config
    for name, counts in (("recalls", recalls), ("probe", probe)):
        if not all(type(k) is int and k > 0 for k in counts):
            raise UserError(f"config.task.{name}={counts!r} must be whole numbers above 0: (1, 5)")
    if not recalls:
        raise UserError("config.task.recalls=() must have a number at least: (1, 5)")
    if any_on(config.task.pixels) and are_texts:
        raise UserError(
            f"config.task.pixels={config.task.pixels!r} is of images, and these examples are texts"
        )
    if probe and are_texts:
        raise UserError(
            f"config.task.probe={probe!r} is compared with one on pixels, and these examples are "
            "texts"
        )
    if kind.by_class:
        class_batches.check_batch(run.data.train, config.batch_size, f"config.task.loss={loss!r}")
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


def _score(
    over: Callable[[learner.Learner, Any], np.ndarray],
    train: Any,
    recalls: tuple,
    probe: tuple,
    judged: Callable[..., dict[str, float]],
    state: learner.Learner,
    split: Any,
    key: jax.Array,
) -> dict[str, float]:
    made = over(state, split)
    found = embedded.figures(made, split.labels, recalls)
    found |= embedded.probed(functools.partial(over, state), train, split, probe)
    return found | judged(state, split, made)


def _artifacts(
    over: Callable[[learner.Learner, Any], np.ndarray],
    class_names: tuple[str, ...],
    shown: Callable[[Any], trunks.Shown],
    verified: bool,
    state: learner.Learner,
    split: Any,
    key: jax.Array,
) -> dict[str, Any]:
    made = over(state, split)
    found = embedded.pictures(made, split.labels, class_names, shown(split))
    return found | (verifying.picture(made, split.labels) if verified else {})
