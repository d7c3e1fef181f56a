"""The folder of a run: whose it is, and whether this config may go on in it."""

import datetime
import json
from typing import Any

import jax
from etils import epath
from ml_collections import ConfigDict

from jaxdl import config as settings
from jaxdl.errors import UserError


def default_path(config_file: str) -> epath.Path:
    """``runs/vit-20261120-143000``: named after the experiment and the time."""
    name = epath.Path(config_file.partition(":")[0]).stem
    stamp = datetime.datetime.now().strftime("%Y%m%d-%H%M%S")
    return epath.Path("runs") / f"{name}-{stamp}"


def check(workdir: epath.Path, config: ConfigDict, accept_changes: bool = False) -> None:
    """Makes sure that a run with ``config`` may be in ``workdir``; writes nothing.

    Raises:
      UserError: the folder is a file, or holds a run whose config differs in what matters.
    """
    if workdir.exists() and not workdir.is_dir():
        raise UserError(f"--workdir={workdir} is a file: name a folder")
    file = workdir / "config.json"
    if accept_changes or not file.exists():
        return
    try:
        old = json.loads(file.read_text())
    except json.JSONDecodeError as error:
        raise UserError(f"{file} is damaged ({error}): use another --workdir") from None
    changed = settings.differences(old, settings.flatten(config))
    if changed:
        raise UserError(
            f"{workdir} holds a run with another config ({'; '.join(changed)}): give the same "
            "settings to go on with it, another --workdir to start afresh, or --accept_changes to "
            "go on with the new ones"
        )


def claim(workdir: epath.Path, config: ConfigDict) -> None:
    """Makes the folder and writes config.json, flat and sorted, for people and for `check`."""
    if jax.process_index() == 0:
        workdir.mkdir(parents=True, exist_ok=True)
        write_json(workdir / "config.json", settings.flatten(config))


def write_json(file: epath.Path, content: Any) -> None:
    """Indented, and with null in place of NaN."""
    clean = json.loads(json.dumps(content), parse_constant=lambda _: None)
    file.write_text(json.dumps(clean, indent=2) + "\n")
