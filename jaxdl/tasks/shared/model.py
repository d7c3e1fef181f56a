"""The model that a config asks for, with what the data decide."""

from collections.abc import Mapping, Sequence
from typing import Any

from flax import linen as nn

from jaxdl import models, precision
from jaxdl.errors import UserError
from jaxdl.tasks.shared.contract import Run


def model_fields(
    run: Run,
    derived: Mapping[str, Any] | None = None,
    *,
    at_least: Sequence[str] = (),
    because: str = "as the data have it",
) -> dict[str, Any]:
    """The fields of `config.model`, and those of ``derived`` that the model has. See `build_model`.

    Raises:
      UserError: the config sets a field that follows from the data to something else.
    """
    fields = {k: v for k, v in run.config.model.items() if k != "name"}
    takes = models.settings(run.config.model.name) if run.config.model.name else ()
    for name, needed in (derived or {}).items():
        if name not in fields and name in takes:
            fields[name] = needed
        given = fields.get(name, needed)
        larger = name in at_least and given > needed
        if _plain(given) != _plain(needed) and not larger:
            bound = "at least " if name in at_least else ""
            raise UserError(
                f"config.model.{name}={_text(given)} must be {bound}{_text(needed)}, {because}"
            )
    return fields


def build_model(
    run: Run,
    derived: Mapping[str, Any] | None = None,
    *,
    at_least: Sequence[str] = (),
    because: str = "as the data have it",
) -> nn.Module:
    """The model of ``run.config.model``, which computes in ``run.config.precision``.

    Args:
      run: the run's config and data.
      derived: {field: value} of what follows from the data, or from the task's settings; those that
        the model has are set. The task should name them when it registers itself, so that no
        default of the model's stands in their place in a config.
      at_least: those of which the config may ask for more.
      because: whence they follow, for messages.

    Raises:
      UserError: no such model or field, or the config sets a derived field to something else.
    """
    fields = model_fields(run, derived, at_least=at_least, because=because)
    dtype = precision.compute_dtype(run.config.precision)
    return models.create(run.config.model.name, **fields, dtype=dtype)


def _plain(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _text(value: Any) -> str:
    return "x".join(map(str, value)) if isinstance(value, tuple | list) else str(value)
