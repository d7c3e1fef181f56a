"""Two networks against each other: one makes images, the other tells them from real ones."""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxdl import keys
from jaxdl.errors import UserError
from jaxdl.losses import gan as games
from jaxdl.metrics import Metrics
from jaxdl.registry import choose
from jaxdl.report import draw
from jaxdl.tasks import Run, Task, build_model, check_at_least, learner, need_batches, register
from jaxdl.tasks.shared import by_class, generation, judging, playing, two_players
from jaxdl.tasks.shared.players import Players, discriminator_loss, generator_loss
from jaxdl.tasks.shared.two_players import State


@register("adversarial", derives=("num_classes",), asks=("asked",))
def adversarial(
    run: Run,
    loss: str = "non_saturating",
    latent: int = 64,
    n_critic: int = 1,
    clip_weights: float = 0.0,
    gradient_penalty: float = 0.0,
    discriminator_rate: float = 1.0,
    classes: bool = False,
    asked: tuple[int | str, ...] = (),
    inception: str = "",
) -> Task:
    """A generator of images like ``image`` (batch, h, w, c), by a discriminator's judgement.

    An update cuts the batch into ``n_critic`` parts, for each of which the discriminator takes a
    step against images of fresh noise, and then the generator takes one, with as many images as a
    part has. So ``batch_size`` is n_critic times the minibatch of the papers.

    Args:
      run: the run's config and data. The model needs the methods ``generate(latent, train=)`` and
        ``discriminate(images, train=)``, whose parameters lie apart, such as "dcgan"; images are
        in [-1, 1].
      loss: "non_saturating", "wasserstein", "least_squares" or "hinge" (`jaxdl.losses.gan`).
      latent: size of the noise, standard normal.
      n_critic: steps of the discriminator an update; divides ``batch_size``.
      clip_weights: after each step the discriminator's parameters are clipped to ± this, as by
        Arjovsky, Chintala and Bottou, 2017; 0 is off.
      gradient_penalty: weight of `jaxdl.losses.gan.gradient_penalty`, 10 as published; 0 is off.
      discriminator_rate: factor on its learning rate (Heusel et al., 2017, give the two networks
        rates of their own).
      classes: whether both are told the label, so that images can be asked for by class: real
        images' and, of as many of each class, the generated ones'.
      asked: the classes, by name or number, that --mode=sample shows; () is all, up to ten.
      inception: file of Inception's weights (`jaxdl.pretrained.judges.inception`), by whose
        features images are judged too: ``fid/inception`` and so on.

    The metrics of training are each network's loss, norms and learning rate as ``generator_…`` and
    ``discriminator_…``, and the mean logits ``real_logit`` and ``fake_logit``. `score` gives both
    losses, and ``two_sample_accuracy``, ``copies`` and ``least_class_share``
    (`jaxdl.metrics.sample_quality`) of images of the generator's moving average, if ``config.ema``
    keeps one; of digits also ``fid/digits``, ``kid/digits``, ``precision/digits``,
    ``recall/digits`` and ``inception_score/digits``, by the features of a classifier of digits.
    With ``classes`` also ``named_right``, the share of images whose nearest training image has the
    label asked for, and ``named_right/digits``, of those that the classifier names so.
    """
    need_batches(run, "label" if classes else "image")
    config, class_names = run.config, run.data.class_names
    by_class.check(asked, classes, class_names)
    count = len(class_names) if classes else 0
    game = choose("loss", loss, games.GAMES)
    _check(config, latent, n_critic, clip_weights, gradient_penalty, discriminator_rate)
    module = build_model(
        run,
        {"num_classes": count},
        because="the classes of the data with config.task.classes=true and 0 without",
    )
    players = Players(module, game, latent, gradient_penalty, count)
    if classes and not getattr(module, "num_classes", 0):
        raise UserError(
            "config.task.classes=true needs a model that is told of classes, such as 'dcgan', not "
            f"{config.model.name!r}"
        )
    some = players.given(jnp.zeros((1, latent), jnp.float32), jnp.zeros(1, jnp.int32))
    playing.check_model(
        run, module, some, ("generate", "discriminate"), "dcgan",
        "widths and base (a side is base · 2 ^ widths)",
    )  # fmt: skip
    if gradient_penalty and getattr(module, "normalization", None) == "batch":
        raise UserError(
            "config.task.gradient_penalty bounds the slope at each image by itself, which "
            "config.model.normalization='batch' mixes: use 'layer', 'spectral' or 'none'"
        )
    optimizers, updates = two_players.optimizers(run, n_critic, discriminator_rate)
    images_of = jax.jit(functools.partial(_images_of, players))
    drawn = functools.partial(playing.drawn, images_of)
    learned = generation.Learned(run.data)
    judged = judging.Judging(run, inception, playing.SCORED, classes)
    losses_of = jax.jit(functools.partial(playing.losses, players.discriminate, game))
    return Task(
        init=functools.partial(_init, players, optimizers, config.ema),
        train_step=functools.partial(
            train_step, players, updates, n_critic, config.accumulate, clip_weights
        ),
        score=functools.partial(playing.score, losses_of, drawn, learned, judged, count),
        artifacts=lambda state, split, key: learned.beside_nearest(
            drawn(state, key, by_class.in_turn(count, 32))
        ),
        parameters=functools.partial(playing.parameters, module, some),
        sample=functools.partial(_sample, players, class_names, asked, drawn),
        directions={**playing.DIRECTIONS, **judged.directions},
        check=judged.check,
    )


