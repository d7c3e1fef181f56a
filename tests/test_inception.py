"""Inception v3: published sizes, and pytorch-fid's features by its own names of tensors."""

import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from safetensors.numpy import save_file

from jaxdl import keys, models
from jaxdl.errors import UserError
from jaxdl.pretrained import judges

GOLDEN = Path(__file__).parent / "golden"
sys.path.insert(0, str(GOLDEN))

import seeded  # noqa: E402

PARAMETERS = {"inception_v3": (23_834_568, 1000), "inception_v3_fid": (23_850_960, 1008)}
SMALL = dict(
    shrink=16, num_classes=3, stages=((("A", 32),), (("B", 0), ("C", 128)), (("D", 0), ("E", 0)))
)


def shapes(model, side, **how):
    image = jax.ShapeDtypeStruct((2, side, side, 3), jnp.float32)
    init = lambda key, x: model.init_with_output(key, x, **how)
    found, variables = jax.eval_shape(init, keys.root(0), image)
    return variables, found


@pytest.mark.parametrize("name", PARAMETERS)
def test_parameter_count_is_the_published_one(name):
    variables, (features, logits) = shapes(models.create(name), 299, pooled=True)
    count = sum(x.size for x in jax.tree.leaves(variables["params"]))
    assert (count, logits.shape[1]) == PARAMETERS[name]
    assert features.shape == (2, 2048)
    assert features.dtype == logits.dtype == jnp.float32


def test_maps_are_of_each_stride_and_the_least_image_is_enough():
    model = models.create("inception_v3", **SMALL)
    _, found = shapes(model, 299, features=True)
    assert {stride: x.shape[1] for stride, x in found.items()} == {
        2: 147, 4: 71, 8: 35, 16: 17, 32: 8,
    }  # fmt: skip
    assert shapes(model, 75)[1].shape == (2, 3)
    assert shapes(model.clone(num_classes=0), 75)[1].shape == (2, 128)
    with pytest.raises(UserError, match="takes 75x75 and more"):
        shapes(model, 74)
    with pytest.raises(UserError, match="shrink=3"):
        shapes(model.clone(shrink=3), 75)


def test_weights_of_the_published_names_give_pytorch_fids_features(tmp_path):
    with np.load(GOLDEN / "inception.npz") as file:
        golden = dict(file)
    file = tmp_path / "pt_inception.safetensors"
    named = zip(map(str, golden["names"]), golden["shapes"], strict=True)
    shape = lambda text: tuple(map(int, text.split()))
    save_file({name: seeded.weight(name, shape(text)) for name, text in named}, file)
    images = seeded.images(tuple(golden["shape"]))
    images = (images - images.min()) / (images.max() - images.min())
    judge = judges.inception(file)
    seen = jax.jit(judge.of)(judge.variables, images)
    for name in ("features", "logits"):
        ours, theirs = np.asarray(getattr(seen, name)), golden[name]
        assert ours.dtype == np.float32
        assert np.abs(ours - theirs).max() < 1e-4 * np.abs(theirs).max(), name
