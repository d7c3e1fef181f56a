"""A text as examples: windows of tokens, cut at random to learn from and in order to be measured.

A window of context + 1 tokens has context predictions: of each token but its first, from those
before it.
"""

import numpy as np

from jaxdl.data import fingerprint
from jaxdl.data.split import Batch


def places(starts: np.ndarray, length: int) -> np.ndarray:
    """(n, length) indices: those of ``starts`` (n,) and what follows each."""
    return np.asarray(starts)[:, None] + np.arange(length)


class Windows:
    """A text to learn from; each pass over it cuts it anew, from a random first token on.

    Neither end of a window stays where it is, so that no token is always learned without a past.

    Args:
      tokens: (n,) integers, n above context.
      context: predictions a window.
    """

    def __init__(self, tokens: np.ndarray, context: int):
        self.tokens, self.context = tokens, context

    def __len__(self) -> int:
        """Windows in a pass."""
        return max(1, len(self.tokens) // self.context - 1)

    def shuffled(self, rng: np.random.Generator) -> np.ndarray:
        """The first tokens of one pass' windows, (len,), which lie end to end, in random order."""
        shift = rng.integers(len(self.tokens) - len(self) * self.context)
        return shift + self.context * rng.permutation(len(self))

    def take(self, indices: np.ndarray) -> Batch:
        """``tokens`` (n, context + 1) int32 of the windows that begin at ``indices`` (n,)."""
        return {"tokens": self.tokens[places(indices, self.context + 1)].astype(np.int32)}

    @property
    def about(self) -> dict[str, int]:
        """``context``."""
        return {"context": self.context}

    def fingerprint(self) -> str:
        """Of every token."""
        return fingerprint.digest({"tokens": self.tokens})


class Passages:
    """A text to be measured on: every token is predicted once, in order.

    Args:
      tokens: (n,) integers.
      before: the token in front of the first.
      context: predictions a window.
      stride: those that count, the window's last; a smaller one leaves every token more of a past,
        at the cost of context / stride times the work.
      size: bytes of the text.
    """

    def __init__(self, tokens: np.ndarray, before: int, context: int, stride: int, size: int):
        self.tokens, self.context, self.stride = tokens, context, stride
        self.bytes_per_token = size / len(tokens)
        self._text = np.append(np.array(before, tokens.dtype), tokens)

    def __len__(self) -> int:
        """Windows."""
        return -(-len(self.tokens) // self.stride)

    @property
    def about(self) -> dict[str, float]:
        """``context``, ``stride`` and ``bytes_per_token``."""
        names = ("context", "stride", "bytes_per_token")
        return {name: getattr(self, name) for name in names}

    def fingerprint(self) -> str:
        """Of every token."""
        return fingerprint.digest({"tokens": self._text})

    def take(self, indices: np.ndarray) -> Batch:
        """``tokens`` (n, context + 1) int32, and ``weight`` (n, context) float32.

        The weight of a prediction is 1 where it counts and 0 elsewhere: where an earlier window
        made it, and behind the end of the text.
        """
        end = (np.asarray(indices) + 1) * self.stride
        # Token i of the text stands at place i + 1, so that this is also the index it predicts.
        at = places(np.maximum(end - self.context, 0), self.context + 1)
        predicted, end = at[:, :-1], end[:, None]
        counts = (predicted >= end - self.stride) & (predicted < end)
        counts &= predicted < len(self.tokens)
        tokens = np.where(at < len(self._text), self._text[np.minimum(at, len(self.tokens))], 0)
        return {"tokens": tokens.astype(np.int32), "weight": counts.astype(np.float32)}
