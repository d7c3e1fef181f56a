"""Published checkpoints: the same numbers as their own library, and a word on every tensor."""

import functools
import json
import shutil
from pathlib import Path

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from jaxdl import models, pretrained
from jaxdl.errors import UserError
from jaxdl.pretrained import mapping

GPT2 = Path(__file__).parent / "golden" / "gpt2"
WHOLE = "model.safetensors"


@functools.cache
def loaded():
    return pretrained.load(GPT2)


@functools.cache
def expected():
    with np.load(GPT2 / "expected.npz") as file:
        return dict(file)


@pytest.fixture
def folder(tmp_path):
    """A copy that may be spoilt."""
    return Path(shutil.copytree(GPT2, tmp_path / "gpt2"))


def rewrite(folder, change, file=WHOLE):
    """``change`` is made to the dictionary of tensors in a file."""
    tensors = dict(load_file(folder / file))
    change(tensors)
    save_file(tensors, folder / file)


def assert_same(ours, theirs):
    assert jax.tree.structure(ours) == jax.tree.structure(theirs)
    for a, b in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
        assert a.dtype == b.dtype
        np.testing.assert_array_equal(a, b)


# What they compute.


def test_gpt2s_logits_are_those_of_transformers():
    module, variables = loaded()
    logits = jax.jit(module.apply)(variables, expected()["tokens"])
    np.testing.assert_allclose(logits, expected()["logits"], rtol=1e-5, atol=1e-5)


def test_gpt2s_greedy_continuations_are_those_of_transformers():
    module, variables = loaded()
    texts = expected()["texts"]
    step = jax.jit(lambda tokens, cache: module.apply(variables, tokens, cache=cache))
    tokens, cache = texts[:, :7], module.init_cache(len(texts), texts.shape[1])
    found = [tokens]
    while sum(part.shape[1] for part in found) < texts.shape[1]:
        logits, cache = step(tokens, cache)
        tokens = np.asarray(logits[:, -1].argmax(-1, keepdims=True), np.int32)
        found.append(tokens)
    np.testing.assert_array_equal(np.concatenate(found, 1), texts)


# Reading and writing.


def test_what_is_saved_has_the_same_bits(tmp_path):
    module, variables = loaded()
    pretrained.save(module, variables, tmp_path / "new" / "folder")
    ours, theirs = (load_file(path / WHOLE) for path in (tmp_path / "new" / "folder", GPT2))
    assert ours.keys() == theirs.keys()
    for name, tensor in theirs.items():
        assert ours[name].dtype == tensor.dtype
        np.testing.assert_array_equal(ours[name], tensor, err_msg=name)
    files = [tmp_path / "new" / "folder" / name for name in ("config.json", WHOLE)]
    assert files[0].stat().st_mode == files[1].stat().st_mode
    again, same = pretrained.load(tmp_path / "new" / "folder")
    assert again == module
    assert_same(same, variables)


def test_settings_that_are_written_are_those_that_were_read(tmp_path):
    pretrained.save(*loaded(), tmp_path)
    ours, theirs = (json.loads((path / "config.json").read_text()) for path in (tmp_path, GPT2))
    assert ours.items() <= theirs.items()
    # Their library's defaults stand for what is not written; these have none that would fit.
    assert {"architectures", "model_type", "vocab_size", "n_positions", "n_embd"} <= ours.keys()


def test_fields_are_those_asked_for_and_a_model_needs_no_config(folder):
    module, variables = pretrained.load(folder, dtype=jnp.bfloat16, remat=True, dropout=0.1)
    assert module == loaded()[0].copy(dtype=jnp.bfloat16, remat=True, dropout=0.1)
    assert_same(variables, loaded()[1])
    (folder / "config.json").unlink()
    sizes = {name: getattr(module, name) for name in ("vocab_size", "context", "width")}
    module, variables = pretrained.load(folder, "gpt", **sizes, depth=2, heads=3)
    assert_same(variables, loaded()[1])
    with pytest.raises(UserError, match=r"has no config\.json: add it"):
        pretrained.load(folder)


