"""Activation functions: elementwise (softmax along one axis), any float dtype, any shape."""

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import lax

from jaxdl.ops.wide import widen
from jaxdl.registry import choose


def relu(x: jax.Array) -> jax.Array:
    """``max(x, 0)``, with derivative 0 at 0 (Nair and Hinton, 2010)."""
    return jax.nn.relu(x)


def leaky_relu(x: jax.Array, negative_slope: float = 0.01) -> jax.Array:
    """``x`` where positive, else ``negative_slope * x`` (Maas et al., 2013)."""
    return jnp.where(x >= 0, x, negative_slope * x)


def elu(x: jax.Array) -> jax.Array:
    """``x`` where positive, else ``exp(x) - 1`` (Clevert et al., 2015)."""
    return jax.nn.elu(x)


def gelu(x: jax.Array) -> jax.Array:
    """``x Φ(x)`` with the exact normal distribution function (Hendrycks and Gimpel, 2016).

    BERT, BART, Whisper, ViT and ConvNeXt use this form. Written with erf: the complementary
    function that jax.nn.gelu goes through costs a third more on a CPU.
    """
    return x * (0.5 + 0.5 * lax.erf(x * (1 / math.sqrt(2))))


def gelu_tanh(x: jax.Array) -> jax.Array:
    """The tanh approximation of GELU (same paper, section 2), which GPT-2 uses."""
    return 0.5 * x * (1 + jnp.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x * x * x)))


def silu(x: jax.Array) -> jax.Array:
    """``x σ(x)``, also called swish (Elfwing et al., 2017)."""
    return x * lax.logistic(x)


def sigmoid(x: jax.Array) -> jax.Array:
    """``1 / (1 + exp(-x))``, without overflow at any x."""
    return lax.logistic(x)


def tanh(x: jax.Array) -> jax.Array:
    """The hyperbolic tangent."""
    return jnp.tanh(x)


def softmax(x: jax.Array, axis: int = -1) -> jax.Array:
    """``exp(x) / Σ exp(x)`` along ``axis``, computed in at least float32, in x's dtype.

    The maximum is subtracted first, so that logits of any finite size give finite results.
    """
    wide = widen(x)
    return jax.nn.softmax(wide, axis=axis).astype(x.dtype)


ACTIVATIONS: dict[str, Callable[[jax.Array], jax.Array]] = {
    "elu": elu,
    "gelu": gelu,
    "gelu_tanh": gelu_tanh,
    "identity": lambda x: x,
    "leaky_relu": leaky_relu,
    "relu": relu,
    "sigmoid": sigmoid,
    "silu": silu,
    "tanh": tanh,
}


def activation(name: str) -> Callable[[jax.Array], jax.Array]:
    """The elementwise activation called ``name``; UserError names the nearest if there is none."""
    return choose("activation", name, ACTIVATIONS)
