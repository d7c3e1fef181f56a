"""StyleGAN2's game: styles mixed, and both networks regularised now and then."""

import functools
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxdl import keys
from jaxdl.losses import gan
from jaxdl.metrics import Mean, Metrics, zeros
from jaxdl.optim import lazy
from jaxdl.parallel import replicas
from jaxdl.per_member import any_on
from jaxdl.report import draw
from jaxdl.tasks import (
    Run,
    Task,
    build_model,
    check_at_least,
    check_shares,
    learner,
    need_batches,
    register,
)
from jaxdl.tasks.shared import by_class, generation, judging, playing, style_grids, two_players

GAME = gan.non_saturating

# Of an update that regularises: nothing that is told of the loss's, and no average.
_ALONE = dict(ema=0.0, layer_norms=False, schedule=None)


class State(NamedTuple):
    """Both networks' learners, and what lengths of paths are held against.

    Attributes:
      generator: with the moving average of its parameters, and of its styles' mean.
      discriminator: without.
      path_length: moving average of `jaxdl.losses.gan.path_lengths`, float32.
    """

    generator: learner.Learner
    discriminator: learner.Learner
    path_length: jax.Array


@register("stylegan2", asks=("truncation",))
def stylegan2(
    run: Run,
    latent: int = 64,
    mixing: float = 0.9,
    r1: float = 10.0,
    r1_every: int = 16,
    path_length: float = 2.0,
    path_every: int = 4,
    path_memory: float = 0.99,
    truncation: float = 1.0,
    discriminator_rate: float = 1.0,
    inception: str = "",
) -> Task:
    """A generator of images like ``image`` (batch, s, s, c), as Karras et al., 2020, train it.

    Args:
      run: the run's config and data. The model has the methods of "stylegan2"; images are in
        [-1, 1].
      latent: size of the noise that styles are made of, standard normal.
      mixing: share of examples that have the styles of two latent vectors, one up to a random
        layer and the other from there on (Karras et al., 2019, section 3.1).
      r1: weight γ of `jaxdl.losses.gan.r1_penalty`; 0 is off.
      r1_every: updates of the discriminator to one of that penalty (`jaxdl.optim.lazy`).
      path_length: weight of the squared distance of `jaxdl.losses.gan.path_lengths` to their
        average; 0 is off.
      path_every: updates of the generator to one of that, with half as many images.
      path_memory: of the average.
      truncation: of what is shown and sampled, not of what is measured: styles are brought as near
        to their mean; 1 leaves them.
      discriminator_rate: factor on its learning rate.
      inception: as of `jaxdl.tasks.adversarial`.

    The metrics of training are those of `jaxdl.tasks.adversarial`, learning rates being the lower
    ones of `jaxdl.optim.lazy`, and ``r1_penalty``, ``path_length`` and ``path_penalty`` without
    their weights. So are those of `score`.
    """
    need_batches(run)
    _check(latent, mixing, r1, r1_every, path_length, path_every, path_memory)
    check_at_least(0, truncation=truncation, discriminator_rate=discriminator_rate)
    module = build_model(run)
    sizes = "as many widths as there are sizes (a side is 4 · 2 ^ (widths - 1))"
    methods = ("generate", "discriminate", "map", "synthesise", "truncated")
    some = (jnp.zeros((1, latent), jnp.float32),)
    playing.check_model(run, module, some, methods, "stylegan2", sizes)
    every = two_players.Pair(
        path_every if any_on(path_length) else 0, r1_every if any_on(r1) else 0
    )
    players = Players(module, latent, mixing, path_length, path_memory, r1, every)
    chains, updates = two_players.optimizers(run, 1, discriminator_rate, every)
    drawing = lambda truncation: functools.partial(
        playing.drawn, jax.jit(functools.partial(_images_of, players, truncation))
    )
    drawn, shown = drawing(1.0), drawing(truncation)
    learned, judged = generation.Learned(run.data), judging.Judging(run, inception, playing.SCORED)
    judge = lambda variables, images, label: players.discriminate(variables, images)
    losses_of = jax.jit(functools.partial(playing.losses, judge, GAME))
    grids = style_grids.Grids(module, latent, truncation)
    return Task(
        init=functools.partial(_init, players, chains, run.config.ema),
        train_step=functools.partial(train_step, players, updates, run.config.accumulate),
        score=functools.partial(playing.score, losses_of, drawn, learned, judged, 0),
        artifacts=lambda state, split, key: {
            **learned.beside_nearest(shown(state, key, by_class.in_turn(0, 32))),
            **grids.pictures(state.generator, keys.named(key, "grids")),
        },
        parameters=functools.partial(playing.parameters, module, some),
        sample=lambda state, key: {
            "samples": draw.image_grid(shown(state, key, by_class.in_turn(0, 64)), [""] * 64)
        },
        directions={**playing.DIRECTIONS, **judged.directions},
        check=judged.check,
    )


