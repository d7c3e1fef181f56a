"""New examples out of a trained network."""

from jaxdl.generate.requests import check_beams, check_prompt, check_sampling, check_stop
from jaxdl.generate.text import beam_search, greedy, log_probabilities, sample

__all__ = [
    "beam_search",
    "check_beams",
    "check_prompt",
    "check_sampling",
    "check_stop",
    "greedy",
    "log_probabilities",
    "sample",
]
