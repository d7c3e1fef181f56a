"""Where the first NaN or infinity of a computation came from."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import flax
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.extend.core import Literal

from jaxdl.trees import path_name

# Where lines of code say nothing about the user's model.
_LIBRARIES = [Path(library.__file__).parent for library in (jax, flax, optax)]

# Primitives whose body is another program, and where they keep it.
_BODIES = ("jaxpr", "call_jaxpr", "fun_jaxpr")


def first_non_finite(fn: Callable[..., Any], named: dict[str, Any]) -> str | None:
    """Runs ``fn(*named.values())`` one operation at a time until a result is not finite.

    Args:
      fn: a pure function of pytrees.
      named: its arguments, by the names to use in the answer.

    Returns:
      A phrase that names an input, or the operation, the module and the line that made the first
      non-finite value from finite ones; None if all is finite.
    """
    for name, tree in named.items():
        for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
            if _bad(leaf):
                return f"{name}/{path_name(path)} {_shape(leaf)}"
    args = tuple(named.values())
    closed = jax.make_jaxpr(fn)(*args)
    _, found = _walk(closed.jaxpr, closed.consts, jax.tree.leaves(args))
    return found


def _bad(x: Any) -> bool:
    if not hasattr(x, "dtype") or not jnp.issubdtype(x.dtype, jnp.floating):
        return False
    return not bool(np.isfinite(np.asarray(x, np.float32)).all())


def _shape(x: Any) -> str:
    return f"{x.dtype}[{','.join(map(str, x.shape))}]"


def _walk(jaxpr: Any, consts: Any, args: Any) -> tuple[list[Any], str | None]:
    """Evaluates a jaxpr; returns (outputs, None), or ([], where) at the first non-finite result."""
    env: dict[Any, Any] = dict(zip(jaxpr.constvars, consts, strict=True))
    env.update(zip(jaxpr.invars, args, strict=True))
    read = lambda v: v.val if isinstance(v, Literal) else env[v]
    for eqn in jaxpr.eqns:
        values = [read(v) for v in eqn.invars]
        body = next((eqn.params[k] for k in _BODIES if k in eqn.params), None)
        loops = eqn.primitive.name in ("scan", "while", "cond")
        inner = getattr(body, "jaxpr", body)  # a checkpoint's body is not closed
        if inner is not None and not loops and len(inner.invars) == len(values):
            results, found = _walk(inner, getattr(body, "consts", ()), values)
            if found:
                return [], found
        else:
            results = eqn.primitive.bind(*values, **eqn.params)
            results = results if eqn.primitive.multiple_results else [results]
            for result in results:
                if _bad(result) and not any(_bad(v) for v in values):
                    return [], f"the result of {eqn.primitive.name} {_shape(result)}{_place(eqn)}"
        env.update(zip(eqn.outvars, results, strict=True))
    return [read(v) for v in jaxpr.outvars], None


def _place(eqn: Any) -> str:
    """The module and the source line that an equation stems from."""
    module = str(eqn.source_info.name_stack)
    frames = eqn.source_info.traceback.frames if eqn.source_info.traceback else []
    for frame in frames:
        file = Path(frame.file_name)
        if not any(file.is_relative_to(library) for library in _LIBRARIES):
            return f" in {module or 'the step'} ({file.name}:{frame.line_num})"
    return f" in {module}" if module else ""
