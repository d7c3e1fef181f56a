"""Writes optimizers.json: what PyTorch's optimizers and schedules do, for tests/test_optim.py.

    pip install torch==2.13.0
    python tests/golden/make_optimizers.py

A two-layer network on eight fixed examples; parameters after updates 1 and 10, in float32. Weight
decay is given to the matrices only, as param groups. `settings` are the keys of `config.optimizer`
that ask jaxdl for the same.
"""

import json
from pathlib import Path

import numpy as np
import torch

STEPS = 10
LR_STEPS = 20

# name: (optimizer, its arguments, weight decay of the matrices, clipping, jaxdl's settings)
CASES = {
    "sgd": ("SGD", dict(lr=0.1), 0.0, {}, dict(name="sgd")),
    "sgd_momentum": (
        "SGD",
        dict(lr=0.1, momentum=0.9),
        0.0,
        {},
        dict(name="sgd", momentum=0.9),
    ),
    "sgd_nesterov": (
        "SGD",
        dict(lr=0.1, momentum=0.9, nesterov=True),
        0.0,
        {},
        dict(name="sgd", momentum=0.9, nesterov=True),
    ),
    "sgd_momentum_l2": (
        "SGD",
        dict(lr=0.1, momentum=0.9),
        0.05,
        {},
        dict(name="sgd", momentum=0.9, l2=0.05),
    ),
    "sgd_clip_norm_of_all": (
        "SGD",
        dict(lr=0.1, momentum=0.9),
        0.0,
        dict(norm=0.25),
        dict(name="sgd", momentum=0.9, clip=0.25),
    ),
    "sgd_clip_value": (
        "SGD",
        dict(lr=0.1, momentum=0.9),
        0.0,
        dict(value=0.05),
        dict(name="sgd", momentum=0.9, clip_value=0.05),
    ),
    "rmsprop": ("RMSprop", dict(lr=0.01), 0.0, {}, dict(name="rmsprop")),
    "rmsprop_momentum": (
        "RMSprop",
        dict(lr=0.002, momentum=0.9),
        0.0,
        {},
        dict(name="rmsprop", momentum=0.9),
    ),
    "rmsprop_centered": (
        "RMSprop",
        dict(lr=0.01, centered=True),
        0.0,
        {},
        dict(name="rmsprop", centered=True),
    ),
    "rmsprop_l2": ("RMSprop", dict(lr=0.01), 0.05, {}, dict(name="rmsprop", l2=0.05)),
    "rmsprop_alpha_eps": (
        "RMSprop",
        dict(lr=0.01, alpha=0.9, eps=1e-3),
        0.0,
        {},
        dict(name="rmsprop", decay=0.9, eps=1e-3),
    ),
    "adam": ("Adam", dict(lr=0.005), 0.0, {}, dict(name="adam")),
    "adam_betas_eps": (
        "Adam",
        dict(lr=0.005, betas=(0.5, 0.9), eps=1e-3),
        0.0,
        {},
        dict(name="adam", b1=0.5, b2=0.9, eps=1e-3),
    ),
    "adam_l2": ("Adam", dict(lr=0.005), 0.05, {}, dict(name="adam", l2=0.05)),
    "adamw": ("AdamW", dict(lr=0.005), 0.01, {}, dict(name="adamw", weight_decay=0.01)),
    "adamw_strong_decay": (
        "AdamW",
        dict(lr=0.005),
        0.5,
        {},
        dict(name="adamw", weight_decay=0.5),
    ),
}

