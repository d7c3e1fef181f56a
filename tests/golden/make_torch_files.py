"""Writes torch/*.pth, small files of both of PyTorch's kinds, for tests/test_torch_file.py.

pip install torch==2.13.0 && python tests/golden/make_torch_files.py
"""

from pathlib import Path

import torch

FOLDER = Path(__file__).parent / "torch_files"


def tensors() -> dict[str, torch.Tensor]:
    """One of each kind; tests/test_torch_file.py has the same numbers."""
    grid = torch.arange(24, dtype=torch.float32).reshape(4, 6) / 8
    return {
        "float32": grid,
        "float64": grid.double() / 3,
        "float16": (grid / 3).half(),
        "bfloat16": (grid / 3).bfloat16(),
        "int64": torch.tensor([-(2**40), 0, 7]),
        "uint8": torch.tensor([[0, 255]], dtype=torch.uint8),
        "bool": torch.tensor([True, False]),
        "scalar": torch.tensor(2.5),
        "empty": torch.zeros(0, 3),
        "parameter": torch.nn.Parameter(torch.tensor([1.0, -1.0])),
        # Pieces of the first one's storage.
        "strided": grid.t()[1::2, 2:],
        "row": grid[3],
        "expanded": grid[1, :1].expand(3, 2),
    }


def marked() -> dict[str, torch.Tensor]:
    """Views whose conjugation, or sign, is a mark that stands beside the numbers."""
    plane = torch.tensor([1 + 2j, 3 - 4j, -1 + 1j])
    return {"plane": plane, "conjugate": plane.conj(), "pieces": plane.conj()[::2]}


def classifier() -> dict[str, torch.Tensor]:
    """The state dict of a small classifier under DataParallel, for tests/test_pretrained_images."""
    stages = [
        torch.nn.Sequential(torch.nn.Conv2d(i, o, 3), torch.nn.BatchNorm2d(o))
        for i, o in ((3, 2), (2, 3))
    ]
    layers = torch.nn.Sequential(torch.nn.Linear(12, 4), torch.nn.Linear(4, 10))
    model = torch.nn.ModuleDict(dict(features=torch.nn.Sequential(*stages), classifier=layers))
    state = torch.nn.ModuleDict(dict(module=model)).state_dict()
    for i, (name, x) in enumerate(state.items()):
        if x.is_floating_point():
            state[name] = i + torch.arange(x.numel()).reshape(x.shape) / 8
    return state


def main() -> None:
    """Writes all files."""
    FOLDER.mkdir(exist_ok=True)
    module = torch.nn.BatchNorm1d(2)  # whose state dict has a hidden attribute
    module.load_state_dict({**module.state_dict(), "running_mean": torch.tensor([3.0, 4.0])})
    files = {
        "tensors": tensors(),
        "nested": {"epoch": 3, "optimizer": {"lr": 0.1}, "model": module.state_dict()},
        "module": module,
        "list": [torch.zeros(1)],
        "conjugated": marked(),
        "negated": {"imaginary": marked()["conjugate"].imag},
        "classifier": {"state_dict": classifier()},
    }
    for name, content in files.items():
        torch.save(content, FOLDER / f"{name}.pth")
        torch.save(content, FOLDER / f"{name}_legacy.pth", _use_new_zipfile_serialization=False)


if __name__ == "__main__":
    main()
