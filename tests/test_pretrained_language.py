"""Files of BERT, T5 and BART: every class and form that is read, and what is written back."""

import functools
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file
from test_language_models import CASES, GOLDEN, WHOLE, golden, write

from jaxdl import models, pretrained
from jaxdl.errors import UserError
from jaxdl.pretrained import config as settings_of

LEGACY = GOLDEN / "language" / "bert_2018"
# What transformers' class ends before, or has besides.
OTHERS = {"bert_model": "bert.", "bart_model": "model.", "bert_pretraining": ""}


def assert_same(ours, theirs):
    assert jax.tree.structure(ours) == jax.tree.structure(theirs)
    jax.tree.map(np.testing.assert_array_equal, ours, theirs)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return functools.cache(lambda case: write(tmp_path_factory.mktemp(case), case))


@pytest.fixture(scope="module")
def loaded(folder):
    return functools.cache(lambda case: pretrained.load(folder(case)))


@pytest.mark.parametrize("case", CASES)
def test_what_is_saved_has_the_same_bits_and_is_read_again(case, loaded, tmp_path):
    module, variables = loaded(case)
    pretrained.save(module, variables, tmp_path)
    ours, theirs = load_file(tmp_path / WHOLE), golden(case).tensors
    theirs = {OTHERS.get(case, "") + name: x for name, x in theirs.items()}
    if case == "bert_pretraining":
        lost = ("cls.seq_relationship.", "bert.pooler.")
        theirs = {name: x for name, x in theirs.items() if not name.startswith(lost)}
    if case == "bart_model":
        assert not ours.pop("final_logits_bias").any()
    assert ours.keys() == theirs.keys()
    for name, x in theirs.items():
        np.testing.assert_array_equal(ours[name], x, err_msg=name)
    again, same = pretrained.load(tmp_path)
    assert again == module
    assert_same(same, variables)
    # And the settings.
    ours = json.loads((tmp_path / "config.json").read_text())
    theirs = golden(case).about["config"]
    # Those that older versions have, or by which newer ones count labels.
    extra = {"position_embedding_type", "num_labels", "num_hidden_layers"} - theirs.keys()
    differ = {k for k, x in ours.items() if k not in extra and theirs.get(k, "none") != x}
    expected = {"tie_word_embeddings"} if case == "t5_untied" else set()
    assert differ == ({"architectures"} if case in ("bert_pretraining", "bart_model") else expected)
    if "num_labels" in ours:
        assert ours["num_labels"] == len(theirs.get("id2label", "ab"))


def test_shards_are_one_checkpoint(folder, loaded, tmp_path):
    tensors = load_file(write(tmp_path / "t5", "t5") / WHOLE)
    names = {name: f"model-0000{1 + ('decoder' in name)}-of-00002.safetensors" for name in tensors}
    for file in set(names.values()):
        part = {name: x for name, x in tensors.items() if names[name] == file}
        save_file(part, tmp_path / "t5" / file)
    (tmp_path / "t5" / WHOLE).unlink()
    index = json.dumps(dict(weight_map=names))
    (tmp_path / "t5" / f"{WHOLE}.index.json").write_text(index)
    assert_same(pretrained.load(tmp_path / "t5")[1], loaded("t5")[1])


def test_a_pickled_file_of_2018_is_read(tmp_path):
    module, variables = pretrained.load(LEGACY)
    assert (module.output, module.segment_types) == ("masked_lm", 2)
    # transformers writes the new names; of the numbers none is another.
    pretrained.save(module, variables, tmp_path)
    tensors = load_file(tmp_path / WHOLE)
    assert "bert.encoder.layer.0.output.LayerNorm.weight" in tensors
    import seeded

    for name, x in tensors.items():
        np.testing.assert_array_equal(x, seeded.weight(name, x.shape), err_msg=name)
    # Its pooler is there for a classifier, whose head is new.
    module, found = pretrained.load(LEGACY, output="classifier", num_classes=3)
    pooler = seeded.weight("bert.pooler.dense.weight", (4, 4)).T
    np.testing.assert_array_equal(found["params"]["pooler"]["kernel"], pooler)
    assert found["params"]["head"]["kernel"].shape == (4, 3)