# name: (schedule, its arguments, jaxdl's settings with lengths in steps); all peak at 0.1.
SCHEDULES = {
    "one_cycle": ("OneCycleLR", dict(max_lr=0.1, total_steps=LR_STEPS), dict(schedule="one_cycle")),
    "one_cycle_half": (
        "OneCycleLR",
        dict(max_lr=0.1, total_steps=LR_STEPS, pct_start=0.5),
        dict(schedule="one_cycle", warmup=10.0),
    ),
    "cosine": ("CosineAnnealingLR", dict(T_max=LR_STEPS), dict(schedule="cosine")),
    "cosine_above_0": (
        "CosineAnnealingLR",
        dict(T_max=LR_STEPS, eta_min=0.01),
        dict(schedule="cosine", end_factor=0.1),
    ),
    "step": (
        "StepLR",
        dict(step_size=7, gamma=0.2),
        dict(schedule="step", boundaries=[7.0, 14.0], decay_factor=0.2),
    ),
    "linear": (
        "LinearLR",
        dict(start_factor=1.0, end_factor=0.25, total_iters=LR_STEPS),
        dict(schedule="linear", end_factor=0.25),
    ),
}


def problem():
    """Inputs, targets and initial parameters, short in decimal and exact in the file."""
    rng = np.random.default_rng(0)
    draw = lambda *shape: np.round(rng.normal(size=shape), 2).tolist()
    return dict(
        inputs=draw(8, 3),
        targets=draw(8, 2),
        params=dict(bias=draw(4), matrix_1=draw(3, 4), matrix_2=draw(4, 2)),
    )


def loss(p, inputs, targets):
    hidden = torch.tanh(inputs @ p["matrix_1"] + p["bias"])
    return (hidden @ p["matrix_2"] - targets).square().mean()


def run(fixed, name, arguments, decay, clip):
    p = {
        k: torch.tensor(v, dtype=torch.float32, requires_grad=True)
        for k, v in fixed["params"].items()
    }
    inputs, targets = torch.tensor(fixed["inputs"]), torch.tensor(fixed["targets"])
    groups = [
        dict(params=[v for v in p.values() if v.ndim > 1], weight_decay=decay),
        dict(params=[v for v in p.values() if v.ndim <= 1], weight_decay=0.0),
    ]
    optimizer = getattr(torch.optim, name)(groups, **arguments)
    after = {}
    for step in range(1, STEPS + 1):
        optimizer.zero_grad()
        loss(p, inputs, targets).backward()
        if "norm" in clip:
            torch.nn.utils.clip_grad_norm_(p.values(), clip["norm"])
        if "value" in clip:
            torch.nn.utils.clip_grad_value_(p.values(), clip["value"])
        optimizer.step()
        if step in (1, STEPS):
            after[str(step)] = {k: v.detach().tolist() for k, v in p.items()}
    return after


def rates(name, arguments):
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1)
    schedule = getattr(torch.optim.lr_scheduler, name)(optimizer, **arguments)
    result = []
    for _ in range(LR_STEPS):
        result.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    return result


def rounded(tree, digits):
    if isinstance(tree, dict):
        return {k: rounded(v, digits) for k, v in tree.items()}
    if isinstance(tree, list):
        return [rounded(v, digits) for v in tree]
    return float(f"{tree:.{digits}g}")


def main():
    fixed = problem()
    golden = dict(
        made_with=f"torch {torch.__version__}",
        problem=fixed,
        optimizers={
            label: dict(
                learning_rate=arguments["lr"],
                settings=settings,
                after=rounded(run(fixed, name, arguments, decay, clip), 9),
            )
            for label, (name, arguments, decay, clip, settings) in CASES.items()
        },
        schedules={
            label: dict(
                steps=LR_STEPS,
                settings=dict(settings, learning_rate=0.1, schedule_unit="steps"),
                rates=rounded(rates(name, arguments), 12),
            )
            for label, (name, arguments, settings) in SCHEDULES.items()
        },
    )
    path = Path(__file__).with_name("optimizers.json")
    cases = {
        group: ",\n".join(f"    {json.dumps(k)}: {json.dumps(v)}" for k, v in golden[group].items())
        for group in ("optimizers", "schedules")
    }
    path.write_text(
        "{\n"
        f'  "made_with": {json.dumps(golden["made_with"])},\n'
        f'  "problem": {json.dumps(golden["problem"])},\n'
        f'  "optimizers": {{\n{cases["optimizers"]}\n  }},\n'
        f'  "schedules": {{\n{cases["schedules"]}\n  }}\n'
        "}\n"
    )


if __name__ == "__main__":
    main()
