"""Checkpoints of image models: whose names, which head, what size, from where; by a toy of two."""

import fnmatch
import json
import re
import sys
import types
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from jaxdl import keys, models, pretrained
from jaxdl.data.preprocess import Preprocess
from jaxdl.errors import UserError
from jaxdl.pretrained import catalog
from jaxdl.pretrained.architecture import Architecture, Naming, Published, images
from jaxdl.pretrained.hub import fetch
from jaxdl.pretrained.mapping import Table, batch_norm, conv, dense

GOLDEN = Path(__file__).parent / "golden" / "torch_files"
WHOLE = "model.safetensors"
SMALL = dict(channels=(2, 3), hidden=4)


def timm_table(module):
    """Its names depend on how deep the module is."""
    stages = [
        (*conv(f"conv{i}", f"conv_{i}"), *batch_norm(f"bn{i}", f"norm_{i}"))
        for i in range(len(module.channels))
    ]
    rules = (*sum(stages, ()), *dense("body.fc", "dense"), *dense("fc", "head"))
    return Table(rules, ignored=("mask",), tied={"copy": "fc.weight"})


def image_size(shapes):
    for name in ("classifier.0.weight", "body.fc.weight", "toy.dense.weight"):
        if name in shapes:
            return round((shapes[name][1] / 3) ** 0.5) * 4
    return None


TOY = Architecture(
    model="deep_cnn",
    inputs=images(8),
    namings=dict(
        torchvision=Naming(
            Table(
                (
                    *conv("features.{i}.0", "conv_{i}"),
                    *batch_norm("features.{i}.1", "norm_{i}"),
                    *dense("classifier.0", "dense"),
                    *dense("classifier.1", "head"),
                )
            ),
            models=dict(deepcnn=Published("deep_cnn", SMALL)),
        ),
        timm=Naming(
            timm_table,
            models={
                "deepcnn_s8": Published("deep_cnn", SMALL, Preprocess(size=8, resize=10)),
                "deepcnn_s16.big": Published("deep_cnn", SMALL, Preprocess(size=16)),
                "deepcnn_s16": Published("deep_cnn", dict(hidden=5), Preprocess(size=16)),
            },
        ),
        transformers=Naming(
            Table(
                (
                    *conv("toy.stages.{i}.conv", "conv_{i}"),
                    *batch_norm("toy.stages.{i}.norm", "norm_{i}"),
                    *dense("toy.dense", "dense"),
                    *dense("classifier", "head"),
                )
            ),
            read=lambda config, path: dict(channels=tuple(config["channels"]), hidden=4),
            write=lambda module: dict(model_type="toy", channels=module.channels, image_size=8),
        ),
    ),
    model_types=("toy",),
    head=("head",),
    resize={"dense/kernel": lambda x, shape: np.resize(x, shape)},
    image_size=image_size,
)


@pytest.fixture(autouse=True)
def toy(monkeypatch):
    monkeypatch.setitem(catalog._registry._entries, "toy", TOY)


def made(size=8, **fields):
    """A module and variables drawn for it."""
    module = models.create("deep_cnn", **{**SMALL, **fields})
    shapes = jax.eval_shape(module.init, keys.root(0), jnp.zeros((1, size, size, 3)))
    leaves, tree = jax.tree.flatten(shapes)
    rng = np.random.default_rng(1)
    drawn = [jnp.asarray(rng.normal(size=x.shape), jnp.float32) for x in leaves]
    return module, jax.tree.unflatten(tree, drawn)


def saved(path, naming="torchvision", change=None, **fields):
    module, variables = made(**fields)
    pretrained.save(module, variables, path, naming=naming)
    if change:
        tensors = load_file(path)
        change(tensors)
        save_file(tensors, path)
    return path


def assert_same(ours, theirs):
    assert jax.tree.structure(ours) == jax.tree.structure(theirs)
    for a, b in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
        assert a.dtype == b.dtype
        np.testing.assert_array_equal(a, b)


# Whose names.


