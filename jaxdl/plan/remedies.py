"""Where a step does not fit: the settings that would make it, each of them compiled."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax

from jaxdl import experiment, parallel
from jaxdl.experiment import Experiment
from jaxdl.plan.page import gib
from jaxdl.plan.step import bytes_a_chip, for_target, weigh


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


def remedies(
    made: Experiment, memory: dict[str, float], devices: Sequence[jax.Device]
) -> list[Remedy]:
    """What may help, each compiled if it is promising; all together if none is enough alone."""

    def tried(remedy: Remedy | None) -> Remedy | None:
        if remedy is None or not remedy.promising:
            return remedy
        changes = {key.replace(".", "__"): value for key, value in remedy.settings.items()}
        found = weigh(experiment.create(for_target(made.config, "", **changes), devices))
        return remedy._replace(fits=found["fits"], total=found["memory"]["total"])

    accumulation = tried(by_accumulation(made, memory))
    for _ in range(2):
        # Temporaries shrink by less than the microbatches; two often save nothing.
        if accumulation is not None and accumulation.fits is False:
            more_than = accumulation.settings["accumulate"]
            accumulation = tried(by_accumulation(made, memory, more_than)) or accumulation
    found = [accumulation, tried(by_remat(made)), tried(by_fsdp(made, memory))]
    found = [remedy for remedy in found if remedy]
    if len(found) > 1 and not any(remedy.fits for remedy in found):
        together = {k: v for remedy in found for k, v in remedy.settings.items()}
        found.append(tried(Remedy(together, "all of these", True)))
    return found


def by_accumulation(
    made: Experiment, memory: dict[str, float], more_than: int = 0
) -> Remedy | None:
    """The fewest microbatches whose activations, in proportion, fit."""
    if made.task.shared:  # no batch is cut where devices share something else
        return None
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
        f"{gib(activations / times)} instead of {gib(activations)}"
    )
    return Remedy({"accumulate": before * times}, why, fits(times))


def by_remat(made: Experiment) -> Remedy | None:
    """Recomputation, where the model offers it and it is off."""
    if made.config.model.get("remat") is not False:
        return None
    why = "keeps the input of each block alone, and computes the rest again: a third more work"
    return Remedy({"model.remat": True}, why, True)


def by_fsdp(made: Experiment, memory: dict[str, float]) -> Remedy | None:
    """The least split of parameters and optimizer that makes room."""
    mesh, config, state = made.layout.mesh.shape, made.config, made.abstract_state
    if made.layout.strategy != "jit" or mesh["data"] == 1:
        return None
    before = bytes_a_chip(state)
    what, count = experiment.shared(config, made.task)
    for n in (n for n in range(2, mesh["data"] + 1) if mesh["data"] % n == 0):
        sizes = {"data": mesh["data"] // n, "fsdp": mesh["fsdp"] * n}
        layout = parallel.create(
            {**config.parallel, **sizes},
            count,
            config.accumulate,
            list(made.layout.mesh.devices.flat),
            what,
            rules=made.layout.rules,
        )
        after = bytes_a_chip(layout.state(state, made.task.partition(state)))
        fits = memory["total"] - before + after <= memory["chip"]
        if fits:
            break
    why = f"parameters and optimizer {gib(after)} a chip instead of {gib(before)}"
    return Remedy({f"parallel.{axis}": size for axis, size in sizes.items()}, why, fits)
