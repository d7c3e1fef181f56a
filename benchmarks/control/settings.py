"""What is asked of every side, and what theirs are set to. Imports neither jax nor torch."""

from typing import Any

ENVIRONMENT = "CartPole-v1"
# From which mean return the environment counts as solved (its reward_threshold in gymnasium).
TARGET = 475.0
TITLES = {
    "ours": "jaxdl",
    "sbx": "SBX (JAX)",
    "sb3": "stable-baselines3 (torch)",
    "a2c": "jaxdl, A2C",
    "sb3_a2c": "stable-baselines3 (torch), A2C",
}
SIDES = tuple(TITLES)
# Whose programs are compiled, and whose are torch's.
OF_TORCH = ("sb3", "sb3_a2c")


def _command(experiment: str, *flags: str) -> tuple[str, ...]:
    return (
        "-m",
        "jaxdl.launch",
        f"--config=experiments/{experiment}",
        "--config.early_stopping.metric=mean_return",
        f"--config.early_stopping.target={TARGET:g}",
        "--config.early_stopping.patience=0",
        *flags,
    )


# Our commands; the seed, the folder and where compiled programs are kept come to them.
OURS = {
    "ours": _command("ppo.py:cartpole"),
    # It has more updates, and by itself looks after each quarter of them only.
    "a2c": _command("a2c.py:cartpole", "--config.eval.every=250"),
}

# CartPole-v1 in hyperparams/ppo.yml of rl-baselines3-zoo (github.com/DLR-RM/rl-baselines3-zoo),
# where it is marked as tuned. Both libraries take these names; the rest is as they have it.
_PPO: dict[str, Any] = {
    "policy": "MlpPolicy",
    "n_steps": 32,
    "batch_size": 256,
    "gae_lambda": 0.8,
    "gamma": 0.98,
    "n_epochs": 20,
    "ent_coef": 0.0,
}
# The same in hyperparams/a2c.yml; the rest is as the library has it.
_A2C: dict[str, Any] = {"policy": "MlpPolicy", "ent_coef": 0.0}
ENVIRONMENTS = 8


def _to_zero(first: float) -> Any:
    """A straight line from ``first`` to 0 over all steps ("lin_" in the zoo)."""
    return lambda left: left * first


def of_theirs(side: str) -> dict[str, Any]:
    """The keywords of a side's algorithm."""
    if side == "sb3_a2c":
        return dict(_A2C)
    return {**_PPO, "learning_rate": _to_zero(0.001), "clip_range": _to_zero(0.2)}


# Of all environments together.
STEPS = {"sbx": 100_000, "sb3": 100_000, "sb3_a2c": 500_000}

# stable-baselines3 takes 24 s with one thread on 2 cores, and 35 with two.
TORCH_THREADS = 1

# As EvalCallback has it: 5 greedy episodes every 10,000 steps, all environments together.
EVALUATE_EVERY, EVALUATION_EPISODES = 10_000, 5

# Afterwards, out of the time: greedy episodes from starts that no side has seen.
EPISODES, FIRST_SEED = 100, 1_000_000
