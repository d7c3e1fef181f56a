"""Image classifiers compute what their original libraries' compute, from the same checkpoints.

The files in golden/classifiers are made by golden/make_classifiers.py, in float64; weights and
images are drawn here anew. Relative errors are to the largest magnitude of the array.
"""

import functools
import json
import sys
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from jaxdl import keys, losses, pretrained

GOLDEN = Path(__file__).parent / "golden"
sys.path.insert(0, str(GOLDEN))

import seeded  # noqa: E402

CASES = sorted(path.stem for path in (GOLDEN / "classifiers").glob("*.npz"))
# What compiles in seconds, of what all have: convolutions, norms, attention, and heads.
DAILY = (
    "alexnet", "convnext_timm", "lenet", "resnet_bottleneck", "vgg_bn", "vit_transformers",
)  # fmt: skip


def also_slow(case: str):
    """The case, for tests that compile it: every day, or when what it is made of has changed."""
    if case in DAILY:
        return case
    file = f"{case.partition('_')[0]}.py"
    own = (f"jaxdl/models/{file}", f"jaxdl/pretrained/{file}", "jaxdl/layers/", "jaxdl/ops/")
    return pytest.param(case, marks=pytest.mark.slow(*own))


class Golden(NamedTuple):
    """A case, as it was made."""

    about: dict[str, Any]
    arrays: dict[str, np.ndarray]

    def under(self, prefix: str) -> dict[str, np.ndarray]:
        """The arrays whose names begin with ``prefix``, by the rest of their names."""
        start = f"{prefix}/"
        return {k.removeprefix(start): x for k, x in self.arrays.items() if k.startswith(start)}

    @property
    def tensors(self) -> dict[str, np.ndarray]:
        """Their state dict."""
        return {name: seeded.weight(name, shape) for name, shape in self.about["tensors"].items()}


@functools.cache
def golden(case: str) -> Golden:
    with np.load(GOLDEN / "classifiers" / f"{case}.npz") as file:
        arrays = dict(file)
    return Golden(json.loads(str(arrays.pop("about"))), arrays)


@pytest.fixture(scope="module")
def loaded(tmp_path_factory):
    @functools.cache
    def load(case: str):
        path = tmp_path_factory.mktemp(case) / "model.safetensors"
        save_file(golden(case).tensors, path)
        return pretrained.load(path, golden(case).about["ours"], **fields(case))

    return load


def fields(case: str) -> dict[str, Any]:
    tuples = lambda x: tuple(map(tuples, x)) if isinstance(x, list) else x
    return {name: tuples(value) for name, value in golden(case).about["fields"].items()}


def assert_near(ours, theirs, tolerance, what):
    """``theirs`` is a sample of the array, where that is large."""
    ours, theirs = seeded.sample(ours, 512), np.asarray(theirs).reshape(-1)
    assert ours.shape == theirs.shape, what
    error = np.abs(ours - theirs).max() / np.abs(theirs).max()
    assert error < tolerance, f"{what}: relative error {error:.1e}"


def assert_summaries_near(name, ours, theirs, tolerance):
    """Length, and products with directions of length √size: relative to what noise would give."""
    found = seeded.summary(name, ours)
    error = np.abs(found - theirs).max() / max(np.abs(theirs).max(), 1e-12)
    assert error < tolerance, f"{name}: relative error {error:.1e}"


def compare_maps(prefix, ours, arrays, tolerance):
    for name, theirs in arrays.under(prefix).items():
        what = f"{prefix}/{name}"
        assert ours[name].shape == tuple(arrays.arrays[f"shape/{what}"]), what
        assert_near(ours[name], theirs, tolerance, what)
        assert_summaries_near(what, ours[name], arrays.arrays[f"summary/{what}"], tolerance)


