"""The devices that a plan is for: TPU slices that are not here, host devices, or what is here."""

import importlib.util
import math
import os
import re
from collections.abc import Sequence

import jax
from jax.experimental import topologies

from jaxdl.errors import UserError

EXAMPLES = "v5e:2x2, v5e:16x16, v5p:2x2x1 or v6e:8x8 (TPU slices), or cpu:8"


def devices(topology: str) -> Sequence[jax.Device]:
    """The devices of a slice such as "v5e:16x16", of "cpu:8", or those at hand for "".

    Raises:
      UserError: there is no such topology, or it cannot be had here.
    """
    if not topology:
        return jax.devices()
    kind, _, shape = topology.partition(":")
    if kind != "cpu":
        return _tpu_devices(topology)
    if not shape.isdigit() or not int(shape):
        raise UserError(f"--topology={topology}: cpu:N is N forced host devices, such as cpu:8")
    found = jax.devices("cpu")
    if len(found) < int(shape):
        raise UserError(
            f"--topology={topology}, but this process began with {len(found)} host devices: set "
            f"XLA_FLAGS=--xla_force_host_platform_device_count={shape}"
        )
    return found[: int(shape)]


# What libtpu asks the cloud for, and what it logs when there is no cloud to answer.
_NO_CLOUD = {
    "TPU_SKIP_MDS_QUERY": "1",
    "TPU_WORKER_HOSTNAMES": "localhost",
    "TPU_ACCELERATOR_TYPE": "v5litepod-4",
    "TPU_STDERR_LOG_LEVEL": "3",
    "TPU_MIN_LOG_LEVEL": "3",
    "ALLOW_MULTIPLE_LIBTPU_LOAD": "1",
}


def _tpu_devices(topology: str) -> Sequence[jax.Device]:
    unknown = f"unknown --topology={topology}: use one like {EXAMPLES}"
    if not re.fullmatch(r"\w+:\d+(x\d+)*", topology):
        raise UserError(unknown)
    if not importlib.util.find_spec("libtpu") and not os.environ.get("TPU_LIBRARY_PATH"):
        raise UserError(
            f"--topology={topology} needs the TPU compiler: pip install -e '.[tpu]' (works without "
            "a TPU)"
        )
    for name, value in _NO_CLOUD.items():
        os.environ.setdefault(name, value)
    # By default libtpu takes hosts of four chips, which a slice of one chip is not.
    alone = math.prod(int(n) for n in topology.partition(":")[2].split("x")) == 1
    options = {"chips_per_host_bounds": [1, 1, 1]} if alone else {}
    try:
        return topologies.get_topology_desc(topology, "tpu", **options).devices
    except (RuntimeError, ValueError) as error:
        raise UserError(f"{unknown} ({str(error).splitlines()[0]})") from error
