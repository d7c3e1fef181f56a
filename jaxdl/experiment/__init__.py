"""A config made real: one run, or many as one program."""

from jaxdl.experiment.build import Experiment, check, complete, create

__all__ = ["Experiment", "check", "complete", "create"]
