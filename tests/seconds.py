"""What the tests cost, in processor time: told at the end of a run, and held to a table.

Wall time tells of the neighbours on a machine, processor time of the tests. `seconds.json` holds
the seconds of each file in a run of all that compiled everything anew; ``pytest --record-seconds``
writes it. A run of all fails where a file has grown by half, or a new one takes over 15 seconds.
"""

import contextlib
import json
import os
import statistics
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

TABLE = Path(__file__).parent / "seconds.json"
GROWTH = 1.5
SLACK = 5.0  # seconds: what a short file may vary by
OF_A_NEW_FILE = 15.0
DEAREST = 20
REFERENCE = "reference"

_elsewhere: Counter[str] = Counter()


def used() -> float:
    """Processor seconds of this process and of its children that ended."""
    t = os.times()
    return t.user + t.system + t.children_user + t.children_system


@contextlib.contextmanager
def charged_to(name: str) -> Iterator[None]:
    """What happens here is ``name``'s cost, not that of the test that happened to come first."""
    began = used()
    try:
        yield
    finally:
        _elsewhere[name] += used() - began


def reference() -> float:
    """Processor seconds of a fixed piece of work like the tests' own: how fast this machine is."""

    def work() -> float:
        began = time.process_time()
        found: dict[int, list[int]] = {}
        for i in range(200_000):
            found.setdefault(i % 1000, []).append(i)
        sum(len(str(value)) for values in found.values() for value in values)
        return time.process_time() - began

    return min(work() for _ in range(5))


def grown(
    found: dict[str, float], recorded: dict[str, float], speed: float
) -> dict[str, tuple[float, float]]:
    """{file: (seconds, seconds allowed)} of the files over what they may take.

    Args:
      found: processor seconds a file.
      recorded: the same, when they were last recorded.
      speed: seconds of `reference` over those recorded: 2 on a machine half as fast.

    A machine is taken for as slow as its reference says or as the median file, whichever is more;
    never for a faster one, since compiled programs may have been there already.
    """
    ratios = [found[f] / s for f, s in recorded.items() if f in found and s > 2]
    slower = max(1.0, speed, statistics.median(ratios) if ratios else 1.0)
    result = {}
    for file, seconds in found.items():
        budget = recorded[file] * GROWTH + SLACK if file in recorded else OF_A_NEW_FILE
        if seconds > budget * slower:
            result[file] = (seconds, budget * slower)
    return result


def _is_whole(config: pytest.Config) -> bool:
    """Whether this is the default run: nothing chosen, nothing left out."""
    options = config.option
    chosen = options.keyword or options.ignore or options.ignore_glob or options.deselect
    narrowed = getattr(options, "lf", False) or getattr(options, "stepwise", False)
    default = config.args_source is not pytest.Config.ArgsSource.ARGS
    return default and options.markexpr == "not slow" and not (chosen or narrowed)


class Seconds:
    """The plugin; where tests run in processes of their own, there and at the front."""

    def __init__(self, config: pytest.Config):
        self.config = config
        self.tests: Counter[str] = Counter()
        self.began = used()

    # Where tests run

    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtest_makereport(self, item, call):
        outcome = yield
        now, elsewhere = used(), _elsewhere.copy()
        _elsewhere.clear()
        report = outcome.get_result()
        report.processor = now - self.began - elsewhere.total()
        report.processor_elsewhere = dict(elsewhere)
        self.began = now

    @pytest.hookimpl(trylast=True)
    def pytest_collection_finish(self, session):
        self.began = used()

    # Where they are told of

    def pytest_runtest_logreport(self, report):
        self.tests[report.nodeid] += getattr(report, "processor", 0.0)
        for name, seconds in getattr(report, "processor_elsewhere", {}).items():
            self.tests[name] += seconds

    def files(self) -> dict[str, float]:
        """Processor seconds a file."""
        result: Counter[str] = Counter()
        for test, seconds in self.tests.items():
            result[Path(test.partition("::")[0]).name] += seconds
        return dict(result.most_common())

    def pytest_sessionfinish(self, session, exitstatus):
        if hasattr(self.config, "workerinput"):
            return
        self.over = {}
        whole = _is_whole(self.config) and exitstatus == pytest.ExitCode.OK
        if self.config.option.record_seconds:
            table = {REFERENCE: round(reference(), 3)}
            table |= {f: round(s, 1) for f, s in sorted(self.files().items())}
            TABLE.write_text(json.dumps(table, indent=2) + "\n")
        elif whole and TABLE.exists():
            recorded = json.loads(TABLE.read_text())
            speed = reference() / recorded.pop(REFERENCE)
            self.over = grown(self.files(), recorded, speed)
            if self.over:
                session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter):
        tell, files = terminalreporter, self.files()
        if len(files) > 1:
            tell.section(f"processor seconds: {sum(files.values()):.0f}")
            width = max(map(len, files))
            told = [f"{s:7.1f} {f:<{width}}" for f, s in files.items()]
            for i in range(0, len(told), 2):
                tell.line("  ".join(told[i : i + 2]).rstrip())
            tell.section(f"dearest {DEAREST} tests")
            for test, seconds in self.tests.most_common(DEAREST):
                tell.line(f"{seconds:7.1f} {test}")
        for file, (seconds, most) in getattr(self, "over", {}).items():
            tell.line(
                f"FAILED {file}: {seconds:.0f} s of processor time, {most:.0f} are allowed by "
                f"{TABLE.name}: make it cheaper, or say why not with pytest --record-seconds",
                red=True,
            )
