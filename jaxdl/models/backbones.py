"""Networks that are the way down of another: any model of images that gives its maps."""

import ast
import inspect
from collections.abc import Sequence
from typing import Any

from flax import linen as nn

from jaxdl import models
from jaxdl.errors import UserError


def create(name: str, fields: Sequence[str], *, dtype: Any) -> nn.Module:
    """The model called ``name``, without its head, to be cloned into another one.

    Args:
      name: in `jaxdl.models`; its ``__call__`` has features=True, {stride: map}.
      fields: in place of its own, as texts: ('width=16', 'stem=small').
      dtype: of the computation.

    Raises:
      UserError: there is none of that name, or with these fields, or it gives no maps.
    """
    own = {**_read(fields), "num_classes": 0, "dtype": dtype}
    takes = inspect.signature(type(models.create(name, parent=None)).__call__)
    if "features" not in takes.parameters or [*takes.parameters][1] != "x":
        raise UserError(
            f"config.model.backbone={name!r} gives no maps: it takes a model of images that has "
            "features=True, such as 'resnet18'"
        )
    return models.create(name, **own, parent=None)


def _read(given: Sequence[str]) -> dict[str, Any]:
    """Fields of texts such as 'width=16', 'stages=(1, 1)' and 'stem=small'."""
    fields = {}
    for text in given:
        name, equals, value = str(text).partition("=")
        if not equals:
            raise UserError(
                f"config.model.backbone_fields: {text!r} is not 'field=value', such as 'width=16'"
            )
        try:
            fields[name.strip()] = ast.literal_eval(value.strip())
        except (SyntaxError, ValueError):
            fields[name.strip()] = value.strip()
    return fields
