"""Published rates of chips, and the least time that a step can take by them."""

from typing import Any, NamedTuple

_GIB = 2**30


class Chip(NamedTuple):
    """Published figures of one chip.

    Attributes:
      name: as topologies call it.
      flops: of bf16 products, per second. Float32 products run on the same units, more slowly.
      bandwidth: bytes per second to and from its memory.
      memory: bytes. Published in GB, meant in GiB: libtpu offers 15.75 GiB of v5e's 16.
      interconnect: bytes per second that it sends over all its links together.
    """

    name: str
    flops: float
    bandwidth: float
    memory: float
    interconnect: float


# From the pages "TPU v5e", "TPU v5p" and "TPU v6e" of the Cloud TPU documentation. They give the
# interconnect in Gbit/s (1600, 4800, 3584) or, newer, as 400 GB/s of both directions for v5e, which
# is the same: a chip sends 200 GB/s while it receives as much. Of v6e the newer page has rounder,
# lower numbers (1600 GB/s, 3200 Gbit/s); a bound takes the higher.
_V5E = Chip("v5e", 197e12, 819e9, 16 * _GIB, 1600e9 / 8)
_V5P = Chip("v5p", 459e12, 2765e9, 95 * _GIB, 4800e9 / 8)
_V6E = Chip("v6e", 918e12, 1640e9, 32 * _GIB, 3584e9 / 8)
# By the name that a device gives itself, on hardware or in a topology.
CHIPS = {
    "TPU v5 lite": _V5E,
    "TPU v5e": _V5E,
    "TPU v5": _V5P,
    "TPU v5p": _V5P,
    "TPU v6 lite": _V6E,
    "TPU v6e": _V6E,
}


def bounds(
    chip: Chip, flops: float, bytes_moved: float, sent: float, model_flops: float, examples: int
) -> dict[str, Any]:
    """The least time that a step can take, by each of three published rates.

    Args:
      chip: whose rates.
      flops: a chip computes.
      bytes_moved: to and from its memory.
      sent: bytes a chip sends to others, as if over all its links at once.
      model_flops: a chip's share of the model's own, for the utilisation.
      examples: in the global batch.

    Returns:
      Seconds ``compute``, ``memory`` and ``interconnect``; ``binds``, the name of the largest;
      ``examples_per_second`` and ``model_flops_utilisation`` if the step took just that long.
    """
    seconds = {
        "compute": flops / chip.flops,
        "memory": bytes_moved / chip.bandwidth,
        "interconnect": sent / chip.interconnect,
    }
    binds = max(seconds, key=seconds.get)
    return {
        **seconds,
        "binds": binds,
        "examples_per_second": examples / seconds[binds],
        "model_flops_utilisation": model_flops / chip.flops / seconds[binds],
    }
