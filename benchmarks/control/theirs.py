"""stable-baselines3 or SBX on CartPole-v1, with the zoo's settings, until it is solved.

    python -m benchmarks.control.theirs sb3|sbx|sb3_a2c train SEED MODEL [STEPS]
    python -m benchmarks.control.theirs sb3|sbx|sb3_a2c play MODEL
    python -m benchmarks.control.theirs sb3|sbx|sb3_a2c about

The first trains, evaluates by EvalCallback, stops by StopTrainingOnRewardThreshold, saves to MODEL,
and prints {"steps": taken, "mean_return": of the best evaluation, "stopped": whether that was
enough}. The second prints the {"mean_return"} of greedy episodes of what was saved.
"""

import json
import sys
from typing import Any

from benchmarks.control import episodes, settings


def library(name: str) -> Any:
    """PPO of "sb3" or "sbx", A2C of "sb3_a2c"."""
    if name == "sbx":
        from sbx import PPO as algorithm
    elif name == "sb3_a2c":
        from stable_baselines3 import A2C as algorithm
    else:
        from stable_baselines3 import PPO as algorithm
    return algorithm


def train(name: str, seed: str, file: str, steps: str = "") -> dict[str, Any]:
    """What is printed."""
    import torch
    from stable_baselines3.common.callbacks import EvalCallback, StopTrainingOnRewardThreshold
    from stable_baselines3.common.env_util import make_vec_env

    # The zoo's train.py advises so on a CPU: products are small, and threads wait for each other.
    torch.set_num_threads(settings.TORCH_THREADS)
    model = library(name)(
        **settings.of_theirs(name),
        env=make_vec_env(settings.ENVIRONMENT, settings.ENVIRONMENTS, seed=int(seed)),
        seed=int(seed),
        device="cpu",
    )
    stop = StopTrainingOnRewardThreshold(settings.TARGET, verbose=0)
    evaluate = EvalCallback(
        make_vec_env(settings.ENVIRONMENT, 1, seed=int(seed)),
        callback_on_new_best=stop,
        n_eval_episodes=settings.EVALUATION_EPISODES,
        # It counts steps of all environments as one.
        eval_freq=settings.EVALUATE_EVERY // settings.ENVIRONMENTS,
        verbose=0,
    )
    model.learn(int(steps or settings.STEPS[name]), callback=evaluate)
    model.save(file)
    best = float(evaluate.best_mean_reward)
    return {
        "steps": model.num_timesteps,
        "mean_return": best,
        "stopped": best >= settings.TARGET,
    }


def play(name: str, file: str) -> dict[str, float]:
    """{"mean_return"} of what ``file`` holds."""
    model = library(name).load(file, device="cpu")
    act = lambda observation: int(model.predict(observation, deterministic=True)[0])
    return {"mean_return": episodes.mean_return(act)}


def about(name: str) -> dict[str, str]:
    """Versions."""
    from importlib import metadata

    packages = ("sbx-rl", "jax", "torch") if name == "sbx" else ("stable-baselines3", "torch")
    return {package: metadata.version(package) for package in (*packages, "gymnasium")}


if __name__ == "__main__":
    side, do, *rest = sys.argv[1:]
    print(json.dumps({"train": train, "play": play, "about": about}[do](side, *rest)))
