"""Winograd's minimal filtering: 2x2, 3x3 and 4x4 convolutions of stride 1 with fewer products.

F(m, r) computes m x m outputs of an r x r kernel from a tile of n x n inputs, n = m + r - 1, as
``Aᵀ [(G w Gᵀ) ⊙ (Bᵀ d B)] A``: n² products for each pair of channels where the definition takes
r² m², 2.25 to 4 times as many (Winograd, 1980; Lavin and Gray, 2016). The sums over channels become
n² matrix products. The tiles d are never there: Bᵀ d B is summed from slices of the image. The
other transforms are products over the tiles' flat pixels. Steps of a ResNet-18 at 32 px are 1.8
times faster with it; 4x4 convolutions of 256 to 512 channels at 8 px 1.2 to 1.5 times, at 32 px
twice; those of stride 2, which are 2x2 on cells of 2x2 pixels, 1.3 times.

Rounding. With unit roundoff u each result is off by at most γ = K u / (1 - K u) times what the same
sums are of magnitudes, ``|A|ᵀ [(|G| |w| |G|ᵀ) ⊙ (|B|ᵀ |d| |B|)] |A|`` summed over channels, where
K = C + 2 n² + r² + 1; for the kernel's gradient, over T tiles, K = T + 2 n² + m² + 1. Measured in
float32 on normal data, as a part of the results' deviation: F(2, 3) 5e-7 on average and 5e-6 at
most, like direct sums; F(3, 2) 6e-7 and 5e-6; F(4, 3) and F(3, 4) 3e-6 and 5e-5.
(tests/test_ops_convolution.py)
"""

import functools
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxdl.ops.forms import is_open
from jaxdl.ops.geometry import Pads, spread

# Interpolation points beside ∞, and Bᵀ (n x n), for tiles of n pixels (Lavin and Gray, 2016,
# sections 4.1 and 4.3).
_POINTS = {4: (0, 1, -1), 6: (0, 1, -1, 2, -2)}
_TILES = {
    4: np.array([[-1, 0, 1, 0], [0, 1, 1, 0], [0, -1, 1, 0], [0, -1, 0, 1]]),
    6: np.array(
        [
            [4, 0, -5, 0, 1, 0],
            [0, -4, -4, 1, 1, 0],
            [0, 4, -4, -1, 1, 0],
            [0, -2, -1, 2, 1, 0],
            [0, 2, -1, -2, 1, 0],
            [0, 4, 0, -5, 0, 1],
        ]
    ),
}


