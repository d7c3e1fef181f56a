"""A config made real: one run, or many as one program."""

from jaxdl.experiment.build import (
    Experiment,
    asks,
    check,
    check_training,
    complete,
    create,
    shared,
    usual,
)
from jaxdl.experiment.use import fit_devices, to_evaluate, to_train, to_use

__all__ = [
    "Experiment",
    "asks",
    "check",
    "check_training",
    "complete",
    "create",
    "fit_devices",
    "shared",
    "to_evaluate",
    "to_train",
    "to_use",
    "usual",
]
