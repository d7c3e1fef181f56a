"""What tasks share in which a network makes images and another judges them: figures and checks."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import numpy as np

from jaxdl import keys, models
from jaxdl.errors import UserError
from jaxdl.losses import gan
from jaxdl.metrics import LOW, sample_quality
from jaxdl.tasks import learner
from jaxdl.tasks.shared import by_class, generation, judging
from jaxdl.tasks.shared.contract import Run
from jaxdl.tasks.shared.two_players import State

# Images that a score draws, and those at a time.
SCORED, AT_ONCE = 1000, 250

DIRECTIONS = {**sample_quality.DIRECTIONS, "generator_loss": LOW, "discriminator_loss": LOW}


def drawn(
    images_of: Callable[[learner.Learner, jax.Array, np.ndarray], jax.Array],
    state: State,
    key: jax.Array,
    labels: np.ndarray,
) -> np.ndarray:
    """Images (n, h, w, c) in [0, 1].

    Args:
      images_of: (the generator's learner, key, labels) -> `AT_ONCE` images.
      state: of both networks.
      key: folded with each batch's number.
      labels: (n,) that they are asked for by; of a generator that is told of none any numbers.
    """
    make = lambda key, part: images_of(state.generator, key, part)
    return generation.in_batches(make, key, labels, AT_ONCE)


def losses(
    discriminate: Callable[[Any, jax.Array, jax.Array], jax.Array],
    game: gan.Game,
    state: State,
    real: Mapping[str, jax.Array],
    fake: Mapping[str, jax.Array],
) -> dict[str, jax.Array]:
    """``discriminator_loss`` and ``generator_loss`` of images.

    Args:
      discriminate: (variables, images in [-1, 1], labels) -> logits (n,).
      game: whose losses.
      state: of both networks.
      real: ``image`` (n, h, w, c) in [0, 1] and ``label`` (n,).
      fake: as real.
    """
    variables = state.discriminator.variables
    judge = lambda x: discriminate(variables, 2 * x["image"] - 1, x["label"])
    real_logits, fake_logits = judge(real), judge(fake)
    return {
        "discriminator_loss": game.discriminator(real_logits, fake_logits).mean(),
        "generator_loss": game.generator(fake_logits).mean(),
    }


def score(
    losses_of: Callable[[State, Mapping, Mapping], dict[str, jax.Array]],
    drawn: Callable[[State, jax.Array, np.ndarray], np.ndarray],
    learned: generation.Learned,
    judged: judging.Judging,
    classes: int,
    state: State,
    split: Any,
    key: jax.Array,
) -> dict[str, float]:
    """`Task.score`: `losses`, and how good images are of `drawn`.

    Args:
      losses_of: `losses`, of both networks' state.
      drawn: (state, key, labels) -> images.
      learned: what they learned from.
      judged: by what else they are judged.
      classes: that the networks are told of; 0 is none.
      state: of both networks.
      split: real images.
      key: of what is drawn.
    """
    real = generation.spread(split, SCORED)
    labels = by_class.in_turn(classes, SCORED)
    made, told = drawn(state, keys.named(key, "score"), labels), labels[: len(real)]
    true = generation.spread(split, SCORED, "label") if classes else told
    fake = {"image": made[: len(real)], "label": told}
    found = losses_of(state, {"image": real, "label": true}, fake)
    named = {"named_right": learned.named_right(made, labels)} if classes else {}
    return {
        **{name: float(value) for name, value in found.items()},
        **learned.measures(made, real),
        **named,
        **judged.figures(made, split, state, labels),
    }


def parameters(module: Any, inputs: Sequence[jax.Array], state: State) -> dict[str, jax.Array]:
    """`Task.parameters` of both networks of a module, called with ``inputs`` or their shapes."""
    order = models.call_order(module, *inputs)
    return {
        **learner.parameters(state.generator.params, order),
        **learner.parameters(state.discriminator.params, order),
    }


def check_model(
    run: Run,
    module: Any,
    inputs: Sequence[jax.Array],
    methods: Sequence[str],
    example: str,
    sizes: str,
) -> None:
    """Raises UserError unless the model generates images of the data's shape.

    Args:
      run: the run's config and data.
      module: the model.
      inputs: what it makes one image of.
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
        lambda: module.init_with_output(keys.root(0), *inputs, method="generate")[0]
    ).shape[1:]
    if made != wanted:
        text = lambda shape: "x".join(map(str, shape))
        raise UserError(
            f"model {name!r} generates images of {text(made)} but the data's are {text(wanted)}: "
            f"set config.model.channels, or {sizes}, or config.data.image_size"
        )
