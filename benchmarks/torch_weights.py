"""Our weights in PyTorch's layouts."""

from collections.abc import Callable, Mapping

import numpy as np
import torch
from torch import nn

from benchmarks.torch_models.transformer import Attention

Get = Callable[[str], np.ndarray]


@torch.no_grad()
def load(model: nn.Module, arrays: Mapping[str, np.ndarray]) -> None:
    """Copies ``arrays`` into ``model``.

    Args:
      model: its modules are named as in the arrays' paths.
      arrays: ``block_0/norm/scale`` and so on; every parameter of the model must be among them.
    """
    if hasattr(model, "arrange"):
        arrays = model.arrange(arrays)
    tensors = {**dict(model.named_parameters()), **dict(model.named_buffers())}
    found = dict(_walk(model, "", arrays))
    missing = {name for name, _ in model.named_parameters()} - set(found)
    if missing:
        raise ValueError(f"our model has nothing for {sorted(missing)}")
    for name, value in found.items():
        if tensors[name].shape != value.shape:
            raise ValueError(f"{name} is {tuple(tensors[name].shape)}, ours is {value.shape}")
        # Of a scalar the contiguous array has an axis.
        tensors[name].copy_(torch.from_numpy(np.ascontiguousarray(value)).reshape(value.shape))


def _walk(module: nn.Module, path: str, arrays: Mapping[str, np.ndarray]):
    """(PyTorch's name, value) of everything under ``module``."""
    prefix = path.replace(".", "/")
    get = lambda name: arrays[prefix + name]
    rule = next((r for kind, r in _RULES.items() if isinstance(module, kind)), None)
    if rule is not None:
        for name, value in rule(module, get).items():
            yield path + name, value
        return
    for name, _ in module.named_parameters(recurse=False):
        yield path + name, get(name)
    for name, child in module.named_children():
        yield from _walk(child, f"{path}{name}.", arrays)


def _linear(module: nn.Linear, get: Get) -> dict[str, np.ndarray]:
    return {"weight": get("kernel").T, "bias": get("bias")}


def _convolution(module: nn.Conv2d | nn.ConvTranspose2d, get: Get) -> dict[str, np.ndarray]:
    """Also of one that goes the other way, whose kernels stand in the same order on both sides."""
    kernel = get("kernel")
    if kernel.ndim == 2:  # of one pixel: a dense layer of ours
        kernel = kernel[None, None]
    weight = {"weight": kernel.transpose(3, 2, 0, 1)}
    return weight if module.bias is None else {**weight, "bias": get("bias")}


def _batch_norm(module: nn.BatchNorm2d, get: Get) -> dict[str, np.ndarray]:
    names = dict(weight="scale", bias="bias", running_mean="mean", running_var="var")
    return {theirs: get(ours) for theirs, ours in names.items()}


def _layer_norm(module: nn.LayerNorm, get: Get) -> dict[str, np.ndarray]:
    return {"weight": get("scale"), "bias": get("bias")}


def _embedding(module: nn.Embedding, get: Get) -> dict[str, np.ndarray]:
    return {"weight": get("embedding")}


def _lstm(module: nn.LSTM, get: Get) -> dict[str, np.ndarray]:
    """Gates stand in the same order; of PyTorch's two biases the second is nothing."""
    found = {}
    for i in range(module.num_layers):
        found[f"weight_ih_l{i}"] = get(f"{i}/kernel_in").T
        found[f"weight_hh_l{i}"] = get(f"{i}/kernel_hidden").T
        found[f"bias_ih_l{i}"] = get(f"{i}/bias")
        found[f"bias_hh_l{i}"] = np.zeros_like(get(f"{i}/bias"))
    return found


def _attention(module: Attention, get: Get) -> dict[str, np.ndarray]:
    """Query, key and value side by side, heads one after the other."""
    parts = ("query", "key", "value")
    width = get("query/kernel").shape[0]
    kernel = np.concatenate([get(f"{part}/kernel").reshape(width, -1) for part in parts], axis=1)
    return {
        "qkv.weight": kernel.T,
        "qkv.bias": np.concatenate([get(f"{part}/bias").reshape(-1) for part in parts]),
        "out.weight": get("out/kernel").reshape(-1, width).T,
        "out.bias": get("out/bias"),
    }


_RULES = {
    nn.Linear: _linear,
    nn.Conv2d: _convolution,
    nn.ConvTranspose2d: _convolution,
    nn.BatchNorm2d: _batch_norm,
    nn.LayerNorm: _layer_norm,
    nn.Embedding: _embedding,
    nn.LSTM: _lstm,
    Attention: _attention,
}
