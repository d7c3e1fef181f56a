"""Low-rank adaptation: what learns, what it adds up to, and that no other part knows of it."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxdl import keys, models
from jaxdl.errors import UserError
from jaxdl.optim import lora
from jaxdl.tasks import learner
from jaxdl.trees import leaf_names

SETTINGS = lora.Settings(2, 8.0, ("attention/", "feed_forward/up"), ("^head/",))


@pytest.fixture(scope="module")
def params():
    module = models.create("gpt", vocab_size=5, context=4, width=8, depth=1, heads=2, output="both")
    return jax.jit(module.init)(keys.root(0), jnp.zeros((1, 1), jnp.int32))["params"]


def test_what_learns_is_two_thin_matrices_a_layer_and_what_is_new(params):
    found, adapted = lora.begin(params, keys.root(1), SETTINGS)
    layers = [
        *(f"attention/{name}" for name in ("key", "out", "query", "value")),
        "feed_forward/up",
    ]
    wanted = [f"block_0/{layer}/lora_{x}" for layer in layers for x in "ab"]
    assert sorted(leaf_names(found)) == sorted([*wanted, "head/kernel"])
    # 2 (8 + 8) of each of attention's four, 2 (8 + 32) of the wider one, 8 of the head.
    assert sum(x.size for x in jax.tree.leaves(found)) == 4 * 32 + 80 + 8
    same = lora.merged(adapted, found)
    assert jax.tree.structure(same) == jax.tree.structure(params)
    assert all(map(np.array_equal, jax.tree.leaves(same), jax.tree.leaves(params)))
    a = found["block_0"]["feed_forward"]["up"]["lora_a"]
    assert jnp.abs(a).max() <= 8**-0.5
    assert jnp.unique(a).size == a.size


def test_merged_is_w_plus_alpha_over_r_times_the_product(params):
    found, adapted = lora.begin(params, keys.root(1), SETTINGS)
    rng = np.random.default_rng(0)
    found = jax.tree.map(lambda x: rng.normal(size=x.shape).astype(np.float32), found)
    made = lora.merged(adapted, found)
    for name, ends in (("query", 1), ("out", 2)):
        layer = found["block_0"]["attention"][name]
        change = (
            made["block_0"]["attention"][name]["kernel"]
            - params["block_0"]["attention"][name]["kernel"]
        )
        size = int(np.prod(change.shape[:ends]))
        wanted = 8.0 / 2 * layer["lora_a"].astype(np.float64) @ layer["lora_b"]
        np.testing.assert_allclose(
            np.asarray(change).reshape(size, -1), wanted, rtol=1e-4, atol=1e-5
        )
    np.testing.assert_array_equal(made["head"]["kernel"], found["head"]["kernel"])
    np.testing.assert_array_equal(made["token"]["embedding"], params["token"]["embedding"])


def test_an_update_moves_the_change_alone_by_the_gradient_of_the_whole():
    rng = np.random.default_rng(0)
    w, x, y = (rng.normal(size=s).astype(np.float32) for s in ((4, 3), (5, 4), (5, 3)))

    def loss_fn(params, model_state, batch, key):
        error = jnp.square(batch["x"] @ params["dense"]["kernel"] - batch["y"]).sum(-1)
        from jaxdl.metrics import Mean

        return learner.Loss(Mean.of(error), model_state, {})

    optimizer = optax.sgd(lambda step: 0.1)
    how = lora.Settings(2, 6.0, ("dense",))
    state = learner.create(
        {"params": {"dense": {"kernel": w}}}, optimizer, low_rank=how, key=keys.root(0), ema=0.5
    )
    update = jax.jit(learner.make_update(loss_fn, optimizer, ema=0.5))
    a = np.asarray(state.params["dense"]["lora_a"], np.float64)
    new, _ = update(state, {"x": x, "y": y}, keys.root(1))
    slope = 2 * x.T.astype(np.float64) @ (x @ w - y) / 5  # of the whole kernel
    b = -0.1 * 3.0 * a.T @ slope  # B was 0, so that A stays
    np.testing.assert_allclose(new.params["dense"]["lora_b"], b, rtol=1e-4, atol=1e-6)
    np.testing.assert_array_equal(new.params["dense"]["lora_a"], state.params["dense"]["lora_a"])
    np.testing.assert_allclose(new.variables["params"]["dense"]["kernel"], w + 3 * a @ b, rtol=1e-4)
    np.testing.assert_array_equal(new.adapted.params["dense"]["kernel"], w)
    assert new.best_variables["params"]["dense"]["kernel"].shape == (4, 3)


@pytest.mark.parametrize(
    "change, says",
    [
        (dict(layers=("nothing",)), "config.lora.layers: 'nothing' matches no parameter"),
        (dict(layers=("norm",)), r"config.lora.layers=\('norm',\): none has a dense kernel"),
        (dict(rank=9), "config.lora.rank=9: block_0/attention/key/kernel is of 8 x 8"),
    ],
)
def test_what_cannot_be_adapted_is_one_line(params, change, says):
    with pytest.raises(UserError, match=says):
        lora.begin(params, keys.root(1), SETTINGS._replace(**change))
