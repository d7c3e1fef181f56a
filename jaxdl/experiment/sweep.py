"""What a population is made of: `config.sweep` and `config.population` as members.

    optimizer.learning_rate=1e-4:1e-1:8:log; task.label_smoothing=0,.1,.2

Each part is a setting and its values: a list, or low:high:count, evenly spaced or, with ``log``, by
equal factors. Several parts make a grid, the last of them fastest; each of its points is trained
with ``config.population`` seeds.
"""

import itertools
import shlex
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from ml_collections import ConfigDict

from jaxdl import config as settings
from jaxdl.errors import StructureError, UserError, nearest

# Groups whose numbers the step may take; the loop and the data need the others before it.
GROUPS = ("augment", "model", "optimizer", "task")
SINGLE = ("ema",)


class Sweep(NamedTuple):
    """One setting and its values, all of the setting's type.

    Attributes:
      name: such as "optimizer.learning_rate".
      values: in the order given.
    """

    name: str
    values: tuple[Any, ...]


class Member(NamedTuple):
    """One of a population.

    Attributes:
      index: its place.
      seed: what its every draw follows from.
      settings: what it has of each sweep, by name.
    """

    index: int
    seed: int
    settings: dict[str, Any]


def is_population(config: ConfigDict) -> bool:
    """Whether the config describes many runs."""
    return bool(config.population or config.sweep)


def need_single(config: ConfigDict, what: str) -> None:
    """Raises UserError if the config describes a population, for ``what`` is of one run."""
    if is_population(config):
        raise UserError(f"{what} is of one run: give --config.population=0 and --config.sweep=''")


def parse(config: ConfigDict) -> list[Sweep]:
    """The sweeps of `config.sweep`.

    Raises:
      UserError: text that is none, a setting that does not exist, a value that it cannot have.
      StructureError: a setting of which a program can have only one value.
    """
    sweeps = [_parsed(part.strip(), config) for part in config.sweep.split(";") if part.strip()]
    names = [sweep.name for sweep in sweeps]
    for name in names:
        if names.count(name) > 1:
            raise UserError(f"config.sweep has {name} twice: give all of its values at once")
    return sweeps


def members(config: ConfigDict) -> list[Member]:
    """All of a population, in order: settings as in the grid, seeds fastest; [] for a plain run."""
    if not is_population(config):
        return []
    sweeps = parse(config)
    points = itertools.product(*(sweep.values for sweep in sweeps))
    names = [sweep.name for sweep in sweeps]
    settings.check_key("seed", config.seed + max(config.population, 1) - 1)
    of_each = itertools.product(points, range(max(1, config.population)))
    return [
        Member(i, config.seed + seed, dict(zip(names, point, strict=True)))
        for i, (point, seed) in enumerate(of_each)
    ]


def config_of(config: ConfigDict, chosen: dict[str, Any], seed: int | None = None) -> ConfigDict:
    """The config of a run by itself.

    Args:
      config: of the population.
      chosen: values by name, in place of the config's own.
      seed: its seed; the population's if None.
    """
    alone = config.copy_and_resolve_references()
    with alone.unlocked(), alone.ignore_type():
        alone.population, alone.sweep, alone.member = 0, "", None
        alone.log.layers = False  # norms of every layer of every member are too many to look at
        if seed is not None:
            alone.seed = seed
        for name, value in chosen.items():
            *groups, last = name.split(".")
            group = alone
            for part in groups:
                group = group[part]
            group[last] = value
    return alone