def test_copies_are_read_and_must_be_copies(tmp_path):
    def spoilt(case, copies):
        tensors = golden(case).tensors
        tensors |= {name: tensors[of].copy() for name, of in copies.items()}
        path = write(tmp_path / case, case, tensors)
        assert_same(pretrained.load(path)[1], pretrained.load(write(tmp_path / "x", case))[1])
        name = next(iter(copies))
        tensors[name] = tensors[name] + 1
        return pretrained.load, write(tmp_path / case, case, tensors)

    table = "bert.embeddings.word_embeddings.weight"
    copies = {"cls.predictions.decoder.bias": "cls.predictions.bias",
              "cls.predictions.decoder.weight": table}  # fmt: skip
    load, path = spoilt("bert_masked_lm", copies)
    with pytest.raises(UserError, match=r"1 untied: cls\.predictions\.decoder\.bias is not cls"):
        load(path)
    copies = dict.fromkeys(("model.decoder.embed_tokens.weight", "lm_head.weight"),
                           "model.shared.weight")  # fmt: skip
    load, path = spoilt("bart", copies)
    with pytest.raises(UserError, match=r"1 untied: model\.decoder\.embed_tokens\.weight is not"):
        load(path)
    load, path = spoilt("bart_model", {"encoder.embed_tokens.weight": "shared.weight"})
    with pytest.raises(UserError, match=r"1 untied: encoder\.embed_tokens\.weight is not shared"):
        load(path)


# Heads.


def same_encoder(ours, theirs):
    own = lambda variables: {
        k: x for k, x in variables["params"].items() if k not in ("head", "pooler")
    }
    assert_same(own(ours), own(theirs))


def test_another_head_is_new_and_the_rest_is_the_files(folder, loaded):
    masked = loaded("bert_masked_lm")[1]
    for output, classes, shape in (("classifier", 3, 3), ("tagger", 7, 7), ("span", None, 2)):
        module, found = pretrained.load(
            folder("bert_masked_lm"), output=output, num_classes=classes
        )
        assert found["params"]["head"]["kernel"].shape == (24, shape)
        assert ("pooler" in found["params"]) == (output == "classifier")
        same_encoder(found, masked)
    # A tagger's head has a classifier's name, and is none.
    module, found = pretrained.load(folder("bert_tagger"), output="classifier")
    assert (module.num_classes, found["params"]["head"]["kernel"].shape) == (2, (24, 2))
    same_encoder(found, loaded("bert_tagger")[1])
    # From answers to masked words, whose head is large.
    module, found = pretrained.load(folder("bert_span"), output="masked_lm")
    assert found["params"]["head"]["bias"].shape == (61,)
    # As many classes as wanted, and the pooler that is there.
    module, found = pretrained.load(folder("bert_classifier"), num_classes=9)
    assert found["params"]["head"]["kernel"].shape == (24, 9)
    assert_same(found["params"]["pooler"], loaded("bert_classifier")[1]["params"]["pooler"])
    module, found = pretrained.load(folder("bert_classifier"), num_classes=0)
    assert "head" not in found["params"]


def test_classes_off_a_mean_are_nothing_that_transformers_has(folder, tmp_path):
    module, variables = pretrained.load(folder("bert_classifier"), pooling="mean")
    with pytest.raises(
        UserError, match="transformers has no BERT that reads classes off pooling='mean'"
    ):
        pretrained.save(module, variables, tmp_path / "out")
    assert not (tmp_path / "out" / "config.json").exists()
    # A tagger reads every token by itself.
    module, variables = pretrained.load(folder("bert_tagger"), pooling="mean")
    pretrained.save(module, variables, tmp_path / "out")


def test_a_head_that_is_missing_is_not_made_up(folder, tmp_path):
    path = folder("bert_model") / WHOLE
    sizes = dict(vocab_size=61, context=16, width=24, depth=2, heads=3, hidden=40)
    with pytest.raises(UserError, match=r"missing: cls\.predictions\.transform\.dense\.weight"):
        pretrained.load(path, "bert", **sizes)
    module, _ = pretrained.load(path, "bert", **sizes, output="tagger", num_classes=0)
    assert module.num_classes == 0
    tensors = golden("bert_classifier").tensors
    del tensors["bert.pooler.dense.weight"]
    with pytest.raises(UserError, match=r"1 missing: bert\.pooler\.dense\.weight"):
        pretrained.load(write(tmp_path, "bert_classifier", tensors))
    tensors = golden("bert_masked_lm").tensors | {"cls.more": np.zeros(1, np.float32)}
    with pytest.raises(UserError, match=r"1 extra: cls\.more"):
        pretrained.load(write(tmp_path, "bert_masked_lm", tensors))


# T5's output layer.


