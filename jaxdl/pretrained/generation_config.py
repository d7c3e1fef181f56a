"""How a checkpoint's folder says that texts are written: transformers' generation_config.json."""

import dataclasses
import json
from pathlib import Path

from jaxdl.errors import UserError
from jaxdl.generate import Settings
from jaxdl.pretrained import config, openai_whisper, tensors

NAME = "generation_config.json"

# What config.json says too: those who train read it there.
TOKENS = ("bos_token_id", "decoder_start_token_id", "eos_token_id", "pad_token_id")


def generation(source: str | Path) -> Settings:
    """How a published model's texts are to be written; `jaxdl.generate.by_settings` does it.

    >>> settings = generation("t5-small/")
    >>> settings.decoder_start_token_id, settings.eos_token_id, settings.pad_token_id
    (0, 1, 0)

    Args:
      source: a folder as of `jaxdl.pretrained.load`, or "owner/name" of one on the hub; or OpenAI's
        .pt of a Whisper.

    Returns:
      What generation_config.json says; of a folder without, what config.json says of it, as older
      ones do. Of a .pt, what generation_config.json beside it says, or else what OpenAI's code does
      (`jaxdl.pretrained.openai_whisper`).

    Raises:
      UserError: there is no such folder, a file is damaged, or a setting is none of its kind.
    """
    path = tensors.locate(source)
    if path.is_dir():
        return _of_folder(path)
    if not openai_whisper.holds(path):
        raise UserError(f"{path} is one file: it does not say how texts are written")
    if (path.parent / NAME).is_file():
        return _of_folder(path.parent)
    return openai_whisper.generation(path)


def beside(source: str | Path) -> Settings:
    """`generation`; of a file that is no Whisper of OpenAI's, what its folder says."""
    path = tensors.locate(source)
    return generation(path if path.is_dir() or openai_whisper.holds(path) else path.parent)


def _of_folder(folder: Path) -> Settings:
    found, name = config.settings(folder, NAME), NAME
    if not found:
        known = {field.name for field in dataclasses.fields(Settings)}
        said, name = config.settings(folder, config.NAME), config.NAME
        found = {key: value for key, value in said.items() if key in known}
    try:
        return Settings.of(found)
    except UserError as error:
        raise UserError(f"{folder / name}: {error}") from None


def write(settings: Settings, folder: Path) -> None:
    """Writes the file, which transformers and `generation` read."""
    (folder / NAME).write_text(json.dumps(settings.said(), indent=2) + "\n")
