"""Texts token for token as transformers' `generate` writes them, greedy and by beam search.

golden/generation.npz is made by golden/make_generation.py, in float64; weights are drawn here anew.
Prompts and sources are of unequal length, two tokens end a text, and 0 follows it.
"""

import functools
import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest
import test_generate
from safetensors.numpy import save_file

from jaxdl import generate, keys, models, pretrained
from jaxdl.errors import UserError
from jaxdl.generate import Settings, beams, processors, requests

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


# Every day three programs; the others are made of the same parts.
PLAIN = [case for case in golden()[0]["gpt2"]["cases"] if case.startswith("beams_3")]
DAILY = {"gpt2": (*PLAIN, "beams_5_all"), "bart": ("beams_4_summary",)}


def seldom(name, case):
    daily = case in DAILY.get(name, ())
    return pytest.param(name, case, marks=() if daily else pytest.mark.slow(*FILES))


CASES = [seldom(name, case) for name in MODELS for case in golden()[0][name]["cases"]]


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


# Settings of a folder


SAID = dict(
    decoder_start_token_id=2, eos_token_id=[2, 7], pad_token_id=1, max_length=30, num_beams=4,
    length_penalty=2, early_stopping=True, forced_eos_token_id=2, temperature=None,
    transformers_version="5.24.0",
)  # fmt: skip


def test_settings_are_a_folders_and_go_back_into_one(loaded, tmp_path):
    (tmp_path / "generation_config.json").write_text(json.dumps(SAID))
    settings = pretrained.generation(tmp_path)
    assert (settings.eos_token_id, settings.num_beams, settings.top_k) == ((2, 7), 4, 50)
    assert settings.how(3) == dict(tokens=27, stop=(2, 7), pad=1, forced_last=2)
    pretrained.save(*loaded("bart"), tmp_path / "again", generation=settings)
    assert pretrained.generation(tmp_path / "again") == settings
    written = json.loads((tmp_path / "again" / "generation_config.json").read_text())
    assert written == {k: x for k, x in SAID.items() if x is not None}
    # Without the file, config.json says what is said.
    (tmp_path / "again" / "generation_config.json").unlink()
    found = pretrained.generation(tmp_path / "again")
    assert (found.decoder_start_token_id, found.num_beams, found.others) == (2, 1, {})
    with pytest.raises(
        UserError, match=r"x\.safetensors is one file: generation_config\.json needs"
    ):
        pretrained.save(*loaded("bart"), tmp_path / "x.safetensors", generation=settings)


def test_lengths_are_counted_as_transformers_counts_them():
    how = lambda prompt, **said: Settings(eos_token_id=1, **said).how(prompt)
    assert how(3)["tokens"] == 20
    assert how(3, max_length=10)["tokens"] == 7
    assert how(3, max_length=10, max_new_tokens=2)["tokens"] == 2
    assert how(3, min_length=8)["min_tokens"] == 5
    assert how(3, min_length=8, min_new_tokens=2)["min_tokens"] == 2
    assert "min_tokens" not in how(9, min_length=8)
    assert "forced_first" not in how(2, forced_bos_token_id=4)


@pytest.mark.parametrize(
    "said, message",
    [
        (dict(num_beams="4"), r"num_beams='4' must be a whole number"),
        (dict(num_beams=True), r"num_beams=True must be a whole number"),
        (dict(eos_token_id=["a"]), r"eos_token_id=\['a'\] must be a whole number"),
        (dict(length_penalty="x"), r"length_penalty='x' must be a number"),
        (dict(early_stopping=1), r"early_stopping=1 must be True or False or a word"),
        (dict(bad_words_ids=[3]), r"bad_words_ids=\[3\] must be a list of lists of tokens"),
        (dict(suppress_tokens=[[3]]), r"suppress_tokens=\[\[3\]\] must be a list of tokens"),
        (dict(begin_suppress_tokens=3), r"begin_suppress_tokens=3 must be a list of tokens"),
    ],
)
def test_settings_of_another_kind_are_named(said, message, tmp_path):
    (tmp_path / "generation_config.json").write_text(json.dumps(said))
    with pytest.raises(UserError, match=rf"generation_config\.json: {message}"):
        pretrained.generation(tmp_path)


# What cannot be

