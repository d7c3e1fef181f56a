"""What the original libraries' image classifiers compute, for tests/test_classifiers.py.

    pip install torch==2.13.0 transformers pillow pyyaml && pip install --no-deps torchvision timm
    python tests/golden/make_classifiers.py [case …]

Each file in families/ has cases: small models of torchvision, timm or transformers, of the same
code as the published ones. Their weights are drawn by tensors' names (seeded.py), all is computed
in float64, and classifiers/CASE.npz keeps what came out: logits, maps between blocks, and in
training mode logits, running statistics after one step and the loss's gradients. Of large arrays a
sample is kept, and of maps and gradients their length and two products with drawn directions.
"""

import importlib.util
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

import seeded  # noqa: E402


class Case(NamedTuple):
    """A model of theirs and the same one of ours.

    Attributes:
      model: theirs, without dropout or stochastic depth; makes it when called.
      image: (batch, h, w, channels).
      ours: name in `jaxdl.models`.
      fields: of our module, all that differ from the name's own.
      naming: whose names the tensors have: torchvision, timm or transformers.
      blocks: {path of our submodule, as "stage_0/block_1": name of theirs}, compared output by
        output, theirs (batch, c, h, w) turned to (batch, h, w, c).
      pyramid: {stride: name of their module} whose output `features=True` gives.
      auxiliary: weight in the loss of each further output that theirs has in training.
    """

    model: Callable[[], torch.nn.Module]
    image: tuple[int, int, int, int]
    ours: str
    fields: Mapping[str, Any]
    naming: str
    blocks: Mapping[str, str] = {}
    pyramid: Mapping[int, str] = {}
    auxiliary: Sequence[float] = ()


def import_torchvision() -> None:
    """Makes its models importable where its compiled part does not fit this PyTorch."""
    library = torch.library.Library("torchvision", "DEF")
    boxes = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
    for name in ("nms", "qnms"):
        library.define(name + boxes)
    globals()["_kept"] = library  # it lives as long as its object


def outputs(found: Any) -> list[torch.Tensor]:
    """The logits of a model, the main ones first."""
    if hasattr(found, "logits") and not isinstance(found, tuple):
        return [found.logits]  # transformers
    if isinstance(found, tuple):
        # GoogLeNet's: logits, then the second auxiliary head's, then the first's.
        first, *others = [x for x in found if x is not None]
        return [first, *reversed(others)]
    return [found]


def channels_last(x: Any) -> np.ndarray:
    """float64, with the channels behind; tokens as they are."""
    if isinstance(x, tuple):
        x = x[0]
    x = x.detach()
    return (x.permute(0, 2, 3, 1) if x.ndim == 4 else x).numpy()


def compute(case: Case) -> dict[str, np.ndarray]:
    """All that is kept of a case."""
    model = case.model().double()
    state = model.state_dict()
    floats = {k: tuple(v.shape) for k, v in state.items() if v.is_floating_point()}
    for name, shape in floats.items():
        state[name] = torch.from_numpy(seeded.weight(name, shape)).double()
    model.load_state_dict(state)
    x = torch.from_numpy(seeded.images(case.image)).double().permute(0, 3, 1, 2)
    kept = {}
    modules = dict(model.named_modules())
    wanted = {f"block/{ours}": theirs for ours, theirs in case.blocks.items()}
    wanted |= {f"pyramid/{stride}": theirs for stride, theirs in case.pyramid.items()}

    def keep(name):
        def hook(module, inputs, output):
            x = channels_last(output)
            kept[f"shape/{name}"] = np.array(x.shape)
            kept[name] = seeded.sample(x)
            kept[f"summary/{name}"] = seeded.summary(name, x)

        return hook

    hooks = [modules[theirs].register_forward_hook(keep(name)) for name, theirs in wanted.items()]
    model.eval()
    with torch.no_grad():
        kept["eval"] = outputs(model(x))[0].numpy().astype(np.float32)
    for hook in hooks:
        hook.remove()
    model.train()
    found = outputs(model(x))
    target = torch.from_numpy(seeded.labels(case.image[0], found[0].shape[-1]))
    loss = torch.nn.functional.cross_entropy
    total = loss(found[0], target)
    for weight, more in zip(case.auxiliary, found[1:], strict=True):
        total = total + weight * loss(more, target)
    total.backward()
    for i, logits in enumerate(found):
        kept[f"train/{i}"] = logits.detach().numpy().astype(np.float32)
    kept["loss"] = np.float64(total.item())
    for name, x in model.state_dict().items():
        if name.endswith(("running_mean", "running_var")):
            kept[f"running/{name}"] = seeded.sample(x.numpy(), 64)
    for name, p in model.named_parameters():
        gradient = np.zeros(p.shape) if p.grad is None else p.grad.numpy()
        kept[f"gradient/{name}"] = seeded.summary(name, gradient)
    about = dict(
        image=case.image,
        ours=case.ours,
        fields=case.fields,
        naming=case.naming,
        tensors=floats,
        auxiliary=case.auxiliary,
    )
    return {"about": np.array(json.dumps(about)), **kept}


def families() -> dict[str, Case]:
    """All cases by name."""
    cases = {}
    for path in sorted((HERE / "families").glob("*.py")):
        spec = importlib.util.spec_from_file_location(path.stem, path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        cases.update(module.CASES)
    return cases


if __name__ == "__main__":
    # The files in families/ import this one by name.
    sys.modules["make_classifiers"] = sys.modules["__main__"]
    import_torchvision()
    torch.manual_seed(0)
    cases = families()
    for name in sys.argv[1:] or cases:
        path = HERE / "classifiers" / f"{name}.npz"
        np.savez_compressed(path, **compute(cases[name]))
        print(path.name, path.stat().st_size)
