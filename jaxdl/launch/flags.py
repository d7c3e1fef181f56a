"""The command line: an experiment file, overrides of its settings, and where and how to run it.

jax is imported by the plugs, when their settings are wanted: what can be refused before that is.
"""

import ast
import contextlib
from collections.abc import Sequence
from typing import Any, NamedTuple

from ml_collections import ConfigDict

from jaxdl import config as settings
from jaxdl import paths
from jaxdl.config.files import load
from jaxdl.errors import UserError, nearest


class Options(NamedTuple):
    """What a command line asks for; ``config`` and ``file`` are None and "" for help and list.

    ``generation`` is what `config.pretrained.generation` is given where a run is used: there it
    asks for another way to write, and changes nothing of the run.
    """

    config: ConfigDict | None
    file: str
    workdir: str
    mode: str
    topology: str
    accept_changes: bool
    debug: bool
    help: bool
    list: bool
    input: str = ""
    input_size: int = 0
    generation: tuple[str, ...] = ()
    listed: str = ""


_MODES = ("train", "evaluate", "sample", "predict", "export", "plan", "lr_find")
# Modes in which a trained model is used, and not the experiment.
USES = ("predict", "export")
_FLAGS = (
    *("config", "workdir", "mode", "topology", "input", "input_size"),
    *("accept_changes", "debug", "help", "list"),
)
# Those that name files.
_PATHS = ("config", "workdir", "input")
# How texts are written.
_WRITTEN = "pretrained.generation"
# Those of one mode, and what they are there.
_OF_MODE = {
    "topology": ("plan", "what --mode=plan plans for"),
    "input": ("predict", "what --mode=predict looks at"),
    "input_size": ("export", "the size of what --mode=export's program takes"),
}


def parse(argv: Sequence[str]) -> Options:
    """Reads ``argv`` (without the program's name).

    Raises:
      UserError: an unknown flag, key, mode or variant, a file that is missing or broken, a value of
        the wrong type; the message names the nearest right one.
    """
    if any(a in ("--help", "-h", "-help") for a in argv) or not argv:
        return Options(None, "", "", "train", "", False, False, True, False)
    given = by_name(argv)
    if "list" in given:
        return Options(None, "", "", "train", "", False, False, False, True, listed=given["list"])
    for name in given:
        if not name.startswith("config.") and name not in _FLAGS:
            raise UserError(f"unknown flag --{name}: {nearest(name, _FLAGS)}")
    given |= {name: paths.expanded(given[name]) for name in _PATHS if name in given}
    file, mode = given.get("config", ""), given.get("mode", "train")
    if mode not in _MODES:
        raise UserError(f"unknown --mode {mode!r}: {nearest(mode, _MODES)}")
    # What is used is a run, which has its settings with it, or a published checkpoint.
    if not file and mode not in USES:
        raise UserError("--config is missing: --config=experiments/vit.py, or see --list")
    for name, (only, what) in _OF_MODE.items():
        if name in given and mode != only:
            raise UserError(f"--{name} is {what}: give both, or neither")
    overrides = {k[len("config.") :]: v for k, v in given.items() if k.startswith("config.")}
    generation = ()
    if mode == "predict" and _is_run(given.get("workdir")) and _WRITTEN in overrides:
        generation = _read(overrides.pop(_WRITTEN), tuple, f"config.{_WRITTEN}") or ()
    config = load(file) if file else settings.default()
    if (mode != "train" or "member" in overrides) and given.get("workdir"):
        _adopt(given["workdir"], config)
    own_data = config.data.name
    known = {k: v for k, v in overrides.items() if _is_known(config, k)}
    config = _overridden(config, known)
    if config.data.name != own_data:
        _leave_out(config, overrides)
    if file:
        settings.validate(config)
    config = _completed(config)
    config = _overridden(config, {k: v for k, v in overrides.items() if k not in known})
    settings.expand_paths(config)
    return Options(
        config,
        file,
        given.get("workdir", ""),
        mode,
        given.get("topology", ""),
        _switch(given, "accept_changes"),
        _switch(given, "debug"),
        False,
        False,
        given.get("input", ""),
        _read(given.get("input_size", "0"), int, "--input_size"),
        generation,
    )


