"""Boxes, against torchvision's operators."""

import functools
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from jaxdl import ops
from jaxdl.ops import boxes

pytestmark = pytest.mark.usefixtures("explicit")

with np.load(Path(__file__).parent / "golden" / "boxes.npz") as _file:
    GOLDEN = dict(_file)

close = functools.partial(np.testing.assert_allclose, rtol=1e-5, atol=1e-5)


def golden(*names):
    return [jnp.asarray(GOLDEN[name]) for name in names]


@pytest.mark.parametrize("unit", ["pixels", "shares"])
@pytest.mark.parametrize("name", ["iou", "giou", "diou", "ciou"])
def test_overlaps_and_their_gradients_are_torchvisions(name, unit):
    a, b, weight = golden(f"{unit}/a", f"{unit}/b", f"{unit}/weight")
    overlap = functools.partial(boxes.pairwise, getattr(boxes, name))
    value, pull = jax.vjp(overlap, a, b)
    close(value, GOLDEN[f"{unit}/{name}/value"])
    da, db = pull(weight)
    # In shares of an image a gradient is a hundred times as large.
    scale = max(1, np.abs(GOLDEN[f"{unit}/{name}/da"]).max())
    close(da / scale, GOLDEN[f"{unit}/{name}/da"] / scale)
    close(db / scale, GOLDEN[f"{unit}/{name}/db"] / scale)


@pytest.mark.parametrize("name", ["giou", "diou", "ciou"])
def test_of_pairs_they_are_one_less_torchvisions_losses(name):
    a, b = golden("pixels/a", "pixels/b")
    close(1 - getattr(boxes, name)(a[:9], b), GOLDEN[f"loss/{name}"])


@pytest.mark.parametrize("name", ["iou", "giou", "diou", "ciou"])
def test_empty_boxes_have_a_number_and_a_gradient(name):
    points = jnp.array([[3.0, 3, 3, 3], [3, 3, 3, 3], [1, 1, 2, 2], [0, 0, 0, 0]])
    others = jnp.array([[3.0, 3, 3, 3], [0, 0, 9, 9], [1, 1, 2, 2], [5, 5, 5, 8]])
    overlap = lambda a, b: getattr(boxes, name)(a, b).sum()
    value, grads = jax.value_and_grad(overlap, (0, 1))(points, others)
    assert np.isfinite(value)
    assert all(np.isfinite(g).all() for g in grads)
    assert boxes.iou(points, others).tolist() == [0, 0, 1, 0]


def kept(found):
    return np.asarray(found.index)[np.asarray(found.valid)]


@pytest.mark.parametrize("threshold", [0.3, 0.5, 0.7])
@pytest.mark.parametrize("by_class", [False, True])
def test_suppression_keeps_what_torchvisions_does(threshold, by_class):
    b, scores, classes = (GOLDEN[f"suppress/{name}"] for name in ("boxes", "scores", "classes"))
    expected = GOLDEN[f"suppress{'_by_class' * by_class}/{threshold}"]
    run = jax.jit(boxes.suppress, static_argnums=(2, 3))
    found = run(b, scores, threshold, len(b), classes=classes if by_class else None)
    assert kept(found).tolist() == expected.tolist()
    assert not found.valid[len(expected) :].any()


def test_of_a_few_the_best_are_kept_and_padding_is_not():
    b, scores = GOLDEN["suppress/boxes"], GOLDEN["suppress/scores"].copy()
    there = np.arange(len(b)) % 3 > 0
    scores[4] = np.nan
    whole = boxes.suppress(b[there], scores[there], 0.5, 300)
    few = jax.jit(lambda b, s: boxes.suppress(b, s, 0.5, 7, weights=jnp.asarray(there)))(b, scores)
    expected = np.flatnonzero(there)[kept(whole)]
    assert kept(few).tolist() == expected[:7].tolist()
    assert 4 not in expected
    nothing = boxes.suppress(b, scores, 0.5, 7, weights=np.zeros(len(b)))
    assert not nothing.valid.any()


