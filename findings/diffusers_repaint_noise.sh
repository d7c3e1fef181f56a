#!/usr/bin/env bash
# diffusers 0.42.1: RePaintScheduler.undo_step adds the noise of other timesteps than it goes back by,
# if there are fewer steps than the network was trained with.
# Expected: going back from timestep s to t, an image keeps sqrt(alphas_cumprod[t] / alphas_cumprod[s])
# of itself (Lugmayr et al., 2022, algorithm 1, line 10), so that the network is told how much noise
# there is.
# Seen: of 1,000 timesteps in 250 steps, a finished image that is brought back to the noise of timestep
# 36 as RePaintPipeline does it has the noise of timestep 39; one brought back to timestep 0 has that of
# timestep 3, 5.2 times the variance. In 1,000 steps they are the same.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet torch==2.13.0 diffusers==0.42.1 numpy==2.3.5
"$folder/env/bin/python" - <<'PY'
import torch
from diffusers import RePaintScheduler


def kept(scheduler, visited):
    """Of an image, on the way up: noise of the same seed cancels in the difference."""
    ends = []
    for start in (0.0, 1.0):
        image, generator = torch.full((1, 1, 2, 2), start, dtype=torch.float64), torch.manual_seed(0)
        for timestep in visited:
            image = scheduler.undo_step(image, timestep, generator)
        ends.append(image)
    return float((ends[1] - ends[0]).mean())


seen = {}
for steps in (1000, 250):
    scheduler = RePaintScheduler(num_train_timesteps=1000, beta_schedule="linear")
    scheduler.set_timesteps(steps, jump_length=10, jump_n_sample=2)
    order = scheduler.timesteps.tolist()
    # The last way up begins behind the step at timestep 0, which leaves a finished image.
    first = order.index(0)
    assert order[first + 10] == 10 * 1000 // steps and order[first + 11] < order[first + 10]
    noise = lambda timestep: float(1 - scheduler.alphas_cumprod[timestep])
    for ways in (1, 10):
        told = order[first + ways - 1]
        seen[steps, told] = (1 - kept(scheduler, order[first : first + ways]) ** 2) / noise(told)
        print(f"{steps} steps, told timestep {told}: {seen[steps, told]:.3f} of its variance")
right = [abs(seen[1000, timestep] - 1) < 1e-3 for timestep in (0, 9)]
assert all(right) and round(seen[250, 0], 1) == 5.2 and round(seen[250, 36], 2) == 1.15, "this has changed"
PY