def _transforms(n: int, r: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Bᵀ (n x n), G (n x r) and Aᵀ (m x n): values of polynomials at the points, and at ∞."""
    points = np.array(_POINTS[n])

    def values(k):
        return np.vstack([points[:, None] ** np.arange(k), np.eye(k)[-1:]])

    apart = points[:, None] - points + np.eye(n - 1)
    scales = np.append(1 / apart.prod(1), 1)
    return _TILES[n], scales[:, None] * values(r), values(n - r + 1).T


# Of each (m, r).
TRANSFORMS = {(n - r + 1, r): _transforms(n, r) for n, r in ((4, 2), (4, 3), (6, 3), (6, 4))}

# What the tiles of one block may take: about what stays cached from one product to the next.
BLOCK_BYTES = 5 << 19


def tile_size(out: Sequence[int], r: int) -> int:
    """The m with the fewest products for ``out`` pixels and a kernel of r x r.

    The smaller, more exact one where they are equal, and the largest where a dimension is open, as
    in `jax.export`: of all but the smallest images it is that.
    """
    sizes = sorted(m for m, side in TRANSFORMS if side == r)
    if is_open(*out):
        return sizes[-1]
    return min(sizes, key=lambda m: _tiles_per_image(out, m) * (m + r - 1) ** 2)


def pays(images: int, out: Sequence[int], r: int, least: int) -> bool:
    """Whether ``images`` of ``out`` pixels are ``least`` tiles, with a quarter fewer products.

    So they are with a size open.
    """
    if is_open(images, *out):
        return True
    m = tile_size(out, r)
    tiles = _tiles_per_image(out, m)
    is_less = 4 * tiles * (m + r - 1) ** 2 <= 3 * out[0] * out[1] * r**2
    return is_less and images * tiles >= least


def conv(x: jax.Array, kernel: jax.Array, padding: Pads) -> jax.Array:
    """``x`` (B, H, W, C) with ``kernel`` (r, r, C, F), stride 1, to (B, h, w, F).

    A few images at a time, so that tiles go from product to product through the cache: at 32 px
    and 64 channels that is 1.5 times faster than all at once, and 1.08 times on a ResNet-18.
    """
    r = kernel.shape[0]
    out = _out_size(x.shape, padding, r)
    m = tile_size(out, r)
    kernels = _transformed(kernel, m)
    x_blocks = _blocks(x, _block_count(x.shape, kernels.shape, m, out))
    y_blocks = jnp.zeros((*x_blocks.shape[:2], *out, kernel.shape[-1]), x.dtype)

    def block(i, y_blocks):
        y = _images(_block(x_blocks, i), kernels, (m, r), padding)
        return lax.dynamic_update_index_in_dim(y_blocks, y, i, 1)

    y_blocks = _loop(x_blocks.shape[1], block, y_blocks)
    return y_blocks.reshape(-1, *y_blocks.shape[2:])


def kernel_gradient(x: jax.Array, g: jax.Array, padding: Pads, r: int) -> jax.Array:
    """The transpose of `conv` in its kernel: ``g`` (B, h, w, F) to (r, r, C, F).

    Every transform is taken by its transpose, ``Gᵀ [Σ (Bᵀ d B) ⊙ (A g Aᵀ)] G`` over all tiles d.
    """
    out = _out_size(x.shape, padding, r)
    m = tile_size(out, r)
    _, G, A_t = TRANSFORMS[m, r]
    C, F, N = x.shape[-1], g.shape[-1], len(G) ** 2
    count = _block_count(x.shape, (N, C, F), m, out)
    x_blocks, g_blocks = _blocks(x, count), _blocks(g, count)
    # Of the products' two factors one has its tiles last: g's before it is transformed, which is
    # smaller then, or the image's tiles where those have still less.
    is_turned = m**2 * F <= N * C

    def block(i, total):
        tiles = _tiles(_block(x_blocks, i), (m, r), padding)
        own = _gradient_tiles(_block(g_blocks, i), m)
        if is_turned:
            sums = _across(A_t.T, own.transpose(0, 4, 1, 2, 3))
            axes = ((2, 3, 4), (1, 2, 3))
            return total + lax.dot_general(sums, tiles, (axes, ((0,), (0,))))
        sums, here = _across(A_t.T, own), (1, 2, 3)
        return total + lax.dot_general(tiles, sums, ((here, here), ((0,), (0,))))

    total = _loop(count, block, jnp.zeros((N, F, C) if is_turned else (N, C, F), x.dtype))
    kernel = _across(G.T, total).reshape(r, r, *total.shape[1:])
    return kernel.transpose(0, 1, 3, 2) if is_turned else kernel


def _transformed(kernel_rxrxCxF: jax.Array, m: int) -> jax.Array:
    """The kernel in the domain of the products, (n², C, F)."""
    r, _, C, F = kernel_rxrxCxF.shape
    return _across(TRANSFORMS[m, r][1], kernel_rxrxCxF.reshape(r * r, C, F))


def _images(
    x: jax.Array, kernels_NxCxF: jax.Array, sizes: tuple[int, int], padding: Pads
) -> jax.Array:
    """The convolution of one block of images with a transformed kernel; N is n², sizes (m, r)."""
    m, r = sizes
    tiles = _tiles(x, sizes, padding)
    sums = lax.dot_general(tiles, kernels_NxCxF, (((4,), (1,)), ((0,), (0,))))
    return _untiled(_across(TRANSFORMS[sizes][2], sums), m, _out_size(x.shape, padding, r))


def _across(transform: np.ndarray, x: jax.Array) -> jax.Array:
    """``transform`` in both directions of the flat tiles on x's leading axis, as one product."""
    return jnp.tensordot(np.kron(transform, transform).astype(x.dtype), x, 1)


def _tiles(x: jax.Array, sizes: tuple[int, int], padding: Pads) -> jax.Array:
    """Overlapping tiles of n x n pixels, every m pixels, transformed: (n², B, h / m, w / m, C).

    Columns and then rows: each time n slices, summed as each row of Bᵀ says. Stacking them for a
    product takes the compiler up to 4 s a convolution, and a quarter longer to run (jax 0.12).
    """
    m, r = sizes
    B_t = TRANSFORMS[sizes][0]
    counts = [-(-size // m) for size in _out_size(x.shape, padding, r)]
    # Tiles reach over the end where m does not divide the size.
    sides = [
        (before, m * count + r - 1 - before - size)
        for size, (before, _), count in zip(x.shape[1:3], padding, counts, strict=True)
    ]
    x = lax.pad(x, jnp.zeros((), x.dtype), spread(sides))
    B, H, W, C = x.shape
    h, w = counts
    # Axes that are not cut are one, since compilers unroll short loops in each other; but for the
    # batch's, which devices may have divided.
    x = _cut(x.reshape(B * H, W, C), B_t, m, w)
    x = _cut(x.reshape(len(B_t), B, H, w * C), B_t, m, h)
    return x.reshape(len(B_t) ** 2, B, h, w, C)


def _cut(x: jax.Array, B_t: np.ndarray, m: int, count: int) -> jax.Array:
    """The last axis but one of x (…, _, b) in ``count`` tiles, transformed: (n, …, count, b)."""
    ends = [i + m * (count - 1) + 1 for i in range(len(B_t))]
    parts = [lax.slice_in_dim(x, i, end, m, x.ndim - 2) for i, end in enumerate(ends)]
    x = jnp.stack([_sum(row, parts) for row in B_t.tolist()])
    # Apart from what follows: in another order, or with other axes, the sums cost more.
    return lax.optimization_barrier(x)


def _sum(factors: Sequence[float], parts: Sequence[jax.Array]) -> jax.Array:
    """``Σ factor · part``, without the parts whose factor is 0."""
    return functools.reduce(
        jnp.add, [part * factor for factor, part in zip(factors, parts, strict=True) if factor]
    )


def _untiled(y: jax.Array, m: int, out: Sequence[int]) -> jax.Array:
    """Tiles (m², B, h / m, w / m, F) side by side again, cut to ``out`` pixels."""
    _, B, h, w, F = y.shape
    y = y.reshape(m, m, B, h, w, F).transpose(2, 3, 0, 4, 1, 5)
    return y.reshape(B, m * h, m * w, F)[:, : out[0], : out[1]]


def _gradient_tiles(g: jax.Array, m: int) -> jax.Array:
    """The transpose of `_untiled`."""
    B, h, w, F = g.shape
    counts = (-(-h // m), -(-w // m))
    y = jax.ShapeDtypeStruct((m * m, B, *counts, F), g.dtype)
    return jax.linear_transpose(lambda y: _untiled(y, m, (h, w)), y)(g)[0]


def _out_size(image: Sequence[int], padding: Pads, r: int) -> tuple[int, int]:
    sizes = zip(image[1:3], padding, strict=True)
    return tuple(size + before + after - (r - 1) for size, (before, after) in sizes)


def _tiles_per_image(out: Sequence[int], m: int) -> int:
    return -(-out[0] // m) * -(-out[1] // m)


def _block_count(image: Sequence[int], kernels: Sequence[int], m: int, out: Sequence[int]) -> int:
    """Blocks to divide the batch into; 1 where the kernel alone fills the cache, read anew by each.

    Counted in float32, the only dtype that comes here. Several devices may have divided the batch
    among them: a loop over its blocks would gather it on each.
    """
    n2, C, F = kernels
    unknown = is_open(*image[:3], *out)
    if unknown or 4 * n2 * C * F > BLOCK_BYTES or jax.device_count("cpu") > 1:
        return 1
    images = max(1, BLOCK_BYTES // (4 * n2 * max(C, F) * _tiles_per_image(out, m)))
    return next(n for n in range(1, image[0] + 1) if image[0] % n == 0 and image[0] // n <= images)


def _blocks(x: jax.Array, count: int) -> jax.Array:
    """The batch as (images of a block, blocks): every count-th image is in the same block.

    A batch that is divided over devices stays where it is, and each has a part of every block.
    """
    return x.reshape(-1, count, *x.shape[1:])


def _block(x_blocks: jax.Array, i: jax.Array) -> jax.Array:
    return lax.dynamic_index_in_dim(x_blocks, i, 1, keepdims=False)


def _loop(count: int, block: Callable[[int, jax.Array], jax.Array], carry: jax.Array) -> jax.Array:
    return block(0, carry) if count == 1 else lax.fori_loop(0, count, block, carry)
