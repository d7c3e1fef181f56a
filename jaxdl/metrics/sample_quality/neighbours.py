"""Generated examples by their nearest real ones: alike, new, and of every class.

By Euclidean distance between whole examples (n, …), which means something for small images and for
features, little for large photographs.
"""

import numpy as np

# Rows of distances at a time: 1000 of them to 10,000 examples are 80 MB.
_ROWS = 1000


def flat(examples: np.ndarray) -> np.ndarray:
    """Examples (n, …) as rows (n, d), float64."""
    return np.asarray(examples, np.float64).reshape(len(examples), -1)


def nearest(
    examples: np.ndarray, among: np.ndarray, *, leave_out: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """Each example's nearest neighbour.

    Args:
      examples: (n, …).
      among: (m, …), with the same axes after the first.
      leave_out: no example is its own neighbour; ``among`` must then be ``examples``.

    Returns:
      (distances (n,), indices (n,) into ``among``); the first of equals.
    """
    x, y = flat(examples), flat(among)
    squares = (y * y).sum(axis=1)
    index = np.empty(len(x), np.int64)
    for start in range(0, len(x), _ROWS):
        rows = np.arange(start, min(start + _ROWS, len(x)))
        # |x|² is the same for all of a row.
        part = squares - 2 * x[rows] @ y.T
        if leave_out:
            part[np.arange(len(rows)), rows] = np.inf
        index[rows] = part.argmin(axis=1)
    return np.linalg.norm(x - y[index], axis=1), index


def two_sample_accuracy(generated: np.ndarray, real: np.ndarray) -> float:
    """How well a nearest neighbour tells the two sets apart, leaving out the one it judges.

    Lopez-Paz and Oquab, 2017, "Revisiting Classifier Two-Sample Tests", with one neighbour: about
    .5 for samples of one distribution, 1 where the sets lie apart. Below .5 means that each sample
    has a real example closer than other real ones are: that they are copies.

    Args:
      generated: (n, …).
      real: (n, …), as many, and none that the generator has learned from.

    Raises:
      ValueError: the sets differ in size, so that .5 would not be chance.
    """
    if len(generated) != len(real):
        raise ValueError(f"{len(generated)} generated examples against {len(real)} real ones")
    both = np.concatenate([flat(generated), flat(real)])
    is_real = np.arange(len(both)) >= len(generated)
    _, index = nearest(both, both, leave_out=True)
    return float((is_real[index] == is_real).mean())


def copies(generated: np.ndarray, held_out: np.ndarray, learned: np.ndarray) -> float:
    """How far generated examples are from what was learned, by how far real new ones are.

    Args:
      generated: (n, …).
      held_out: (k, …), real and not learned from.
      learned: (m, …), what the generator has learned from.

    Returns:
      The ratio of the two median distances to the nearest of ``learned``: 0 for copies, about 1 for
      examples as new as the held-out ones.
    """
    own, theirs = (np.median(nearest(x, learned)[0]) for x in (generated, held_out))
    return float(own / theirs) if theirs else float("inf" if own else "nan")


def least_class_share(
    generated: np.ndarray, examples: np.ndarray, labels: np.ndarray, num_classes: int
) -> float:
    """The rarest class's share of the generated examples, named by their nearest real neighbours.

    Args:
      generated: (n, …).
      examples: (m, …), real.
      labels: (m,) integers in [0, num_classes), theirs.
      num_classes: a class without an example here counts as never generated.

    Returns:
      In [0, 1 / num_classes]; 0 means that a class is missing.
    """
    found = _named(generated, examples, labels)
    return float(np.bincount(found, minlength=num_classes).min() / len(found))


def named_right(
    generated: np.ndarray, wanted: np.ndarray, examples: np.ndarray, labels: np.ndarray
) -> float:
    """The share of generated examples whose nearest real neighbour has the label asked for.

    Args:
      generated: (n, …).
      wanted: (n,) integers, the labels that they were asked for by.
      examples: (m, …), real.
      labels: (m,) integers, theirs.
    """
    return float((_named(generated, examples, labels) == wanted).mean())


def _named(generated: np.ndarray, examples: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Each generated example's class (n,), that of its nearest real one."""
    return np.asarray(labels)[nearest(generated, examples)[1]]
