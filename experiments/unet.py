"""A U-Net learns which pixels are of which digit."""

from jaxdl import config as defaults
from jaxdl.registry import choose


def get_config(variant: str = "scenes"):
    """``scenes`` of digits."""
    return choose("variant", variant, {"scenes": _scenes})()


def _scenes():
    config = defaults.default()
    config.data.name, config.task.name = "scenes", "segmentation"
    config.epochs = 4.0
    config.batch_size = 8
    config.model = dict(name="unet", width=16, depth=3, padded=True, batch_norm=True, dropout=0.0)
    config.task.dice = 1.0
    config.optimizer.learning_rate = 3e-3
    config.optimizer.warmup = 0.5
    config.optimizer.weight_decay = 0.05
    config.eval.best = "mean_iou"
    config.eval.batch_size = 32
    return config
