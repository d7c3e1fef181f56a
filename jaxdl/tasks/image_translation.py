"""Pictures to pictures of another kind, learned of pairs: Pix2Pix."""

import functools
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxdl import keys, losses
from jaxdl.data import without_padding
from jaxdl.losses import gan
from jaxdl.metrics import Mean, Metrics
from jaxdl.parallel import replicas
from jaxdl.registry import choose
from jaxdl.tasks import Run, Task, check_at_least, learner, need_batches, over_split, register
from jaxdl.tasks.shared import generation, translating, two_players
from jaxdl.tasks.shared.two_players import State


@register("image_translation", derives=("channels",), asks=("resize",))
def image_translation(
    run: Run,
    loss: str = "cross_entropy",
    distance: float = 100.0,
    discriminator_width: int = 64,
    discriminator_depth: int = 3,
    discriminator_rate: float = 1.0,
    mirror: bool = False,
    resize: bool = True,
) -> Task:
    """``target`` (batch, h, w, c) of ``image`` (batch, h, w, c): Isola et al., 2017.

    The generator makes a picture of a picture; the discriminator sees both, and tells of each patch
    whether the second one is real. An update is one of the discriminator and then one of the
    generator, as the authors have it.

    Args:
      run: the run's config and data. The model maps pictures in [-1, 1] to such and has
        ``multiple``, of which sides must be, such as "pix2pix" or "cyclegan".
      loss: "cross_entropy" as published, or "least_squares" (`jaxdl.losses.gan.TRANSLATIONS`).
      distance: weight of the mean absolute difference to ``target``, both in [-1, 1].
      discriminator_width: features of its first map (`jaxdl.models.patchgan`).
      discriminator_depth: its halvings: 3 are patches of 70 pixels.
      discriminator_rate: factor on its learning rate.
      mirror: whether pairs are mirrored from left to right at random.
      resize: whether --mode=predict brings pictures to the size of those learned from; or else it
        takes them as they are.

    The metrics of training are both networks' loss, norms and rates as ``generator_…`` and
    ``discriminator_…``, ``fooled``, what the generator minimises of the discriminator's logits,
    ``l1``, and the mean logits ``real_logit`` and ``fake_logit``. Evaluation gives ``l1``, ``psnr``
    and ``ssim``, all channels, each picture by itself.
    """
    need_batches(run, "target")
    check_at_least(0, distance=distance, discriminator_rate=discriminator_rate)
    game = choose("loss", loss, gan.TRANSLATIONS)
    nets = translating.networks(run, discriminator_width, discriminator_depth, seen=2)
    players = Players(nets, game, distance, mirror)
    optimizers, updates = two_players.optimizers(run, 1, discriminator_rate)
    made_of = jax.jit(lambda state, images: predict(players, state, images)["image"])
    figures = jax.jit(functools.partial(_of_each, players))
    return Task(
        init=functools.partial(_init, players, optimizers, run.config.ema),
        train_step=functools.partial(train_step, players, updates),
        eval_step=functools.partial(evaluate, players),
        artifacts=functools.partial(_artifacts, figures, run.config.eval.batch_size),
        parameters=functools.partial(_parameters, players),
        predict=functools.partial(predict, players),
        transform=functools.partial(
            translating.transform, made_of, nets.shape, nets.generator.multiple, resize
        ),
        any_size=False,
        directions=translating.DIRECTIONS,
    )


class Players(NamedTuple):
    """Two networks and what they play for.

    Attributes:
      nets: both.
      game: of `jaxdl.losses.gan.TRANSLATIONS`.
      distance: weight of the mean absolute difference.
      mirror: whether pairs are mirrored.
    """

    nets: translating.Networks
    game: gan.Game
    distance: float
    mirror: bool = False


def discriminator_loss(
    players: Players, params: Any, model_state: Any, batch: Mapping, key: jax.Array
) -> learner.Loss:
    """What the discriminator minimises, of ``image``, ``target`` and ``made`` (batch, h, w, c)."""
    judge = learner.forward(players.nets.discriminator)
    logits = {}
    for name in ("target", "made"):
        pair = jnp.concatenate([batch["image"], batch[name]], axis=-1)
        # Each kind has batch statistics of its own, as published.
        logits[name], model_state = judge(params, model_state, keys.named(key, name), pair)
    per_example = gan.of_patches(players.game.discriminator(logits["target"], logits["made"]))
    found = {
        f"{name}_logit": Mean.of(logits[of].mean((1, 2)))
        for name, of in (("real", "target"), ("fake", "made"))
    }
    return learner.Loss(Mean.of(per_example), model_state, found)