def test_images_are_suppressed_side_by_side():
    b, scores = GOLDEN["suppress/boxes"][:200], GOLDEN["suppress/scores"][:200]
    run = functools.partial(boxes.suppress, threshold=0.5, size=50)
    both = jax.jit(jax.vmap(run))(b.reshape(2, 100, 4), scores.reshape(2, 100))
    for i in range(2):
        alone = run(b.reshape(2, 100, 4)[i], scores.reshape(2, 100)[i])
        jax.tree.map(lambda a, b, i=i: np.testing.assert_array_equal(a[i], b), both, alone)


def test_what_is_picked_has_a_gradient():
    b, scores = golden("suppress/boxes", "suppress/scores")
    best = lambda b: (b[boxes.suppress(b, scores, 0.5, 5).index] ** 2).sum()
    gradient, tangent = jax.grad(best)(b), jax.jvp(best, (b,), (b,))[1]
    assert (np.abs(gradient).sum(1) > 0).sum() == 5
    close(tangent, (gradient * b).sum())


def test_at_least_one_box_is_asked_for():
    with pytest.raises(ValueError, match="size=0"):
        boxes.suppress(jnp.zeros((2, 4)), jnp.zeros(2), 0.5, 0)


@pytest.mark.parametrize("aligned", [False, True])
@pytest.mark.parametrize("samples", [1, 2, 3])
def test_roi_align_and_its_gradient_are_torchvisions(samples, aligned):
    maps, b = golden("align/maps", "align/boxes")
    value, weight, dmaps = (
        GOLDEN[f"align/{aligned}/{samples}/{part}"] for part in ("value", "weight", "dmaps")
    )
    run = lambda maps: boxes.roi_align(maps, b, 4, 1 / 16, samples=samples, aligned=aligned)
    got, pull = jax.vjp(run, maps)
    close(got.reshape(value.shape), value)
    close(pull(jnp.asarray(weight).reshape(got.shape))[0], dmaps)


def test_roi_align_reads_each_box_from_its_own_map():
    maps = golden(*(f"pyramid/{i}" for i in range(4)))
    (b,) = golden("pyramid/boxes")
    level = boxes.levels(b, 2, 5)
    assert level.tolist() == GOLDEN["pyramid/levels"].tolist()
    scales = [1 / 4, 1 / 8, 1 / 16, 1 / 32]
    got = boxes.pyramid_roi_align(maps, b[None], level[None], 7, scales)
    close(got[0], GOLDEN["pyramid/value"])


def test_roi_align_has_derivatives_of_both_modes_and_over_batches():
    maps, b = golden("align/maps", "align/boxes")
    run = lambda maps: boxes.roi_align(maps, b[:1, :3], 2, 1 / 16)
    check_grads(run, (maps[:1],), order=2, modes=["fwd", "rev"], atol=1e-2, rtol=1e-2)
    several = jnp.stack([maps[:1], 2 * maps[1:]])
    each = jax.vmap(run)(several)
    for i in range(2):
        close(each[i], run(several[i]))
    loss = lambda maps: (run(maps) ** 2).sum()
    together = jax.grad(lambda maps: jax.vmap(loss)(maps).sum())(several)
    close(together, jnp.stack([jax.grad(loss)(m) for m in several]))


def test_roi_align_of_a_group_of_boxes_is_that_of_one():
    from jaxdl.ops import boxes_align

    rng = np.random.default_rng(0)
    rows = jnp.asarray(rng.normal(size=(99, 3)), jnp.float32)
    b = jnp.asarray(np.repeat(GOLDEN["align/boxes"].reshape(-1, 4), 5, axis=0) / 16)
    numbers = (jnp.full(len(b), n, jnp.int32) for n in (0, 9, 11))
    points = boxes_align._points(b, *numbers, (2, 2, 1))
    one, many = (boxes_align._forward(n, rows, points) for n in (1, 64))
    close(one, many)
    one, many = (boxes_align._backward(n, jnp.zeros_like(rows), points, many) for n in (1, 64))
    close(one, many)


