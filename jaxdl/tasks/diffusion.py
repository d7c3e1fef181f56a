"""Images out of noise: one network learns to tell the noise in an image from what is under it."""

import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxdl import keys, models
from jaxdl.data import without_padding
from jaxdl.errors import UserError
from jaxdl.generate import diffusion as process
from jaxdl.metrics import LOW, Mean, Metrics, sample_quality
from jaxdl.registry import choose
from jaxdl.report import draw
from jaxdl.tasks import (
    Run,
    Task,
    build_model,
    check_at_least,
    check_counts,
    check_shares,
    learner,
    need_batches,
    register,
)
from jaxdl.tasks.shared import by_class, denoiser, generation, judging, made_of_pictures
from jaxdl.tasks.shared.denoiser import SEEN, Denoiser

# The most images that a score draws, of them those by class, and how many at a time.
SCORED, NAMED, AT_ONCE = 1000, 120, 60

# The share of the ancestral noise that each way of sampling adds.
SAMPLERS = {"ancestral": 1.0, "ddim": 0.0}


@register(
    "diffusion",
    derives=("num_classes",),
    asks=(
        *("sampler", "sampling_steps", "guidance", "asked"),
        *("mask", "jump", "resamplings", "between", "level"),
    ),
)
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
    asked: tuple[int | str, ...] = (),
    mask: str = "",
    jump: int = 1,
    resamplings: int = 10,
    between: tuple[str, ...] = (),
    level: float = 0.5,
    inception: str = "",
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
      asked: the classes, by name or number, that --mode=sample shows; () is all, up to ten. Of what
        is made of pictures the class, or () for none.
      mask: what --mode=predict fills in of the pictures that it is given: "left", "right", "upper"
        or "lower", halves, "middle", or a picture's file, white where it is to be filled in
        (`jaxdl.generate.inpainting`, always by ancestral sampling).
      jump: steps back to more noise at a time on that way; below ``sampling_steps``.
      resamplings: times that a piece of that way is gone; 1 is no way back.
      between: files of two pictures, between which --mode=sample shows what there is
        (`jaxdl.generate.interpolation`).
      level: share of the timesteps of whose noise these two get.
      inception: file of Inception's weights (`jaxdl.pretrained.judges.inception`), by whose
        features samples are judged too: ``fid/inception`` and so on.

    The metric of training and evaluation is ``loss``. `score` gives ``two_sample_accuracy``,
    ``copies`` and ``least_class_share`` (`jaxdl.metrics.sample_quality`) of unguided samples, as
    many as there are evaluation examples, up to 1000; of digits also ``fid/digits``,
    ``kid/digits``, ``precision/digits``, ``recall/digits`` and ``inception_score/digits``, by the
    features of a classifier of digits; ``ancestral_two_sample_accuracy``, the first of these by
    ``ancestral_steps``; and, with ``classes``, ``named_right/digits``, the share of the first that
    the classifier of digits names as asked, and ``named_right``, the share of 120 guided samples
    whose nearest training image has the label asked for. All are drawn by the parameters' moving
    average, if ``config.ema`` keeps one.
    """
    need_batches(run)
    signal = _signal(schedule, timesteps)
    choose("prediction", prediction, process.PREDICTIONS)
    eta = choose("sampler", sampler, SAMPLERS)
    check_shares(drop_label=drop_label)
    _check_steps(timesteps, sampling_steps=sampling_steps, ancestral_steps=ancestral_steps)
    count = len(run.data.class_names) if classes else 0
    _check_guidance(guidance, classes, drop_label)
    by_class.check(asked, classes, run.data.class_names)
    check_shares(level=level)
    check_counts(jump=jump, resamplings=resamplings)
    _check_pictures(mask, jump, resamplings, between, sampling_steps or timesteps)
    shape = run.data.train.take(np.arange(1))["image"].shape[1:]
    net = Denoiser(_model(run, count), signal, prediction, count, shape)
    start, update = learner.by_config(run, functools.partial(training_loss, net, drop_label))
    images_of = jax.jit(
        functools.partial(denoiser.drawn, net), static_argnames=("steps", "eta", "guidance")
    )
    usual = functools.partial(images_of, steps=sampling_steps or timesteps, eta=eta)
    shown = functools.partial(usual, guidance=guidance)
    ancestral = functools.partial(images_of, steps=ancestral_steps, eta=SAMPLERS["ancestral"])
    learned = generation.Learned(run.data)
    judged = judging.Judging(run, inception, SCORED, classes)
    of_class = made_of_pictures.OfClass(asked, run.data.class_names, drop_label > 0)
    how = dict(guidance=guidance if asked else 0.0, steps=sampling_steps or timesteps)
    completed = jax.jit(
        functools.partial(denoiser.completed, net, jump=jump, resamplings=resamplings, **how)
    )
    sample = functools.partial(_sample, net, run.data.class_names, asked, shown)
    if between:
        mixed = functools.partial(denoiser.between, net, eta=eta, **_up_to(level, timesteps, how))
        sample = functools.partial(
            made_of_pictures.sample_between, jax.jit(mixed), net, of_class, between
        )
    return Task(
        init=functools.partial(_init, net, start),
        train_step=update,
        eval_step=functools.partial(evaluate, net),
        score=functools.partial(
            _score, net, learned, judged, usual, shown, ancestral if ancestral_steps else None
        ),
        artifacts=functools.partial(
            _artifacts, net, learned, usual, shown, sampling_steps or timesteps
        ),
        parameters=functools.partial(_parameters, net),
        sample=sample,
        transform=functools.partial(
            made_of_pictures.complete, completed, net, of_class, mask, run.config.seed
        ),
        directions={
            **sample_quality.DIRECTIONS,
            **judged.directions,
            "ancestral_two_sample_accuracy": LOW,
        },
        check=judged.check,
    )


def errors(
    net: Denoiser,
    answer: Callable[[jax.Array, jax.Array], jax.Array],
    batch: Mapping,
    key: jax.Array,
) -> jax.Array:
    """Each example's mean squared error, (n,), at a timestep and with noise of its own.

    Args:
      net: whose timesteps and prediction count.
      answer: (noisy images, timesteps) -> what the network says.
      batch: ``image``.
      key: of timesteps and noise.
    """
    images = generation.scaled(batch["image"])
    t = jax.random.randint(
        keys.named(key, "timestep"), images.shape[:1], 0, len(net.signal), jnp.int32
    )
    noise = jax.random.normal(keys.named(key, "noise"), images.shape, jnp.float32)
    left = jnp.asarray(net.signal, jnp.float32)[t]
    said = answer(process.add_noise(images, noise, left), t)
    wanted = process.target(net.prediction, images, noise, left)
    return jnp.square(said - wanted).mean(axis=(1, 2, 3))


def training_loss(
    net: Denoiser,
    drop_label: float,
    params: Any,
    model_state: Any,
    batch: Mapping,
    key: jax.Array,
) -> learner.Loss:
    """`errors` of a pass of training, a share ``drop_label`` of it without their label."""
    labels = net.labels_of(batch)
    if net.classes:
        dropped = jax.random.bernoulli(
            keys.named(key, "label"), jnp.float32(drop_label), labels.shape
        )
        labels = jnp.where(dropped, net.classes, labels)
    forward = learner.forward(net.module)
    answer = lambda noisy, t: forward(params, model_state, key, noisy, t, labels)[0]
    return learner.Loss(Mean.of(errors(net, answer, batch, key)), model_state, {})


def evaluate(net: Denoiser, state: learner.Learner, batch: Mapping, key: jax.Array) -> Metrics:
    """``loss`` of a batch that may be padded, labels told."""
    run = functools.partial(net.module.apply, state.best_variables, label=net.labels_of(batch))
    return {"loss": Mean.of(errors(net, run, batch, key), without_padding(batch))}


def _init(
    net: Denoiser, start: Callable[[Mapping], learner.Learner], key: jax.Array, batch: Mapping
) -> learner.Learner:
    one = jnp.zeros(1, jnp.int32)
    return start(net.module.init(key, generation.scaled(batch["image"][:1]), one, one))


# (variables, key, labels (n,)) -> images (n, h, w, c) in [0, 1], and how the first came to be.
Draw = Callable[[Any, jax.Array, jax.Array], tuple[jax.Array, jax.Array]]


def _drawn(by: Draw, state: learner.Learner, key: jax.Array, labels: np.ndarray) -> np.ndarray:
    """Images (n, h, w, c) in [0, 1] of ``labels`` (n,)."""
    make = lambda key, part: by(state.best_variables, key, part)[0]
    return generation.in_batches(make, key, labels, AT_ONCE)


def _score(
    net: Denoiser,
    learned: generation.Learned,
    judged: judging.Judging,
    usual: Draw,
    shown: Draw,
    ancestral: Draw | None,
    state: learner.Learner,
    split: Any,
    key: jax.Array,
) -> dict[str, float]:
    real = generation.spread(split, SCORED)
    labels = by_class.in_turn(net.classes, len(real))
    made = _drawn(usual, state, keys.named(key, "score"), labels)
    found = learned.measures(made, real) | judged.figures(made, split, state, labels)
    if ancestral is not None:
        made = _drawn(ancestral, state, keys.named(key, "ancestral"), labels)
        found["ancestral_two_sample_accuracy"] = sample_quality.two_sample_accuracy(made, real)
    if net.classes:
        asked = by_class.in_turn(net.classes, NAMED)
        made = _drawn(shown, state, keys.named(key, "guided"), asked)
        found["named_right"] = learned.named_right(made, asked)
    return found


def _sample(
    net: Denoiser,
    class_names: Sequence[str],
    asked: Sequence[int | str],
    by: Draw,
    state: learner.Learner,
    key: jax.Array,
) -> dict[str, Any]:
    labels, names = by_class.in_turn(0, 48), [""] * 48
    if net.classes:
        labels = by_class.labels(asked, class_names)
        names = [class_names[i] for i in labels]
    made = _drawn(by, state, key, labels)
    return {"samples": draw.image_grid(made, names, columns=by_class.OF_EACH)}


def _artifacts(
    net: Denoiser,
    learned: generation.Learned,
    usual: Draw,
    shown: Draw,
    steps: int,
    state: learner.Learner,
    split: Any,
    key: jax.Array,
) -> dict[str, Any]:
    # As many as are drawn at a time, so that it is a program that is there already.
    made, frames = shown(state.best_variables, key, by_class.in_turn(net.classes, AT_ONCE))
    strip = np.concatenate([frames, made[None, :SEEN]]).clip(0, 1)
    # Before each step and behind the last; where there are few, some are shown twice.
    picked = np.linspace(0, steps, 10).round().astype(np.int64)
    moments = [f"t = {t}" for t in process.chosen_steps(len(net.signal), steps)]
    captions = [[*moments, "image"][i] for i in picked]
    made = _drawn(usual, state, keys.named(key, "new"), by_class.in_turn(net.classes, 32))
    return {
        "Denoising": draw.image_grid(
            strip[picked].swapaxes(0, 1).reshape(-1, *net.shape),
            captions * SEEN,
            "From noise to image; t is the timestep that is about to be taken.",
            columns=len(picked),
        ),
        **learned.beside_nearest(made),
    }


def _parameters(net: Denoiser, state: learner.Learner) -> dict[str, jax.Array]:
    one = jax.ShapeDtypeStruct((1,), jnp.int32)
    image = jax.ShapeDtypeStruct((1, *net.shape), jnp.float32)
    return learner.parameters(state.params, models.call_order(net.module, image, one, one))


def _up_to(level: float, timesteps: int, how: Mapping) -> dict[str, Any]:
    """``how`` for the first ``level`` of the timesteps, and of the steps that are taken."""
    part = lambda count: max(1, round(level * count))
    return {**how, "timesteps": part(timesteps), "steps": part(how["steps"])}


def _check_pictures(
    mask: str, jump: int, resamplings: int, between: Sequence[str], steps: int
) -> None:
    """Raises UserError for what cannot be made of pictures."""
    if len(between) not in (0, 2):
        raise UserError(
            f"config.task.between={','.join(between)} must name two files, such as a.png,b.png"
        )
    if mask and resamplings > 1 and jump >= steps:
        raise UserError(
            f"config.task.jump={jump} must be below the {steps} steps of "
            "config.task.sampling_steps, or config.task.resamplings=1"
        )


def _check_steps(timesteps: int, **settings: int) -> None:
    """Raises UserError for the first number of steps that are not there."""
    for name, steps in settings.items():
        if not 0 <= steps <= timesteps:
            raise UserError(
                f"config.task.{name}={steps} must be at least 0 and at most config.task.timesteps="
                f"{timesteps}"
            )


def _signal(schedule: str, timesteps: int) -> np.ndarray:
    choose("noise schedule", schedule, process.SCHEDULES)
    check_counts(timesteps=timesteps)
    return process.signal_shares(schedule, timesteps)


def _check_guidance(guidance: float, classes: bool, drop_label: float) -> None:
    """Raises UserError for guidance that the model cannot give."""
    check_at_least(0, guidance=guidance)
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


def _model(run: Run, num_classes: int) -> Any:
    """The model, for as many classes as the data have; UserError if it is none for this."""
    module = build_model(
        run,
        {"num_classes": num_classes},
        because="the classes of the data with config.task.classes=true and 0 without",
    )
    if "t" not in inspect.signature(module.__call__).parameters:
        raise UserError(
            "task 'diffusion' needs a model of noisy images and timesteps, such as 'ddpm', not "
            f"{run.config.model.name!r}"
        )
    return module
