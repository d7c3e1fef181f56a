"""What was preferred is learned, in a small world whose best policy is known, and by a rule.

    python -m jaxdl.launch --config=experiments/preferences.py:dpo --workdir=runs/dpo

Kind: preferences
Cost: 20 s of processor time (reward), 31 (rlhf), 30 (dpo), about 40 (sft), compile included.
Result: total variation from the best policy .0016 (rlhf), 5e-7 (dpo); the reward model
agrees with .900 of labels of which 10 % are wrong; by a rule DPO's answers win in .88.
Variants: dpo (the default), reward, rlhf, rlhf_t5; and in Python's documentation sft and rule,
which is DPO: --config.pretrained.source=runs/sft gives it the policy that it begins as.

All with jax 0.12.0.1, but for the reward model, which is of 0.10.2; with 400 updates it was at .900
with the one and at .873 with the other. Total
variation by what divergence costs (--config.task.beta): rlhf .0021 at β = .25 (seed 0), .0016 at .5
(seeds 1 and 2), 9e-8 at 1 (seed 0); dpo 2e-5, 5e-7 and 2e-7 (seed 0), and below .0064
with three seeds each after 600 updates already. The less it costs, the longer it takes: with 300
steps of rlhf the learning rate is gone before the rarer answers have their share (.17 at β = .25),
and dpo at a learning rate of 3e-3 jumps between steps 200 and 300, from which 700 steps are too few
to come back (.08).

rlhf_t5 ends .00095 from the best policy at β = .5 (seed 0, 99 s of processor time), at .081 with
a learning rate of 3e-3; a BART, --config.model.name=bart, with that rate at 7e-8 (66 s).

sft ends at 2.15 nats a byte of held-out answers (a GPT of .12 million parameters); what comes of
preferences then, by DPO, PPO and the best of n, is in docs/preferences.md.
"""

from jaxdl import config as defaults
from jaxdl.registry import choose

_WORLD = dict(width=32, depth=2, heads=2)
_TEXTS = dict(width=64, depth=2, heads=4)
# A T5's sizes, and a BART's too: --config.model.name=bart.
_APART = dict(name="t5", width=32, encoder_depth=2, decoder_depth=2, heads=2, hidden=64)
_BY_REWARDS = dict(
    task=dict(name="rlhf", beta=0.5, answers=3, epochs=2, value_clip=0.0, whiten=False),
    steps=900,
    batch_size=168,
    clip=1.0,
)

VARIANTS = {
    "dpo": dict(task=dict(name="preference", beta=0.5), steps=2000, batch_size=168, rate=1e-3),
    "reward": dict(
        task=dict(name="reward_model"), data=dict(labels="noisy"), steps=1000, batch_size=168,
        best="accuracy",
    ),
    "rlhf": _BY_REWARDS,
    "rlhf_t5": {**_BY_REWARDS, "model": _APART, "rate": 5e-4},
    "sft": dict(
        task=dict(name="language_modelling"), data=dict(name="topic_answers"), steps=600,
        batch_size=32, model=_TEXTS, rate=3e-3, clip=1.0, every=600, best="nats_per_byte",
    ),
    "rule": dict(
        task=dict(name="preference", beta=0.2), data=dict(name="topic_preferences"), steps=80,
        batch_size=32, model=_TEXTS, rate=5e-4, clip=1.0, every=80, best="accuracy",
    ),
}  # fmt: skip


def get_config(variant: str = "dpo"):
    """One of VARIANTS."""
    own = choose("variant", variant, VARIANTS)
    config = defaults.default()
    config.data.update({"name": "answer_world", **own.get("data", {})})
    config.model = {"name": "gpt", **own.get("model", _WORLD)}
    config.task = dict(own["task"])
    config.update(steps=own["steps"], batch_size=own["batch_size"])
    config.optimizer.name = "adam"
    config.optimizer.learning_rate = own.get("rate", 3e-3)
    config.optimizer.clip = own.get("clip", 0.0)
    config.optimizer.schedule_unit = "steps"
    config.optimizer.warmup = 20.0
    config.eval.every = own.get("every", 100)
    config.eval.best = own.get("best", "total_variation")
    return config