@pytest.mark.parametrize("naming", TOY.namings)
@pytest.mark.parametrize("wrapper", ["", "module.", "model.module._orig_mod.", "a.backbone."])
def test_the_library_is_told_by_the_names(tmp_path, naming, wrapper):
    def wrap(tensors):
        for name in list(tensors):
            tensors[wrapper + name] = tensors.pop(name)
        tensors[f"{wrapper}norm.num_batches_tracked"] = np.array(3)
        if naming == "timm":
            tensors[f"{wrapper}mask"] = np.ones(3, np.float32)
            tensors[f"{wrapper}copy"] = tensors[f"{wrapper}fc.weight"].copy()

    path = saved(tmp_path / "x.safetensors", naming, wrap)
    module, variables = pretrained.load(path, "deep_cnn", **SMALL)
    assert module == made()[0]
    assert_same(variables, made()[1])


def test_names_are_the_librarys_that_is_asked_for(tmp_path):
    first = lambda naming: min(load_file(saved(tmp_path / "x.safetensors", naming)))
    assert [first(naming) for naming in (None, "timm")] == ["classifier.0.bias", "bn0.bias"]
    with pytest.raises(UserError, match="unknown naming 'tim': did you mean 'timm'"):
        saved(tmp_path / "x.safetensors", "tim")


def test_what_does_not_fit_is_listed_by_the_names_of_the_likeliest_library(tmp_path):
    def spoil(tensors):
        del tensors["bn0.running_mean"]
        tensors["aux.weight"] = np.ones(2, np.float32)
        tensors["fc.bias"] = np.ones(11, np.float32)

    path = saved(tmp_path / "x.safetensors", "timm", spoil)
    with pytest.raises(UserError) as error:
        pretrained.load(path, "deep_cnn", **SMALL)
    assert str(error.value) == (
        f"{path}, read by timm's names, does not fit the model: 1 missing: bn0.running_mean; "
        "1 extra: aux.weight; 1 misshapen: fc.weight is (10, 4), should be (11, 4)"
    )


def test_a_message_names_ten_tensors_at_most(tmp_path):
    def spoil(tensors):
        tensors |= {f"more.{i}": np.ones(1, np.float32) for i in range(30)}
        del tensors["net.bn0.running_mean"], tensors["net.bn1.running_mean"]

    def wrap(tensors):
        for name in list(tensors):
            tensors[f"net.{name}"] = tensors.pop(name)
        spoil(tensors)

    path = saved(tmp_path / "x.safetensors", "timm", wrap)
    with pytest.raises(UserError) as error:
        pretrained.load(path, "deep_cnn", **SMALL)
    told = str(error.value).split("fit the model: ")[1]
    missing = "2 missing: net.bn0.running_mean, net.bn1.running_mean; 30 extra: "
    assert told.startswith(missing)
    assert told.endswith(" and 22 more")
    assert len(set(re.findall(r"more\.\d+", told))) == 8

    def rename(tensors):
        for i, name in enumerate(list(tensors)):
            tensors[f"t{i}"] = tensors.pop(name)

    path = saved(tmp_path / "y.safetensors", "timm", rename)
    with pytest.raises(
        UserError, match=r"y\.safetensors has none of the model's tensors, which .*"
    ):
        pretrained.load(path, "deep_cnn", **SMALL)


def test_what_else_a_program_has_weights_of_can_be_left_out(tmp_path):
    def wrap(tensors):
        for name in list(tensors):
            tensors[f"net.{name}"] = tensors.pop(name)
        tensors["criterion.weight"] = np.ones(3, np.float32)

    path = saved(tmp_path / "x.safetensors", change=wrap)
    message = r"more than the model: checkpoint_key=net reads .* net: 1 extra: criterion\.weight$"
    with pytest.raises(UserError, match=message):
        pretrained.load(path, "deepcnn")
    assert_same(pretrained.load(path, "deepcnn", checkpoint_key="net")[1], made()[1])


def test_counters_of_averages_are_in_nobodys_way(tmp_path):
    def average(tensors):
        for name in list(tensors):
            tensors[f"module.{name}"] = tensors.pop(name)
        tensors["n_averaged"] = np.array(3)

    path = saved(tmp_path / "x.safetensors", change=average)
    assert_same(pretrained.load(path, "deepcnn")[1], made()[1])


# What libraries call a model.


