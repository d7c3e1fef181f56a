"""A photograph painted like another: its pixels are what is learned, or a network that does it.

python -m jaxdl.launch --config=experiments/style.py --workdir=runs/style
python -m jaxdl.launch --mode=sample --workdir=runs/style
"""

from jaxdl import config as defaults
from jaxdl.registry import choose

VARIANTS = dict.fromkeys(("picture", "feed_forward", "published"))


def get_config(variant: str = "picture"):
    """``picture`` (Gatys et al.), ``feed_forward`` (Johnson et al.), ``published``, its sizes."""
    choose("variant", variant, VARIANTS)
    config = defaults.default()
    config.optimizer.schedule = "constant"
    config.optimizer.warmup = 0.0
    return _picture(config) if variant == "picture" else _network(config, variant == "published")


def _picture(config):
    config.data.name = "none"
    config.batch_size, config.steps = 1, 300
    # Noise in steps of pixels is hardly seen by the network, and goes by its variation.
    config.task = dict(name="style_optimisation", style_weight=2.0, variation_weight=20.0)
    config.task.content_layers = ("relu2_1",)
    config.optimizer.learning_rate = 0.03
    config.optimizer.schedule = "cosine"
    config.eval.best, config.eval.every = "loss", 100
    config.log.layers = False
    return config


def _network(config, published: bool):
    config.task = dict(name="style_transfer")
    config.optimizer.learning_rate = 1e-3
    config.eval.best = "loss"
    if published:
        config.model = dict(name="transformer_net")
        config.data.name, config.data.image_size = "photograph_tiles", 256
        config.batch_size, config.steps = 4, 40_000
        config.eval.every = 1000
        return config
    config.data.name, config.data.image_size = "photograph_tiles", 64
    config.model = dict(name="transformer_net", width=16, depth=3)
    config.batch_size, config.steps = 4, 400
    config.eval.every = 200
    return config
