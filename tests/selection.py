"""Which of the slow tests a change calls for: ``pytest -m slow --changed-since=REVISION``.

Those marked ``slow(always=True)``; those whose files changed since the revision; and of the others
a quarter in turn, by the number of commits. A slow test's files are those that its mark names
(``slow("jaxdl/runs/", "README.md")``: a folder or a file), and those of the experiments that it
trains: the experiment's own file and those of its model, task and data set. Experiments are named
by the mark (``slow("vit", "gcn:digits")``) or by the parameter ``experiment``; where nothing is
named, it is the test's own file that counts.

With ``--minutes=M`` no slow test begins later than that; those that are always wanted come first,
those marked ``slow(last=True)`` last.
"""

import datetime
import functools
import inspect
import subprocess
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
TURNS = 4


def add_options(group) -> None:
    group.addoption(
        "--changed-since",
        metavar="REVISION",
        help="of the slow tests those that changes since then call for, and a quarter of the rest",
    )
    group.addoption(
        "--minutes",
        type=float,
        metavar="M",
        help="begin no slow test later than that: those left are skipped, and said to be",
    )


def stop_in_time(item: pytest.Item, began: float) -> None:
    """Skips a slow test for which there is no time left; ``began`` is of `time.monotonic`."""
    minutes = item.config.getoption("minutes")
    if minutes is None or not item.get_closest_marker("slow"):
        return
    if time.monotonic() - began > 60 * minutes:
        pytest.skip(f"the {minutes:g} minutes for slow tests are used up")


def select(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leaves in ``items`` what the option asks for; tests that are not slow stay."""
    since = config.getoption("changed_since")
    if since is None:
        return
    slow = [item for item in items if item.get_closest_marker("slow")]
    wanted = {item.nodeid for item in slow if item.get_closest_marker("slow").kwargs.get("always")}
    files = {item.nodeid: files_of(item) for item in slow if item.nodeid not in wanted}
    wanted |= set(chosen(files, changed(since), turn()))
    left_out = [item for item in slow if item.nodeid not in wanted]
    config.hook.pytest_deselected(items=left_out)
    out = {item.nodeid for item in left_out}
    items[:] = [item for item in items if item.nodeid not in out]
    items.sort(key=_urgency)


def _urgency(item: pytest.Item) -> int:
    """In case that time runs out: what is always wanted first, what can wait last."""
    mark = item.get_closest_marker("slow")
    kwargs = mark.kwargs if mark else {}
    return 0 if kwargs.get("always") else 2 if kwargs.get("last") else 1


def chosen(files: dict[str, set[str]], changed: Iterable[str], turn: int) -> list[str]:
    """The tests, of ``{test: its files and folders}``, that have changed files or their turn."""
    changed = list(changed)
    touched = {
        test
        for test, own in files.items()
        if any(c == f or (f.endswith("/") and c.startswith(f)) for c in changed for f in own)
    }
    rest = sorted(set(files) - touched)
    return sorted(touched | set(rest[turn % TURNS :: TURNS]))


def files_of(item: pytest.Item) -> set[str]:
    """What a change of calls for this slow test, relative to the repository."""
    named = list(item.get_closest_marker("slow").args)
    if hasattr(item, "callspec") and "experiment" in item.callspec.params:
        named.append(item.callspec.params["experiment"])
    # A table of experiments grows with each system: what stands in it is no change of the others.
    result = set() if named else {str(item.path.relative_to(ROOT))}
    for name in named:
        result |= {name} if is_path(name) else files_of_experiment(name)
    return result


def is_path(name: str) -> bool:
    """Whether a mark's argument is a file or a folder; an experiment otherwise."""
    return "/" in name or "." in name


def unwrapped(factory: Callable) -> Callable:
    """What stands in a module, of a variant with some of its arguments given."""
    while isinstance(factory, functools.partial):
        factory = factory.func
    return factory


@functools.cache
def files_of_experiment(name: str) -> frozenset[str]:
    """The files of an experiment, of its model, its task and its data set."""
    from jaxdl import data, models, tasks
    from jaxdl.config.files import load

    stem, colon, variant = name.partition(":")
    file = f"experiments/{stem}.py"
    config = load(f"{ROOT / file}{colon}{variant}")
    found = {file}
    for package, group in ((data, "data"), (models, "model"), (tasks, "task")):
        if config[group].name:
            factory = unwrapped(package._registry.get(config[group].name))
            found.add(str(Path(inspect.getsourcefile(factory)).relative_to(ROOT)))
    return frozenset(found)


def changed(since: str) -> list[str]:
    """Files that differ from the revision's, new ones too; none where there is no history.

    Args:
      since: a revision, or a date: the last commit before it is meant.
    """
    if _git("rev-parse", "--verify", "--quiet", f"{since}^{{commit}}") is None:
        since = _git("rev-list", "-1", f"--before={since}", "HEAD") or "HEAD"
    differ = _git("diff", "--name-only", "--relative", since) or ""
    new = _git("ls-files", "--others", "--exclude-standard") or ""
    return [*differ.splitlines(), *new.splitlines()]


def turn() -> int:
    """The number of commits; where history is not there, or cut short, that of the day."""
    if _git("rev-parse", "--is-shallow-repository") == "false":
        return int(_git("rev-list", "--count", "HEAD") or 0)
    return datetime.date.today().toordinal()


def _git(*arguments: str) -> str | None:
    """What git says; None where it cannot."""
    try:
        done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True)
    except OSError:
        return None
    return done.stdout.strip() if done.returncode == 0 else None
