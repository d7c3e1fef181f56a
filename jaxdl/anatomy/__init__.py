"""What an image model is made of: layer by layer, how far each looks and what it costs.

    python -m jaxdl.anatomy resnet18 --size=224

A model is traced, not run, and every array of the program is followed: which of its axes are places
of the image, how many pixels apart neighbouring places are, and which pixels a place has seen
through convolutions, pooling and patches (the arithmetic of `jaxdl.ops.convolution.out_size` and
`receptive_field`, here for any graph of layers). So it holds for models that are written any way.
"""

import functools
import inspect
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import linen as nn

from jaxdl import keys
from jaxdl.anatomy.tracer import trace
from jaxdl.anatomy.views import Layer, Map, Seen
from jaxdl.errors import UserError

__all__ = ["Anatomy", "Layer", "Map", "Seen", "Size", "of", "of_text", "reads_text"]


class Anatomy(NamedTuple):
    """What is told of a model.

    Attributes:
      layers: in the order of the forward pass.
      last: the map that is pooled or flattened in the end, or that comes out.
      parameters: trainable ones.
      multiply_adds: of all products and convolutions for one image, padding counted.
    """

    layers: tuple[Layer, ...]
    last: Map
    parameters: int
    multiply_adds: int


# What models of texts call what they take.
_TEXTS = ("tokens", "source", "target")


class Size(NamedTuple):
    """What is told of a model of texts.

    Attributes:
      parameters: trainable ones.
      multiply_adds: of all products for one text, padding counted.
    """

    parameters: int
    multiply_adds: int


def of_text(module: nn.Module, tokens: int = 128) -> Size:
    """The size of a model of texts (batch, T), in evaluation; nothing is computed.

    Args:
      module: a model of tokens, or of a source and a target, each of this length; where the source
        is a sound, it has as many frames as the model takes.
      tokens: their number.

    Raises:
      UserError: the model is not one of texts.
    """
    if not reads_text(module):
        raise UserError(f"{type(module).__name__} is no model of texts")
    texts = [name for name in _TEXTS if name in _call(module)]
    inputs = [jax.ShapeDtypeStruct((2, tokens), jnp.int32) for _ in texts]
    if features := getattr(module, "source_features", None):
        inputs[0] = jax.ShapeDtypeStruct((2, module.frames, features), jnp.float32)
    variables = jax.eval_shape(module.init, keys.abstract(), *inputs)
    tracer = trace(module.apply, variables, *inputs)
    return Size(_parameters(variables), tracer.products // 2)


def reads_text(module: nn.Module) -> bool:
    """Whether a model takes tokens."""
    return not {*_TEXTS}.isdisjoint(_call(module))


def _call(module: nn.Module) -> tuple[str, ...]:
    """The names of what a model takes."""
    return tuple(inspect.signature(module.__call__).parameters)


def _parameters(variables: Any) -> int:
    return sum(p.size for p in jax.tree.leaves(variables.get("params", {})))


def of(module: nn.Module, image: tuple[int, int, int] = (224, 224, 3)) -> Anatomy:
    """The anatomy of a model of images (batch, h, w, c) for ``image`` (h, w, c), in evaluation.

    Nothing is computed, and no parameter is made: a model of any size takes seconds.
    """
    x = jax.ShapeDtypeStruct((2, *image), jnp.float32)  # two, as axes of length 1 are ambiguous
    variables = jax.eval_shape(module.init, keys.abstract(), x)
    tracer = trace(module.apply, variables, x)
    last = tracer.lost
    if (end := tracer.maps[-1]).seen is not None:
        last = end
    if "features" in _call(module):
        maps = trace(functools.partial(module.apply, features=True), variables, x).maps
        last = maps[-1]
    return Anatomy(tuple(tracer.layers), last, _parameters(variables), tracer.products // 2)
