"""Two networks against each other: one makes images, the other tells them from real ones."""

import functools
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxdl import keys
from jaxdl.errors import UserError
from jaxdl.losses import gan as games
from jaxdl.metrics import Mean, Metrics
from jaxdl.parallel import replicas
from jaxdl.registry import choose
from jaxdl.report import draw
from jaxdl.tasks import Run, Task, build_model, check_at_least, learner, need_batches, register
from jaxdl.tasks.shared import generation, judging, playing, two_players
from jaxdl.tasks.shared.two_players import State


@register("adversarial")
def adversarial(
    run: Run,
    loss: str = "non_saturating",
    latent: int = 64,
    n_critic: int = 1,
    clip_weights: float = 0.0,
    gradient_penalty: float = 0.0,
    discriminator_rate: float = 1.0,
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
      inception: file of Inception's weights (`jaxdl.pretrained.judges.inception`), by whose
        features images are judged too: ``fid/inception`` and so on.

    The metrics of training are each network's loss, norms and learning rate as ``generator_…`` and
    ``discriminator_…``, and the mean logits ``real_logit`` and ``fake_logit``. `score` gives both
    losses, and ``two_sample_accuracy``, ``copies`` and ``least_class_share``
    (`jaxdl.metrics.sample_quality`) of images of the generator's moving average, if ``config.ema``
    keeps one; of digits also ``fid/digits``, ``kid/digits``, ``precision/digits``,
    ``recall/digits`` and ``inception_score/digits``, by the features of a classifier of digits.
    """
    need_batches(run)
    config = run.config
    game = choose("loss", loss, games.GAMES)
    _check(config, latent, n_critic, clip_weights, gradient_penalty, discriminator_rate)
    module = build_model(run)
    playing.check_model(
        run, module, latent, ("generate", "discriminate"), "dcgan",
        "widths and base (a side is base · 2 ^ widths)",
    )  # fmt: skip
    if gradient_penalty and getattr(module, "normalization", None) == "batch":
        raise UserError(
            "config.task.gradient_penalty bounds the slope at each image by itself, which "
            "config.model.normalization='batch' mixes: use 'layer', 'spectral' or 'none'"
        )
    players = Players(module, game, latent, gradient_penalty)
    optimizers, updates = two_players.optimizers(run, n_critic, discriminator_rate)
    images_of = jax.jit(functools.partial(_images_of, players))
    drawn = functools.partial(playing.drawn, images_of)
    learned, judged = generation.Learned(run.data), judging.Judging(run, inception, playing.SCORED)
    return Task(
        init=functools.partial(_init, players, optimizers, config.ema),
        train_step=functools.partial(
            train_step, players, updates, n_critic, config.accumulate, clip_weights
        ),
        score=functools.partial(
            playing.score,
            jax.jit(functools.partial(playing.losses, module, game)),
            drawn,
            learned,
            judged,
        ),
        artifacts=lambda state, split, key: learned.beside_nearest(drawn(state, key, 32)),
        parameters=functools.partial(playing.parameters, module, latent),
        sample=lambda state, key: {"samples": draw.image_grid(drawn(state, key, 64), [""] * 64)},
        directions={**playing.DIRECTIONS, **judged.directions},
        check=judged.check,
    )


class Players(NamedTuple):
    """Two networks and their game.

    Attributes:
      module: with ``generate`` and ``discriminate``.
      game: of `jaxdl.losses.gan.GAMES`.
      latent: size of the noise.
      gradient_penalty: its weight; 0 is off.
    """

    module: Any
    game: games.Game
    latent: int
    gradient_penalty: float

    def generate(self, variables: Any, noise: jax.Array, **how: Any) -> Any:
        """Noise (n, latent) to images (n, h, w, c) in [-1, 1]."""
        return self.module.apply(variables, noise, method="generate", **how)

    def discriminate(self, variables: Any, images: jax.Array, **how: Any) -> Any:
        """Images (n, h, w, c) in [-1, 1] to logits (n,)."""
        return self.module.apply(variables, images, method="discriminate", **how)

    def noise(self, key: jax.Array, size: int) -> jax.Array:
        """(size, latent), of this device's own."""
        return jax.random.normal(replicas.own(key), (size, self.latent), jnp.float32)


def discriminator_loss(
    players: Players,
    generator: learner.Learner,
    params: Any,
    model_state: Any,
    batch: Mapping,
    key: jax.Array,
) -> learner.Loss:
    """What the discriminator minimises: of ``image`` (n, h, w, c) and of fakes from ``noise``."""

    def judge(model_state: Any, images: jax.Array) -> tuple[jax.Array, Any]:
        variables = {"params": params, **model_state}
        how = dict(train=True, mutable=list(model_state))
        logits, new = players.discriminate(variables, images, **how)
        return logits, {**model_state, **new}

    real = batch["image"]
    fake, _ = players.generate(
        generator.variables, batch["noise"], train=True, mutable=list(generator.model_state)
    )
    # Each kind has batch statistics of its own, as published.
    real_logits, model_state = judge(model_state, real)
    fake_logits, model_state = judge(model_state, fake)
    per_example = players.game.discriminator(real_logits, fake_logits)
    found = {"real_logit": Mean.of(real_logits), "fake_logit": Mean.of(fake_logits)}
    if players.gradient_penalty:
        penalty = games.gradient_penalty(
            lambda images: judge(model_state, images)[0], real, fake, key
        )
        per_example = per_example + players.gradient_penalty * penalty
        found["gradient_penalty"] = Mean.of(penalty)
    return learner.Loss(Mean.of(per_example), model_state, found)


def generator_loss(
    players: Players,
    discriminator: learner.Learner,
    params: Any,
    model_state: Any,
    batch: Mapping,
    key: jax.Array,
) -> learner.Loss:
    """What the generator minimises: of how its images from ``noise`` (n, latent) are judged."""
    variables = {"params": params, **model_state}
    how = dict(train=True, mutable=list(model_state))
    fake, new = players.generate(variables, batch["noise"], **how)
    logits, _ = players.discriminate(
        discriminator.variables, fake, train=True, mutable=list(discriminator.model_state)
    )
    return learner.Loss(Mean.of(players.game.generator(logits)), {**model_state, **new}, {})


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
      batch: ``image``.
      key: of the step.
    """
    images = generation.scaled(batch["image"])
    if len(images) % (n_critic * accumulate):
        raise UserError(
            f"config.task.n_critic={n_critic} times config.accumulate={accumulate} does "
            f"not divide the {len(images)} examples of a batch on a device"
        )
    # Part i takes every n_critic-th example: a batch that is split over devices stays there.
    parts = images.reshape(-1, n_critic, *images.shape[1:]).swapaxes(0, 1)
    size = parts.shape[1]

    def discriminator_step(old: learner.Learner, inputs: Any) -> tuple[Any, Metrics]:
        part, key = inputs
        batch = {"image": part, "noise": players.noise(keys.named(key, "noise"), size)}
        loss_fn = functools.partial(discriminator_loss, players, state.generator)
        new, found = updates.discriminator(loss_fn)(old, batch, keys.named(key, "update"))
        if clip_weights:
            clip = lambda w: jnp.clip(w, -clip_weights, clip_weights)
            new = new._replace(params=jax.tree.map(clip, new.params))
        return new, found

    step_keys = jax.random.split(keys.named(key, "discriminator"), n_critic)
    if n_critic == 1:
        discriminator, found = discriminator_step(state.discriminator, (parts[0], step_keys[0]))
    else:
        discriminator, found = jax.lax.scan(
            discriminator_step, state.discriminator, (parts, step_keys)
        )
        found = jax.tree.map(lambda x: x.sum(0), found)
    key = keys.named(key, "generator")
    update = updates.generator(functools.partial(generator_loss, players, discriminator))
    noise = players.noise(keys.named(key, "noise"), size)
    generator, own = update(state.generator, {"noise": noise}, key)
    told = two_players.told(two_players.Pair(own, found))
    return State(generator, discriminator), told


def _init(
    players: Players, optimizers: two_players.Pair, ema: float, key: jax.Array, batch: Mapping
) -> State:
    some = jnp.zeros((1, players.latent), jnp.float32)
    made = lambda name: keys.named(key, name)
    images = generation.scaled(batch["image"][:1])
    init = players.module.init
    variables = two_players.Pair(
        init(made("generator"), some, method="generate"),
        init(made("discriminator"), images, method="discriminate"),
    )
    return two_players.begun(optimizers, variables, ema)


def _images_of(players: Players, generator: learner.Learner, key: jax.Array) -> jax.Array:
    noise = jax.random.normal(key, (playing.AT_ONCE, players.latent), jnp.float32)
    return generation.unit_range(players.generate(generator.best_variables, noise))


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
