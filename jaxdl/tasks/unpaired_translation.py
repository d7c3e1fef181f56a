"""Pictures to pictures of another kind and back, learned of both kinds without pairs: CycleGAN."""

import functools
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxdl import keys, losses
from jaxdl.data import two_kinds, without_padding
from jaxdl.losses import gan
from jaxdl.metrics import LOW, Mean, Metrics
from jaxdl.parallel import replicas
from jaxdl.per_member import any_on
from jaxdl.registry import choose
from jaxdl.tasks import Run, Task, check_at_least, learner, need_batches, over_split, register
from jaxdl.tasks.shared import generation, image_pool, named, translating, two_players

# Of parameters: the generator's two ways, and the discriminators of what each makes.
WAYS, KINDS = ("to_target", "to_image"), ("of_target", "of_image")


class State(NamedTuple):
    """Learners of both generators and of both discriminators, and pictures made earlier.

    Attributes:
      generator: its parameters lie under "to_target" and "to_image".
      discriminator: under "of_target" and "of_image".
      pools: `jaxdl.tasks.shared.image_pool.Pool` of targets and of images that were made; () where
        none is kept.
    """

    generator: learner.Learner
    discriminator: learner.Learner
    pools: tuple[image_pool.Pool, ...]


@register("unpaired_translation", derives=("channels",), asks=("back", "resize"))
def unpaired_translation(
    run: Run,
    loss: str = "least_squares",
    cycle: float = 10.0,
    identity: float = 0.5,
    pool: int = 50,
    discriminator_width: int = 64,
    discriminator_depth: int = 3,
    discriminator_rate: float = 1.0,
    mirror: bool = False,
    back: bool = False,
    resize: bool = True,
) -> Task:
    """Pictures like ``target`` of ``image`` (batch, h, w, c), and the other way: Zhu et al., 2017.

    Two generators, and a discriminator for what each makes; what is made of a picture and back is
    to be that picture. An update is one of the generators and then one of the discriminators.

    Args:
      run: the run's config and data. The model is `image_translation`'s, such as "cyclegan".
      loss: "least_squares" as published, or "cross_entropy" (`jaxdl.losses.gan.TRANSLATIONS`).
      cycle: weight of the mean absolute difference of pictures in [-1, 1] to what comes back.
      identity: weight, times ``cycle``, of that of pictures to what is made of them by the
        generator that makes their own kind; 0 is off.
      pool: pictures made earlier that are kept at each place of the batch, of which the
        discriminators see half of the time one; 0 is off.
      discriminator_width: as `image_translation`'s; so are depth and rate.
      discriminator_depth: see there.
      discriminator_rate: see there.
      mirror: whether pictures are mirrored from left to right at random, each kind by itself.
      back: whether --mode=predict makes images of targets.
      resize: as `image_translation`'s.

    The metrics of training are both sides' loss, norms and rates as ``generator_…`` and
    ``discriminator_…``, and ``fooled``, ``cycle_l1`` and ``identity_l1``, sums over both ways.
    Evaluation gives ``image_cycle`` and ``target_cycle``, the mean absolute differences to what
    comes back; `score`, of data with labels, ``named_rightly`` (`jaxdl.tasks.shared.named`).
    """
    need_batches(run, "target")
    check_at_least(0, cycle=cycle, identity=identity, discriminator_rate=discriminator_rate)
    check_at_least(0, pool=pool)
    game = choose("loss", loss, gan.TRANSLATIONS)
    nets = translating.networks(run, discriminator_width, discriminator_depth, seen=1)
    players = Players(nets, game, cycle, identity, mirror)
    optimizers, updates = two_players.optimizers(run, 1, discriminator_rate)
    made_of = jax.jit(lambda state, images: predict(players, back, state, images)["image"])
    both = jax.jit(functools.partial(_both_ways, players))
    at_once = run.config.eval.batch_size
    task = Task(
        init=functools.partial(
            _init, players, optimizers, run.config.ema, run.config.batch_size, pool
        ),
        train_step=functools.partial(train_step, players, updates),
        eval_step=functools.partial(evaluate, players),
        artifacts=functools.partial(_artifacts, both, at_once),
        parameters=functools.partial(_parameters, players),
        partition=_partition,
        predict=functools.partial(predict, players, back),
        transform=functools.partial(
            translating.transform, made_of, nets.shape, nets.generator.multiple, resize
        ),
        any_size=False,
        directions={
            **translating.DIRECTIONS,
            **named.DIRECTIONS,
            **dict.fromkeys(("image_cycle", "target_cycle"), LOW),
        },
    )
    if {"label", "target_label"} - set(run.data.train.take(np.arange(1))):
        return task
    score = functools.partial(_score, both, at_once, named.Named(run.data))
    return task._replace(score=score)


class Players(NamedTuple):
    """The networks and what they play for.

    Attributes:
      nets: one generator's and one discriminator's modules, each used twice.
      game: of `jaxdl.losses.gan.TRANSLATIONS`.
      cycle: weight of what comes back.
      identity: weight, times that, of what stays.
      mirror: whether pictures are mirrored.
    """

    nets: translating.Networks
    game: gan.Game
    cycle: float
    identity: float
    mirror: bool = False


