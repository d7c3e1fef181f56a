"""DDPM: handwritten digits out of noise, by class if asked for.

python -m jaxdl.launch --config=experiments/ddpm.py --workdir=runs/ddpm
"""

from jaxdl import config as defaults


def get_config():
    """One size: 8x8 pixels."""
    config = defaults.default()
    config.steps = 700
    config.batch_size = 64
    config.ema = 0.999
    config.model = dict(name="ddpm_8")
    config.task = dict(
        name="diffusion",
        schedule="cosine",
        prediction="v",
        sampler="ddim",
        sampling_steps=25,
        ancestral_steps=50,
        classes=True,
        guidance=1.0,
    )
    config.optimizer.name = "adam"
    config.optimizer.learning_rate = 1e-3
    config.optimizer.schedule = "linear"
    config.eval.every = 350
    config.eval.best = "two_sample_accuracy"
    return config
