"""Devices: which there are, how they form a mesh, and where each array lies on it.

A step is written once, for the global batch. Here it becomes a jit over a mesh whose axes are
``data`` and ``fsdp`` (the batch is split over both, and parameters over fsdp) and ``tensor``
(single layers are split), or a pmap, which sees one device's part of the batch.
"""

import contextlib
import math
import os
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from jaxdl.errors import UserError
from jaxdl.parallel import hosts, replicas
from jaxdl.trees import path_name

AXES = ("data", "fsdp", "tensor")
BATCH_AXES = ("data", "fsdp")


class TensorRule(NamedTuple):
    """Which axis of a parameter the tensor axis splits.

    Heads, and the hidden features of feed-forward layers, so that each device computes whole heads
    and features, and one sum joins them (Shoeybi et al., 2019, section 3). The rules stand beside
    the layers whose names they are of (`jaxdl.layers.TENSOR_RULES`), and are handed to `create`.

    Attributes:
      pattern: regex, searched for in a leaf's name, so that optimizer moments and averages follow.
      axis: that is split; below 0, from the end.
      if_even: every device has a copy where the axis does not divide; otherwise that is an error.
    """

    pattern: str
    axis: int
    if_even: bool = False


class Layout(NamedTuple):
    """A mesh, and the shardings of what lies on it.

    Attributes:
      mesh: axes as in AXES.
      strategy: "jit" or "pmap".
      fsdp_min_size: elements from which an array is split over fsdp.
      rules: what the tensor axis splits; the first that is found in a name counts.
    """

    mesh: Mesh
    strategy: str = "jit"
    fsdp_min_size: int = 1024
    rules: tuple[TensorRule, ...] = ()

    @property
    def replicated(self) -> NamedSharding:
        """A whole copy on every device."""
        return NamedSharding(self.mesh, PartitionSpec())

    @property
    def batch_devices(self) -> int:
        """Parts that the batch is cut into."""
        return math.prod(self.mesh.shape[axis] for axis in BATCH_AXES)

    def batch(self, leading: int = 0) -> NamedSharding:
        """Arrays whose batch axis, behind ``leading`` others, is split over the devices."""
        return NamedSharding(self.mesh, PartitionSpec(*[None] * leading, BATCH_AXES))

    def state(self, abstract: Any, partition: Any = None) -> Any:
        """The pytree with a sharding on every leaf, by the rules above.

        Args:
          abstract: pytree of `jax.ShapeDtypeStruct`.
          partition: the same pytree, True for leaves that are split like a batch; None if none is.

        Raises:
          UserError: an axis that the devices do not divide.
        """

        def place(path: Any, x: jax.ShapeDtypeStruct, split: bool) -> jax.ShapeDtypeStruct:
            name = path_name(path)
            sharding = self._split(name, x) if split else self._rule(name, x)
            return jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=sharding)

        if partition is None:
            partition = jax.tree.map(lambda _: False, abstract)
        return jax.tree_util.tree_map_with_path(place, abstract, partition)

    def _split(self, name: str, x: jax.ShapeDtypeStruct) -> NamedSharding:
        if x.shape[0] % self.batch_devices:
            raise UserError(
                f"{x.shape[0]} examples of {name} {x.shape} do not divide over "
                f"{self.batch_devices} devices: use "
                f"{-(-x.shape[0] // self.batch_devices) * self.batch_devices}, or fewer devices by "
                "config.parallel.data"
            )
        return self.batch()

    def _rule(self, name: str, x: jax.ShapeDtypeStruct) -> NamedSharding:
        return NamedSharding(self.mesh, self._spec(name, x))

    def _spec(self, name: str, x: jax.ShapeDtypeStruct) -> PartitionSpec:
        axes: list[str | None] = [None] * x.ndim
        tensor, fsdp = self.mesh.shape["tensor"], self.mesh.shape["fsdp"]
        if tensor > 1:
            rule = next((rule for rule in self.rules if re.search(rule.pattern, name)), None)
            if rule is not None and -x.ndim <= rule.axis < x.ndim:
                at = rule.axis % x.ndim
                if x.shape[at] % tensor == 0:
                    axes[at] = "tensor"
                elif not rule.if_even:
                    raise UserError(
                        f"config.parallel.tensor={tensor} does not divide axis {at} of {name} "
                        f"{x.shape}"
                    )
        if fsdp > 1 and x.size >= self.fsdp_min_size:
            # The longest axis that divides; the last of equals, which is contiguous.
            free = [i for i in range(x.ndim) if axes[i] is None and x.shape[i] % fsdp == 0]
            if free:
                axes[max(free, key=lambda i: (x.shape[i], i))] = "fsdp"
        return PartitionSpec(*axes)

    # Batches

    def rows(self, size: int) -> slice:
        """The rows of a batch of ``size`` that this process's devices need."""
        if jax.process_count() == 1:
            return slice(0, size)
        spans = [
            index[0].indices(size)
            for index in self.batch().addressable_devices_indices_map((size,)).values()
        ]
        return slice(min(s[0] for s in spans), max(s[1] for s in spans))

    def put(self, local: Any, size: int, leading: int = 0) -> Any:
        """The global batch on the devices, from the rows that `rows` named.

        Args:
          local: pytree of host arrays; the batch axis is behind ``leading`` others.
          size: examples in the global batch.
          leading: axes in front of the batch axis.
        """
        sharding = self.batch(leading)
        if jax.process_count() == 1:
            return jax.device_put(local, sharding)
        first = self.rows(size).start

        def place(x: np.ndarray) -> jax.Array:
            shape = (*x.shape[:leading], size, *x.shape[leading + 1 :])

            def part(index: tuple[slice, ...]) -> np.ndarray:
                start, stop, _ = index[leading].indices(size)
                own = (*index[:leading], slice(start - first, stop - first), *index[leading + 1 :])
                return x[own]

            return jax.make_array_from_callback(shape, sharding, part)

        return jax.tree.map(place, local)

    # Steps

    def compile(
        self, advance: Callable, arguments: tuple, meanwhile: Callable[[], None] = lambda: None
    ) -> Callable:
        """Compiles the loop's ``advance`` for these devices.

        Args:
          advance: (carry, key, batches, count) -> (carry, status); the arrays of ``batches`` have
            an axis of updates in front.
          arguments: an example of each, on the devices, or, but for "pmap", shapes with shardings;
            the carry is donated.
          meanwhile: called when all is traced: the compiler, which is about to begin, leaves Python
            to others.
        """
        if self.strategy == "pmap":
            mapped, cut, join = self._pmapped(advance, arguments[0])
            lowered = mapped.lower(*cut(*arguments))
            meanwhile()
            lowered.compile()
            return lambda *arguments: join(*mapped(*cut(*arguments)))
        lowered = self.lower(advance, arguments)
        meanwhile()
        return lowered.compile()

    def lower(self, advance: Callable, arguments: tuple) -> jax.stages.Lowered:
        """The program that `compile` compiles; shapes with shardings will do as ``arguments``."""
        if self.strategy == "pmap":
            mapped, cut, _ = self._pmapped(advance, arguments[0])
            return mapped.lower(*jax.eval_shape(cut, *arguments))
        kept = jax.tree.map(lambda x: x.sharding, arguments[0])
        jitted = jax.jit(advance, donate_argnums=0, out_shardings=(kept, self.replicated))
        # The mesh is in force while it is traced, for kernels that the compiler cannot split.
        with jax.set_mesh(self.mesh):
            return jitted.lower(*arguments)

    def _pmapped(self, advance: Callable, carry: Any) -> tuple[Callable, Callable, Callable]:
        """(the mapped function, what cuts its arguments into a part a device, what joins them)."""
        count = self.mesh.size
        is_split = jax.tree.map(lambda x: x.sharding == self.batch(), carry)
        axes = jax.tree.map(lambda split: 0 if split else None, is_split)

        def part(carry, key, batches, steps):
            with replicas.mapped_over("data"):
                return advance(carry, key, batches, steps)

        mapped = jax.pmap(
            part,
            axis_name="data",
            in_axes=(axes, None, 1, None),
            out_axes=(axes, None),
            devices=list(self.mesh.devices.flat),
            donate_argnums=0,
        )
        part_of = lambda x: x.reshape(x.shape[0], count, -1, *x.shape[2:])
        cut_leaf = lambda x, split: x.reshape(count, -1, *x.shape[1:]) if split else x
        join_leaf = lambda x, split: x.reshape(-1, *x.shape[2:]) if split else x

        def cut(carry, key, batches, steps):
            carry = jax.tree.map(cut_leaf, carry, is_split)
            return carry, key, jax.tree.map(part_of, batches), steps

        def join(carry, status):
            return jax.tree.map(join_leaf, carry, is_split), status

        return mapped, cut, join


