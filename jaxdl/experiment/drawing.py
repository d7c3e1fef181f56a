"""Initial weights drawn all together: a few programs to compile in place of some for each weight.

A weight's draw is a hundred operations on each element (twenty rounds of Threefry, the inverse of
the error function), which a compiler meets anew for each shape. Here the keys of all weights are
made at once, and what is drawn by them is one array, of which each weight takes its part: the same
bits by the same operations.
"""

import itertools
import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import ClosedJaxpr, Literal

from jaxdl import keys, threefry

# Primitives that call a program: {name: where they keep it}.
_CALLS = {"jit": "jaxpr", "pjit": "jaxpr", "closed_call": "call_jaxpr", "checkpoint": "jaxpr",
          "custom_jvp_call": "call_jaxpr"}  # fmt: skip

# Of one number each, and those that many instructions are compiled for.
_ELEMENTWISE = {
    *("add", "and", "bitcast_convert_type", "convert_element_type", "copy", "div", "max", "min"),
    *("erf_inv", "log", "log1p", "mul", "neg", "or", "shift_right_logical", "sqrt", "sub", "xor"),
}
_DEAR = {"random_bits", "erf_inv", "log", "log1p"}

# Scalars that follow from numbers in the program alone, and so are the same for alike draws.
_SCALAR = {*_ELEMENTWISE, "broadcast_in_dim", "erf", "nextafter", "reshape", "squeeze"}

# Elements that are drawn by one key at a time; each weight is drawn up to a multiple of them. Turns
# that all are drawn in.
_BLOCK, _TURNS = 1024, 4


class _Step(NamedTuple):
    """One operation of a program without calls; values are named by numbers."""

    eqn: Any
    takes: tuple[Any, ...]  # of each operand its number, or a Literal
    gives: tuple[int, ...]

    @property
    def needs(self) -> list[int]:
        """The values that it takes."""
        return _values(self.takes)


class _Draw(NamedTuple):
    """A draw, and what is then done with each of its elements alike, up to its last dear step.

    Attributes:
      steps: `random_bits`, and those behind it; each takes what the one before gives.
      kind: what two draws share that are made by the same operations with the same numbers.
    """

    steps: tuple[_Step, ...]
    kind: tuple


def together(fn: Callable[..., Any]) -> Callable[..., Any]:
    """``fn`` with its draws by keys of `jaxdl.keys` made all together: the same to the bit.

    What is drawn lies in one array first: where weights are split over devices `fn` itself is what
    to compile.

    Args:
      fn: a pure function of pytrees, as one that draws the initial weights of a network.
    """

    def drawn(*args: Any) -> Any:
        closed, shape = jax.make_jaxpr(fn, return_shape=True)(*args)
        out = _Program(closed).run(jax.tree.leaves(args))
        return jax.tree.unflatten(jax.tree.structure(shape), out)

    return drawn


class _Program:
    """A jaxpr without its calls and what nothing needs."""

    def __init__(self, closed: ClosedJaxpr):
        self._names = itertools.count()
        self._constants: dict[int, Any] = {}
        self.inputs = [next(self._names) for _ in closed.jaxpr.invars]
        every: list[_Step] = []
        self.outputs = self._flatten(closed, self.inputs, every)
        self.steps = _needed(every, self.outputs)

    def _flatten(self, program: Any, given: Sequence[Any], steps: list[_Step]) -> list[Any]:
        jaxpr = getattr(program, "jaxpr", program)  # a checkpoint's is not closed
        env: dict[Any, Any] = dict(zip(jaxpr.invars, given, strict=True))
        for v, value in zip(jaxpr.constvars, getattr(program, "consts", ()), strict=True):
            env[v] = next(self._names)
            self._constants[env[v]] = value
        read = lambda v: v if isinstance(v, Literal) else env[v]
        for eqn in jaxpr.eqns:
            takes = tuple(read(v) for v in eqn.invars)
            body = eqn.params.get(_CALLS.get(eqn.primitive.name, ""))
            if body is not None:
                gives = self._flatten(body, takes, steps)
            else:
                gives = tuple(next(self._names) for _ in eqn.outvars)
                steps.append(_Step(eqn, takes, gives))
            env.update(zip(eqn.outvars, gives, strict=True))
        return [read(v) for v in jaxpr.outvars]

    def run(self, args: Sequence[Any]) -> list[Any]:
        env = self._constants | dict(zip(self.inputs, args, strict=True))
        read = lambda v: v.val if isinstance(v, Literal) else env[v]
        draws = _draws(self.steps, self.outputs)
        inside = {step.gives[0] for draw in draws for step in draw.steps}
        waiting = [step for step in self.steps if step.gives[0] not in inside]
        while waiting or draws:
            waiting, folds = _advance(waiting, env, read)
            if folds:
                _fold(folds, env, read)
                continue
            ready = [draw for draw in draws if all(v in env for v in _outside(draw))]
            draws = [draw for draw in draws if draw not in ready]
            alike = defaultdict(list)
            for draw in ready:
                alike[draw.kind].append(draw)
            for same in alike.values():
                env.update(_drawn(same, read))
        return [read(v) for v in self.outputs]


