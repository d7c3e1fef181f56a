"""Short names for what a split holds, by which a change of it is noticed."""

import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from jaxdl.data.spread import evenly

# Examples that a split is known by, beside its labels, where it does not say more of itself.
_LOOKED_AT = 64


def of(split: Any) -> str:
    """Sixteen hexadecimal digits: equal splits have equal ones, others hardly ever.

    A split may have ``fingerprint() -> str``. Of any other the number of examples, all labels and
    up to 64 examples, evenly spread, count.

    Args:
      split: `jaxdl.data.Split`.
    """
    if hasattr(split, "fingerprint"):
        return split.fingerprint()
    size = len(split)
    labels = {"labels": split.labels} if hasattr(split, "labels") else {}
    return digest({"size": np.array(size), **labels, **looked_at(split)})


def looked_at(split: Any) -> dict[str, np.ndarray]:
    """Up to 64 examples of a split, evenly spread."""
    return split.take(evenly(len(split), _LOOKED_AT))


def digest(arrays: Mapping[str, Any]) -> str:
    """Of arrays by name, in any order: their names, dtypes, shapes and every byte.

    Args:
      arrays: or texts, or lists of texts.
    """
    made = hashlib.blake2b(digest_size=8)
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        if array.dtype.hasobject:  # whose bytes are addresses
            continue
        # The same on machines of either byte order.
        array = array.astype(array.dtype.newbyteorder("<"), copy=False)
        made.update(f"{name} {array.dtype.str} {array.shape} ".encode())
        made.update(array.view(np.uint8).data if array.size else b"")
    return made.hexdigest()