def test_a_model_has_its_librarys_name(tmp_path):
    path = saved(tmp_path / "x.safetensors")
    assert pretrained.load(path, "deepcnn_s8")[0] == made()[0]
    assert pretrained.load(path, "deepcnn_s8.any")[0] == made()[0]
    assert pretrained.load(path, "deepcnn", dropout=0.5)[0] == made(dropout=0.5)[0]
    with pytest.raises(UserError, match="unknown model 'deepcnn_s7': did you mean 'deepcnn_s8'"):
        pretrained.load(path, "deepcnn_s7")
    with pytest.raises(UserError, match="unknown model 'deep_cn': did you mean 'deep_cnn'"):
        pretrained.load(path, "deep_cn")
    with pytest.raises(UserError, match="model 'deep_cnn' has no 'hiden': did you mean 'hidden'"):
        pretrained.load(path, "deepcnn", hiden=3)


def test_a_name_of_ours_is_the_librarys_model_in_the_librarys_file(tmp_path, monkeypatch):
    """Both call it the same, but there it is wider."""
    theirs = dict(deep_cnn=Published("deep_cnn", dict(SMALL, hidden=6)))
    namings = {**TOY.namings, "timm": TOY.namings["timm"]._replace(models=theirs)}
    monkeypatch.setitem(catalog._registry._entries, "toy", TOY._replace(namings=namings))
    wide = dict(hidden=6)
    path = saved(tmp_path / "x.safetensors", "timm", lambda tensors: None, **wide)
    assert pretrained.load(path, "deep_cnn", dtype=jnp.bfloat16)[0].hidden == 6
    with pytest.raises(UserError, match="read by timm's names"):
        pretrained.load(path, "deep_cnn", **SMALL)
    other = saved(tmp_path / "y.safetensors", change=lambda tensors: None, **wide)
    with pytest.raises(UserError, match="read by torchvision's names"):
        pretrained.load(other, "deep_cnn")
    ours = saved(tmp_path / "z.safetensors", "timm", **wide)
    with pytest.raises(UserError, match="read by timm's names"):
        pretrained.load(ours, "deep_cnn")


def test_how_images_are_prepared_is_known_by_the_models_name():
    assert pretrained.preprocess("deepcnn_s8") == Preprocess(size=8, resize=10)
    assert pretrained.preprocess("deepcnn_s16.big") == Preprocess(size=16)
    assert pretrained.preprocess("deepcnn_s8.other") == Preprocess(size=8, resize=10)
    assert pretrained.preprocess("deep_cnn") == Preprocess()
    with pytest.raises(UserError, match="no published model 'deepcnn_s9': did you mean"):
        pretrained.preprocess("deepcnn_s9")


# Heads.


def test_a_files_head_has_its_own_number_of_classes(tmp_path):
    path = saved(tmp_path / "x.safetensors", num_classes=21)
    for asked in (None, 21):
        module, variables = pretrained.load(path, "deepcnn", asked)
        assert module == made(num_classes=21)[0]
        assert_same(variables, made(num_classes=21)[1])


def test_another_number_of_classes_has_a_new_head(tmp_path):
    path = saved(tmp_path / "x.safetensors", num_classes=21)
    module, variables = pretrained.load(path, "deepcnn", 5)
    assert module == made(num_classes=5)[0]
    head = variables["params"].pop("head")
    initial = module.init(keys.root(0), jnp.zeros((1, 8, 8, 3)))["params"]["head"]
    assert_same(head, initial)
    expected = made(num_classes=21)[1]
    del expected["params"]["head"]
    assert_same(variables, expected)


def test_a_head_is_new_where_the_file_has_none(tmp_path):
    def behead(tensors):
        del tensors["classifier.1.weight"], tensors["classifier.1.bias"]

    path = saved(tmp_path / "x.safetensors", change=behead)
    assert pretrained.load(path, "deepcnn", 10)[0] == made()[0]
    message = r"2 missing: classifier\.1\.weight, classifier\.1\.bias$"
    with pytest.raises(UserError, match=message):
        pretrained.load(path, "deepcnn")


def test_only_the_head_may_be_left_unread(tmp_path):
    def spoil(tensors):
        tensors["features.9.0.weight"] = np.ones(1, np.float32)

    path = saved(tmp_path / "x.safetensors", change=spoil)
    with pytest.raises(UserError, match=r"model: 1 extra: features\.9\.0\.weight$"):
        pretrained.load(path, "deepcnn", 5)


