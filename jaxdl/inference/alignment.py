"""When each token of a window is said: by where certain heads of the decoder look.

As published with Whisper's code (openai-whisper, 2023, "word_timestamps"), token for token what
transformers' generate gives by ``return_token_timestamps=True``: the weights of the alignment heads
are standardised over the tokens, smoothed by a median over time, averaged, and the cheapest path
through them (dynamic time warping; Sakoe and Chiba, 1978) gives each token its frames.
"""

import functools
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from jaxdl.data.timed import STEP

# Frames of the encoder that the median is over.
_WIDTH = 7
# Lengths of texts that a program is compiled for are multiples of this.
_ROUNDED = 64


def times(
    module: nn.Module,
    variables: Any,
    encoded: jax.Array,
    prompt: np.ndarray,
    tokens: Sequence[int],
    heads: Sequence[tuple[int, int]],
    states: int,
) -> np.ndarray:
    """Seconds from the window's beginning at which each token ends, (n,) float64.

    The last, which nothing follows, ends with the one before it.

    Args:
      module: Whisper.
      variables: its own.
      encoded: (1, S, width), what its encoder gave of the window.
      prompt: (P,) tokens in front of the text, without padding.
      tokens: n of the text, the one that ends it among them if it has one.
      heads: pairs of a decoder's layer and a head, from 0 on.
      states: of ``encoded`` that are of the recording, and not of what fills the window up.
    """
    if len(tokens) < 2:
        return np.zeros(len(tokens))
    whole = np.array([*prompt, *tokens[:-1]], np.int32)
    length = min(module.context, -(-len(whole) // _ROUNDED) * _ROUNDED)
    text = np.pad(whole, (0, length - len(whole)))[None]
    found = _weights(module, variables, encoded, text, tuple(map(tuple, heads)))
    found = np.asarray(found)[:, len(prompt) : len(whole), : max(1, states)]
    ends = STEP * path(matrix(found))
    return np.append(ends, ends[-1])


@functools.partial(jax.jit, static_argnames=("module", "heads"))
def _weights(
    module: nn.Module,
    variables: Any,
    encoded: jax.Array,
    tokens: jax.Array,
    heads: tuple[tuple[int, int], ...],
) -> jax.Array:
    """Of the heads, (heads, T, S), for tokens (1, T); those before padding see none of it."""
    _, kept = module.apply(
        variables, tokens, encoded, method="decode", features=True, mutable=["intermediates"]
    )
    looks = lambda layer: kept["intermediates"][f"decoder_block_{layer}"]["cross_attention"]
    return jnp.stack([looks(layer)["weights"][0][0, head] for layer, head in heads])


def matrix(weights: np.ndarray) -> np.ndarray:
    """How much tokens and frames belong together, (T, S), of weights (heads, T, S).

    Over the tokens each frame's weights get mean 0 and deviation 1; the median over frames takes
    them mirrored at both ends.
    """
    x = np.asarray(weights, np.float32)
    deviation = x.std(axis=1, keepdims=True)
    x = (x - x.mean(axis=1, keepdims=True)) / np.where(deviation > 0, deviation, 1)
    side = _WIDTH // 2
    if x.shape[-1] > side:
        padded = np.pad(x, ((0, 0), (0, 0), (side, side)), mode="reflect")
        windows = np.lib.stride_tricks.sliding_window_view(padded, _WIDTH, axis=-1)
        x = np.sort(windows, axis=-1)[..., side]
    return x.mean(axis=0)


def path(belonging: np.ndarray) -> np.ndarray:
    """The frame with which each token begins on the cheapest path, (T,), of `matrix` (T, S).

    A path goes on by a token, a frame or both; of equal costs by a frame.
    """
    T, S = belonging.shape
    price = -belonging.astype(np.float64)
    cost = np.full((T + 1, S + 1), np.inf, np.float32)
    step = np.full((T + 1, S + 1), _FRAME, np.int8)
    cost[0, 0] = 0
    for diagonal in range(2, T + S + 1):  # whose places know all that they need
        i = np.arange(max(1, diagonal - S), min(T, diagonal - 1) + 1)
        j = diagonal - i
        both, token, frame = cost[i - 1, j - 1], cost[i - 1, j], cost[i, j - 1]
        by = np.where((token < both) & (token < frame), _TOKEN, _FRAME)
        by = np.where((both < token) & (both < frame), _BOTH, by)
        cost[i, j] = price[i - 1, j - 1] + np.choose(by, (both, token, frame))
        step[i, j] = by
    first = np.zeros(T, np.int64)
    i, j = T, S
    while i > 0:
        first[i - 1] = max(j - 1, 0)
        by = _TOKEN if j == 0 else step[i, j]
        i, j = i - (by != _FRAME), j - (by != _TOKEN)
    return first


_BOTH, _TOKEN, _FRAME = range(3)