def shard(folder, first=lambda name: ".h.0." in name):
    """Two files and their index in place of one."""
    tensors = load_file(folder / WHOLE)
    files = ("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors")
    names = {name: files[0 if first(name) else 1] for name in tensors}
    for file in files:
        save_file({n: x for n, x in tensors.items() if names[n] == file}, folder / file)
    index = dict(metadata={}, weight_map=names)
    (folder / f"{WHOLE}.index.json").write_text(json.dumps(index))
    (folder / WHOLE).unlink()
    return files


def test_shards_are_one_checkpoint(folder):
    files = shard(folder)
    assert_same(pretrained.load(folder)[1], loaded()[1])
    rewrite(folder, lambda t: t.pop("transformer.ln_f.bias"), files[1])
    with pytest.raises(UserError, match=r"1 missing: transformer\.ln_f\.bias"):
        pretrained.load(folder)
    (folder / files[0]).unlink()
    with pytest.raises(UserError, match=f"{files[0]} is not there, but an index.json"):
        pretrained.load(folder)


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16, np.float64])
def test_other_floats_become_float32(folder, dtype):
    rewrite(folder, lambda t: t.update({k: x.astype(dtype) for k, x in t.items()}))
    _, variables = pretrained.load(folder)
    cast = jax.tree.map(lambda x: np.asarray(x).astype(dtype).astype(np.float32), loaded()[1])
    assert_same(variables, jax.tree.map(jnp.asarray, cast))


def test_older_files_have_no_prefix_but_masks_and_a_copy_of_the_table(folder):
    def older(tensors):
        for name in list(tensors):
            tensors[name.removeprefix("transformer.")] = tensors.pop(name)
        for i in range(2):
            tensors[f"h.{i}.attn.bias"] = np.tri(32, dtype=np.float32)[None, None]
            tensors[f"h.{i}.attn.masked_bias"] = np.array(-1e4, np.float32)
        tensors["lm_head.weight"] = tensors["wte.weight"].copy()

    rewrite(folder, older)
    assert_same(pretrained.load(folder)[1], loaded()[1])
    rewrite(folder, lambda t: t["lm_head.weight"].__setitem__((0, 0), 7))
    with pytest.raises(UserError, match=r"1 untied: lm_head\.weight is not wte\.weight$"):
        pretrained.load(folder)


# What does not fit.


def test_all_tensors_that_do_not_fit_are_listed_in_one_line(folder):
    def spoil(tensors):
        del tensors["transformer.wpe.weight"], tensors["transformer.h.1.mlp.c_fc.bias"]
        tensors["transformer.h.2.ln_1.weight"] = np.ones(24, np.float32)
        tensors["classifier"] = np.ones(1, np.float32)
        name = "transformer.h.0.attn.c_attn.weight"
        tensors[name] = np.ascontiguousarray(tensors[name].T)
        tensors["transformer.ln_f.weight"] = np.ones(24, np.int8)

    rewrite(folder, spoil)
    with pytest.raises(UserError) as error:
        pretrained.load(folder)
    line = str(error.value)
    assert "\n" not in line
    told = dict(
        part.split(": ", 1) for part in line.split(" does not fit the model: ")[1].split("; ")
    )
    assert {kind: set(names.split(", trans")) for kind, names in told.items()} == {
        "2 missing": {"transformer.wpe.weight", "former.h.1.mlp.c_fc.bias"},
        "2 extra": {"classifier", "former.h.2.ln_1.weight"},
        "2 misshapen": {
            "transformer.h.0.attn.c_attn.weight is (72, 24), should be (24, 72)",
            "former.ln_f.weight holds no floats",
        },
    }


@pytest.mark.parametrize("left", [0, 5, 500, -1])
def test_a_cut_file_is_called_damaged(folder, left):
    data = (folder / WHOLE).read_bytes()
    (folder / WHOLE).write_bytes(data[:left])
    with pytest.raises(UserError, match=f"{WHOLE} is damaged(, or no safetensors file)?: "):
        pretrained.load(folder)


