"""Operations whose backward pass is written by hand, with derivatives of both modes and any order.

`jax.custom_vjp` gives a function a fast backward pass and takes forward mode from it. Here the
derivative is one linear operation of its own, between tangents: run backwards (transposed) it is
the given backward pass, run forwards that pass's transpose. All else is plain JAX, so jvp,
linearize, Hessian-vector products in any order of modes, vmap, checkpoint and loops work.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax.custom_derivatives import SymbolicZero, zero_from_primal
from jax.extend.core import Primitive, unmapped_aval
from jax.interpreters import ad, batching, mlir


def with_backward(
    forward: Callable[..., tuple[Any, Any]],
    backward: Callable[..., tuple[Any, ...]],
    *,
    value: Callable[..., Any] | None = None,
    tangent: Callable[..., Any] | None = None,
    static: Sequence[int] = (),
) -> Callable[..., Any]:
    """The function ``forward(...)[0]``, whose derivative in reverse mode is ``backward``.

    Args:
      forward: (*arguments) -> (result, kept): pytrees, the result's leaves floating. What is kept
        is all that a gradient keeps, as of jax.custom_vjp.
      backward: (*static arguments, kept, cotangent of the result) -> a tuple with the cotangent of
        each argument that is not static, None for zeros. Linear in the cotangent and itself
        differentiable by JAX in both modes: derivatives of higher order are the derivatives of
        ``forward`` and ``backward``.
      value: the same as ``forward(...)[0]``, for when nothing is differentiated.
      tangent: (*static arguments, kept, tangents) -> tangent of the result, for forward mode, given
        a tuple with the tangent of each argument that is not static (one array or None), None for
        zeros. The transpose of ``backward``, as JAX makes it, if None.
      static: places of arguments that are no arrays.

    Returns:
      The function. It takes arguments by place.
    """

    @functools.wraps(value or forward)
    def plain(*args):
        return value(*args) if value else forward(*args)[0]

    function = jax.custom_jvp(plain, nondiff_argnums=tuple(static))

    def rule(*given):
        *fixed, primals, tangents = given
        args = list(primals)
        for place, arg in zip(static, fixed, strict=True):
            args.insert(place, arg)
        y, kept = forward(*args)
        pair = _Pair(backward, tangent, tuple(fixed), y, kept, primals, tangents)
        y_dots = _linear.bind(
            *jax.tree.leaves(kept),
            *pair.moving(tangents),
            count=pair.kept_tree.num_leaves,
            forwards=pair.forwards,
            backwards=pair.backwards,
            result=pair.result,
        )
        return y, jax.tree.unflatten(pair.y_tree, y_dots)

    function.defjvp(rule, symbolic_zeros=True)
    return function


def with_reference(kernel: Callable[..., Any], reference: Callable[..., Any]) -> Callable[..., Any]:
    """``kernel``, whose derivatives are ``reference``'s but for the first in reverse mode.

    Kernels of other libraries have a backward pass that nothing can differentiate again, and no
    forward mode.

    Args:
      kernel: (*arguments) -> array, of floating arrays or None; reverse mode once.
      reference: the same by plain JAX.
    """

    def forward(*args):
        tree = None

        @jax.custom_jvp
        def run(*args):
            nonlocal tree
            y, pull = jax.vjp(kernel, *args)
            leaves, tree = jax.tree.flatten(pull)
            return y, leaves

        def rule(primals, tangents):
            y, leaves = run(*primals)
            y_dot = jax.jvp(reference, primals, jax.tree.map(_written_out, tangents))[1]
            # What only `back` uses, which has the reference's derivatives.
            return (y, leaves), (y_dot, [zero_from_primal(x, symbolic_zeros=True) for x in leaves])

        run.defjvp(rule, symbolic_zeros=True)
        y, leaves = run(*args)
        return y, (args, jax.tree.unflatten(tree, leaves))

    def backward(kept, bar):
        args, pull = kept
        return back(args, pull, bar)

    @jax.custom_jvp
    def back(args, pull, bar):
        return pull(bar)

    @back.defjvp
    def _(primals, tangents):
        (args, _, bar), (dots, _, bar_dot) = primals, tangents
        again = lambda args, bar: jax.vjp(reference, *args)[1](bar)
        return back(*primals), jax.jvp(again, (args, bar), (dots, bar_dot))[1]

    def tangent(kept, dots):
        args, _ = kept
        dots = [
            jax.tree.map(jnp.zeros_like, x) if dot is None else dot
            for x, dot in zip(args, dots, strict=True)
        ]
        return jax.jvp(reference, args, tuple(dots))[1]

    return with_backward(forward, backward, value=kernel, tangent=tangent)


def _written_out(tangent: Any) -> Any:
    if isinstance(tangent, SymbolicZero):
        return jnp.zeros(tangent.aval.shape, tangent.aval.dtype)
    return tangent


class _Pair:
    """The two directions of a derivative on flat lists; holds structures, and no array."""

    def __init__(self, backward, tangent, fixed, y, kept, primals, tangents):
        self.backward = functools.partial(backward, *fixed)
        self.tangent = None if tangent is None else functools.partial(tangent, *fixed)
        self.kept_tree = jax.tree.structure(kept)
        ys, self.y_tree = jax.tree.flatten(y)
        self.result = tuple(jax.typeof(leaf) for leaf in ys)
        self.arguments = [jax.tree.structure(x) for x in primals]
        leaves = jax.tree.leaves(primals)
        # Which leaves move: the others, integers among them, have no place in the linear map.
        self.moves = [not _is_zero(dot) for dot in jax.tree.leaves(tangents)]
        self.inputs = [
            jax.typeof(x) if moves else None for x, moves in zip(leaves, self.moves, strict=True)
        ]

    def moving(self, tangents):
        return [x for x in jax.tree.leaves(tangents) if not _is_zero(x)]

    def forwards(self, kept, dots):
        """Tangents of the leaves that move -> of the result's."""
        if self.tangent is None:
            back = functools.partial(self.backwards, kept)
            return jax.linear_transpose(back, list(self.result))(list(dots))[0]
        # An argument is one array, or None.
        dots, moves = iter(dots), iter(self.moves)
        given = tuple(next(dots) if x.num_leaves and next(moves) else None for x in self.arguments)
        return jax.tree.leaves(self.tangent(jax.tree.unflatten(self.kept_tree, kept), given))

    def backwards(self, kept, bars):
        """Cotangents of the result's leaves -> of the leaves that move."""
        kept, bars = jax.tree.unflatten(self.kept_tree, kept), jax.tree.unflatten(self.y_tree, bars)
        leaves = []
        for bar, tree in zip(self.backward(kept, bars), self.arguments, strict=True):
            leaves += [None] * tree.num_leaves if bar is None else tree.flatten_up_to(bar)
        return [
            jnp.zeros(x.shape, x.dtype) if bar is None else bar
            for bar, x in zip(leaves, self.inputs, strict=True)
            if x is not None
        ]


