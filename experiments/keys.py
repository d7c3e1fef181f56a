"""Keys of a telephone are told by their sound: a network sees spectrograms, or reads them.

python -m jaxdl.launch --config=experiments/keys.py --workdir=runs/keys
python -m jaxdl.launch --config=experiments/keys.py:gru --workdir=runs/keys_gru
"""

from jaxdl import config as defaults


def get_config(variant: str = "cnn"):
    """One key of the sixteen in each recording, as loud as the noise at the worst."""
    config = defaults.default()
    config.data.name = "dial_tones"
    config.data.update(most=1, snr=(0.0, 20.0), test_snr=(10.0, 0.0))
    config.task = dict(name="sound_classification")
    config.steps, config.batch_size = 600, 32
    if variant == "cnn":
        config.model = dict(name="deep_cnn", channels=(8, 16), hidden=64, dropout=0.3)
    else:
        config.model = dict(name="gru_rows", hidden=64, bidirectional=True)
    config.optimizer.learning_rate = 2e-3
    config.optimizer.schedule_unit = "fraction"
    config.optimizer.warmup = 0.05
    return config
