"""How networks that play against each other about pictures begin, and what normalises them."""

from typing import Any

from flax import linen as nn

from jaxdl.layers.normalization import BatchNorm, InstanceNorm
from jaxdl.registry import choose

# Radford, Metz and Chintala, 2015, section 3: normal, of deviation .02.
INITIALIZER = nn.initializers.normal(0.02)

# By whose statistics: the batch's, or each picture's own.
KINDS = dict.fromkeys(("batch", "instance"))


def picture_norm(kind: str, train: bool, dtype: Any, name: str) -> nn.Module:
    """Batch norm whose scale is drawn about 1, or instance norm without parameters.

    Args:
      kind: "batch" or "instance".
      train: whether batch norm goes by the batch's statistics, and its running ones follow.
      dtype: of what comes out.
      name: of the module.

    Raises:
      UserError: there is no such norm.
    """
    choose("config.model.normalization", kind, KINDS)
    if kind == "instance":
        return InstanceNorm(dtype=dtype, name=name)
    # As weakly about 1 as the kernels about 0.
    scale = lambda key, shape, dtype: 1 + INITIALIZER(key, shape, dtype)
    return BatchNorm(use_running_average=not train, scale_init=scale, dtype=dtype, name=name)
