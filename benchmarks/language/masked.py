"""An update of masked language modelling: BERT small, as experiments/bert.py has it."""

import functools
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from benchmarks.language.job import Job, Row


class Sizes(NamedTuple):
    """Of model and batch; the model's are those of `jaxdl.models.bert`.

    Attributes:
      length: tokens of a text, [CLS] and [SEP] among them.
    """

    width: int = 512
    depth: int = 4
    heads: int = 8
    vocabulary: int = 30_522
    batch: int = 16
    length: int = 128
    dropout: float = 0.0


# Ids as bert-base-uncased has them. Of the rest any may be drawn.
_SPECIAL = {"[PAD]": 0, "[UNK]": 100, "[CLS]": 101, "[SEP]": 102, "[MASK]": 103}
_FIRST = 104
_BATCHES, _POSITIONS, _CHECKED = 4, 512, 3
_RATE, _DECAY, _CLIP, _NO_DECAY = 1e-4, 0.01, 1.0, "position"
_WEIGHTS, _GIVEN = "weights", "batches.npz"


class _Tokens:
    """A tokenizer of which only the numbers are known."""

    def __init__(self, size: int):
        self.size, self.fingerprint = size, f"numbers below {size}"

    def id_of(self, name: str) -> int | None:
        return _SPECIAL.get(name)


def experiment_of(sizes: Sizes) -> Any:
    """The update as the launcher makes it, on random tokens."""
    import numpy as np

    from experiments import bert
    from jaxdl import data, experiment
    from jaxdl.data.windows import Windows

    @data.register("benchmark_tokens")
    def tokens(context: int = 126, vocab_size: int = 30_522, examples: int = 64) -> data.Data:
        rng = np.random.default_rng(0)
        drawn = rng.integers(_FIRST, vocab_size, (examples + 2) * context)
        split = Windows(drawn, context)
        return data.Data(split, split, tokenizer=_Tokens(vocab_size))

    config = bert.get_config()
    config.data.name = "benchmark_tokens"
    config.data.context = sizes.length - 2
    config.data.vocab_size = sizes.vocabulary
    config.data.examples = _BATCHES * sizes.batch
    config.model.update(
        width=sizes.width, depth=sizes.depth, heads=sizes.heads, context=_POSITIONS,
        vocab_size=sizes.vocabulary, segment_types=2,
        dropout=sizes.dropout, attention_dropout=sizes.dropout,
    )  # fmt: skip
    config.batch_size, config.steps = sizes.batch, 1_000_000
    # As published, whatever suits the small one that the experiment trains.
    config.task.train_rate = 0.0
    config.model.update(deviation=0.02, position_scale=0.0)
    config.optimizer.update(
        name="adamw", options=(), schedule="constant", warmup=0.0, learning_rate=_RATE,
        weight_decay=_DECAY, clip=_CLIP,
    )  # fmt: skip
    return experiment.create(config)


def ours(sizes: Sizes, folder: str) -> Job:
    """Our side; leaves weights and batches of the first updates for the others."""
    from benchmarks.steps import Steps

    # Compiled with the first: it counts as the others' does.
    begun = functools.cache(lambda: Steps(experiment_of(sizes), per_call=1))

    def run() -> float:
        begun().run(1)
        return begun().loss

    return Job(run, functools.partial(_checked, sizes, folder))


def _checked(sizes: Sizes, folder: str) -> list[float]:
    """Losses of the first updates without random draws, of weights and batches that are kept."""
    import jax
    import numpy as np

    from jaxdl import metrics, pretrained
    from jaxdl.tasks import learner
    from jaxdl.tasks import masked_language_modelling as task
    from jaxdl.tasks.shared import text_encoder

    made = experiment_of(sizes._replace(dropout=0.0))
    module = text_encoder.build(made.run, "masked_lm", around=2)
    hiding = task.Hiding.of(made.run.data.tokenizer, random=0.1, kept=0.1, whole_words=False)
    hide = functools.partial(task.hide_alike, hiding, 0.15)
    loss_fn = functools.partial(
        task.training_loss, learner.forward(module), lambda batch, key: hide(batch)
    )
    _, update = learner.by_config(made.run, loss_fn)
    state, rng = made.init_state(), np.random.default_rng(0)
    # Moved a little at random: at first all losses are about ln n, whatever the model.
    noise = lambda x: x + 0.02 * rng.standard_normal(x.shape, np.float32)
    state = state._replace(params=jax.tree.map(noise, state.params))
    pretrained.save(module, {"params": state.params}, f"{folder}/{_WEIGHTS}")
    losses, arrays, step = [], {}, jax.jit(update)
    for i in range(_CHECKED):
        batch = made.batch(i)
        _, hidden = jax.jit(hide)(batch)
        arrays |= {f"{name}{i}": np.array(x) for name, x in hidden._asdict().items()}
        state, found = step(state, batch, made.key)
        losses.append(metrics.divide(jax.device_get(found))["loss"])
    np.savez(f"{folder}/{_GIVEN}", **arrays)
    return losses


