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

    Sequences of unequal length stand in one cache by padding, in front or behind: `mark` says which
    tokens are none, and no query attends to these.

    Attributes:
      keys: of each layer (batch, heads, length, head_dim), in the dtype of the computation: a
        head's keys lie together, as the products with them want it. An array a layer: out of one
        of all layers a CPU copies a layer's for each token.
      values: likewise.
      filled: tokens that are in it, padding counted, int32 ().
      real: (batch, length) booleans: False where a token is padding, True where there is none yet.
      context: cross-attention's own, of the encoder's tokens, which are written once; None without.
    """

    keys: tuple[jax.Array, ...]
    values: tuple[jax.Array, ...]
    filled: jax.Array
    real: jax.Array
    context: "Cache | None" = None

    @classmethod
    def empty(
        cls, depth: int, batch: int, length: int, heads: int, head_dim: int, dtype: Any
    ) -> "Cache":
        """Room for ``length`` tokens of ``batch`` sequences, zeros."""
        layers = lambda: tuple(
            jnp.zeros((batch, heads, length, head_dim), dtype) for _ in range(depth)
        )
        return cls(
            layers(),
            layers(),
            jnp.zeros((), jnp.int32),
            jnp.ones((batch, length), bool),
        )

    @property
    def length(self) -> int:
        """Tokens that there is room for."""
        return self.real.shape[1]

    def write(self, layer: int, keys: jax.Array, values: jax.Array) -> "Cache":
        """Puts (batch, T, heads, head_dim) behind the filled places of ``layer``."""
        # A loop that carries the cache updates it in place.
        at = [jnp.asarray(i, jnp.int32) for i in (0, 0, self.filled, 0)]

        def put(old: tuple[jax.Array, ...], new: jax.Array) -> tuple[jax.Array, ...]:
            new = new.swapaxes(1, 2).astype(old[layer].dtype)
            changed = lax.dynamic_update_slice(old[layer], new, at)
            # XLA on a CPU would put it together again for each who reads, and so a loop would have
            # to copy it. An encoder's, which is written at once, would besides be kept as it came
            # and laid out for each, as products want it: a head as one row is laid out but so.
            rows = (*changed.shape[:2], -1) if new.shape == changed.shape else changed.shape
            changed = lax.optimization_barrier(changed.reshape(rows)).reshape(changed.shape)
            return (*old[:layer], changed, *old[layer + 1 :])

        return self._replace(keys=put(self.keys, keys), values=put(self.values, values))

    def read(self, layer: int) -> tuple[jax.Array, jax.Array]:
        """Keys and values of ``layer``, (batch, length, heads, head_dim)."""
        return self.keys[layer].swapaxes(1, 2), self.values[layer].swapaxes(1, 2)

    def mark(self, mask: jax.Array | None) -> "Cache":
        """Says of the tokens that are written next, (batch, T), where they are tokens: no padding.

        Of booleans or integers; None, of tokens alone, changes nothing. A model marks before its
        blocks write.
        """
        if mask is None:
            return self
        at = [jnp.asarray(i, jnp.int32) for i in (0, self.filled)]
        return self._replace(real=lax.dynamic_update_slice(self.real, mask.astype(bool), at))

    def places(self, tokens: int) -> jax.Array:
        """Where in the cache the next ``tokens`` will stand, (tokens,), padding counted."""
        return self.filled + jnp.arange(tokens)

    def positions(self, tokens: int) -> jax.Array:
        """What number each of the next ``tokens`` has in its own sequence, from 0, (batch, tokens).

        Padding before it is not counted, if `mark` has been told. What lies past the cache's length
        has the number of its length.
        """
        place = self.places(tokens)
        padding = jnp.cumsum(~self.real, axis=1)
        before = jnp.take(padding, place, axis=1, mode="clip")
        number = jnp.maximum(place - before, 0)
        return jnp.where(place < self.length, number, self.length)

    def seen(self, queries: int, written: int, causal: bool) -> jax.Array:
        """Which places ``queries`` tokens may attend to when ``written`` were written, not counted.

        Booleans (batch, 1, queries or 1, length): all tokens that are written or, causal, as of
        `jaxdl.ops.attention` over the keys up to the last that was written.
        """
        place = jnp.arange(self.length)
        end = self.filled + written
        if causal:
            open_ = place <= end - queries + jnp.arange(queries)[:, None]
        else:
            open_ = (place < end)[None]
        return open_ & self.real[:, None, None]

    def advance(self, tokens: int, context: int = 0) -> "Cache":
        """Counts what every block has written: ``tokens``, and of the encoder's ``context``."""
        inner = None if self.context is None else self.context.advance(context)
        return self._replace(filled=self.filled + tokens, context=inner)
