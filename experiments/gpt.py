"""GPT learns to write like Python's documentation, byte by byte.

    python -m jaxdl.launch --config=experiments/gpt.py --workdir=runs/gpt

Kind: text
Cost: 216 s of processor time, compile included (AMD EPYC, one core, jax 0.12.0.1).
Result: 1.201 nats a byte of text, where an order-4 n-gram has 1.318.
Variants: tiny (the default), and the published sizes S, M, L and XL of GPT-2.

Median of seeds 0, 1, 2 (1.193, 1.201, 1.201), of the last step, on the last tenth of the text. The
optimizer was chosen with seed 7 on a validation part (--config.data.eval_on=validation), the number
of steps for the time that they take.

A text of your own: --config.data.name=text --config.data.path=my/texts, and for tokens instead of
bytes --config.data.tokenizer=tokenizer.json. Text from a trained run: --mode=sample. The published
sizes have not been trained here: they are for an accelerator, a text of gigabytes and GPT-2's
tokenizer, with which they have GPT-2's numbers of parameters.
"""

from jaxdl import config as defaults
from jaxdl.registry import choose

# Learning rates of these sizes by Brown et al., 2020, table 2.1.
PUBLISHED = {"S": 6e-4, "M": 3e-4, "L": 2.5e-4, "XL": 2e-4}


def get_config(variant: str = "tiny"):
    """``tiny``, small enough for a laptop, or a published size: S, M, L, XL."""
    choose("variant", variant, {"tiny": None, **PUBLISHED})
    config = defaults.default()
    config.data.name = "topics"
    config.data.test_fraction = 0.1
    config.task.name = "language_modelling"
    config.optimizer.clip = 1.0
    config.optimizer.weight_decay = 0.1
    config.optimizer.end_factor = 0.1
    config.optimizer.schedule_unit = "steps"
    config.eval.best = "nats_per_byte"
    return _tiny(config) if variant == "tiny" else _published(config, variant)


def _tiny(config):
    config.steps = 800
    config.batch_size = 16
    config.data.context = 128
    config.data.stride = 64  # at evaluation every byte is predicted from 64 others or more
    config.model = dict(name="gpt", width=128, depth=4, heads=2)
    # It is in 600 updates where adamw is in 900. With .2 its updates have adamw's size (Liu et al.,
    # 2025, "Muon is Scalable for LLM Training", section 2.2), and so the learning rate.
    config.optimizer.name = "muon"
    config.optimizer.options = ("consistent_rms=.2",)
    config.optimizer.learning_rate = 4e-3
    config.eval.every = 200
    config.optimizer.warmup = 100.0
    return config


def _published(config, variant):
    """Radford et al., 2019, with the batch and schedule of Brown et al., 2020, appendix B."""
    config.steps = 572_000
    config.batch_size = 512
    config.data.context = 1024
    config.model = dict(name=f"gpt2_{variant.lower()}", dropout=0.0, remat=True)
    config.optimizer.b2 = 0.95
    config.optimizer.learning_rate = PUBLISHED[variant]
    config.optimizer.warmup = 715.0
    config.eval.batch_size = 32
    config.eval.every = 5000
    return config
