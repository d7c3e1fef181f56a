"""Writes recurrent.npz: what PyTorch's LSTM, GRU and RNN give, for tests/test_ops_recurrent.py.

    pip install torch==2.13.0
    python tests/golden/make_recurrent.py

One layer each, batch 3, 5 steps, 2 features, 4 hidden, in float64: inputs, weights in PyTorch's
layout, initial states, outputs, last states, and the gradients of ``Σ output · g`` by everything.
"""

from pathlib import Path

import numpy as np
import torch

B, T, F, H = 3, 5, 2, 4

LAYERS = {
    "lstm": lambda: torch.nn.LSTM(F, H, batch_first=True),
    "gru": lambda: torch.nn.GRU(F, H, batch_first=True),
    "rnn_tanh": lambda: torch.nn.RNN(F, H, batch_first=True, nonlinearity="tanh"),
    "rnn_relu": lambda: torch.nn.RNN(F, H, batch_first=True, nonlinearity="relu"),
}


def case(layer):
    """{name: array} for one layer; a gradient is called after what it is by."""
    layer = layer.double()
    draw = lambda *shape: torch.randn(*shape, dtype=torch.float64, requires_grad=True)
    given = dict(x=draw(B, T, F), h=draw(1, B, H))
    if isinstance(layer, torch.nn.LSTM):
        given["c"] = draw(1, B, H)
    state = (given["h"], given["c"]) if "c" in given else given["h"]
    g = torch.randn(B, T, H, dtype=torch.float64)
    y, last = layer(given["x"], state)
    (y * g).sum().backward()
    last = last if isinstance(last, tuple) else (last,)
    given |= {name.removesuffix("_l0"): p for name, p in layer.named_parameters()}
    result = {"g": g, "y": y} | {f"last_{i}": carry for i, carry in enumerate(last)}
    result |= given | {f"d_{name}": value.grad for name, value in given.items()}
    return {name: value.detach().numpy() for name, value in result.items()}


def main():
    torch.manual_seed(0)
    arrays = {
        f"{layer}.{name}": value
        for layer, make in LAYERS.items()
        for name, value in case(make()).items()
    }
    path = Path(__file__).with_name("recurrent.npz")
    np.savez_compressed(path, made_with=f"torch {torch.__version__}", **arrays)


if __name__ == "__main__":
    main()
