"""Writes checkpoints/*, small ones as programs save them, for tests/test_checkpoint_files.py.

pip install torch==2.13.0 timm lightning && python tests/golden/make_checkpoints.py
"""

import argparse
import collections
import datetime
import enum
import logging
import pathlib
import random
import shutil
import tempfile
import warnings
from typing import Any

import numpy as np
import torch
from make_classifiers import import_torchvision
from torch.optim import swa_utils

import_torchvision()
import lightning  # noqa: E402
import timm.utils  # noqa: E402

FOLDER = pathlib.Path(__file__).parent / "checkpoints"
DATA = pathlib.PurePosixPath("data")


def model(first: float = 0.0) -> torch.nn.Module:
    """Two layers with the numbers from ``first`` on, by halves."""
    layers = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.BatchNorm1d(3))
    with torch.no_grad():
        for x in layers.state_dict().values():
            if x.is_floating_point():
                x.copy_(first + torch.arange(x.numel()).reshape(x.shape) / 2)
    return layers


def trained(layers: torch.nn.Module) -> torch.optim.Optimizer:
    """An optimizer with a moment for each parameter."""
    optimizer = torch.optim.AdamW(layers.parameters())
    layers(torch.ones(2, 2)).sum().backward()
    layers.load_state_dict(model().state_dict())
    with torch.no_grad():
        optimizer.step()
    layers.load_state_dict(model().state_dict())
    return optimizer


class Phase(enum.Enum):
    """Of a program's own."""

    TRAIN = 1


class Settings(dict):
    """A mapping of a program's own."""


class Network(lightning.LightningModule):
    """What Lightning trains."""

    def __init__(self, width: int = 3, path: pathlib.PurePath = DATA):
        super().__init__()
        self.save_hyperparameters()
        self.model = model()

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Any."""
        return torch.optim.SGD(self.parameters(), 0.0, momentum=0.9)

    def training_step(self, batch: Any, _: int) -> torch.Tensor:
        """One without a gradient to speak of."""
        return self.model.eval()(batch).sum()


def of_timm(ema: bool) -> pathlib.Path:
    """By its own saver, with the arguments of its training script."""
    layers = model()
    average = timm.utils.ModelEmaV3(layers, decay=0.5) if ema else None
    if average is not None:
        average.module.load_state_dict(model(10).state_dict())
    folder = tempfile.mkdtemp()
    arguments = argparse.Namespace(model="toy", lr=0.1, mean=(0.5,), data_dir=pathlib.Path("x"))
    layers.default_cfg = {"architecture": "toy"}
    saver = timm.utils.CheckpointSaver(
        layers, trained(layers), args=arguments, model_ema=average, checkpoint_dir=folder
    )
    saver.save_checkpoint(3, metric=np.float64(71.5))
    return next(pathlib.Path(folder).glob("last*"))


def of_lightning() -> pathlib.Path:
    """By its own trainer, with a callback."""
    folder = tempfile.mkdtemp()
    callback = lightning.pytorch.callbacks.ModelCheckpoint(dirpath=folder, save_last=True)
    trainer = lightning.Trainer(
        max_epochs=1, accelerator="cpu", callbacks=[callback], logger=False,
        enable_progress_bar=False, enable_model_summary=False, default_root_dir=folder,
    )  # fmt: skip
    network = Network()
    trainer.fit(network, torch.utils.data.DataLoader(torch.ones(4, 2), batch_size=2))
    network.model.load_state_dict(model().state_dict())
    trainer.save_checkpoint(f"{folder}/saved.ckpt")
    return pathlib.Path(folder) / "saved.ckpt"


def of_torchvision(ema: bool) -> dict[str, Any]:
    """As its references' train.py has them."""
    layers = model()
    optimizer = trained(layers)
    schedules = torch.optim.lr_scheduler
    parts = [schedules.LinearLR(optimizer), schedules.StepLR(optimizer, 1)]
    schedule = schedules.SequentialLR(optimizer, parts, milestones=[1])
    found = {
        "model": layers.state_dict(),
        "optimizer": optimizer.state_dict(),
        "lr_scheduler": schedule.state_dict(),
        "epoch": 3,
        "args": argparse.Namespace(device="cpu", output_dir=".", weights=None),
        "scaler": torch.amp.GradScaler("cpu").state_dict(),
    }
    if ema:
        averaged = swa_utils.AveragedModel(layers)
        averaged.module.load_state_dict(model(10).state_dict())
        found["model_ema"] = averaged.state_dict()
    return found


