"""No data: for systems that make their own, as agents do in their environments."""

from jaxdl.data import Whole, register


@register("none")
def none() -> Whole:
    """Nothing; the task's batches are empty."""
    return Whole(None)
