"""Losses between the examples of a batch, by name, with the settings that each has."""

import functools
import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax

from jaxdl import losses
from jaxdl.errors import UserError
from jaxdl.losses.metric_learning import MINING, Terms
from jaxdl.parallel import replicas
from jaxdl.per_member import any_on
from jaxdl.registry import choose
from jaxdl.tasks.shared.checks import check_at_least

# (vectors (views·batch, d), labels (batch,), centres or None, weights or None) -> terms (batch,).
TermsFn = Callable[[jax.Array, jax.Array, Any, Any], Terms]


class Kind(NamedTuple):
    """A loss.

    Attributes:
      terms: `TermsFn`, and its own settings as keywords.
      own: these settings, as they come.
      views: that it sees of each example.
      by_class: whether it compares by labels, and so needs several examples of a class in a batch.
      centres: whether it learns a vector a class.
    """

    terms: Callable[..., Terms]
    own: Mapping[str, Any]
    views: int = 1
    by_class: bool = False
    centres: bool = False

    @property
    def among(self) -> bool:
        """Whether examples are compared with one another."""
        return not self.centres


def _by_class(loss: Callable[..., Terms]) -> Callable[..., Terms]:
    return lambda vectors, labels, centres, weights, **own: loss(vectors, labels, weights, **own)


def _of_views(loss: Callable[..., Terms]) -> Callable[..., Terms]:
    def terms(vectors, labels, centres, weights, **own):
        size = len(labels)
        return loss(vectors[:size], vectors[size:], weights, **own)

    return terms


def _arcface(vectors, labels, centres, weights, **own):
    return losses.arcface(vectors, centres, labels, weights, **own)


KINDS = {
    "contrastive": Kind(_by_class(losses.contrastive), dict(margin=1.0), by_class=True),
    "triplet": Kind(
        _by_class(losses.triplet), dict(margin=0.2, mining="semi_hard"), by_class=True
    ),
    "supervised_contrastive": Kind(
        _by_class(losses.supervised_contrastive), dict(temperature=0.1), by_class=True
    ),
    "arcface": Kind(_arcface, dict(margin=0.5, scale=64.0), centres=True),
    "info_nce": Kind(_of_views(losses.info_nce), dict(temperature=0.1), views=2),
    "nt_xent": Kind(_of_views(losses.nt_xent), dict(temperature=0.5), views=2),
}  # fmt: skip


def create(name: str, **given: Any) -> tuple[Kind, TermsFn]:
    """The loss called ``name``, and what it makes of a batch.

    Args:
      name: in `KINDS`.
      **given: settings; 0, or "", leaves the loss's own.

    Raises:
      UserError: no such loss, a setting that it has no use of, or an impossible one.
    """
    kind = choose("loss", name, KINDS)
    set_ = {key: value for key, value in given.items() if value != "" and any_on(value)}
    for key, value in set_.items():
        if key not in kind.own:
            raise UserError(
                f"config.task.{key}={value!r}: loss {name!r} has no use of it; it has "
                f"{', '.join(kind.own)}"
            )
    if "mining" in set_:
        choose("mining", set_["mining"], MINING)
    check_at_least(0, **{key: value for key, value in set_.items() if key != "mining"})
    if "margin" in set_ and name == "arcface" and not set_["margin"] < math.pi / 2:
        raise UserError(f"config.task.margin={set_['margin']} is an angle, and must be below π/2")
    return kind, functools.partial(kind.terms, **{**kind.own, **set_})


def over_devices(
    terms: TermsFn, views: int, vectors: jax.Array, labels: jax.Array, centres: Any, weights: Any
) -> Terms:
    """A batch's terms, each example compared with those of all devices.

    Under `pmap` a step has but its own device's examples: it sees the others' vectors, and counts
    the terms of its own, so that what is added over devices is the loss of the whole batch.
    """
    size = len(labels)
    parts = [replicas.gathered(vectors[i * size : (i + 1) * size]) for i in range(views)]
    whole = jax.numpy.concatenate(parts)
    labels, weights = replicas.gathered((labels, weights))
    return replicas.own_rows(terms(whole, labels, centres, weights), size)
