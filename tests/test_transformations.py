"""Every operation and every loss under jvp, second derivatives, vmap, checkpoint and loops."""

import functools
import importlib
import inspect
import pkgutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from both_modes import check, direction, inner, jitted, near

from jaxdl import losses, ops
from jaxdl.losses import cosines, faster_rcnn, gan, metric_learning, perceptual, preference, yolo
from jaxdl.models.faster_rcnn import Outputs
from jaxdl.ops import attention_cpu, normalization, recurrent
from jaxdl.ops.derivatives import with_reference

WHOLE = jax.ShapeDtypeStruct


def f64(*shape: int) -> WHOLE:
    return WHOLE(shape, jnp.float64)


KEY = functools.partial(jax.random.key, 0)
LABELS = np.array([1, 0, 3])
EDGES = np.array([[0, 1], [1, 2], [0, 3]])
LENGTHS = np.array([2, 3])
SEEN = np.tril(np.ones((4, 4), bool)) & (np.arange(4) != 2)
IMAGE = f64(2, 5, 5, 4)
HEADS = f64(1, 4, 2, 3)


# The second has none.
SEGMENTS = np.array([0, 0, 2, 2])


def in_parts():
    """The same edges in two parts, five in each."""
    with jax.ensure_compile_time_eval():  # as where a graph is cut: on the host
        edges = ops.normalised(EDGES, 4)
        return ops.edges_in_parts(edges, ops.places_in_parts(np.bincount(edges.target), 2), 2)


def weighted(x, weight):
    edges = ops.normalised(EDGES, 4)
    return ops.aggregate(x, edges._replace(weight=weight))


