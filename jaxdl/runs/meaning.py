"""What the weights of a run mean: data.json, and a copy of the tokenizer's file, in its folder.

Written when the run begins, so that using it, or going on with it, does not depend on what lies in
the data's folder by then. It is for people too: class names may be corrected there, in their order.
"""

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from etils import epath

from jaxdl import data as data_sets
from jaxdl.data import Data, facts, tokens
from jaxdl.data.facts import Facts
from jaxdl.errors import UserError
from jaxdl.runs import workdir

FORMAT = 1
NAME = "data.json"
_TOKENIZER = "tokenizer.json"


class Meaning(NamedTuple):
    """What a run keeps.

    Attributes:
      facts: of the data that it began with.
      tokenizer: the file of its own tokenizer; "" where it is bytes, or there is none.
      source: the setting data.tokenizer that this is a copy of.
    """

    facts: Facts
    tokenizer: str = ""
    source: str = ""

    def settings(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """`config.data` with what it leaves to the files there, as it was found when the run began.

        The run's own tokenizer stands in place of the file that it was copied of, and for images
        that keep their size, which a folder takes from its first one, that size.
        """
        own = dict(data)
        if self.tokenizer and own.get("tokenizer") == self.source:
            own["tokenizer"] = self.tokenizer
        side = self.facts.side
        if side and own["image_size"] == 0 and "image_size" in data_sets.own_settings(own["name"]):
            own["image_size"] = side
        return own

    def restored(self) -> Data | None:
        """Data without examples, or None where they are not enough to use a model."""
        return self.facts.restored(self.tokenizer) if self.facts.restorable else None

    def said(self) -> list[str]:
        """Whether the tokenizer's file is another by now, in words."""
        file = epath.Path(self.source)
        if not self.tokenizer or not file.is_file():
            return []
        if file.read_bytes() == epath.Path(self.tokenizer).read_bytes():
            return []
        return [f"data.tokenizer={self.source} is another by now, the run's own copy is used"]


def read(folder: epath.Path) -> Meaning | None:
    """What the run in ``folder`` keeps; None of a run that began before runs did.

    Raises:
      UserError: data.json is damaged, or of a later version.
    """
    file = folder / NAME
    if not file.exists():
        return None
    try:
        content = json.loads(file.read_text())
        if content["format"] > FORMAT:
            raise UserError(f"{file} was written by a later version of jaxdl: update it")
        found, source = facts.read(content["data"]), content["tokenizer"]
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"{file} is damaged ({error}): mend it, or remove it and take the data as they are now"
        ) from None
    if not source:
        return Meaning(found)
    copy = folder / _TOKENIZER
    if not copy.is_file() or tokens.create(str(copy)).fingerprint != found.tokenizer:
        raise UserError(f"{copy} is not the tokenizer that the run began with: put it back there")
    return Meaning(found, str(copy), source)


def write(folder: epath.Path, found: Facts, source: str = "", tokenizer: bytes = b"") -> None:
    """Keeps it in ``folder``; by process 0 alone.

    Args:
      folder: of the run.
      found: of its data.
      source: the setting data.tokenizer.
      tokenizer: the content of the file that was read for it, or made.
    """
    if source:
        (folder / _TOKENIZER).write_bytes(tokenizer)
    content = {"format": FORMAT, "data": facts.written(found), "tokenizer": source}
    workdir.write_json(folder / NAME, content)


def standing(folder: epath.Path) -> tuple[str, str, bool]:
    """What a run in ``folder`` is made by, before it has it for itself.

    Returns:
      The texts of config.json and of data.json, "" of none, and whether there are weights.
    """
    files = [folder / name for name in ("config.json", NAME)]
    texts = [file.read_text() if file.is_file() else "" for file in files]
    return (*texts, has_weights(folder))


def check_standing(folder: epath.Path, before: tuple[str, str, bool]) -> None:
    """Raises UserError if `standing` is another than ``before``."""
    if standing(folder) != before:
        raise UserError(
            f"--workdir={folder} was in use by another run while this one began: start it again, "
            "to go on from what that one left"
        )


def has_weights(folder: epath.Path) -> bool:
    """Whether there is a checkpoint yet, so that there is anything that must keep its meaning."""
    checkpoints = folder / "checkpoints"
    return checkpoints.is_dir() and any(p.name.isdigit() for p in checkpoints.iterdir())


def copy(folder: epath.Path, target: epath.Path) -> None:
    """What the run in ``folder`` keeps, to another run's folder."""
    for name in (NAME, _TOKENIZER):
        if (folder / name).exists():
            (target / name).write_bytes((folder / name).read_bytes())
