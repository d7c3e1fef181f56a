"""jax_enable_x64, as research code often has it, and what became of it."""

import contextlib
import gc

import jax
import numpy as np


@contextlib.contextmanager
def wide():
    """As environment variables would have it, for all threads; NaN and leaked tracers raise."""
    settings = ("jax_enable_x64", "jax_debug_nans", "jax_check_tracer_leaks")
    before = {name: getattr(jax.config, name) for name in settings}
    # Looking for leaks collects garbage each time, and what is there already cannot leak.
    gc.freeze()
    try:
        for name in settings:
            jax.config.update(name, True)
        yield
    finally:
        gc.unfreeze()
        for name, value in before.items():
            jax.config.update(name, value)


def numbers_of_64_bits(tree) -> int:
    """How many numbers of a tree of arrays, or of shapes, take 64 bits."""
    return sum(x.size for x in jax.tree.leaves(tree) if x.dtype in (np.float64, np.int64))