# By operation: what is differentiated, and what of.
OPS = {
    "activation": [(ops.activation("identity"), (f64(3, 4),))],
    "aggregate": [
        (weighted, (f64(4, 3), f64(10))),
        (lambda x: ops.aggregate(x, ops.normalised(EDGES, 4), "max"), (f64(4, 3),)),
    ],
    "arrived": [
        (lambda x: ops.arrived(x, ops.normalised(EDGES, 4), 4, "mean"), (f64(10, 3),)),
        (lambda x: ops.arrived(x, in_parts(), 4, "max"), (f64(2, 5, 3),)),
    ],
    "arrived_softmax": [
        (lambda x: ops.arrived_softmax(x, ops.normalised(EDGES, 4), 4), (f64(10, 2),)),
        (lambda x: ops.arrived_softmax(x, in_parts(), 4), (f64(2, 5, 2),)),
    ],
    "receivers": [
        (lambda x: ops.receivers(x, ops.normalised(EDGES, 4)), (f64(4, 3),)),
        (lambda x: ops.receivers(x, in_parts()), (f64(4, 3),)),
    ],
    "senders": [
        (lambda x: ops.senders(x, ops.normalised(EDGES, 4)), (f64(4, 3),)),
        (lambda x: ops.senders(x, in_parts()), (f64(4, 3),)),
    ],
    "adaptive_avg_pool": [(lambda x: ops.adaptive_avg_pool(x, 4), (IMAGE,))],
    "attention": [
        (functools.partial(ops.attention, causal=True), (HEADS, HEADS, HEADS)),
        (lambda q, k, v: ops.attention(q, k, v, mask=SEEN), (HEADS, HEADS, HEADS)),
        (lambda q, k, v, m: ops.attention(q, k, v, mask=m), (HEADS, HEADS, HEADS, f64(2, 4, 4))),
        (
            lambda q, k, v: ops.attention(q, k, v, drop=lambda w: ops.dropout(KEY(), w, 0.3)),
            (HEADS, HEADS, HEADS),
        ),
    ],
    "attention_weights": [(ops.attention_weights, (HEADS, HEADS))],
    "avg_pool": [(lambda x: ops.avg_pool(x, 2, 1), (IMAGE,)), (ops.avg_pool, (IMAGE,))],
    "conv": [
        (functools.partial(ops.conv, stride=2), (IMAGE, f64(3, 3, 4, 3))),
        (functools.partial(ops.conv, groups=2, dilation=2), (IMAGE, f64(3, 3, 2, 4))),
        (functools.partial(ops.conv, groups=4), (IMAGE, f64(2, 2, 1, 4))),
        (functools.partial(ops.conv, stride=2, padding=0), (f64(2, 4, 4, 4), f64(2, 2, 4, 3))),
    ],
    "colours": [
        (getattr(ops.colours, name), (f64(2, 3),))
        for name in ("luminance", "to_ycbcr", "from_ycbcr")
    ],
    "conv_transpose": [
        (functools.partial(ops.conv_transpose, stride=2), (IMAGE, f64(3, 3, 2, 4))),
    ],
    "cross_entropy": [
        (lambda x: ops.cross_entropy(x, LABELS, 0.1), (f64(3, 4),)),
        (ops.cross_entropy, (f64(3, 4), f64(3, 4))),
    ],
    "bicubic": [(lambda x: ops.bicubic.enlarge(x, 2), (f64(1, 3, 2, 1),))],
    "by_table": [(ops.by_table, (f64(2, 3, 4), f64(5, 4))), (ops.by_table, (f64(4), f64(5, 4)))],
    "dense_each": [
        (
            lambda x, a, b: ops.dense_each(x, (a, b), (a[0], b[1])),
            (f64(2, 3, 4), f64(4, 5), f64(4, 2)),
        )
    ],
    "dense": [(ops.dense, (f64(2, 3, 4), f64(4, 5), f64(5)))],
    "dropout": [(lambda x: ops.dropout(KEY(), x, 0.3), (f64(3, 4),))],
    "group_norm": [(lambda *a: ops.group_norm(*a, 2, 1e-3), (IMAGE, f64(4), f64(4)))],
    "gru": [
        (
            lambda x, *w: ops.gru(x, *w[:-1], (w[-1],), lengths=LENGTHS),
            (f64(2, 3, 3), f64(3, 12), f64(4, 12), f64(12), f64(12), f64(2, 4)),
        )
    ],
    "join_masks": [(lambda a, b: ops.join_masks(a, b), (f64(3, 4), f64(4)))],
    "layer_norm": [(lambda *a: ops.layer_norm(*a, 1e-3), (f64(2, 3, 5), f64(5), f64(5)))],
    "local_response_norm": [(lambda x: ops.local_response_norm(x, alpha=0.5), (f64(2, 7),))],
    "log_mel": [(lambda x: ops.log_mel(x, 8, 8, 4, 2), (f64(2, 24),))],
    "lstm": [(ops.lstm, (f64(2, 3, 3), f64(3, 16), f64(4, 16), f64(16)))],
    "max_pool": [
        (lambda x: ops.max_pool(x, 2, 1, 1), (IMAGE,)),
        (lambda x: ops.max_pool(x, 2, ceil=True), (IMAGE,)),
    ],
    "mirrored": [(lambda x: ops.mirrored(x, 1), (f64(1, 3, 2, 1),))],
    "pixel_shuffle": [(lambda x: ops.pixel_shuffle(x, 2), (f64(1, 2, 1, 4),))],
    "pack_graphs": [
        (lambda x: ops.pack_graphs(x, jnp.zeros((2, 4, 2), int))[0], (f64(2, 3, 2),)),
    ],
    "power_spectrogram": [(lambda x: ops.power_spectrogram(x, 8, 4), (f64(2, 12),))],
    "sum_of_heads": [
        (
            lambda x, w: ops.sum_of_heads(x, w, ops.normalised(EDGES, 4)),
            (f64(4, 2, 3), f64(10, 2)),
        ),
        (lambda x, w: ops.sum_of_heads(x, w, in_parts()), (f64(4, 2, 3), f64(2, 5, 2))),
    ],
    "rms_norm": [(lambda *a: ops.rms_norm(*a, 1e-3), (f64(2, 3, 5), f64(5)))],
    "rnn": [
        (
            functools.partial(ops.rnn, reverse=True),
            (f64(2, 3, 3), f64(3, 4), f64(4, 4), f64(4)),
        )
    ],
    "conv_downsampled": [(ops.conv_downsampled, (f64(1, 4, 6, 2), f64(3, 3, 2, 3)))],
    "conv_upsampled": [(ops.conv_upsampled, (f64(1, 3, 2, 2), f64(3, 3, 2, 3)))],
    "downsampled": [(ops.downsampled, (f64(1, 4, 6, 2),))],
    "modulated_conv": [(ops.modulated_conv, (f64(2, 3, 3, 2), f64(3, 3, 2, 3), f64(2, 2)))],
    "upfirdn": [
        (
            lambda x: ops.upfirdn(x, (0.1, 0.5, 0.4), up=2, down=3, padding=(2, -1)),
            (f64(1, 4, 3, 2),),
        )
    ],
    "upsampled": [(ops.upsampled, (f64(1, 2, 3, 2),))],
    "softmax": [(ops.softmax, (f64(3, 4),))],
    "whisper_log_mel": [(lambda x: ops.whisper_log_mel(x, 2), (f64(1, 480),))],
    "safe_sqrt": [(lambda x: ops.safe_sqrt(1 + x * x), (f64(3, 4),))],
    "widen": [(ops.widen, (f64(3, 4),))],
    **{
        name: [(functools.partial(getattr(ops, name), ids=SEGMENTS, count=3), (f64(4, 2),))]
        for name in ("segment_max", "segment_mean", "segment_softmax", "segment_sum")
    },
    **{
        name: [(getattr(ops, name), (f64(3, 4),))]
        for name in ("elu", "gelu", "gelu_tanh", "leaky_relu", "relu", "sigmoid", "silu", "tanh")
    },
}
NO_DERIVATIVE = {
    "argmax": "places, which are whole numbers",
    "boxes": "a module, whose operations are tested in test_boxes.py",
    "Edges": "a container",
    "Hops": "a container",
    "Members": "a container",
    "connect": "edges, on the host",
    "in_rows": "edges, on the host",
    "edges_in_parts": "edges, on the host",
    "places_in_parts": "numbers, on the host",
    "mel_bands": "a table, on the host",
    "members_of": "numbers",
    "needed_frames": "counts",
    "normalised": "counts, on the host",
    "of_layer": "a choice of edges",
    "references": "a context",
    "segment_reduction": "a choice",
    "wide_dtype": "of dtypes",
}

