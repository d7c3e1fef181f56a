"""A config made real: one run, or many as one program."""

from jaxdl.experiment.build import Experiment, check, check_training, complete, create

__all__ = ["Experiment", "check", "check_training", "complete", "create"]
