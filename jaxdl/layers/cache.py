"""The key-value cache: what attention keeps of the tokens that it has seen."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax


class Cache(NamedTuple):
    """Keys and values of all blocks of a model, with room for tokens to come.

    The arrays have one size from first to last, so one compiled step serves every token. A model
    hands the cache from block to block, each of which writes behind the ``filled`` first places of
    its own layer, and moves `filled` on once all have written. Writing past the end is no error
    that a compiled program can raise: models make NaN of what lies there.

    Attributes:
      keys: (depth, batch, length, heads, head_dim) in the dtype of the computation.
      values: likewise.
      filled: tokens that are in it, int32 ().
      context: cross-attention's own, of the encoder's tokens, which are written once; None without.
    """

    keys: jax.Array
    values: jax.Array
    filled: jax.Array
    context: "Cache | None" = None

    @classmethod
    def empty(
        cls, depth: int, batch: int, length: int, heads: int, head_dim: int, dtype: Any
    ) -> "Cache":
        """Room for ``length`` tokens of ``batch`` sequences, zeros."""
        shape = (depth, batch, length, heads, head_dim)
        return cls(jnp.zeros(shape, dtype), jnp.zeros(shape, dtype), jnp.zeros((), jnp.int32))

    @property
    def length(self) -> int:
        """Tokens that there is room for."""
        return self.keys.shape[2]

    def write(self, layer: int, keys: jax.Array, values: jax.Array) -> "Cache":
        """Puts (batch, T, heads, head_dim) behind the filled places of ``layer``."""
        # Slices of the whole: a loop that carries the cache then updates it in place.
        at = [jnp.asarray(i, jnp.int32) for i in (layer, 0, self.filled, 0, 0)]
        put = lambda old, new: lax.dynamic_update_slice(old, new[None].astype(old.dtype), at)
        return self._replace(keys=put(self.keys, keys), values=put(self.values, values))

    def seen(self, queries: int, written: int, causal: bool) -> jax.Array:
        """Which places ``queries`` tokens may attend to when ``written`` were written, not counted.

        Booleans (queries or 1, length): all written ones or, causal, as of `jaxdl.ops.attention`
        over the keys up to the last that was written.
        """
        place = jnp.arange(self.length)
        end = self.filled + written
        if not causal:
            return (place < end)[None]
        return place <= end - queries + jnp.arange(queries)[:, None]

    def advance(self, tokens: int, context: int = 0) -> "Cache":
        """Counts what every block has written: ``tokens``, and of the encoder's ``context``."""
        inner = None if self.context is None else self.context.advance(context)
        return self._replace(filled=self.filled + tokens, context=inner)
