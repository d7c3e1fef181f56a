"""Images out of noise: one network learns to tell the noise in an image from what is under it."""

import functools
import inspect
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxdl import keys, models, precision
from jaxdl.data import without_padding
from jaxdl.errors import UserError
from jaxdl.generate import diffusion as process
from jaxdl.metrics import Mean, Metrics, sample_quality
from jaxdl.registry import choose
from jaxdl.report import draw
from jaxdl.tasks import (
    Run,
    Task,
    check_counts,
    check_shares,
    generation,
    learner,
    need_batches,
    register,
)

# The most images that a score draws, of them those by class, how many at a time, and of how many
# of these the way is kept.
SCORED, NAMED, AT_ONCE, SEEN = 1000, 120, 60, 5

# The share of the ancestral noise that each way of sampling adds.
SAMPLERS = {"ancestral": 1.0, "ddim": 0.0}


@register("diffusion")
def diffusion(
    run: Run,
    schedule: str = "linear",
    timesteps: int = 1000,
    prediction: str = "epsilon",
    sampler: str = "ancestral",
    sampling_steps: int = 0,
    ancestral_steps: int = 0,
    classes: bool = False,
    drop_label: float = 0.1,
    guidance: float = 0.0,
) -> Task:
    """Denoising diffusion of images like ``image`` (batch, h, w, c), by class if wanted.

    An update draws a timestep and noise for each image and lowers the mean squared error of what
    the model says of the noisy image (Ho, Jain and Abbeel, 2020, equation 14).

    Args:
      run: the run's config and data. The model maps noisy images (batch, h, w, c), timesteps
        (batch,) and labels to the images' shape, such as "ddpm"; images are in [-1, 1].
      schedule: of the noise, "linear" or "cosine" (`jaxdl.generate.diffusion`).
      timesteps: levels of noise.
      prediction: what the model says: "epsilon", the noise, "x0", the image, or "v".
      sampler: "ancestral" (Ho et al.) or "ddim" (Song, Meng and Ermon, 2021).
      sampling_steps: timesteps that it uses, evenly spread; 0 is all.
      ancestral_steps: those of a second figure, always by ancestral sampling; 0 leaves it out.
      classes: whether the model is told the label, so that samples can be asked for by class.
      drop_label: share of examples that are learned from without their label, which guidance needs.
      guidance: weight w of classifier-free guidance (Ho and Salimans, 2022) of the samples that are
        shown and of ``named_right``; 0 is off.

    The metric of training and evaluation is ``loss``. `score` gives ``two_sample_accuracy``,
    ``copies`` and ``least_class_share`` (`jaxdl.metrics.sample_quality`) of unguided samples, as
    many as there are evaluation examples, up to 1000; ``ancestral_two_sample_accuracy``, the first
    of these by
    ``ancestral_steps``; and, with ``classes``, ``named_right``, the share of 120 guided samples
    whose nearest training image has the label asked for. All are drawn by the parameters' moving
    average, if ``config.ema`` keeps one.
    """
    need_batches(run)
    config, data = run.config, run.data
    signal = _signal(schedule, timesteps)
    choose("prediction", prediction, process.PREDICTIONS)
    eta = choose("sampler", sampler, SAMPLERS)
    check_shares(drop_label=drop_label)
    for name, steps in (("sampling_steps", sampling_steps), ("ancestral_steps", ancestral_steps)):
        if not 0 <= steps <= timesteps:
            raise UserError(
                f"config.task.{name}={steps} must be at least 0 and at most config.task.timesteps="
                f"{timesteps}"
            )
    sampling_steps = sampling_steps or timesteps
    count = len(data.class_names) if classes else 0
    _check_guidance(guidance, classes, drop_label)
    image_shape = data.train.take(np.arange(1))["image"].shape[1:]
    module = _model(config, count)

    def labels_of(batch: Mapping) -> jax.Array:
        return batch["label"] if classes else jnp.zeros(len(batch["image"]), jnp.int32)

    def errors(answer: Any, batch: Mapping, key: jax.Array) -> jax.Array:
        """Each example's mean squared error, (batch,), at a timestep and with noise of its own."""
        images = generation.scaled(batch["image"])
        t = jax.random.randint(keys.named(key, "timestep"), images.shape[:1], 0, timesteps)
        noise = jax.random.normal(keys.named(key, "noise"), images.shape)
        left = jnp.asarray(signal, jnp.float32)[t]
        said = answer(process.add_noise(images, noise, left), t)
        wanted = process.target(prediction, images, noise, left)
        return jnp.square(said - wanted).mean(axis=(1, 2, 3))

    def loss_fn(params: Any, model_state: Any, batch: Mapping, key: jax.Array) -> learner.Loss:
        labels = labels_of(batch)
        if classes:
            dropped = jax.random.bernoulli(keys.named(key, "label"), drop_label, labels.shape)
            labels = jnp.where(dropped, count, labels)

        def answer(noisy: jax.Array, t: jax.Array) -> jax.Array:
            rngs = {"dropout": keys.named(key, "dropout")}
            return module.apply({"params": params}, noisy, t, labels, train=True, rngs=rngs)

        return learner.Loss(Mean.of(errors(answer, batch, key)), model_state, {})

    start, update = learner.by_config(run, loss_fn)

    def init(key: jax.Array, batch: Mapping) -> learner.Learner:
        one = jnp.zeros(1, jnp.int32)
        variables = module.init(key, generation.scaled(batch["image"][:1]), one, one)
        return start(variables)

    def eval_step(state: learner.Learner, batch: Mapping, key: jax.Array) -> Metrics:
        answer = functools.partial(module.apply, state.best_variables, label=labels_of(batch))
        return {"loss": Mean.of(errors(answer, batch, key), without_padding(batch))}

    @functools.partial(jax.jit, static_argnames=("steps", "eta", "guidance"))
    def images_of(
        variables: Any, key: jax.Array, labels: jax.Array, *,
        steps: int, eta: float, guidance: float = 0.0,
    ) -> tuple[jax.Array, jax.Array]:  # fmt: skip
        """Images (n, h, w, c) of labels (n,), and the first SEEN before each step, in [0, 1]."""

        def network(noisy: jax.Array, t: jax.Array) -> jax.Array:
            if not guidance:
                return module.apply(variables, noisy, t, labels)
            twice = lambda x: jnp.concatenate([x, x])
            both = jnp.concatenate([labels, jnp.full_like(labels, count)])
            answers = module.apply(variables, twice(noisy), twice(t), both)
            return process.guided(*jnp.split(answers, 2), guidance)

        start = jax.random.normal(keys.named(key, "start"), (len(labels), *image_shape))
        images, frames = process.sample(
            network, keys.named(key, "steps"), start, signal,
            steps=steps, prediction=prediction, eta=eta, seen=SEEN,
        )  # fmt: skip
        return generation.unit_range(images), generation.unit_range(frames)

    def drawn(state: learner.Learner, key: jax.Array, labels: np.ndarray, **how: Any) -> np.ndarray:
        """Images (n, h, w, c) in [0, 1] of ``labels`` (n,), by ``how`` of `images_of`."""
        make = lambda key, part: images_of(state.best_variables, key, part, **how)[0]
        return generation.in_batches(make, key, labels, AT_ONCE)

    learned = generation.Learned(data)
    usual = dict(steps=sampling_steps, eta=eta)
    shown = dict(usual, guidance=guidance)

    def in_turn(size: int) -> np.ndarray:
        """Labels (size,) int32, of all classes equally often."""
        return np.arange(size, dtype=np.int32) % max(count, 1)

    def score(state: learner.Learner, split: Any, key: jax.Array) -> dict[str, float]:
        real = generation.spread(split, SCORED)
        labels = in_turn(len(real))
        made = drawn(state, keys.named(key, "score"), labels, **usual)
        found = learned.measures(made, real)
        if ancestral_steps:
            how = dict(steps=ancestral_steps, eta=SAMPLERS["ancestral"])
            made = drawn(state, keys.named(key, "ancestral"), labels, **how)
            found["ancestral_two_sample_accuracy"] = sample_quality.two_sample_accuracy(made, real)
        if classes:
            wanted = in_turn(NAMED)
            made = drawn(state, keys.named(key, "guided"), wanted, **shown)
            found["named_right"] = sample_quality.named_right(
                made, wanted, learned.images, learned.labels
            )
        return found

    def sample(state: learner.Learner, key: jax.Array) -> dict[str, Any]:
        labels = np.repeat(in_turn(min(count, 10) or 8), 6)
        made = drawn(state, key, labels, **shown)
        names = [data.class_names[i] if classes else "" for i in labels]
        return {"samples": draw.image_grid(made, names, columns=6)}

    def artifacts(state: learner.Learner, split: Any, key: jax.Array) -> dict[str, Any]:
        # As many as are drawn at a time, so that it is a program that is there already.
        made, frames = images_of(state.best_variables, key, in_turn(AT_ONCE), **shown)
        strip = np.concatenate([frames, made[None, :SEEN]]).clip(0, 1)
        # Before each step and behind the last; where there are few, some are shown twice.
        picked = np.linspace(0, sampling_steps, 10).round().astype(np.int64)
        moments = [f"t = {t}" for t in process.chosen_steps(timesteps, sampling_steps)]
        captions = [[*moments, "image"][i] for i in picked]
        made = drawn(state, keys.named(key, "new"), in_turn(32), **usual)
        return {
            "Denoising": draw.image_grid(
                strip[picked].swapaxes(0, 1).reshape(-1, *image_shape),
                captions * SEEN,
                "From noise to image; t is the timestep that is about to be taken.",
                columns=len(picked),
            ),
            **learned.beside_nearest(made),
        }

    def parameters(state: learner.Learner) -> dict[str, jax.Array]:
        one = jax.ShapeDtypeStruct((1,), jnp.int32)
        image = jax.ShapeDtypeStruct((1, *image_shape), jnp.float32)
        return learner.parameters(state.params, models.call_order(module, image, one, one))

    return Task(
        init=init,
        train_step=update,
        eval_step=eval_step,
        score=score,
        artifacts=artifacts,
        parameters=parameters,
        sample=sample,
    )


