"""A graph attention network names a graph's nodes from a few known labels.

    python -m jaxdl.launch --config=experiments/gat.py --workdir=runs/gat
    python -m jaxdl.launch --config=experiments/gat.py:digits --workdir=runs/gat_digits

RESULT
"""

from jaxdl import config as defaults
from jaxdl.errors import UserError


def get_config(variant="karate"):
    """A graph each."""
    config = defaults.default()
    config.task.name = "node_classification"
    config.model = dict(name="gatv2", hidden=(8,), heads=8, dropout=0.5)
    config.model.attention_dropout = 0.3
    config.optimizer.schedule = "constant"
    config.optimizer.learning_rate = 0.005
    config.optimizer.weight_decay = 5e-4
    config.steps = 400
    if variant == "karate":
        config.data.name = "karate"
        config.batch_size = 20
    elif variant == "digits":
        config.data.name = "digits_graph"
        config.batch_size = 10
        config.task.labels_per_class = 10
        config.model = dict(name="gat", hidden=(8, 8, 8, 8), heads=8, dropout=0.2)
        config.model.update(attention_dropout=0.0, norm="layer")
        config.optimizer.learning_rate = 0.01
        config.steps = 75
    else:
        raise UserError(f"experiments/gat.py has no variant {variant!r}: karate, digits")
    return config
