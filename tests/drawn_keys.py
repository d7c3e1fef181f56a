"""Which keys a traced program draws by, so that one by which it draws twice is found."""

import itertools
from collections import Counter
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

# Numbers of which it is followed how they were made: what keys are folded with.
_FEW = 64

_CALLS = ("jit", "pjit", "closed_call", "checkpoint", "custom_jvp_call", "custom_vjp_call")


def drawn_twice(program: Any) -> list[str]:
    """The keys, as they were made, by which the program draws more than once.

    Two keys are one where they are made alike: of the same key, by the same operations with the
    same numbers. In a loop a key has to come of what changes from turn to turn. Of the branches of
    a condition each may draw by what the others do. A key that is copied to be an array of keys
    counts too.

    Args:
      program: a Jaxpr, closed or not.
    """
    walk = _Walk()
    walk.program(program, [("given", i) for i in range(len(_inner(program).invars))], ())
    return sorted(f"{n} x {key}" for key, n in walk.drawn.items() if n > 1)


class _Walk:
    """Programs gone through: {how a key was made: how often it was drawn by}, and what was cut."""

    def __init__(self) -> None:
        self.drawn: Counter[Any] = Counter()
        self.split: set[Any] = set()
        self.fresh = itertools.count()

    def program(self, program: Any, given: list, loops: tuple) -> list:
        """How each result was made, from how each argument was."""
        jaxpr = _inner(program)
        made: dict[Any, Any] = {v: ("constant", id(v)) for v in jaxpr.constvars}
        made.update(zip(jaxpr.invars, given, strict=True))
        for eqn in jaxpr.eqns:
            results = self.step(eqn, [_of(v, made) for v in eqn.invars], loops)
            made.update(zip(eqn.outvars, results, strict=True))
        return [_of(v, made) for v in jaxpr.outvars]

    def step(self, eqn: Any, given: list, loops: tuple) -> list:
        name, params = eqn.primitive.name, eqn.params
        if name == "random_bits":
            self.draw(given[0], loops)
        elif name == "random_split":
            self.cut(given[0], str(params["shape"]))
        if name == "scan":
            return self.loop(params["jaxpr"], _constants(params), given, loops)
        if name == "while":
            test, body = params["cond_nconsts"], params["body_nconsts"]
            self.loop(params["cond_jaxpr"], test, given[:test] + given[test + body :], loops)
            return self.loop(params["body_jaxpr"], body, given[test:], loops)
        if name == "cond":
            return self.branches(params["branches"], given[1:], loops)
        if name in _CALLS:
            # Of a function with rules of its own the first is the function.
            inner = next(p for p in params.values() if hasattr(_inner(p), "eqns"))
            return self.program(inner, given, loops)
        how = tuple(sorted((k, str(p)) for k, p in params.items()))
        small = lambda aval: _is_key(aval) or getattr(aval, "size", 0) <= _FEW
        return [
            (name, how, i, *given) if small(v.aval) else ("large", next(self.fresh))
            for i, v in enumerate(eqn.outvars)
        ]

    def draw(self, key: Any, loops: tuple) -> None:
        text, copied = str(key), key[0] == "broadcast_in_dim"
        again = copied or any(loop not in text for loop in loops)
        self.drawn[key] += 2 if again else 1

    def cut(self, key: Any, shape: str) -> None:
        # Cut alike again, the same keys come of it; into another number, or drawn by itself, it
        # gives numbers that are among those of the first.
        if (key, shape) not in self.split:
            self.split.add((key, shape))
            self.drawn[key] += 1

    def loop(self, body: Any, constants: int, given: list, loops: tuple) -> list:
        own = ("turn", next(self.fresh))
        turns = [(*own, i) for i in range(len(given) - constants)]
        self.program(body, given[:constants] + turns, (*loops, f"{own}"[:-1] + ","))
        return [("end", own, i) for i in range(len(_inner(body).outvars))]

    def branches(self, branches: Any, given: list, loops: tuple) -> list:
        before, most, results = self.drawn, Counter(), []
        for branch in branches:
            self.drawn = before.copy()
            results.append(self.program(branch, given, loops))
            most |= self.drawn
        self.drawn = most
        return [("either", *of) for of in zip(*results, strict=True)]


def _of(v: Any, made: Mapping[Any, Any]) -> Any:
    return ("is", str(v.val)) if hasattr(v, "val") else made[v]


def _inner(program: Any) -> Any:
    return getattr(program, "jaxpr", program)


def _constants(scan: Mapping[str, Any]) -> int:
    """How many of a scan's arguments are the same in all turns."""
    if "num_consts" in scan:
        return scan["num_consts"]
    return len(scan["ft_in"].unpack()[0].vals)  # jax 0.12


def _is_key(aval: Any) -> bool:
    return jax.dtypes.issubdtype(getattr(aval, "dtype", np.float32), jax.dtypes.prng_key)
