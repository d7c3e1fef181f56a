"""What the launcher sets up on the machine it runs on; an import of jaxdl touches none of it."""

import atexit
import collections
import contextlib
import ctypes
import functools
import gc
import math
import os
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from jaxdl import paths

_IMPORTED = time.monotonic()
_compiled: collections.Counter[str] = collections.Counter()

# glibc's mallopt parameters (malloc.h).
_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_THRESHOLD, _M_MMAP_MAX, _M_ARENA_MAX = -1, -2, -3, -4, -8
# Bytes from which an array has pages of its own, if huge ones: those that go back when it is freed.
_LARGE, _LARGE_OF_INFERENCE = 32 << 20, 16 << 20
# Whether Linux gives huge pages to who asks ("madvise"), to all ("always") or to nobody.
_HUGE_PAGES = Path("/sys/kernel/mm/transparent_hugepage/enabled")
# glibc asks for them from 2.35 on, if it is told so before the process starts.
_TUNABLES, _ASKED = "GLIBC_TUNABLES", "glibc.malloc.hugetlb"

# What other versions of XLA do not know they ignore.
LOOPS_ON_ALL_CORES = "--xla_backend_extra_options=xla_cpu_small_while_loop_byte_threshold=1024"
# jax 0.10 alone loses a step's end with it: `tune` says when.
IN_ORDER = "--xla_cpu_enable_concurrency_optimized_scheduler=false"

# Seconds of a compilation behind which its memory goes back to the system, which takes .01 to .02,
# and of the lowering before it, behind which what is free does: the compiler has use for little of
# that, as its threads have heaps of their own.
_LONG = {
    "/jax/core/compile/backend_compile_duration": 0.3,
    "/jax/core/compile/jaxpr_to_mlir_module_duration": 0.1,
}
_tuned = _huge = False

# Objects made before Python looks for garbage, and how many such looks before it looks farther.
GARBAGE = (50_000, 10, 10)


def use_huge_pages() -> None:
    """Starts this process again, as it was called, with memory in pages of 2 MB; call it first.

    XLA on a CPU allocates its temporaries anew on every call, and glibc hands large ones back to
    the system each time: in pages of 4 KB that is tens of thousands of page faults a step, in huge
    ones a few hundred. So whole training steps are 1.1 to 1.2 times faster and nothing freed is
    kept: a ResNet-18 of 1.4 GB took 3.1 where `tune` had to keep it (two threads of an Intel Xeon,
    jax 0.12.0.1).

    Process id, open files and environment stay; it takes 20 ms. Nothing is done where it would not
    help (other systems and C libraries, glibc before 2.35, huge pages for all or for nobody), where
    a debugger or profiler is at work, or where the user's GLIBC_TUNABLES name
    ``glibc.malloc.hugetlb`` (as ``=0``, to do without).
    """
    watched = sys.gettrace() or sys.getprofile() or threading.active_count() > 1
    if watched or _asked() is not None or _huge_pages() != "madvise" or _glibc() < (2, 35):
        return
    before = os.environ.get(_TUNABLES)
    tunables = ":".join(filter(None, [before, f"{_ASKED}=1"]))
    with contextlib.suppress(OSError):
        arguments = [sys.executable, *sys.orig_argv[1:]]
        os.execve(sys.executable, arguments, {**os.environ, _TUNABLES: tunables})


def _asked() -> str | None:
    """What the process' GLIBC_TUNABLES say of huge pages."""
    tunables = os.environ.get(_TUNABLES, "").split(":")
    return dict(each.partition("=")[::2] for each in tunables).get(_ASKED)


def _huge_pages() -> str:
    try:
        return _HUGE_PAGES.read_text().partition("[")[2].partition("]")[0]
    except OSError:  # another system, or one that was built without them
        return "never"


def _glibc() -> tuple[int, ...]:
    """Its version; () of another C library."""
    try:
        _, version = os.confstr("CS_GNU_LIBC_VERSION").split()
        return tuple(map(int, version.split(".")))
    except (AttributeError, OSError, ValueError):
        return ()


def tune() -> None:
    """Keeps freed memory that is had anew at once; call before jax is imported.

    With huge pages, after `use_huge_pages` or where the system has them for all, arrays of 32 MB
    and more go back when they are freed, and smaller ones stay with the process. Without them all
    that was freed stays, for the page faults' sake, which leaves memory at its peak and more. One
    arena for each core that compiles: with a single one, the compiler's threads wait for each
    other, 1.2 times as long in all. Other platforms' allocators are left alone.

    Tracing makes millions of small objects and little garbage: Python looks for it 70 times less
    often than by default, which is a tenth of the time to the first update. Nor is what is left at
    the end looked through: the system takes back all memory at once.

    From jax 0.12 on XLA compiles a loop on a CPU for one core if its turn reads and writes less
    than 1 GiB; here from 1 KiB on all cores take part in it, as before: a token of T5 small takes
    .7 of the time. XLA_FLAGS that name ``xla_backend_extra_options`` stay as they are.

    With jax 0.10 XLA's scheduler for concurrency is turned off: four A2C learners of CartPole as
    one program never came back from their first call in three of three starts with nothing
    compiled, and of ten without it all went on (jaxlib 0.10.2, 2 cores); of jax 0.12 all did.
    """
    # Nothing of jax: it takes 5 ms, where importlib.metadata would take 20 of every start.
    import jaxlib

    _add_xla_flag(LOOPS_ON_ALL_CORES)
    if jaxlib.__version__.startswith("0.10."):
        _add_xla_flag(IN_ORDER)
    gc.set_threshold(*GARBAGE)
    atexit.register(gc.freeze)
    global _tuned, _huge
    if not sys.platform.startswith("linux"):
        return
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):  # another C library
        return
    given = _huge_pages()
    _huge = given == "always" or (given == "madvise" and _asked() in ("1", "2"))
    for parameter, value in (
        (_M_ARENA_MAX, min(max(os.cpu_count() or 2, 2), 8)),
        (_M_MMAP_THRESHOLD, _LARGE) if _huge else (_M_MMAP_MAX, 0),
        (_M_TRIM_THRESHOLD, -1),
        (_M_TOP_PAD, 64 << 20),
    ):
        mallopt(parameter, value)
    _tuned = True


