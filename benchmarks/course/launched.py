"""The course's DeepCNN as an experiment for the launcher, on 500 random images.

python -m jaxdl.launch --config=benchmarks/course/launched.py --workdir=…
"""

from jaxdl import config as defaults


def get_config():
    """One size: five epochs of batch 32."""
    config = defaults.default()
    config.epochs = 5.0
    config.batch_size = 32
    config.data.name = "synthetic"
    config.model = dict(name="deep_cnn", channels=(32, 64), hidden=128, dropout=0.3)
    config.optimizer.update(name="adam", learning_rate=1e-3, schedule="constant")
    config.eval.every = config.checkpoint.every = 79  # the end of the run
    return config