def generator_loss(
    players: Players,
    discriminator: learner.Learner,
    params: Any,
    model_state: Any,
    batch: Mapping,
    key: jax.Array,
) -> learner.Loss:
    """What the generator minimises, of ``image`` and ``target`` (batch, h, w, c) in [-1, 1]."""
    generate, judge = (learner.forward(module) for module in players.nets[:2])
    made, model_state = generate(params, model_state, key, batch["image"])
    pair = jnp.concatenate([batch["image"], made], axis=-1)
    logits, _ = judge(discriminator.params, discriminator.model_state, key, pair)
    fooled = gan.of_patches(players.game.generator(logits))
    l1 = losses.mae(made, batch["target"])
    found = {"fooled": Mean.of(fooled), "l1": Mean.of(l1)}
    return learner.Loss(Mean.of(fooled + players.distance * l1), model_state, found)


def train_step(
    players: Players, updates: two_players.Pair, state: State, batch: Mapping, key: jax.Array
) -> tuple[State, Metrics]:
    """The discriminator's update, against what the generator makes, and then the generator's.

    Args:
      players: both, and their game.
      updates: loss function -> the update of each network.
      state: of both.
      batch: ``image`` and ``target``, uint8 or in [0, 1].
      key: of the step.
    """
    pair = [generation.scaled(batch[name]) for name in ("image", "target")]
    if players.mirror:
        pair = translating.mirrored(replicas.own(keys.named(key, "mirror")), *pair)
    image, target = pair
    old, own = state.generator, keys.named(key, "generator")
    # By the key of its update, so that both passes are one: they make the same.
    generate = learner.forward(players.nets.generator)
    made, _ = generate(old.params, old.model_state, replicas.own(own), image)
    update = updates.discriminator(functools.partial(discriminator_loss, players))
    judged = {"image": image, "target": target, "made": jax.lax.stop_gradient(made)}
    discriminator, found = update(state.discriminator, judged, keys.named(key, "discriminator"))
    update = updates.generator(functools.partial(generator_loss, players, discriminator))
    generator, its = update(old, {"image": image, "target": target}, own)
    told = two_players.told(two_players.Pair(its, found))
    return State(generator, discriminator), told


def evaluate(players: Players, state: State, batch: Mapping, key: jax.Array) -> Metrics:
    """``l1``, ``psnr`` and ``ssim`` of a batch that may be padded; no draws."""
    weights = without_padding(batch)
    found = _of_each(players, state, batch, key)
    return {name: Mean.of(x, weights) for name, x in found.items() if name != "made"}


def _of_each(players: Players, state: State, batch: Mapping, key: jax.Array) -> dict[str, Any]:
    """``made`` (batch, h, w, c) in [-1, 1] of every picture, and its figures (batch,)."""
    image, target = (generation.scaled(batch[name]) for name in ("image", "target"))
    made = players.nets.generator.apply(state.generator.best_variables, image, train=False)
    return {
        "made": made,
        "l1": losses.mae(made, target),
        **translating.likeness(made, target),
    }


def predict(players: Players, state: State, images: jax.Array) -> dict[str, jax.Array]:
    """`Task.predict`: ``image`` (batch, h, w, c) uint8 of what the generator makes."""
    variables, images = state.generator.best_variables, generation.scaled(images)
    made = players.nets.generator.apply(variables, images, train=False)
    return {"image": translating.as_bytes(made)}


def _init(
    players: Players, optimizers: two_players.Pair, ema: float, key: jax.Array, batch: Mapping
) -> State:
    variables = two_players.Pair(*translating.first_variables(players.nets, 2, key))
    return two_players.begun(optimizers, variables, ema)


def _artifacts(
    figures: Callable[..., Any], at_once: int, state: State, split: Any, key: jax.Array
) -> dict[str, Any]:
    found = over_split(figures, split, at_once, state)
    worst = np.argsort(found["psnr"])[: translating.SHOWN]
    batch = split.take(worst)
    in_01 = lambda name: np.asarray(generation.unit_range(generation.scaled(batch[name])))
    made = np.clip(generation.unit_range(found["made"][worst]), 0, 1)
    columns = {"input": in_01("image"), "made": made, "true": in_01("target")}
    lines = {"made": [f"made, {found['psnr'][i]:.2f} dB" for i in worst]}
    caption = (
        f"Of {len(split)} pictures of the evaluation part those with the lowest PSNR; "
        f"{np.mean(found['psnr']):.2f} dB on average."
    )
    return {"Most wrong": translating.grid(columns, lines, caption)}


def _parameters(players: Players, state: State) -> dict[str, jax.Array]:
    order = translating.order(players.nets, 2)
    return {
        **learner.parameters(state.generator.params, order),
        **learner.parameters(state.discriminator.params, order),
    }
