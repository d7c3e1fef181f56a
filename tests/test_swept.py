"""Numbers that differ between members: with plain numbers as Python has it, with arrays as JAX."""

import operator

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl import keys
from jaxdl.per_member import Setting, StructureError, Swept, any_on, is_finite

VALUES = (0.1, 0.25, 0.9)


def swept(values=VALUES, index=1):
    return Swept(index, values, Setting("a.b"))


@pytest.mark.parametrize("name", ["add", "sub", "mul", "truediv", "floordiv", "mod", "pow"])
@pytest.mark.parametrize("other", [3, 0.7, np.float64(0.3)])
def test_arithmetic_with_a_number_is_pythons_to_the_bit(name, other):
    op = getattr(operator, name)
    assert op(swept(), other).values == tuple(op(v, other) for v in VALUES)
    assert op(other, swept()).values == tuple(op(other, v) for v in VALUES)
    assert op(swept(), swept()).values == tuple(op(v, v) for v in VALUES)


def test_rounding_and_signs_are_pythons():
    assert round(swept() * 10).values == (1, 2, 9)
    assert (-swept()).values == (-0.1, -0.25, -0.9)
    assert abs(-swept()).values == VALUES


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
def test_with_arrays_it_is_the_members_number_and_keeps_their_dtype(dtype):
    x = jnp.arange(1.0, 4.0, dtype=dtype)
    each = lambda i: (swept(index=i) * x, x - swept(index=i), swept(index=i) ** x, x < swept())
    found = jax.jit(jax.vmap(each))(jnp.arange(3))
    for i, value in enumerate(VALUES):
        wanted = (value * x, x - value, value**x, x < VALUES[1])
        for a, b in zip(found, wanted, strict=True):
            assert a.dtype == b.dtype
            np.testing.assert_allclose(a[i].astype(float), b.astype(float), rtol=1e-6)


def test_it_passes_through_jit_scan_and_what_asks_for_a_dtype():
    def each(i):
        number = swept(index=i)
        total = jax.jit(lambda a, x: jnp.where(x > 0, a, x))(number, jnp.ones(()))
        kept = jax.random.bernoulli(keys.root(0), number, (1000,)).mean()
        return total + jax.lax.scan(lambda c, _: (c + number, None), 0.0, None, 2)[0], kept

    totals, kept = jax.vmap(each)(jnp.arange(3))
    np.testing.assert_allclose(totals, 3 * np.array(VALUES), rtol=1e-6)
    np.testing.assert_allclose(kept, VALUES, atol=0.05)


def test_whole_numbers_stay_whole():
    assert Swept(0, (2, 3), Setting("n")).dtype == jnp.int32
    assert int(jnp.uint32(Swept(1, (2, 2**32 - 1), Setting("n")))) == 2**32 - 1


def test_a_decision_that_all_values_agree_on_is_taken():
    assert 0 <= swept() < 1
    assert swept()
    assert not swept((0.0, 0.0))
    assert swept() != 5
    assert swept() != None  # noqa: E711
    assert int(swept((3, 3))) == 3
    assert float(swept((0.5, 0.5))) == 0.5


@pytest.mark.parametrize(
    "decide",
    [
        lambda x: x > 0.2,
        lambda x: bool(x - 0.1),
        lambda x: x == 0.1,
        float,
        int,
        lambda x: jnp.zeros(x),
        lambda x: range(round(10 * x)),
    ],
)
def test_a_decision_that_they_do_not_is_refused_by_the_settings_name(decide):
    with pytest.raises(StructureError, match=r"config.sweep: a\.b (decides|fixes)"):
        decide(swept())


def test_switches_that_do_nothing_at_0_are_on_if_any_is():
    assert any_on(swept((0.0, 0.1)))
    assert not any_on(swept((0.0, 0.0)))
    assert (any_on(0.1), any_on(0)) == (True, False)
    assert is_finite(swept())
    assert not is_finite(swept((1.0, float("inf"))))


def test_using_the_number_is_noted():
    setting = Setting("x")
    number = Swept(0, VALUES, setting)
    assert number > 0
    assert not setting.used
    _ = (1 - number) * jnp.ones(2)
    assert setting.used
