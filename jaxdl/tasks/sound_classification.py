"""Sounds to classes, by any model of images, or of sequences, that sees their spectrograms."""

import functools
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxdl import keys, losses, models
from jaxdl.data import without_padding
from jaxdl.data.drawn import drawn
from jaxdl.errors import UserError
from jaxdl.metrics import HIGH, Mean, Metrics
from jaxdl.models import heads
from jaxdl.report import sound
from jaxdl.tasks import (
    Run,
    Task,
    build_model,
    check_smoothing,
    classification,
    learner,
    over_split,
    register,
)
from jaxdl.tasks.shared import class_weights as class_weighing
from jaxdl.tasks.shared import classified, hearing
from jaxdl.tasks.shared.hearing import Hear, Hearing


@register("sound_classification", groups=("model", "augment_sound"), derives=("num_classes",))
def sound_classification(
    run: Run,
    label_smoothing: float = 0.0,
    bands: int = 40,
    window: float = 0.025,
    hop: float = 0.01,
    class_weights: tuple = (),
) -> Task:
    """Supervised classification of ``samples`` (batch, count) into ``label`` (batch,).

    Args:
      run: the run's config and data. The model sees a spectrogram as an image, (batch, frames,
        bands, 1): time goes down, so that what reads rows reads frames.
      label_smoothing: share of the target that is spread over all classes, in [0, 1).
      bands: of the mel scale, from 0 Hz to half the rate.
      window: seconds of a frame.
      hop: seconds from one frame to the next.
      class_weights: as of task "classification".

    The metrics are ``loss`` (nats a sound; at evaluation without smoothing and weights) and
    ``accuracy``; of data with a fixed part at each of several signal-to-noise ratios also
    ``accuracy_10db`` and so on. Sounds are drawn, where the data are, and become spectrograms in
    the step, on the device.
    """
    hears = hearing.of_run(run, bands, window, hop)
    _check(run, label_smoothing)
    names, ratios = run.data.class_names, tuple(getattr(run.data.train, "snrs", ()))
    module = build_model(run, {"num_classes": len(names)}, because="the classes of the data")
    loss_fn = functools.partial(
        training_loss,
        learner.forward(module),
        hearing.training(run, hears),
        label_smoothing,
        class_weighing.of_run(class_weights, run, len(names)),
    )
    start, update = learner.by_config(run, loss_fn)
    logits_of = functools.partial(logits, module, hears)
    seen = jax.ShapeDtypeStruct((1, *hears.shape, 1), jnp.float32)
    each = jax.jit(lambda state, batch, key: logits_of(state, batch["samples"]))
    return Task(
        init=lambda key, batch: start(module.init(key, jnp.zeros(seen.shape, seen.dtype))),
        train_step=update,
        eval_step=functools.partial(
            evaluate, functools.partial(drawn, run.data.train), logits_of, ratios
        ),
        artifacts=functools.partial(_artifacts, each, hears, names, run.config.eval.batch_size),
        parameters=lambda state: learner.parameters(state.params, models.call_order(module, seen)),
        predict=functools.partial(answers, module, hears),
        sound=hears.sound,
        describe=functools.partial(classification.describe, names),
        labels={"logits": names, "shares": names},
        directions={hearing.at("accuracy", ratio): HIGH for ratio in ratios},
    )


def training_loss(
    forward: Callable[..., tuple[jax.Array, Any]],
    hear: Hear,
    label_smoothing: float,
    weights: np.ndarray | None,
    params: Any,
    model_state: Any,
    batch: Mapping,
    key: jax.Array,
) -> learner.Loss:
    """Nats a sound, and ``accuracy``, of what ``hear`` makes of a batch."""
    heard = hear(batch, key)
    found, model_state = forward(params, model_state, key, heard["spectrogram"][..., None])
    nats = losses.cross_entropy(found, heard["label"], label_smoothing=label_smoothing)
    loss = Mean.of(nats, class_weighing.of_labels(weights, heard["label"]))
    return learner.Loss(loss, model_state, classification.hits(found, heard))


def logits(module: Any, hears: Hearing, state: learner.Learner, samples: jax.Array) -> jax.Array:
    """(batch, classes) of samples (batch, count), by the averages."""
    seen = hears.spectrogram(samples)[..., None]
    return module.apply(state.best_variables, seen, train=False)


def answers(
    module: Any, hears: Hearing, state: learner.Learner, samples: jax.Array
) -> dict[str, jax.Array]:
    """`Task.predict`: `classification.told` of samples (batch, count), by the averages."""
    seen = hears.spectrogram(samples)[..., None]
    found = heads.with_features(module, state.best_variables, seen, train=False)
    return classification.told(*found)


def evaluate(
    prepare: Callable[[jax.Array, Mapping], Mapping],
    logits_of: Callable[[learner.Learner, jax.Array], jax.Array],
    ratios: tuple[float, ...],
    state: learner.Learner,
    batch: Mapping,
    key: jax.Array,
) -> Metrics:
    """``loss`` and ``accuracy`` of a batch that may be padded, and accuracy at each of ``ratios``.

    Args:
      prepare: (key, batch) -> batch, which draws what is yet to be drawn.
      logits_of: (state, samples) -> (batch, classes).
      ratios: decibels, of which the batch's ``snr`` has one for each sound.
      state: the task's.
      batch: ``samples`` and ``label``, and ``snr`` where there are ratios.
      key: for ``prepare``.
    """
    batch = prepare(keys.named(key, "data"), batch)
    found, weights = logits_of(state, batch["samples"]), without_padding(batch)
    nats = losses.cross_entropy(found, batch["label"], label_smoothing=0.0)
    made = {"loss": Mean.of(nats, weights), **classification.hits(found, batch)}
    right = found.argmax(-1) == batch["label"]
    for ratio in ratios:
        of_ratio = (batch["snr"] == ratio).astype(jnp.float32)
        weight = of_ratio if weights is None else of_ratio * weights
        made[hearing.at("accuracy", ratio)] = Mean.of(right, weight)
    return made


def _check(run: Run, label_smoothing: float) -> None:
    check_smoothing(label_smoothing)
    if len(run.data.class_names) < 2:
        raise UserError(
            f"data set {run.config.data.name!r} has sounds without classes, which "
            "'sounds' and 'dial_keys' have"
        )


def _artifacts(
    each: Callable[..., jax.Array],
    hears: Hearing,
    names: tuple[str, ...],
    at_once: int,
    state: learner.Learner,
    split: Any,
    key: jax.Array,
) -> dict[str, Any]:
    found = np.asarray(over_split(each, split, at_once, state), np.float64)

    def pictures(places: np.ndarray) -> np.ndarray:
        return sound.upright(np.asarray(hears.spectrogram(split.take(places)["samples"])))

    return classified.pictures(found, split.labels, names, pictures)