def _is_zero(tangent: Any) -> bool:
    return isinstance(tangent, SymbolicZero) or tangent.dtype == jax.dtypes.float0


# (*kept, *dots) -> forwards(kept, dots), linear in dots, and transposed backwards(kept, ·). The
# first ``count`` operands are kept; ``result`` has the types of what comes out.
_linear = Primitive("linear_with_backward")
_linear.multiple_results = True


@_linear.def_impl
def _evaluate(*operands, count, forwards, backwards, result):
    return forwards(list(operands[:count]), list(operands[count:]))


@_linear.def_abstract_eval
def _types(*operands, count, forwards, backwards, result):
    return result


mlir.register_lowering(_linear, mlir.lower_fun(_evaluate, multiple_results=True))


def _jvp(operands, tangents, *, count, forwards, **params):
    run = functools.partial(_linear.bind, count=count, forwards=forwards, **params)
    y = run(*operands)
    kept, dots = list(operands[:count]), list(operands[count:])
    parts = []
    if any(type(x) is not ad.Zero for x in tangents[count:]):
        parts.append(run(*kept, *map(ad.instantiate_zeros, tangents[count:])))
    moving = [i for i, x in enumerate(tangents[:count]) if not _stays(x)]
    if moving:

        def at(*moved):
            moved = dict(zip(moving, moved, strict=True))
            return forwards([moved.get(i, x) for i, x in enumerate(kept)], dots)

        here, there = ([x[i] for i in moving] for x in (kept, tangents))
        parts.append(jax.jvp(at, here, there)[1])
    return y, [functools.reduce(jnp.add, leaves) for leaves in zip(*parts, strict=True)]


def _stays(tangent) -> bool:
    return type(tangent) is ad.Zero or tangent.dtype == jax.dtypes.float0


def _transpose(bars, *operands, count, backwards, result, **_):
    kept, dots = list(operands[:count]), operands[count:]
    bars = [ad.instantiate_zeros(bar) for bar in bars]
    back = backwards(kept, bars)
    # Zeros that were written out are no unknown.
    asked = [bar if ad.is_undefined_primal(x) else None for bar, x in zip(back, dots, strict=True)]
    return [None] * count + asked


def _batch(operands, axes, *, count, forwards, backwards, result):
    (size, *_) = (x.shape[i] for x, i in zip(operands, axes, strict=True) if i is not None)
    # All that is linear gets the axis, so that both directions have it on both sides.
    dots = [
        jnp.broadcast_to(x, (size, *x.shape)) if axis is None else jnp.moveaxis(x, axis, 0)
        for x, axis in zip(operands[count:], axes[count:], strict=True)
    ]
    over = functools.partial(jax.vmap, in_axes=(list(axes[:count]), 0), axis_size=size)
    y = _linear.bind(
        *operands[:count],
        *dots,
        count=count,
        forwards=over(forwards),
        backwards=over(backwards),
        result=tuple(unmapped_aval(size, 0, x) for x in result),
    )
    return y, [0] * len(y)


ad.primitive_jvps[_linear] = _jvp
ad.primitive_transposes[_linear] = _transpose
batching.primitive_batchers[_linear] = _batch
