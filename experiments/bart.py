"""BART restores Python's documentation, of which parts are missing and sentences are shuffled.

    python -m jaxdl.launch --config=experiments/bart.py --workdir=runs/bart

Cost: not measured yet; 800 updates of 16 windows of 128 bytes.
Result: not measured yet, nats a byte that is missing; an order-4 n-gram has 1.320 of the same.

Infilling and sentence permutation as in Lewis et al., 2020: 30 % of the bytes are left out, in
spans of 3 on average, each of which one mask stands for. All of the text is written;
``hidden_loss`` and ``hidden_accuracy`` are of the bytes that the source does not have. They are
predicted with the true bytes before them, which is what the n-gram sees too, and with what is left
behind them.

A text of your own: --config.data.name=text --config.data.path=my/texts, and for tokens instead of
bytes --config.data.tokenizer=tokenizer.json. A text with holes, called <0>, is filled in by
--config.task.sources='The <0> statement' with --mode=sample, or --mode=predict --input=texts.txt.
"""

from jaxdl import config as defaults


def get_config():
    """Small enough for a laptop."""
    config = defaults.default()
    config.steps = 800
    config.batch_size = 16
    config.data.name = "topics"
    config.data.test_fraction = 0.1
    config.data.context = 128
    config.task.name = "sequence_to_sequence"
    config.task.denoise = "infilling"
    config.task.shuffle_sentences = True
    config.task.decoded = 0  # what is missing can be filled in in many ways
    config.task.sources = ("The <0> statement is used to <0> a name to the <0> scope.",)
    config.model = dict(
        name="bart", width=128, encoder_depth=2, decoder_depth=2, heads=2, hidden=512
    )
    config.optimizer.name = "muon"
    config.optimizer.options = ("consistent_rms=.2",)
    config.optimizer.learning_rate = 4e-3
    config.optimizer.clip = 1.0
    config.optimizer.schedule_unit = "steps"
    config.optimizer.warmup = 100.0
    config.eval.every = 400
    config.eval.best = "hidden_accuracy"
    return config