# Sizes.


def test_parameters_are_brought_to_another_image_size(tmp_path):
    path = saved(tmp_path / "x.safetensors", size=12)
    _, same = pretrained.load(path, "deepcnn")
    assert_same(same, made(size=12)[1])
    module, variables = pretrained.load(path, "deepcnn", image_size=16)
    kernel = variables["params"]["dense"].pop("kernel")
    expected = made(size=12)[1]
    old = expected["params"]["dense"].pop("kernel")
    np.testing.assert_array_equal(kernel, np.resize(old, (48, 4)))
    assert_same(variables, expected)
    variables["params"]["dense"]["kernel"] = kernel
    module.apply(variables, jnp.zeros((1, 16, 16, 3)))
    pretrained.save(module, variables, tmp_path / "other.safetensors")
    assert_same(pretrained.load(tmp_path / "other.safetensors", "deepcnn")[1], variables)


def test_a_size_that_no_rule_brings_about_is_refused(tmp_path, monkeypatch):
    monkeypatch.setitem(catalog._registry._entries, "toy", TOY._replace(resize={}))
    path = saved(tmp_path / "x.safetensors")
    message = (
        r"'deep_cnn' cannot be brought to image_size=16: "
        r"1 misshapen: dense/kernel is \(12, 4\), should be \(48, 4\)"
    )
    with pytest.raises(UserError, match=message):
        pretrained.load(path, "deepcnn", image_size=16)


# Where it comes from.


@pytest.mark.parametrize("kind", ["", "_legacy"])
def test_a_file_of_pytorchs_gives_the_same(kind):
    module, variables = pretrained.load(GOLDEN / f"classifier{kind}.pth", "deepcnn")
    assert module == made()[0]
    dense, head = (variables["params"][name] for name in ("dense", "head"))
    np.testing.assert_array_equal(head["bias"], 17 + np.arange(10) / 8)
    np.testing.assert_array_equal(dense["kernel"], (14 + np.arange(48) / 8).reshape(4, 12).T)
    kernel = variables["params"]["conv_1"]["kernel"]
    expected = (7 + np.arange(54) / 8).reshape(3, 2, 3, 3).transpose(2, 3, 1, 0)
    np.testing.assert_array_equal(kernel, expected)
    assert all(x.dtype == jnp.float32 for x in jax.tree.leaves(variables))


@pytest.mark.parametrize("kind", ["", "_legacy"])
def test_a_folder_may_hold_a_file_of_pytorchs(tmp_path, kind):
    data = (GOLDEN / f"classifier{kind}.pth").read_bytes()
    (tmp_path / "pytorch_model.bin").write_bytes(data)
    (tmp_path / "config.json").write_text('{"architecture": "deepcnn_s8", "num_classes": 10}')
    _, variables = pretrained.load(tmp_path)
    assert_same(variables, pretrained.load(GOLDEN / "classifier.pth", "deepcnn")[1])
    assert_same(variables, pretrained.load(tmp_path, "deepcnn")[1])
    # In shards, of which there is one.
    (tmp_path / "pytorch_model.bin").rename(tmp_path / "shard.bin")
    index = dict(weight_map={"module.classifier.1.bias": "shard.bin"})
    (tmp_path / "pytorch_model.bin.index.json").write_text(json.dumps(index))
    assert_same(variables, pretrained.load(tmp_path)[1])


def test_folders_are_as_the_libraries_write_them(tmp_path):
    module, variables = made(num_classes=7)
    for naming, architecture in dict(timm="deepcnn_s8", transformers=None).items():
        pretrained.save(module, variables, tmp_path / naming, naming=naming)
        again, same = pretrained.load(tmp_path / naming)
        assert again == module
        assert_same(same, variables)
        settings = json.loads((tmp_path / naming / "config.json").read_text())
        assert settings.get("architecture") == architecture
        # transformers complains if these are missing.
        counters = dict(timm="bn0", transformers="toy.stages.0.norm")
        counter = load_file(tmp_path / naming / WHOLE)[f"{counters[naming]}.num_batches_tracked"]
        assert (counter.shape, counter.dtype) == ((), np.int64)
    pretrained.save(*made(size=12), tmp_path / "other")
    settings = json.loads((tmp_path / "other" / "config.json").read_text())
    assert settings["pretrained_cfg"]["input_size"] == [3, 12, 12]
    pretrained.save(*made(size=12), tmp_path / "other", naming="transformers")
    assert json.loads((tmp_path / "other" / "config.json").read_text())["image_size"] == 12


