"""The folder of a run: whose it is, and whether this config may go on in it."""

import contextlib
import datetime
import json
import os
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import jax
import numpy as np
from etils import epath
from jax.experimental import multihost_utils
from ml_collections import ConfigDict

from jaxdl import config as settings
from jaxdl import parallel
from jaxdl.errors import UserError
from jaxdl.runs import lock

# Settings that are no more, and that changed no figure of the runs that had them.
_GONE = ("task.dense",)


def default_path(config_file: str) -> epath.Path:
    """``runs/vit-20261120-143000``: named after the experiment and the time."""
    name = epath.Path(config_file.partition(":")[0]).stem
    stamp = datetime.datetime.now().strftime("%Y%m%d-%H%M%S")
    return epath.Path("runs") / f"{name}-{stamp}"


def check_folder(workdir: epath.Path) -> None:
    """Raises UserError if it is seen by now that nothing can be written there; writes nothing."""
    there = workdir
    with _telling(workdir):
        if "://" in str(workdir):  # folders there are but the names of files
            if workdir.exists() and not workdir.is_dir():
                raise UserError(f"--workdir={workdir} is a file: name a folder")
            return
        while not there.exists() and there.parent != there:
            there = there.parent
        if not there.is_dir():
            what = "is a file" if there == workdir else f"would be in {there}, which is a file"
            raise UserError(f"--workdir={workdir} {what}: name a folder")
        if not os.access(there, os.W_OK | os.X_OK):
            raise UserError(
                f"--workdir={workdir} cannot be written to: no permission to write in {there}"
            )


@contextlib.contextmanager
def _telling(workdir: epath.Path) -> Iterator[None]:
    """What a file system refuses, in a line."""
    try:
        yield
    except OSError as error:
        why = error.strerror or str(error) or type(error).__name__
        raise UserError(f"--workdir={workdir} cannot be used: {why}") from error


def check(
    workdir: epath.Path,
    config: ConfigDict,
    accept_changes: bool = False,
    usual: Mapping[str, Any] = MappingProxyType({}),
    asks: Sequence[str] = (),
) -> None:
    """Makes sure that a run with ``config`` may be in ``workdir``; writes nothing.

    Args:
      workdir: the folder.
      config: of the run.
      accept_changes: whether it may have other settings than before.
      usual: as of `settings.differences`.
      asks: as of it.

    Raises:
      UserError: the folder is a file, cannot be written to, or holds a run whose config differs in
        what matters.
    """
    check_folder(workdir)
    old = stored(workdir)
    changed = settings.differences(old, settings.flatten(config), usual, asks)
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
    own = stored(workdir)
    tuples = {k: tuple(v) if isinstance(v, list) else v for k, v in own.items()}
    with config.unlocked(), config.ignore_type():
        config.update_from_flattened_dict(tuples)


def has_own(workdir: epath.Path, config: ConfigDict, group: str) -> bool:
    """Whether a group's settings are those of the run in ``workdir``."""
    old = stored(workdir)
    own = {k: v for k, v in settings.flatten(config).items() if k.startswith(f"{group}.")}
    return all(old.get(k) == v for k, v in own.items())


def stored(workdir: epath.Path) -> dict[str, Any]:
    """The flat config of the run in ``workdir``; empty without one."""
    file = workdir / "config.json"
    if not file.exists():
        return {}
    try:
        found = json.loads(file.read_text())
    except json.JSONDecodeError as error:
        raise UserError(f"{file} is damaged ({error}): use another --workdir") from None
    return {name: value for name, value in found.items() if name not in _GONE}


@contextlib.contextmanager
def claimed(
    workdir: epath.Path, config: ConfigDict, unchanged: Callable[[], None] = lambda: None
) -> Iterator[lock.Lock]:
    """Makes the folder this run's own while the context lasts, and writes config.json.

    That file is flat and sorted, for people and for `check`. Of several hosts the first holds the
    lock, and all of them learn what came of it.

    Args:
      workdir: the folder.
      config: of the run.
      unchanged: raises UserError if what is there is no longer what the run was made by.

    Raises:
      UserError: another process is at work there, the folder cannot be made or written to, or
        there are several hosts, and they do not see the same folder.
    """
    with held(workdir / "lock.json", f"--workdir={workdir}") as own:

        def write() -> Iterator[None]:
            with _telling(workdir):
                unchanged()
                write_json(workdir / "config.json", settings.flatten(config))
            yield from ()

        _by_first(write())
        if jax.process_count() > 1:
            _check_shared(workdir)
        yield own


@contextlib.contextmanager
def held(file: epath.Path, what: str) -> Iterator[lock.Lock]:
    """The lock of ``file`` while the context lasts, whose folder is made; held by process 0.

    Args:
      file: of the lock.
      what: is locked, for the lines that tell of it.

    Raises:
      UserError: as of `claimed`, on all hosts.
    """
    with lock.Lock(file, what) as own:

        def rounds() -> Iterator[None]:
            with _telling(file.parent):
                file.parent.mkdir(parents=True, exist_ok=True)
                yield from own.rounds()

        _by_first(rounds())
        yield own


# What process 0 tells the others of its rounds: a state and, if it was refused, why.
_WAITS, _DONE, _REFUSED = range(3)
_MOST_BYTES = 1000


def _by_first(rounds: Iterator[None]) -> None:
    """Process 0 goes through ``rounds``, and the others with it: a word from it each time.

    So that none waits for long for another, nor goes on where process 0 was refused.
    """
    if jax.process_count() == 1:
        for _ in rounds:
            pass
        return
    while True:
        state, why = _WAITS, ""
        if jax.process_index() == 0:
            try:
                state = _WAITS if next(rounds, rounds) is None else _DONE
            except UserError as error:
                state, why = _REFUSED, str(error)
        told = np.zeros(1 + _MOST_BYTES, np.uint8)
        text = why.encode()[:_MOST_BYTES]
        told[: 1 + len(text)] = [state, *text]
        told = multihost_utils.broadcast_one_to_all(told)
        if told[0] == _REFUSED:
            raise UserError(bytes(told[1:]).rstrip(b"\0").decode(errors="ignore"))
        if told[0] == _DONE:
            return


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
