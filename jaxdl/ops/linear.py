"""Matrix products over the last axis."""

import itertools
from collections.abc import Sequence

import jax
import jax.numpy as jnp

from jaxdl.ops.derivatives import with_backward
from jaxdl.ops.forms import by_platform, is_open

# Rows up to which a CPU is done with a product before it has read the kernel from memory: as many
# as are written at once, not as many as are learned from.
FEW = 16

# Numbers of a kernel from which a row's product with it is worth both of two cores.
_LARGE = 2**17


def dense(
    x: jax.Array, kernel: jax.Array, bias: jax.Array | None = None, *, wide: bool = False
) -> jax.Array:
    """``x @ kernel + bias`` over the last axis, all leading axes as rows of one product.

    As one two-dimensional product a CPU runs it, and above all its gradients, 1.3 times faster
    than as a product with several free or contracted axes.

    Args:
      x: (…, features_in).
      kernel: (features_in, features_out).
      bias: (features_out,) or None.
      wide: the result is in at least float32, as logits should be, though the product and both of
        its gradients' are in the dtype of ``x`` and ``kernel``, which are of one.

    Returns:
      (…, features_out).
    """
    rows = x.reshape(-1, x.shape[-1])
    if wide and x.dtype.itemsize < 4:
        y = _wide(rows, kernel)
    elif _is_one_long_row(rows, kernel):
        y = by_platform(jnp.matmul, rows, kernel, cpu=_in_halves)
    else:
        y = rows @ kernel
    if bias is not None:
        y = y + bias
    return y.reshape(*x.shape[:-1], kernel.shape[-1])


def dense_each(
    x: jax.Array, kernels: Sequence[jax.Array], biases: Sequence[jax.Array]
) -> list[jax.Array]:
    """`dense` of the same rows by several kernels.

    As one product of kernels side by side, which is larger, so faster; of few rows on a CPU one by
    one, where to lay the kernels side by side takes longer than what is gained.

    Args:
      x: (…, features_in).
      kernels: (features_in, features_out) each, of any features_out.
      biases: (features_out,) of each.
    """
    ends = [0, *itertools.accumulate(kernel.shape[-1] for kernel in kernels)]

    def together(x, kernels, biases):
        y = dense(x, jnp.concatenate(kernels, axis=-1), jnp.concatenate(biases, axis=-1))
        return [y[..., a:b] for a, b in itertools.pairwise(ends)]

    def apart(x, kernels, biases):
        return [dense(x, *each) for each in zip(kernels, biases, strict=True)]

    if len(kernels) == 1:
        return apart(x, kernels, biases)
    if not _has_few_rows(x):
        return together(x, kernels, biases)
    return by_platform(together, x, [*kernels], [*biases], cpu=apart)


def by_table(x: jax.Array, table: jax.Array) -> jax.Array:
    """``x @ table.T`` over the last axis, in at least float32, as `dense` has it with ``wide``.

    Of few rows a CPU reads the table in order, and once: as a product of the table and the rows,
    in float32, it takes a third to a half of the time of that of the rows and the table.

    Args:
      x: (…, features).
      table: (tokens, features), of the dtype of ``x``.

    Returns:
      (…, tokens).
    """
    plain = lambda x, table: dense(x, table.T, wide=True)
    if not _has_few_rows(x) or x.dtype.itemsize < 4:
        return plain(x, table)
    return by_platform(plain, x, table, cpu=_few_by_table)


def _has_few_rows(x: jax.Array) -> bool:
    """Whether there are `FEW`; an open number, of a program that is exported, is many."""
    return not is_open(*x.shape) and x.size <= FEW * x.shape[-1]


def _is_one_long_row(rows: jax.Array, kernel: jax.Array) -> bool:
    """Whether it takes a CPU as long as the kernel takes to be read, and can be cut in two."""
    if is_open(*rows.shape, *kernel.shape) or len(rows) != 1 or rows.dtype.itemsize < 4:
        return False
    return kernel.size >= _LARGE and len(kernel) % 2 == 0


def _in_halves(row: jax.Array, kernel: jax.Array) -> jax.Array:
    """The sum of the products of two halves, which two cores read at once.

    XLA gives a plain product of one row to one core: of 512x512 a token it reads 20 GB/s, so 36
    (two cores of an AMD EPYC, jax 0.10.2 and 0.12.0.1).
    """
    halves = row.reshape(2, 1, -1), kernel.reshape(2, len(kernel) // 2, -1)
    return jax.lax.dot_general(*halves, (((2,), (1,)), ((0,), (0,)))).sum(0)


def _few_by_table(x: jax.Array, table: jax.Array) -> jax.Array:
    rows = x.reshape(-1, x.shape[-1])
    if len(rows) == 1:
        y = table @ rows[0]
    else:
        # The barrier, or the compiler turns it into the other product again.
        product = jax.lax.dot_general(table, rows, (((1,), (1,)), ((), ())))
        y = jax.lax.optimization_barrier(product).T
    return y.reshape(*x.shape[:-1], len(table))


def _product(x: jax.Array, kernel: jax.Array) -> jax.Array:
    return jnp.matmul(x, kernel, preferred_element_type=jnp.float32)


def _forward(x, kernel):
    return _wide(x, kernel), (x, kernel)


def _backward(kept, slope):
    # Rounded once: against a float32 slope both products would be in float32, at a fraction of an
    # accelerator's rate, and of a language model's products these are a large part.
    x, kernel = kept
    slope = slope.astype(x.dtype)
    return slope @ kernel.T, x.T @ slope


_wide = with_backward(_forward, _backward, value=_product)
