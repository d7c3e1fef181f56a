"""What tasks share in which a network makes images and another judges them: figures and checks."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxdl import keys, models
from jaxdl.errors import UserError
from jaxdl.losses import gan
from jaxdl.metrics import LOW, sample_quality
from jaxdl.tasks import learner
from jaxdl.tasks.shared import generation, judging
from jaxdl.tasks.shared.contract import Run
from jaxdl.tasks.shared.two_players import State

# Images that a score draws, and those at a time.
SCORED, AT_ONCE = 1000, 250

DIRECTIONS = {**sample_quality.DIRECTIONS, "generator_loss": LOW, "discriminator_loss": LOW}


def drawn(
    images_of: Callable[[learner.Learner, jax.Array], jax.Array],
    state: State,
    key: jax.Array,
    count: int,
) -> np.ndarray:
    """Images (count, h, w, c) in [0, 1].

    Args:
      images_of: (the generator's learner, key) -> `AT_ONCE` images.
      state: of both networks.
      key: folded with each batch's number.
      count: of the images.
    """
    make = lambda key, _: images_of(state.generator, key)
    return generation.in_batches(make, key, np.arange(count), AT_ONCE)


def losses(
    module: Any, game: gan.Game, state: State, real: jax.Array, fake: jax.Array
) -> dict[str, jax.Array]:
    """``discriminator_loss`` and ``generator_loss`` of images (n, h, w, c) in [0, 1]."""

    def judge(images: jax.Array) -> jax.Array:
        variables = state.discriminator.variables
        return module.apply(variables, 2 * images - 1, method="discriminate")

    real_logits, fake_logits = judge(real), judge(fake)
    return {
        "discriminator_loss": game.discriminator(real_logits, fake_logits).mean(),
        "generator_loss": game.generator(fake_logits).mean(),
    }


def score(
    losses_of: Callable[[State, np.ndarray, np.ndarray], dict[str, jax.Array]],
    drawn: Callable[[State, jax.Array, int], np.ndarray],
    learned: generation.Learned,
    judged: judging.Judging,
    state: State,
    split: Any,
    key: jax.Array,
) -> dict[str, float]:
    """`Task.score`: `losses`, and how good images are of `drawn`."""
    real = generation.spread(split, SCORED)
    made = drawn(state, keys.named(key, "score"), SCORED)
    found = losses_of(state, real, made[: len(real)])
    return {
        **{name: float(value) for name, value in found.items()},
        **learned.measures(made, real),
        **judged.figures(made, split, state),
    }


def parameters(module: Any, latent: int, state: State) -> dict[str, jax.Array]:
    """`Task.parameters` of both networks of a module that takes latent vectors (batch, latent)."""
    noise = jax.ShapeDtypeStruct((1, latent), jnp.float32)
    order = models.call_order(module, noise)
    return {
        **learner.parameters(state.generator.params, order),
        **learner.parameters(state.discriminator.params, order),
    }


def check_model(
    run: Run, module: Any, latent: int, methods: Sequence[str], example: str, sizes: str
) -> None:
    """Raises UserError unless the model generates images of the data's shape.

    Args:
      run: the run's config and data.
      module: the model.
      latent: size of what it makes them of.
      methods: that it must have, ``generate`` among them.
      example: a model that has them.
      sizes: the fields that decide the images' size, and how, for the message.
    """
    name = run.config.model.name
    if not all(callable(getattr(module, m, None)) for m in methods):
        raise UserError(
            f"task {run.config.task.name!r} needs a model that generates and discriminates, such "
            f"as {example!r}, not {name!r}"
        )
    wanted = run.data.train.take(np.arange(1))["image"].shape[1:]
    made = jax.eval_shape(
        lambda: module.init_with_output(
            keys.root(0), jnp.zeros((1, latent), jnp.float32), method="generate"
        )[0]
    ).shape[1:]
    if made != wanted:
        text = lambda shape: "x".join(map(str, shape))
        raise UserError(
            f"model {name!r} generates images of {text(made)} but the data's are {text(wanted)}: "
            f"set config.model.channels, or {sizes}, or config.data.image_size"
        )