GPT = models.create("gpt", vocab_size=9, context=8, width=4, depth=1, heads=1)
T5 = models.create("t5", vocab_size=9, width=4, heads=1, encoder_depth=1, decoder_depth=1)
BART = models.create(
    "bart", vocab_size=9, width=4, heads=1, context=8, encoder_depth=1, decoder_depth=1
)
SOURCE = np.ones((2, 3), int)
# {message: (module, what is asked for besides 3 tokens behind 2 prompts)}
BAD = {
    "T5 needs a source, (batch, tokens), beside the prompt": (T5, {}),
    "GPT reads no source: what it is to go on from is its prompt": (GPT, dict(source=SOURCE)),
    "GPT reads no source:": (GPT, dict(source_mask=SOURCE)),
    "source must be (2, tokens), one to each prompt, got the shape (3, 3)": (
        T5, dict(source=np.ones((3, 3), int)),
    ),
    "source has the token 9, but the model's go from 0 to 8": (T5, dict(source=SOURCE * 9)),
    "source of 9 tokens is longer than the model's context of 8": (
        BART, dict(source=np.ones((2, 9), int)),
    ),
    "prompt of 1 tokens and tokens=8 more are longer than the model's context of 8": (
        BART, dict(source=SOURCE, tokens=8),
    ),
    "source_mask: source 1 is all padding": (
        T5, dict(source=SOURCE, source_mask=[[1, 1, 0], [0, 0, 0]]),
    ),
    "source_mask must be booleans or whole numbers shaped like the source, (2, 3), got": (
        T5, dict(source=SOURCE, source_mask=[1, 1, 0]),
    ),
    "prompt_mask: prompt 0 is all padding": (GPT, dict(prompt_mask=[[0], [1]])),
    "prompt_mask: padding must stand in front of a prompt": (
        GPT, dict(prompt=SOURCE, prompt_mask=[[1, 1, 1], [1, 1, 0]]),
    ),
    "Chain takes no prompt_mask: its prompts must be of one length": (
        test_generate.Chain(9), dict(prompt_mask=[[1], [1]]),
    ),
    "pad=9 is no token: the model's go from 0 to 8": (GPT, dict(pad=9, stop=1)),
    "pad=1 needs stop: it follows a token that ends a text": (GPT, dict(pad=1)),
    "min_tokens=4 must be at most tokens=3": (GPT, dict(min_tokens=4, stop=1)),
    "min_tokens=2 needs stop: without, every text is as long": (GPT, dict(min_tokens=2)),
    "no_repeat_ngram_size=0 must be at least 1": (GPT, dict(no_repeat_ngram_size=0)),
    "no_repeat_ngram_size=1: 9 tokens are too few for texts of 11 that never repeat": (
        T5, dict(source=SOURCE, tokens=10, no_repeat_ngram_size=1),
    ),
    "repetition_penalty=0 must be above 0": (GPT, dict(repetition_penalty=0)),
    "forced_first=-1 is no token": (GPT, dict(forced_first=-1)),
    "forced_first=2 goes with prompts of one token, not 3": (
        GPT, dict(prompt=SOURCE, forced_first=2),
    ),
    "bad_words has 5, which must be a row of tokens": (GPT, dict(bad_words=[5])),
    "bad_words has [], which must be a row of tokens": (GPT, dict(bad_words=[[1], []])),
    "bad_words='ab' must be rows of tokens": (GPT, dict(bad_words="ab")),
    "bad_words: token=9 is no token: the model's go from 0 to 8": (GPT, dict(bad_words=[[1, 9]])),
    "suppressed has the token 9, but the model's go from 0 to 8": (GPT, dict(suppressed=[9])),
    "suppressed_first='a' must be a token or several, whole numbers": (
        GPT, dict(suppressed_first="a"),
    ),
    "there is no setting 'min_token': did you mean 'min_tokens' or 'max_tokens'?": (
        GPT, dict(min_token=2),
    ),
}  # fmt: skip


@pytest.mark.parametrize("message", BAD)
def test_what_cannot_be_written_is_one_clear_line(message):
    module, asked = BAD[message]
    asked = dict(tokens=3, prompt=[[1], [1]]) | asked
    for write in (generate.greedy, generate.beam_search):
        with pytest.raises(UserError) as caught:
            write(module, {}, **asked)
        assert message in str(caught.value)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "asked, message",
    [
        (dict(beams=2, returned=3), "returned=3 must be from 1 to beams=2"),
        (dict(early_stopping="always"), "early_stopping='always' must be True, False or 'never'"),
        (dict(early_stopping=1), "early_stopping=1 must be"),
    ],
)
def test_beams_that_cannot_be(asked, message):
    with pytest.raises(UserError, match=message):
        generate.beam_search(GPT, {}, [[1]], tokens=3, **asked)


@pytest.mark.parametrize(
    "settings, module, message",
    [
        (dict(num_beams=2, do_sample=True), GPT, "num_beams=2 and do_sample=True are not together"),
        (dict(num_return_sequences=2), GPT, "num_return_sequences=2 needs num_beams=2"),
        (dict(do_sample=True), GPT, "do_sample=True needs a key"),
        (dict(max_length=2), GPT, "max_length=2 leaves no room behind prompts of 3 tokens"),
        (dict(others=dict(penalty_alpha=0.6)), GPT, "penalty_alpha=0.6: texts are not written so"),
        (dict(), T5, "no token begins a text, decoder_start_token_id or bos_token_id"),
    ],
)
def test_settings_that_cannot_be_together(settings, module, message):
    given = dict(source=SOURCE) if module is T5 else dict(prompt=SOURCE)
    with pytest.raises(UserError, match=message):
        generate.by_settings(module, {}, Settings(**settings), **given)


