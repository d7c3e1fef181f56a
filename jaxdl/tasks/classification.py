"""Images, or rows of numbers, to classes."""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxdl import keys, losses, models, ops
from jaxdl.data import augment, without_padding
from jaxdl.data.preprocess import unit_range
from jaxdl.errors import UserError
from jaxdl.losses.cosines import unit
from jaxdl.metrics import HIGH, Mean, Metrics
from jaxdl.models import heads
from jaxdl.per_member import any_on
from jaxdl.pretrained import transfer
from jaxdl.registry import choose
from jaxdl.tasks import (
    Description,
    Run,
    Task,
    build_model,
    check_at_least,
    check_smoothing,
    learner,
    model_fields,
    need_batches,
    over_split,
    register,
)
from jaxdl.tasks.shared import class_weights as class_weighing
from jaxdl.tasks.shared import classified, inputs, looking, row_answers

# Classes that are told of each picture.
TOP = 5


def _cross_entropy(logits, labels, label_smoothing):
    return losses.cross_entropy(logits, labels, label_smoothing=label_smoothing)


def _poly1(logits, labels, label_smoothing):
    return losses.poly1(logits, labels, label_smoothing=label_smoothing)


def _softmax_focal(logits, labels, label_smoothing):
    return losses.softmax_focal(logits, labels, label_smoothing=label_smoothing)


def _one_vs_rest(loss):
    """A loss over independent yes-or-no decisions, one a class, summed over the classes."""

    def per_example(logits, labels, label_smoothing):
        if labels.ndim == 1:
            labels = jax.nn.one_hot(labels, logits.shape[-1], dtype=jnp.float32)
        targets = (1 - label_smoothing) * labels + label_smoothing / 2
        return loss(logits, targets) * logits.shape[-1]

    return per_example


class Consistent(NamedTuple):
    """What keeps the answers to several views of an image together.

    Attributes:
      mixed: (key, batch of ``image``) -> a mixture of each.
      weight: of the divergence in the loss.
    """

    mixed: Callable[[jax.Array, Mapping], Mapping]
    weight: float


LOSSES = {
    "cross_entropy": _cross_entropy,
    "binary_cross_entropy": _one_vs_rest(losses.binary_cross_entropy),
    "focal": _one_vs_rest(losses.focal),
    "poly1": _poly1,
    "softmax_focal": _softmax_focal,
}


