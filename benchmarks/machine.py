"""What the figures were measured on."""

import os
import platform
import re
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

# Instructions that decide how fast products are, as Linux names them and as makers do.
_FLAGS = {
    "avx2": "AVX2",
    "avx512f": "AVX-512",
    "avx512_bf16": "AVX512_BF16",
    "amx_bf16": "AMX",
    "asimd": "NEON",
    "sve": "SVE",
    "bf16": "BF16",
}


def cores() -> int:
    """Processor cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def processor() -> str:
    """The processor's name, with its widest vector instructions where the system tells."""
    name, words = model(), flags()
    wide = next((word for word in ("AVX-512", "AVX2") if word in words), "")
    return f"{name}, {wide}".strip(", ")


def model() -> str:
    """The processor's name alone."""
    found = re.search(r"^model name\s*: (.*)", _cpuinfo(), re.M)
    return found.group(1).strip() if found else platform.processor() or platform.machine()


def flags(text: str | None = None) -> list[str]:
    """Which of AVX2, AVX-512, AVX512_BF16, AMX and of ARM's NEON, SVE, BF16 the processor has.

    Args:
      text: of /proc/cpuinfo; None is this machine's. Nothing is known on other systems.
    """
    found = re.search(r"^(?:flags|Features)\s*: (.*)", _cpuinfo() if text is None else text, re.M)
    words = set(found.group(1).split()) if found else set()
    return [name for word, name in _FLAGS.items() if word in words]


def about() -> dict[str, Any]:
    """{"processor", "flags", "cores", "python"} of this interpreter and machine."""
    return {
        "processor": model(),
        "flags": flags(),
        "cores": cores(),
        "python": platform.python_version(),
    }


def with_jax() -> dict[str, Any]:
    """`about`, and {"jax": {"jax": its version}}, without an import of it."""
    return {**about(), "jax": {"jax": metadata.version("jax")}}


def peak_memory() -> int | None:
    """Bytes of this process that were in memory at once at most, since it began; None if unknown.

    Its own: not those of helpers that it started, nor of the process that started it.
    """
    try:
        found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    except OSError:
        found = None
    if found:
        return 1024 * int(found.group(1))
    try:
        import resource
    except ImportError:  # Windows
        return None
    return resident(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)


def resident(maxrss: int) -> int:
    """Bytes of a ``ru_maxrss``, which counts kilobytes, but bytes on a Mac."""
    return maxrss if sys.platform == "darwin" else 1024 * maxrss


def _cpuinfo() -> str:
    try:
        return Path("/proc/cpuinfo").read_text()
    except OSError:
        return ""


def say_if_busy() -> None:
    """Tells, on standard error, that others are at work, which ratios of seconds suffer from."""
    if (load := os.getloadavg()[0]) > 0.5:
        print(
            f"other programs are busy (load {load:.1f}): with several threads PyTorch then waits "
            "for itself, and ratios of seconds mean little; --threads=1 bears it better",
            file=sys.stderr,
        )