def files() -> dict[str, Any]:
    """What is saved, by the file's name."""
    state = model().state_dict()
    optimizer = trained(model()).state_dict()
    whole = model()
    whole.register_buffer("unsaved", torch.ones(2), persistent=False)
    with_attribute = {k: v.clone() for k, v in state.items()}
    with_attribute["0.weight"].origin = "here"
    return {
        "torchvision": of_torchvision(ema=False),
        "torchvision_ema": of_torchvision(ema=True),
        "namespace": {"model": state, "args": argparse.Namespace(lr=0.1, out=None)},
        "numpy_scalar": {"state_dict": state, "best": np.float64(0.75), "step": np.int64(7)},
        "numpy_array": {"state_dict": state, "losses": np.arange(3.0), "names": np.array(["a"])},
        "random_state": {
            "model_state_dict": state,
            "numpy": np.random.get_state(),
            "python": random.getstate(),
            "torch": {"cpu": torch.get_rng_state()[:64].clone()},
        },
        "defaultdict": collections.defaultdict(list, {"net": state, "loss": [1.0]}),
        "path": {"model": state, "folder": pathlib.PurePosixPath("runs"), "size": torch.Size([2])},
        "datetime": {
            "model": state,
            "when": datetime.datetime(2024, 1, 2, tzinfo=datetime.UTC),
            "took": datetime.timedelta(hours=1),
        },
        "net": {"net": state, "acc": 91.2, "epoch": 3},
        "ema_alone": {"state_dict_ema": state, "epoch": 3},
        "teacher": {
            "student": model(20).state_dict(),
            "teacher": state,
            "optimizer": optimizer,
            "dino_loss": {"center": torch.zeros(1, 4)},
        },
        "own_class": Settings(state_dict=Settings(state), phase=Phase.TRAIN, phases={Phase.TRAIN}),
        "metric_tensor": {"state_dict": state, "best_acc1": torch.tensor(76.1), "epoch": 3},
        "device": {"model": state, "device": torch.device("cpu"), "dtype": torch.float16},
        "whole": whole,
        "whole_and_ema": {"model": whole, "ema": model(10), "updates": 7},
        "attribute": {"model": with_attribute},
        "function": {"model": state, "log": logging.getLogger, "lambda": print, "fn": abs},
        "named_optimizer": {
            "model": state,
            "optimizer": {
                "state": {k: {"step": torch.tensor(1.0), "m": torch.zeros(3)} for k in state},
                "param_groups": [{"params": list(state)}],
            },
        },
        "numpy_weights": {"state_dict": {k: v.numpy() for k, v in state.items()}},
        "one_numpy": {**state, "0.weight": state["0.weight"].numpy()},
        "float8": {**state, "0.weight": state["0.weight"].to(torch.float8_e5m2)},
    }


def main() -> None:
    """Writes all files."""
    FOLDER.mkdir(exist_ok=True)
    warnings.simplefilter("ignore")
    for name, content in files().items():
        torch.save(content, FOLDER / f"{name}.pth")
    for name, source in {
        "timm": of_timm(ema=False), "timm_ema": of_timm(ema=True), "lightning": of_lightning(),
    }.items():  # fmt: skip
        shutil.copy(source, FOLDER / f"{name}.pth")


if __name__ == "__main__":
    main()
