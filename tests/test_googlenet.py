"""GoogLeNet: published sizes, auxiliary heads, and what it takes and gives."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl import keys, models, ops
from jaxdl.errors import UserError

# Without and with auxiliary heads.
PARAMETERS = {
    "googlenet": (6_624_904, 13_004_888),
    "googlenet_paper": (6_998_552, 13_378_280),
}
BLOCK = (2, 2, 4, 2, 2, 2)
SMALL = dict(
    stem=(4, 4, 6), stages=((BLOCK,), (BLOCK,) * 4, (BLOCK,)), aux_features=4, aux_hidden=8
)


def shapes(model, side, channels=3, **how):
    image = jax.ShapeDtypeStruct((2, side, side, channels), jnp.float32)
    variables = jax.eval_shape(model.init, keys.root(0), image)
    apply = lambda variables, x: model.apply(variables, x, **how)
    return variables, jax.eval_shape(apply, variables, image)


@pytest.mark.parametrize("name", PARAMETERS)
@pytest.mark.parametrize("aux", [False, True])
def test_parameter_count_is_the_published_one_for_any_image(name, aux):
    for side in (31 if "paper" in name else 15, 224):
        variables, logits = shapes(models.create(name, aux=aux), side)
        count = sum(x.size for x in jax.tree.leaves(variables["params"]))
        assert (count, logits.shape) == (PARAMETERS[name][aux], (2, 1000))


@pytest.mark.parametrize("form", ["batch_norm", "paper"])
def test_auxiliary_heads_speak_in_training_and_only_where_they_are_heard(form):
    model = models.create("googlenet", **SMALL, form=form, aux=True, num_classes=5)
    image = jnp.ones((2, 64, 64, 3))
    key = keys.root(0)
    variables = jax.eval_shape(model.init, key, image)
    assert "auxiliary" not in variables

    def step(variables, image):
        mutable = ["batch_stats", "auxiliary"]
        return model.apply(variables, image, train=True, mutable=mutable, rngs={"dropout": key})

    _, found = jax.eval_shape(step, variables, image)
    sown = {name: [x.shape for x in logits] for name, logits in found["auxiliary"].items()}
    assert sown == {"logits_1": [(2, 5)], "logits_2": [(2, 5)]}
    evaluate = lambda variables: model.apply(variables, image, mutable=["auxiliary"])
    assert "auxiliary" not in jax.eval_shape(evaluate, variables)[1]
    assert not [
        name for name in shapes(model.clone(num_classes=0), 64)[0]["params"] if "aux" in name
    ]


@pytest.mark.parametrize("form", ["batch_norm", "paper"])
def test_maps_and_features(form):
    model = models.create("googlenet", **SMALL, form=form, num_classes=0, dtype=jnp.bfloat16)
    _, maps = shapes(model, 80, features=True)
    assert {s: x.shape[1:] for s, x in maps.items()} == {
        2: (40, 40, 4),
        4: (20, 20, 6),
        8: (10, 10, 10),
        16: (5, 5, 10),
        32: ((3 if form == "batch_norm" else 2), (3 if form == "batch_norm" else 2), 10),
    }
    variables, found = shapes(model, 80)
    assert (found.shape, found.dtype) == ((2, 10), jnp.float32)
    assert "head" not in variables["params"]
    _, maps = shapes(model.clone(stem_strides=(1, 1, 1)), 8, channels=1, features=True)
    assert {s: x.shape[1] for s, x in maps.items()} == {1: 8, 2: 4, 4: 2}


def test_what_cannot_work_is_one_line_that_says_what_would():
    with pytest.raises(UserError, match=r"too small .* it takes 15x15 pixels and more"):
        shapes(models.create("googlenet"), 14)
    with pytest.raises(UserError, match=r"it takes 31x31 pixels and more"):
        shapes(models.create("googlenet_paper"), 30)
    with pytest.raises(UserError, match="transform_input is for images of 3 channels, not 1"):
        shapes(models.create("googlenet", transform_input=True), 32, channels=1)


def test_transformed_images_are_those_of_the_other_preparation():
    # An image in [0, 1], prepared both ways.
    image = np.random.default_rng(0).uniform(size=(1, 15, 15, 3)).astype(np.float32)
    model = models.create("googlenet", **SMALL)
    variables = model.init(keys.root(0), image)
    plain = model.apply(variables, (image - 0.5) / 0.5)
    mean, std = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    prepared = ((image - mean) / std).astype(np.float32)
    transformed = model.clone(transform_input=True).apply(variables, prepared)
    np.testing.assert_allclose(transformed, plain, atol=1e-5 * np.abs(plain).max())


def test_response_normalisation_by_plain_loops():
    x = np.random.default_rng(0).normal(size=(2, 3, 7))
    expected = np.empty_like(x)
    for i in range(7):
        near = x[..., max(i - 2, 0) : i + 3]
        expected[..., i] = x[..., i] / (2 + 0.3 / 5 * (near**2).sum(-1)) ** 0.6
    with jax.enable_x64(True):
        found = ops.local_response_norm(jnp.asarray(x), 5, alpha=0.3, beta=0.6, k=2.0)
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    assert ops.local_response_norm(jnp.ones((1, 4), jnp.bfloat16)).dtype == jnp.bfloat16
