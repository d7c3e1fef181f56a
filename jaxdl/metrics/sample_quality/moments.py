"""Mean and covariance of features, added up part by part, and the Fréchet distance between two."""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np


class Moments(NamedTuple):
    """How many features there were, where their mean is, and how they scatter around it.

    Attributes:
      count: of examples.
      mean: (d,) float64.
      scatter: (d, d) float64, Σ (x - mean)(x - mean)ᵀ.
    """

    count: int
    mean: np.ndarray
    scatter: np.ndarray

    @classmethod
    def of(cls, features: np.ndarray) -> "Moments":
        """Of features (n, d), n at least 1, in any real dtype; ValueError if one is not finite."""
        centred, mean = _centred(features)
        return cls(len(centred), mean, centred.T @ centred)

    @classmethod
    def total(cls, parts: Iterable["Moments"]) -> "Moments":
        """Those of all examples of the parts together, of which there must be one."""
        first, *others = parts
        for part in others:
            first = first.plus(part)
        return first

    def plus(self, other: "Moments") -> "Moments":
        """Those of both sets together: Chan, Golub and LeVeque, 1979, the update of two parts.

        Parts that are never brought to the origin lose nothing to a mean far from it, as sums of
        squares would.
        """
        count = self.count + other.count
        apart = other.mean - self.mean
        return Moments(
            count,
            self.mean + apart * (other.count / count),
            self.scatter
            + other.scatter
            + np.outer(apart, apart) * (self.count * other.count / count),
        )

    @property
    def covariance(self) -> np.ndarray:
        """(d, d), the unbiased one; of a single example NaN."""
        with np.errstate(invalid="ignore"):
            return self.scatter / np.float64(self.count - 1)


def frechet_distance(a: Moments | np.ndarray, b: Moments | np.ndarray) -> float:
    """The squared Fréchet distance between the normal distributions of two sets' moments.

    Heusel et al., 2017, "GANs Trained by a Two Time-Scale Update Rule", equation 6, which they call
    FID where the features are Inception's: |μ - ν|² + tr(S + T - 2 (S T)^½). With S = AᵀA and
    T = BᵀB the last trace is the sum of the singular values of A Bᵀ, so that no root is taken of
    what rounding left of a zero: it is right for fewer examples than features as well, where the
    square root of S T is off by as much as 1e-5. It costs O(d³).

    Args:
      a: moments, or features (n, d); of at least 2 examples.
      b: the same, (m, d). It is symmetric in the two.

    Returns:
      At least 0; 0 to rounding for a set and itself.

    Raises:
      ValueError: fewer than 2 examples, other numbers of features, or some that are not finite.
    """
    a, b = _root(a), _root(b)
    if len(a.mean) != len(b.mean):
        raise ValueError(f"{len(a.mean)} features against {len(b.mean)}")
    apart = a.mean - b.mean
    product = a.root @ b.root.T
    shared = (_graded if a.graded and b.graded else _any)(product)
    squares = np.square(a.root).sum() + np.square(b.root).sum()
    return max(float(apart @ apart + squares - 2 * shared), 0.0)


# Rows from which singular values take long enough to be worth another way.
_MANY = 128


class _Root(NamedTuple):
    """Of a covariance S: ``root`` (rank, d), A with AᵀA = S.

    ``graded`` says whether its rows become smaller as Cholesky's do, the largest first.
    """

    mean: np.ndarray
    root: np.ndarray
    graded: bool


def _any(x: np.ndarray) -> float:
    """The sum of a matrix's singular values."""
    return np.linalg.svd(x, compute_uv=False).sum()


def _graded(x: np.ndarray) -> float:
    """The same of a matrix whose rows or columns become smaller, in half the time.

    The eigenvalues of a square have half the digits of a matrix's singular values: the small ones
    drown in the rounding of the large ones. Not so if the square is graded, the largest first, and
    made tridiagonal from this end on: the sum is right to 1e-11 whatever the sizes of features
    (from the other end on, to 1e-8).
    """
    if min(x.shape) < _MANY:
        return _any(x)
    # By the side that falls the more, if the two differ.
    rows, columns = (np.linalg.norm(x, axis=axis) for axis in (1, 0))
    x = x if rows[0] * columns[-1] >= columns[0] * rows[-1] else x.T
    return np.sqrt(np.maximum(np.linalg.eigvalsh(x @ x.T, UPLO="L"), 0)).sum()


def _centred(features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Features less their mean (n, d), and it, both right to the last digits."""
    features = np.asarray(features, np.float64)
    if features.ndim != 2 or not len(features):
        raise ValueError(f"features must be (n, d), n at least 1, not {features.shape}")
    if not np.isfinite(features).all():
        raise ValueError("some features are not finite")
    mean = features.mean(axis=0)
    centred = features - mean
    # Of a mean that is large a rounding is too; what is left of it is small, and known exactly.
    left = centred.mean(axis=0)
    return centred - left, mean + left


def _root(of: Moments | np.ndarray) -> _Root:
    count = of.count if isinstance(of, Moments) else len(of)
    if count < 2:
        raise ValueError(f"{count} examples have no covariance: 2 or more are needed")
    if isinstance(of, Moments):
        return _Root(of.mean, _cholesky(of), True)
    centred, mean = _centred(of)
    if count > len(mean):
        return _Root(mean, _cholesky(Moments(count, mean, centred.T @ centred)), True)
    return _Root(mean, centred / np.sqrt(count - 1), False)  # as it is: nothing was squared yet


def _cholesky(moments: Moments) -> np.ndarray:
    """A (rank, d) with AᵀA = S, by Cholesky's factors, the largest first (Higham, 2002, 10.3)."""
    from scipy.linalg import lapack

    covariance = moments.covariance
    factor, places, rank, _ = lapack.dpstrf(covariance)
    # Behind as many as the examples can span there is nothing but rounding.
    rank = min(rank, moments.count - 1)
    root = np.empty((rank, len(covariance)))
    root[:, places - 1] = np.triu(factor)[:rank]
    return root
