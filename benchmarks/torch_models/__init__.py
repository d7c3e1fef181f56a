"""The same models as one writes them in PyTorch; attributes are named like our parameters.

Images come as (batch, c, h, w), standardised float32; tokens as (batch, T) integers.
"""

import importlib
from typing import Any

from torch import nn

from benchmarks.workloads import Workload

_FILES = {
    "mlp": "mlp",
    "deep_cnn": "deep_cnn",
    "vit": "vit",
    "resnet": "resnet",
    "convnext": "convnext",
    "unet": "unet",
    "benchmark_gpt": "gpt",
    "benchmark_lstm": "lstm",
}


def create(workload: Workload) -> nn.Module:
    """The workload's model, with PyTorch's own initial weights."""
    file = importlib.import_module(f"benchmarks.torch_models.{_FILES[workload.model]}")
    fields: dict[str, Any] = dict(workload.fields)
    return file.Model(workload.shape, workload.classes, **fields)
