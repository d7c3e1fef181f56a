"""What the launcher sets up before jax is imported."""

import os
import subprocess
import sys

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


@pytest.mark.parametrize(
    ("before", "after"),
    {
        "none": ("", process.LOOPS_ON_ALL_CORES),
        "others": ("--xla_a=1", f"--xla_a=1 {process.LOOPS_ON_ALL_CORES}"),
        "the user's own": ("--xla_backend_extra_options=b=2", "--xla_backend_extra_options=b=2"),
    }.values(),
    ids=["none", "others", "own"],
)
def test_flags_of_the_user_stay(monkeypatch, before, after):
    monkeypatch.setenv("XLA_FLAGS", before)
    monkeypatch.setattr(process.gc, "set_threshold", lambda *_: None)
    monkeypatch.setattr(process.atexit, "register", lambda *_: None)
    monkeypatch.setattr(process.sys, "platform", "other")
    process.tune()
    assert os.environ["XLA_FLAGS"] == after


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