def spare_memory() -> None:
    """Has arrays of 16 MB and more go back when they are freed, not of 32, where pages are huge.

    For programs that take tenths of a second, and of which several take turns: what one leaves free
    is in pieces that the next cannot use. Whisper tiny heard a minute six times with 592 MB at most
    and 646 (two processes) in place of 661 and 674, compilation and libraries among them (jax
    0.12.0.1, AMD EPYC). A step of training of a few milliseconds would wait for the pages.
    """
    if _tuned and _huge:
        ctypes.CDLL(None).mallopt(_M_MMAP_THRESHOLD, _LARGE_OF_INFERENCE)


def _add_xla_flag(flag: str) -> None:
    """Adds ``--name=value`` to XLA_FLAGS, which name no other value of it."""
    if flag.partition("=")[0].lstrip("-") not in os.environ.get("XLA_FLAGS", ""):
        _append_xla_flag(flag)


def _append_xla_flag(flag: str) -> None:
    """Adds ``--name=value`` to XLA_FLAGS; of a flag that is given twice the last counts."""
    os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {flag}".strip()


def choose_platform(argv: Sequence[str]) -> None:
    """Sets the platform that ``--topology`` in ``argv`` asks for; call before jax is imported.

    A plan for other devices computes nothing, so that it stays on the CPU: it must not take the TPU
    or GPU of a run. ``cpu:N`` makes N host devices, which can only be done here.
    """
    # As `jaxdl.launch.flags` reads it; flags may be given as --flag=value or --flag value.
    words = [word for a in argv for word in a.lstrip("-").split("=", 1)]
    planned = "plan" in words and "topology" in words
    topology = words[words.index("topology") + 1 :][:1] if planned else []
    if not topology or not topology[0] or "jax" in sys.modules:
        return
    os.environ["JAX_PLATFORMS"] = "cpu"
    kind, _, count = topology[0].partition(":")
    if kind == "cpu" and count.isdigit():
        _append_xla_flag(f"--xla_force_host_platform_device_count={count}")


def seconds_since_start() -> float:
    """Seconds since this process was started: since the command, imports and all.

    Where the system does not tell (it does on Linux), since this module was imported.
    """
    try:
        # Field 22 of stat, in clock ticks since boot; the name before it may hold spaces.
        fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
        started = int(fields[19]) / os.sysconf("SC_CLK_TCK")
        return time.clock_gettime(time.CLOCK_BOOTTIME) - started
    except (OSError, AttributeError, ValueError, IndexError):
        return time.monotonic() - _IMPORTED


def cache_folder() -> Path:
    """The user's folder for compiled programs: $JAXDL_CACHE, or jaxdl in the usual cache folder."""
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(paths.expanded(os.environ.get("JAXDL_CACHE") or f"{base}/jaxdl"))


def use_compilation_cache() -> None:
    """Keeps compiled programs, so that the second start of a run compiles nothing.

    A folder that JAX_COMPILATION_CACHE_DIR names is used as it is. After `tune` the memory that is
    free before a long compilation, and what it took, go back to the system.
    """
    import jax

    folder = jax.config.jax_compilation_cache_dir or str(cache_folder() / "xla")
    jax.config.update("jax_compilation_cache_dir", paths.expanded(folder))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
    _listen()


@functools.cache
def _listen() -> None:
    """Counts what jax tells of its caches, and gives back what is free around a long compilation.

    Behind it that is 100 MB and more, in pieces: larger arrays, as programs want them, find no room
    there.
    """
    import jax

    jax.monitoring.register_event_listener(lambda event, **_: _compiled.update([event]))
    if not _tuned:
        return
    trim = ctypes.CDLL(None).malloc_trim

    def give_back(event: str, seconds: float, **_: object) -> None:
        if seconds > _LONG.get(event, math.inf):
            trim(0)

    jax.monitoring.register_event_duration_secs_listener(give_back)


def options_to_run_once() -> dict[str, int]:
    """Compiler options of `jax.jit` for a program that runs once, and compiles longer than it runs.

    On a CPU, with less of LLVM's optimisation, the U-Net's initial weights take 1.3 s of processor
    time in place of 2.0, and 5.9 in place of 14.8 where each is drawn by itself, to the same bits.
    Other platforms compile them as they are.
    """
    import jax

    return {"xla_backend_optimization_level": 1} if jax.default_backend() == "cpu" else {}


def programs_compiled() -> int:
    """Programs that this process compiled, since no earlier one had left them in the cache."""
    return _compiled["/jax/compilation_cache/cache_misses"]
