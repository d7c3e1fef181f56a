"""Writes preferences.npz: trl's losses of preferences and their gradients, of logits and scores.

pip install torch==2.13.0 && pip install "trl==1.16.*" && python tests/golden/make_preferences.py

The trainers' own loss functions are run, on a model that answers with given logits. Conservative
DPO, which trl does not have (its label_smoothing is of "robust" alone), is written out here from
Mitchell's note.
"""

from collections import defaultdict
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch
from torch.nn import functional as F
from trl.trainer.dpo_trainer import DPOTrainer
from trl.trainer.reward_trainer import RewardTrainer

PAIRS, LENGTH, TOKENS = 6, 9, 5
KINDS = {"dpo": "sigmoid", "ipo": "ipo", "hinge": "hinge"}
BETA, SMOOTHING, CENTRING = 0.3, 0.1, 0.01


class Answers(torch.nn.Module):
    """A causal model whose logits (2 n, T, tokens) are its parameters."""

    is_gradient_checkpointing = False

    def __init__(self, logits):
        super().__init__()
        self.logits = torch.nn.Parameter(logits)

    def forward(self, input_ids, labels=None, **_):
        logits = self.logits[:, :-1]
        wanted = labels[:, 1:]
        found = logits.log_softmax(-1).gather(-1, wanted.clamp(min=0)[..., None])[..., 0]
        found = torch.where(wanted == -100, 0.0, found)
        zeros = torch.zeros_like(found)
        return SimpleNamespace(
            log_probs=found, entropy=zeros, mean_logits=zeros, is_top1=zeros.bool(), loss=None
        )


def trainer(**own):
    """What a loss function asks of its trainer."""
    same = lambda x: x
    accelerator = SimpleNamespace(
        device="cpu", gather=same, gather_for_metrics=same, unwrap_model=same
    )
    return SimpleNamespace(
        accelerator=accelerator,
        _metrics=defaultdict(lambda: defaultdict(list)),
        _total_train_tokens=0,
        _tp_size=1,
        aux_loss_enabled=False,
        args=SimpleNamespace(gradient_checkpointing_kwargs=None, **own.pop("args", {})),
        **own,
    )


def main():
    """In float64; answers are of any length, one of a single token."""
    rng = np.random.default_rng(0)
    shape = (2 * PAIRS, LENGTH)
    policy, reference = (2 * rng.normal(size=(*shape, TOKENS)) for _ in range(2))
    tokens = rng.integers(0, TOKENS, shape)
    front = np.tile(rng.integers(1, 4, PAIRS), 2)[:, None]
    end = front + rng.integers(1, LENGTH - 3, 2 * PAIRS)[:, None]
    end[0] = front[0] + 1
    place = np.arange(LENGTH)[None]
    mask, answer = place < end, (place >= front) & (place < end)
    made = dict(policy=policy, reference=reference, tokens=tokens.astype(np.int32), answer=answer)

    def result(name, loss, slopes):
        made[name], made[f"{name}_slopes"] = loss.item(), slopes.numpy()

    inputs = dict(
        input_ids=torch.tensor(tokens),
        attention_mask=torch.tensor(mask).long(),
        completion_mask=torch.tensor(answer).long(),
    )
    for ours, theirs in KINDS.items():
        model = Answers(torch.tensor(policy))
        own = trainer(
            model=model,
            ref_model=Answers(torch.tensor(reference)),
            loss_types=[theirs],
            loss_weights=[1.0],
            beta=BETA,
            label_smoothing=0.0,
            ld_alpha=None,
            precompute_ref_logps=False,
            use_weighting=False,
            f_divergence_type="reverse_kl",
        )
        loss = DPOTrainer._compute_loss(own, model, inputs, False)
        loss.backward()
        result(ours, loss, model.logits.grad)

    model, other = Answers(torch.tensor(policy)), Answers(torch.tensor(reference))
    labels = torch.tensor(np.where(answer, tokens, -100))
    ratio = [m(None, labels).log_probs.sum(1) for m in (model, other)]
    chosen, rejected = (ratio[0] - ratio[1].detach()).chunk(2)
    logits = BETA * (chosen - rejected)
    loss = -(1 - SMOOTHING) * F.logsigmoid(logits) - SMOOTHING * F.logsigmoid(-logits)
    loss.mean().backward()
    result("cdpo", loss.mean(), model.logits.grad)

    scores, margins = 2 * rng.normal(size=2 * PAIRS), rng.uniform(0, 2, PAIRS)
    made |= dict(scores=scores, margins=margins)
    for name, centring, further in (
        ("reward", None, {}),
        ("reward_margin", None, {"margin": torch.tensor(margins)}),
        ("reward_centred", CENTRING, {}),
    ):
        given = torch.nn.Parameter(torch.tensor(scores)[:, None])
        model = torch.nn.Module()
        model.forward = lambda given=given, **_: SimpleNamespace(logits=given)
        own = trainer(model=model, args=dict(center_rewards_coefficient=centring))
        inputs = dict(attention_mask=torch.tensor(mask).long(), **further)
        loss = RewardTrainer.compute_loss(own, model, inputs)
        loss.backward()
        result(name, loss, given.grad[:, 0])
    np.savez_compressed(Path(__file__).parent / "preferences.npz", **made)


if __name__ == "__main__":
    main()