def theirs(sizes: Sizes, compiled: bool, folder: str) -> Job:
    """transformers' BertForMaskedLM with torch's AdamW, fused, eager or by torch.compile."""
    import numpy as np
    import torch
    import transformers

    def begun(dropout: float) -> Any:
        rates = dict(hidden_dropout_prob=dropout, attention_probs_dropout_prob=dropout)
        model = transformers.BertForMaskedLM.from_pretrained(f"{folder}/{_WEIGHTS}", **rates)
        return model.train()

    def updating(model: Any) -> Callable[[Any, Any], float]:
        decays = lambda name, p: p.ndim > 1 and _NO_DECAY not in name
        named = list(model.named_parameters())
        groups = [
            {"params": [p for n, p in named if decays(n, p)], "weight_decay": _DECAY},
            {"params": [p for n, p in named if not decays(n, p)], "weight_decay": 0.0},
        ]
        optimizer = torch.optim.AdamW(groups, lr=_RATE, fused=True)
        forward = lambda tokens, labels: model(input_ids=tokens, labels=labels).loss
        forward = torch.compile(forward) if compiled else forward

        def update(tokens: Any, labels: Any) -> float:
            optimizer.zero_grad(set_to_none=True)
            loss = forward(tokens, labels)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), _CLIP)
            optimizer.step()
            return float(loss.detach())

        return update

    given = dict(np.load(f"{folder}/{_GIVEN}"))
    batches = []
    for i in range(_CHECKED):
        labels = np.full(given[f"tokens{i}"].shape, -100, np.int64)
        targets = np.where(given[f"weight{i}"] > 0, given[f"targets{i}"], -100)
        np.put_along_axis(labels, given[f"places{i}"].astype(np.int64), targets, axis=1)
        tokens = torch.from_numpy(given[f"tokens{i}"].astype(np.int64))
        batches.append((tokens, torch.from_numpy(labels)))
    model = begun(sizes.dropout)
    update, turn = updating(model), iter(range(10**9))

    def check() -> list[float]:
        first = updating(begun(0.0))
        return [first(*batch) for batch in batches]

    return Job(lambda: update(*batches[next(turn) % _CHECKED]), None if compiled else check)


# How far apart, relative, the first losses may be. An update makes much of a small difference, so
# that later ones are shown only; the second would tell a wrong rate, the first a wrong model.
_LIMITS = 1e-5, 1e-4


def agreement(ours: list[float], theirs: Any) -> tuple[bool, str]:
    """Of the losses of three updates; torch.compile's is measured only."""
    if not isinstance(theirs, list):
        return True, ""
    apart = [abs(a - b) / abs(a) for a, b in zip(ours, theirs, strict=True)]
    words = ", ".join(f"{x:.0e}" for x in apart)
    held = all(x <= limit for x, limit in zip(apart, _LIMITS, strict=False))
    return held, f"losses of the first updates within {words}"


def row(title: str, sizes: Sizes) -> Row:
    """A comparison of these sizes."""
    sides: Mapping[str, Any] = {
        "ours": functools.partial(ours, sizes),
        "eager": functools.partial(theirs, sizes, False),
        "compile": functools.partial(theirs, sizes, True),
    }
    return Row(title, sides, agreement)


_TITLE = "masked-LM update, BERT small 4x512, 30,522 tokens, batch 16, T 128, adamw, clipped"
ROWS = {
    "masked": row(_TITLE, Sizes()),
    "masked_dropout": row(f"{_TITLE}, dropout .1, also of attention", Sizes(dropout=0.1)),
}
