"""The root that has a slope everywhere: what it is, and its derivatives, at 0 too."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl import ops

X = np.array([0.0, 4.0, -1.0, 1e-30, 2.25])


@pytest.mark.parametrize("mode", [jax.jacfwd, jax.jacrev])
def test_it_is_the_root_with_a_slope_of_0_at_0(mode):
    with jax.enable_x64(True):
        x = jnp.asarray(X)
        np.testing.assert_allclose(ops.safe_sqrt(x), [0, 2, 0, 1e-15, 1.5], rtol=1e-15)
        slopes = np.diag(mode(ops.safe_sqrt)(x))
        np.testing.assert_allclose(slopes, [0, 0.25, 0, 5e14, 1 / 3], rtol=1e-12)
        curved = np.diag(mode(lambda x: jax.grad(lambda x: ops.safe_sqrt(x).sum())(x))(x))
        np.testing.assert_allclose(curved[[0, 1, 2, 4]], [0, -1 / 32, 0, -2 / 27], rtol=1e-12)


def test_what_rounding_leaves_counts_as_0():
    x = jnp.asarray([1e-8, 4.0], jnp.float32)
    slope = jax.grad(lambda x: ops.safe_sqrt(x, above=1e-7).sum())(x)
    np.testing.assert_array_equal(ops.safe_sqrt(x, above=1e-7), [0, 2])
    np.testing.assert_array_equal(slope, [0, 0.25])
    assert ops.safe_sqrt(x.astype(jnp.bfloat16)).dtype == jnp.bfloat16