def _values(operands: Iterable[Any]) -> list[int]:
    return [v for v in operands if not isinstance(v, Literal)]


def _needed(steps: Iterable[_Step], outputs: Sequence[Any]) -> list[_Step]:
    needed = {*_values(outputs)}
    kept = []
    for step in reversed([*steps]):
        if step.eqn.effects or not needed.isdisjoint(step.gives):
            needed.update(step.needs)
            kept.append(step)
    return kept[::-1]


def _draws(steps: Sequence[_Step], outputs: Sequence[Any]) -> list[_Draw]:
    """The draws of 32 bits an element by one key of our own, each with what follows it."""
    uses = Counter(v for step in steps for v in step.needs)
    uses.update(_values(outputs))
    taken_by = {v: step for step in steps for v in step.needs}
    scalars = _scalars(steps)
    found = []
    for step in steps:
        if _is_draw(step.eqn):
            chain = [*_chain(step, uses, taken_by, scalars)]
            last = max(i for i, (s, _) in enumerate(chain) if s.eqn.primitive.name in _DEAR)
            found.append(_Draw(*zip(*chain[: last + 1], strict=True)))
    return found


def _is_draw(eqn: Any) -> bool:
    if eqn.primitive.name != "random_bits" or eqn.params["bit_width"] != 32:
        return False
    shape = eqn.params["shape"]
    return (
        keys.is_own(eqn.invars[0].aval)
        and not eqn.invars[0].aval.shape
        and (0 < math.prod(shape) < 2**32)
    )


def _scalars(steps: Sequence[_Step]) -> dict[int, tuple]:
    """{value that is one number, of numbers in the program alone: how it was made}."""
    made: dict[int, tuple] = {}
    for step in steps:
        eqn = step.eqn
        how = [_how(v, made) for v in step.takes]
        if eqn.primitive.name in _SCALAR and eqn.outvars[0].aval.size == 1 and None not in how:
            made[step.gives[0]] = (*_meaning(eqn), *how)
    return made


def _how(v: Any, made: dict[int, tuple]) -> tuple | None:
    if isinstance(v, Literal):
        return (str(v.aval.dtype), repr(v.val)) if v.aval.size == 1 else None
    return made.get(v)


def _meaning(eqn: Any) -> tuple:
    """What an operation does to an element, apart from the shape it does it in."""
    params = {k: str(eqn.params[k]) for k in ("new_dtype", "weak_type") if k in eqn.params}
    return (eqn.primitive.name, *params.items())


