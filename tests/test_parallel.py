"""One device or eight, split in any way: the same run."""

import jax
import numpy as np
import pytest
from launching import assert_same_bits, figures, leaves, run, summary

from jaxdl import parallel
from jaxdl.errors import UserError

MODELS = {
    "mlp": ("--config.model.hidden=64,64",),
    "deep_cnn": ("--config.model.channels=8,16", "--config.model.hidden=32"),
    "vit": (
        "--config.model.depth=1",
        "--config.model.width=32",
        "--config.model.heads=4",
        "--config.augment.rotate=0",
        "--config.augment.zoom=0",
    ),
}
COMMON = (
    "--config.steps=20",
    "--config.batch_size=48",
    "--config.augment.shift=0",
    "--config.parallel.fsdp_min_size=64",
    "--config.optimizer.schedule=constant",
    "--config.eval.every=20",
    "--config.eval.batch_size=100",
)
SGD = ("--config.optimizer.name=sgd", "--config.optimizer.momentum=.9",
       "--config.optimizer.learning_rate=.02", "--config.optimizer.clip=0")  # fmt: skip
MESHES = {
    "data": dict(data=8),
    "fsdp": dict(data=1, fsdp=8),
    "tensor": dict(data=1, tensor=4),
    "fsdp x tensor": dict(data=2, fsdp=2, tensor=2),
    "pmap": dict(data=8, strategy="pmap"),
    "3 devices": dict(data=3),
    "6 devices": dict(data=3, fsdp=2),
}


def assert_close(ours, theirs):
    """Within 1e-5 of each array's largest number, and 1e-6 where that is rounding alone.

    (The gradient of a bias in front of a batch norm is zero but for rounding.)
    """
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=max(1e-5 * np.abs(a).max(), 1e-6))


def mesh(**sizes):
    return tuple(f"--config.parallel.{name}={value}" for name, value in sizes.items())


@pytest.fixture(scope="module")
def on_one_device(tmp_path_factory):
    """Runs on a single device, made once for each set of flags."""
    made = {}

    def get(model, *flags):
        if (model, flags) not in made:
            folder = tmp_path_factory.mktemp("one") / "run"
            assert run(model, folder, *MODELS[model], *COMMON, *flags) == 0
            made[model, flags] = folder
        return made[model, flags]

    return get


# What has all kinds of layers that are split, on the meshes that hold the others; of the others
# what they add to that: batch statistics, and the axes each by itself.
SPLIT = [("vit", "fsdp x tensor"), ("mlp", "data"), ("mlp", "fsdp"), ("mlp", "tensor")]
SPLIT += [("mlp", "pmap"), ("deep_cnn", "3 devices")]
# More of the same, which take a minute to compile.
FURTHER = [("vit", name) for name in MESHES if name != "fsdp x tensor"]
FURTHER += [("deep_cnn", "fsdp"), ("deep_cnn", "pmap")]
FURTHER = [
    pytest.param(*case, marks=pytest.mark.slow("jaxdl/parallel/", "jaxdl/tasks/learner.py"))
    for case in FURTHER
]


@pytest.mark.parametrize("model, name", [*SPLIT, *FURTHER])
def test_sgd_gives_the_same_parameters_on_any_mesh(model, name, on_one_device, tmp_path):
    # Under pmap each device draws its own dropout masks.
    flags = (*SGD, "--config.model.dropout=0") if name == "pmap" else SGD
    one = on_one_device(model, *flags)
    assert run(model, tmp_path / "run", *MODELS[model], *COMMON, *flags, *mesh(**MESHES[name])) == 0
    assert_close(leaves(one), leaves(tmp_path / "run"))
    ours, theirs = (figures(folder, "eval")[-1] for folder in (one, tmp_path / "run"))
    assert ours["accuracy"] == theirs["accuracy"]  # every example once
    assert ours["loss"] == pytest.approx(theirs["loss"], rel=1e-5)
    assert summary(tmp_path / "run")["devices"] == np.prod(
        [v for v in MESHES[name].values() if isinstance(v, int)]
    )


@pytest.mark.parametrize("name", ["6 devices", "pmap"])
def test_adamw_gives_the_same_losses_on_any_mesh(name, on_one_device, tmp_path):
    flags = ("--config.model.dropout=0",)
    one = on_one_device("vit", *flags)
    run("vit", tmp_path / "run", *MODELS["vit"], *COMMON, *flags, *mesh(**MESHES[name]))
    for a, b in zip(figures(one, "train"), figures(tmp_path / "run", "train"), strict=True):
        assert a["loss"] == pytest.approx(b["loss"], rel=1e-4)