def one_by_one(config: ConfigDict, names: Sequence[str], flags: Mapping[str, str]) -> str:
    """The loop of commands that trains what cannot be swept: a run, or population, for each value.

    Args:
      config: of the population that cannot be.
      names: of the settings at fault.
      flags: of its command line, by name.
    """
    parts = [part.strip() for part in config.sweep.split(";") if part.strip()]
    of_name = {_pieces(part)[0]: part for part in parts}
    kept = {k: v for k, v in flags.items() if k not in ("workdir", "config.sweep")}
    if rest := "; ".join(part for name, part in of_name.items() if name not in names):
        kept["config.sweep"] = rest
    elif "config.sweep" not in flags:  # the experiment file's own
        kept["config.sweep"] = ""
    loops, folder = [], flags.get("workdir", "runs/sweep")
    for i, name in enumerate(names):
        variable = chr(ord("a") + i)
        values = " ".join(f"{v:g}" if isinstance(v, float) else v for v in _texts(of_name[name]))
        loops.append(f"for {variable} in {values}; do ")
        kept[f"config.{name}"] = f"${variable}"
        folder += f"-${variable}"
    kept["workdir"] = folder
    quoted = lambda v: v if "$" in v else shlex.quote(v)
    command = " ".join(f"--{k}={quoted(v)}" for k, v in kept.items())
    return f"{''.join(loops)}python -m jaxdl.launch {command}; {'done; ' * len(loops)}".strip(" ;")


def _pieces(part: str) -> tuple[str, str, str]:
    name, equals, text = (piece.strip() for piece in part.partition("="))
    return name.removeprefix("config."), equals, text


def _texts(part: str) -> list[str | float]:
    """The values of one part, as given, or as a range has them."""
    name, _, text = _pieces(part)
    if ":" in text:
        return _range(name, text)
    return [piece.strip() for piece in text.split(",") if piece.strip()]


def _parsed(part: str, config: ConfigDict) -> Sweep:
    name, equals, text = _pieces(part)
    if not equals or not text:
        raise UserError(
            f"config.sweep: {part!r} is not 'setting=values', such as "
            "'optimizer.learning_rate=1e-4:1e-1:8:log' or 'task.label_smoothing=0,.1'"
        )
    kind = _kind(name, config)
    group = name.partition(".")[0]
    if kind not in (int, float):
        raise StructureError(f"is {settings.TYPES.get(kind, kind.__name__)}, not a number", name)
    if group not in GROUPS and name not in SINGLE:
        raise StructureError("is needed before there is a step, which all members share", name)
    found = tuple(_value(name, kind, value) for value in _texts(part))
    if len(set(found)) < len(found):
        raise UserError(f"config.sweep: {name}={text} has a value twice")
    for value in found:
        settings.check_key(name, value)
    return Sweep(name, found)


def _kind(name: str, config: ConfigDict) -> type:
    node, parts = config, name.split(".")
    for depth, part in enumerate(parts):
        where = ".".join(["config", *parts[:depth]])
        if not isinstance(node, ConfigDict) or part not in node:
            known = node if isinstance(node, ConfigDict) else ()
            raise UserError(f"config.sweep: {where} has no key {part!r}: {nearest(part, known)}")
        group, node = node, node[part]
    if isinstance(node, ConfigDict):
        raise UserError(f"config.sweep: {name} is a group: name one of its keys")
    return group.get_type(parts[-1])


def _range(name: str, text: str) -> list[float]:
    pieces = [piece.strip() for piece in text.split(":")]
    log = pieces[3:] == ["log"]
    try:
        low, high, count = float(pieces[0]), float(pieces[1]), int(pieces[2])
        if len(pieces) != 3 + log or count < 2 or not np.isfinite([low, high]).all():
            raise ValueError
        if log and not (low > 0 and high > 0):
            raise ValueError
    except (ValueError, IndexError):
        raise UserError(
            f"config.sweep: {name}={text} is not low:high:count or low:high:count:log, such as "
            "1e-4:1e-1:8:log (count at least 2; both ends above 0 with log)"
        ) from None
    values = np.geomspace(low, high, count) if log else np.linspace(low, high, count)
    # As many digits as a person types and reads, and more where they would not tell a value from
    # its neighbours; the ends stay as they were given.
    room = np.abs(np.diff(values)).min() / 100
    for digits in range(6, 18):
        inner = [float(f"{v:.{digits}g}") for v in values[1:-1]]
        if (np.abs(inner - values[1:-1]) <= room).all():
            break
    return [low, *inner, high]


def _value(name: str, kind: type, value: str | float) -> int | float:
    try:
        number = float(value)
    except ValueError:
        raise UserError(f"config.sweep: {name}={value!r} must be a number") from None
    if kind is int:
        if not number.is_integer():
            raise UserError(f"config.sweep: {name}={value} must be a whole number")
        return int(number)
    return number
