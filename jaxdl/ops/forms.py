"""Which form of an operation runs where: one meaning, a plain reference, and faster forms of it.

What runs is decided when a program is lowered, for the platform that it is lowered for: a plan for
a TPU that is made on a laptop holds the TPU's forms.
"""

import contextlib
import contextvars
import os
from collections.abc import Callable, Iterator
from typing import Any

import jax
from jax import lax

_reference_only = contextvars.ContextVar("reference_only", default=False)


def is_open(*sizes: Any) -> bool:
    """Whether one of them is open, as a dimension of `jax.export` is."""
    return not all(isinstance(size, int) for size in sizes)


def uses_references() -> bool:
    """Whether every operation runs as its reference: JAXDL_OPS=reference, or in `references`."""
    return _reference_only.get() or os.environ.get("JAXDL_OPS") == "reference"


@contextlib.contextmanager
def references() -> Iterator[None]:
    """Within it every operation is its plain reference, so that any result can be checked.

        with jaxdl.ops.references():
            expected = jax.jit(f)(x)

    Compiled programs are forgotten on the way in and out: what is kept of them has the other forms.
    """
    before = _reference_only.set(True)
    jax.clear_caches()
    try:
        yield
    finally:
        _reference_only.reset(before)
        jax.clear_caches()


def by_platform(
    reference: Callable[..., Any],
    *operands: Any,
    cpu: Callable[..., Any] | None = None,
    gpu: Callable[..., Any] | None = None,
    tpu: Callable[..., Any] | None = None,
) -> Any:
    """``reference(*operands)``, by the form that is meant for the platform, if there is one.

    Differentiated as it stands it keeps what the backward pass of *every* form needs. An operation
    with a backward pass of its own therefore calls this inside `derivatives.with_backward`, once
    each way.

    Args:
      reference: the meaning, in a few plain lines.
      *operands: pytrees of arrays; what is not an array belongs in a closure.
      cpu: computes the same; None for the reference.
      gpu: as cpu.
      tpu: as cpu.
    """
    forms = {"cpu": cpu, "cuda": gpu, "rocm": gpu, "tpu": tpu}
    forms = {platform: form for platform, form in forms.items() if form is not None}
    if not forms or uses_references():
        return reference(*operands)
    return lax.platform_dependent(*operands, default=reference, **forms)
