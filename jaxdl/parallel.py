"""Devices: which there are, how a mesh of them is made, and where arrays lie on it."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from jaxdl.errors import UserError

# Eight fake CPU devices deadlock when many steps are in flight; two keep any device busy.
STEPS_IN_FLIGHT = 2


class Layout(NamedTuple):
    """A mesh, and the shardings of what lies on it.

    Attributes:
      mesh: axes named "data".
      replicated: a whole copy on every device.
    """

    mesh: Mesh
    replicated: NamedSharding

    def batch(self, leading: int = 0) -> NamedSharding:
        """Arrays whose batch axis, behind ``leading`` others, is split over the devices."""
        return NamedSharding(self.mesh, PartitionSpec(*[None] * leading, "data"))


def create(settings: Mapping[str, Any], batch_size: int) -> Layout:
    """The layout that `config.parallel` describes.

    Args:
      settings: ``data``, the devices that the batch is split over (-1: all).
      batch_size: must divide by them.

    Raises:
      UserError: more devices than there are, or a batch that does not divide.
    """
    devices = jax.devices()
    count = len(devices) if settings["data"] == -1 else settings["data"]
    if count > len(devices):
        raise UserError(
            f"config.parallel.data={count}, but there are {len(devices)} {devices[0].platform} "
            "devices: use -1 for all"
        )
    if batch_size % count:
        raise UserError(
            f"config.batch_size={batch_size} does not divide over {count} devices: "
            f"use {-(-batch_size // count) * count}, or config.parallel.data"
        )
    # Auto axes: linen modules and explicit shardings do not mix.
    mesh = jax.make_mesh((count,), ("data",), devices=devices[:count], axis_types=(AxisType.Auto,))
    return Layout(mesh, NamedSharding(mesh, PartitionSpec()))
