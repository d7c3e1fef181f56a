"""Pairs of texts, several to a row: Raffel et al. (2020, section 3.1.1) learn from such rows."""

from typing import Any

import numpy as np

from jaxdl.data import fingerprint
from jaxdl.data.packed import first_fit, joined
from jaxdl.data.source_target import Pairs
from jaxdl.data.split import Batch

_SIDES = ("source", "target")


class PackedPairs:
    """`jaxdl.data.source_target.Pairs` of which several stand in a row, each for itself.

    Args:
      pairs: n of them, ended.
      rooms: tokens of a row, of sources and of targets; no pair has more.
    """

    def __init__(self, pairs: Pairs, rooms: tuple[int, int]):
        self.rooms, self.pad, self._pairs = rooms, pairs.pad, len(pairs)
        texts = [pairs.source, pairs.target]
        sizes = np.stack([text.lengths for text in texts], axis=1)
        rows = [row for _, row in first_fit(sizes, [rooms])]
        self._sides = dict(zip(_SIDES, (joined(text, rows) for text in texts), strict=True))

    def __len__(self) -> int:
        """Rows."""
        return len(self._sides["source"][0].starts) - 1

    def take(self, indices: np.ndarray) -> Batch:
        """Rows (n, S) and (n, T) int32 of both sides, filled up.

        ``source``, ``target``, and of each token the number of its pair in the row, from 1 on and 0
        in padding, as ``source_segments`` and ``target_segments``.
        """
        indices, found = np.asarray(indices), {}
        for (name, (text, segment)), room in zip(self._sides.items(), self.rooms, strict=True):
            found[name] = text.padded(indices, room, self.pad)
            found[f"{name}_segments"] = segment.padded(indices, room, 0)
        return found

    @property
    def note(self) -> str:
        """How full rows are, for people."""
        full = [
            f"{len(text.tokens) / (len(self) * room):.0%} of {room} {name} tokens"
            for (name, (text, _)), room in zip(self._sides.items(), self.rooms, strict=True)
        ]
        rows = f"{self._pairs} pairs to learn from are in {len(self)} rows"
        return f"{rows}: texts are {' and '.join(full)}"

    def fingerprint(self) -> str:
        """Of every token, and of what it is."""
        arrays: dict[str, Any] = {}
        for name, (text, segment) in self._sides.items():
            arrays |= {f"{name}.{field}": getattr(text, field) for field in text._fields}
            arrays[f"{name}.segments"] = segment.tokens
        return fingerprint.digest(arrays)
