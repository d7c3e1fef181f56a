"""BERT learns to guess what is hidden in Python's documentation, byte by byte.

python -m jaxdl.launch --config=experiments/bert.py --workdir=runs/bert
"""

from jaxdl import config as defaults
from jaxdl.registry import choose


def get_config(variant: str = "tiny"):
    """``tiny``, small enough for a laptop."""
    return choose("variant", variant, {"tiny": _tiny})()


def _tiny():
    config = defaults.default()
    config.data.name = "topics"
    config.data.test_fraction = 0.1
    config.data.context = 128
    config.task.name = "masked_language_modelling"
    config.model = dict(name="bert", width=128, depth=4, heads=2, segment_types=1)
    config.steps = 1000
    config.batch_size = 16
    config.optimizer.name = "muon"
    config.optimizer.options = ("consistent_rms=.2",)
    config.optimizer.learning_rate = 4e-3
    config.optimizer.clip = 1.0
    config.optimizer.weight_decay = 0.1
    config.optimizer.end_factor = 0.1
    config.optimizer.schedule_unit = "steps"
    config.optimizer.warmup = 100.0
    config.eval.every = 200
    config.eval.best = "accuracy"
    return config
