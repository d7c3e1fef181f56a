"""A program, followed from its first equation to its last."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
from jax.extend.core import ClosedJaxpr, Jaxpr, Literal

from jaxdl.anatomy.rules import RULES, elementwise
from jaxdl.anatomy.views import Factor, Layer, Map, Seen, View, both, grouped, plain


class Tracer:
    """Follows a program, and keeps what it meets."""

    def __init__(self) -> None:
        self.layers: list[Layer] = []
        self.products = 0
        self.lost = Map((1, 1), None, True)
        self.maps: list[Map] = []

    def run(self, jaxpr: Jaxpr, views: Sequence[View], name: str) -> list[View]:
        """The views of a program's results from those of its inputs."""
        known = dict(zip(jaxpr.invars, views, strict=True))
        known |= {v: plain(v.aval.shape) for v in jaxpr.constvars}
        read = lambda v: plain(v.aval.shape) if isinstance(v, Literal) else known[v]
        for eqn in jaxpr.eqns:
            found = self._apply(eqn, [read(v) for v in eqn.invars], name)
            known |= dict(zip(eqn.outvars, found, strict=True))
        return [read(v) for v in jaxpr.outvars]

    def _apply(self, eqn: Any, views: list[View], name: str) -> list[View]:
        inner = _inside(eqn)
        name = "/".join(filter(None, (name, str(eqn.source_info.name_stack))))
        if inner is not None:
            # A conditional's first operand says which branch it is.
            return self.run(inner, views[len(views) - len(inner.invars) :], name)
        shapes = [v.aval.shape for v in eqn.invars]
        groups = []
        for view, shape in zip(views, shapes, strict=True):
            found = grouped(view, shape)
            groups.append(found[0] if found else [(Factor(n),) for n in shape])
        # Without the class of the whole, and its methods: ResNet/ResNet._stem/conv.
        self.name = "/".join(part for part in name.split("/")[1:] if "." not in part)
        rule = RULES.get(eqn.primitive.name, elementwise)
        return rule(self, eqn, views, groups)

    def meet(self, kind: str, view: View, size, window, stride, multiply_adds=0) -> None:
        """Keeps a layer."""
        self.layers.append(
            Layer(
                self.name,
                kind,
                tuple(window),
                tuple(stride),
                tuple(size),
                both(view),
                view.whole,
                multiply_adds,
            )
        )


def trace(f: Callable, variables: Any, *inputs: Any) -> Tracer:
    """Follows ``f(variables, *inputs)`` to the end: from an image's pixels, or from texts."""
    jaxpr = jax.make_jaxpr(f)(variables, *inputs).jaxpr
    views = [plain(v.aval.shape) for v in jaxpr.invars]
    if inputs[-1].ndim == 4:
        B, H, W, C = inputs[-1].shape
        views[-1] = View(
            (Factor(B), Factor(H, "y"), Factor(W, "x"), Factor(C)),
            {"y": Seen.plain(1, 0, 1), "x": Seen.plain(1, 0, 1)},
        )
    tracer = Tracer()
    results = tracer.run(jaxpr, views, "")
    tracer.maps = [
        Map(v.aval.shape[1:3], both(view), view.whole)
        for v, view in zip(jaxpr.outvars, results, strict=True)
    ]
    return tracer


def _inside(eqn: Any) -> Jaxpr | None:
    """The program that an equation runs once; of one form a platform that which is written."""
    branches = eqn.params.get("branches")
    if branches is not None:
        own = eqn.params.get("branches_platforms") or ()
        found = [b for b, platforms in zip(branches, own, strict=False) if platforms is None]
        return found[0].jaxpr if found else None
    if eqn.primitive.name in ("scan", "while"):
        return None
    found = [p for p in eqn.params.values() if isinstance(p, Jaxpr | ClosedJaxpr)]
    return getattr(found[0], "jaxpr", found[0]) if found else None