def train_step(
    players: Players,
    updates: two_players.Pair,
    n_critic: int,
    accumulate: int,
    clip_weights: float,
    state: State,
    batch: Mapping,
    key: jax.Array,
) -> tuple[State, Metrics]:
    """The discriminator's steps, each on a part of the batch, and the generator's one.

    Args:
      players: of the game.
      updates: loss function -> the update of each network (`jaxdl.tasks.learner.make_update`).
      n_critic: steps of the discriminator.
      accumulate: microbatches of each.
      clip_weights: as of `adversarial`.
      state: of both.
      batch: ``image``, and ``label`` where there are classes.
      key: of the step.
    """
    images, label = generation.scaled(batch["image"]), players.labels_of(batch)
    if len(images) % (n_critic * accumulate):
        raise UserError(
            f"config.task.n_critic={n_critic} times config.accumulate={accumulate} does "
            f"not divide the {len(images)} examples of a batch on a device"
        )
    # Part i takes every n_critic-th example: a batch that is split over devices stays there.
    cut = lambda x: x.reshape(-1, n_critic, *x.shape[1:]).swapaxes(0, 1)
    parts = {"image": cut(images), "label": cut(label)}
    size = parts["label"].shape[1]

    def discriminator_step(old: learner.Learner, inputs: Any) -> tuple[Any, Metrics]:
        part, key = inputs
        batch = {**part, "noise": players.noise(keys.named(key, "noise"), size)}
        loss_fn = functools.partial(discriminator_loss, players, state.generator)
        new, found = updates.discriminator(loss_fn)(old, batch, keys.named(key, "update"))
        if clip_weights:
            clip = lambda w: jnp.clip(w, -clip_weights, clip_weights)
            new = new._replace(params=jax.tree.map(clip, new.params))
        return new, found

    step_keys = jax.random.split(keys.named(key, "discriminator"), n_critic)
    if n_critic == 1:
        only = jax.tree.map(lambda x: x[0], (parts, step_keys))
        discriminator, found = discriminator_step(state.discriminator, only)
    else:
        discriminator, found = jax.lax.scan(
            discriminator_step, state.discriminator, (parts, step_keys)
        )
        found = jax.tree.map(lambda x: x.sum(0), found)
    key = keys.named(key, "generator")
    update = updates.generator(functools.partial(generator_loss, players, discriminator))
    batch = {"noise": players.noise(keys.named(key, "noise"), size), "label": parts["label"][0]}
    generator, own = update(state.generator, batch, key)
    told = two_players.told(two_players.Pair(own, found))
    return State(generator, discriminator), told


def _init(
    players: Players, optimizers: two_players.Pair, ema: float, key: jax.Array, batch: Mapping
) -> State:
    some, label = jnp.zeros((1, players.latent), jnp.float32), jnp.zeros(1, jnp.int32)
    images = generation.scaled(batch["image"][:1])
    init = lambda network, x, method: players.module.init(
        keys.named(key, network), *players.given(x, label), method=method
    )
    variables = two_players.Pair(
        init("generator", some, "generate"), init("discriminator", images, "discriminate")
    )
    return two_players.begun(optimizers, variables, ema)


def _images_of(
    players: Players, generator: learner.Learner, key: jax.Array, label: jax.Array
) -> jax.Array:
    noise = jax.random.normal(key, (playing.AT_ONCE, players.latent), jnp.float32)
    return generation.unit_range(players.generate(generator.best_variables, noise, label))


def _sample(
    players: Players,
    class_names: Sequence[str],
    asked: Sequence[int | str],
    drawn: Callable[[State, jax.Array, np.ndarray], np.ndarray],
    state: State,
    key: jax.Array,
) -> dict[str, Any]:
    if not players.classes:
        made = drawn(state, key, by_class.in_turn(0, 64))
        return {"samples": draw.image_grid(made, [""] * len(made))}
    labels = by_class.labels(asked, class_names)
    names = [class_names[i] for i in labels]
    made = drawn(state, key, labels)
    return {"samples": draw.image_grid(made, names, columns=by_class.OF_EACH)}


def _check(
    config: Any,
    latent: int,
    n_critic: int,
    clip_weights: float,
    gradient_penalty: float,
    discriminator_rate: float,
) -> None:
    """Raises UserError for the first setting that cannot be."""
    check_at_least(1, latent=latent, n_critic=n_critic)
    check_at_least(
        0,
        clip_weights=clip_weights,
        gradient_penalty=gradient_penalty,
        discriminator_rate=discriminator_rate,
    )
    if clip_weights and gradient_penalty:
        raise UserError(
            f"config.task.clip_weights={clip_weights} and gradient_penalty={gradient_penalty} both "
            "bound the discriminator's slope: set one of them to 0"
        )
    if config.batch_size % (n_critic * config.accumulate):
        raise UserError(
            f"config.batch_size={config.batch_size} must be a multiple of config.task.n_critic="
            f"{n_critic} times config.accumulate={config.accumulate}"
        )