def create(
    settings: Mapping[str, Any],
    batch_size: int,
    accumulate: int = 1,
    devices: Sequence[jax.Device] | None = None,
    what: str = "config.batch_size",
    rules: Sequence[TensorRule] = (),
) -> Layout:
    """The layout that `config.parallel` describes.

    Args:
      settings: ``strategy``, the sizes ``data``, ``fsdp`` and ``tensor`` (-1, once: what is left),
        and ``fsdp_min_size``.
      batch_size: examples an update, or what else is split over the devices; 0 is nothing.
      accumulate: microbatches an update.
      devices: those to lie on; all of this run if None.
      what: is split, for messages.
      rules: what ``tensor`` splits.

    Raises:
      UserError: a mesh that the devices cannot form, or a batch that does not divide over it.
    """
    devices = jax.devices() if devices is None else devices
    shape = mesh_shape(settings, len(devices), devices[0].platform)
    parts = shape[0] * shape[1] * accumulate
    if batch_size % parts:
        over = f"{shape[0] * shape[1]} devices" + (
            f" x {accumulate} microbatches" if accumulate > 1 else ""
        )
        raise UserError(
            f"{what}={batch_size} does not divide over {over}: use "
            f"{-(-batch_size // parts) * parts}, or fewer devices by config.parallel.data"
        )
    if settings["strategy"] == "pmap" and (shape[1] > 1 or shape[2] > 1):
        raise UserError(
            "config.parallel.strategy='pmap' splits the batch only: fsdp and tensor must be 1"
        )
    if settings["strategy"] == "pmap" and jax.process_count() > 1:
        raise UserError(
            "config.parallel.strategy='pmap' is for one host, and there are "
            f"{jax.process_count()}: use the default, 'jit'"
        )
    # Auto axes: linen modules and explicit shardings do not mix.
    mesh = jax.make_mesh(
        shape, AXES, devices=devices[: math.prod(shape)], axis_types=(AxisType.Auto,) * len(AXES)
    )
    return Layout(mesh, settings["strategy"], settings["fsdp_min_size"], tuple(rules))


