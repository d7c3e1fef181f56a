"""`--mode=plan`: compiles a run's own train step for chips that need not be there, and weighs it.

The compiler is the one that the run will meet, and so is the program: what it says of bytes is what
will be. What is said of time are bounds: no step is faster, by the chip's published rates; real
ones are slower, by what the bounds leave out (latency, imperfect overlap, the host).
"""

import contextlib
import importlib.util
import math
import os
import re
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.experimental import topologies
from jax.experimental.compilation_cache import compilation_cache
from ml_collections import ConfigDict

from jaxdl import costs, experiment, parallel, train
from jaxdl.errors import UserError
from jaxdl.experiment import Experiment

GIB = 2**30


EXAMPLES = "v5e:2x2, v5e:16x16, v5p:2x2x1 or v6e:8x8 (TPU slices), or cpu:8"


def plan(config: ConfigDict, topology: str = "") -> dict[str, Any]:
    """Compiles one update of the run that ``config`` describes, and weighs it.

    Always a single update a call: `steps_per_call` repeats the same program. Where the step does
    not fit, settings that promise to make it fit are compiled too.

    Args:
      config: the settings of the run; precision "auto" is that of the target, not of this machine.
      topology: a TPU slice that libtpu knows, "cpu:N" for N forced host devices, or "" for the
        devices at hand.

    Returns:
      What plan.json holds, bytes, flops and seconds an update and a chip unless the name says else:

      * ``fits``: True, False, or None where the chip's memory is not known.
      * ``memory``: ``parameters``, ``optimizer`` (with moving averages and statistics), ``batch``,
        ``temporaries``, ``program``, ``other`` (padding, counters), ``total``, and of the ``chip``.
      * ``flops``: as the compiler counts them, recomputation by remat included, and loop bodies as
        often as they run.
      * ``model_flops``: of products and convolutions of one update of the model as it is written,
        over all chips; recomputation is left out. Utilisation is measured in these.
      * ``bytes_moved``: what the compiled instructions read from and write to the chip's memory;
        what they keep in on-chip memory is left out.
      * ``collectives``: {kind: {"count", "bytes" of results, "sent" at least}}.
      * ``bounds``: see `jaxdl.costs.bounds`; None for a chip without published rates here.
      * ``remedies``: `Remedy`, where the step does not fit.

    Raises:
      UserError: a topology that does not exist or cannot be had here, or settings that do not fit
        it.
    """
    devices = _devices(topology)
    config = _for_target(config, devices[0].platform)
    made = experiment.create(config, devices)
    result = _weigh(made)
    result["topology"] = topology or "devices at hand"
    if result["fits"] is False:
        found = _remedies(made, result["memory"], devices)
        result["remedies"] = [remedy._asdict() for remedy in found]
    return result


# The target


def _devices(topology: str) -> Sequence[jax.Device]:
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


def _for_target(config: ConfigDict, platform: str, **changes: Any) -> ConfigDict:
    """A copy with ``changes`` ({"parallel__fsdp": 4}), and the precision that the target takes."""
    config = config.copy_and_resolve_references()
    if config.precision == "auto":
        config.precision = "float32" if platform == "cpu" else "bf16"
    config.update_from_flattened_dict({k.replace("__", "."): v for k, v in changes.items()})
    return config


# The step


def _arguments(made: Experiment) -> tuple[Any, ...]:
    """Shapes and shardings of what the loop gives its compiled step."""
    shape = lambda x, sharding=None: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=sharding)
    on_all = lambda x: shape(x, made.layout.replicated)
    state, batch = made.abstract_state, made.abstract_batch
    _, found = jax.eval_shape(made.task.train_step, state, batch, made.key)
    window = jax.tree.map(on_all, found)
    carry = train.Carry(state, on_all(np.int32(0)), window, on_all(np.bool_(True)))
    # The loop, too, leaves it to the compiler where the key and the count lie.
    return carry, shape(made.key), batch, shape(np.int32(1))


