"""What a classifier's last layer reads, of every model of images, and what predict tells of it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from launching import built

from jaxdl.models import heads

DAILY = ("lenet", "resnet")
OTHERS = ("alexnet", "coatnet", "convnext", "cvt", "deep_cnn", "efficientnet", "googlenet",
          "gru:digits", "mobilevit", "vgg", "vit")  # fmt: skip
SLOW = pytest.mark.slow("jaxdl/models/", "jaxdl/layers/", "jaxdl/tasks/classification.py")


@pytest.mark.parametrize("experiment", [*DAILY, *(pytest.param(e, marks=SLOW) for e in OTHERS)])
def test_every_classifier_has_a_vector_beside_its_answers(experiment):
    one = built(experiment)
    images = jax.ShapeDtypeStruct(
        (3, *one.run.data.train.take(np.arange(1))["image"].shape[1:]), np.uint8
    )
    found = jax.eval_shape(one.task.predict, one.abstract_state, images)
    assert {name: x.shape[0] for name, x in found.items()} == dict(logits=3, shares=3, vector=3)
    kernel = one.abstract_state.params["head"]["kernel"]
    assert found["vector"].shape == (3, kernel.shape[0])


@pytest.mark.parametrize(
    "experiment",
    ["vit", *(pytest.param(e, marks=SLOW) for e in (*DAILY, *OTHERS, "embedding") if e != "vit")],
)
def test_every_classifier_is_exported_for_any_number_of_images(experiment):
    import jax.export

    one = built(experiment)
    shape = one.run.data.train.take(np.arange(1))["image"].shape[1:]
    sizes = jax.export.symbolic_shape(", ".join(["images", *map(str, shape)]))
    images = jax.ShapeDtypeStruct(sizes, np.uint8)
    made = jax.export.export(jax.jit(one.task.predict))(one.abstract_state, images)
    assert {str(out.shape[0]) for out in made.out_avals} == {"images"}


def test_it_is_what_stands_before_the_last_layer_made_unit():
    one = built("mlp", "--config.ema=.9")
    state = one.init_state()
    images = np.random.default_rng(0).integers(0, 256, (4, 8, 8, 1), np.uint8)
    found = jax.jit(one.task.predict)(state, images)
    params = jax.tree.map(lambda x: np.asarray(x, np.float64), state.average[0])
    data = one.run.data
    x = ((images / 255 - data.mean) / data.std).reshape(4, -1)
    hidden = [name for name in params if name.startswith("dense")]
    for name in hidden:
        x = np.maximum(x @ params[name]["kernel"] + params[name]["bias"], 0)
    np.testing.assert_allclose(
        found["vector"], x / np.linalg.norm(x, axis=1, keepdims=True), rtol=1e-4, atol=1e-6
    )
    said = one.task.describe({name: np.asarray(array[0]) for name, array in found.items()})
    np.testing.assert_array_equal(said.vector, found["vector"][0])
    assert {*said.record} == {"classes"}


def test_without_a_head_there_is_none():
    from jaxdl import models

    module = models.create("mlp", num_classes=2, hidden=(3,))
    variables = module.init(jax.random.key(0), jnp.zeros((1, 4)))
    headless = module.clone(hidden=())
    found, features = heads.with_features(headless, variables, jnp.ones((2, 3)))
    assert (found.shape, features.shape) == ((2, 2), (2, 3))

    import flax.linen as nn

    found, features = heads.with_features(
        nn.Dense(2), {"params": variables["params"]["head"]}, jnp.ones((2, 3))
    )
    assert features is None