@pytest.mark.parametrize(
    "change, message",
    [
        (dict(model_type="gpt3"), "no architecture for model_type 'gpt3': did you mean 'gpt2'"),
        (dict(model_type=None), "no architecture for model_type 'None': .*gpt2"),
        (dict(n_embd="24"), "n_embd='24' must be a whole number from 1 on"),
        (dict(n_layer=0), "n_layer=0 must be a whole number from 1 on"),
        (dict(n_head=None), "n_head=None must be a whole number from 1 on"),
        (dict(activation_function="relu"), "activation_function='relu', but .* has 'gelu_new'"),
        (dict(layer_norm_epsilon=1e-6), "layer_norm_epsilon=1e-06, but model 'gpt' has 1e-05"),
    ],
)
def test_settings_that_do_not_fit_are_named(folder, change, message):
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(UserError, match=f"config.json: {message}"):
        pretrained.load(folder)


@pytest.mark.parametrize("text, message", [("{", "is not JSON"), ("[]", "holds no settings")])
def test_a_config_that_is_none_is_refused(folder, text, message):
    (folder / "config.json").write_text(text)
    with pytest.raises(UserError, match=f"config.json {message}"):
        pretrained.load(folder)


def test_a_folder_without_its_files_is_refused(folder):
    with pytest.raises(UserError, match="nowhere is no folder"):
        pretrained.load(folder / "nowhere")
    (folder / WHOLE).unlink()
    with pytest.raises(UserError, match=f"has neither {WHOLE} nor {WHOLE}.index.json"):
        pretrained.load(folder)
    (folder / f"{WHOLE}.index.json").write_text("{}")
    with pytest.raises(UserError, match="is no index of shards"):
        pretrained.load(folder)


def test_only_what_is_the_modules_own_is_saved(tmp_path):
    module, variables = loaded()
    params = dict(variables["params"])
    params["position"] = params["position"][:, :4]
    params["more"] = params.pop("norm")
    with pytest.raises(UserError) as error:
        pretrained.save(module, {"params": params}, tmp_path)
    assert str(error.value) == (
        "the variables are not the module's: 2 missing: norm/bias, norm/scale; "
        "2 extra: more/bias, more/scale; 1 misshapen: position is (1, 4, 24), should be (1, 32, 24)"
    )
    assert not list(tmp_path.iterdir())
    with pytest.raises(
        UserError, match=r"no published checkpoints are known for a MLP: one of .*gpt"
    ):
        pretrained.save(models.create("mlp"), {}, tmp_path)


# The table.


@pytest.mark.parametrize(
    "steps, shapes",
    [
        ([], [(2, 3)]),
        ([mapping.transpose(2, 0, 1)], [(2, 3, 4)]),
        ([mapping.merge(0, 1), mapping.transpose(1, 0)], [(2, 3, 4)]),
        ([mapping.merge(1, 2), mapping.concatenate(1)], [(5, 2, 3), (5, 1, 4), (5, 2, 1)]),
        ([mapping.merge(1, 2), mapping.concatenate(1), mapping.transpose(1, 0)], [(5, 2, 3)] * 2),
    ],
)
def test_every_step_has_an_inverse(steps, shapes):
    arrays = [np.random.default_rng(0).normal(size=shape) for shape in shapes]
    names = [f"ours_{i}" for i in range(len(arrays))]
    rule = mapping.rule("theirs", *names, steps=steps)
    back = rule.to_ours(rule.to_theirs(arrays), shapes)
    for a, b in zip(arrays, back, strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_parameter_without_a_rule_or_with_two_is_a_mistake_in_the_table():
    table = mapping.Table((mapping.rule("t.{i}", "a_{i}/b"), mapping.rule("u.{i}", "a_{i}/b")))
    with pytest.raises(ValueError, match=r"not mapped once: \['a_0/c'\]"):
        mapping.Table(table.rules[:1]).expand(["a_0/b", "a_0/c"])
    with pytest.raises(ValueError, match="not mapped once"):
        table.expand(["a_0/b"])
    assert list(mapping.Table(table.rules[:1]).expand(["a_12/b"])) == ["t.12"]
