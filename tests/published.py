"""Weights to begin with, as others would have published them."""

from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from jaxdl import keys, pretrained


def write(module: nn.Module, side: int, path: Path) -> Any:
    """Variables of a network of colour pictures, drawn from .1 to .5 and saved; returns them."""
    shapes = jax.eval_shape(module.init, keys.root(0), jnp.zeros((1, side, side, 3)))
    rng = np.random.default_rng(1)
    variables = jax.tree.map(lambda x: rng.uniform(0.1, 0.5, x.shape).astype(x.dtype), shapes)
    pretrained.save(module, variables, path)
    return variables
