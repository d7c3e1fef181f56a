"""Where the first NaN or infinity came from: input, operation, module and line."""

import re
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from jaxdl import keys, losses, models
from jaxdl.train import diagnose

THIS_FILE = Path(__file__).name


def line_of(text):
    """The number of the one line of this file that ends in the comment ``# text``."""
    lines = Path(__file__).read_text().splitlines()
    (number,) = (i for i, line in enumerate(lines, 1) if line.endswith(f"# {text}"))
    return number


class Logarithm(nn.Module):
    @nn.compact
    def __call__(self, x):
        return jnp.log(x)  # the logarithm


class Quotient(nn.Module):
    @nn.compact
    def __call__(self, x):
        scale = self.param("scale", nn.initializers.zeros_init(), (3,), jnp.float32)
        return x / scale  # the quotient


class Network(nn.Module):
    @nn.compact
    def __call__(self, x):
        x = nn.Dense(3, name="first")(x)
        x = Logarithm(name="logarithm")(x * 0.0)
        return nn.Dense(2, name="last")(x).sum()


@jax.custom_vjp
def silent(x):
    return 2 * x


def silent_backward(_, upstream):
    zero = upstream * 0
    return (upstream / zero,)


silent.defvjp(lambda x: (2 * x, None), silent_backward)


def call_silent(x):
    # jax knows a backward rule's operations by the call that they belong to.
    return silent(x).sum()  # the call whose backward pass fails


@jax.custom_vjp
def loud(x):
    return jnp.log(x - x)  # the forward logarithm


loud.defvjp(lambda x: (loud(x), None), lambda _, upstream: (upstream,))


@jax.custom_jvp
def differentiated(x):
    return jnp.sqrt(x)


@differentiated.defjvp
def differentiated_jvp(primals, tangents):
    (x,), (t,) = primals, tangents
    return jnp.sqrt(x), t / (x - x)  # the tangent quotient


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_an_input_leaf_is_named_with_its_shape(bad):
    params = {"dense": {"kernel": jnp.ones((2, 3)).at[1, 2].set(bad), "bias": jnp.ones(3)}}
    found = diagnose.first_non_finite(
        lambda params, batch: params["dense"]["kernel"].sum() + batch["x"].sum(),
        {"params": params, "batch": {"x": jnp.ones(4)}},
    )
    assert found == "params/dense/kernel float32[2,3]"


def test_a_batch_in_half_precision_is_looked_at_too():
    batch = {"image": jnp.full((2,), np.nan, jnp.bfloat16), "label": np.arange(2)}
    found = diagnose.first_non_finite(lambda batch: batch["image"], {"batch": batch})
    assert found == "batch/image bfloat16[2]"


def test_nothing_is_named_when_all_is_finite():
    fn = lambda params, key: jnp.log(params["w"]).sum() + jax.random.normal(key)
    inputs = {"params": {"w": jnp.ones(3)}, "key": keys.root(0)}
    assert diagnose.first_non_finite(fn, inputs) is None


def network_inputs():
    x = jnp.ones((2, 4))
    return {"variables": Network().init(keys.root(0), x), "x": x}


# Each makes another program around the same logarithm of 0.
WRAPPED = {
    "as it is": lambda fn: fn,
    "jit": jax.jit,
    "jit in jit": lambda fn: jax.jit(lambda *a: jax.jit(fn)(*a) + 1.0),
    "grad": jax.grad,
    "jit of grad": lambda fn: jax.jit(jax.grad(fn)),
    "checkpoint": lambda fn: jax.checkpoint(fn),
    "grad of checkpoint": lambda fn: jax.grad(jax.checkpoint(fn)),
}


@pytest.mark.parametrize("wrap", WRAPPED)
def test_the_operation_the_module_and_the_line_are_named(wrap):
    found = diagnose.first_non_finite(WRAPPED[wrap](Network().apply), network_inputs())
    assert found.startswith("the result of log float32[2,3] in ")
    assert "logarithm" in found
    assert f"({THIS_FILE}:{line_of('the logarithm')})" in found


@pytest.mark.parametrize("wrap", [lambda f: f, jax.jit], ids=["as it is", "jit"])
def test_a_division_by_a_parameter_that_is_0_is_named(wrap):
    class Outer(nn.Module):
        @nn.compact
        def __call__(self, x):
            return Quotient(name="quotient")(x).sum()

    x = jnp.ones((2, 3))
    inputs = {"variables": Outer().init(keys.root(0), x), "x": x}
    found = diagnose.first_non_finite(wrap(Outer().apply), inputs)
    assert found.startswith("the result of div float32[2,3] in ")
    assert "quotient" in found
    assert f"({THIS_FILE}:{line_of('the quotient')})" in found


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize(
    "fn, operation, line",
    [
        (lambda x: loud(x).sum(), "log", "the forward logarithm"),
        (jax.grad(call_silent), "div", "the call whose backward pass fails"),
        (jax.grad(lambda x: differentiated(x).sum()), "div", "the tangent quotient"),
    ],
    ids=["custom_vjp", "grad of custom_vjp", "grad of custom_jvp"],
)
def test_functions_with_derivatives_of_their_own_are_looked_into(fn, operation, line, compiled):
    found = diagnose.first_non_finite(jax.jit(fn) if compiled else fn, {"x": jnp.ones(3)})
    assert found.startswith(f"the result of {operation} float32[3]")
    assert f"({THIS_FILE}:{line_of(line)})" in found


def test_of_two_culprits_the_first_is_named():
    def fn(x):
        return jnp.sqrt(jnp.log(x) - 1.0) / (x - x)

    assert diagnose.first_non_finite(fn, {"x": jnp.ones(2)}).startswith("the result of sqrt")
    assert diagnose.first_non_finite(fn, {"x": jnp.zeros(2)}).startswith("the result of log")


@pytest.mark.parametrize("length", [1, 3])
def test_a_loop_that_fails_is_named(length):
    def fn(x):
        return jax.lax.scan(lambda c, _: (jnp.log(c), None), x, length=length)[0]

    found = diagnose.first_non_finite(fn, {"x": jnp.zeros(2)})
    assert re.match(r"the result of (scan|while|log) float32\[2\]", found)


def test_a_training_step_of_a_network_with_max_pools_is_all_finite():
    module = models.create("deep_cnn", num_classes=3, channels=(2,), hidden=4, dropout=0.5)
    batch = {"image": jnp.ones((2, 4, 4, 1)), "label": jnp.array([0, 2])}
    variables = module.init(keys.root(0), batch["image"])

    def loss(variables, batch, key):
        logits, _ = module.apply(
            variables, batch["image"], train=True, rngs={"dropout": key}, mutable=["batch_stats"]
        )
        return losses.cross_entropy(logits, batch["label"]).mean()

    inputs = {"variables": variables, "batch": batch, "key": keys.root(1)}
    assert diagnose.first_non_finite(jax.jit(jax.grad(loss)), inputs) is None
    broken = {**inputs, "variables": jax.tree.map(lambda x: x * 1e38 * 10, variables)}
    assert "variables/" in diagnose.first_non_finite(jax.jit(jax.grad(loss)), broken)
