"""Set up before jax is imported: the CPU, and compiled programs shared by the test processes."""

import contextlib
import gc
import os
import sys
import time
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
import hurry
import seconds
import seldom
import selection

from jaxdl import process

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "jaxdl" / "tests"
MOST_BYTES = 1 << 30
# That a training to a published figure may take, where it sets no limit of its own.
SLOW_SECONDS = 3600
_BEGAN = time.monotonic()

os.environ.setdefault("JAX_PLATFORMS", "cpu")
# Eight devices, so that any test can run on several; most use one.
os.environ.setdefault(
    "XLA_FLAGS", f"--xla_force_host_platform_device_count=8 {process.LOOPS_ON_ALL_CORES}"
)
# Compiling is most of what tests cost, and the compiler's optimisations are half of that.
os.environ.setdefault("JAX_DISABLE_MOST_OPTIMIZATIONS", "true")
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(CACHE))
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "-1")


def pytest_addoption(parser):
    group = parser.getgroup("jaxdl")
    group.addoption(
        "--record-seconds",
        action="store_true",
        help="write what each file took, in processor time, to tests/seconds.json",
    )
    selection.add_options(group)


def pytest_configure(config):
    if not hasattr(config, "workerinput"):
        _forget_the_oldest_programs()
    hurry.set_up()
    config.pluginmanager.register(seconds.Seconds(config), "processor-seconds")


def _forget_the_oldest_programs():
    """Halves a folder of compiled programs that has grown too large, before any test needs them."""
    files = [(p.stat(), p) for p in CACHE.glob("*")]
    bytes_left = sum(stat.st_size for stat, _ in files)
    most = MOST_BYTES // 2 if bytes_left > MOST_BYTES else bytes_left
    for stat, path in sorted(files, key=lambda file: file[0].st_mtime):
        if bytes_left <= most:
            return
        path.unlink(missing_ok=True)
        bytes_left -= stat.st_size


@pytest.hookimpl(tryfirst=True)  # before slow tests are left out
def pytest_collection_modifyitems(config, items):
    for item in items:
        if files := seldom.files_of(item.path.name, item.name):
            item.add_marker(pytest.mark.slow(*files))
    selection.select(config, items)
    for item in items:
        if item.get_closest_marker("slow") and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(SLOW_SECONDS))


def pytest_collection_finish(session):
    # What was imported stays: looking through it for garbage again and again is a twentieth of all.
    gc.collect()
    gc.freeze()
    gc.set_threshold(*process.GARBAGE)


def pytest_runtest_setup(item):
    selection.stop_in_time(item, _BEGAN)


@pytest.fixture(autouse=True)
def _optimised(request):
    """Tests of what users get, bits and seconds, have programs as users have them."""
    if not request.node.get_closest_marker("optimised"):
        yield
        return
    import jax

    with _as_for_users(jax):
        yield


@pytest.fixture(scope="module", autouse=True)
def _forgotten():
    """A file's programs go with it: of all files they are gigabytes, and slow to look through."""
    yield
    if "jax" in sys.modules:
        sys.modules["jax"].clear_caches()


@pytest.fixture
def own_cache(tmp_path, monkeypatch):
    """What is kept of files that were read is kept in the test's own folder, "cache"."""
    monkeypatch.setenv("JAXDL_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def explicit():
    """No array gets an axis in front, and none another dtype, without being asked to."""
    import jax

    with jax.numpy_rank_promotion("raise"), jax.numpy_dtype_promotion("strict"):
        yield


@contextlib.contextmanager
def _as_for_users(jax):
    before = jax.config.read("jax_disable_most_optimizations")
    jax.config.update("jax_disable_most_optimizations", False)
    jax.clear_caches()  # programs of functions that other tests have called
    try:
        yield
    finally:
        jax.clear_caches()
        jax.config.update("jax_disable_most_optimizations", before)


@pytest.fixture(scope="session")
def finished(tmp_path_factory):
    """(experiment) -> the folder of a run; beside it is "cut", what a failing machine leaves of it.

    Runs of `tiny.FINISHED`, made once for all processes that test, and a few of them of programs
    as users have them.
    """
    import filelock
    import launching
    import tiny

    root = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        root = root.parent

    def get(experiment: str) -> Path:
        folder = root / "finished" / experiment.replace(":", "-")
        done = folder / "done"
        folder.mkdir(parents=True, exist_ok=True)
        with filelock.FileLock(folder / "lock"), seconds.charged_to("runs that are shared"):
            if not done.exists():
                with as_made(experiment):
                    launching.run_and_copy(
                        experiment,
                        folder,
                        *tiny.of_finished(experiment),
                        at=tiny.FINISHED[experiment][1],
                    )
                done.touch()
        return folder / "whole"

    return get


@pytest.fixture(scope="session")
def goes_on(finished):
    """(experiment) sees to it that the one of `finished` that was cut ends like the other."""
    import launching
    import tiny

    def check(experiment: str) -> None:
        folder = finished(experiment).parent
        with as_made(experiment):
            launching.go_on(
                experiment,
                folder,
                *tiny.of_finished(experiment),
                at=tiny.FINISHED[experiment][1],
                same_calls=experiment not in tiny.FOR_USERS,
            )

    return check


def as_made(experiment: str) -> contextlib.AbstractContextManager:
    """Programs as those of `finished` are."""
    import jax
    import tiny

    return _as_for_users(jax) if experiment in tiny.FOR_USERS else contextlib.nullcontext()
