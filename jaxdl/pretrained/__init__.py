"""Published checkpoints: read into jaxdl's modules, and written so that their libraries read them.

>>> module, variables = load("gpt2/")  # a folder with config.json and model.safetensors
>>> logits = module.apply(variables, tokens)

An architecture is one file here, with tables that map tensors' names and layouts both ways.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
from flax import linen as nn

from jaxdl import paths
from jaxdl.errors import UserError
from jaxdl.generate import Settings
from jaxdl.pretrained import config, darknet, generation_config, preprocessor, read, tensors
from jaxdl.pretrained.catalog import chosen, of, preprocess, register
from jaxdl.pretrained.generation_config import generation
from jaxdl.registry import choose

__all__ = ["generation", "load", "preprocess", "preprocessor", "register", "save"]


def load(
    source: str | Path,
    model: str | None = None,
    num_classes: int | None = None,
    *,
    image_size: int | None = None,
    checkpoint_key: str | None = None,
    **fields: Any,
) -> tuple[nn.Module, Any]:
    """A published model and its weights.

    Args:
      source: a folder as Hugging Face's libraries write them (config.json, and model.safetensors,
        shards with their index, or pytorch_model.bin); "owner/name" of such a one on the Hugging
        Face hub (extra ``hub``); one .safetensors file; a PyTorch file (.pth, .pt, .bin, .ckpt) of
        tensors by name, alone or with whatever else a training program saved, of which nothing is
        executed; an .npz of Google's; or Darknet's .weights, whose anchors are the module's own
        unless ``anchors`` are given, since Darknet keeps them elsewhere. Of what a classifier of
        Darknet's has learned (darknet53.conv.74), and ``num_classes``, the rest is drawn anew.
      model: a name of `jaxdl.models`, or one of torchvision, timm or transformers; by default what
        config.json says. With it there need be no config.json, and none is read. Where a name of
        ours is also that of a library's model with other fields (its ``epsilon``, say), those hold
        for files with that library's names that `save` has not written, unless fields are given.
      num_classes: by default the file's head is loaded, with as many classes as it has. With
        another number the head is drawn anew, as ``module.init`` does it with key 0, and the file's
        is left unread; with 0 there is none.
      image_size: of the images that the module will take; parameters that belong to another size
        are brought to it. By default the file's.
      checkpoint_key: of a PyTorch file that has several models (the trained one, an average, a
        teacher), the key under which the wanted one stands, such as "state_dict_ema". There is no
        default: an error lists them. Of a file that has tensors of several modules, what the names
        of the wanted one's begin with, such as "net".
      **fields: of the module: dtype, dropout, remat … Dropout rates are the module's own by
        default, whatever config.json says.

    Returns:
      ``(module, variables)``, parameters in float32 whatever the file's dtype.

    Raises:
      UserError: the source is missing or damaged; its architecture is not known, or differs in what
        the module has built in; or tensors are missing, are there in excess or have another shape:
        all of these by name.
    """
    path = tensors.locate(source)
    found = config.read(path) if model is None else chosen(model)
    with tensors.opened(path, checkpoint_key) as file:
        return read.read(found, file, str(source), num_classes, image_size, fields)


def save(
    module: nn.Module,
    variables: Any,
    path: str | Path,
    naming: str | None = None,
    *,
    generation: Settings | None = None,
) -> None:
    """Writes what `load` and the original library read.

    Args:
      module: of an architecture that is known here.
      variables: as ``module.init`` gives them.
      path: a file that ends in .safetensors, in .pth, .pt or .bin as torch.load reads it, or in
        .weights for Darknet, or a folder for ``config.json`` and ``model.safetensors``. Folders are
        made, files replaced.
      naming: the library that is to read it: torchvision, timm or transformers. By default the
        first that the architecture has; for a folder, the first that has a config.json.
      generation: how its texts are to be written, as `generation` gives it: a folder then has a
        generation_config.json too, and config.json the tokens that begin, end and fill up a text.

    Raises:
      UserError: the architecture is not known, or not in that library, or the variables are not the
        module's; or ``generation`` is given for a file.
    """
    path, architecture = Path(paths.expanded(str(path))), of(module)
    if path.suffix == darknet.SUFFIX:
        naming = naming or darknet.NAMING
        if naming != darknet.NAMING or naming not in architecture.namings:
            raise UserError(f"{path}: {architecture.model!r} has no weights of Darknet's")
    is_file = path.suffix in (".safetensors", darknet.SUFFIX, *tensors.TORCH)
    if is_file and generation is not None:
        raise UserError(f"{path} is one file: {generation_config.NAME} needs a folder")
    namings = architecture.namings
    if naming is None:
        with_config = [name for name, n in namings.items() if n.write or name == "timm"]
        naming = next(iter([] if is_file else with_config), next(iter(namings)))
    table = choose("naming", naming, dict(namings)).table_of(module)
    flat = architecture.flatten(module, variables)
    theirs = table.to_theirs(flat)
    if path.suffix == darknet.SUFFIX:
        darknet.write(path, table.expand(flat), theirs)
        return
    if is_file:
        tensors.write(path, theirs)
        return
    size = None
    if architecture.image_size is not None:
        size = architecture.image_size({name: x.shape for name, x in theirs.items()})
    settings = config.write(architecture, naming, module, size)
    norms = [name.removesuffix("running_mean") for name in theirs if name.endswith("running_mean")]
    # PyTorch's own reader adds these counters; transformers would call them missing.
    theirs |= {f"{name}num_batches_tracked": np.array(0) for name in norms}
    if generation is not None:
        settings |= {k: v for k, v in generation.said().items() if k in generation_config.TOKENS}
    tensors.write(path / tensors.WHOLE, theirs)
    (path / config.NAME).write_text(json.dumps(settings, indent=2) + "\n")
    if generation is not None:
        generation_config.write(generation, path)
