"""The check of fields that have an entry a stage."""

from flax import linen as nn

from jaxdl.errors import UserError


def check_lengths(module: nn.Module, *names: str, count: int | None = None) -> None:
    """Complains of fields that do not have as many entries as they should.

    Args:
      module: whose fields they are.
      names: of tuples with an entry a stage each.
      count: entries that they should have; without it, the same number each.

    Raises:
      UserError: they do not; it says how many each has.
    """
    lengths = {name: len(getattr(module, name)) for name in names}
    if set(lengths.values()) <= {next(iter(lengths.values())) if count is None else count}:
        return
    wanted = "as many of each, one a stage" if count is None else f"{count}"
    found = ", ".join(f"{number} {name}" for name, number in lengths.items())
    raise UserError(f"{type(module).__name__} takes {wanted}; there are {found}")
