"""Images back out of a code that is too small, too noisy or too rarely on to hold all of them."""

import functools
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxdl import keys, losses
from jaxdl.data.preprocess import unit_range
from jaxdl.errors import UserError
from jaxdl.metrics import Mean, Metrics
from jaxdl.parallel import replicas
from jaxdl.tasks import Run, Task, check_counts, latents, learner, register


@register("reconstruction")
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
    config, data = run.config, run.data
    module, shape = latents.create_model(run, 1, "autoencoder")
    if sparsity and getattr(module, "code", None) != "sigmoid":
        raise UserError(
            f"config.task.sparsity={sparsity} needs units that are on or off: set "
            "config.model.code='sigmoid'"
        )
    encode = functools.partial(module.apply, method="encode")
    decode = functools.partial(module.apply, method="decode")

    def noisy(images: jax.Array, key: jax.Array) -> jax.Array:
        if not noise:
            return images
        draw = jax.random.normal(keys.named(key, "noise"), images.shape, jnp.float32)
        return images + noise * draw

    def loss_fn(params: Any, model_state: Any, batch: Mapping, key: jax.Array) -> learner.Loss:
        images, variables = unit_range(batch["image"]), {"params": params}
        rngs = {"dropout": keys.named(key, "dropout")}
        code = encode(variables, noisy(images, key), train=True, rngs=rngs)
        errors = losses.mse(decode(variables, code, train=True, rngs=rngs), images)
        found = {"mse": Mean.of(errors)}
        if sparsity:
            rates = replicas.mean(code.mean(axis=0))
            errors = errors + sparsity * losses.sparsity(rates, rate)
            found["rate"] = Mean.of(code.mean(axis=1))
        return learner.Loss(Mean.of(errors), model_state, found)

    def through(state: learner.Learner, images: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Codes (batch, latent), and the images (batch, h, w, c) that are made of them."""
        code = encode(state.best_variables, images)
        return code, decode(state.best_variables, code)

    start, update = learner.by_config(run, loss_fn)

    def init(key: jax.Array, batch: Mapping) -> learner.Learner:
        variables = module.init(key, unit_range(batch["image"][:1]))
        return start(variables)

    def eval_step(state: learner.Learner, batch: Mapping, key: jax.Array) -> Metrics:
        images = unit_range(batch["image"])
        code, made = through(state, noisy(images, key))
        weights = latents.known(batch, data)
        errors = Mean.of(losses.mse(made, images), weights)
        rates = {"rate": Mean.of(code.mean(axis=1), weights)} if sparsity else {}
        return {"loss": errors, "mse": errors, **rates}

    @jax.jit
    def errors_of(state: learner.Learner, images: jax.Array, key: jax.Array) -> jax.Array:
        """Each image's squared error a pixel, (n,), a mean over draws of the noise."""
        images = unit_range(images)
        one = lambda key: losses.mse(through(state, noisy(images, key))[1], images)
        return jax.lax.map(one, jax.random.split(key, draws)).mean(axis=0)

    def errors_on(state: learner.Learner, split: Any, key: jax.Array) -> np.ndarray:
        made = functools.partial(errors_of, state)
        return latents.on_split(made, split, keys.named(key, "score"), config.eval.batch_size)

    def score(state: learner.Learner, split: Any, key: jax.Array) -> dict[str, float]:
        errors = errors_on(state, split, key)
        return {"auroc": latents.auroc(errors, split.labels, data.anomaly)}

    def artifacts(state: learner.Learner, split: Any, key: jax.Array) -> dict[str, Any]:
        images = latents.shown(split)
        seen = noisy(images, key)
        rows = {"image": images} | ({"noisy": seen} if noise else {})
        rows["made of it"] = through(state, seen)[1]
        return {
            "Reconstructions": latents.beside(rows),
            **latents.pictures(
                lambda images: encode(state.best_variables, unit_range(images)),
                functools.partial(decode, state.best_variables),
                errors_on(state, split, key),
                "mean squared error a pixel",
                split,
                data,
                config.eval.batch_size,
            ),
        }

    task = Task(
        init=init,
        train_step=update,
        eval_step=eval_step,
        artifacts=artifacts,
        parameters=functools.partial(latents.parameters, module, shape),
    )
    return task if data.anomaly is None else task._replace(score=score)


def _check(noise: float, sparsity: float, rate: float, draws: int) -> None:
    """Raises UserError for the first setting that cannot be."""
    for name, value in (("noise", noise), ("sparsity", sparsity)):
        if not 0 <= value < float("inf"):
            raise UserError(f"config.task.{name}={value} must be at least 0")
    if not 0 < rate < 1:
        raise UserError(f"config.task.rate={rate} must be above 0 and below 1")
    check_counts(draws=draws)
