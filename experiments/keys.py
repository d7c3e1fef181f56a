"""Keys of a telephone are told by their sound: a network sees spectrograms, or reads them.

python -m jaxdl.launch --config=experiments/keys.py --workdir=runs/keys
python -m jaxdl.launch --config=experiments/keys.py:gru --workdir=runs/keys_gru
"""

from jaxdl import config as defaults
from jaxdl.registry import choose


def get_config(variant: str = "cnn"):
    """One key of the sixteen in each recording, as loud as the noise at the worst."""
    choose("variant", variant, dict.fromkeys(("cnn", "gru")))
    config = defaults.default()
    config.data.name = "dial_keys"
    # 25 Hz between frequencies, where the nearest of two keys' are 51 Hz apart at the worst.
    config.task = dict(name="sound_classification", bands=64, window=0.04, hop=0.02)
    config.batch_size = 32
    if variant == "gru":
        config.steps, config.optimizer.learning_rate = 400, 5e-3
        config.model = dict(name="gru_rows", hidden=64, bidirectional=True)
    else:
        config.steps, config.optimizer.learning_rate = 400, 2e-3
        config.model = dict(name="deep_cnn", channels=(8, 16), hidden=64, dropout=0.1)
    config.optimizer.schedule_unit = "fraction"
    config.optimizer.warmup = 0.05
    return config
