"""A graph isomorphism network classifies whole graphs: digits by how their strokes hang together.

    python -m jaxdl.launch --config=experiments/gin.py --workdir=runs/gin

Variants: digits.
"""

from jaxdl import config as defaults
from jaxdl.errors import UserError


def get_config(variant="digits"):
    """The network of the data's graphs."""
    config = defaults.default()
    config.data.name = "digits_strokes"
    config.task.name = "graph_classification"
    config.model = dict(name="gin", hidden=(64, 64, 64, 64), pool="sum", jump="concatenate")
    # The sum of a node's neighbours does not say where it lies itself: what it read is added.
    config.model.update(residual=True, dropout=0.0)
    config.batch_size = 64
    config.epochs = 60.0
    config.optimizer.name = "adamw"
    config.optimizer.learning_rate = 3e-3
    config.optimizer.weight_decay = 1e-2
    config.eval.best = "accuracy"
    if variant != "digits":
        raise UserError(f"experiments/gin.py has no variant {variant!r}: digits")
    return config