@register("classification", groups=("model", "augment", "pretrained"), derives=("num_classes",))
def classification(
    run: Run,
    label_smoothing: float = 0.0,
    loss: str = "cross_entropy",
    top_k: int = 0,
    auxiliary: float = 0.3,
    class_weights: tuple = (),
    consistency: float = 0.0,
) -> Task:
    """Supervised classification of ``image`` or ``features`` into ``label`` (batch,).

    Args:
      run: the run's config and data; of images (batch, h, w, c), or of rows (batch, columns).
      label_smoothing: share of the target that is spread over all classes, in [0, 1).
      loss: "cross_entropy", "poly1" or "softmax_focal", or one decision a class by
        "binary_cross_entropy" or "focal".
      top_k: adds the metric ``top_k_accuracy``; 0 leaves it out.
      auxiliary: weight of the losses of the further logits that a model sows into the collection
        "auxiliary" in training (Szegedy et al., 2014, section 5).
      class_weights: of the examples of each class in the mean that training minimises, (1, 5), or
        "balanced": what makes up for how often a class is there, n / (classes · nᵢ).
      consistency: weight of how far the answers to an image and to two mixtures of
        ``augment.aug_mix`` are from one another, the loss of the labels then being that of the
        image alone (`jaxdl.losses.jensen_shannon`; AugMix has 12); 0 learns from one mixture.

    The metrics are ``loss`` (nats an example; at evaluation without smoothing, weights and
    auxiliary losses) and ``accuracy``. Images are scaled to [0, 1], augmented, and standardised a
    channel by the training part's statistics, all on the device; what `config.pretrained` starts
    from standardises them by its own (`jaxdl.pretrained.transfer`). Rows are standardised a column.

    Until ``optimizer.unfreeze`` the network runs as at evaluation, so that nothing is dropped and
    batch statistics are used as they are.
    """
    array = inputs.need(run)
    need_batches(run, "label")
    check_smoothing(label_smoothing)
    (module, weights, standardise, check), classes = _start(run)
    names = _class_names(run.data.class_names, classes)
    loss_of = choose("loss", loss, LOSSES)
    consistent = _consistent(run, loss, consistency)
    alone = {**run.config.augment, **({"aug_mix": 0} if consistent else {})}
    loss_fn = functools.partial(
        training_loss,
        learner.forward(module, collect=("auxiliary",)),
        augment.create(alone, classes),
        standardise,
        functools.partial(loss_of, label_smoothing=label_smoothing),
        auxiliary,
        top_k,
        functools.partial(
            class_weighing.of_labels,
            class_weighing.of_run(class_weights, run, len(run.data.class_names)),
        ),
        consistent=consistent,
    )
    order = functools.cache(lambda: call_order(module, standardise, run.data.train))
    begin, update = learner.by_config(
        run,
        loss_fn,
        frozen_loss_fn=functools.partial(loss_fn, train=False),
        layers=lambda: models.outermost(order()),
    )
    logits_of = functools.partial(logits, module, standardise)
    each = jax.jit(lambda state, batch, key: logits_of(state, inputs.given(batch)))
    predict = functools.partial(answers, module, standardise)
    said = functools.partial(describe, names)
    unsmoothed = functools.partial(loss_of, label_smoothing=0.0)
    return Task(
        init=functools.partial(init, module, standardise, lambda fresh: begin(weights(fresh))),
        train_step=update,
        eval_step=functools.partial(evaluate, logits_of, unsmoothed, top_k),
        artifacts=functools.partial(
            _artifacts,
            each,
            functools.partial(looking.pictures, module, standardise),
            run.data.class_names,
            run.config.eval.batch_size,
        ),
        parameters=lambda state: learner.parameters(state.params, order()),
        predict=predict if array == "image" else None,
        answer=row_answers.create(run.data, predict, said) if array == "features" else None,
        describe=said,
        labels={"logits": names, "shares": names},
        directions={f"top_{top_k}_accuracy": HIGH} if top_k else {},
        check=check,
    )


def training_loss(
    forward: Callable[..., tuple[jax.Array, dict[str, Any]]],
    augmented: Callable[[jax.Array, Mapping], Mapping],
    standardise: Callable[[jax.Array], jax.Array],
    loss_of: Callable[[jax.Array, jax.Array], jax.Array],
    auxiliary: float,
    top_k: int,
    weight_of: Callable[[jax.Array], jax.Array | None],
    params: Any,
    model_state: Any,
    batch: Mapping,
    key: jax.Array,
    *,
    consistent: Consistent | None = None,
    train: bool = True,
) -> learner.Loss:
    """The loss of augmented images.

    Args:
      forward: of `jaxdl.tasks.learner.forward`, which collects "auxiliary".
      augmented: of `jaxdl.data.augment.create`.
      standardise: images in [0, 1] -> what the network takes.
      loss_of: (logits (batch, classes), classes or distributions) -> (batch,).
      auxiliary: weight of the losses of what was collected.
      top_k: as `hits`'.
      weight_of: classes or distributions -> (batch,) weights in the mean, or None.
      params: the network's; so is model_state.
      model_state: its other collections.
      batch: ``image`` or ``features``, and ``label``.
      key: of augmentation and dropout.
      consistent: what further views of an image are for, or None.
      train: False runs the network as at evaluation.
    """
    seen = {**batch, "image": unit_range(inputs.given(batch))}
    seen = augmented(keys.named(key, "augment"), seen)
    image, count = seen["image"], len(seen["image"])
    if consistent is not None:
        image = views(consistent.mixed, keys.named(key, "views"), image)
    found, new_state = forward(params, model_state, key, standardise(image), train=train)
    by_image = lambda x: x.reshape(count, -1, x.shape[-1])  # (batch, views, classes)
    of_image = lambda x: x if consistent is None else by_image(x)[:, 0]
    per_example = loss_of(of_image(found), seen["label"])
    for further in jax.tree.leaves(new_state.pop("auxiliary", {})):
        per_example += auxiliary * loss_of(of_image(further), seen["label"])
    if consistent is not None:
        per_example += consistent.weight * losses.jensen_shannon(by_image(found))
    return learner.Loss(
        Mean.of(per_example, without_padding(batch, weight_of(seen["label"]))),
        new_state,
        hits(of_image(found), batch, top_k),
    )


