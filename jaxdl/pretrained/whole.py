"""Runs of a network that begins whole with weights from elsewhere: a run's, or published ones.

What makes pictures larger has a last part that is of one scale. For another scale that part is
drawn anew, and all else is kept: so Lim et al. (2017) begin x3 and x4 with what has learned x2.
"""

import functools

import jax
import numpy as np
from etils import epath
from flax import linen as nn
from ml_collections import ConfigDict

from jaxdl import config as settings
from jaxdl import keys, models, pretrained
from jaxdl.errors import UserError
from jaxdl.pretrained.architecture import by_name, is_under
from jaxdl.pretrained.transfer import (
    Start,
    Weights,
    begun,
    refuse,
    stamp,
    weights_of_run,
    without,
)


def create(config: ConfigDict, module: nn.Module) -> Start:
    """How a run of ``module`` with `config.pretrained.source` begins.

    Args:
      config: all settings.
      module: that learns, of pictures (batch, h, w, channels), with ``scale`` and ``of_scale``, the
        submodules that belong to it.

    Raises:
      UserError: the source is there and does not fit.
    """
    refuse(config, ("generation", "mean", "std", "model"))
    given = config.pretrained
    path = epath.Path(given.source)
    is_run = (path / "checkpoints").is_dir()
    if is_run and given.checkpoint_key:
        raise UserError(
            f"pretrained.checkpoint_key={given.checkpoint_key!r}: a run's folder holds one model"
        )
    found, gone = {}, None
    try:
        # In a population a task is made while it is traced, and arrays are not to be part of that.
        with jax.ensure_compile_time_eval():
            if is_run:
                found = _of_run(given.source, module, stamp(path))
            else:
                key = given.checkpoint_key or None
                found = _published(given.source, config.model.name, module, key, stamp(path))
    except UserError as error:
        if path.exists():
            raise
        gone = error
    example = lambda: (np.zeros((1, 8, 8, module.channels), np.float32),)
    return begun(config, module, Weights(module, found), gone, example, (module.of_scale,))


@functools.lru_cache(maxsize=1)
def _of_run(source: str, module: nn.Module, stamp: float) -> dict[str, np.ndarray]:
    earlier = settings.default()
    arrays = weights_of_run(epath.Path(source), earlier, "")
    theirs = type(models.create(earlier.model.name))
    if theirs is not type(module):
        raise UserError(
            f"pretrained.source={source} is a run of {earlier.model.name!r}, which is no "
            f"{type(module).__name__}"
        )
    return _fitting(arrays, module)


@functools.lru_cache(maxsize=1)
def _published(
    source: str, model: str, module: nn.Module, checkpoint_key: str | None, stamp: float
) -> dict[str, np.ndarray]:
    _, variables = pretrained.load(source, model, checkpoint_key=checkpoint_key)
    arrays = {name: np.asarray(x) for name, x in by_name(variables).items()}
    return _fitting(arrays, module)


def _fitting(arrays: dict[str, np.ndarray], module: nn.Module) -> dict[str, np.ndarray]:
    """All of them where their last part is of the module's scale, or else without it."""
    image = jax.ShapeDtypeStruct((1, 8, 8, module.channels), np.float32)
    fresh = by_name(jax.eval_shape(module.init, keys.abstract(), image))
    last = lambda flat: {
        name: x.shape for name, x in flat.items() if is_under(name, module.of_scale)
    }
    return arrays if last(arrays) == last(fresh) else without(arrays, module.of_scale)
