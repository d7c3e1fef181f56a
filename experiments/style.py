"""A photograph painted like another: its pixels are what is learned, or a network that does it.

    python -m jaxdl.launch --config=experiments/style.py --workdir=runs/style
    python -m jaxdl.launch --config=experiments/style.py --workdir=runs/style --mode=sample

Kind: vision
Variants: picture (the default; Gatys et al., 2016), feed_forward (a small network as Johnson et
al., 2016, have it, which then paints any picture: --mode=predict --input=photo.jpg), published (the
network, squares and length of the paper).

Cost: 300 updates of a picture of 240 x 160 pixels 17 s from command to exit on 2 cores of an Intel
Xeon (jax 0.12.0.1), report included; feed_forward 69 s of processor time.
Result: the style loss falls to .024 and the content loss to .17 of those of the noise that it
begins with (seed 0), both of the picture in bytes. feed_forward: from the first updates to the
evaluation behind the last, of squares that were not learned from, the style loss falls from 77 to
.047, a sixth of that of the photographs as they are, and the content loss from 4.7 to .36 (seed 0).
On a whole photograph what it makes is dark and flat yet: it has learned from squares of 64 pixels.

Weights and the content's layer were chosen by looking at what came out, at seed 0: noise in steps
of single pixels is hardly seen by a small network, and goes by its variation. The temple of "china"
is what is shown, the dahlia of "flower" how. Your own: --config.task.content=house.jpg
--config.task.style=night.jpg.

Losses see by a small network of the package, which has learned to tell 24 parts of these two
photographs from each other (.28 of squares beside those it learned from; many are of sky or blur).
The papers' is VGG, whose weights you bring: --config.task.features=vgg19-dcbb9e9d.pth
--config.task.features_model=vgg19; weights of losses and layers are then others.
"""

from jaxdl import config as defaults
from jaxdl.registry import choose

VARIANTS = dict.fromkeys(("picture", "feed_forward", "published"))


def get_config(variant: str = "picture"):
    """``picture`` (Gatys et al.), ``feed_forward`` (Johnson et al.), ``published``, its sizes."""
    choose("variant", variant, VARIANTS)
    config = defaults.default()
    config.optimizer.warmup = 0.0
    config.eval.best = "loss"
    return _picture(config) if variant == "picture" else _network(config, variant == "published")


def _picture(config):
    config.data.name = "none"
    config.task = dict(name="style_optimisation", style_weight=2.0, variation_weight=20.0)
    config.task.content_layers = ("relu2_1",)
    config.batch_size, config.steps = 1, 300
    config.optimizer.learning_rate = 0.03
    config.eval.every = 100
    return config


def _network(config, published: bool):
    config.data.name = "photograph_tiles"
    config.task = dict(name="style_transfer", style_weight=2.0, variation_weight=20.0)
    config.task.content_layers = ("relu2_1",)
    config.batch_size = 4
    config.optimizer.learning_rate = 1e-3
    config.optimizer.schedule = "constant"
    if published:  # appendix of the paper: 256 pixels, a batch of 4, 40,000 updates
        config.data.image_size = 256
        config.model = dict(name="transformer_net")
        config.steps = 40_000
        config.eval.every = 1000
        return config
    config.data.image_size = 64
    config.model = dict(name="transformer_net", width=16, depth=3)
    config.steps = 400
    config.eval.every = 200
    return config
