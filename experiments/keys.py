"""Keys of a telephone are told by their sound: a network sees spectrograms, or reads them.

    python -m jaxdl.launch --config=experiments/keys.py --workdir=runs/keys
    python -m jaxdl.launch --config=experiments/keys.py:gru --workdir=runs/keys_gru

Kind: sound
Variants: cnn (the default), gru.
Cost: 44 s (cnn) and 41 s (gru) of processor time, compile included.
Result: accuracy 1.000 (cnn) and 1.000 (gru) at a signal-to-noise ratio of 10 dB, .984 and .988 at
0 dB, of 256 recordings each (seed 0, the last step).

The settings were chosen with seed 7 on other recordings (--config.data.eval_on=validation).
Recordings are drawn anew for each update, on the device, and become spectrograms in the step.

Sounds of your own, a folder of class folders: --config.data.name=sounds --config.data.path=my/own
--config.data.seconds=1.; what a trained run hears in a file: --mode=predict --workdir=runs/keys
--input=call.wav. Sounds are changed in training by --config.augment_sound.snr=0.,20. and .shift=.1
(seconds), spectrograms by .time_masks=2 and .frequency_masks=2.
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
