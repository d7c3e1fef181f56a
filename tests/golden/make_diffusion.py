"""Writes diffusion.npz: what diffusers' schedulers give, for test_diffusion_schedulers.py.

    pip install torch==2.13.0 diffusers==0.42.1
    python tests/golden/make_diffusion.py

In float64, of a network in closed form (`answer`), with noise drawn by name (seeded.py), where
diffusers and the papers agree: ancestral sampling over all timesteps, with the posterior's variance
(fixed_small); DDIM over timesteps that trail, of a number that divides theirs, with the noise that
fits the clipped image (use_clipped_model_output); RePaint's steps, of images that are never clipped
as there the noise is kept, its steps back between neighbouring timesteps, and the order of its
timesteps. Its pipeline begins a way back one step later than the authors' code does, so that the
steps are taken here in the authors' order.
"""

import itertools
import sys
from pathlib import Path

import numpy as np
import torch

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

import seeded  # noqa: E402

SCHEDULES = {"linear": "linear", "cosine": "squaredcos_cap_v2"}
PREDICTIONS = {"epsilon": "epsilon", "x0": "sample", "v": "v_prediction"}
SHAPE = (3, 4, 4, 2)
TIMESTEPS = 40
# (steps, jump, resamplings) of RePaint.
WAYS = ((250, 10, 10), (20, 4, 3), (12, 5, 2), (7, 7, 4))


def answer(x, t):
    """What stands for a network: of x (batch, h, w, c) and a timestep, shaped like x."""
    return 0.4 * np.sin(3 * x) + 0.1 * x + 0.02 * t


def answer_within(x, t, signal):
    """The noise that means an image within [-1, 1]; signal is of all timesteps."""
    image = 0.9 * np.sin(2 * x + 0.1 * t)
    return (x - np.sqrt(signal[t]) * image) / np.sqrt(1 - signal[t])


def noise_for(name):
    """Has diffusers draw the next noises by ``name`` and their number."""
    count = iter(range(10**6))

    def drawn(shape, generator=None, device=None, dtype=None, layout=None):
        return torch.from_numpy(seeded.normal(f"{name}/{next(count)}", tuple(shape)))

    return drawn


def with_noise(name, module):
    """The module's source of noise."""
    module.randn_tensor = noise_for(name)


def tensor(x):
    """Of an array."""
    return torch.from_numpy(np.asarray(x, np.float64))


def double(scheduler):
    """Its tables in float64, of the variances that it has itself made in float32."""
    scheduler.betas = scheduler.betas.double()
    scheduler.alphas = 1 - scheduler.betas
    scheduler.alphas_cumprod = torch.cumprod(scheduler.alphas, 0)
    scheduler.final_alpha_cumprod = torch.tensor(1.0, dtype=torch.float64)
    scheduler.one = torch.tensor(1.0, dtype=torch.float64)
    return scheduler


def main():
    """Writes the file."""
    import diffusers
    from diffusers.schedulers import scheduling_ddim, scheduling_ddpm, scheduling_repaint

    made = {"versions": np.array([f"diffusers {diffusers.__version__}", torch.__version__])}
    x, noise = (seeded.normal(name, SHAPE) for name in ("x", "noise"))
    times = torch.tensor([0, 17, 39])
    for ours, theirs in SCHEDULES.items():
        long = scheduling_ddpm.DDPMScheduler(1000, beta_schedule=theirs)
        made[f"{ours}/signal/1000"] = long.alphas_cumprod.double().numpy()
        # Of fewer timesteps theirs are not scaled: the linear one is told what it should be.
        ends = (1e-4 * 1000 / TIMESTEPS, 0.02 * 1000 / TIMESTEPS)
        fields = dict(beta_start=ends[0], beta_end=ends[1], beta_schedule=theirs)
        for prediction, called in PREDICTIONS.items():
            own = dict(**fields, prediction_type=called)
            with_noise(f"{ours}/{prediction}/ancestral", scheduling_ddpm)
            ddpm = double(scheduling_ddpm.DDPMScheduler(TIMESTEPS, **own))
            made[f"{ours}/signal/{TIMESTEPS}"] = ddpm.alphas_cumprod.numpy()
            made[f"{ours}/noisy"] = ddpm.add_noise(tensor(x), tensor(noise), times).numpy()
            made[f"{ours}/v"] = ddpm.get_velocity(tensor(x), tensor(noise), times).numpy()
            sample = tensor(x)
            for t in ddpm.timesteps:
                said = tensor(answer(sample.numpy(), int(t)))
                sample = ddpm.step(said, t, sample).prev_sample
            made[f"{ours}/{prediction}/ancestral"] = sample.numpy()
            for eta in (0.0, 0.5):
                with_noise(f"{ours}/{prediction}/{eta}", scheduling_ddim)
                ddim = double(
                    scheduling_ddim.DDIMScheduler(TIMESTEPS, **own, timestep_spacing="trailing")
                )
                ddim.set_timesteps(5)
                sample = tensor(x)
                for t in ddim.timesteps:
                    said = tensor(answer(sample.numpy(), int(t)))
                    how = dict(eta=eta, use_clipped_model_output=True)
                    sample = ddim.step(said, int(t), sample, **how).prev_sample
                made[f"{ours}/{prediction}/{eta}"] = sample.numpy()
        missing = seeded.normal("missing", SHAPE[1:3]) > 0
        keep = tensor(~missing[..., None] * np.ones(SHAPE))
        with_noise(f"{ours}/repaint", scheduling_repaint)
        repaint = double(scheduling_repaint.RePaintScheduler(TIMESTEPS, **fields, eta=1.0))
        repaint.set_timesteps(TIMESTEPS, jump_length=4, jump_n_sample=3)
        passed = [*map(int, repaint.timesteps), -1]
        sample, signal = tensor(x), repaint.alphas_cumprod.numpy()
        known = tensor(np.clip(noise, -1, 1))
        for here, there in itertools.pairwise(passed):
            if there < here:
                said = tensor(answer_within(sample.numpy(), here, signal))
                sample = repaint.step(said, here, sample, known, keep).prev_sample
            else:
                sample = repaint.undo_step(sample, there)
        made[f"{ours}/repaint"] = sample.numpy()
    for steps, jump, resamplings in WAYS:
        repaint = scheduling_repaint.RePaintScheduler(steps)
        repaint.set_timesteps(steps, jump_length=jump, jump_n_sample=resamplings)
        made[f"levels/{steps}_{jump}_{resamplings}"] = repaint.timesteps.numpy().astype(np.int16)
    np.savez_compressed(HERE / "diffusion.npz", **made)


if __name__ == "__main__":
    main()
