"""New examples out of a trained network."""

from jaxdl.generate.text import (
    beam_search,
    check_beams,
    check_prompt,
    check_sampling,
    greedy,
    log_probabilities,
    sample,
)

__all__ = [
    "beam_search",
    "check_beams",
    "check_prompt",
    "check_sampling",
    "greedy",
    "log_probabilities",
    "sample",
]