Forward = Callable[..., tuple[jax.Array, Any]]


def one_of(module: Any, name: str) -> Forward:
    """The pass of training (`jaxdl.tasks.learner.forward`) with what lies under ``name``."""
    forward = learner.forward(module)

    def apply(params: Any, model_state: Any, key: jax.Array, x: jax.Array) -> tuple[jax.Array, Any]:
        own = {kind: tree[name] for kind, tree in model_state.items()}
        made, new = forward(params[name], own, keys.named(key, name), x)
        return made, {k: {**tree, name: new[k]} for k, tree in model_state.items()}

    return apply


def translated(
    players: Players, params: Any, model_state: Any, batch: Mapping, key: jax.Array
) -> tuple[dict[str, jax.Array], Any]:
    """``target`` of ``image`` and ``image`` of ``target``, (batch, h, w, c) in [-1, 1] all."""
    to_target, to_image = (one_of(players.nets.generator, way) for way in WAYS)
    key = keys.named(key, "there")
    target, model_state = to_target(params, model_state, key, batch["image"])
    image, model_state = to_image(params, model_state, key, batch["target"])
    return {"target": target, "image": image}, model_state


def generator_loss(
    players: Players,
    discriminator: learner.Learner,
    params: Any,
    model_state: Any,
    batch: Mapping,
    key: jax.Array,
) -> learner.Loss:
    """What both generators minimise, of ``image`` and ``target`` (batch, h, w, c) in [-1, 1]."""
    to_target, to_image = (one_of(players.nets.generator, way) for way in WAYS)
    image, target = batch["image"], batch["target"]
    made, model_state = translated(players, params, model_state, batch, key)
    again = keys.named(key, "back")
    image_back, model_state = to_image(params, model_state, again, made["target"])
    target_back, model_state = to_target(params, model_state, again, made["image"])
    cycle = losses.mae(image_back, image) + losses.mae(target_back, target)
    fooled = 0.0
    for kind, picture in zip(KINDS, (made["target"], made["image"]), strict=True):
        judge = one_of(players.nets.discriminator, kind)
        logits, _ = judge(discriminator.params, discriminator.model_state, key, picture)
        fooled = fooled + gan.of_patches(players.game.generator(logits))
    total = fooled + players.cycle * cycle
    found = {"fooled": Mean.of(fooled), "cycle_l1": Mean.of(cycle)}
    if any_on(players.identity):
        again = keys.named(key, "same")
        same_target, model_state = to_target(params, model_state, again, target)
        same_image, model_state = to_image(params, model_state, again, image)
        identity = losses.mae(same_target, target) + losses.mae(same_image, image)
        total = total + players.cycle * players.identity * identity
        found["identity_l1"] = Mean.of(identity)
    return learner.Loss(Mean.of(total), model_state, found)


def discriminator_loss(
    players: Players, params: Any, model_state: Any, batch: Mapping, key: jax.Array
) -> learner.Loss:
    """What both discriminators minimise, of ``image`` and ``target`` and of both as made."""
    total = 0.0
    for kind, name in zip(KINDS, ("target", "image"), strict=True):
        judge = one_of(players.nets.discriminator, kind)
        real, model_state = judge(params, model_state, key, batch[name])
        fake, model_state = judge(params, model_state, key, batch[f"made_{name}"])
        total = total + gan.of_patches(players.game.discriminator(real, fake))
    return learner.Loss(Mean.of(total), model_state, {})


def train_step(
    players: Players, updates: two_players.Pair, state: State, batch: Mapping, key: jax.Array
) -> tuple[State, Metrics]:
    """The generators' update, and then the discriminators', against what was made before it.

    Args:
      players: all four, and their game.
      updates: loss function -> the update of each pair of networks.
      state: of all.
      batch: ``image`` and ``target``, uint8 or in [0, 1].
      key: of the step.
    """
    pictures = {name: generation.scaled(batch[name]) for name in ("image", "target")}
    if players.mirror:
        draws = replicas.own(keys.named(key, "mirror"))
        pictures = {
            name: translating.mirrored(keys.named(draws, name), x)[0]
            for name, x in pictures.items()
        }
    old, own = state.generator, keys.named(key, "generator")
    # By the key of the update, so that both passes are one: they make the same.
    made, _ = translated(players, old.params, old.model_state, pictures, replicas.own(own))
    made = jax.lax.stop_gradient(made)
    update = updates.generator(functools.partial(generator_loss, players, state.discriminator))
    generator, its = update(old, pictures, own)
    seen, pools = _exchanged(state.pools, made, replicas.own(keys.named(key, "pool")))
    update = updates.discriminator(functools.partial(discriminator_loss, players))
    discriminator, found = update(
        state.discriminator, {**pictures, **seen}, keys.named(key, "discriminator")
    )
    told = two_players.told(two_players.Pair(its, found))
    return State(generator, discriminator, pools), told


