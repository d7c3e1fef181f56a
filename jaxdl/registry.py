"""Names to things: how models, tasks and data sets are found, and what a misspelt name is told."""

import importlib
import inspect
import pkgutil
from collections.abc import Callable, Iterable
from typing import Any

from jaxdl.errors import UserError, nearest


class Registry:
    """A table of factories by name, filled by the modules of one package when it is first read.

    Args:
      kind: what the entries are, for error messages ("model").
      package: the package whose modules register themselves when imported.
    """

    def __init__(self, kind: str, package: str):
        self.kind, self.package = kind, package
        self._entries: dict[str, Callable[..., Any]] = {}
        self._loaded = False

    def register(self, *names: str) -> Callable[[Callable], Callable]:
        """Decorator: makes a factory available under ``names``. A later registration wins."""

        def add(factory: Callable) -> Callable:
            for name in names:
                self._entries[name] = factory
            return factory

        return add

    def _modules(self) -> list[str]:
        # Adding a file to the package is all it takes to add an entry: no list to keep.
        path = importlib.import_module(self.package).__path__
        return [module.name for module in pkgutil.iter_modules(path)]

    def _load_own(self, name: str) -> None:
        # Most entries bear their module's name, or begin with it: then the package's other modules,
        # half a second of imports, can wait.
        named = [module for module in self._modules() if str(name).startswith(module)]
        for module in sorted(named, key=len, reverse=True):
            if name not in self._entries:
                importlib.import_module(f"{self.package}.{module}")

    def _load(self) -> None:
        if not self._loaded:
            self._loaded = True
            for module in self._modules():
                importlib.import_module(f"{self.package}.{module}")

    def names(self) -> list[str]:
        """All names, sorted."""
        self._load()
        return sorted(self._entries)

    def knows(self, name: str) -> bool:
        """Whether there is one called ``name``: none is called "", whatever is imported."""
        if not name:
            return False
        if name not in self._entries:
            self._load_own(name)
        if name not in self._entries:
            self._load()
        return name in self._entries

    def get(self, name: str) -> Callable[..., Any]:
        """The factory called ``name``.

        Raises:
          UserError: there is none; the message names the nearest ones.
        """
        if not self.knows(name):
            self._load()  # for the names that are told
        return choose(self.kind, name, self._entries)

    def settings(self, name: str) -> dict[str, Any]:
        """The keywords that the factory called ``name`` takes, with their defaults."""
        parameters = inspect.signature(self.get(name)).parameters.values()
        return {p.name: p.default for p in parameters if p.default is not inspect.Parameter.empty}


def choose(kind: str, name: str, table: dict[str, Any]) -> Any:
    """``table[name]``, or a UserError that names the nearest keys.

    Args:
      kind: what is chosen, as the message should call it ("schedule").
      name: the key asked for.
      table: what there is.
    """
    if name in table:
        return table[name]
    raise UserError(f"unknown {kind} {name!r}: {nearest(str(name), table)}")


def check_names(what: str, given: Iterable[str], allowed: Iterable[str]) -> None:
    """Raises UserError for the first of ``given`` that is not in ``allowed``."""
    allowed = list(allowed)
    for name in given:
        if name not in allowed:
            raise UserError(f"{what} has no {name!r}: {nearest(name, allowed)}")
