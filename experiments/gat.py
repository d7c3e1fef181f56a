"""A graph attention network names a graph's nodes from a few known labels."""

from jaxdl import config as defaults
from jaxdl.errors import UserError


def get_config(variant="karate"):
    """A graph each."""
    config = defaults.default()
    config.task.name = "node_classification"
    config.model = dict(name="gat", hidden=(8,), heads=8, dropout=0.6, attention_dropout=0.6)
    config.optimizer.schedule = "constant"
    config.optimizer.learning_rate = 0.005
    config.optimizer.weight_decay = 5e-4
    config.steps = 200
    if variant == "karate":
        config.data.name = "karate"
        config.batch_size = 20
    elif variant == "digits":
        config.data.name = "digits_graph"
        config.batch_size = 10
        config.task.labels_per_class = 10
    else:
        raise UserError(f"experiments/gat.py has no variant {variant!r}: karate, digits")
    return config
