"""Images as what a few random numbers make, and the numbers that an image is made of."""

import functools
import math
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxdl import keys, losses
from jaxdl.data.preprocess import unit_range
from jaxdl.errors import UserError
from jaxdl.metrics import Mean, Metrics
from jaxdl.report import draw
from jaxdl.tasks import Run, Task, latents, learner, register

# Images that a sample is of.
_SAMPLES = 40


@register("variational")
def variational(run: Run, beta: float = 1.0, levels: int = 0, samples: int = 0) -> Task:
    """A variational autoencoder of ``image`` (batch, h, w, c), by its evidence lower bound.

    Args:
      run: the run's config and data. The model has the methods ``encode(images, train=)`` and
        ``decode(codes, train=)``, both to a mean and a log-variance, such as "vae".
      beta: weight of the divergence in what is minimised (Higgins et al., 2017); 1 makes it the
        bound, and ``elbo`` is the bound in any case.
      levels: of brightness that the images have, 256 for bytes: a pixel of level v becomes
        (v + u) / levels with u uniform in [0, 1), anew in each update, so that the density has an
        upper limit, and its bound, less log(levels) a pixel and channel, is one of the levels'
        probability (Theis, van den Oord and Bethge, 2016, section 3.1). 0 leaves images alone.
      samples: of the code for ``importance_weighted``, a bound that is the tighter the more there
        are (Burda, Grosse and Salakhutdinov, 2016); 0 leaves it out.

    The metrics are ``loss``, ``elbo`` (nats an image, a log-density of pixels in [0, 1]), and its
    two parts: ``log_likelihood`` of the image given its code, minus ``kl``. At evaluation noise and
    codes are drawn the same each time. With ``config.data.anomaly`` the figures leave out that
    class, and `score` gives ``auroc``: how well the bound tells it apart.
    """
    _check(beta, levels, samples)
    config, data = run.config, run.data
    module, shape = latents.create_model(run, 2, "vae")
    encode = functools.partial(module.apply, method="encode")
    decode = functools.partial(module.apply, method="decode")

    def continuous(images: jax.Array, key: jax.Array) -> jax.Array:
        images = unit_range(images)
        if not levels:
            return images
        noise = jax.random.uniform(keys.named(key, "levels"), images.shape, jnp.float32)
        return (images * (levels - 1) + noise) / levels

    def encoded(
        variables: Any, images: jax.Array, key: jax.Array, **how: Any
    ) -> tuple[jax.Array, jax.Array, jax.Array]:
        """Mean and log-variance of codes, and a draw of each, (batch, latent) all."""
        mean, log_variance = encode(variables, images, **how)
        noise = jax.random.normal(keys.named(key, "code"), mean.shape, jnp.float32)
        return mean, log_variance, mean + jnp.exp(0.5 * log_variance) * noise

    def bounds(
        variables: Any, images: jax.Array, key: jax.Array, **how: Any
    ) -> dict[str, jax.Array]:
        """Each image's loss and bound, and the bound's parts, (batch,) each."""
        mean, log_variance, code = encoded(variables, images, key, **how)
        likely = losses.normal_log_likelihood(images, *decode(variables, code, **how))
        return {
            "loss": -losses.elbo(likely, mean, log_variance, beta=beta),
            "elbo": losses.elbo(likely, mean, log_variance),
            "log_likelihood": likely,
            "kl": losses.normal_kl(mean, log_variance),
        }

    def tighter(variables: Any, images: jax.Array, key: jax.Array, draws: int) -> jax.Array:
        """The importance-weighted bound of each image, (batch,)."""

        def log_weight(key: jax.Array) -> jax.Array:
            mean, log_variance, code = encoded(variables, images, key)
            density = losses.normal_log_likelihood
            prior = density(code, jnp.zeros_like(code), jnp.zeros_like(code))
            likely = density(images, *decode(variables, code))
            return likely + prior - density(code, mean, log_variance)

        weights_KxB = jax.lax.map(log_weight, jax.random.split(key, draws))
        return jax.nn.logsumexp(weights_KxB, axis=0) - math.log(draws)

    def loss_fn(params: Any, model_state: Any, batch: Mapping, key: jax.Array) -> learner.Loss:
        images = continuous(batch["image"], key)
        rngs = {"dropout": keys.named(key, "dropout")}
        found = bounds({"params": params}, images, key, train=True, rngs=rngs)
        found = {name: Mean.of(value) for name, value in found.items()}
        return learner.Loss(found.pop("loss"), model_state, found)

    start, update = learner.by_config(run, loss_fn)

    def init(key: jax.Array, batch: Mapping) -> learner.Learner:
        variables = module.init(key, unit_range(batch["image"][:1]))
        return start(variables)

    def eval_step(state: learner.Learner, batch: Mapping, key: jax.Array) -> Metrics:
        images = continuous(batch["image"], key)
        found = bounds(state.best_variables, images, key)
        if samples:
            found["importance_weighted"] = tighter(state.best_variables, images, key, samples)
        weights = latents.known(batch, data)
        return {name: Mean.of(value, weights) for name, value in found.items()}

    @jax.jit
    def surprise(state: learner.Learner, images: jax.Array, key: jax.Array) -> jax.Array:
        """Minus the tightest bound that there is of each image, (n,), in nats."""
        images = continuous(images, key)
        return -tighter(state.best_variables, images, key, max(samples, 1))

    def surprises_on(state: learner.Learner, split: Any, key: jax.Array) -> np.ndarray:
        made = functools.partial(surprise, state)
        return latents.on_split(made, split, keys.named(key, "score"), config.eval.batch_size)

    def score(state: learner.Learner, split: Any, key: jax.Array) -> dict[str, float]:
        return {"auroc": latents.auroc(surprises_on(state, split, key), split.labels, data.anomaly)}

    def mean_image(state: learner.Learner, codes: jax.Array) -> jax.Array:
        return decode(state.best_variables, codes)[0]

    def mean_code(state: learner.Learner, images: jax.Array) -> jax.Array:
        return encode(state.best_variables, images)[0]

    def sample(state: learner.Learner, key: jax.Array) -> dict[str, Any]:
        made = mean_image(state, jax.random.normal(key, (_SAMPLES, module.latent), jnp.float32))
        grid = np.asarray(made).clip(0, 1)
        return {"samples": draw.image_grid(grid, [""] * _SAMPLES, "Mean images of random codes.")}

    def artifacts(state: learner.Learner, split: Any, key: jax.Array) -> dict[str, Any]:
        images = latents.shown(split)
        seen = continuous(images, key)
        made = mean_image(state, mean_code(state, seen))
        return {
            "Reconstructions": latents.beside({"image": seen, "of its mean code": made}),
            **latents.pictures(
                lambda images: mean_code(state, continuous(images, key)),
                functools.partial(mean_image, state),
                surprises_on(state, split, key),
                "minus the bound of the log-density, in nats",
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
        sample=sample,
    )
    return task if data.anomaly is None else task._replace(score=score)


def _check(beta: float, levels: int, samples: int) -> None:
    """Raises UserError for the first setting that cannot be."""
    if not 0 <= beta < float("inf"):
        raise UserError(f"config.task.beta={beta} must be at least 0")
    if levels < 0 or levels == 1:
        raise UserError(f"config.task.levels={levels} must be at least 2, or 0 for none")
    if samples < 0:
        raise UserError(f"config.task.samples={samples} must be at least 0")
