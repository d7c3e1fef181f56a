"""What the figures were measured on."""

import os
import platform
import re
from pathlib import Path


def cores() -> int:
    """Processor cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def processor() -> str:
    """The processor's name, with its widest vector instructions where the system tells."""
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return platform.processor() or platform.machine()
    name = re.search(r"model name\s*: (.*)", text)
    flags = re.search(r"flags\s*: (.*)", text)
    found = name.group(1).strip() if name else platform.machine()
    words = flags.group(1).split() if flags else []
    wide = next((w for w in ("avx512f", "avx2") if w in words), "")
    return f"{found}, {wide.replace('avx512f', 'AVX-512').replace('avx2', 'AVX2')}".strip(", ")
