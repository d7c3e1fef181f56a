"""An update of direct preference optimisation of a GPT of 11 M parameters, beside trl's.

    python -m benchmarks.preferences.update [--size=8] [--rounds=11] [--torch-python=PATH]

The other side's Python has torch, transformers and trl 1.16. Both begin with the same weights and
see the same pairs, ``size`` of them, each text of 192 to 256 tokens, a quarter of it the prompt;
the losses of their first three updates by AdamW, with the gradient clipped to 1, are compared. A
reference is computed in every update. Prints the medians of both, and of the rounds' ratios.
"""

import sys
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import paired
from benchmarks.preferences import network

UPDATES, RATE, BETA, CLIP = 3, 1e-6, 0.1, 1.0

# Largest difference of a loss, in nats a pair.
_AGREE = 1e-3


def main() -> int:
    """Runs the command line; 1 if the sides disagree."""
    return paired.main(
        "benchmarks.preferences.update",
        ours,
        theirs,
        size=8,
        agree=_AGREE,
        what="the loss of the first updates",
        of="an update",
    )


def pairs(size: int) -> list[dict[str, list[int]]]:
    """``prompt``, ``chosen`` and ``rejected``, tokens; answers are ended."""
    rng = np.random.default_rng(0)
    draw = lambda low, high: rng.integers(0, network.END, rng.integers(low, high)).tolist()
    answer = lambda: [*draw(128, 191), network.END]
    return [{"prompt": draw(48, 64), "chosen": answer(), "rejected": answer()} for _ in range(size)]


def ours(file: Path, size: int) -> paired.Side:
    """Our side, whose first weights are written beside ``file``."""
    import functools

    import jax
    import optax

    from jaxdl.data.answered import Answered
    from jaxdl.losses import preference as losses
    from jaxdl.tasks import learner, preference
    from jaxdl.tasks.shared import answering

    module, variables = network.ours(file.parent / "start")
    table, context = pairs(size), network.CONTEXT
    sides = [
        Answered.of(*([np.array(row[name]) for row in table] for name in ("prompt", side)), context)
        for side in ("chosen", "rejected")
    ]
    length = max(int(side.text.lengths.max()) for side in sides)
    found = [side.padded(np.arange(size), length) for side in sides]
    batch = {name: np.stack([x[name] for x in found], axis=1) for name in found[0]}
    batch = jax.device_put({**batch, "weight": np.ones(size, np.float32)})
    loss_fn = functools.partial(
        preference.training_loss, learner.forward(module), module, answering.END_TO_END,
        losses.DIRECT["dpo"], BETA, variables,
    )  # fmt: skip
    optimizer = optax.chain(
        optax.clip_by_global_norm(CLIP), optax.adamw(lambda step: RATE, weight_decay=0.0)
    )
    step = jax.jit(learner.make_update(loss_fn, optimizer), donate_argnums=0)
    kept = [learner.create(jax.tree.map(np.array, variables), optimizer)]

    def update() -> float:
        kept[0], metrics = step(kept[0], batch, jax.random.key(0))
        return float(metrics["loss"].total) / size

    return lambda: [update() for _ in range(UPDATES)], lambda: update()


def theirs(file: Path, size: int) -> paired.Side:
    """The same by trl."""
    import torch
    from datasets import Dataset
    from transformers import GPT2LMHeadModel
    from trl import DPOConfig, DPOTrainer

    start = file.parent / "start"
    model, reference = (GPT2LMHeadModel.from_pretrained(start) for _ in range(2))
    rows = [{f"{name}_ids": x for name, x in row.items()} for row in pairs(size)]
    trainer = DPOTrainer(
        model,
        reference,
        DPOConfig(
            output_dir=str(file.parent / "trl"), per_device_train_batch_size=size, beta=BETA,
            learning_rate=RATE, max_length=network.CONTEXT, gradient_checkpointing=False,
            bf16=False, use_cpu=True, report_to="none", disable_dropout=True, weight_decay=0.0,
        ),
        # Its own tokens are made of texts; what is learned from here is given as it is.
        train_dataset=Dataset.from_list([dict(prompt="<1>", chosen="<2>", rejected="<3>")]),
        processing_class=network.tokenizer(),
    )  # fmt: skip
    trainer.current_gradient_accumulation_steps = 1  # which its own loop says
    optimizer = torch.optim.AdamW(model.parameters(), lr=RATE, weight_decay=0.0, fused=True)
    batch: dict[str, Any] = trainer.data_collator(rows)

    def update() -> float:
        loss = trainer.training_step(model, dict(batch))
        torch.nn.utils.clip_grad_norm_(model.parameters(), CLIP)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        return float(loss)

    return lambda: [update() for _ in range(UPDATES)], lambda: update()


if __name__ == "__main__":
    sys.exit(main())