@pytest.mark.parametrize("case", [also_slow(case) for case in CASES])
def test_logits_and_maps_are_those_of_the_original(case, loaded):
    found, (module, variables) = golden(case), loaded(case)
    images = seeded.images(found.about["image"])
    names = list(found.under("block"))
    assert names, "the case compares no blocks"

    @jax.jit
    def apply(variables, images):
        chosen = lambda module, method: method == "__call__" and "/".join(module.path) in names
        logits, kept = module.apply(variables, images, capture_intermediates=chosen)
        return logits, kept["intermediates"], module.apply(variables, images, features=True)

    logits, kept, pyramid = apply(variables, images)
    assert logits.dtype == jnp.float32
    assert_near(logits, seeded.sample(found.arrays["eval"]), 1e-5, "logits")
    blocks = {name: functools.reduce(dict.get, name.split("/"), kept)["__call__"] for name in names}
    blocks = {name: first(found) for name, found in blocks.items()}
    compare_maps("block", blocks, found, 1e-5)
    if (strides := found.under("pyramid")).keys():
        assert {str(stride) for stride in pyramid} >= strides.keys()
        compare_maps("pyramid", {str(stride): x for stride, x in pyramid.items()}, found, 1e-5)
    for stride, x in pyramid.items():
        side = images.shape[1] / stride
        # Convolutions that pad nothing lose some at the edges, as LeNet's do.
        assert side / 2 < x.shape[1] <= np.ceil(side), stride


def first(outputs):
    """What the only call returned, or the first of the things that it returned."""
    (output,) = outputs
    return output[0] if isinstance(output, tuple) else output


@pytest.mark.parametrize("case", [also_slow(case) for case in CASES])
def test_a_training_step_is_that_of_the_original(case, loaded, tmp_path):
    found, (module, variables) = golden(case), loaded(case)
    images = seeded.images(found.about["image"])
    labels = seeded.labels(len(images), found.arrays["train/0"].shape[-1])
    state = {name: x for name, x in variables.items() if name != "params"}

    @jax.jit
    @functools.partial(jax.value_and_grad, has_aux=True)
    def step(params, images):
        logits, new = module.apply(
            {"params": params, **state},
            images,
            train=True,
            mutable=[*state, "auxiliary"],
            rngs={"dropout": keys.root(0)},
        )
        more = [x[0] for _, x in sorted(new.pop("auxiliary", {}).items())]
        loss = losses.cross_entropy(logits, labels).mean()
        for weight, auxiliary in zip(found.about["auxiliary"], more, strict=True):
            loss += weight * losses.cross_entropy(auxiliary, labels).mean()
        return loss, ([logits, *more], new)

    (loss, (logits, new)), gradient = step(variables["params"], images)
    for i, ours in enumerate(logits):
        assert_near(ours, seeded.sample(found.arrays[f"train/{i}"]), 1e-5, f"logits {i}")
    assert float(loss) == pytest.approx(float(found.arrays["loss"]), rel=1e-5)
    path = tmp_path / "step.safetensors"
    pretrained.save(module, {"params": gradient, **new}, path, naming=found.about["naming"])
    theirs = load_file(path)
    running = found.under("running")
    gradients = found.under("gradient")
    assert {*running, *gradients} == set(theirs)
    for name, expected in running.items():
        sample = seeded.sample(theirs[name], 64)
        error = np.abs(sample - expected).max() / np.abs(expected).max()
        assert error < 1e-5, f"{name}: relative error {error:.1e}"
    largest = max(np.abs(x).max() for x in gradients.values())
    for name, expected in gradients.items():
        # What is nothing but rounding (a bias in front of a batch norm) is measured by the others.
        if np.abs(expected).max() > 1e-8 * largest:
            assert_summaries_near(f"{name}", theirs[name], expected, 1e-4)
        else:
            assert np.abs(theirs[name]).max() < 1e-4 * largest, name


@pytest.mark.parametrize("case", [also_slow(case) for case in CASES])
def test_what_is_saved_is_the_original_file(case, loaded, tmp_path):
    module, variables = loaded(case)
    path = tmp_path / "saved.safetensors"
    pretrained.save(module, variables, path, naming=golden(case).about["naming"])
    ours, theirs = load_file(path), golden(case).tensors
    assert ours.keys() == theirs.keys()
    for name, tensor in theirs.items():
        np.testing.assert_array_equal(ours[name], tensor, err_msg=name)
