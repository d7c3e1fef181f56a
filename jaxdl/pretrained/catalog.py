"""The architectures whose checkpoints are known, and what libraries call their models."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from flax import linen as nn

from jaxdl import models
from jaxdl.data.preprocess import Preprocess
from jaxdl.errors import UserError, nearest
from jaxdl.pretrained.architecture import Architecture, Published
from jaxdl.registry import Registry

_registry = Registry("architecture", "jaxdl.pretrained")
register = _registry.register


# Fields that a published model may have otherwise and still be that model.
FREE = ("num_classes", "dropout", "drop_path", "remat", "dtype", "parent", "name")


class Chosen(NamedTuple):
    """A model to be made, and what is known of it.

    Attributes:
      architecture: whose checkpoints it has.
      model: its name in `jaxdl.models`.
      fields: in place of that name's own.
      image_size: that it was published for, if known.
      namesakes: by library, models that it calls so and that have other fields.
    """

    architecture: Architecture
    model: str
    fields: dict[str, Any]
    image_size: int | None = None
    namesakes: Mapping[str, "Chosen"] = {}


def architectures() -> list[Architecture]:
    """All of them, sorted by name."""
    return [_registry.get(name) for name in _registry.names()]


def of(module: nn.Module) -> Architecture:
    """The architecture whose model a module is; UserError if there is none."""
    known = architectures()
    for architecture in known:
        if type(module) is type(models.create(architecture.model)):
            return architecture
    names = ", ".join(architecture.model for architecture in known)
    raise UserError(
        f"no published checkpoints are known for a {type(module).__name__}: one of {names}"
    )


def of_type(model_type: Any, where: str) -> Architecture:
    """The architecture that transformers calls so; UserError if there is none."""
    # Most are called as here: then the others, and what they import, can wait.
    if isinstance(model_type, str) and _registry.knows(model_type):
        architecture = _registry.get(model_type)
        if model_type in architecture.model_types:
            return architecture
    known = {name: a for a in architectures() for name in a.model_types}
    if model_type not in known:
        near = nearest(str(model_type), known)
        raise UserError(f"{where}: no architecture for model_type {str(model_type)!r}: {near}")
    return known[model_type]


def chosen(name: str) -> Chosen:
    """The model that is called so here, or else in a library.

    Raises:
      UserError: there is none; the nearest names are told.
    """
    if models.knows(name):
        namesakes = {
            library: _chosen(architecture, published)
            for library, architecture, theirs, published in _published()
            if theirs == name and (published.model != name or published.fields)
        }
        return Chosen(of(models.create(name)), name, {}, _size(name), namesakes)
    if found := library_model(name):
        return found
    known = {*models.names(), *(theirs for _, _, theirs, _ in _published())}
    raise UserError(f"unknown model {name!r}: {nearest(name, known)}")


def library_model(name: str, library: str | None = None) -> Chosen | None:
    """The model that a library calls so, or any of them.

    timm's names may end in a dot and what the weights were trained on.
    """
    for whole in (name, name.partition(".")[0]):
        for naming, architecture, theirs, published in _published():
            if theirs == whole and library in (None, naming):
                return _chosen(architecture, published)
    return None


def _chosen(architecture: Architecture, published: Published) -> Chosen:
    fields, size = dict(published.fields), published.preprocess.size
    return Chosen(architecture, published.model, fields, size)


def preprocess(model: str) -> Preprocess:
    """How images are prepared for a published model.

    Args:
      model: its name in `jaxdl.models`, or in one of the libraries.

    Raises:
      UserError: no library publishes weights of such a model; the nearest names are told.
    """
    for name in (model, model.partition(".")[0]):
        for library, _, theirs, published in _published():
            if name in (theirs, published.model):
                is_floored = library.startswith("transformers")
                return published.preprocess._replace(floor_cut=is_floored)
    known = {name for _, _, theirs, p in _published() for name in (theirs, p.model)}
    raise UserError(f"no published model {model!r}: {nearest(model, known)}")


def _size(model: str) -> int | None:
    """Of the images of the first published model that is one of ours as it stands."""
    sizes = (p.preprocess.size for *_, p in _published() if (p.model, *p.fields) == (model,))
    return next(sizes, None)


def _published() -> Iterator[tuple[str, Architecture, str, Published]]:
    """(library, architecture, the library's name, what it is) of all published models."""
    for architecture in architectures():
        for library, naming in architecture.namings.items():
            for theirs, published in naming.models.items():
                yield library, architecture, theirs, published
