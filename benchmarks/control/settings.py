"""What is asked of every side, and what theirs are set to. Imports neither jax nor torch."""

from typing import Any

ENVIRONMENT = "CartPole-v1"
# From which mean return the environment counts as solved (its reward_threshold in gymnasium).
TARGET = 475.0
SIDES = ("ours", "sbx", "sb3")
TITLES = {"ours": "jaxdl", "sbx": "SBX (JAX)", "sb3": "stable-baselines3 (torch)"}

# Our command; the seed, the folder and where compiled programs are kept come to it.
OURS = (
    "-m",
    "jaxdl.launch",
    "--config=experiments/ppo.py:cartpole",
    "--config.early_stopping.metric=mean_return",
    f"--config.early_stopping.target={TARGET:g}",
    "--config.early_stopping.patience=0",
)

# CartPole-v1 in hyperparams/ppo.yml of rl-baselines3-zoo (github.com/DLR-RM/rl-baselines3-zoo),
# where it is marked as tuned. Both libraries take these names; the rest is as they have it.
ZOO: dict[str, Any] = {
    "policy": "MlpPolicy",
    "n_steps": 32,
    "batch_size": 256,
    "gae_lambda": 0.8,
    "gamma": 0.98,
    "n_epochs": 20,
    "ent_coef": 0.0,
}
ENVIRONMENTS, STEPS = 8, 100_000
# At the beginning; both fall to 0 in a straight line over all steps ("lin_" in the zoo).
LEARNING_RATE, CLIP = 0.001, 0.2

# stable-baselines3 takes 24 s with one thread on 2 cores, and 35 with two.
TORCH_THREADS = 1

# As EvalCallback has it: 5 greedy episodes every 10,000 steps, all environments together.
EVALUATE_EVERY, EVALUATION_EPISODES = 10_000, 5

# Afterwards, out of the time: greedy episodes from starts that no side has seen.
EPISODES, FIRST_SEED = 100, 1_000_000