def _weigh(made: Experiment) -> dict[str, Any]:
    mesh, config = made.layout.mesh, made.config
    kind = mesh.devices.flat[0].device_kind
    chip = costs.CHIPS.get(kind)
    arguments = _arguments(made)
    lowered = made.layout.lower(train.make_advance(made.task, 1), arguments, stacked=False)
    state, batch = arguments[0].state, arguments[2]
    learned = made.task.parameters(state)
    memory = {
        "parameters": _bytes_a_chip(learned),
        "optimizer": _bytes_a_chip(state) - _bytes_a_chip(learned),
        "batch": _bytes_a_chip(batch),
    }
    written = _products(made)
    result = {
        "device_kind": kind,
        "chips": mesh.size,
        "mesh": dict(mesh.shape),
        "strategy": made.layout.strategy,
        "precision": config.precision,
        "batch_size": config.batch_size,
        "model_flops": _products(_without_remat(made)).full,
    }
    try:
        with _without_cache():
            compiled = lowered.compile()
    except jax.errors.JaxRuntimeError as error:
        if "RESOURCE_EXHAUSTED" not in str(error) or "hbm" not in str(error).lower():
            raise
        needed, *offered = [*_sizes(str(error)), math.nan]
        memory |= {"temporaries": needed, "total": needed + sum(memory.values())}
        memory["chip"] = chip.memory if chip else offered[0]
        return result | {
            "fits": False,
            "memory": memory,
            "compiler": str(error).strip().splitlines()[0],
            "flops": written.full / mesh.size,
        }
    return result | _figures(made, compiled, memory, written, chip, result["model_flops"])


@contextlib.contextmanager
def _without_cache() -> Iterator[None]:
    """What is for absent devices cannot be read back, and what is read back may lack its sizes."""
    folder = jax.config.jax_compilation_cache_dir
    jax.config.update("jax_compilation_cache_dir", None)
    compilation_cache.reset_cache()
    try:
        yield
    finally:
        jax.config.update("jax_compilation_cache_dir", folder)
        compilation_cache.reset_cache()


def _figures(
    made: Experiment,
    compiled: jax.stages.Compiled,
    memory: dict[str, float],
    written: costs.Products,
    chip: costs.Chip | None,
    model_flops: float,
) -> dict[str, Any]:
    """What the compiled step shows: bytes, flops, collectives and bounds."""
    count = made.layout.mesh.size
    module = costs.read_module(compiled.as_text(), count)
    found, analysis = compiled.memory_analysis(), compiled.cost_analysis() or {}
    total = (
        found.argument_size_in_bytes
        + found.output_size_in_bytes
        - found.alias_size_in_bytes
        + found.temp_size_in_bytes
        + found.generated_code_size_in_bytes
    )
    memory = memory | {
        "temporaries": found.temp_size_in_bytes,
        "program": found.generated_code_size_in_bytes,
    }
    memory |= {"other": total - sum(memory.values()), "total": total}
    flops = analysis.get("flops", math.nan)
    if module.loops:  # whose bodies the analysis counts once
        flops += (written.full - written.once) / count
    sent = sum(x.sent for x in module.collectives.values())
    return {
        "fits": total <= chip.memory if chip else None,
        "memory": memory | {"chip": chip.memory if chip else None},
        "flops": flops,
        "bytes_moved": module.moved,
        "loops_of_unknown_length": module.unknown,
        "collectives": {kind: x._asdict() for kind, x in module.collectives.items()},
        "bounds": chip
        and costs.bounds(
            chip, flops, module.moved, sent, model_flops / count, made.config.batch_size
        ),
    }


def _products(made: Experiment) -> costs.Products:
    step = jax.make_jaxpr(made.task.train_step)
    return costs.products(step(made.abstract_state, made.abstract_batch, made.key))


def _without_remat(made: Experiment) -> Experiment:
    if not made.config.model.get("remat"):
        return made
    config = _for_target(made.config, "", model__remat=False)
    return experiment.create(config, list(made.layout.mesh.devices.flat))


