"""Texts token for token as transformers' `generate` writes them, greedy and by beam search.

golden/generation.npz is made by golden/make_generation.py, in float64; weights are drawn here anew.
Prompts and sources are of unequal length, two tokens end a text, and 0 follows it.
"""

import functools
import json
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from jaxdl import generate, pretrained
from jaxdl.generate.settings import Settings

GOLDEN = Path(__file__).parent / "golden"
sys.path.insert(0, str(GOLDEN))

import seeded  # noqa: E402

MODELS = ("gpt2", "t5", "t5_untied", "bart")
FILES = ("jaxdl/generate/", *(f"jaxdl/models/{name}.py" for name in ("gpt", "t5", "bart")))


@functools.cache
def golden():
    with np.load(GOLDEN / "generation.npz") as file:
        arrays = dict(file)
    return json.loads(str(arrays.pop("about"))), arrays


CASES = [(name, case) for name in MODELS for case in golden()[0][name]["cases"]]


@pytest.fixture(scope="module")
def loaded(tmp_path_factory):
    @functools.cache
    def load(name):
        about, folder = golden()[0][name], tmp_path_factory.mktemp(name)
        tensors = {n: seeded.weight(n, shape) for n, shape in about["tensors"].items()}
        (folder / "config.json").write_text(json.dumps(about["config"]))
        save_file(tensors, folder / "model.safetensors")
        return pretrained.load(folder)

    return load


def case_of(name, case):
    """(settings, what it goes on from, the texts, their scores)."""
    (everything, arrays), about = golden(), golden()[0][name]
    longer = case in everything["longer"] or name == "gpt2"
    inputs = about["inputs"]["beams_5" if longer else "greedy"]
    inputs = {k: np.array(x, np.int32) for k, x in inputs.items()}
    if name == "gpt2":
        given = dict(prompt=inputs["input_ids"], prompt_mask=inputs["attention_mask"])
    else:
        start = np.full((4, 1), about["config"]["decoder_start_token_id"], np.int32)
        given = dict(
            prompt=inputs.get("decoder_input_ids", start),
            prompt_mask=inputs.get("decoder_attention_mask"),
            source=inputs["input_ids"],
            source_mask=inputs["attention_mask"],
        )
    settings = dict(about["cases"][case], eos_token_id=about["stops"], pad_token_id=0)
    settings = Settings.of(dict(settings, max_new_tokens=12))
    index = list(about["cases"]).index(case)
    texts, scores = (arrays[f"{name}/{kind}"][index] for kind in ("texts", "scores"))
    count = settings.num_return_sequences
    return settings, given, texts[:, :count], scores[:, :count]


@pytest.mark.parametrize("name, case", CASES)
def test_texts_and_scores_are_those_of_transformers(name, case, loaded):
    settings, given, texts, scores = case_of(name, case)
    module, variables = loaded(name)
    given, prompt = dict(given), given["prompt"]
    if settings.num_beams == 1:
        made = generate.by_settings(module, variables, settings, **given)
        np.testing.assert_array_equal(made, texts)
        return
    del given["prompt"]
    made, found = generate.beam_search(
        module, variables, prompt, beams=settings.num_beams,
        returned=settings.num_return_sequences, length_penalty=settings.length_penalty,
        early_stopping=settings.early_stopping, **settings.how(prompt.shape[1]), **given,
    )  # fmt: skip
    np.testing.assert_array_equal(made, texts)
    np.testing.assert_allclose(found, scores, rtol=1e-4, atol=1e-4)