def views(
    mixed: Callable[[jax.Array, Mapping], Mapping], key: jax.Array, image: jax.Array
) -> jax.Array:
    """Each image and two mixtures of it, one behind the other: (3·batch, h, w, c).

    An image's views stand together, so that they are on one device.
    """
    made = [mixed(jax.random.fold_in(key, i), {"image": image})["image"] for i in range(2)]
    return jnp.stack([image, *made], axis=1).reshape(-1, *image.shape[1:])


def hits(found: jax.Array, batch: Mapping, top_k: int = 0) -> Metrics:
    """``accuracy`` of logits (batch, classes), and, with ``top_k``, that of the first so many."""
    right = lambda k: jax.lax.top_k(found, k)[1] == batch["label"][:, None]
    weights = without_padding(batch)
    made = {"accuracy": Mean.of(ops.argmax(found) == batch["label"], weights)}
    if top_k:
        made[f"top_{top_k}_accuracy"] = Mean.of(right(top_k).any(-1), weights)
    return made


def logits(
    module: Any,
    standardise: Callable[[jax.Array], jax.Array],
    state: learner.Learner,
    images: jax.Array,
) -> jax.Array:
    """(batch, classes) by the averages, of images (batch, h, w, c), uint8 or in [0, 1], or rows."""
    return module.apply(state.best_variables, standardise(unit_range(images)), train=False)


def evaluate(
    logits_of: Callable[[learner.Learner, jax.Array], jax.Array],
    loss_of: Callable[[jax.Array, jax.Array], jax.Array],
    top_k: int,
    state: learner.Learner,
    batch: Mapping,
    key: jax.Array,
) -> Metrics:
    """``loss`` and `hits` of a batch that may be padded; ``key`` draws nothing."""
    found = logits_of(state, inputs.given(batch))
    per_example = loss_of(found, batch["label"])
    return {"loss": Mean.of(per_example, without_padding(batch)), **hits(found, batch, top_k)}


def answers(
    module: Any,
    standardise: Callable[[jax.Array], jax.Array],
    state: learner.Learner,
    images: jax.Array,
) -> dict[str, jax.Array]:
    """`Task.predict`: `told` of images (batch, h, w, c), or of rows, by the averages."""
    return told(*with_features(module, standardise, state, images))


def with_features(
    module: Any,
    standardise: Callable[[jax.Array], jax.Array],
    state: learner.Learner,
    images: jax.Array,
) -> tuple[jax.Array, jax.Array | None]:
    """`logits`, and what the head read (`jaxdl.models.heads`)."""
    seen = standardise(unit_range(images))
    return heads.with_features(module, state.best_variables, seen, train=False)


def told(found: jax.Array, features: jax.Array | None) -> dict[str, jax.Array]:
    """`shares_of` logits (batch, classes), and `vector_of` what the head read."""
    return {**shares_of(found), **vector_of(features)}


def vector_of(features: jax.Array | None) -> dict[str, jax.Array]:
    """``vector`` (batch, d), of length 1.

    Args:
      features: (batch, …, d), whose mean over the middle axes it is; None where nothing is known,
        which has none.
    """
    if features is None:
        return {}
    means = ops.widen(features).reshape(features.shape[0], -1, features.shape[-1]).mean(axis=1)
    return {"vector": unit(means)}


def shares_of(found: jax.Array) -> dict[str, jax.Array]:
    """`Task.predict` of logits (batch, classes): them, and their softmax as ``shares``."""
    return {"logits": found, "shares": jax.nn.softmax(found)}