BATCH = f64(3, 4)
positive = lambda f: lambda first, *rest: f(jax.nn.sigmoid(first), *rest)
PIXELS = np.array([[0, 3, 1], [2, 2, 0]])
OBJECTS = yolo.Objects(
    jnp.array([[[1.0, 2.0, 6.0, 7.0], [7.0, 6.0, 15.0, 14.0]]]),
    jnp.array([[1, 2]]),
    jnp.array([[True, True]]),
)
# Of Faster R-CNN what was chosen is a constant.
MAP, STYLE = f64(2, 2, 3, 2), np.array([[[0.3, 0.1], [0.1, 0.8]]])
CHOSEN = faster_rcnn.Chosen(
    np.array([[[1.0, 2.0, 6.0, 7.0], [4.0, 4.0, 9.0, 9.0], [0.0, 0.0, 1.0, 1.0]]]),
    np.array([[2, 0, 0]]),
    np.array([[[0.3, -2.0, 0.02, 1.0]] * 3]),
    np.array([[True, True, False]]),
)
ANCHORS = np.array([[0.0, 0.0, 8.0, 8.0], [6.0, 6.0, 14.0, 14.0], [20.0, 20.0, 30.0, 30.0]])
# Of metric learning: two classes of two, and one by itself.
VECTORS, KINDS = f64(5, 3), np.array([0, 1, 0, 1, 2])
LOSSES = {
    "arcface": (lambda x, w: losses.arcface(x, w, KINDS, scale=4.0)[0], (VECTORS, VECTORS)),
    "binary_cross_entropy": (losses.binary_cross_entropy, (BATCH, BATCH)),
    "contrastive": (lambda x: losses.contrastive(x, KINDS, margin=3.0)[0], (VECTORS,)),
    "cross_entropy": (lambda x: losses.cross_entropy(x, LABELS, label_smoothing=0.1), (BATCH,)),
    "ctc": (lambda x: losses.ctc(x, np.array([[1, 1], [2, 0]])), (f64(2, 4, 3),)),
    "distances": (metric_learning.distances, (VECTORS, VECTORS)),
    "dice": (lambda x: losses.dice(x, PIXELS), (f64(2, 3, 4),)),
    "elbo": (functools.partial(losses.elbo, beta=0.5), (f64(3), BATCH, BATCH)),
    "focal": (lambda x: losses.focal(x, np.eye(4)[:3]), (BATCH,)),
    "gradient_penalty": (
        lambda w, real, fake: gan.gradient_penalty(
            lambda x: jnp.tanh(x @ w[:, :3]) @ w[0, :3], real, fake, KEY()
        ),
        (f64(4, 4), BATCH, BATCH),
    ),
    "huber": (functools.partial(losses.huber, delta=0.9), (BATCH, BATCH)),
    "info_nce": (lambda *x: losses.info_nce(*x)[0], (VECTORS, VECTORS)),
    "jensen_shannon": (losses.jensen_shannon, (f64(3, 2, 4),)),
    "kl_divergence": (losses.kl_divergence, (BATCH, BATCH)),
    "mae": (losses.mae, (BATCH, BATCH)),
    "mse": (losses.mse, (BATCH, BATCH)),
    "quantile": (
        lambda p, t: losses.quantile(p, t, jnp.array([0.2, 0.7])),
        (f64(3, 4, 2), f64(3, 4)),
    ),
    "normal_kl": (losses.normal_kl, (BATCH, BATCH)),
    "normal_log_likelihood": (losses.normal_log_likelihood, (BATCH, BATCH, BATCH)),
    "nt_xent": (lambda *x: losses.nt_xent(*x)[0], (VECTORS, VECTORS)),
    "pixel_cross_entropy": (lambda x: losses.pixel_cross_entropy(x, PIXELS), (f64(2, 3, 4),)),
    "pixel_focal": (lambda x: losses.pixel_focal(x, PIXELS), (f64(2, 3, 4),)),
    "r1_penalty": (
        lambda w, real: gan.r1_penalty(lambda x: jnp.tanh(x @ w).sum(-1), real),
        (f64(3, 4), f64(2, 3)),
    ),
    "path_lengths": (
        lambda w, styles, noise: gan.path_lengths(
            lambda s: jnp.tanh(s.reshape(2, 6) @ w).reshape(2, 2, 2, 1), styles, noise
        ),
        (f64(6, 4), f64(2, 2, 3), f64(2, 2, 2, 1)),
    ),
    "of_patches": (gan.of_patches, (f64(2, 3, 2),)),
    "sparsity": (positive(lambda x: losses.sparsity(x, 0.2)), (f64(4),)),
    "poly1": (lambda x: losses.poly1(x, LABELS, label_smoothing=0.1), (BATCH,)),
    "softmax_focal": (lambda x: losses.softmax_focal(x, LABELS, label_smoothing=0.1), (BATCH,)),
    "supervised_contrastive": (
        lambda x: losses.supervised_contrastive(x, KINDS)[0],
        (VECTORS,),
    ),
    "triplet": (
        lambda x: [losses.triplet(x, KINDS, mining=m)[0] for m in metric_learning.MINING],
        (VECTORS,),
    ),
    "unit": (cosines.unit, (VECTORS,)),
    # Those of style.
    "content_loss": (lambda a, b: perceptual.content_loss({"x": a}, {"x": b}), (MAP, MAP)),
    "gram": (perceptual.gram, (MAP,)),
    "grams": (lambda a: perceptual.grams({"x": a})["x"], (MAP,)),
    "parts": (
        lambda a, b: perceptual.parts(lambda x: {"x": jnp.tanh(x)}, a, {"x": b}, {"x": STYLE}),
        (MAP, MAP),
    ),
    "style_loss": (lambda a, b: perceptual.style_loss({"x": a}, {"x": b}), (MAP, f64(1, 2, 2))),
    "total_variation": (perceptual.total_variation, (MAP,)),
    # Those of Faster R-CNN.
    "smooth": (faster_rcnn.smooth, (f64(3, 4),)),
    "stage_losses": (
        lambda *made: faster_rcnn.stage_losses(
            Outputs(ANCHORS, *made[:2], CHOSEN, *made[2:]), OBJECTS, None
        ),
        (f64(1, 3), f64(1, 3, 4), f64(1, 3, 3), f64(1, 3, 3, 4)),
    ),
    # Those of preferences.
    "difference": (preference.difference, (f64(3, 2), f64(3, 2))),
    "dpo": (lambda x: preference.dpo(x, 0.7, 0.1), (f64(3),)),
    "hinge": (lambda x: preference.hinge(x, 0.7), (f64(3),)),
    "ipo": (lambda x: preference.ipo(x, 0.7), (f64(3),)),
    "reward": (lambda a, b: preference.reward(a, b, 0.3, 0.1), (f64(3), f64(3))),
    "sequence_log_probabilities": (
        lambda x: preference.sequence_log_probabilities(x, jnp.asarray(PIXELS), mean=True),
        (f64(2, 3),),
    ),
    "token_log_probabilities": (
        lambda x: preference.token_log_probabilities(x, PIXELS),
        (f64(2, 3, 4),),
    ),
    # Those of YOLO.
    "losses": (
        lambda x: yolo.losses({8: x}, jnp.array([[4.0, 5.0], [9.0, 7.0]]), OBJECTS),
        (f64(1, 2, 2, 2, 8),),
    ),
    "squared": (
        lambda x, y: yolo.squared(x, jax.nn.sigmoid(y), x, y, np.full((2, 3), 0.2)),
        (f64(2, 3, 4), f64(2, 3, 4)),
    ),
}
# They choose, and have no derivative.
CHOICES = {"assign", "choose", "match", "pairs", "sample"}


