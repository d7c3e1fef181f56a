"""How a checkpoint becomes a module's variables: another head, another image size, float32."""

import functools
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from jaxdl import keys, models
from jaxdl.errors import UserError
from jaxdl.pretrained import darknet
from jaxdl.pretrained import fit as fits
from jaxdl.pretrained.architecture import Architecture, by_name, is_under, name_of
from jaxdl.pretrained.catalog import FREE, Chosen
from jaxdl.pretrained.differences import compare, complain
from jaxdl.pretrained.mapping import Shape


def read(
    chosen: Chosen,
    found: fits.Found,
    where: str,
    num_classes: int | None,
    image_size: int | None,
    fields: Mapping[str, Any],
) -> tuple[nn.Module, Any]:
    """`jaxdl.pretrained.load`, once the file is open."""
    given = fields if num_classes is None else {**fields, "num_classes": num_classes}
    architecture, size = chosen.architecture, chosen.image_size
    told = {} if architecture.told is None else architecture.told(found)
    module = models.create(chosen.model, **{**chosen.fields, **told, **given})
    # Tracing a deep module takes longer than reading its weights.
    abstract = functools.cache(lambda classes, size: architecture.abstract(module, size))
    ours = getattr(module, "num_classes", None)
    shapes = _shapes(abstract(ours, size))
    if isinstance(found, darknet.DarknetFile):
        found = found.named(architecture, module, shapes)
    fit = fits.best(architecture, module, shapes, found)
    namesake = chosen.namesakes.get(fit.naming)
    if namesake is not None and not found.is_own and not set(given).difference(FREE):
        return read(namesake, found, where, num_classes, image_size, fields)
    shown = architecture.image_size and architecture.image_size(fit.tensor_shapes(found))
    if shown and shown != size:
        size, shapes = shown, _shapes(abstract(ours, shown))
    if image_size is not None and (taken := architecture.takes(module)) != "images":
        raise UserError(f"image_size={image_size}: model {architecture.model!r} takes {taken}")
    there = fits.classes(architecture, fit, shapes, found, module)
    of_another_kind = _has_another_head(chosen, fit, found, fields)
    if num_classes is None and not of_another_kind and there not in (None, ours):
        ours, module = there, module.copy(num_classes=there)
        shapes = _shapes(abstract(ours, size))
    keeps_head = num_classes in (None, there) and not of_another_kind
    may_lack = (*architecture.optional, *(() if keeps_head else architecture.neck))
    lacking = tuple(part for part in may_lack if not fit.has(part, found))
    is_new = lambda name: (not keeps_head and architecture.in_head(name)) or is_under(name, lacking)
    fit = fit.without(is_new)
    unread = [] if keeps_head and ours else fits.head_tensors(architecture, fit.table)
    fit.check(shapes, found, where, unread)
    size = image_size or size
    wanted = abstract(ours, size)
    resizers = _resizers(architecture, shapes, _shapes(wanted), is_new, size)
    flat = {}
    for name, array in fit.read(shapes, found):
        if name in resizers:
            array = resizers[name](array)
        flat[name] = _on_device(array)
    if any(map(is_new, shapes)):
        flat |= _initial(module, architecture.inputs(module, size), is_new)
    return module, jax.tree.map_with_path(lambda path, _: flat[name_of(path)], wanted)


def _on_device(array: np.ndarray) -> jax.Array:
    """An array that nothing else changes.

    Where its memory lies as a device wants it jax takes it as it is, else it makes a copy, one. A
    piece of a file, which may change, is read-only.
    """
    array = array if array.flags.writeable else np.array(array)
    # What is waited for is done with: a file's tensors are not all in memory twice.
    return jax.device_put(array).block_until_ready()


def _has_another_head(
    chosen: Chosen, fit: fits.Fit, found: fits.Found, fields: Mapping[str, Any]
) -> bool:
    """Whether a kind of head is asked for that the file does not have."""
    asked = {k: v for k, v in fields.items() if k in chosen.architecture.head_fields}
    differs = any(chosen.fields.get(k, v) != v for k, v in asked.items())
    known = chosen.architecture.head
    return differs or bool(asked and not any(fit.has(part, found) for part in known))


def _shapes(variables: Any) -> dict[str, Shape]:
    return {name: x.shape for name, x in by_name(variables).items()}


def _resizers(
    architecture: Architecture,
    shapes: Mapping[str, Shape],
    wanted: Mapping[str, Shape],
    is_new: Callable[[str], bool],
    size: int | None,
) -> dict[str, Callable[[np.ndarray], np.ndarray]]:
    """What is to be done to parameters that should have another shape than the file's."""
    resizers, rest = {}, {}
    for name, shape in wanted.items():
        resize = architecture.resizer(name)
        if resize is not None and shape != shapes[name]:
            resizers[name] = lambda x, to=shape, resize=resize: resize(x, to)
        elif not is_new(name):
            rest[name] = shape
    what = f"model {architecture.model!r} cannot be brought to image_size={size}"
    complain(what, *compare(rest, {name: shapes[name] for name in rest}))
    return resizers


def _initial(
    module: nn.Module, inputs: tuple, is_new: Callable[[str], bool]
) -> dict[str, jax.Array]:
    """The new ones of ``module.init`` with key 0; only they are computed."""

    def initial() -> dict[str, jax.Array]:
        example = [jnp.zeros(x.shape, x.dtype) for x in inputs]
        variables = by_name(module.init(keys.root(0), *example))
        return {name: x for name, x in variables.items() if is_new(name)}

    return jax.jit(initial)()