def _bytes_a_chip(tree: Any) -> int:
    return sum(
        math.prod(x.sharding.shard_shape(x.shape)) * x.dtype.itemsize for x in jax.tree.leaves(tree)
    )


def _sizes(message: str) -> list[float]:
    """Bytes in a text such as "temporaries (76.00G) exceeds available HBM (15.75G)"."""
    unit = {"K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}
    return [float(n) * unit[u] for n, u in re.findall(r"(\d+(?:\.\d+)?)([KMGT])\b", message)]


# Where it does not fit


class Remedy(NamedTuple):
    """Settings that may make a step fit.

    Attributes:
      settings: {key: value}.
      why: the arithmetic.
      promising: whether that is enough; where it is not, nothing was compiled.
      fits: whether the step with these settings does.
      total: its bytes a chip.
    """

    settings: dict[str, Any]
    why: str
    promising: bool
    fits: bool | None = None
    total: float | None = None


def _remedies(
    made: Experiment, memory: dict[str, float], devices: Sequence[jax.Device]
) -> list[Remedy]:
    """What may help, each compiled if it is promising; all together if none is enough alone."""

    def tried(remedy: Remedy | None) -> Remedy | None:
        if remedy is None or not remedy.promising:
            return remedy
        changes = {key.replace(".", "__"): value for key, value in remedy.settings.items()}
        found = _weigh(experiment.create(_for_target(made.config, "", **changes), devices))
        return remedy._replace(fits=found["fits"], total=found["memory"]["total"])

    accumulation = tried(_by_accumulation(made, memory))
    for _ in range(2):
        # Temporaries shrink by less than the microbatches; two often save nothing.
        if accumulation is not None and accumulation.fits is False:
            more_than = accumulation.settings["accumulate"]
            accumulation = tried(_by_accumulation(made, memory, more_than)) or accumulation
    found = [accumulation, tried(_by_remat(made)), tried(_by_fsdp(made, memory))]
    found = [remedy for remedy in found if remedy]
    if len(found) > 1 and not any(remedy.fits for remedy in found):
        together = {k: v for remedy in found for k, v in remedy.settings.items()}
        found.append(tried(Remedy(together, "all of these", True)))
    return found


def _by_accumulation(
    made: Experiment, memory: dict[str, float], more_than: int = 0
) -> Remedy | None:
    """The fewest microbatches whose activations, in proportion, fit."""
    before = made.config.accumulate
    each = made.config.batch_size // (made.layout.batch_devices * before)  # examples a chip
    # Of the temporaries a gradient stays, whatever the batch, and the sum of gradients is new.
    gradient = min(memory["parameters"], memory["temporaries"])
    activations = memory["temporaries"] - gradient
    fixed = memory["total"] - activations + gradient
    choices = [n for n in range(2, each + 1) if each % n == 0 and before * n > more_than]
    if not choices:
        return None
    fits = lambda n: fixed + activations / n <= memory["chip"]
    times = next(filter(fits, choices), choices[-1])
    why = (
        f"{each // times} examples a chip at a time instead of {each}: activations of about "
        f"{_gib(activations / times)} instead of {_gib(activations)}"
    )
    return Remedy({"accumulate": before * times}, why, fits(times))


def _by_remat(made: Experiment) -> Remedy | None:
    if made.config.model.get("remat") is not False:
        return None
    why = "keeps the input of each block alone, and computes the rest again: a third more work"
    return Remedy({"model.remat": True}, why, True)


def _by_fsdp(made: Experiment, memory: dict[str, float]) -> Remedy | None:
    """The least split of parameters and optimizer that makes room."""
    mesh, config, state = made.layout.mesh.shape, made.config, made.abstract_state
    if made.layout.strategy != "jit" or mesh["data"] == 1:
        return None
    before = _bytes_a_chip(state)
    for n in (n for n in range(2, mesh["data"] + 1) if mesh["data"] % n == 0):
        sizes = {"data": mesh["data"] // n, "fsdp": mesh["fsdp"] * n}
        layout = parallel.create(
            {**config.parallel, **sizes},
            config.batch_size,
            config.accumulate,
            list(made.layout.mesh.devices.flat),
        )
        after = _bytes_a_chip(layout.state(state))
        fits = memory["total"] - before + after <= memory["chip"]
        if fits:
            break
    why = f"parameters and optimizer {_gib(after)} a chip instead of {_gib(before)}"
    return Remedy({f"parallel.{axis}": size for axis, size in sizes.items()}, why, fits)


# For people


def describe(found: dict[str, Any]) -> str:
    """The plan as a page of text."""
    memory, chip = found["memory"], found["memory"]["chip"]
    mesh = ", ".join(f"{axis}={n}" for axis, n in found["mesh"].items())
    lines = [
        f"one update on {found['topology']}: {found['chips']} x {found['device_kind']} ({mesh}; "
        f"{found['strategy']}), batch {found['batch_size']}, {found['precision']}",
        "",
        "bytes a chip",
        *(f"  {k:<13}{_gib(memory[k])}" for k in memory if k not in ("total", "chip")),
        f"  {'total':<13}{_gib(memory['total'])}"
        + (f" of {_gib(chip)}: {'fits' if found['fits'] else 'does not fit'}" if chip else ""),
    ]
    if "compiler" in found:
        lines += ["", f"the compiler: {found['compiler']}"]
    else:
        lines += ["", *_work(found), "", *_bound_lines(found)]
    if found.get("remedies"):
        lines += ["", "to make it fit"]
        lines += [f"  {_remedy_line(remedy)}" for remedy in found["remedies"]]
    return "\n".join(lines)


def _work(found: dict[str, Any]) -> list[str]:
    lines = [
        "a step, each chip",
        f"  computes     {_short(found['flops'])}FLOP",
        f"  moves        {_short(found['bytes_moved'])}B to and from memory",
    ]
    for kind, x in found["collectives"].items():
        lines.append(
            f"  {kind:<20} {x['count']} x, {_short(x['bytes'])}B; sends at least "
            f"{_short(x['sent'])}B"
        )
    if found["loops_of_unknown_length"]:
        lines.append(
            f"  ({found['loops_of_unknown_length']} loops whose length only the data decide are "
            "counted once)"
        )
    return lines


def _bound_lines(found: dict[str, Any]) -> list[str]:
    limits = found["bounds"]
    if limits is None:
        return [f"bounds: unknown chip {found['device_kind']!r}, no published rates here"]
    binds = lambda name: "  binds" if name == limits["binds"] else ""
    return [
        "bounds: no step takes less, by the chip's published rates; a bound, not a promise",
        *(
            f"  {name:<13}{limits[name] * 1e3:.3g} ms{binds(name)}"
            for name in ("compute", "memory", "interconnect")
        ),
        f"  so at most {limits['examples_per_second']:.4g} examples a second, and a model flops "
        f"utilisation of {limits['model_flops_utilisation']:.1%}",
    ]


def _remedy_line(remedy: dict[str, Any]) -> str:
    flags = " ".join(f"--config.{k}={str(v).lower()}" for k, v in remedy["settings"].items())
    if remedy["fits"] is None:
        outcome = "not enough by itself"
    else:
        outcome = f"{_gib(remedy['total'])}, {'fits' if remedy['fits'] else 'does not fit'}"
    return f"{flags}: {outcome} ({remedy['why']})"


def _gib(size: float) -> str:
    return f"{size / GIB:.3g} GiB" if size >= 0.1 * GIB else f"{size / 2**20:.3g} MiB"


def _short(x: float) -> str:
    power = min(max(0, int(math.log10(max(x, 1)) // 3)), 5)
    return f"{x / 1000**power:.3g} {['', 'k', 'M', 'G', 'T', 'P'][power]}"