def test_microbatches_on_several_devices(on_one_device, tmp_path):
    one = on_one_device("mlp", *SGD)
    run("mlp", tmp_path / "run", *MODELS["mlp"], *COMMON, *SGD, *mesh(data=4),
        "--config.accumulate=3")  # fmt: skip
    assert_close(leaves(one), leaves(tmp_path / "run"))


def test_checkpoint_moves_between_meshes_and_is_the_same_to_the_bit(tmp_path):
    # Each life adds no step: it only restores and, at a changed length, goes on by none.
    flags = (*MODELS["vit"], *COMMON, *SGD, "--config.model.dropout=0")
    run("vit", tmp_path / "run", *flags, *mesh(data=1, fsdp=8))
    written = leaves(tmp_path / "run")
    for sizes in (dict(data=3), dict(data=1, tensor=4), dict(data=8, strategy="pmap")):
        assert run("vit", tmp_path / "run", *flags, *mesh(**sizes)) == 0
        assert_same_bits(written, leaves(tmp_path / "run"))
        assert summary(tmp_path / "run")["steps"] == 20


def test_a_run_goes_on_with_another_mesh(on_one_device, tmp_path):
    flags = (*MODELS["mlp"], *COMMON, *SGD)
    run("mlp", tmp_path / "run", *flags, "--config.steps=10", *mesh(data=1, fsdp=8))
    assert run("mlp", tmp_path / "run", *flags, *mesh(data=2), "--accept_changes") == 0
    assert_close(leaves(on_one_device("mlp", *SGD)), leaves(tmp_path / "run"))


def bytes_a_device(tree):
    return sum(
        np.prod(x.sharding.shard_shape(x.shape), dtype=int) * x.dtype.itemsize
        for x in jax.tree.leaves(tree)
    )


@pytest.mark.parametrize("count", [2, 4, 8])
def test_fsdp_keeps_one_nth_of_the_bytes_on_each_device(count):
    layout = lambda **sizes: parallel.create(
        {"strategy": "jit", "data": 1, "fsdp": 1, "tensor": 1, "fsdp_min_size": 64, **sizes}, 8
    )
    shapes = {
        name: {"kernel": jax.ShapeDtypeStruct((64, 256), np.float32),
               "bias": jax.ShapeDtypeStruct((256,), np.float32)}
        for name in ("params", "mu", "nu")
    }  # fmt: skip
    whole = bytes_a_device(layout().state(shapes))
    assert bytes_a_device(layout(fsdp=count).state(shapes)) == whole // count


BAD = {
    "a batch that does not divide": (mesh(data=5), "does not divide over 5 devices: use 50"),
    "more devices than there are": (mesh(data=8, tensor=2), "16 devices, but there are 8"),
    "what is left is no whole number": (mesh(data=-1, fsdp=3), "do not divide by 3"),
    "two axes of what is left": (mesh(data=-1, fsdp=-1), "only one axis can be -1"),
    "heads that the tensor axis does not divide": (
        mesh(data=1, tensor=8),
        "tensor=8 does not divide axis 0 of params/block_0/attention/key/bias (4, 8)",
    ),
    "pmap with fsdp": (mesh(data=1, fsdp=2, strategy="pmap"), "splits the batch only"),
    "a mesh of no devices": (mesh(data=0), "-1 or above 0"),
}


@pytest.mark.parametrize("name", BAD)
def test_mesh_that_cannot_be_is_one_line_before_compilation(name, tmp_path, capsys):
    flags, says = BAD[name]
    assert run("vit", tmp_path / "run", *MODELS["vit"], *COMMON, *flags) == 2
    message = capsys.readouterr().err
    assert message.count("\n") == 1
    assert says in message
    assert not (tmp_path / "run").exists()


def test_pmap_is_for_one_host(monkeypatch):
    monkeypatch.setattr(jax, "process_count", lambda: 2)
    settings = {"strategy": "pmap", "data": 2, "fsdp": 1, "tensor": 1, "fsdp_min_size": 1}
    with pytest.raises(UserError, match="for one host, and there are 2"):
        parallel.create(settings, 8)


def test_coordinator_without_process_numbers_is_refused(monkeypatch):
    monkeypatch.setenv("JAX_COORDINATOR_ADDRESS", "localhost:1")
    monkeypatch.delenv("JAX_NUM_PROCESSES", raising=False)
    with pytest.raises(UserError, match="JAX_NUM_PROCESSES"):
        parallel.initialize()