def cases(table):
    return [
        pytest.param(*row, id=name if len(rows) == 1 else f"{name}-{i}")
        for name, rows in table.items()
        for i, row in enumerate(rows)
    ]


@pytest.fixture(autouse=True)
def _wide_and_in_blocks(monkeypatch):
    # Short sequences too take the CPU's form, several blocks of it, and loops.
    monkeypatch.setattr(attention_cpu, "FEWEST_SCORES", 0)
    monkeypatch.setattr(attention_cpu, "SHORTEST_BLOCK", 2)
    monkeypatch.setattr(recurrent, "UNROLLED", 1)
    with jax.enable_x64(True):
        yield


@pytest.mark.parametrize("f, shapes", cases(OPS))
def test_operation(f, shapes):
    check(f, direction(shapes, 0))


@pytest.mark.parametrize("f, shapes", LOSSES.values(), ids=LOSSES)
def test_loss(f, shapes):
    check(f, direction(shapes, 0))


@pytest.mark.parametrize("game", gan.GAMES)
def test_game(game):
    both = gan.GAMES[game]
    f = lambda real, fake: (both.discriminator(real, fake), both.generator(fake))
    check(f, direction((f64(5), f64(5)), 0))


def test_no_operation_and_no_loss_is_forgotten():
    assert {*OPS} | {*NO_DERIVATIVE} == {*ops.__all__}
    files = pkgutil.iter_modules(losses.__path__, "jaxdl.losses.")
    modules = [importlib.import_module(file.name) for file in files]
    public = {
        name
        for module in modules
        for name, function in vars(module).items()
        if inspect.isfunction(function) and function.__module__ == module.__name__
        if not name.startswith("_")
    }
    assert {*LOSSES} | CHOICES == public


