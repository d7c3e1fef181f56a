"""Compiles one update of a run for its devices, and weighs it."""

import contextlib
import math
import re
from collections.abc import Iterator
from typing import Any

import jax
import numpy as np
from jax.experimental.compilation_cache import compilation_cache
from ml_collections import ConfigDict

from jaxdl import experiment
from jaxdl.anatomy import flops
from jaxdl.experiment import Experiment
from jaxdl.plan import chips, module
from jaxdl.train import advance


def for_target(config: ConfigDict, platform: str, **changes: Any) -> ConfigDict:
    """A copy with ``changes`` ({"parallel__fsdp": 4}), and the precision that the target takes."""
    config = config.copy_and_resolve_references()
    if config.precision == "auto":
        config.precision = "float32" if platform == "cpu" else "bf16"
    config.update_from_flattened_dict({k.replace("__", "."): v for k, v in changes.items()})
    return config


def arguments(made: Experiment) -> tuple[Any, ...]:
    """Shapes and shardings of what the loop gives its compiled step."""
    shape = lambda x, sharding=None: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=sharding)
    on_all = lambda x: shape(x, made.layout.replicated)
    state, batch, window = made.abstract_state, made.abstract_batch, made.abstract_window
    stacked = made.layout.batch(leading=1)
    batches = jax.tree.map(
        lambda x: jax.ShapeDtypeStruct((1, *x.shape), x.dtype, sharding=stacked), batch
    )
    each = lambda dtype: on_all(np.zeros(made.key.shape, dtype))  # of a run, or of each member
    carry = advance.Carry(state, each(np.int32), window, each(np.bool_))
    # The loop, too, leaves it to the compiler where the key and the count lie.
    return carry, shape(made.key), batches, shape(np.int32(1))


def weigh(made: Experiment) -> dict[str, Any]:
    """What `jaxdl.plan.plan` returns, without ``topology`` and ``remedies``."""
    mesh, config = made.layout.mesh, made.config
    kind = mesh.devices.flat[0].device_kind
    chip = chips.CHIPS.get(kind)
    given = arguments(made)
    lowered = made.layout.lower(advance.create(made.task), given)
    state, batch = given[0].state, given[2]
    learned = made.task.parameters(state)
    memory = {
        "parameters": bytes_a_chip(learned),
        "optimizer": bytes_a_chip(state) - bytes_a_chip(learned),
        "batch": bytes_a_chip(batch),
    }
    written = products_of(made)
    result = {
        "device_kind": kind,
        "chips": mesh.size,
        "mesh": dict(mesh.shape),
        "strategy": made.layout.strategy,
        "precision": config.precision,
        "batch_size": config.batch_size,
        "model_flops": products_of(without_remat(made)).full,
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
    written: flops.Products,
    chip: chips.Chip | None,
    model_flops: float,
) -> dict[str, Any]:
    """What the compiled step shows: bytes, flops, collectives and bounds."""
    count = made.layout.mesh.size
    text = module.read(compiled.as_text(), count)
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
    computed = analysis.get("flops", math.nan)
    if text.loops:  # whose bodies the analysis counts once
        computed += (written.full - written.once) / count
    sent = sum(x.sent for x in text.collectives.values())
    return {
        "fits": total <= chip.memory if chip else None,
        "memory": memory | {"chip": chip.memory if chip else None},
        "flops": computed,
        "bytes_moved": text.moved,
        # One of them is the loop over the updates of a call, of which there is one here.
        "loops_of_unknown_length": max(text.unknown - 1, 0),
        "collectives": {kind: x._asdict() for kind, x in text.collectives.items()},
        "bounds": chip
        and chips.bounds(
            chip, computed, text.moved, sent, model_flops / count, made.config.batch_size
        ),
    }


def products_of(made: Experiment) -> flops.Products:
    """The products of one update, over all devices."""
    jaxpr, _ = made.traced_step
    return flops.count(jaxpr)


def without_remat(made: Experiment) -> Experiment:
    """The same experiment, nothing computed twice."""
    if not made.config.model.get("remat"):
        return made
    config = for_target(made.config, "", model__remat=False)
    return experiment.create(config, list(made.layout.mesh.devices.flat))


def bytes_a_chip(tree: Any) -> int:
    """Bytes of a pytree of sharded arrays, or of their shapes, on each of their devices."""
    return sum(
        math.prod(x.sharding.shard_shape(x.shape)) * x.dtype.itemsize for x in jax.tree.leaves(tree)
    )


def _sizes(message: str) -> list[float]:
    """Bytes in a text such as "temporaries (76.00G) exceeds available HBM (15.75G)"."""
    unit = {"K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}
    return [float(n) * unit[u] for n, u in re.findall(r"(\d+(?:\.\d+)?)([KMGT])\b", message)]
