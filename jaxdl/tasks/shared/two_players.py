"""Two networks that learn against each other: how they begin, and what their steps tell."""

import functools
from typing import Any, NamedTuple

from jaxdl import optim
from jaxdl.errors import UserError
from jaxdl.metrics import Mean, Means, Metrics
from jaxdl.optim import lazy, schedules
from jaxdl.per_member import any_on
from jaxdl.tasks import learner
from jaxdl.tasks.shared.contract import Run


class Pair(NamedTuple):
    """One thing of each."""

    generator: Any
    discriminator: Any


NEVER = Pair(0, 0)


class State(NamedTuple):
    """Both networks' learners; the generator's has the moving average."""

    generator: learner.Learner
    discriminator: learner.Learner


def optimizers(
    run: Run, n_critic: int, discriminator_rate: float, every: Pair = NEVER
) -> tuple[Pair, Pair]:
    """Each network's optimizer, and its update, a function of the loss function.

    Args:
      run: whose optimizer, noise, accumulation and average count; the average is the generator's.
      n_critic: updates of the discriminator for one of the generator's, which lengths count.
      discriminator_rate: factor on its learning rate.
      every: updates of each network to one of its regularisation (`jaxdl.optim.lazy`); 0 is none.

    Returns:
      Optax chains, and functions from a loss function to an update
      (`jaxdl.tasks.learner.make_update`), both as a `Pair`.

    Raises:
      UserError: ``optimizer.sharpness``, whose second pass a game has no use of, or ``swa``.
    """
    config = run.config
    if any_on(config.optimizer.sharpness):
        raise UserError(
            f"config.optimizer.sharpness={config.optimizer.sharpness}: task {config.task.name!r} "
            "has two players, whose losses are not flat for the other's sake: set 0"
        )
    if any_on(config.swa):
        raise UserError(
            f"config.swa={config.swa}: task {config.task.name!r} has two players, whose average is "
            "a moving one: set config.ema"
        )
    schedule = schedules.create(
        config.optimizer, steps=run.steps, steps_per_epoch=run.steps_per_epoch
    )
    own_schedule = lambda count: discriminator_rate * schedule(count // n_critic)
    rates = Pair(*map(lazy.schedule, (schedule, own_schedule), every))
    chains = Pair(
        *(
            optim.create(lazy.settings(config.optimizer, k), rate)
            for k, rate in zip(every, rates, strict=True)
        )
    )
    update = lambda optimizer, schedule, ema: functools.partial(
        learner.make_update,
        optimizer=optimizer,
        accumulate=config.accumulate,
        ema=ema,
        gradient_noise=config.optimizer.noise,
        layer_norms=config.log.layers,
        schedule=schedule,
    )
    return chains, Pair(
        update(chains.generator, rates.generator, config.ema),
        update(chains.discriminator, rates.discriminator, 0.0),
    )


def begun(chains: Pair, variables: Pair, ema: float) -> State:
    """The state at the start, of both networks' variables."""
    return State(
        learner.create(variables.generator, chains.generator, ema=ema),
        learner.create(variables.discriminator, chains.discriminator),
    )


def told(metrics: Pair) -> dict[str, Mean | Means]:
    """Of both updates: ``generator_loss``; what is one network's alone keeps its name."""
    return {
        **_prefixed("generator", metrics.generator),
        **_prefixed("discriminator", metrics.discriminator),
    }


def _prefixed(network: str, metrics: Metrics) -> dict[str, Mean | Means]:
    own = ("loss", "gradient_norm", "update_norm", "learning_rate", "layers")
    return {f"{network}_{k}" if k in own else k: v for k, v in metrics.items()}