def steps_in_flight() -> int:
    """How many calls of a step run or wait for their turn at a time: the newest and those before.

    Two keep an accelerator busy while the host reads what the first has done. On a CPU nothing is
    gained by a second, whose temporaries are laid out when it is called, beside those of the first:
    where freed memory stays with the process both stay, 3.3 GB of a ViT in place of 1.6 (jax
    0.12.0.1). Eight fake CPU devices deadlock when many are in flight.
    """
    return 1 if jax.default_backend() == "cpu" else 2


def layout_of(tree: Any) -> Layout | None:
    """The devices that a state lies on, as a layout by which batches can join it.

    None where its arrays are on no mesh of AXES: on the host, or as `jax.pmap` left them.
    """
    for leaf in jax.tree.leaves(tree):
        sharding = getattr(leaf, "sharding", None)
        if isinstance(sharding, NamedSharding) and sharding.mesh.axis_names == AXES:
            return Layout(sharding.mesh)
    return None


def with_mesh_of(fn: Callable[[Any], Any], tree: Any) -> Any:
    """``fn(tree)`` with the mesh in force that ``tree`` lies on, as when a step is traced."""
    layout = layout_of(tree)
    with contextlib.nullcontext() if layout is None else jax.set_mesh(layout.mesh):
        return fn(tree)


def mesh_shape(settings: Mapping[str, Any], count: int, platform: str) -> tuple[int, int, int]:
    """The sizes of (data, fsdp, tensor) for ``count`` devices.

    Raises:
      UserError: the sizes do not fit.
    """
    shape = [settings[axis] for axis in AXES]
    wanted = ", ".join(f"{axis}={n}" for axis, n in zip(AXES, shape, strict=True))
    if shape.count(-1) > 1:
        raise UserError(f"config.parallel has {wanted}: only one axis can be -1, what is left")
    known = math.prod(n for n in shape if n != -1)
    if -1 in shape:
        if count % known:
            raise UserError(
                f"config.parallel has {wanted}, but {count} {platform} devices do not divide by "
                f"{known}"
            )
        shape[shape.index(-1)] = count // known
    if math.prod(shape) > count:
        raise UserError(
            f"config.parallel has {wanted}: {math.prod(shape)} devices, but there are {count} "
            f"{platform} devices"
        )
    return tuple(shape)


def initialize() -> None:
    """Joins the processes of a run on several hosts; call before any device is touched.

    By JAX_COORDINATOR_ADDRESS, JAX_NUM_PROCESSES and JAX_PROCESS_ID where they are set; on SLURM
    and TPU pods by jax.distributed's own detection. Does nothing on a single host.
    """
    address = os.environ.get("JAX_COORDINATOR_ADDRESS")
    if address:
        try:
            count, index = (int(os.environ[f"JAX_{n}"]) for n in ("NUM_PROCESSES", "PROCESS_ID"))
        except (KeyError, ValueError) as error:
            raise UserError(
                "JAX_COORDINATOR_ADDRESS is set, so JAX_NUM_PROCESSES and JAX_PROCESS_ID must be "
                f"whole numbers ({error})"
            ) from None
        jax.distributed.initialize(address, count, index)
    elif hosts.count() > 1:
        jax.distributed.initialize()


def wait_for_all(name: str) -> None:
    """Returns when every process has come here; at once where there is only one."""
    if jax.process_count() > 1:
        multihost_utils.sync_global_devices(name)


def everywhere(tree: Any) -> Any:
    """The whole of each array on every process, as host arrays where there are several."""
    if jax.process_count() == 1:
        return tree
    return multihost_utils.process_allgather(tree, tiled=True)
