"""Two networks against each other: one makes images, the other tells them from real ones."""

import functools
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxdl import keys, models, optim, precision
from jaxdl.errors import UserError
from jaxdl.losses import gan as games
from jaxdl.metrics import Mean, Metrics
from jaxdl.optim import schedules
from jaxdl.parallel import replicas
from jaxdl.registry import choose
from jaxdl.report import draw
from jaxdl.tasks import Run, Task, generation, learner, need_batches, register

# Images that a score draws, and those at a time.
SCORED, AT_ONCE = 1000, 250


class State(NamedTuple):
    """Both networks' learners; the generator's has the moving average."""

    generator: learner.Learner
    discriminator: learner.Learner


@register("adversarial")
def adversarial(
    run: Run,
    loss: str = "non_saturating",
    latent: int = 64,
    n_critic: int = 1,
    clip_weights: float = 0.0,
    gradient_penalty: float = 0.0,
    discriminator_rate: float = 1.0,
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

    The metrics of training are each network's loss, norms and learning rate as ``generator_…`` and
    ``discriminator_…``, and the mean logits ``real_logit`` and ``fake_logit``. `score` gives both
    losses, and ``two_sample_accuracy``, ``copies`` and ``least_class_share``
    (`jaxdl.metrics.sample_quality`) of images of the generator's moving average, if ``config.ema``
    keeps one.
    """
    need_batches(run)
    config, data = run.config, run.data
    game = choose("loss", loss, games.GAMES)
    _check(config, latent, n_critic, clip_weights, gradient_penalty, discriminator_rate)
    fields = {k: v for k, v in config.model.items() if k != "name"}
    module = models.create(
        config.model.name, **fields, dtype=precision.compute_dtype(config.precision)
    )
    _check_model(module, config.model.name, latent, data.train)
    if gradient_penalty and getattr(module, "normalization", None) == "batch":
        raise UserError(
            "config.task.gradient_penalty bounds the slope at each image by itself, which "
            "config.model.normalization='batch' mixes: use 'layer', 'spectral' or 'none'"
        )
    generate = functools.partial(module.apply, method="generate")
    discriminate = functools.partial(module.apply, method="discriminate")

    schedule = schedules.create(
        config.optimizer, steps=run.steps, steps_per_epoch=run.steps_per_epoch
    )
    # Lengths count the generator's updates, of which the discriminator's are n_critic each.
    own_schedule = lambda count: discriminator_rate * schedule(count // n_critic)
    update = functools.partial(
        learner.make_update,
        accumulate=config.accumulate,
        gradient_noise=config.optimizer.noise,
        layer_norms=config.log.layers,
    )
    optimizers = State(
        optim.create(config.optimizer, schedule), optim.create(config.optimizer, own_schedule)
    )

    def noise(key: jax.Array, size: int) -> jax.Array:
        return jax.random.normal(replicas.own(key), (size, latent), jnp.float32)

    def discriminator_loss(generator: learner.Learner) -> learner.LossFn:
        def loss_fn(params: Any, model_state: Any, batch: Mapping, key: jax.Array) -> learner.Loss:
            def judge(model_state: Any, images: jax.Array) -> tuple[jax.Array, Any]:
                variables = {"params": params, **model_state}
                logits, new = discriminate(variables, images, train=True, mutable=list(model_state))
                return logits, {**model_state, **new}

            real = batch["image"]
            fake, _ = generate(
                generator.variables, batch["noise"], train=True, mutable=list(generator.model_state)
            )
            # Each kind has batch statistics of its own, as published.
            real_logits, model_state = judge(model_state, real)
            fake_logits, model_state = judge(model_state, fake)
            per_example = game.discriminator(real_logits, fake_logits)
            found = {"real_logit": Mean.of(real_logits), "fake_logit": Mean.of(fake_logits)}
            if gradient_penalty:
                penalty = games.gradient_penalty(
                    lambda images: judge(model_state, images)[0], real, fake, key
                )
                per_example = per_example + gradient_penalty * penalty
                found["gradient_penalty"] = Mean.of(penalty)
            return learner.Loss(Mean.of(per_example), model_state, found)

        return loss_fn

    def generator_loss(discriminator: learner.Learner) -> learner.LossFn:
        def loss_fn(params: Any, model_state: Any, batch: Mapping, key: jax.Array) -> learner.Loss:
            variables = {"params": params, **model_state}
            fake, new = generate(variables, batch["noise"], train=True, mutable=list(model_state))
            logits, _ = discriminate(
                discriminator.variables, fake, train=True, mutable=list(discriminator.model_state)
            )
            return learner.Loss(Mean.of(game.generator(logits)), {**model_state, **new}, {})

        return loss_fn

    def train_step(state: State, batch: Mapping, key: jax.Array) -> tuple[State, Metrics]:
        images = generation.scaled(batch["image"])
        if len(images) % (n_critic * config.accumulate):
            raise UserError(
                f"config.task.n_critic={n_critic} times config.accumulate={config.accumulate} does "
                f"not divide the {len(images)} examples of a batch on a device"
            )
        # Part i takes every n_critic-th example: a batch that is split over devices stays there.
        parts = images.reshape(-1, n_critic, *images.shape[1:]).swapaxes(0, 1)
        size = parts.shape[1]

        def discriminator_step(old: learner.Learner, inputs: Any) -> tuple[Any, Metrics]:
            part, key = inputs
            batch = {"image": part, "noise": noise(keys.named(key, "noise"), size)}
            step = update(
                discriminator_loss(state.generator),
                optimizers.discriminator,
                schedule=own_schedule,
            )
            new, found = step(old, batch, keys.named(key, "update"))
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
        step = update(
            generator_loss(discriminator), optimizers.generator, ema=config.ema, schedule=schedule
        )
        generator, own = step(
            state.generator, {"noise": noise(keys.named(key, "noise"), size)}, key
        )
        return State(generator, discriminator), {
            **_prefixed("generator", own),
            **_prefixed("discriminator", found),
        }

    def init(key: jax.Array, batch: Mapping) -> State:
        some = jnp.zeros((1, latent), jnp.float32)
        made = lambda name: keys.named(key, name)
        images = generation.scaled(batch["image"][:1])
        return State(
            learner.create(
                module.init(made("generator"), some, method="generate"),
                optimizers.generator,
                ema=config.ema,
            ),
            learner.create(
                module.init(made("discriminator"), images, method="discriminate"),
                optimizers.discriminator,
            ),
        )

    @jax.jit
    def images_of(generator: learner.Learner, key: jax.Array) -> jax.Array:
        made = generate(
            generator.best_variables, jax.random.normal(key, (AT_ONCE, latent), jnp.float32)
        )
        return generation.unit_range(made)

    def drawn(state: State, key: jax.Array, count: int) -> np.ndarray:
        """Images (count, h, w, c) in [0, 1]."""
        return generation.in_batches(
            lambda key, _: images_of(state.generator, key), key, np.arange(count), AT_ONCE
        )

    learned = generation.Learned(data)

    @jax.jit
    def losses_of(state: State, real: jax.Array, fake: jax.Array) -> dict[str, jax.Array]:
        judge = lambda images: discriminate(state.discriminator.variables, 2 * images - 1)
        real_logits, fake_logits = judge(real), judge(fake)
        return {
            "discriminator_loss": game.discriminator(real_logits, fake_logits).mean(),
            "generator_loss": game.generator(fake_logits).mean(),
        }

    def score(state: State, split: Any, key: jax.Array) -> dict[str, float]:
        real = generation.spread(split, SCORED)
        made = drawn(state, keys.named(key, "score"), SCORED)
        found = losses_of(state, real, made[: len(real)])
        return {
            **{name: float(value) for name, value in found.items()},
            **learned.measures(made, real),
        }

    def sample(state: State, key: jax.Array) -> dict[str, Any]:
        return {"samples": draw.image_grid(drawn(state, key, 64), [""] * 64)}

    def artifacts(state: State, split: Any, key: jax.Array) -> dict[str, Any]:
        return learned.beside_nearest(drawn(state, key, 32))

    def parameters(state: State) -> dict[str, jax.Array]:
        order = models.call_order(module, jax.ShapeDtypeStruct((1, latent), jnp.float32))
        return {
            **learner.parameters(state.generator.params, order),
            **learner.parameters(state.discriminator.params, order),
        }

    return Task(
        init=init,
        train_step=train_step,
        score=score,
        artifacts=artifacts,
        parameters=parameters,
        sample=sample,
    )


def _check(
    config: Any,
    latent: int,
    n_critic: int,
    clip_weights: float,
    gradient_penalty: float,
    discriminator_rate: float,
) -> None:
    """Raises UserError for the first setting that cannot be."""
    for name, value, low in (
        ("latent", latent, 1),
        ("n_critic", n_critic, 1),
        ("clip_weights", clip_weights, 0),
        ("gradient_penalty", gradient_penalty, 0),
        ("discriminator_rate", discriminator_rate, 0),
    ):
        if not low <= value < float("inf"):
            raise UserError(f"config.task.{name}={value} must be at least {low}")
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


def _check_model(module: Any, name: str, latent: int, train: Any) -> None:
    """Raises UserError unless the model generates images of the data's shape."""
    if not all(callable(getattr(module, m, None)) for m in ("generate", "discriminate")):
        raise UserError(
            f"task 'adversarial' needs a model that generates and discriminates, such as 'dcgan', "
            f"not {name!r}"
        )
    wanted = train.take(np.arange(1))["image"].shape[1:]
    made = jax.eval_shape(
        lambda: module.init_with_output(keys.root(0), jnp.zeros((1, latent)), method="generate")[0]
    ).shape[1:]
    if made != wanted:
        text = lambda shape: "x".join(map(str, shape))
        raise UserError(
            f"model {name!r} generates images of {text(made)} but the data's are {text(wanted)}: "
            "set config.model.channels, or widths and base (a side is base · 2 ^ widths), or "
            "config.data.image_size"
        )


def _prefixed(network: str, metrics: Metrics) -> dict[str, Mean]:
    """``generator_loss``; logits and penalties are the discriminator's anyway, and layers named."""
    own = ("loss", "gradient_norm", "update_norm", "learning_rate")
    return {f"{network}_{k}" if k in own else k: v for k, v in metrics.items()}
