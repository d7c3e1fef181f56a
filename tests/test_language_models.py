"""BERT, T5 and BART compute what transformers' compute, from the same checkpoints, and go back.

The files in golden/language are made by golden/make_language.py, in float64; weights are drawn here
anew. Padding is compared nowhere: what a model says there means nothing.
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

from jaxdl import generate, pretrained

GOLDEN = Path(__file__).parent / "golden"
sys.path.insert(0, str(GOLDEN))

import seeded  # noqa: E402

CASES = sorted(path.stem for path in (GOLDEN / "language").glob("*.npz"))
# One of each model; the others are what these are made of, with other ends.
DAILY = ("bert_masked_lm", "t5_untied", "bart")
WHOLE = "model.safetensors"


class Golden(NamedTuple):
    """A case, as it was made."""

    about: dict[str, Any]
    arrays: dict[str, np.ndarray]

    @property
    def tensors(self):
        """Of their file."""
        return {name: seeded.weight(name, shape) for name, shape in self.about["tensors"].items()}

    @property
    def inputs(self):
        """What our model takes, by its own names."""
        x = {name: np.array(value, np.int32) for name, value in self.about["inputs"].items()}
        if "decoder_input_ids" in x:
            names = ("input_ids", "decoder_input_ids", "attention_mask", "decoder_attention_mask")
            return tuple(x[name] for name in names)
        if "token_type_ids" in x:
            return x["input_ids"], x["token_type_ids"], x["attention_mask"]
        return x["input_ids"], None, x["attention_mask"]

    @property
    def mask(self):
        """Where there are tokens, of what comes out."""
        return self.inputs[-1].astype(bool)


@functools.cache
def golden(case):
    with np.load(GOLDEN / "language" / f"{case}.npz") as file:
        arrays = dict(file)
    return Golden(json.loads(str(arrays.pop("about"))), arrays)


def write(folder, case, tensors=None, **config):
    """The folder that transformers saved."""
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps(golden(case).about["config"] | config))
    save_file(golden(case).tensors if tensors is None else tensors, folder / WHOLE)
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return functools.cache(lambda case: write(tmp_path_factory.mktemp(case), case))


@pytest.fixture(scope="module")
def loaded(folder):
    return functools.cache(lambda case: pretrained.load(folder(case)))


def also_slow(case, daily=DAILY):
    """The case, every day or when what it is made of has changed."""
    model = case.partition("_")[0]
    own = (
        f"jaxdl/models/{model}.py",
        f"jaxdl/pretrained/{model}.py",
        "jaxdl/layers/",
        "jaxdl/ops/",
    )
    return case if case in daily else pytest.param(case, marks=pytest.mark.slow(*own))


def near(ours, theirs, what, tolerance=1e-5):
    error = np.abs(ours - theirs).max() / np.abs(theirs).max()
    assert error < tolerance, f"{what}: relative error {error:.1e}"


def outputs(case, module, variables):
    """{name: what a model gives} of all that transformers was asked for, in one pass."""
    inputs = golden(case).inputs
    if len(inputs) == 4:
        source, target, *masks = inputs
        call = functools.partial(module.apply, variables)
        encoded = call(source, masks[0], method="encode")
        x = call(target, encoded, *masks, features=True, method="decode")
        return dict(encoded=encoded, features=x, logits=call(x, method="logits"))
    last = lambda part, method: method == "__call__" and part.name in ("block_1", "encoder_norm")
    y, kept = module.apply(variables, *inputs, capture_intermediates=last)
    ((features,),) = (x["__call__"] for x in kept["intermediates"].values() if "__call__" in x)
    return dict(features=features, logits=y)


@pytest.mark.parametrize("case", [also_slow(case) for case in CASES])
def test_logits_states_and_gradients_are_those_of_transformers(case, loaded, tmp_path):
    found, (module, variables) = golden(case), loaded(case)
    expected, mask = found.arrays, found.mask
    weights = seeded.normal("loss", expected["logits"].shape)
    weights = (weights * mask[..., None] if weights.ndim == 3 else weights).astype(np.float32)
    if case == "bart_model":  # their class ends before the logits
        expected = {**expected, "features": expected["logits"]}

    @jax.jit
    @functools.partial(jax.grad, has_aux=True)
    def gradient(params):
        kept = outputs(case, module, {**variables, "params": params})
        y = kept["features" if case == "bart_model" else "logits"]
        return (y * weights).sum(), kept

    slopes, kept = gradient(variables["params"])
    assert kept["logits"].dtype == jnp.float32
    of = dict(logits=mask, features=mask, encoded=found.inputs[2])
    if case == "bart_model":
        del expected["logits"]
    for name, theirs in ((k, x) for k, x in expected.items() if k in of):
        ours = kept[name]
        assert ours.shape == theirs.shape, name
        real = of[name].astype(bool) if ours.ndim == 3 else slice(None)
        near(ours[real], theirs[real], name)
    pretrained.save(module, {**variables, "params": slopes}, tmp_path)
    ours = load_file(tmp_path / WHOLE)
    gradients = {k.partition("/")[2]: x for k, x in expected.items() if k.startswith("gradient/")}
    largest = max(np.abs(x).max() for x in gradients.values())
    for name, theirs in gradients.items():
        there = next((n for n in (name, f"bert.{name}", f"model.{name}") if n in ours), None)
        if there is None:  # the second head of BertForPreTraining, and the pooler before it
            assert case == "bert_pretraining", name
            assert not theirs.any(), name
            continue
        summary = seeded.summary(name, ours[there])
        # Of a key's bias the whole gradient is rounding.
        size = max(np.abs(theirs).max(), 0.05 * largest)
        assert np.abs(summary - theirs).max() < 1e-5 * size, name


@pytest.mark.parametrize(
    "case",
    [also_slow(case, ("t5_untied",)) for case in CASES if "generated" in golden(case).arrays],
)
def test_greedy_continuations_are_those_of_transformers(case, loaded):
    found, (module, variables) = golden(case), loaded(case)
    source, _, mask, _ = found.inputs
    expected, config = found.arrays["generated"], found.about["config"]
    start = np.full((len(source), 1), config["decoder_start_token_id"], np.int32)
    made = generate.greedy(
        module, variables, start, tokens=expected.shape[1] - 1, source=source, source_mask=mask
    )
    assert config["eos_token_id"] not in expected[:, 1:]  # or what follows would be padding
    np.testing.assert_array_equal(made, expected[:, 1:])
