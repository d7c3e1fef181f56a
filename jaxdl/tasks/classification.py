"""Images to classes."""

import functools
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxdl import keys, losses, models, precision
from jaxdl.data import augment, padded_batches, without_padding
from jaxdl.data.preprocess import unit_range
from jaxdl.errors import UserError
from jaxdl.metrics import Mean, Metrics
from jaxdl.pretrained import transfer
from jaxdl.registry import choose
from jaxdl.report import draw
from jaxdl.tasks import Run, Task, learner, need_batches, register


def _cross_entropy(logits, labels, label_smoothing):
    return losses.cross_entropy(logits, labels, label_smoothing=label_smoothing)


def _one_vs_rest(loss):
    """A loss over independent yes-or-no decisions, one a class, summed over the classes."""

    def per_example(logits, labels, label_smoothing):
        if labels.ndim == 1:
            labels = jax.nn.one_hot(labels, logits.shape[-1])
        targets = (1 - label_smoothing) * labels + label_smoothing / 2
        return loss(logits, targets) * logits.shape[-1]

    return per_example


LOSSES = {
    "cross_entropy": _cross_entropy,
    "binary_cross_entropy": _one_vs_rest(losses.binary_cross_entropy),
    "focal": _one_vs_rest(losses.focal),
}


@register("classification")
def classification(
    run: Run,
    label_smoothing: float = 0.0,
    loss: str = "cross_entropy",
    top_k: int = 0,
    auxiliary: float = 0.3,
) -> Task:
    """Supervised classification of ``image`` (batch, h, w, c) into ``label`` (batch,).

    Args:
      run: the run's config and data.
      label_smoothing: share of the target that is spread over all classes, in [0, 1).
      loss: "cross_entropy", or one decision a class by "binary_cross_entropy" or "focal".
      top_k: adds the metric ``top_k_accuracy``; 0 leaves it out.
      auxiliary: weight of the losses of the further logits that a model sows into the collection
        "auxiliary" in training (Szegedy et al., 2014, section 5).

    The metrics are ``loss`` (nats an example; at evaluation without smoothing and auxiliary losses)
    and ``accuracy``. Images are scaled to [0, 1], augmented, and standardised a channel by the
    training part's statistics, all on the device; what `config.pretrained` starts from standardises
    them by its own (`jaxdl.pretrained.transfer`).

    Until ``optimizer.unfreeze`` the network runs as at evaluation, so that nothing is dropped and
    batch statistics are used as they are.
    """
    need_batches(run)
    config, data = run.config, run.data
    loss_of = choose("loss", loss, LOSSES)
    if not 0 <= label_smoothing < 1:
        raise UserError(
            f"config.task.label_smoothing={label_smoothing} must be at least 0 and below 1"
        )
    num_classes = len(data.class_names)
    fields = {k: v for k, v in config.model.items() if k != "name"}
    fields.setdefault("num_classes", num_classes)
    if fields["num_classes"] < num_classes:
        raise UserError(
            f"config.model.num_classes={fields['num_classes']} but the data have {num_classes} "
            "classes"
        )
    if config.pretrained.source:
        start_from = transfer.create(config, data, fields["num_classes"])
        module, weights, standardise, check = start_from
    else:
        module = models.create(
            config.model.name, **fields, dtype=precision.compute_dtype(config.precision)
        )
        standardise = functools.partial(_standardise, mean=data.mean, std=data.std)
        weights, check = lambda variables: variables, lambda: None
    augmented = augment.create(config.augment, fields["num_classes"])

    def loss_fn(
        params: Any, model_state: Any, batch: Mapping, key: jax.Array, *, train: bool = True
    ) -> learner.Loss:
        images, targets = augmented(
            keys.named(key, "augment"), unit_range(batch["image"]), batch["label"]
        )
        logits, new_state = module.apply(
            {"params": params, **model_state},
            standardise(images),
            train=train,
            rngs={"dropout": keys.named(key, "dropout")},
            mutable=[*model_state, "auxiliary"],
        )
        per_example = loss_of(logits, targets, label_smoothing)
        for further in jax.tree.leaves(new_state.pop("auxiliary", {})):
            per_example += auxiliary * loss_of(further, targets, label_smoothing)
        return learner.Loss(
            Mean.of(per_example, without_padding(batch)),
            {**model_state, **new_state},
            _hits(logits, batch),
        )

    def _hits(logits: jax.Array, batch: Mapping) -> Metrics:
        right = lambda k: jax.lax.top_k(logits, k)[1] == batch["label"][:, None]
        hits = {"accuracy": Mean.of(logits.argmax(-1) == batch["label"], without_padding(batch))}
        if top_k:
            hits[f"top_{top_k}_accuracy"] = Mean.of(right(top_k).any(-1), without_padding(batch))
        return hits

    def predict(state: learner.Learner, images: jax.Array) -> jax.Array:
        return module.apply(state.best_variables, standardise(unit_range(images)), train=False)

    @functools.cache
    def order() -> dict[str, int]:
        image = data.train.take(np.arange(1))["image"]
        seen = jax.eval_shape(lambda: standardise(jnp.zeros(image.shape)))
        return models.call_order(module, seen)

    start, update = learner.by_config(
        run,
        loss_fn,
        frozen_loss_fn=functools.partial(loss_fn, train=False),
        layers=lambda: [name for name in order() if name and "/" not in name],
    )

    def init(key: jax.Array, batch: Mapping) -> learner.Learner:
        image = standardise(unit_range(batch["image"][:1]))
        variables = dict(module.init(key, image, train=False))
        variables.pop("auxiliary", None)
        return start(weights(variables))

    def eval_step(state: learner.Learner, batch: Mapping, key: jax.Array) -> Metrics:
        logits = predict(state, batch["image"])
        per_example = loss_of(logits, batch["label"], 0.0)
        return {"loss": Mean.of(per_example, without_padding(batch)), **_hits(logits, batch)}

    def artifacts(state: learner.Learner, split: Any, key: jax.Array) -> dict[str, Any]:
        logits = _predict_all(jax.jit(predict), state, split, config.eval.batch_size)
        return _pictures(np.asarray(logits, np.float64), split, data.class_names)

    return Task(
        init=init,
        train_step=update,
        eval_step=eval_step,
        artifacts=artifacts,
        parameters=lambda state: learner.parameters(state.params, order()),
        predict=predict,
        check=check,
    )