def test_a_folder_is_for_libraries_that_read_one(tmp_path):
    with pytest.raises(UserError, match=r"torchvision has no config\.json: save to a file"):
        pretrained.save(*made(), tmp_path / "x", naming="torchvision")
    with pytest.raises(UserError, match="timm has no such model"):
        pretrained.save(*made(hidden=9), tmp_path / "x", naming="timm")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "change, message",
    [
        (dict(architecture="resnot"), "no architecture 'resnot' of timm's is known here"),
        (dict(model_args=dict(in_chans=1)), "in_chans=1, but published models have 3"),
        (dict(model_args=dict(act_layer="silu")), r"model_args \['act_layer'\] are not known"),
    ],
)
def test_settings_of_timms_that_do_not_fit_are_named(tmp_path, change, message):
    pretrained.save(*made(), tmp_path)
    path = tmp_path / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(UserError, match=f"config.json: {message}"):
        pretrained.load(tmp_path)


def test_the_tag_of_timms_settings_is_heeded(tmp_path):
    pretrained.save(*made(size=16), tmp_path)
    path = tmp_path / "config.json"
    tagged = dict(architecture="deepcnn_s16", pretrained_cfg=dict(tag="big"))
    path.write_text(json.dumps(tagged))
    assert pretrained.load(tmp_path)[0] == made()[0]


def test_a_single_file_needs_a_name(tmp_path):
    with pytest.raises(UserError, match=r"x\.safetensors is one file: say which model it is"):
        pretrained.load(saved(tmp_path / "x.safetensors"))
    for source in ("no/such.safetensors", "no/such/folder", "/nowhere"):
        with pytest.raises(UserError, match=f"^{source} is no folder and no file$"):
            pretrained.load(source, "deepcnn")


# The hub.


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """A client that finds one model, kept in a folder, and records what it is asked for."""
    asked = []

    def snapshot_download(name, allow_patterns):
        if name != "owner/toy":
            raise OSError(f"404:\n{name} not found")
        asked.append(allow_patterns)
        return str(tmp_path / "toy")

    client = types.SimpleNamespace(snapshot_download=snapshot_download)
    monkeypatch.setitem(sys.modules, "huggingface_hub", client)
    return asked


def test_a_model_comes_from_the_hub(tmp_path, hub):
    pretrained.save(*made(), tmp_path / "toy")
    assert_same(pretrained.load("owner/toy")[1], made()[1])
    (patterns,) = hub
    assert "config.json" in patterns
    assert not any("bin" in pattern for pattern in patterns)
    (tmp_path / "toy" / WHOLE).unlink()
    (tmp_path / "toy" / "pytorch_model.bin").write_bytes((GOLDEN / "classifier.pth").read_bytes())
    pretrained.load("owner/toy")
    assert "pytorch_model.bin" in hub[-1]
    message = "no/toy is no path here, and the hub does not give it: 404: no/toy not found"
    with pytest.raises(UserError, match=message):
        pretrained.load("no/toy")


def test_how_images_are_prepared_comes_from_the_hub_too(tmp_path, hub):
    settings, pickled = {"config.json", "preprocessor_config.json"}, "pytorch_model.bin"
    published = {*settings, WHOLE, pickled, "README.md"}
    asked_for = lambda patterns: {
        name for name in published if any(fnmatch.fnmatch(name, each) for each in patterns)
    }
    (tmp_path / "toy").mkdir()
    (tmp_path / "toy" / pickled).write_bytes(b"")
    assert fetch("owner/toy") == tmp_path / "toy"
    assert list(map(asked_for, hub)) == [{*settings, WHOLE}, {*settings, pickled}]


def test_the_hubs_client_is_named_where_it_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(UserError, match=r"pip install 'jaxdl\[hub\]'"):
        pretrained.load("owner/toy")
