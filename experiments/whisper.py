"""Whisper, a small one, writes down which keys of a telephone it hears in noise.

    python -m jaxdl.launch --config=experiments/whisper.py --workdir=runs/whisper
    python -m jaxdl.launch --config=experiments/whisper.py:ctc --workdir=runs/whisper_ctc

Kind: sound
Variants: dial_tones (the default), ctc, published.
Cost: 292 s (dial_tones) and 141 s (ctc) of processor time (AMD EPYC, one core, jax 0.12.0.1).
Result: of 256 recordings of 1 to 12 keys the whole row of keys is right in 1.000 and .984
(dial_tones), 1.000 and .977 (ctc), at a signal-to-noise ratio of 10 and of 0 dB (seed 0, the last
step).

Recordings are drawn anew for each update, on the device, and become spectrograms in the step. The
settings were chosen with seed 3 on other recordings (--config.data.eval_on=validation), where the
same settings, 3200 updates of them, have .996 and .969 (dial_tones). Most of what is wrong there is
how often a key was pressed that was pressed several times in a row. ``ctc`` needs a tenth of the
examples: it is told that keys come in order, which the decoder has to find out. A search by 8
prefixes, or 32, in place of the likeliest path (--config.task.beams=8) writes the same.

What a trained run hears in files: --mode=predict --workdir=runs/whisper --input='calls/*.wav'.
Recordings of your own with what is said in them: --config.data.name=recordings
--config.data.path=FOLDER --config.data.seconds=10., on a copy of this file, as dial tones have
settings that recordings have not. A published Whisper writes down speech without any training
(docs/using.md), and learns more of it from recordings of one's own; its tokenizer, and how it
writes (generation_config.json), are the folder's, and --mode=export writes such a folder again. Of
English alone (whisper-tiny.en) no language is said. When something is said is learned, too, where
segments have times, by --config.data.times=true.

    python -m jaxdl.launch --config=experiments/whisper.py:published --workdir=runs/own \\
        --config.pretrained.source=whisper-tiny \\
        --config.data.tokenizer=whisper-tiny/tokenizer.json --config.data.path=FOLDER \\
        --config.task.generation=language=de
"""

from jaxdl import config as defaults
from jaxdl.config import recipes
from jaxdl.registry import choose


def get_config(variant: str = "dial_tones"):
    """``dial_tones``, by an encoder and a decoder, ``ctc``, by the encoder, or ``published``."""
    config = defaults.default()
    config.data.name = "dial_tones"
    config.optimizer.clip = 1.0
    config.optimizer.schedule_unit = "steps"
    config.optimizer.warmup = 100.0
    # As in t5.py: fewer updates do than by adamw.
    config.optimizer.name = "muon"
    config.optimizer.options = ("consistent_rms=.2",)
    config.eval.best = "exact_match"
    variants = {"dial_tones": _dial_tones, "ctc": _ctc, "published": _published}
    choose("variant", variant, variants)(config)
    return config


def _dial_tones(config):
    config.task.name = "transcription"
    config.task.bands = 64
    config.task.hop = 0.015
    # Three blocks each: with two, which key comes next is found out in twice as many updates.
    config.model = dict(
        name="whisper", width=64, encoder_depth=3, decoder_depth=3, heads=4, hidden=128
    )
    config.optimizer.learning_rate = 3e-3
    config.steps = 3300
    config.batch_size = 16
    config.eval.every = 1100


def _ctc(config):
    config.task.name = "ctc"
    config.task.bands = 64
    config.model = dict(name="whisper_ctc", width=64, depth=2, heads=4, hidden=256)
    config.optimizer.learning_rate = 4e-3
    config.steps = 600
    config.batch_size = 32
    config.eval.every = 200


def _published(config):
    config.task.name = "transcription"
    # What the published ones heard: 30 s each time, silence behind what is shorter.
    config.task.mask_padding = False
    config.data.name = "recordings"
    recipes.fine_tuning(config, 1e-5)
    config.eval.best = "wer"