def test_t5s_output_layer_is_its_table_unless_the_file_has_another(loaded, folder, tmp_path):
    assert loaded("t5")[0].tied
    assert loaded("t5")[0].scale_output
    untied = loaded("t5_untied")[0]
    assert (untied.tied, untied.scale_output, untied.gated) == (False, False, True)
    assert untied.activation == "gelu_tanh"
    tensors = golden("t5_untied").tensors
    same = tensors | {"lm_head.weight": tensors["shared.weight"]}
    module, variables = pretrained.load(write(tmp_path, "t5_untied", same))
    assert (module.tied, "head" in variables["params"]) == (True, False)


@pytest.mark.parametrize(
    "settings, scales",
    [
        (dict(scale_decoder_outputs=True, tie_word_embeddings=False), True),
        (dict(scale_decoder_outputs=None, tie_word_embeddings=False), False),
        (dict(scale_decoder_outputs=None, tie_word_embeddings=None), True),
        (dict(scale_decoder_outputs=None, tie_word_embeddings=None, model_type="mt5"), False),
    ],
)
def test_when_t5s_output_is_scaled(settings, scales, tmp_path):
    config = golden("t5").about["config"] | settings
    config = {k: x for k, x in config.items() if x is not None}
    path = write(tmp_path, "t5")
    (path / "config.json").write_text(json.dumps(config))
    assert settings_of.read(path).fields["scale_output"] == scales


@pytest.mark.parametrize("case", ["t5", "bart"])
def test_an_encoder_comes_out_of_a_whole_file(case, folder, loaded):
    module, variables = pretrained.load(folder(case), decoder_depth=0)
    whole = loaded(case)[1]["params"]
    assert_same(variables["params"], {k: whole[k] for k in variables["params"]})
    assert "encoder_block_1" in variables["params"]
    tokens = jnp.zeros((1, 4), int)
    assert jax.eval_shape(module.apply, variables, tokens).shape == (1, 4, 24)


# What does not fit.


@pytest.mark.parametrize(
    "case, change, message",
    [
        ("bert_span", dict(hidden_act="mish"), "hidden_act='mish' is none of gelu, gelu_new"),
        ("bert_span", dict(is_decoder=True), "is_decoder=True, but model 'bert' has False"),
        ("bert_span", dict(position_embedding_type="relative_key"), "position_embedding_type="),
        ("bert_span", dict(layer_norm_eps="x"), "layer_norm_eps='x' must be a number from 0 on"),
        ("bert_span", dict(hidden_size=0), "hidden_size=0 must be a whole number from 1 on"),
        ("bert_span", dict(architectures=["BertForMultipleChoice"]), "BertForMultipleChoice"),
        ("t5", dict(feed_forward_proj="gated-swiglu"), "feed_forward_proj='swiglu' is none of"),
        ("t5", dict(d_kv=None), "d_kv=None must be a whole number"),
        ("bart", dict(decoder_ffn_dim=41), "encoder_ffn_dim=40 and decoder_ffn_dim=41, but"),
        ("bart", dict(scale_embedding=True), "scale_embedding=True, but model 'bart' has False"),
        ("bart", dict(architectures=["BartForSequenceClassification"]), "only BartForCond"),
    ],
)
def test_settings_that_do_not_fit_are_named(case, change, message, tmp_path):
    with pytest.raises(UserError, match=message):
        pretrained.load(write(tmp_path, case, **change))


def test_texts_have_no_image_size(folder):
    with pytest.raises(UserError, match="image_size=32: model 'bert' takes texts"):
        pretrained.load(folder("bert_span"), image_size=32)


def test_what_transformers_does_not_have_is_not_written(tmp_path):
    small = dict(vocab_size=5, width=4, heads=2, hidden=4, encoder_depth=1)
    gated = models.create("t5", **small, decoder_depth=1, gated=True, activation="gelu")
    alone = models.create("bart", **small, decoder_depth=0, context=4)
    for module, texts, message in (
        (gated, 2, "transformers has no T5 gated by the exact gelu"),
        (alone, 1, "transformers has no BART without a decoder"),
    ):
        tokens = [jax.ShapeDtypeStruct((1, 2), jnp.int32)] * texts
        shapes = jax.eval_shape(module.init, jax.random.key(0), *tokens)
        zeros = jax.tree.map(lambda x: np.zeros(x.shape, x.dtype), shapes)
        with pytest.raises(UserError, match=message):
            pretrained.save(module, zeros, tmp_path)
