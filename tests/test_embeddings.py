"""Vectors of texts by a published encoder, and what it says of hidden words."""

import json
import shutil

import jax
import numpy as np
import pytest
import tokenizers

from jaxdl import models, pretrained
from jaxdl.errors import UserError
from jaxdl.inference import embeddings, fill_masks

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "red", "green", "bird", "and"]
TEXTS = ["red", "the green bird and the red bird", "", "green bird", "red " * 30]


def known(words):
    """A tokenizer of these words."""
    made = tokenizers.Tokenizer(
        tokenizers.models.WordLevel({name: i for i, name in enumerate(words)}, unk_token="[UNK]")
    )
    made.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    return made


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A small encoder with the tokenizer that it knows."""
    path = tmp_path_factory.mktemp("published") / "bert"
    module = models.create("bert", vocab_size=20, context=16, width=16, depth=1, heads=2)
    params = jax.jit(lambda: module.init(jax.random.key(1), np.zeros((1, 4), np.int32)))()
    pretrained.save(module, jax.tree.map(lambda x: 10 * x, params), path)
    known(WORDS).save(str(path / "tokenizer.json"))
    return path


@pytest.fixture
def said(folder):
    """Writes one of sentence-transformers' files, which goes after the test."""
    written = []

    def write(name, content):
        written.append(folder / name)
        written[-1].parent.mkdir(exist_ok=True)
        written[-1].write_text(json.dumps(content))

    yield write
    for file in written:
        file.unlink()


def test_a_vector_is_the_mean_of_its_tokens_alone(folder, said, capsys):
    said("sentence_bert_config.json", {"max_seq_length": 12})
    encoder = embeddings.load(folder)
    found = encoder(TEXTS)
    assert "1 of 5 texts are longer than the encoder's context=12" in capsys.readouterr().err
    module, variables = pretrained.load(folder)
    # All of one length, and no batches: the mask alone tells the padding.
    encoded = encoder.encoded(TEXTS)
    tokens, mask = np.zeros((2, 5, 12), np.int32)
    for i, text in enumerate(encoded):
        tokens[i, : len(text.tokens)], mask[i, : len(text.tokens)] = text.tokens, 1
    apply = jax.jit(lambda tokens, mask: module.apply(variables, tokens, None, mask, features=True))
    features = apply(tokens, mask)
    mean = (features * mask[..., None]).sum(1) / mask.sum(1)[:, None]
    wanted = mean / np.linalg.norm(mean, axis=1, keepdims=True)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, wanted, atol=1e-6)
    assert encoder([]).shape == (0, 16)


@pytest.mark.parametrize(
    "name, content, says",
    [
        ("1_Pooling/config.json", {"pooling_mode_cls_token": True}, "pooling_mode_cls_token"),
        ("modules.json", [{"type": "x.models.Dense"}], "Dense"),
        ("modules.json", [1], "lists no modules"),
    ],
)
def test_other_vectors_are_refused(folder, said, name, content, says):
    said(name, content)
    with pytest.raises(UserError, match=says):
        embeddings.load(folder)


def test_what_sentence_transformers_says_of_the_mean_is_taken(folder, said):
    said("1_Pooling/config.json", {"pooling_mode_mean_tokens": True, "include_prompt": True})
    said("modules.json", [{"type": f"a.b.{kind}"} for kind in ("Transformer", "Pooling")])
    assert embeddings.load(folder).longest == 16


def test_what_is_hidden_is_said_by_the_published_head(folder):
    fill = fill_masks.load(folder)
    texts = ["the [MASK] bird", "and", "green bird " * 20 + "[MASK] red bird"]
    found = fill(texts)
    assert found[1] == {"text": "and", "masks": []}
    module, variables = pretrained.load(folder)
    tokens = np.array([[2, 5, 4, 8, 3]])
    logits = np.asarray(module.apply(variables, tokens)[0, 2], np.float64)
    shares = np.exp(logits) / np.exp(logits).sum()
    wanted = [
        i for i in np.argsort(-shares) if i < len(WORDS) and WORDS[i] not in WORDS[:1] + WORDS[2:5]
    ]
    (mask,) = found[0]["masks"]
    assert [guess["id"] for guess in mask["likeliest"]] == wanted[:5]
    said = [guess["probability"] for guess in mask["likeliest"]]
    np.testing.assert_allclose(said, shares[wanted[:5]], rtol=1e-4)
    assert found[0]["text"] == f"the {WORDS[wanted[0]]} bird"
    # What is longer than the model's 16 positions is read around the mask.
    text = found[2]["text"].split()
    assert (len(text), text[41:]) == (43, ["red", "bird"])
    assert fill(["red"]) == [{"text": "red", "masks": []}]


def test_an_encoder_without_a_masked_head_is_refused(folder, tmp_path):
    module, variables = pretrained.load(folder, output="tagger", num_classes=2)
    pretrained.save(module, variables, tmp_path / "tagger")
    with pytest.raises(UserError, match="is no masked language model"):
        fill_masks.load(tmp_path / "tagger")


@pytest.mark.parametrize("name", ["gpt", "bart"])
def test_a_model_that_writes_embeds_nothing(name, tmp_path):
    fields = dict(vocab_size=20, context=8, width=8, heads=2)
    depths = dict(depth=1) if name == "gpt" else dict(encoder_depth=1, decoder_depth=1, hidden=8)
    module = models.create(name, **fields, **depths)
    tokens = [np.zeros((1, 2), np.int32)] * (1 if name == "gpt" else 2)
    pretrained.save(module, module.init(jax.random.key(0), *tokens), tmp_path)
    with pytest.raises(UserError, match="only encoders such as BERT embed"):
        embeddings.load(tmp_path)


def test_a_tokenizer_that_is_not_the_checkpoints_is_refused(folder, tmp_path):
    other = shutil.copytree(folder, tmp_path / "bert")
    large, bare = [*WORDS, *map(str, range(11))], ["[UNK]", *map(str, range(17))]
    for words, says in ((large, "21 tokens"), (bare, r"18 tokens, without \[PAD\], \[CLS\], ")):
        known(words).save(str(other / "tokenizer.json"))
        for module in (embeddings, fill_masks):
            with pytest.raises(UserError, match=f"has {says}.*and the weights know 20"):
                module.load(other)