# Tokens that are left out

TEXT = np.array([[3, 4, 5, -1], [-1, 4, 4, -1]], np.int32)
# {rows of one length: tokens that may not follow each text}
LEFT_OUT = {
    ((5,), (6,)): ({5, 6}, {5, 6}),
    ((5, 1), (4, 2), (4, 3)): ({1}, {2, 3}),
    ((4, 5, 7), (4, 4, 8)): ({7}, {8}),
    ((3, 4, 5, 7), (0, 4, 4, 7)): ({7}, set()),
    ((1, 3, 4, 5, 7),): (set(), set()),
    ((1,) * 6,): (set(), set()),
}


@pytest.mark.parametrize("words", LEFT_OUT)
def test_words_end_where_they_may_not(words):
    scores, filled = np.zeros((2, 9), np.float32), np.int32(3)
    found = np.asarray(processors.forbid_words(scores, TEXT, filled, np.array(words)))
    assert tuple(set(np.flatnonzero(row < 0).tolist()) for row in found) == LEFT_OUT[words]
    assert set(np.unique(found)) <= {-np.inf, 0}


def test_the_first_token_is_the_first_that_is_not_forced():
    given = dict(suppressed=[7], suppressed_first=[5, 6], bad_words=[[1], [2, 3]])
    for forced, first in ((None, 0), (8, 1)):
        asked = requests.check_rules(
            GPT, requests.check_given(GPT, [[0]], 3, None, None, None), 3, 1,
            given | dict(forced_first=forced),
        )  # fmt: skip
        for added in range(3):
            text = np.full((1, 4), 2, np.int32)
            scores = asked(np.zeros((1, 9), np.float32), text, added=np.int32(added), tokens=3)
            out = set(np.flatnonzero(np.asarray(scores)[0] < 0).tolist())
            # 1 ends a text: that it may not is no matter of words.
            wanted = {3, 7} | ({5, 6} if added == first else set())
            assert out == ({*range(8)} if forced and not added else wanted)


def test_lists_of_tokens_are_settings_of_a_file():
    said = dict(bad_words_ids=[[3], [4, 5]], suppress_tokens=[6], begin_suppress_tokens=[7, 8])
    found = Settings.of(said | dict(eos_token_id=[1]))
    assert found.said() == said | dict(eos_token_id=1)
    how = found.how(1)
    assert how["bad_words"] == ((3,), (4, 5))
    assert (how["suppressed"], how["suppressed_first"]) == ((6,), (7, 8))
    assert Settings.of({key: [] for key in said}) == Settings()


# One definition for all ways to write


def test_several_drawn_texts_of_a_prompt_differ_and_heed_the_rules():
    module, variables, _ = test_generate.chain(14)
    settings = Settings(
        do_sample=True, num_return_sequences=3, max_new_tokens=9, no_repeat_ngram_size=1, top_k=0
    )
    texts = generate.by_settings(module, variables, settings, [[5, 7]], key=keys.root(0))
    assert texts.shape == (1, 3, 9)
    assert len(set(map(tuple, np.asarray(texts)[0].tolist()))) == 3
    for text in np.asarray(texts)[0]:
        assert len({5, 7, *text.tolist()}) == 11


def test_other_values_and_other_texts_need_no_other_program(loaded):
    module, variables = loaded("gpt2")
    how = dict(tokens=12, beams=5, no_repeat_ngram_size=2)
    prompts = np.random.default_rng(0).integers(3, 60, (2, 4, 4))
    mask = case_of("gpt2", "beams_5_all")[1]["prompt_mask"]
    sizes = []
    for prompt, stop, penalty in zip(prompts, ([4, 5], [6, 7]), (1.0, 0.5), strict=True):
        generate.beam_search(
            module, variables, prompt, prompt_mask=mask, stop=stop, pad=0, min_tokens=int(stop[0]),
            repetition_penalty=1 + penalty, length_penalty=penalty, early_stopping=penalty < 1,
            **how,
        )  # fmt: skip
        sizes.append(beams._beam_search._cache_size())
    assert sizes[0] == sizes[1]


@pytest.mark.slow(*FILES, "docs/using.md")
def test_the_pages_snippets_run_as_shown(capsys):
    page = (Path(__file__).parent.parent / "docs" / "using.md").read_text()
    section = page.partition("## Texts that a model writes")[2].partition("\n## ")[0]
    snippets = re.findall(r"```python\n(.*?)```", section, re.S)
    exec("\n".join(snippets), {})
    assert capsys.readouterr().out == "(2, 2, 8) (2, 2)\n(2, 1, 8)\n"
