"""What is compared: models, batches and optimizers in plain numbers, for both sides to read.

Nothing here imports jax or torch: the two sides may live in different interpreters.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).parent.parent


class Workload(NamedTuple):
    """One training step.

    Attributes:
      name: on the command line.
      title: what the tables say, with everything that a reader needs to build it himself.
      model: of `jaxdl.models` or benchmarks/models on our side, of benchmarks/torch_models on the
        other.
      fields: of the model, by the same names on both sides.
      shape: of an example: (height, width, channels), or (tokens,) of a text.
      classes: labels, or the vocabulary's size.
      batch_size: examples an update.
      optimizer: keys of `config.optimizer`; the schedule is constant.
      steps_per_call: updates in one dispatch on our side; 0 is the launcher's first guess.
      devices: that our batch is split over; -1 is all.
      convolutional: whether PyTorch's memory format channels_last is worth trying.
      fused: whether PyTorch's optimizer takes its fused form, which one has to ask for.
      masks: whether there is a label for every pixel; ours come with `scenes`.
      small: fields, shape and batch_size that a test can afford.
    """

    name: str
    title: str
    model: str
    fields: Mapping[str, Any]
    shape: tuple[int, ...]
    classes: int
    batch_size: int
    optimizer: Mapping[str, Any]
    steps_per_call: int = 0
    devices: int = -1
    convolutional: bool = False
    fused: bool = True
    masks: bool = False
    small: Mapping[str, Any] = {}

    @property
    def is_text(self) -> bool:
        """Whether examples are tokens, to be predicted one from those before."""
        return len(self.shape) == 1

    def tiny(self) -> "Workload":
        """The same kind of step at a size that compiles and runs in seconds."""
        fields = {**self.fields, **self.small.get("fields", {})}
        others = {k: v for k, v in self.small.items() if k != "fields"}
        return self._replace(**others, fields=fields, steps_per_call=2, devices=1)

    def without_dropout(self) -> "Workload":
        """The same step without random draws, so that two libraries can agree on its loss."""
        off = {k: 0.0 for k in self.fields if k in ("dropout", "drop_path")}
        return self._replace(fields={**self.fields, **off})

    def to_json(self) -> str:
        """For `from_json` in another process."""
        return json.dumps(self._asdict())

    @classmethod
    def from_json(cls, text: str) -> "Workload":
        """What `to_json` wrote."""
        values = json.loads(text)
        return cls(**{**values, "shape": tuple(values["shape"])})


ADAM = dict(name="adam", learning_rate=1e-3)
SGD = dict(name="sgd", learning_rate=0.05, momentum=0.9)
ADAMW = dict(name="adamw", learning_rate=1e-3, weight_decay=0.05)
CLIPPED_ADAMW = dict(**ADAMW, clip=1.0)
CLIPPED_ADAM = dict(**ADAM, clip=1.0)

_DEEP_CNN = dict(channels=(32, 64), hidden=128, dropout=0.3)
_SMALL_TEXT = dict(shape=(16,), batch_size=2)

CPU = [
    Workload(
        "mlp",
        "MLP 784-256-256-10, batch 128, adam",
        "mlp",
        dict(hidden=(256, 256)),
        (28, 28, 1),
        10,
        128,
        ADAM,
        small=dict(fields=dict(hidden=(16, 16)), batch_size=4),
    ),
    Workload(
        "deep_cnn",
        "DeepCNN 28x28, batch 32, adam",
        "deep_cnn",
        _DEEP_CNN,
        (28, 28, 1),
        10,
        32,
        ADAM,
        convolutional=True,
        small=dict(fields=dict(channels=(4, 8), hidden=16), batch_size=4),
    ),
    Workload(
        "resnet18",
        "ResNet-18 at 32 px (3x3 stem of stride 1, no max-pool), batch 64, sgd with momentum",
        "resnet",
        dict(stages=(2, 2, 2, 2), stem="small"),
        (32, 32, 3),
        10,
        64,
        SGD,
        convolutional=True,
        small=dict(fields=dict(stages=(1, 1), width=8), shape=(8, 8, 3), batch_size=2),
    ),
    Workload(
        "vit_ti",
        "ViT-Ti/4 at 32 px, batch 64, adamw, clipped at norm 1",
        "vit",
        dict(patch_size=4, width=192, depth=12, heads=3),
        (32, 32, 3),
        10,
        64,
        CLIPPED_ADAMW,
        small=dict(fields=dict(width=16, depth=1, heads=2), shape=(8, 8, 3), batch_size=2),
    ),
    Workload(
        "gpt",
        "GPT 6x384, 6 heads, 256 tied tokens, T 128, batch 8, adamw, clipped at norm 1",
        "benchmark_gpt",
        dict(width=384, depth=6, heads=6),
        (128,),
        256,
        8,
        CLIPPED_ADAMW,
        small=dict(fields=dict(width=16, depth=1, heads=2), **_SMALL_TEXT),
    ),
    Workload(
        "lstm",
        "LSTM language model 2x256, 256 untied tokens, T 128, batch 32, adam, clipped at norm 1",
        "benchmark_lstm",
        dict(width=256, depth=2),
        (128,),
        256,
        32,
        CLIPPED_ADAM,
        small=dict(fields=dict(width=16, depth=2), **_SMALL_TEXT),
    ),
    Workload(
        "convnext",
        "ConvNeXt (2, 2, 6, 2) x (48, 96, 192, 384) at 32 px (2x2 stem), batch 64, adamw",
        "convnext",
        dict(depths=(2, 2, 6, 2), widths=(48, 96, 192, 384), stem=2),
        (32, 32, 3),
        10,
        64,
        ADAMW,
        convolutional=True,
        small=dict(fields=dict(depths=(1, 1), widths=(8, 16)), shape=(8, 8, 3), batch_size=2),
    ),
    Workload(
        "unet",
        "U-Net of width 16 and depth 4, padded, at 128 px, 11 classes a pixel, batch 8, adam",
        "unet",
        dict(width=16, depth=4, padded=True, dropout=0.0),
        (128, 128, 1),
        11,
        8,
        ADAM,
        convolutional=True,
        masks=True,
        small=dict(fields=dict(width=4, depth=2), shape=(32, 32, 1), batch_size=2),
    ),
]

ACCELERATOR = [
    Workload(
        "vit_b16",
        "ViT-B/16 at 224 px, batch 128, adamw, clipped at norm 1",
        "vit",
        dict(patch_size=16, width=768, depth=12, heads=12),
        (224, 224, 3),
        1000,
        128,
        CLIPPED_ADAMW,
        small=dict(
            fields=dict(width=16, depth=1, heads=2, patch_size=4), shape=(8, 8, 3), batch_size=2
        ),
    ),
    Workload(
        "resnet50",
        "ResNet-50 at 224 px, batch 128, sgd with momentum",
        "resnet",
        dict(stages=(3, 4, 6, 3), stem="published", bottleneck=True),
        (224, 224, 3),
        1000,
        128,
        SGD,
        convolutional=True,
        small=dict(fields=dict(stages=(1, 1), width=8), shape=(32, 32, 3), batch_size=2),
    ),
    Workload(
        "gpt2",
        "GPT-2 124M, T 1024, batch 8, adamw, clipped at norm 1",
        "benchmark_gpt",
        dict(width=768, depth=12, heads=12),
        (1024,),
        50257,
        8,
        CLIPPED_ADAMW,
        small=dict(fields=dict(width=16, depth=1, heads=2), **_SMALL_TEXT),
    ),
]

# The course's own script, from command to exit.
PROCESSES = {
    "deep_cnn_process": "DeepCNN, 500 images, 5 epochs of batch 32: a script, command to exit",
    "deep_cnn_launch": "the same by jaxdl.launch, with evaluation, checkpoints and report",
}


def named(table: list[Workload], names: str = "") -> list[Workload]:
    """The workloads of ``table`` in its order, or only those that ``names`` lists with commas."""
    wanted = [name for name in names.split(",") if name]
    return [workload for workload in table if not wanted or workload.name in wanted]
