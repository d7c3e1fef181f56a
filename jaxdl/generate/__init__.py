"""New examples out of a trained network."""

from jaxdl.generate import entries
from jaxdl.generate.beams import beam_search
from jaxdl.generate.ctc import ctc_beams, ctc_greedy
from jaxdl.generate.requests import Rules, check_beams, check_prompt, check_sampling, check_stop
from jaxdl.generate.settings import Settings, by_settings
from jaxdl.generate.speech import Speech
from jaxdl.generate.text import greedy, log_probabilities, sample
from jaxdl.generate.timestamps import Timestamps

__all__ = [
    "Rules",
    "Settings",
    "Speech",
    "Timestamps",
    "beam_search",
    "by_settings",
    "check_beams",
    "check_prompt",
    "check_sampling",
    "check_stop",
    "ctc_beams",
    "ctc_greedy",
    "entries",
    "greedy",
    "log_probabilities",
    "sample",
]