class Players(NamedTuple):
    """Two networks and their settings, as of `stylegan2`.

    Attributes:
      every: updates of each network to one of its regularisation; 0 is none.
    """

    module: Any
    latent: int
    mixing: float
    path_length: float
    path_memory: float
    r1: float
    every: two_players.Pair

    def discriminate(self, variables: Any, images: jax.Array) -> jax.Array:
        """Images (n, h, w, c) in [-1, 1] to logits (n,)."""
        return self.module.apply(variables, images, method="discriminate")

    def discriminate_both(
        self, variables: Any, real: jax.Array, fake: jax.Array
    ) -> tuple[jax.Array, jax.Array]:
        """The logits of both, in one pass if groups whose deviation is seen stay of one kind."""
        group, size = self.module.group, len(real)
        if size % group:
            return self.discriminate(variables, real), self.discriminate(variables, fake)
        # Groups of both kinds in turn: a batch that is split over devices stays where it is.
        groups = [x.reshape(size // group, 1, group, *x.shape[1:]) for x in (real, fake)]
        both = jnp.concatenate(groups, axis=1).reshape(2 * size, *real.shape[1:])
        logits = self.discriminate(variables, both).reshape(size // group, 2, group)
        return logits[:, 0].reshape(size), logits[:, 1].reshape(size)

    def synthesise(self, variables: Any, styles: jax.Array, key: jax.Array) -> jax.Array:
        """Styles (n, layers, width) to images (n, h, w, c), with noise of their own."""
        noise = jax.random.normal(key, (len(styles), self.module.pixels), jnp.float32)
        return self.module.apply(variables, styles, noise, method="synthesise")

    def inputs(self, key: jax.Array, size: int) -> dict[str, jax.Array]:
        """What so many images are made of, of this device's own.

        Returns:
          ``latent`` (size, 2, latent), and ``crossover`` (size,), the first layer that has the
          second one's style; past the last where the first one has all.
        """
        key, layers = replicas.own(key), self.module.layers
        draw = functools.partial(keys.named, key)
        place = jax.random.randint(draw("place"), (size,), 1, layers)
        mixes = jax.random.uniform(draw("mixes"), (size,)) < self.mixing
        return {
            "latent": jax.random.normal(draw("latent"), (size, 2, self.latent), jnp.float32),
            "crossover": jnp.where(mixes, place, layers),
        }

    def styles(self, variables: Any, inputs: Mapping, **how: Any) -> tuple[jax.Array, Any]:
        """Of `inputs`: styles (n, layers, width), and the model's collections after it."""
        latent = inputs["latent"].reshape(-1, self.latent)
        made = self.module.apply(variables, latent, method="map", **how)
        made, new = made if how else (made, {})
        first, second = jnp.moveaxis(made.reshape(-1, 2, 1, made.shape[-1]), 1, 0)
        place = jnp.arange(self.module.layers)[None, :, None]
        return jnp.where(place < inputs["crossover"][:, None, None], first, second), new


def generator_loss(
    players: Players,
    discriminator: learner.Learner,
    params: Any,
    model_state: Any,
    batch: Mapping,
    key: jax.Array,
) -> learner.Loss:
    """What the generator minimises: of how its images of ``batch`` (`Players.inputs`) are judged.

    The styles' mean moves with them.
    """
    variables = {"params": params, **model_state}
    styles, new = players.styles(variables, batch, train=True, mutable=list(model_state))
    fake = players.synthesise(variables, styles, keys.named(key, "noise"))
    logits = players.discriminate(discriminator.variables, fake)
    return learner.Loss(Mean.of(GAME.generator(logits)), {**model_state, **new}, {})


def path_loss(
    players: Players,
    average: jax.Array,
    params: Any,
    model_state: Any,
    batch: Mapping,
    key: jax.Array,
) -> learner.Loss:
    """The generator's regularisation: (path length - ``average``)², as of earlier updates."""
    variables = {"params": params, **model_state}
    styles, _ = players.styles(variables, batch)
    synthesise = lambda styles: players.synthesise(variables, styles, keys.named(key, "noise"))
    shape = jax.eval_shape(synthesise, styles).shape
    along = jax.random.normal(keys.named(key, "along"), shape, jnp.float32)
    lengths = gan.path_lengths(synthesise, styles, along)
    penalty = jnp.square(lengths - average)
    weight = players.path_length * players.every.generator
    found = {"path_length": Mean.of(lengths), "path_penalty": Mean.of(penalty)}
    return learner.Loss(Mean.of(weight * penalty), model_state, found)


def discriminator_loss(
    players: Players,
    generator: learner.Learner,
    params: Any,
    model_state: Any,
    batch: Mapping,
    key: jax.Array,
) -> learner.Loss:
    """What the discriminator minimises: of ``image``, and of fakes of the same `Players.inputs`."""
    styles, _ = players.styles(generator.variables, batch)
    fake = players.synthesise(generator.variables, styles, keys.named(key, "noise"))
    variables = {"params": params, **model_state}
    real_logits, fake_logits = players.discriminate_both(variables, batch["image"], fake)
    found = {"real_logit": Mean.of(real_logits), "fake_logit": Mean.of(fake_logits)}
    return learner.Loss(Mean.of(GAME.discriminator(real_logits, fake_logits)), model_state, found)


def r1_loss(
    players: Players, params: Any, model_state: Any, batch: Mapping, key: jax.Array
) -> learner.Loss:
    """The discriminator's regularisation: its slope at ``image``."""
    critic = functools.partial(players.discriminate, {"params": params, **model_state})
    penalty = gan.r1_penalty(critic, batch["image"])
    weight = players.r1 * players.every.discriminator
    return learner.Loss(Mean.of(weight * penalty), model_state, {"r1_penalty": Mean.of(penalty)})


def regularised(
    update: Callable[..., tuple[learner.Learner, Metrics]],
    every: int,
    told: tuple[str, ...],
    old: learner.Learner,
    batch: Mapping,
    key: jax.Array,
) -> tuple[learner.Learner, Metrics]:
    """An update of a regularisation where it is due (`jaxdl.optim.lazy.is_due`).

    Args:
      update: of `jaxdl.tasks.learner.make_update`, without an average.
      every: updates of the loss to one of it.
      told: its metrics that are returned, with weight 0 where it is not due.
      old: before.
      batch: for the update; so is key.
    """

    def run() -> tuple[learner.Learner, Metrics]:
        new, found = update(old, batch, key)
        return new, {name: found[name] for name in told}

    nothing = zeros(jax.eval_shape(run)[1])
    due = lazy.is_due(learner.updates_done(old.opt_state), every)
    return jax.lax.cond(due, run, lambda: (old, nothing))


def train_step(
    players: Players,
    updates: two_players.Pair,
    accumulate: int,
    state: State,
    batch: Mapping,
    key: jax.Array,
) -> tuple[State, Metrics]:
    """The generator's update and then the discriminator's, each behind its regularisation's if due.

    Args:
      players: of the game.
      updates: loss function -> the update of each network (`jaxdl.tasks.learner.make_update`).
      accumulate: microbatches of each.
      state: of both.
      batch: ``image``, uint8 or in [0, 1].
      key: of the step.
    """
    images, found, every = generation.scaled(batch["image"]), {}, players.every
    generator, discriminator, average = state
    own = keys.named(key, "generator")
    if every.generator:
        half = max(1, len(images) // (2 * accumulate)) * accumulate
        update = updates.generator(functools.partial(path_loss, players, average), **_ALONE)
        path = keys.named(key, "path_length")
        generator, told = regularised(
            update,
            every.generator,
            ("path_length", "path_penalty"),
            generator,
            players.inputs(keys.named(path, "inputs"), half),
            path,
        )
        average, found = _moved(average, told["path_length"], players.path_memory), {**told}
    update = updates.generator(functools.partial(generator_loss, players, discriminator))
    inputs = players.inputs(keys.named(own, "inputs"), len(images))
    generator, its = update(generator, inputs, own)
    own = keys.named(key, "discriminator")
    if every.discriminator:
        update = updates.discriminator(functools.partial(r1_loss, players), **_ALONE)
        discriminator, told = regularised(
            update, every.discriminator, ("r1_penalty",), discriminator, {"image": images}, own
        )
        found |= told
    update = updates.discriminator(functools.partial(discriminator_loss, players, generator))
    inputs = players.inputs(keys.named(own, "inputs"), len(images))
    discriminator, theirs = update(discriminator, {"image": images, **inputs}, own)
    found |= two_players.told(two_players.Pair(its, theirs))
    return State(generator, discriminator, average), found


def _moved(average: jax.Array, found: Mean, memory: float) -> jax.Array:
    """A moving average after another mean; of nothing it stays."""
    mean = found.total / jnp.maximum(found.weight, 1)
    return jnp.where(found.weight > 0, average + (1 - memory) * (mean - average), average)


def _init(
    players: Players, chains: two_players.Pair, ema: float, key: jax.Array, batch: Mapping
) -> State:
    init, made = players.module.init, lambda name: keys.named(key, name)
    variables = two_players.Pair(
        init(made("generator"), jnp.zeros((1, players.latent), jnp.float32), method="generate"),
        init(made("discriminator"), generation.scaled(batch["image"][:1]), method="discriminate"),
    )
    return State(*two_players.begun(chains, variables, ema), jnp.zeros((), jnp.float32))


def _images_of(
    players: Players,
    truncation: float,
    generator: learner.Learner,
    key: jax.Array,
    label: jax.Array,
) -> jax.Array:
    """Images in [0, 1], each of one latent vector, whatever the label."""
    variables, module = generator.best_variables, players.module
    draw = lambda name, size: jax.random.normal(keys.named(key, name), (playing.AT_ONCE, size))
    latent, noise = draw("latent", players.latent), draw("noise", module.pixels)
    return style_grids.images(module, truncation, variables, latent, noise)


def _check(
    latent: int,
    mixing: float,
    r1: float,
    r1_every: int,
    path_length: float,
    path_every: int,
    path_memory: float,
) -> None:
    """Raises UserError for the first setting that cannot be."""
    check_at_least(1, latent=latent, r1_every=r1_every, path_every=path_every)
    check_shares(mixing=mixing, path_memory=path_memory)
    check_at_least(0, r1=r1, path_length=path_length)
