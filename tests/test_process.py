"""What the launcher sets up before jax is imported."""

import os
import subprocess
import sys

import jaxlib
import pytest

from jaxdl import process

LOOP = """
from jaxdl import process

process.tune()
import jax
import jax.numpy as jnp

turn = lambda x, _: (jnp.tanh(x @ x), None)
loop = jax.jit(lambda x: jax.lax.scan(turn, x, None, length=9)[0])
print(loop.lower(jnp.ones((256, 256))).compile().as_text().count("xla_cpu_small_call"))
"""


def small_loops(flags: str) -> int:
    """How many loops of a program of matrix products XLA compiles for one core."""
    env = {**os.environ, "XLA_FLAGS": flags}
    done = subprocess.run(
        [sys.executable, "-c", LOOP], env=env, capture_output=True, text=True, check=True
    )
    return int(done.stdout)


def test_loops_run_on_all_cores():
    """As jax 0.10 has them by itself; see findings/jax_loops_on_one_core.sh."""
    assert small_loops("") == 0


@pytest.fixture
def tuned(monkeypatch):
    """A function of jaxlib's version and XLA_FLAGS to what these are behind `process.tune`."""

    def flags(version: str, before: str) -> str:
        monkeypatch.setenv("XLA_FLAGS", before)
        monkeypatch.setattr(process.gc, "set_threshold", lambda *_: None)
        monkeypatch.setattr(process.atexit, "register", lambda *_: None)
        monkeypatch.setattr(process.sys, "platform", "other")
        monkeypatch.setattr(jaxlib, "__version__", version)
        process.tune()
        return os.environ["XLA_FLAGS"]

    return flags


@pytest.mark.parametrize(
    ("before", "after"),
    {
        "none": ("", process.LOOPS_ON_ALL_CORES),
        "others": ("--xla_a=1", f"--xla_a=1 {process.LOOPS_ON_ALL_CORES}"),
        "the user's own": ("--xla_backend_extra_options=b=2", "--xla_backend_extra_options=b=2"),
    }.values(),
    ids=["none", "others", "own"],
)
def test_flags_of_the_user_stay(tuned, before, after):
    assert tuned("0.12.0.1", before) == after


@pytest.mark.parametrize("own", ["", "--xla_cpu_enable_concurrency_optimized_scheduler=true"])
def test_what_loses_steps_is_off_where_it_does(tuned, own):
    added = process.LOOPS_ON_ALL_CORES
    expected = [own, added] if own else [added, process.IN_ORDER]
    assert tuned("0.10.2", own).split() == expected


FREED = """
import ctypes
import sys

from jaxdl import process

process.tune()
process.use_compilation_cache()
import jax

libc = ctypes.CDLL(None)
libc.malloc.restype, libc.free.argtypes = ctypes.c_void_p, [ctypes.c_void_p]
size, page = 64 << 10, 4 << 10


def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * page >> 20


pieces = [libc.malloc(size) for _ in range(1601)]
for piece in pieces:
    ctypes.memset(ctypes.c_void_p(piece), 1, size)
told = [resident()]
for piece in pieces[:-1]:  # the last holds all below it in its place
    libc.free(piece)
told += [resident()]
for seconds in (0.01, 9.0):
    jax.monitoring.record_event_duration_secs(process._COMPILED, seconds)
    told += [resident()]
print(*told)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc's own")
def test_memory_that_a_long_compilation_has_freed_goes_back(tmp_path):
    """100 MB in pieces, as a compiler frees them: the process has them until a long one ends."""
    env = {**os.environ, "JAX_COMPILATION_CACHE_DIR": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", FREED], env=env, capture_output=True, text=True, check=True
    )
    before, freed, short, long = map(int, done.stdout.split())
    assert freed > before - 10
    assert short > before - 10
    assert long < before - 80


HUGE = """
import ctypes
import os
import resource

from jaxdl import process

process.use_huge_pages()
process.tune()
libc = ctypes.CDLL(None)
libc.malloc.restype, libc.free.argtypes = ctypes.c_void_p, [ctypes.c_void_p]
size, page = 256 << 20, 4 << 10


