"""Images as what a few random numbers make, and the numbers that an image is made of."""

import functools
import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxdl import keys, losses
from jaxdl.data import Data
from jaxdl.data.preprocess import unit_range
from jaxdl.errors import UserError
from jaxdl.metrics import HIGH, Mean, Metrics
from jaxdl.report import draw
from jaxdl.tasks import Run, Task, check_at_least, learner, over_split, register
from jaxdl.tasks.shared import latents
from jaxdl.tasks.shared.splits import EachFn

# Images that a sample is of.
_SAMPLES = 40


@register("variational", derives=("shape",))
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
    data, at_once = run.data, run.config.eval.batch_size
    module, shape = latents.create_model(run, 2, "vae")
    vae = Variational(module, beta, levels)
    start, update = learner.by_config(run, functools.partial(training_loss, vae))
    surprise = jax.jit(functools.partial(_surprise, vae, max(samples, 1)))
    task = Task(
        init=functools.partial(latents.init, module, start),
        train_step=update,
        eval_step=functools.partial(evaluate, vae, samples, data),
        artifacts=functools.partial(_artifacts, vae, surprise, data, at_once),
        parameters=functools.partial(latents.parameters, module, shape),
        sample=functools.partial(_sample, vae),
        directions={"elbo": HIGH, "log_likelihood": HIGH, "importance_weighted": HIGH},
    )
    if data.anomaly is None:
        return task
    return task._replace(score=functools.partial(latents.score, surprise, data, at_once))


class Variational(NamedTuple):
    """A model and how it is read.

    Attributes:
      module: with ``encode`` and ``decode``, both to a mean and a log-variance.
      beta: weight of the divergence.
      levels: of brightness; 0 leaves images alone.
    """

    module: Any
    beta: float = 1.0
    levels: int = 0


def continuous(images: jax.Array, levels: int, key: jax.Array) -> jax.Array:
    """Images (batch, h, w, c) in [0, 1], each of ``levels`` spread evenly up to the next."""
    images = unit_range(images)
    if not levels:
        return images
    noise = jax.random.uniform(keys.named(key, "levels"), images.shape, jnp.float32)
    return (images * (levels - 1) + noise) / levels


# What encodes or decodes: inputs to a mean and a log-variance of what comes out.
Coder = Callable[[jax.Array], tuple[jax.Array, jax.Array]]


def encoded(
    encode: Coder, images: jax.Array, key: jax.Array
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Mean and log-variance of codes, and a draw of each, (batch, latent) all."""
    mean, log_variance = encode(images)
    noise = jax.random.normal(keys.named(key, "code"), mean.shape, jnp.float32)
    return mean, log_variance, mean + jnp.exp(0.5 * log_variance) * noise


def bounds(
    encode: Coder, decode: Coder, beta: float, images: jax.Array, key: jax.Array
) -> dict[str, jax.Array]:
    """Each image's loss and bound, and the bound's parts, (batch,) each."""
    mean, log_variance, code = encoded(encode, images, key)
    likely = losses.normal_log_likelihood(images, *decode(code))
    return {
        "loss": -losses.elbo(likely, mean, log_variance, beta=beta),
        "elbo": losses.elbo(likely, mean, log_variance),
        "log_likelihood": likely,
        "kl": losses.normal_kl(mean, log_variance),
    }


def importance_weighted(
    encode: Coder, decode: Coder, images: jax.Array, key: jax.Array, draws: int
) -> jax.Array:
    """The importance-weighted bound of each image (Burda et al., 2016, equation 8), (batch,)."""

    def log_weight(key: jax.Array) -> jax.Array:
        mean, log_variance, code = encoded(encode, images, key)
        density = losses.normal_log_likelihood
        prior = density(code, jnp.zeros_like(code), jnp.zeros_like(code))
        likely = density(images, *decode(code))
        return likely + prior - density(code, mean, log_variance)

    weights_KxB = jax.lax.map(log_weight, jax.random.split(key, draws))
    return jax.nn.logsumexp(weights_KxB, axis=0) - math.log(draws)


def training_loss(
    vae: Variational, params: Any, model_state: Any, batch: Mapping, key: jax.Array
) -> learner.Loss:
    """Minus the bound of ``image``; ``key`` draws levels, codes and dropout."""
    forward = learner.forward(vae.module)
    run = lambda method: lambda x: forward(params, model_state, key, x, method=method)[0]
    images = continuous(batch["image"], vae.levels, key)
    found = bounds(run("encode"), run("decode"), vae.beta, images, key)
    found = {name: Mean.of(value) for name, value in found.items()}
    return learner.Loss(found.pop("loss"), model_state, found)


def _coders(vae: Variational, state: learner.Learner) -> tuple[Coder, Coder]:
    """By the averages, as at evaluation."""
    run = functools.partial(vae.module.apply, state.best_variables)
    return functools.partial(run, method="encode"), functools.partial(run, method="decode")


def evaluate(
    vae: Variational,
    samples: int,
    data: Data,
    state: learner.Learner,
    batch: Mapping,
    key: jax.Array,
) -> Metrics:
    """The `bounds` of what was learned, and the tighter one with so many samples, if any."""
    images = continuous(batch["image"], vae.levels, key)
    encode, decode = _coders(vae, state)
    found = bounds(encode, decode, vae.beta, images, key)
    if samples:
        found["importance_weighted"] = importance_weighted(encode, decode, images, key, samples)
    weights = latents.known(batch, data)
    return {name: Mean.of(value, weights) for name, value in found.items()}


def _surprise(
    vae: Variational, draws: int, state: learner.Learner, batch: Mapping, key: jax.Array
) -> jax.Array:
    """Minus the tightest bound that there is of each image, (n,), in nats."""
    images = continuous(batch["image"], vae.levels, key)
    return -importance_weighted(*_coders(vae, state), images, key, draws)


def _sample(vae: Variational, state: learner.Learner, key: jax.Array) -> dict[str, Any]:
    codes = jax.random.normal(key, (_SAMPLES, vae.module.latent), jnp.float32)
    grid = np.asarray(_coders(vae, state)[1](codes)[0]).clip(0, 1)
    return {"samples": draw.image_grid(grid, [""] * _SAMPLES, "Mean images of random codes.")}


def _artifacts(
    vae: Variational,
    surprise: EachFn,
    data: Data,
    at_once: int,
    state: learner.Learner,
    split: Any,
    key: jax.Array,
) -> dict[str, Any]:
    encode, decode = _coders(vae, state)
    seen = continuous(latents.shown(split), vae.levels, key)

    def mean_code(state: learner.Learner, batch: Mapping, _: jax.Array) -> jax.Array:
        return _coders(vae, state)[0](continuous(batch["image"], vae.levels, key))[0]

    return {
        "Reconstructions": latents.beside(
            {"image": seen, "of its mean code": decode(encode(seen)[0])[0]}
        ),
        **latents.pictures(
            mean_code,
            lambda codes: decode(codes)[0],
            state,
            over_split(surprise, split, at_once, state, keys.named(key, "score")),
            "minus the bound of the log-density, in nats",
            split,
            data,
            at_once,
        ),
    }


def _check(beta: float, levels: int, samples: int) -> None:
    """Raises UserError for the first setting that cannot be."""
    check_at_least(0, beta=beta)
    if levels < 0 or levels == 1:
        raise UserError(f"config.task.levels={levels} must be at least 2, or 0 for none")
    check_at_least(0, samples=samples)
