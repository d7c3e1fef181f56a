"""A U-Net learns which pixels are of which digit."""

from jaxdl import config as defaults


def get_config():
    """Scenes of digits."""
    config = defaults.default()
    config.data.name, config.task.name = "scenes", "segmentation"
    config.epochs = 10.0
    config.batch_size = 16
    config.model = dict(name="unet", width=16, depth=3, padded=True, dropout=0.1)
    config.optimizer.learning_rate = 2e-3
    config.eval.best = "mean_iou"
    config.eval.batch_size = 64
    return config