def describe(class_names: Sequence[str], prediction: Mapping[str, np.ndarray]) -> Description:
    """The likeliest classes of an example with ``shares`` (classes,), the first the likeliest.

    Its ``vector``, if it has one, is written beside.
    """
    shares = prediction["shares"]
    best = [(class_names[i], float(shares[i])) for i in np.argsort(-shares, kind="stable")[:TOP]]
    return Description(
        "  ".join(f"{name} {share:.1%}" for name, share in best),
        {"classes": [{"class": name, "share": share} for name, share in best]},
        vector=prediction.get("vector"),
    )


def _start(run: Run) -> tuple[transfer.Start, int]:
    """The network with what it begins from, and the number of its classes."""
    data = run.data
    derived = {"num_classes": len(data.class_names)}
    how = dict(at_least=("num_classes",), because="the classes of the data")
    classes = model_fields(run, derived, **how).get("num_classes", derived["num_classes"])
    if classes == 1:
        raise UserError(
            f"the data have one class, {data.class_names[0]!r}: there is nothing to tell apart"
        )
    return start(run, classes, **how), classes


def start(run: Run, outputs: int, **how: Any) -> transfer.Start:
    """The network with what it begins from, and what it is handed images by.

    Args:
      run: the run's config and data.
      outputs: ``num_classes`` of the network.
      **how: as of `build_model`.
    """
    config, data = run.config, run.data
    if config.pretrained.source:
        return transfer.create(config, data, outputs)
    module, own = (
        build_model(run, {"num_classes": outputs}, **how),
        inputs.standardise(data),
    )
    return transfer.fresh(module)._replace(standardise=own)


def _consistent(run: Run, loss: str, weight: float) -> Consistent | None:
    """What of AugMix's views is to be consistent; None where nothing is.

    Raises:
      UserError: there are no views, or the loss's answers are no distributions over the classes.
    """
    check_at_least(0, consistency=weight)
    if not any_on(weight):
        return None
    severity = run.config.augment.aug_mix
    if not severity:
        raise UserError(
            f"config.task.consistency={weight} compares mixtures of AugMix, and there are none: "
            "set config.augment.aug_mix, such as 3"
        )
    if loss in ("binary_cross_entropy", "focal"):
        raise UserError(
            f"config.task.consistency={weight} compares distributions over the classes, and "
            f"config.task.loss={loss!r} has a decision a class"
        )
    return Consistent(functools.partial(augment.aug_mix, severity=severity), weight)


def _class_names(known: Sequence[str], count: int) -> tuple[str, ...]:
    """A name for each of a network's classes: its number where the data have none."""
    return tuple(known[i] if i < len(known) else str(i) for i in range(count))


def init(
    module: Any,
    standardise: Callable[[jax.Array], jax.Array],
    start: Callable[[Mapping], learner.Learner],
    key: jax.Array,
    batch: Mapping,
) -> learner.Learner:
    """The network's variables at their start, and of them what ``start`` makes."""
    image = standardise(unit_range(inputs.given(batch)[:1]))
    variables = dict(module.init(key, image, train=False))
    variables.pop("auxiliary", None)
    return start(variables)


def call_order(
    module: Any, standardise: Callable[[jax.Array], jax.Array], train: Any
) -> dict[str, int]:
    """`models.call_order` of a network that takes images, or rows, like those of ``train``."""
    image = inputs.given(train.take(np.arange(1)))
    seen = jax.eval_shape(lambda: standardise(jnp.zeros(image.shape, jnp.float32)))
    return models.call_order(module, seen)


def _artifacts(
    each: Callable[..., jax.Array],
    looked: Callable[..., dict[str, Any]],
    class_names: tuple[str, ...],
    batch_size: int,
    state: learner.Learner,
    split: Any,
    key: jax.Array,
) -> dict[str, Any]:
    found = over_split(each, split, batch_size, state)
    found = np.asarray(found, np.float64)
    if "features" in split.take(np.arange(1)):
        guess = found.argmax(axis=1)
        return {
            **classified.confusion(split.labels, guess, class_names),
            **classified.calibrated(found, split.labels),
        }
    images = lambda places: split.take(places)["image"]
    told = functools.partial(classified.lines, found, split.labels, class_names)
    return {
        **classified.pictures(found, split.labels, class_names, images),
        **looked(state, split, told),
    }
