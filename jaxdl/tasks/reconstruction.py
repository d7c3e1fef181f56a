"""Images back out of a code that is too small, too noisy or too rarely on to hold all of them."""

import functools
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

from jaxdl import keys, losses
from jaxdl.data import Data
from jaxdl.data.preprocess import unit_range
from jaxdl.errors import UserError
from jaxdl.metrics import Mean, Metrics
from jaxdl.parallel import replicas
from jaxdl.tasks import Run, Task, check_at_least, check_counts, learner, over_split, register
from jaxdl.tasks.shared import latents
from jaxdl.tasks.shared.splits import EachFn


@register("reconstruction", derives=("shape",))
def reconstruction(
    run: Run, noise: float = 0.0, sparsity: float = 0.0, rate: float = 0.05, draws: int = 1
) -> Task:
    """An autoencoder of ``image`` (batch, h, w, c): plain, denoising or sparse.

    Args:
      run: the run's config and data. The model has the methods ``encode(images, train=)``, to codes
        (batch, latent), and ``decode(codes, train=)``, such as "autoencoder"; images are in [0, 1].
      noise: deviation of the normal noise, of its own in each update, that is added to what is
        encoded but not to what is wanted (Vincent et al., 2010); 0 is off.
      sparsity: weight of `jaxdl.losses.sparsity` of the code, whose units must be in (0, 1); their
        rates are those of the batch (of the microbatch, with ``config.accumulate``). 0 is off.
      rate: that the units should have, in (0, 1).
      draws: of the noise that the score of an anomaly is a mean over.

    The metrics are ``loss`` and ``mse``, the mean squared error a pixel, of noisy images if there
    is noise; with ``sparsity``, which only the loss of training counts, also ``rate``, the units'
    mean. At evaluation the noise is the same each time. With ``config.data.anomaly`` the figures
    leave out that class, and `score` gives ``auroc``: how well the squared error tells it apart.
    """
    _check(noise, sparsity, rate, draws)
    data, at_once = run.data, run.config.eval.batch_size
    module, shape = latents.create_model(run, 1, "autoencoder")
    if sparsity and getattr(module, "code", None) != "sigmoid":
        raise UserError(
            f"config.task.sparsity={sparsity} needs units that are on or off: set "
            "config.model.code='sigmoid'"
        )
    loss_fn = functools.partial(training_loss, module, noise, sparsity, rate)
    start, update = learner.by_config(run, loss_fn)
    errors_of = jax.jit(functools.partial(_errors, module, noise, draws))
    task = Task(
        init=functools.partial(latents.init, module, start),
        train_step=update,
        eval_step=functools.partial(evaluate, module, noise, bool(sparsity), data),
        artifacts=functools.partial(_artifacts, module, noise, errors_of, data, at_once),
        parameters=functools.partial(latents.parameters, module, shape),
    )
    if data.anomaly is None:
        return task
    return task._replace(score=functools.partial(latents.score, errors_of, data, at_once))


def noisy(images: jax.Array, noise: float, key: jax.Array) -> jax.Array:
    """Images (batch, h, w, c) with normal noise of this deviation."""
    if not noise:
        return images
    return images + noise * jax.random.normal(keys.named(key, "noise"), images.shape, jnp.float32)


def training_loss(
    module: Any,
    noise: float,
    sparsity: float,
    rate: float,
    params: Any,
    model_state: Any,
    batch: Mapping,
    key: jax.Array,
) -> learner.Loss:
    """The squared error of what is decoded from a noisy image's code, and how seldom units are on.

    Args:
      module: with ``encode`` and ``decode``.
      noise: as of `reconstruction`; so are sparsity and rate.
      sparsity: weight of the units' divergence from ``rate``.
      rate: that they should have.
      params: the network's; so is model_state.
      model_state: its other collections.
      batch: ``image``.
      key: of noise and dropout.
    """
    forward, images = learner.forward(module), unit_range(batch["image"])
    seen = noisy(images, noise, key)
    code, model_state = forward(params, model_state, key, seen, method="encode")
    made, model_state = forward(params, model_state, key, code, method="decode")
    errors = losses.mse(made, images)
    found = {"mse": Mean.of(errors)}
    if sparsity:
        rates = replicas.mean(code.mean(axis=0))
        errors = errors + sparsity * losses.sparsity(rates, rate)
        found["rate"] = Mean.of(code.mean(axis=1))
    return learner.Loss(Mean.of(errors), model_state, found)


def through(module: Any, state: learner.Learner, images: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Codes (batch, latent) of images in [0, 1], and the images that are made of them."""
    code = module.apply(state.best_variables, images, method="encode")
    return code, module.apply(state.best_variables, code, method="decode")


def evaluate(
    module: Any,
    noise: float,
    with_rate: bool,
    data: Data,
    state: learner.Learner,
    batch: Mapping,
    key: jax.Array,
) -> Metrics:
    """``loss``, which is ``mse``, and the units' mean ``rate`` if wanted, of what was learned."""
    images = unit_range(batch["image"])
    code, made = through(module, state, noisy(images, noise, key))
    weights = latents.known(batch, data)
    errors = Mean.of(losses.mse(made, images), weights)
    rates = {"rate": Mean.of(code.mean(axis=1), weights)} if with_rate else {}
    return {"loss": errors, "mse": errors, **rates}


def _errors(
    module: Any,
    noise: float,
    draws: int,
    state: learner.Learner,
    batch: Mapping,
    key: jax.Array,
) -> jax.Array:
    """Each image's squared error a pixel, (n,), a mean over draws of the noise."""
    images = unit_range(batch["image"])
    one = lambda key: losses.mse(through(module, state, noisy(images, noise, key))[1], images)
    return jax.lax.map(one, jax.random.split(key, draws)).mean(axis=0)


def _artifacts(
    module: Any,
    noise: float,
    errors_of: EachFn,
    data: Data,
    at_once: int,
    state: learner.Learner,
    split: Any,
    key: jax.Array,
) -> dict[str, Any]:
    images = latents.shown(split)
    seen = noisy(images, noise, key)
    rows = {"image": images} | ({"noisy": seen} if noise else {})
    rows["made of it"] = through(module, state, seen)[1]
    encode = lambda state, batch, key: module.apply(
        state.best_variables, unit_range(batch["image"]), method="encode"
    )
    return {
        "Reconstructions": latents.beside(rows),
        **latents.pictures(
            encode,
            functools.partial(module.apply, state.best_variables, method="decode"),
            state,
            over_split(errors_of, split, at_once, state, keys.named(key, "score")),
            "mean squared error a pixel",
            split,
            data,
            at_once,
        ),
    }


def _check(noise: float, sparsity: float, rate: float, draws: int) -> None:
    """Raises UserError for the first setting that cannot be."""
    check_at_least(0, noise=noise, sparsity=sparsity)
    if not 0 < rate < 1:
        raise UserError(f"config.task.rate={rate} must be above 0 and below 1")
    check_counts(draws=draws)