@pytest.mark.parametrize("name", ["attention", "conv", "dropout", "layer_norm", "lstm", "max_pool"])
def test_third_derivatives_and_the_references(name):
    f, shapes = OPS[name][0]
    args, v = direction(shapes, 0), direction(shapes, 1)

    def along(t):
        y = f(*jax.tree.map(lambda x, v: x + t * v, args, v))
        return sum(jnp.sin(x).sum() for x in jax.tree.leaves(y))

    def forwards(f):
        return lambda t: jax.jvp(f, (t,), (1.0,))[1]

    second = forwards(jax.grad(along))
    thirds = [forwards(forwards(forwards(along))), jax.grad(second)]
    got = jitted(lambda t: (second(t), *(third(t) for third in thirds)))(0.0)
    near(got[1], got[2], 1e-10, "only forwards")
    with ops.references():
        near(jitted(second)(0.0), got[0], 1e-10, "the references")


def test_bf16_logits_have_a_tangent():
    x, w = direction((WHOLE((3, 4), jnp.bfloat16), WHOLE((4, 5), jnp.bfloat16)), 0)
    f = functools.partial(ops.dense, wide=True)
    y, y_dot = jax.jvp(f, (x, w), (x, w))
    assert y_dot.dtype == jnp.float32
    np.testing.assert_allclose(y_dot, 2 * y, rtol=1e-2)


