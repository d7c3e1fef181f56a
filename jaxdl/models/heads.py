"""What the last layer of a classifier reads: an example's features, of any model with a head."""

from typing import Any

import jax
from flax import linen as nn


def with_features(
    module: nn.Module, variables: Any, *inputs: Any, **how: Any
) -> tuple[Any, jax.Array | None]:
    """What a module gives, and beside it what its submodule ``head`` is handed.

    Args:
      module: any of `jaxdl.models`, all of whose classifiers call their last layer so.
      variables: of the module.
      *inputs: of its call; so is ``how``.
      **how: such as train.

    Returns:
      ``module.apply(variables, *inputs, **how)``, and (batch, …, d); None where no submodule has
      that name.
    """
    handed = []

    def look(call, args, kwargs, context):
        if context.module.path == ("head",) and context.method_name == "__call__":
            handed.append(args[0])
        return call(*args, **kwargs)

    with nn.intercept_methods(look):
        made = module.apply(variables, *inputs, **how)
    return made, handed[-1] if handed else None