def test_roi_align_of_many_cores_reads_every_image_where_it_lies():
    """Its images on eight devices: values and gradients of the CPU's form, and nothing is sent."""
    rng = np.random.default_rng(0)
    maps = jnp.asarray(rng.normal(size=(8, 6, 7, 2)), jnp.float32)
    corner = rng.uniform(0, 60, (8, 5, 2))
    b = jnp.asarray(
        np.concatenate([corner, corner + rng.uniform(1, 60, (8, 5, 2))], -1), jnp.float32
    )

    def run(maps, b):
        value, pull = jax.vjp(lambda maps: boxes.roi_align(maps, b, 2, 1 / 16), maps)
        return value, *pull(value)

    expected = jax.jit(run)(maps, b)
    mesh = jax.make_mesh((8,), ("data",), axis_types=(jax.sharding.AxisType.Auto,))
    split = jax.sharding.NamedSharding(mesh, jax.P("data"))
    with ops.references():
        program = jax.jit(run, in_shardings=split, out_shardings=split).lower(maps, b).compile()
        jax.tree.map(close, program(*jax.device_put((maps, b), split)), expected)
    sent = ("all-gather", "all-reduce", "all-to-all", "collective-permute")
    assert not [name for name in sent if name in program.as_text()]


@pytest.mark.parametrize("name, weights", [("ones", (1, 1, 1, 1)), ("head", (10, 10, 5, 5))])
def test_coding_is_torchvisions_and_goes_back(name, weights):
    a, b, deltas = golden("coding/boxes", "coding/anchors", "coding/deltas")
    encoded = boxes.encode(a, b, weights)
    close(encoded, GOLDEN[f"coding/{name}/encoded"])
    decoded = boxes.decode(deltas, b, weights)
    np.testing.assert_allclose(decoded, GOLDEN[f"coding/{name}/decoded"], rtol=1e-5, atol=1e-3)
    np.testing.assert_allclose(boxes.decode(encoded, b, weights), a, atol=1e-4)
    # One box an anchor, several an anchor.
    many = boxes.decode(deltas.reshape(5, 4, 4), b[:5, None])
    close(many[3, 2], boxes.decode(deltas[14], b[3]))


def test_middles_go_back_to_corners_and_clipping_keeps_what_is_inside():
    b = jnp.array([[-5.0, 2, 8, 30], [20, 3, 40, 4]])
    assert boxes.middles(b).tolist() == [[1.5, 16, 13, 28], [30, 3.5, 20, 1]]
    close(boxes.corners(boxes.middles(b)), b)
    assert boxes.clip(b, (10, 16)).tolist() == [[0, 2, 8, 10], [16, 3, 16, 4]]
    sizes = jnp.array([[10.0, 16], [100, 100]])
    assert boxes.clip(b, sizes).tolist() == [[0, 2, 8, 10], [20, 3, 40, 4]]


def test_anchors_are_torchvisions():
    assert boxes.cell_anchors([32], [0.5, 1, 2]).tolist() == [
        [-23, -11, 23, 11], [-16, -16, 16, 16], [-11, -23, 11, 23],
    ]  # fmt: skip
    maps = [(200, 128), (100, 64), (50, 32), (25, 16), (13, 8)]
    sizes = [[2**i] for i in range(5, 10)]
    found = boxes.anchors((800, 512), maps, sizes, [[0.5, 1, 2]] * 5)
    np.testing.assert_array_equal(np.concatenate(found[3:]), GOLDEN["anchors/coarse"])
    sums = [(part.astype(np.float64) * np.arange(1, 5)).sum() for part in found]
    np.testing.assert_allclose(sums, GOLDEN["anchors/sums"], rtol=1e-12)
