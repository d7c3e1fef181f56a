"""What an image model is made of: layer by layer, how far each looks and what it costs.

    python -m jaxdl.anatomy resnet18 --size=224

A model is traced, not run, and every array of the program is followed: which of its axes are places
of the image, how many pixels apart neighbouring places are, and which pixels a place has seen
through convolutions, pooling and patches (the arithmetic of `jaxdl.ops.convolution.out_size` and
`receptive_field`, here for any graph of layers). So it holds for models that are written any way.
"""

import functools
import inspect
from typing import NamedTuple

import jax
import jax.numpy as jnp
from flax import linen as nn

from jaxdl import keys
from jaxdl.anatomy.tracer import trace
from jaxdl.anatomy.views import Layer, Map, Seen

__all__ = ["Anatomy", "Layer", "Map", "Seen", "of"]


class Anatomy(NamedTuple):
    """What is told of a model.

    Attributes:
      layers: in the order of the forward pass.
      last: the map that is pooled or flattened in the end.
      parameters: trainable ones.
      multiply_adds: of all products and convolutions for one image, padding counted.
    """

    layers: tuple[Layer, ...]
    last: Map
    parameters: int
    multiply_adds: int


def of(module: nn.Module, image: tuple[int, int, int] = (224, 224, 3)) -> Anatomy:
    """The anatomy of a model of images (batch, h, w, c) for ``image`` (h, w, c), in evaluation.

    Nothing is computed, and no parameter is made: a model of any size takes seconds.
    """
    x = jax.ShapeDtypeStruct((2, *image), jnp.float32)  # two, as axes of length 1 are ambiguous
    variables = jax.eval_shape(module.init, keys.abstract(), x)
    tracer = trace(module.apply, variables, x)
    last = tracer.lost
    if "features" in inspect.signature(module.__call__).parameters:
        maps = trace(functools.partial(module.apply, features=True), variables, x).maps
        last = maps[-1]
    parameters = sum(p.size for p in jax.tree.leaves(variables.get("params", {})))
    return Anatomy(tuple(tracer.layers), last, parameters, tracer.products // 2)
