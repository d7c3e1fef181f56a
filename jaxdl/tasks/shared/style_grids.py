"""What styles do, in pictures: images between two, and images with the styles of two."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxdl import keys
from jaxdl.report import draw
from jaxdl.tasks import learner
from jaxdl.tasks.shared import generation

# Rows of images between two, and images in each; images along each side of the mixed ones.
_PAIRS, _BETWEEN, _MIXED = 6, 9, 7


def images(
    module: Any, truncation: float, variables: Any, latent: jax.Array, noise: jax.Array
) -> jax.Array:
    """Latent vectors (n, latent) to images (n, h, w, c) in [0, 1], of one style each.

    Args:
      module: "stylegan2" or one like it; so are its variables.
      truncation: of the styles.
      variables: the generator's.
      latent: standard normal.
      noise: (1 or n, pixels), standard normal.
    """
    style = module.apply(variables, latent, method="map")
    style = module.apply(variables, style, truncation, method="truncated")
    return _made(module, variables, _everywhere(module, style), noise)


class Grids:
    """Pictures of a module's styles.

    Args:
      module: "stylegan2" or one like it.
      latent: size of its latent vectors.
      truncation: of their styles.
    """

    def __init__(self, module: Any, latent: int, truncation: float):
        self._module, self._latent, self._truncation = module, latent, truncation
        self._of = jax.jit(self._all)

    def pictures(self, generator: learner.Learner, key: jax.Array) -> dict[str, draw.Picture]:
        """Of the generator's moving average where there is one; the key draws ends and noise."""
        between, mixed = (np.asarray(x) for x in self._of(generator, key))
        flat = lambda x: x.reshape(-1, *x.shape[2:])
        shares = np.linspace(0, 1, _BETWEEN)
        layers = self._module.layers
        names = [f"fine {i + 1}" for i in range(_MIXED)]
        lines = ["", *names]
        for i in range(_MIXED):
            lines += [f"coarse {i + 1}", *[""] * _MIXED]
        return {
            "Between two styles": draw.image_grid(
                flat(between),
                [f"{share:.0%}" for share in shares] * _PAIRS,
                "In each row what lies on the straight line between two styles; the noise is the "
                "same in all.",
                columns=_BETWEEN,
            ),
            "Styles mixed": draw.image_grid(
                flat(mixed),
                lines,
                f"Each image has the first {layers // 2} of {layers} styles, those of the coarse "
                "layers, from the image at the left of its row, and the others from the image "
                "above its column; the noise is the same in all.",
                columns=_MIXED + 1,
            ),
        }

    def _all(self, generator: learner.Learner, key: jax.Array) -> tuple[jax.Array, jax.Array]:
        """(rows, columns, h, w, c) in [0, 1] of both pictures."""
        module, variables = self._module, generator.best_variables
        count = 2 * max(_PAIRS, _MIXED)
        named = lambda name: keys.named(key, name)
        latent = jax.random.normal(named("latent"), (count, self._latent), jnp.float32)
        noise = jax.random.normal(named("noise"), (1, module.pixels), jnp.float32)
        style = module.apply(variables, latent, method="map")
        style = module.apply(variables, style, self._truncation, method="truncated")
        starts, stops = style[: 2 * _PAIRS : 2, None], style[1 : 2 * _PAIRS : 2, None]
        share = jnp.linspace(0, 1, _BETWEEN)[None, :, None]
        between = (starts + share * (stops - starts)).reshape(-1, style.shape[-1])
        # (coarse, fine, layers, width): those of the first row and column are their own.
        ends = _everywhere(module, style[: 2 * _MIXED])
        coarse, fine = ends[:_MIXED, None], ends[None, _MIXED:]
        is_coarse = (jnp.arange(module.layers) < module.layers // 2)[None, None, :, None]
        mixed = jnp.where(is_coarse, coarse, fine)
        parts = (
            _everywhere(module, between), ends, mixed.reshape(-1, *ends.shape[1:]),
        )  # fmt: skip
        made = _made(module, variables, jnp.concatenate(parts), noise)
        shape = made.shape[1:]
        between, ends, inner = jnp.split(made, np.cumsum([len(x) for x in parts])[:-1])
        top = jnp.concatenate([jnp.ones((1, *shape), made.dtype), ends[_MIXED:]])
        inner = inner.reshape(_MIXED, _MIXED, *shape)
        rows = jnp.concatenate([ends[:_MIXED, None], inner], axis=1)
        return between.reshape(_PAIRS, _BETWEEN, *shape), jnp.concatenate([top[None], rows])


def _everywhere(module: Any, style: jax.Array) -> jax.Array:
    """(n, width) to (n, layers, width)."""
    return jnp.broadcast_to(style[:, None], (len(style), module.layers, style.shape[-1]))


def _made(module: Any, variables: Any, styles: jax.Array, noise: jax.Array) -> jax.Array:
    made = module.apply(variables, styles, noise, method="synthesise")
    return jnp.clip(generation.unit_range(made), 0, 1)