def _chain(
    step: _Step, uses: Counter, taken_by: dict[int, _Step], scalars: dict[int, tuple]
) -> Iterator[tuple[_Step, tuple]]:
    """A draw and what each of its elements alone goes through, each with its meaning."""
    yield step, _meaning(step.eqn)
    shape = step.eqn.outvars[0].aval.shape
    while uses[step.gives[0]] == 1 and step.gives[0] in taken_by:
        value, step = step.gives[0], taken_by[step.gives[0]]
        others = ["drawn" if v is value else _how(v, scalars) for v in step.takes]
        elementwise = step.eqn.primitive.name in _ELEMENTWISE
        if not elementwise or None in others or step.eqn.outvars[0].aval.shape != shape:
            return
        yield step, (*_meaning(step.eqn), *others)


def _outside(draw: _Draw) -> set[int]:
    inside = {step.gives[0] for step in draw.steps}
    return {v for step in draw.steps for v in step.needs} - inside


def _advance(
    steps: Sequence[_Step], env: dict[int, Any], read: Callable[[Any], Any]
) -> tuple[list[_Step], list[_Step]]:
    """Computes what can be; returns what cannot yet, and the keys that can be folded into."""
    waiting, folds = [], []
    for step in steps:
        if not all(v in env for v in step.needs):
            waiting.append(step)
        elif _is_fold(step.eqn):
            folds.append(step)
        else:
            with step.eqn.ctx.manager:
                found = _results(step.eqn, [*map(read, step.takes)])
            env.update(zip(step.gives, found, strict=True))
    return waiting, folds


def _is_fold(eqn: Any) -> bool:
    if eqn.primitive.name != "random_fold_in" or any(v.aval.shape for v in eqn.invars):
        return False
    return keys.is_own(eqn.invars[0].aval)


def _results(eqn: Any, operands: Sequence[Any]) -> list[Any]:
    found = eqn.primitive.bind(*operands, **eqn.primitive.get_bind_params(eqn.params))
    return found if eqn.primitive.multiple_results else [found]


def _fold(folds: Sequence[_Step], env: dict[int, Any], read: Callable[[Any], Any]) -> None:
    if len(folds) == 1:
        found = _results(folds[0].eqn, [*map(read, folds[0].takes)])
    else:
        of, numbers = zip(*([*map(read, step.takes)] for step in folds), strict=True)
        numbers = jnp.stack([jnp.asarray(n, jnp.uint32) for n in numbers])
        found = jax.vmap(jax.random.fold_in)(jnp.stack(of), numbers)
    env.update((step.gives[0], key) for step, key in zip(folds, found, strict=True))


def _drawn(draws: Sequence[_Draw], read: Callable[[Any], Any]) -> dict[int, jax.Array]:
    """{what a draw ends in: its array}, of draws of one kind."""
    shapes = [draw.steps[0].eqn.params["shape"] for draw in draws]
    sizes = [math.prod(shape) for shape in shapes]
    block = max(_BLOCK, 1 << (sum(sizes) >> 16).bit_length())
    rows = [-(-size // block) for size in sizes]
    ends = [*itertools.accumulate(rows)]
    which = np.repeat(np.arange(len(draws)), rows)
    first = np.concatenate([np.arange(n, dtype=np.uint32) for n in rows]) * np.uint32(block)
    # A loop, since compilers may do all of it again for each weight that takes a part.
    spare = -len(first) % _TURNS
    turns = lambda x: np.pad(x, (0, spare)).reshape(_TURNS, -1)
    words = jnp.stack([jax.random.key_data(read(draw.steps[0].takes[0])) for draw in draws])
    fill = lambda v, shape: jnp.broadcast_to(jnp.reshape(read(v), ()), shape)

    def turn(at: tuple[jax.Array, jax.Array]) -> jax.Array:
        found = threefry.blocks(words[at[0]], at[1], block)
        for before, step in itertools.pairwise(draws[0].steps):
            operands = [found if v is before.gives[0] else fill(v, found.shape) for v in step.takes]
            (found,) = _results(step.eqn, operands)
        return found

    every = jax.lax.map(turn, (turns(which), turns(first))).reshape(-1, block)
    cut = lambda i: every[ends[i] - rows[i] : ends[i]].reshape(-1)[: sizes[i]].reshape(shapes[i])
    return {draw.steps[-1].gives[0]: cut(i) for i, draw in enumerate(draws)}