def _exchanged(
    pools: tuple[image_pool.Pool, ...], made: Mapping[str, jax.Array], key: jax.Array
) -> tuple[dict[str, jax.Array], tuple[image_pool.Pool, ...]]:
    names = ("target", "image")
    if not pools:
        return {f"made_{name}": made[name] for name in names}, pools
    results = [
        image_pool.exchanged(pool, made[name], keys.named(key, name))
        for pool, name in zip(pools, names, strict=True)
    ]
    seen = {f"made_{name}": result[0] for name, result in zip(names, results, strict=True)}
    return seen, tuple(pool for _, pool in results)


def _apply(players: Players, variables: Mapping, way: str, x: jax.Array) -> jax.Array:
    """At evaluation."""
    own = {kind: tree[way] for kind, tree in variables.items()}
    return players.nets.generator.apply(own, x, train=False)


def _both_ways(
    players: Players, state: State, batch: Mapping, key: jax.Array
) -> dict[str, jax.Array]:
    """Of both kinds what is made and what comes back, in [-1, 1], and its difference (batch,)."""
    variables, found = state.generator.best_variables, {}
    for name, (there, back) in (("image", WAYS), ("target", WAYS[::-1])):
        picture = generation.scaled(batch[name])
        made = _apply(players, variables, there, picture)
        came = _apply(players, variables, back, made)
        found[name] = {"made": made, "back": came, "cycle": losses.mae(came, picture)}
    return found


def evaluate(players: Players, state: State, batch: Mapping, key: jax.Array) -> Metrics:
    """``image_cycle`` and ``target_cycle`` of a batch that may be padded; no draws."""
    weights = without_padding(batch)
    found = _both_ways(players, state, batch, key)
    made = {}
    for name, counts in zip(("image", "target"), two_kinds.counts(batch), strict=True):
        own = weights if counts is None else counts if weights is None else counts * weights
        made[f"{name}_cycle"] = Mean.of(found[name]["cycle"], own)
    return made


def predict(players: Players, back: bool, state: State, images: jax.Array) -> dict[str, jax.Array]:
    """`Task.predict`: ``image`` (batch, h, w, c) uint8 of what a generator makes."""
    made = _apply(players, state.generator.best_variables, WAYS[back], generation.scaled(images))
    return {"image": translating.as_bytes(made)}


def _init(
    players: Players,
    optimizers: two_players.Pair,
    ema: float,
    size: int,
    pool: int,
    key: jax.Array,
    batch: Mapping,
) -> State:
    first, second = (
        translating.first_variables(players.nets, 1, keys.named(key, way)) for way in WAYS
    )
    joined = lambda names, a, b: {kind: {names[0]: a[kind], names[1]: b[kind]} for kind in a}
    pools = tuple(image_pool.empty(size, pool, players.nets.shape) for _ in WAYS) if pool else ()
    variables = two_players.Pair(
        joined(WAYS, first[0], second[0]), joined(KINDS, first[1], second[1])
    )
    return State(*two_players.begun(optimizers, variables, ema), pools)


def _partition(state: State) -> State:
    alone = lambda tree: jax.tree.map(lambda _: False, tree)
    return State(
        alone(state.generator),
        alone(state.discriminator),
        jax.tree.map(lambda _: True, state.pools),
    )


def _score(
    both: Callable[..., Any], at_once: int, judge: named.Named, state: State, split: Any, key: Any
) -> dict[str, float]:
    found = over_split(both, split, at_once, state)
    made = [np.clip(generation.unit_range(found[name]["made"]), 0, 1) for name in found]
    by_name = dict(zip(found, made, strict=True))
    return judge.measures(split, by_name["image"], by_name["target"])


def _artifacts(
    both: Callable[..., Any], at_once: int, state: State, split: Any, key: jax.Array
) -> dict[str, Any]:
    everything, made = over_split(both, split, at_once, state), {}
    for name, found in everything.items():
        worst = np.argsort(-found["cycle"], kind="stable")[: translating.SHOWN]
        unit = lambda x: np.clip(generation.unit_range(np.asarray(x)), 0, 1)
        columns = {
            "input": unit(generation.scaled(split.take(worst)[name])),
            "made": unit(found["made"][worst]),
            "back": unit(found["back"][worst]),
        }
        lines = {"back": [f"back, off by {found['cycle'][i] / 2:.3f}" for i in worst]}
        caption = (
            f"Of {len(found['cycle'])} pictures of the evaluation part those that come back least "
            f"as they were; {found['cycle'].mean() / 2:.3f} off on average, of 1 from black to "
            "white."
        )
        title = "Images made targets" if name == "image" else "Targets made images"
        made[title] = translating.grid(columns, lines, caption)
    return made


def _parameters(players: Players, state: State) -> dict[str, jax.Array]:
    order = translating.order(players.nets, 1)
    return {
        name: leaf
        for side, ways in ((state.generator, WAYS), (state.discriminator, KINDS))
        for way in ways
        for name, leaf in learner.parameters(
            {way: side.params[way]}, {f"{way}/{layer}": i for layer, i in order.items()}
        ).items()
    }
