"""`--mode=plan`: compiles a run's own train step for chips that need not be there, and weighs it.

The compiler is the one that the run will meet, and so is the program: what it says of bytes is what
will be. What is said of time are bounds: no step is faster, by the chip's published rates; real
ones are slower, by what the bounds leave out (latency, imperfect overlap, the host).
"""

from typing import Any

from ml_collections import ConfigDict

from jaxdl import experiment
from jaxdl.experiment import sweep
from jaxdl.plan import remedies, step
from jaxdl.plan import topology as topologies
from jaxdl.plan.page import describe

__all__ = ["describe", "plan"]


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
      * ``bounds``: see `jaxdl.plan.chips.bounds`; None for a chip without published rates here.
      * ``remedies``: `jaxdl.plan.remedies.Remedy`, where the step does not fit.

    Raises:
      UserError: a topology that does not exist or cannot be had here, settings that do not fit it,
        or a population.
    """
    sweep.need_single(config, "--mode=plan")
    devices = topologies.devices(topology)
    config = step.for_target(config, devices[0].platform)
    made = experiment.create(config, devices)
    result = step.weigh(made)
    result["topology"] = topology or "devices at hand"
    if result["fits"] is False:
        found = remedies.remedies(made, result["memory"], devices)
        result["remedies"] = [remedy._asdict() for remedy in found]
    return result
