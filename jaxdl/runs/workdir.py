"""The folder of a run: whose it is, and whether this config may go on in it."""

import datetime
import json
import secrets
from typing import Any

import jax
import numpy as np
from etils import epath
from jax.experimental import multihost_utils
from ml_collections import ConfigDict

from jaxdl import config as settings
from jaxdl import parallel
from jaxdl.errors import UserError


def default_path(config_file: str) -> epath.Path:
    """``runs/vit-20261120-143000``: named after the experiment and the time."""
    name = epath.Path(config_file.partition(":")[0]).stem
    stamp = datetime.datetime.now().strftime("%Y%m%d-%H%M%S")
    return epath.Path("runs") / f"{name}-{stamp}"


def check_folder(workdir: epath.Path) -> None:
    """Raises UserError if there is a file where a folder should be, or become."""
    if workdir.exists() and not workdir.is_dir():
        raise UserError(f"--workdir={workdir} is a file: name a folder")


def check(workdir: epath.Path, config: ConfigDict, accept_changes: bool = False) -> None:
    """Makes sure that a run with ``config`` may be in ``workdir``; writes nothing.

    Raises:
      UserError: the folder is a file, or holds a run whose config differs in what matters.
    """
    check_folder(workdir)
    old = _stored(workdir)
    changed = settings.differences(old, settings.flatten(config))
    if old and changed and not accept_changes:
        raise UserError(
            f"{workdir} holds a run with another config ({'; '.join(changed)}): give the same "
            "settings to go on with it, another --workdir to start afresh, or --accept_changes to "
            "go on with the new ones"
        )


def adopt(workdir: epath.Path, config: ConfigDict) -> None:
    """Gives ``config`` the settings of the run in ``workdir``, if there is one.

    So that evaluating a run needs no repeat of the flags that it was trained with.
    """
    stored = _stored(workdir)
    tuples = {k: tuple(v) if isinstance(v, list) else v for k, v in stored.items()}
    with config.unlocked(), config.ignore_type():
        config.update_from_flattened_dict(tuples)


def _stored(workdir: epath.Path) -> dict[str, Any]:
    """The flat config of the run in ``workdir``; empty without one."""
    file = workdir / "config.json"
    if not file.exists():
        return {}
    try:
        return json.loads(file.read_text())
    except json.JSONDecodeError as error:
        raise UserError(f"{file} is damaged ({error}): use another --workdir") from None


def claim(workdir: epath.Path, config: ConfigDict) -> None:
    """Makes the folder and writes config.json, flat and sorted, for people and for `check`.

    Raises:
      UserError: there are several hosts, and they do not see the same folder.
    """
    config_file = workdir / "config.json"
    if jax.process_index() == 0:
        workdir.mkdir(parents=True, exist_ok=True)
        write_json(config_file, settings.flatten(config))
    if jax.process_count() > 1:
        _check_shared(workdir)


def _check_shared(workdir: epath.Path) -> None:
    """Process 0 leaves a mark that all others must find."""
    token = multihost_utils.broadcast_one_to_all(np.uint32(secrets.randbits(32)))
    mark = workdir / f".seen-by-all-{int(token)}"
    if jax.process_index() == 0:
        mark.write_text("")
    parallel.wait_for_all("workdir marked")
    seen = mark.exists()
    everyone = multihost_utils.process_allgather(np.bool_(seen)).all()
    if jax.process_index() == 0:
        mark.unlink()
    if not everyone:
        raise UserError(
            f"--workdir={workdir} is not the same folder on all {jax.process_count()} hosts: use a "
            "gs:// path or a shared file system"
        )


def write_json(file: epath.Path, content: Any) -> None:
    """Indented, and with null in place of NaN."""
    clean = json.loads(json.dumps(content), parse_constant=lambda _: None)
    file.write_text(json.dumps(clean, indent=2) + "\n")
