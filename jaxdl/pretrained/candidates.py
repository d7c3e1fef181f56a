"""Which of the things that a training program saved are the tensors of a model."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple, TypeVar

from jaxdl.errors import UserError
from jaxdl.pretrained import stand_ins
from jaxdl.pretrained.differences import first_ten

Tensor = TypeVar("Tensor")

# How deep mappings are looked through, and where the outermost one stands.
_DEPTH, TOP = 6, "."

# A mapping of fewer tensors than this share of the largest one's is part of a loss, a callback or
# a statistic.
_SHARE = 0.25


class Model(NamedTuple):
    """A mapping of tensors by name.

    Attributes:
      tensors: by name.
      others: what else the mapping has, {name: the kind of thing}.
    """

    tensors: Mapping[str, Any]
    others: Mapping[str, str]


def choose(found: Any, tensor: type, checkpoint_key: str | None) -> Model:
    """The one model in what was saved.

    Args:
      found: what was saved: mappings in mappings, `stand_ins.StandIn`s among them.
      tensor: the type of tensors; they have ``is_floating``.
      checkpoint_key: under which key it stands, behind those of the mappings around it, with dots
        between; "." for the outermost mapping. Or what its tensors' names begin with, where a
        mapping has those of several modules. None where there is only one.

    Raises:
      UserError: there is none, there are several, or none of that key; begins with a verb.
    """
    everything = dict(_mappings(found, tensor))
    sizes = {key: sum(x.is_floating for x in m.tensors.values()) for key, m in everything.items()}
    least = max(sizes.values(), default=0) * _SHARE
    models = [key for key, size in sizes.items() if size >= max(least, 1)]
    if checkpoint_key is not None:
        if checkpoint_key in everything:
            return everything[checkpoint_key]
        parts = {key: under(m.tensors, checkpoint_key) for key, m in everything.items()}
        parts = {key: names for key, names in parts.items() if names}
        if len(parts) == 1:
            ((key, names),) = parts.items()
            tensors, others = everything[key]
            others = {k: others[k] for k in under(others, checkpoint_key)}
            return Model({name: tensors[name] for name in names}, others)
        known = first_ten(models) if models else "none"
        raise UserError(f"has no tensors under checkpoint_key={checkpoint_key!r}; there is {known}")
    if len(models) > 1:
        raise UserError(
            f"holds {len(models)} models, {first_ten(models)}: "
            f"say which, by --config.pretrained.checkpoint_key={models[0]} say, or checkpoint_key "
            "of pretrained.load"
        )
    if models:
        return everything[models[0]]
    if everything:  # of whole numbers alone
        return next(iter(everything.values()))
    raise UserError(_empty(found))


def under(names: Iterable[str], checkpoint_key: str) -> list[str]:
    """The names that begin with a key, and go on behind a dot or a slash."""
    starts = (f"{checkpoint_key}.", f"{checkpoint_key}/")
    return [name for name in names if name.startswith(starts)]


def _mappings(found: Any, tensor: type) -> Iterator[tuple[str, Model]]:
    """All mappings with tensors in them, by key, but for those of optimizers."""
    waiting, seen = [((), found)], set()
    while waiting:
        path, x = waiting.pop(0)
        # An optimizer's has tensors for each parameter.
        if not isinstance(x, dict) or id(x) in seen or "param_groups" in x:
            continue
        seen.add(id(x))
        tensors = {str(k): v for k, v in x.items() if isinstance(v, tensor)}
        if tensors:
            others = {str(k): v for k, v in x.items() if not isinstance(v, tensor)}
            others = {k: stand_ins.kind(v) for k, v in others.items()}
            yield ".".join(path) or TOP, Model(tensors, others)
        if len(path) < _DEPTH:
            inner = [(k, v) for k, v in x.items() if isinstance(k, str) and isinstance(v, dict)]
            waiting += [((*path, k), v) for k, v in inner]


def _empty(found: Any) -> str:
    if not isinstance(found, dict) or isinstance(found, stand_ins.StandIn):
        held = f"a {stand_ins.kind(found)}"
    else:
        held = first_ten(list(_leaves(found))) or "nothing"
    return (
        f"holds no tensors by name, but {held}, and nothing is executed here: write it by "
        "torch.save(model.state_dict(), path)"
    )


def _leaves(found: Mapping[Any, Any], depth: int = _DEPTH) -> Iterator[str]:
    for key, x in found.items():
        if isinstance(x, dict) and x and depth:
            yield from (f"{key}.{name}" for name in _leaves(x, depth - 1))
        else:
            yield f"{key} ({stand_ins.kind(x)})"
