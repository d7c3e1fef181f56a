"""Our side: a workload as an experiment, its step as the loop has it."""

from typing import Any

import jax
import numpy as np

from benchmarks import models, next_token
from benchmarks.steps import BATCHES, Steps
from benchmarks.workloads import Workload
from jaxdl import config as defaults
from jaxdl import experiment, metrics, trees


def config_of(workload: Workload, precision: str = "float32") -> Any:
    """The workload's settings; whatever it does not name is the default."""
    config = defaults.default()
    config.update(steps=1_000_000, batch_size=workload.batch_size, precision=precision)
    config.steps_per_call = workload.steps_per_call
    config.parallel.data = workload.devices
    config.model = {"name": workload.model, **_tuples(workload.fields)}
    config.optimizer.update(schedule="constant", **workload.optimizer)
    side, channels = workload.shape[0], workload.shape[-1]
    if workload.masks:
        config.task.name, config.data.name = "segmentation", "scenes"
        config.data.update(image_size=side, channels=channels, most=3)
        config.data.update(examples=BATCHES * workload.batch_size, test_examples=1)
    elif not workload.is_text:
        config.data.update(
            name="synthetic", image_size=side, channels=channels, num_classes=workload.classes
        )
        config.data.examples = max(500, BATCHES * workload.batch_size)
        config.model.num_classes = workload.classes
    return config


def _tuples(fields: Any) -> dict[str, Any]:
    """Lists, which is what JSON makes of tuples, as tuples again."""
    return {k: tuple(v) if isinstance(v, list) else v for k, v in fields.items()}


def create(workload: Workload, precision: str = "float32") -> experiment.Experiment:
    """The workload as the launcher would make it."""
    models.register(workload)
    config = config_of(workload, precision)
    if workload.is_text:
        return next_token.experiment_of(config, workload.shape[0], workload.classes)
    return experiment.create(config)


class Stepper(Steps):
    """A workload's steps."""

    def __init__(self, workload: Workload, precision: str = "float32"):
        super().__init__(create(workload, precision), workload.steps_per_call)


def agreement(
    workload: Workload, file: str, precision: str = "float32", steps: int = 3
) -> list[float]:
    """The losses of the first updates, for the other side to repeat.

    Every parameter is moved a little at random first: a head of zeros would make all losses ln n,
    whatever the model.

    Args:
      workload: whose step, without dropout.
      file: .npz to write: the parameters and batch statistics before the first update as
        ``block_0/attention/query/kernel``, and the batches as the model sees them, ``batch/0/x``
        (images in float32, standardised) and ``batch/0/y``.
      precision: that the updates are computed in; what is written is float32 always.
      steps: updates to take.
    """
    made = create(workload.without_dropout(), precision)
    rng = np.random.default_rng(0)
    state = made.init_state()
    noise = lambda x: x + 0.05 * rng.standard_normal(x.shape, np.float32)
    state = state._replace(params=jax.tree.map(noise, state.params))
    arrays = {}
    for collection in state.variables.values():
        arrays |= dict(zip(trees.leaf_names(collection), jax.tree.leaves(collection), strict=True))
    losses, step = [], jax.jit(made.task.train_step)
    for i in range(steps):
        batch = made.batch(i)
        arrays[f"batch/{i}/x"], arrays[f"batch/{i}/y"] = _seen(made, batch)
        if i == 0:
            # Copies: what follows may change the arrays under them.
            arrays = {name: np.array(x) for name, x in arrays.items()}
        state, found = step(state, batch, made.key)
        losses.append(metrics.divide(jax.device_get(found))["loss"])
    np.savez(file, **arrays)
    return losses


def _seen(made: experiment.Experiment, batch: Any) -> tuple[np.ndarray, np.ndarray]:
    """(inputs, targets) as the model gets them."""
    if "tokens" in batch:
        return batch["tokens"][:, :-1], batch["tokens"][:, 1:]
    data = made.run.data
    images = batch["image"].astype(np.float32) / np.float32(255)
    return (images - data.mean) / data.std, batch["mask" if "mask" in batch else "label"]


def about() -> dict[str, Any]:
    """Versions and devices."""
    device = jax.devices()[0]
    return {"jax": jax.__version__, "device": device.device_kind, "platform": device.platform}


def memory() -> int | None:
    """Peak bytes on the first device, where it tells."""
    return (jax.devices()[0].memory_stats() or {}).get("peak_bytes_in_use")
