"""Derivatives of both modes, to second order, held against central differences and each other."""

import operator
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax


def jitted(f):
    """Compiled for one call, in half of the time."""
    return jax.jit(f, compiler_options={"xla_backend_optimization_level": 0})


def direction(tree: Any, seed: int) -> Any:
    """Normal numbers of the tree's shapes and dtypes."""
    rng = np.random.default_rng(seed)
    return jax.tree.map(lambda x: jnp.asarray(rng.normal(size=x.shape), x.dtype), tree)


def inner(a: Any, b: Any) -> jax.Array:
    """The inner product of two trees."""
    return sum(jax.tree.leaves(jax.tree.map(jnp.vdot, a, b)))


def near(got: Any, expected: Any, tolerance: float, what: str) -> None:
    """Leaf by leaf, ``tolerance`` times the largest magnitude of all leaves (or of 1e-3)."""
    got, expected = (jax.tree.leaves(jax.tree.map(np.asarray, x)) for x in (got, expected))
    scale = max([1e-3, *(np.abs(x).max() for x in expected if x.size)])
    for a, b in zip(got, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=tolerance * scale, err_msg=what)


def scalar_of(f: Callable[..., Any]) -> Callable[[Any], jax.Array]:
    """Of a tuple of arguments: a number that depends on every element of ``f``'s results."""

    def scalar(args):
        y = jnp.concatenate([x.reshape(-1) for x in jax.tree.leaves(f(*args))])
        return jnp.sin(y) @ jnp.cos(jnp.arange(y.size, dtype=y.dtype))

    return scalar


def check(f: Callable[..., Any], args: tuple[Any, ...], step: float = 1e-5) -> None:
    """``f``, of trees in float64, in those of JAX's transformations that research code lives on.

    In one program: jvp against differences of ``f``; of a scalar of its results the product of
    Hessian and vector, forward over reverse, against differences of its gradient, against reverse
    over reverse with `jax.checkpoint`, and its symmetry; and all of it by vmap against a loop.
    """

    scalar = scalar_of(f)

    def at(point):
        args, v = point
        values = jax.jvp(lambda args: f(*args), (args,), (v,))
        return *values, *jax.jvp(jax.grad(scalar), (args,), (v,))

    def program(points, args, v):
        kept_little = jax.grad(jax.checkpoint(scalar))
        reverse_over_reverse = jax.grad(lambda args: inner(kept_little(args), v))(args)
        return jax.vmap(at)(points), lax.map(at, points), reverse_over_reverse

    v, w = direction(args, 1), direction(args, 2)
    moved = lambda t: jax.tree.map(lambda x, v: x + t * v, args, v)
    points = [(args, v), (args, w), (moved(step), v), (moved(-step), v)]
    stacked = jax.tree.map(lambda *x: jnp.stack(x), *points)
    got, loop, reverse_over_reverse = jitted(program)(stacked, args, v)
    near(got, loop, 1e-10, "vmap against a loop")
    for leaf in jax.tree.leaves(got):
        assert leaf.dtype == jnp.float64
    here, across, ahead, behind = (jax.tree.map(operator.itemgetter(i), got) for i in range(4))
    (_, y_dot, _, hv), hw = here, across[3]
    slope = lambda i: jax.tree.map(lambda a, b: (a - b) / (2 * step), ahead[i], behind[i])
    near(y_dot, slope(0), 1e-7, "jvp against differences")
    near(hv, slope(2), 1e-6, "forward over reverse against differences")
    near(reverse_over_reverse, hv, 1e-10, "reverse over reverse against forward over reverse")
    assert abs(inner(v, hw) - inner(w, hv)) < 1e-10 * max(1e-3, np.sqrt(inner(hw, hw)))
