"""A baseline for byte-level language models: interpolated Witten-Bell n-grams, by counting."""

import numpy as np


def nats(train: np.ndarray, test: np.ndarray, order: int) -> np.ndarray:
    """``-log p`` of each byte of a text, given the ``order`` bytes before it.

    With c(h) the times that context h was seen, and t(h) the number of different bytes that came
    next: p(w | h) = (c(h w) + t(h) p(w | h')) / (c(h) + t(h)), where h' is h without its first byte
    (Witten and Bell, 1991, method C, interpolated as in Chen and Goodman, 1998, section 2.4). No
    context at all falls back on the uniform distribution over 256 bytes.

    Args:
      train: (n,) uint8, what is counted; the text goes on where it ends.
      test: (m,) uint8.
      order: length of the longest context, from 0 to 6.

    Returns:
      (m,) float64.
    """
    text, size = np.concatenate([train, test]).astype(np.int64), len(train)
    p = np.full(len(test), 1 / 256)
    for n in range(1, order + 2):
        # Each n-gram as one number; its context is that number // 256.
        length = len(text) - n + 1
        grams = sum(text[i : i + length] << 8 * (n - 1 - i) for i in range(n))
        seen, asked = grams[: size - n + 1], grams[size - n + 1 :]
        kinds, count = np.unique(seen, return_counts=True)
        contexts, start, types = np.unique(kinds // 256, return_index=True, return_counts=True)
        times = np.add.reduceat(count, start)
        c_hw = _looked_up(kinds, count, asked)
        c_h, t_h = (_looked_up(contexts, values, asked // 256) for values in (times, types))
        p = np.where(c_h > 0, (c_hw + t_h * p) / np.maximum(c_h + t_h, 1), p)
    return -np.log(p)


def _looked_up(keys: np.ndarray, values: np.ndarray, of: np.ndarray) -> np.ndarray:
    """The value of each of ``of`` in a table with sorted keys, 0 where it has none."""
    place = np.minimum(np.searchsorted(keys, of), len(keys) - 1)
    return np.where(keys[place] == of, values[place], 0)