def test_linearize_saves_the_work_and_its_transpose_is_the_gradient():
    f = lambda *args: ops.layer_norm(*args, 1e-3)
    args = direction((f64(3, 5), f64(5), f64(5)), 0)
    y, push = jax.linearize(f, *args)
    y_vjp, pull = jax.vjp(f, *args)
    dots, bar = direction(args, 1), direction(y, 2)
    near(y, y_vjp, 1e-15, "values")
    near(inner(push(*dots), bar), inner(pull(bar), dots), 1e-12, "adjoint")
    transposed = jax.linear_transpose(push, *args)(bar)
    near(transposed, pull(bar), 1e-12, "transpose of the linear function")


def test_in_a_while_loop():
    # Only forward mode goes through a loop of unknown length.
    kernel, x = direction((f64(3, 3, 2, 2), f64(1, 4, 4, 2)), 0)

    def f(kernel):
        more = lambda state: (state[0] < 3) & jnp.isfinite(state[1]).all()
        step = lambda state: (state[0] + 1, jnp.tanh(ops.conv(state[1], kernel)))
        return jax.lax.while_loop(more, step, (0, x))[1]

    def unrolled(kernel):
        y = x
        for _ in range(3):
            y = jnp.tanh(ops.conv(y, kernel))
        return y

    got, expected = (
        jitted(lambda k, f=f: jax.jvp(f, (k,), (jnp.ones_like(k),))[1])(kernel)
        for f in (f, unrolled)
    )
    near(got, expected, 1e-12, "while loop")


def opaque(x, w):
    """tanh(x) w, which JAX can differentiate once, in reverse mode, like a library's kernel."""
    call = lambda f, like, *args: jax.pure_callback(f, like, *args, vmap_method="sequential")

    @jax.custom_vjp
    def kernel(x, w):
        return call(lambda x, w: np.tanh(x) * w, x, x, w)

    def backward(kept, g):
        return call(lambda t, w, g: (g * w * (1 - t * t), g * t), (x, w), *kept, g)

    kernel.defvjp(lambda x, w: (kernel(x, w), (jnp.tanh(x), w)), backward)
    return kernel(x, w)


def test_a_kernel_that_is_differentiated_once_takes_the_rest_from_its_reference():
    args = direction((f64(3, 4), f64(3, 4)), 0)
    with pytest.raises(TypeError, match="custom_vjp"):
        jax.jvp(opaque, args, args)
    f = with_reference(opaque, lambda x, w: jnp.tanh(x) * w)
    check(f, args)
    # Training takes the kernel, both ways.
    text = str(jax.make_jaxpr(jax.grad(lambda x, w: f(x, w).sum()))(*args))
    assert text.count("pure_callback") == 2


KEPT = {
    "attention": (attention_cpu.attention, attention_cpu, (4,), (*[HEADS] * 3, None, True)),
    "layer_norm": (normalization._layer_norm, normalization, (3,), (BATCH, f64(4), f64(4), 1e-3)),
}


@pytest.mark.parametrize("f, module, static, args", KEPT.values(), ids=KEPT)
def test_a_gradient_keeps_what_it_would_with_a_custom_vjp(f, module, static, args):
    # What forward mode needs must not be paid for by every training step.
    custom = jax.custom_vjp(lambda *args: module._forward(*args)[0], nondiff_argnums=static)
    custom.defvjp(module._forward, module._backward)
    place = static[0]

    def kept(f):
        vjp = lambda *x: jax.vjp(lambda *x: f(*x, *args[place:]), *x)[1]
        shapes = jax.tree.leaves(jax.eval_shape(vjp, *args[:place]))
        return sorted(x.shape for x in shapes if x.size > 1)

    assert kept(f) == kept(custom)
