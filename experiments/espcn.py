"""ESPCN learns of one photograph to make others twice as large.

    python -m jaxdl.launch --config=experiments/espcn.py --workdir=runs/espcn
    python -m jaxdl.launch --mode=predict --workdir=runs/espcn --input=photo.jpg

Kind: vision
Cost: 134 s of processor time on 2 cores of an Intel Xeon (jax 0.12.0.1), report included.
Result: PSNR of luminance 36.22 dB on the flower after the last step, 1.04 dB over Pillow's bicubic
filter, SSIM .974 where that has .969 (seed 0). Without other tones, .67 dB after 2,500 updates. The
other way, of the temple, whose fine lines the blurred flower has nothing of, 24.78 dB, .43 dB over
the filter, SSIM .817 where that has .777 (seed 0; 78 s of processor time on an AMD EPYC).

Variants: flower (the default) and china, the photograph that it is measured on; the other is
learned from. Your own: --config.data.name=picture_folder --config.data.path=my/pictures.
"""

from jaxdl import config as defaults
from jaxdl.data.photographs import FILES
from jaxdl.registry import choose


def get_config(variant: str = "flower"):
    """One of scikit-learn's photographs to be measured on: ``flower`` or ``china``."""
    choose("variant", variant, FILES)
    config = defaults.default()
    config.data.name, config.task.name = "photographs", "image_to_image"
    config.data.test = variant
    config.model = dict(name="espcn")
    # The network makes luminance, which is what is measured, and by its square as PSNR is.
    config.task.luminance, config.task.loss = True, "mse"
    config.task.tones = 0.3
    config.batch_size, config.steps = 16, 4000
    config.optimizer.learning_rate = 2e-3
    config.optimizer.schedule_unit = "fraction"
    config.optimizer.warmup = 0.02
    config.eval.best = "psnr"
    config.eval.every = 1000
    return config
