"""GraphSAGE names a graph's nodes from a few known labels.

    python -m jaxdl.launch --config=experiments/graphsage.py --workdir=runs/graphsage
    python -m jaxdl.launch --config=experiments/graphsage.py:digits --workdir=runs/graphsage_digits

RESULT
"""

from jaxdl import config as defaults
from jaxdl.errors import UserError


def get_config(variant="karate"):
    """A graph each."""
    config = defaults.default()
    config.task.name = "node_classification"
    config.model = dict(name="graphsage", hidden=(64, 64), normalised=True, dropout=0.5)
    config.optimizer.schedule = "constant"
    config.optimizer.learning_rate = 0.01
    config.optimizer.weight_decay = 5e-4
    config.steps = 150
    if variant == "karate":
        config.data.name = "karate"
        config.batch_size = 20
    elif variant == "digits":
        config.data.name = "digits_graph"
        config.batch_size = 10
        config.task.labels_per_class = 10
        config.model.update(hidden=(64, 64, 64, 64), dropout=0.2)
        config.steps = 50
    else:
        raise UserError(f"experiments/graphsage.py has no variant {variant!r}: karate, digits")
    return config