def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * page >> 20


faults = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_minflt
told = [resident(), faults()]
block = libc.malloc(size)
ctypes.memset(ctypes.c_void_p(block), 1, size)
told += [resident(), faults()]
libc.free(block)
told += [resident()]
for size, spare in ((24 << 20, lambda: None), (28 << 20, process.spare_memory)):
    spare()
    # It stays in the heap, with room for no larger one, unless it has pages of its own.
    block, behind = libc.malloc(size), libc.malloc(4 << 10)
    ctypes.memset(ctypes.c_void_p(block), 1, size)
    libc.free(block)
    told += [resident()]
print(*told, os.environ["GLIBC_TUNABLES"])
"""


def has_huge_pages() -> bool:
    return process._huge_pages() == "madvise" and process._glibc() >= (2, 35)


@pytest.mark.skipif(not has_huge_pages(), reason="of Linux that gives huge pages to who asks")
@pytest.mark.parametrize("given", ["", "glibc.malloc.perturb=0"])
def test_large_arrays_are_had_in_huge_pages_and_go_back(given):
    done = subprocess.run(
        [sys.executable, "-c", HUGE],
        env={**os.environ, "GLIBC_TUNABLES": given},
        capture_output=True,
        text=True,
        check=True,
    )
    *numbers, tunables = done.stdout.split()
    before, faults, held, more_faults, after, kept, spared = map(int, numbers)
    assert held - before > 250
    assert more_faults - faults < 6_000  # of 65,536 pages of 4 KB
    assert after < before + 10
    assert kept > after + 20
    assert spared < kept + 10
    assert tunables == ":".join(filter(None, [given, "glibc.malloc.hugetlb=1"]))


@pytest.fixture
def restarted(monkeypatch):
    """What the process would be started again with, on a system where that helps."""
    started = []
    monkeypatch.setattr(process.os, "execve", lambda *call: started.append(call))
    monkeypatch.setattr(process.threading, "active_count", lambda: 1)
    monkeypatch.setattr(process.sys, "gettrace", lambda: None)
    monkeypatch.setattr(process, "_huge_pages", lambda: "madvise")
    monkeypatch.setattr(process, "_glibc", lambda: (2, 36))
    monkeypatch.delenv("GLIBC_TUNABLES", raising=False)
    return started


def test_a_process_starts_again_as_it_was_called(monkeypatch, restarted):
    monkeypatch.setattr(process.sys, "orig_argv", ["python", "-X", "dev", "-m", "a", "--b=c d"])
    process.use_huge_pages()
    ((program, arguments, env),) = restarted
    assert program == sys.executable
    assert arguments == [sys.executable, "-X", "dev", "-m", "a", "--b=c d"]
    assert env == {**os.environ, "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"}


@pytest.mark.parametrize(
    "change",
    {
        "started again": lambda m: m.setenv("GLIBC_TUNABLES", "glibc.malloc.hugetlb=1"),
        "refused": lambda m: m.setenv("GLIBC_TUNABLES", "a=b:glibc.malloc.hugetlb=0"),
        "debugged": lambda m: m.setattr(process.sys, "gettrace", lambda: print),
        "threads": lambda m: m.setattr(process.threading, "active_count", lambda: 2),
        "for all": lambda m: m.setattr(process, "_huge_pages", lambda: "always"),
        "for nobody": lambda m: m.setattr(process, "_huge_pages", lambda: "never"),
        "old": lambda m: m.setattr(process, "_glibc", lambda: (2, 31)),
        "another C library": lambda m: m.setattr(process, "_glibc", lambda: ()),
    }.values(),
    ids=["again", "refused", "debugged", "threads", "all", "nobody", "old", "another"],
)
def test_a_process_goes_on_where_a_new_start_would_not_help(monkeypatch, restarted, change):
    change(monkeypatch)
    process.use_huge_pages()
    assert restarted == []


def test_a_process_that_cannot_start_again_goes_on(monkeypatch, restarted):
    def refuse(*_):
        raise OSError("no such interpreter")

    monkeypatch.setattr(process.os, "execve", refuse)
    process.use_huge_pages()