def _signal(schedule: str, timesteps: int) -> np.ndarray:
    choose("noise schedule", schedule, process.SCHEDULES)
    check_counts(timesteps=timesteps)
    return process.signal_shares(schedule, timesteps)


def _check_guidance(guidance: float, classes: bool, drop_label: float) -> None:
    """Raises UserError for guidance that the model cannot give."""
    if not 0 <= guidance < float("inf"):
        raise UserError(f"config.task.guidance={guidance} must be at least 0")
    if guidance and not classes:
        raise UserError(
            f"config.task.guidance={guidance} needs a model that knows classes: set "
            "config.task.classes=true, or guidance=0"
        )
    if guidance and not drop_label:
        raise UserError(
            f"config.task.guidance={guidance} needs a model that also knows images without labels: "
            "set config.task.drop_label above 0, such as .1"
        )


def _model(config: Any, num_classes: int) -> Any:
    """The model, for as many classes as the data have; UserError if it is none for this."""
    name = config.model.name
    fields = {k: v for k, v in config.model.items() if k != "name"}
    if name and "num_classes" in models.settings(name):
        fields.setdefault("num_classes", num_classes)
    module = models.create(name, **fields, dtype=precision.compute_dtype(config.precision))
    if "t" not in inspect.signature(module.__call__).parameters:
        raise UserError(
            "task 'diffusion' needs a model of noisy images and timesteps, such as 'ddpm', not "
            f"{name!r}"
        )
    if module.num_classes != num_classes:
        raise UserError(
            f"config.model.num_classes={module.num_classes} must be {num_classes}, the classes of "
            "the data with config.task.classes=true and 0 without"
        )
    return module
