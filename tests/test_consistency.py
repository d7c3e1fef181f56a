"""AugMix's consistency: the divergence, its place in the loss, and what refuses it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from launching import SHORT, learned, leaves, run
from numeric import gradient, softmax
from scipy.special import rel_entr

from jaxdl import keys, losses
from jaxdl.tasks import classification

RNG = np.random.default_rng(0)
LOGITS = 3 * RNG.normal(size=(4, 3, 5))


def jensen_shannon(logits):
    p = softmax(logits)
    mean = p.mean(axis=1, keepdims=True)
    return rel_entr(p, mean).sum(axis=-1).mean(axis=1)


def test_the_divergence_is_that_of_its_definition():
    with jax.enable_x64(True):
        f = jax.jit(jax.value_and_grad(lambda x: losses.jensen_shannon(x).sum()))
        total, slope = f(jnp.asarray(LOGITS))
    assert total == pytest.approx(jensen_shannon(LOGITS).sum(), rel=1e-12)
    wanted = gradient(lambda x: jensen_shannon(x).sum(), LOGITS)
    np.testing.assert_allclose(slope, wanted, rtol=1e-5, atol=1e-8)
    assert losses.jensen_shannon(jnp.asarray(LOGITS, jnp.bfloat16)).dtype == jnp.float32


def test_sure_answers_that_differ_are_as_far_as_can_be():
    x = np.array([[[1e4, -1e4, 0], [-1e4, 1e4, 0]], [[1e4, 0, 0]] * 2, [[1e38, -1e38, 0]] * 2])
    f = jax.jit(jax.value_and_grad(lambda x: losses.jensen_shannon(x).sum()))
    np.testing.assert_allclose(losses.jensen_shannon(jnp.asarray(x)), [np.log(2), 0, 0], rtol=1e-6)
    assert np.isfinite(f(jnp.asarray(x))[1]).all()


def test_the_loss_is_that_of_the_image_and_the_divergence_of_its_views():
    """Against float64: the network is a matrix, and a mixture a known share of the image."""
    images = RNG.random((4, 2, 2, 1)).astype(np.float32)
    labels = np.array([0, 2, 1, 2])
    kernel = RNG.normal(size=(4, 3)).astype(np.float32)
    share = lambda key: jax.random.uniform(key, (), jnp.float32, 0.2, 0.8)
    mixed = lambda key, batch: {"image": share(key) * batch["image"]}
    forward = lambda params, state, key, x, train: (x.reshape(len(x), -1) @ params, state)
    loss_of = lambda found, labels: losses.cross_entropy(found, labels)
    key = keys.root(0)
    found = classification.training_loss(
        forward, lambda key, batch: batch, lambda x: x, loss_of, 0.3, 0, lambda labels: None,
        kernel, {}, {"image": images, "label": labels}, key,
        consistent=classification.Consistent(mixed, 12.0),
    )  # fmt: skip
    key = keys.named(key, "views")
    shares = [1.0, *(float(share(jax.random.fold_in(key, i))) for i in range(2))]
    logits = np.stack([s * images.reshape(4, -1).astype(np.float64) @ kernel for s in shares], 1)
    nats = -np.log(softmax(logits[:, 0]))[np.arange(4), labels]
    np.testing.assert_allclose(
        found.loss.total, (nats + 12 * jensen_shannon(logits)).sum(), rtol=1e-5
    )
    assert found.loss.weight == 4
    assert found.metrics["accuracy"].total == (logits[:, 0].argmax(1) == labels).sum()


@pytest.mark.slow("jaxdl/data/augment/", "jaxdl/tasks/classification.py", "jaxdl/parallel/")
def test_devices_and_an_update_in_parts_see_the_same(tmp_path):
    flags = ("--config.model.hidden=16", "--config.augment.aug_mix=3",
             "--config.task.consistency=12",
             "--config.optimizer.name=sgd", "--config.optimizer.b1=none",
             "--config.optimizer.b2=none", "--config.steps=4")  # fmt: skip
    assert run("mlp", tmp_path / "one", *flags) == 0
    assert run("mlp", tmp_path / "many", *flags, "--config.parallel.data=8") == 0
    for a, b in zip(leaves(tmp_path / "one"), leaves(tmp_path / "many"), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)
    assert SHORT
    _, _, plain = learned(1, "mlp", "--config.augment.aug_mix=3")
    _, _, found = learned(1, "mlp", "--config.augment.aug_mix=3", "--config.task.consistency=12")
    assert np.isfinite(found["loss"])
    assert found["loss"] != plain["loss"]


@pytest.mark.parametrize(
    "flags, says",
    [
        (("task.consistency=12.",), "there are none: set config.augment.aug_mix, such as 3"),
        (("task.consistency=-1.", "augment.aug_mix=3"), "config.task.consistency=-1.0 must be at"),
        (
            ("task.consistency=12.", "augment.aug_mix=3", "task.loss=focal"),
            "config.task.loss='focal' has a decision a class",
        ),
    ],
)
def test_settings_that_cannot_be(flags, says, tmp_path, capsys):
    assert run("mlp", tmp_path / "run", *(f"--config.{flag}" for flag in flags)) == 2
    said = capsys.readouterr().err
    assert says in said
    assert said.count("\n") == 1