def _standardise(images: jax.Array, mean: np.ndarray, std: np.ndarray) -> jax.Array:
    return (images - mean) / std


def _predict_all(predict: Any, state: Any, split: Any, batch_size: int) -> np.ndarray:
    """Logits of every example of ``split``, (size, classes)."""
    batches = padded_batches(split, min(batch_size, len(split)))
    logits = [np.asarray(predict(state, load()["image"])) for load in batches]
    return np.concatenate(logits)[: len(split)]


def _pictures(logits: np.ndarray, split: Any, class_names: tuple[str, ...]) -> dict[str, Any]:
    labels = split.labels
    shifted = logits - logits.max(axis=1, keepdims=True)
    share = np.exp(shifted) / np.exp(shifted).sum(axis=1, keepdims=True)
    guess = logits.argmax(axis=1)
    count = len(class_names)
    confusion = np.zeros((count, count), np.int64)
    np.add.at(confusion, (labels, np.minimum(guess, count - 1)), 1)
    pictures: dict[str, Any] = {}
    if count <= 50:
        pictures["Confusion matrix"] = draw.confusion(confusion, class_names)
    # Most wrong first: the smallest share given to the true class among the mistakes.
    mistakes = np.flatnonzero(guess != labels)
    worst = mistakes[np.argsort(share[mistakes, labels[mistakes]])][:24]
    if worst.size:
        name = lambda label: class_names[label] if label < count else str(label)
        captions = [
            f"{name(labels[i])} → {name(guess[i])}  {share[i, guess[i]]:.0%}" for i in worst
        ]
        pictures["Most wrong"] = draw.image_grid(
            split.take(worst)["image"],
            captions,
            f"{len(mistakes)} of {len(labels)} evaluation examples are wrong; true class → answer, "
            "and the share given to it.",
        )
    else:
        pictures["Most wrong"] = f"None of {len(labels)} evaluation examples is wrong."
    return pictures