def _is_run(folder: str | None) -> bool:
    from etils import epath

    return bool(folder) and (epath.Path(folder) / "config.json").exists()


def _adopt(folder: str, config: ConfigDict) -> None:
    from etils import epath

    from jaxdl.runs import workdir

    workdir.adopt(epath.Path(folder), config)


def _leave_out(config: ConfigDict, overrides: dict[str, str]) -> None:
    """Leaves out what the file sets of its own data set alone: another one was chosen."""
    from jaxdl import data

    usual = settings.default().data
    with contextlib.suppress(UserError), config.data.unlocked():  # an unknown name is told of later
        has = data.own_settings(config.data.name)
        for key in list(config.data):
            if key not in usual and key not in has and f"data.{key}" not in overrides:
                del config.data[key]


def _is_known(config: ConfigDict, dotted: str) -> bool:
    """Whether it is decided by now if ``dotted`` is a key: a plug's own are known to the plug."""
    group, _, key = dotted.partition(".")
    return group not in settings.PLUGS or not key or key.split(".")[0] in config[group]


def _completed(config: ConfigDict) -> ConfigDict:
    from jaxdl import experiment

    return experiment.complete(config)


def by_name(argv: Sequence[str]) -> dict[str, str]:
    """{flag: value} as `parse` reads them; the last of equals counts, but sweeps form a grid."""
    given: dict[str, str] = {}
    for a in _joined(argv):
        name, _, value = a[2:].partition("=")
        if name == "config.sweep" and name in given:
            value = f"{given[name]}; {value}"
        given[name] = value
    return given


def _joined(argv: Sequence[str]) -> list[str]:
    """``--flag value`` as ``--flag=value``; anything that is no flag is an error."""
    result: list[str] = []
    for a in argv:
        if a.startswith("-") and not _is_number(a):
            result.append("--" + a.lstrip("-"))
        elif result and "=" not in result[-1]:
            result[-1] += f"={a}"
        else:
            raise UserError(f"{a!r} is no flag: settings are given as --config.KEY=VALUE")
    return result


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _switch(given: dict[str, str], name: str) -> bool:
    return name in given and given[name].lower() not in ("false", "0", "no")


def _overridden(config: ConfigDict, overrides: dict[str, str]) -> ConfigDict:
    """The config with the command line's values, read as the types that the file gave them.

    Not by ml_collections.config_flags: it reads sys.argv behind the caller's back, takes no tuple
    in one flag and tells of a misspelt key with a traceback.
    """
    for dotted, text in overrides.items():
        *groups, last = dotted.split(".")
        node = config
        for depth, part in enumerate([*groups, last]):
            where = ".".join(["config", *groups[:depth]])
            if not isinstance(node, ConfigDict):
                raise UserError(f"{where} is a single value: it has no key {part!r}")
            if part not in node:
                raise UserError(f"{where} has no key {part!r}: {nearest(part, node)}")
            group, node = node, node[part]
        if isinstance(node, ConfigDict):
            raise UserError(f"config.{dotted} is a group: set one of its keys ({', '.join(node)})")
        with group.ignore_type():
            group[last] = _read(text, group.get_type(last), f"config.{dotted}")
    return config


def _read(text: str, kind: type, name: str) -> Any:
    """``text`` as a value of type ``kind``; "none" unsets a key that may be unset."""
    if kind is str:
        return text
    words = {"true": True, "false": False, "none": None, "": () if kind is tuple else True}
    try:
        value = words[text.lower()] if text.lower() in words else ast.literal_eval(text)
    except (ValueError, SyntaxError, TypeError):
        value = text
    if kind is tuple and not isinstance(value, tuple | list):
        # One bare text or number, or several with commas: (96,) and ('a=1', 'b=2') are awkward.
        parts = [part.strip() for part in text.split(",")] if isinstance(value, str) else [value]
        value = tuple(part for part in parts if part != "")
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    fits = isinstance(value, kind) and (kind is bool or not isinstance(value, bool))
    if value is None or fits or (kind is tuple and isinstance(value, list)):
        return tuple(value) if kind is tuple and value is not None else value
    raise UserError(f"{name}={text!r} must be {settings.TYPES.get(kind, kind.__name__)}")
