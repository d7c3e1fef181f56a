"""PyTorch's side: the same workload as an idiomatic training step, eager or by torch.compile."""

import contextlib
import re
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from benchmarks import torch_models, torch_weights
from benchmarks.workloads import Workload

BATCHES = 4

# As `config.optimizer.no_decay` and its rule for vectors.
_NO_DECAY = re.compile(r"position|class_token")


def optimizer_of(workload: Workload, model: nn.Module) -> torch.optim.Optimizer:
    """The workload's optimizer; its fused form is the fastest that PyTorch has on a CPU too."""
    settings = dict(workload.optimizer)
    settings.pop("clip", None)
    name, rate = settings.pop("name"), settings.pop("learning_rate")
    decay = settings.pop("weight_decay", 0.0)
    decays = lambda name, p: p.ndim > 1 and not _NO_DECAY.search(name)
    named = list(model.named_parameters())
    groups: list[dict[str, Any]] = [
        {"params": [p for n, p in named if decays(n, p)], "weight_decay": decay},
        {"params": [p for n, p in named if not decays(n, p)], "weight_decay": 0.0},
    ]
    kind = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW, "sgd": torch.optim.SGD}[name]
    return kind(groups, lr=rate, fused=workload.fused, **settings)


class Stepper:
    """A workload's steps on prepared batches.

    Args:
      workload: what to train.
      precision: "float32", or "bf16" for autocast over float32 parameters.
      device: "cpu", or "" for a GPU if there is one.
      compiled: whether forward pass and loss go through torch.compile.
      channels_last: memory format of images and convolutions.
    """

    def __init__(
        self,
        workload: Workload,
        precision: str = "float32",
        *,
        device: str = "",
        compiled: bool = False,
        channels_last: bool = False,
    ):
        torch.manual_seed(0)
        torch.set_float32_matmul_precision("high")  # float32 on a GPU may use TF32, as XLA does
        kind = device or ("cuda" if torch.cuda.is_available() else "cpu")
        self._workload, self._device = workload, torch.device(kind)
        self._format = torch.channels_last if channels_last else torch.contiguous_format
        model = torch_models.create(workload).to(self._device)
        self.model = model if workload.is_text else model.to(memory_format=self._format)
        self._optimizer = optimizer_of(workload, self.model)
        self._clip = workload.optimizer.get("clip")
        autocast = torch.autocast(kind, torch.bfloat16)
        self._autocast = autocast if precision == "bf16" else contextlib.nullcontext()
        self._forward = torch.compile(self._loss) if compiled else self._loss
        self._batches = [self._random(i) for i in range(BATCHES)]
        self._total, self._steps = torch.zeros((), device=self._device), 0

    def _random(self, i: int) -> tuple[torch.Tensor, torch.Tensor]:
        rng, w = np.random.default_rng(i), self._workload
        if w.is_text:
            tokens = rng.integers(0, w.classes, (w.batch_size, w.shape[0] + 1))
            return self.put(tokens[:, :-1], tokens[:, 1:])
        images = rng.standard_normal((w.batch_size, *w.shape), np.float32)
        pixels = w.shape[:2] if w.masks else ()
        return self.put(images, rng.integers(0, w.classes, (w.batch_size, *pixels)))

    def put(self, x: np.ndarray, y: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
        """A batch on the device; images come as (batch, h, w, c)."""
        labels = torch.from_numpy(np.ascontiguousarray(y, np.int64)).to(self._device)
        if self._workload.is_text:
            return torch.from_numpy(np.ascontiguousarray(x, np.int64)).to(self._device), labels
        images = torch.from_numpy(np.ascontiguousarray(x.transpose(0, 3, 1, 2)))
        return images.to(self._device, memory_format=self._format), labels

    def _loss(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        with self._autocast:
            logits = self.model(x)
            return F.cross_entropy(logits.flatten(0, -2), y.flatten())

    def step(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """One update; returns its loss, on the device."""
        self._optimizer.zero_grad(set_to_none=True)
        loss = self._forward(x, y)
        loss.backward()
        if self._clip:
            nn.utils.clip_grad_norm_(self.model.parameters(), self._clip)
        self._optimizer.step()
        return loss.detach()

    def run(self, steps: int) -> int:
        """Takes ``steps`` updates, waits for the last, and returns how many it took."""
        for i in range(steps):
            self._total += self.step(*self._batches[i % BATCHES])
        self._steps += steps
        if self._device.type == "cuda":
            torch.cuda.synchronize()
        return steps

    @property
    def loss(self) -> float:
        """The mean over all steps taken."""
        return float(self._total) / self._steps


def agreement(workload: Workload, file: str, precision: str = "float32") -> list[float]:
    """The losses of the updates that `benchmarks.ours.agreement` wrote to ``file``."""
    arrays = dict(np.load(file))
    stepper = Stepper(workload.without_dropout(), precision, device="cpu")
    torch_weights.load(stepper.model, arrays)
    for name, parameter in stepper.model.named_parameters():
        if "bias_hh" in name:  # a second bias, which would double the first one's steps
            parameter.requires_grad_(False)
    count = sum(name.startswith("batch/") and name.endswith("/x") for name in arrays)
    batch = lambda i: stepper.put(arrays[f"batch/{i}/x"], arrays[f"batch/{i}/y"])
    return [float(stepper.step(*batch(i))) for i in range(count)]


def about() -> dict[str, Any]:
    """Versions and threads, as PyTorch chose them."""
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu"
    return {"torch": torch.__version__, "threads": torch.get_num_threads(), "device": device}


def memory() -> int | None:
    """Peak bytes on the GPU."""
    return torch.cuda.max_memory_allocated() if torch.cuda.is_available() else None
