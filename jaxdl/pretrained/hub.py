"""Checkpoints of the Hugging Face hub, by its own client."""

import re
from pathlib import Path

from jaxdl.errors import UserError

# Some have how images are prepared, or how texts are written.
_SETTINGS = ["config.json", "preprocessor_config.json", "generation_config.json"]
_SAFE = ["model.safetensors", "model.safetensors.index.json", "model-*.safetensors"]
_PICKLED = ["pytorch_model.bin", "pytorch_model.bin.index.json", "pytorch_model-*.bin"]


def is_id(source: str | Path) -> bool:
    """Whether a source reads as ``owner/name``."""
    return isinstance(source, str) and bool(re.fullmatch(r"[\w-][\w.-]*/[\w-][\w.-]*", source))


def fetch(source: str) -> Path:
    """The folder with a model's settings and weights, downloaded if it has not been before.

    Args:
      source: ``owner/name``.

    Raises:
      UserError: the client is not installed, or cannot get it.
    """
    try:
        import huggingface_hub
    except ImportError:
        raise UserError(
            f"{source} is no path here; to get it from the Hugging Face hub: "
            "pip install 'jaxdl[hub]'"
        ) from None
    try:
        folder = Path(huggingface_hub.snapshot_download(source, allow_patterns=_SETTINGS + _SAFE))
        if not any(folder.glob("*.safetensors")):
            more = _SETTINGS + _PICKLED
            folder = Path(huggingface_hub.snapshot_download(source, allow_patterns=more))
    except Exception as error:  # of the network, the hub or the disk, each of another type
        line = " ".join(str(error).split())
        raise UserError(f"{source} is no path here, and the hub does not give it: {line}") from None
    return folder
