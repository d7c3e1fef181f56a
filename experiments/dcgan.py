"""DCGAN learns to draw handwritten digits, of any class or of those that are asked for.

    python -m jaxdl.launch --config=experiments/dcgan.py --workdir=runs/dcgan

Kind: generation
Cost: 81 s on 2 CPU cores, compile included; conditional about 65 s of processor time.
Result: two-sample accuracy .671 (median of seeds 0, 1, 2: .694, .671, .653; .5 is perfect).
Variants: plain, wide (twice the features: median .643 of .643, .682 and .632; 280 s of processor
time), conditional (two-sample accuracy .646, .978 are the digit asked for; seed 0).

Every digit has at least .070 of the samples (.084, .075, .070), and these are 1.13 times as far
from the training images as real new ones are (1.11, 1.13, 1.14): not copies. Figures are of the
last step, against the test part. The number of steps was chosen with another seed on a validation
part of the training part (--config.data.eval_on=validation), where the accuracy was .622.

Seed 0 has fid/digits 0.92 (two sets of real digits .83), kid/digits -.10, precision/digits
.85 and recall/digits .84, at a two-sample accuracy of .675 (jax 0.12.0.1).

What more steps and the moving average give, of seed 7 on the validation part, one run: without an
average .651, .634 and .663 after 4000, 6000 and 9000 steps, by one of .99 .590, .611 and .618, by
one of .999 .606, .615 and .620, with fid/digits 1.05, 1.04 and 1.16 (without: 1.30, 1.40, 1.40). So
the average pays, and more steps do not.

What more steps and width give, of seed 8 on the validation part, with an average of .999: .658,
.622, .658 and .634 after 3000, 6000, 9000 and 12,000 steps, and 1.19, 1.11, 1.06 and 1.04 times as
far from the training images as real new ones: more steps do not pay. Of twice the features .630 and
.585 after 3000 and 6000, with fid/digits 1.29 and 1.47 (1.73 and 1.76 of the plain one's): width
does. On the test part wide, seeds 0 to 2, has fid/digits 1.12, 1.13 and 1.10, kid/digits -.04, -.01
and -.07, every digit at least .072 of the samples, 1.09, 1.11 and 1.09 times as far as real ones
(seeds 1 and 2 with jax 0.12.0.1; plain at seed 0: .675 to .694).

conditional tells both networks the label (`jaxdl.models.dcgan`). Its samples, seed 0, against the
test part: fid/digits .97 (two sets of real digits .83), kid/digits .01, precision/digits .94,
recall/digits .79, every digit at least .094 of all, and as far from the training images as real new
ones are (1.00). A classifier of digits names .978 as asked, the nearest training image .989. With
more steps they become copies: of 2400, 4200 and 6000 steps they are 1.00, .96 and .93 times as far,
at a two-sample accuracy of .646, .622 and .601. The number was chosen with seed 7 on the validation
part, where fid/digits and kid/digits are lowest near it. Of one class alone: --mode=sample
--config.task.asked=3.
"""

from jaxdl import config as defaults
from jaxdl.registry import choose


def get_config(variant="plain"):
    """8x8 pixels, of any class, by networks as wide or wider, or of those that are asked for."""
    return choose("variant", variant, VARIANTS)()


def _wide():
    config = _plain()
    config.model.widths = (256, 128)
    return config


def _conditional():
    config = _plain()
    config.steps = 2400
    config.task.classes = True
    return config


def _plain():
    config = defaults.default()
    config.steps = 6000
    config.batch_size = 64
    config.ema = 0.999
    config.model = dict(name="dcgan", widths=(128, 64), base=2, channels=1)
    config.task = dict(name="adversarial", loss="non_saturating", latent=64)
    config.optimizer.learning_rate = 2e-4
    config.optimizer.b1 = 0.5
    config.optimizer.schedule = "constant"
    config.eval.best = "two_sample_accuracy"
    return config


VARIANTS = {"plain": _plain, "wide": _wide, "conditional": _conditional}
