"""Set up before jax is imported: the CPU, and compiled programs shared by the test processes."""

import os
from pathlib import Path

import pytest

CACHE = Path(__file__).parent.parent / ".pytest_cache" / "xla"

os.environ.setdefault("JAX_PLATFORMS", "cpu")
# Eight devices, so that any test can run on several; most use one.
os.environ.setdefault("XLA_FLAGS", "--xla_force_host_platform_device_count=8")
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(CACHE))
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "-1")

# Seconds that a training to a published figure may take, where it sets no limit of its own.
SLOW = 3600


def pytest_collection_modifyitems(items):
    for item in items:
        if item.get_closest_marker("slow") and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(SLOW))
