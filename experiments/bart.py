"""BART restores Python's documentation, of which parts are missing and sentences are shuffled.

    python -m jaxdl.launch --config=experiments/bart.py --workdir=runs/bart

Kind: text
Variants: documentation (the default), published.
Cost: 276 s of processor time (AMD EPYC, one core, jax 0.12.0.1).
Result: of the bytes that are missing .633 are right, at 1.331 nats a byte; an order-4 n-gram tells
.671 of the same, at 1.320 nats, which is not reached in these few updates (seed 0 alone, on the
last tenth of Python 3.13's text; .574 and 1.550 after the first 400). Of the rates 2e-3, 4e-3 and
8e-3 the last was best on a validation part: .569, .697 and .738 with seed 7.

Infilling and sentence permutation as in Lewis et al., 2020: 30 % of the bytes are left out, in
spans of 3 on average, each of which one mask stands for. All of the text is written;
``hidden_loss`` and ``hidden_accuracy`` are of the bytes that the source does not have. They are
predicted with the true bytes before them, which is what the n-gram sees too, and with what is left
behind them.

A text of your own: --config.data.name=text --config.data.path=my/texts, and for tokens instead of
bytes --config.data.tokenizer=tokenizer.json. A text with holes, called <0>, is filled in by
--config.task.sources='The <0> statement' with --mode=sample, or --mode=predict --input=texts.txt.

A published BART, a folder as transformers has it, learns pairs of one's own; its tokenizer and how
it writes (generation_config.json: beams, lengths, penalties) are the folder's; others by, say,
--config.task.beams=2 and --config.task.generation=length_penalty=1. --mode=export writes such a
folder again.

    python -m jaxdl.launch --config=experiments/bart.py:published --workdir=runs/own \\
        --config.pretrained.source=bart-base --config.data.tokenizer=bart-base/tokenizer.json \\
        --config.data.path=pairs.jsonl
"""

from jaxdl import config as defaults
from jaxdl.config import recipes
from jaxdl.registry import choose


def get_config(variant: str = "documentation"):
    """``documentation``, small enough for a laptop, or ``published``: a checkpoint on own pairs."""
    config = defaults.default()
    config.task.name = "sequence_to_sequence"
    config.optimizer.clip = 1.0
    variants = {"documentation": _documentation, "published": _published}
    choose("variant", variant, variants)(config)
    return config


def _documentation(config):
    config.steps = 800
    config.batch_size = 16
    config.data.name = "topics"
    config.data.test_fraction = 0.1
    config.data.context = 128
    config.task.denoise = "infilling"
    config.task.shuffle_sentences = True
    config.task.decoded = 0  # what is missing can be filled in in many ways
    config.task.sources = ("The <0> statement is used to <0> a name to the <0> scope.",)
    config.model = dict(
        name="bart", width=128, encoder_depth=2, decoder_depth=2, heads=2, hidden=512
    )
    config.optimizer.name = "muon"
    config.optimizer.options = ("consistent_rms=.2",)
    config.optimizer.learning_rate = 8e-3
    config.optimizer.schedule_unit = "steps"
    config.optimizer.warmup = 100.0
    config.eval.every = 400
    config.eval.best = "hidden_accuracy"


def _published(config):
    config.data.name = "pairs"
    recipes.fine_tuning(config, 3e-5)
    config.eval.best = "exact_match"
