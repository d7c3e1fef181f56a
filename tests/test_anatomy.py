"""How far models look: by arithmetic on their layers, and by which pixels change a place."""

import inspect
import math
import subprocess
import sys
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import shipped
from flax import linen as nn

from benchmarks import models_page
from jaxdl import anatomy, keys, layers, models, ops
from jaxdl.anatomy import __main__ as command
from jaxdl.anatomy import reads_text
from jaxdl.errors import UserError
from jaxdl.ops.convolution import explicit_padding, out_size, receptive_field

# Small members of every family of convolutions: (name, fields, height of images).
_BLOCK = (2, 2, 2, 2, 2, 2)
CASES = {
    "deep_cnn": ("deep_cnn", dict(channels=(2, 3), hidden=4), 8),
    "lenet": ("lenet", dict(channels=(2, 2, 2), hidden=4), 32),
    "lenet_max": ("lenet", dict(channels=(2, 2, 2), hidden=4, pool="max"), 32),
    "alexnet": ("alexnet", dict(channels=(2,) * 5, hidden=4), 64),
    "vgg16": ("vgg16", dict(channels=(2,) * 5, hidden=4), 32),
    "googlenet": ("googlenet", dict(stem=(2, 2, 2), stages=((_BLOCK,) * 2,) * 2), 32),
    "googlenet_paper": ("googlenet_paper", dict(stem=(2, 2, 2), stages=((_BLOCK,) * 2,) * 2), 32),
    "resnet18": ("resnet18", dict(width=2, stages=(2, 1)), 32),
    "resnet50": ("resnet50", dict(width=2, stages=(2, 2, 2, 2)), 32),
    "efficientnet_b0": ("efficientnet_b0", dict(width=0.01, depth=0.1, last=4), 32),
    "convnext_t": ("convnext_t", dict(widths=(2, 2, 4, 4), depths=(1, 1, 2, 1)), 32),
    "coatnet": ("coatnet", dict(blocks="CC", widths=(4, 4), depths=(2, 2), stem_width=2), 8),
}  # fmt: skip
CHAINS = ("deep_cnn", "lenet", "lenet_max", "alexnet", "vgg16")
SPIKE = 1e9


class Call(NamedTuple):
    """A layer as it ran: what it was, its windows, what went in and what came out."""

    window: int
    stride: int
    padding: int
    inputs: tuple[int, ...]
    output: jax.Array


@pytest.fixture
def calls(monkeypatch):
    """Runs a model so that pixels only add up, and gives its layers' calls."""

    def run(f):
        met = []

        def layer(call, args, kwargs, context):
            module, plain = context.module, context.method_name == "__call__"
            # Neither makes or hides a place: gates see all, and norms are blind to a factor.
            if plain and isinstance(module, layers.SqueezeExcite | layers.LayerNorm):
                return args[0]
            y = call(*args, **kwargs)
            if plain and isinstance(module, layers.Conv | layers.PatchEmbed):
                k = getattr(module, "kernel_size", None) or module.patch_size
                padding = getattr(module, "padding", 0)
                pad = explicit_padding(padding, (k, k))[0][0]
                met.append(Call(k, getattr(module, "stride", k), pad, args[0].shape, y))
            return y

        def pool(original):
            def run(x, window=2, stride=None, padding=0, **more):
                y = original(x, window, stride, padding, **more)
                met.append(Call(window, stride or window, padding, x.shape, y))
                return y

            return run

        with monkeypatch.context() as patch:
            patch.setattr(ops, "max_pool", pool(ops.max_pool))
            patch.setattr(ops, "avg_pool", pool(ops.avg_pool))
            patch.setattr(ops, "local_response_norm", lambda x, *a, **k: x)
            with nn.intercept_methods(layer):
                f()
        return met

    return run


def made(case, **fields):
    name, own, height = CASES[case]
    return models.create(name, **own, **fields), height


def width_for(case):
    """So wide that the middle pixel of the last map sees no edge."""
    module, height = made(case)
    deepest = max(x.seen[1].field for x in anatomy.of(module, (height, 64, 1)).layers)
    return (deepest // 32 + 4) * 32


@pytest.mark.parametrize("case", CASES)
def test_sizes_are_those_of_the_formula(case, calls):
    module, height = made(case)
    image = (height, 96, 1)
    found = anatomy.of(module, image).layers
    x = jax.ShapeDtypeStruct((1, *image), jnp.float32)
    met = calls(lambda: jax.eval_shape(module.init, keys.root(0), x))
    assert [x.size for x in found] == [call.output.shape[1:3] for call in met]
    for layer, call in zip(found, met, strict=True):
        assert (layer.window, layer.stride) == ((call.window,) * 2, (call.stride,) * 2)
        places = dict(stride=call.stride, padding=call.padding)
        expected = tuple(out_size(n, call.window, **places) for n in call.inputs[1:3])
        if "googlenet" in case and "pool" in layer.kind:  # a remainder has a window of its own
            assert all(0 <= n - m <= 1 for n, m in zip(layer.size, expected, strict=True))
        else:
            assert layer.size == expected


@pytest.mark.parametrize("case", CHAINS)
def test_fields_of_a_chain_are_those_of_the_formula(case):
    module, height = made(case)
    met = anatomy.of(module, (height, 96, 1)).layers
    assert len(met) > 3
    for n, layer in enumerate(met, start=1):
        chain = [(x.window[1], x.stride[1]) for x in met[:n]]
        assert layer.seen[1].field == receptive_field(chain), layer.name
        assert layer.seen[1].step == math.prod(stride for _, stride in chain)


@pytest.mark.parametrize("case", CASES)
def test_fields_are_the_pixels_that_change_a_place(case, calls):
    width = width_for(case)
    with jax.enable_x64(True):
        module, height = made(case, dtype=jnp.float64)
        found = anatomy.of(module, (height, width, 1)).layers
        middle = [x.size[1] // 2 for x in found]
        spans = [x.seen[1].at(i) for x, i in zip(found, middle, strict=True)]
        edges = {c for first, end in spans for c in (first - 1, first, end - 1, end)}
        columns = np.array(sorted(edges))
        assert 0 <= columns.min() < columns.max() < width

        def places(variables, images):
            met = calls(lambda: module.apply(variables, images))
            # Pixels of the middle column, all rows and channels of them.
            return [x.output[:, :, i].sum((1, 2)) for x, i in zip(met, middle, strict=True)]

        image = jax.ShapeDtypeStruct((1, height, width, 1), jnp.float64)
        shapes = jax.eval_shape(module.init, keys.root(0), image)
        variables = jax.tree.map_with_path(positive, shapes)
        images = np.ones((len(columns) + 1, height, width, 1))
        images[np.arange(len(columns)), :, columns] = SPIKE
        outputs = jax.jit(places)(variables, images)
    for layer, (first, end), y in zip(found, spans, outputs, strict=True):
        plain = float(y[-1])
        changed = np.abs(np.asarray(y[:-1]) - plain) > 1e-9 * plain
        expected = (columns >= first) & (columns < end)
        np.testing.assert_array_equal(changed, expected, err_msg=f"{layer.name} {layer.kind}")


def positive(path, x):
    """Weights with which nothing cancels, a mean of what goes in."""
    name = jax.tree_util.keystr(path, simple=True, separator="/").rpartition("/")[2]
    if name == "kernel":
        return jnp.full(x.shape, 1 / math.prod(x.shape[:-1]), jnp.float64)
    return jnp.full(x.shape, 0.0 if name in ("bias", "mean") else 1.0, jnp.float64)


def _joined(up, x):
    """Down, up by ``up``, and joined to what was not."""
    conv = lambda x, k: ops.conv(x, jnp.ones((k, k, x.shape[-1], 1)), padding=k // 2)
    fine = conv(x, 3)
    x = up(conv(ops.avg_pool(fine, 2), 3))
    x = jnp.pad(jnp.concatenate([x, fine], -1), ((0, 0), (0, 0), (2, 1), (0, 0)), mode="edge")
    return conv(x, 5)[:, :, ::3]


def _transposed(kernel, padding=0, more=0):
    of = lambda x: jnp.ones((kernel, kernel, 1, x.shape[-1]))
    how = dict(stride=2, padding=padding, output_padding=more)
    return lambda x: ops.conv_transpose(x, of(x), **how)


def _between(x):
    x = jax.lax.pad(x, 0.0, [(0, 0, 0), (0, 1, 1), (1, 0, 1), (0, 0, 0)])
    return ops.conv(x, jnp.ones((2, 2, 1, 1)), padding=((0, 1), (0, 1)))


def _from_channels(x):
    B, h, w, _ = x.shape
    x = x.repeat(4, -1).reshape(B, h, w, 2, 2, 1)
    return x.transpose(0, 1, 3, 2, 4, 5).reshape(B, 2 * h, 2 * w, 1)


def _mirrored(x):
    x = jnp.pad(x, ((0, 0), (2, 2), (2, 2), (0, 0)), mode="reflect")
    return ops.conv(x, jnp.ones((5, 5, 1, 1)), padding=0)


WAYS_UP = {
    "kernel 2": _transposed(2),
    "kernel 3": _transposed(3, 1, 1),
    "kernel 4": _transposed(4, 1),
    "kernel 1": _transposed(1, 0, 1),
    "repeated": lambda x: x.repeat(2, axis=1).repeat(2, axis=2),
    "zeros between": _between,
    "from channels": _from_channels,
    "mirrored, up and mirrored": lambda x: _mirrored(_transposed(3, 1, 1)(_mirrored(x))),
    "repeated, once more and down": lambda x: ops.avg_pool(
        _transposed(3, 1, 1)(x.repeat(2, axis=1).repeat(2, axis=2)), 2
    ),
}


def assert_sees(place_has_seen, seen, width):
    """Of columns and places (columns, places): which have been seen are between these."""
    checked = set()
    for i, columns in enumerate(np.asarray(place_has_seen).T):
        first, end = seen.at(i)
        if first >= 0 and end <= width:
            there = np.flatnonzero(columns)
            assert (there[0], there[-1] + 1) == (first, end), i
            checked.add(i % len(seen.spans))
    assert len(checked) == len(seen.spans)  # all that take turns


@pytest.mark.parametrize("way", WAYS_UP)
def test_fields_of_ways_up_are_the_pixels_that_change_a_place(way):
    class Up(nn.Module):
        def __call__(self, x):
            return _joined(WAYS_UP[way], x)

    width = 48
    last = anatomy.of(Up(), (4, width, 1)).last
    images = np.zeros((width, 4, width, 1), np.float32)
    images[range(width), :, range(width)] = 1
    places = Up().apply({}, jnp.asarray(images))
    assert places.shape[1:3] == last.size
    assert not last.whole
    assert_sees(places.sum((1, 3)) > 0, last.seen[1], width)


def test_fields_of_a_u_net_are_the_pixels_that_change_a_place():
    module = models.create("unet", depth=2, width=1)
    width, height = 92, 44
    last = anatomy.of(module, (height, width, 1)).last
    images = np.zeros((width, height, width, 1), np.float32)
    images[range(width), :, range(width)] = 1
    shapes = jax.eval_shape(module.init, keys.root(0), images[:1])
    ones = lambda path, x: jnp.full(x.shape, float("bias" not in str(path[-1])))
    places = jax.jit(module.apply)(jax.tree.map_with_path(ones, shapes), images)
    assert places.shape[1:3] == last.size == (4, 52)
    assert_sees(places.sum((1, 3)) > 0, last.seen[1], width)
    assert last.field == 44


def test_products_of_an_up_convolution_are_those_of_its_taps():
    class Up(nn.Module):
        def __call__(self, x):
            return _transposed(3, 1, 1)(x)

    (layer,) = anatomy.of(Up(), (5, 7, 2)).layers
    assert (layer.kind, layer.window, layer.size) == ("up-convolution", (3, 3), (10, 14))
    # Each pixel goes to nine places; those beyond the edge are padding, and are counted.
    assert layer.multiply_adds == 5 * 7 * 9 * 2


# Araujo, Norris and Sim, 2019, "Computing Receptive Fields of Convolutional Neural Networks".
@pytest.mark.parametrize(("name", "field"), [("alexnet", 195), ("vgg16", 212)])
def test_fields_of_published_models(name, field):
    assert anatomy.of(models.create(name)).last.field == field


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("vit_ti16", dict(depth=1)),
        ("coatnet_0", dict(depths=(1, 1), widths=(8, 64), blocks="CT")),
        ("efficientnet_b0", dict(width=0.01, depth=0.1)),
        ("mobilevit_xxs", dict(depths=(1, 1, 1, 1, 1))),
        ("cvt_13", dict(depths=(1, 1, 1))),
    ],
)
def test_attention_and_gates_see_the_whole_image(name, fields):
    found = anatomy.of(models.create(name, **fields), (64, 64, 3))
    assert not found.layers[0].whole
    assert math.isinf(found.last.field)


# The smallest of each family: to trace all takes minutes.
@pytest.mark.parametrize("family", models_page.FAMILIES, ids=lambda family: family.start)
def test_the_page_says_what_the_code_says(family):
    text = models_page.PAGE.read_text().splitlines()
    names = models_page.names(family)
    rows = {name: [x for x in text if x.startswith(f"`{name}` |")] for name in names}
    assert all(len(row) == 1 for row in rows.values()), "python -m benchmarks.models_page"
    counts = {name: int(row[0].split(" | ")[2].replace(",", "")) for name, row in rows.items()}
    name = min(counts, key=counts.get)
    assert rows[name] == [models_page.line(name, family)[1]]


def test_every_image_classifier_is_on_the_page():
    listed = {name for family in models_page.FAMILIES for name in models_page.names(family)}
    found = {name for name in shipped.model_names() if "num_classes" in models.settings(name)}
    found = {name for name in found if {"x", "features"} <= {*call_parameters(name)}}
    assert found - listed <= {family.start for family in models_page.FAMILIES}


@pytest.mark.parametrize("family", models_page.TEXT_FAMILIES, ids=lambda family: family.start)
def test_the_page_says_what_the_code_says_of_texts(family):
    text = models_page.PAGE.read_text().splitlines()
    names = models_page.text_names(family)
    rows = {name: [x for x in text if x.startswith(f"`{name}` |")] for name in names}
    assert all(len(row) == 1 for row in rows.values()), "python -m benchmarks.models_page"
    published = {name: models_page.PUBLISHED[name].parameters for name in names}
    for name, (row,) in rows.items():
        told = [int(cell.split()[0].replace(",", "")) for cell in row.split(" | ")[1::2]]
        assert told == [published[name]] * 2
    name = min(published, key=published.get)
    assert rows[name] == [models_page.text_line(name, family)[1]]


def test_every_published_model_of_texts_is_on_the_page():
    listed = {
        name for family in models_page.TEXT_FAMILIES for name in models_page.text_names(family)
    }
    found = {name for name in shipped.model_names() if reads_text(models.create(name))}
    # These are among them under the names of their sizes.
    own = {"gpt", "bert", "t5", "bart", "whisper", "whisper_ctc"}
    assert found - listed == own | {"rnn_lm", "lstm_lm", "gru_lm"}


def test_products_of_a_text_are_counted():
    module = models.create("bert", vocab_size=7, width=6, depth=1, heads=2, hidden=5)
    found = anatomy.of_text(module, tokens=3)
    block = 4 * 6 * 6 + 2 * 6 * 5 + 2 * 3 * 6  # projections, feed-forward, scores and sums
    assert found.multiply_adds == 3 * (block + 6 * 6 + 6 * 7)
    with pytest.raises(UserError, match="MLP is no model of texts"):
        anatomy.of_text(models.create("mlp"))


def call_parameters(name):
    return inspect.signature(type(models.create(name)).__call__).parameters


@pytest.mark.parametrize("name", ["alexnet", "googlenet", "resnet18", "efficientnet_b0"])
def test_parameters_and_multiply_adds_are_the_published_ones(name):
    found, published = anatomy.of(models.create(name)), models_page.PUBLISHED[name]
    assert found.parameters == published.parameters
    assert round(found.multiply_adds / 1e9, 3) == published.multiply_adds
    assert sum(x.multiply_adds for x in found.layers) <= found.multiply_adds


def test_a_model_written_without_layers_is_followed():
    class Plain(nn.Module):
        @nn.compact
        def __call__(self, x):
            cut = x.reshape(x.shape[0], x.shape[1] // 4, 4, x.shape[2] // 4, 4, -1)
            x = cut.transpose(0, 1, 3, 2, 4, 5).reshape(x.shape[0], -1, 16 * x.shape[-1])
            tokens = nn.Dense(5)(x)
            x = tokens.reshape(x.shape[0], 8, 6, 5)
            x = jnp.pad(x, ((0, 0), (1, 0), (1, 0), (0, 0)))
            x = x[:, :-1:2, :-1:2] + x[:, 1::2, 1::2]
            return x.max(axis=(1, 2))

    found = anatomy.of(Plain(), (32, 24, 3))
    assert [(x.kind, x.size, x.window) for x in found.layers] == [("patches", (8, 6), (4, 4))]
    # Of two neighbours from padding on: patches 2i - 1 and 2i.
    assert found.last.size == (4, 3)
    assert found.last.seen == (anatomy.Seen.plain(8, -4, 8),) * 2
    assert found.multiply_adds == 48 * 48 * 5


def test_the_command_prints_a_table():
    argv = [sys.executable, "-m", "jaxdl.anatomy", "deep_cnn", "--size=28", "--channels=1"]
    lines = subprocess.run(argv, capture_output=True, text=True, check=True).stdout.splitlines()
    assert " ".join(lines[1].split()) == "conv_0 convolution 3x3 1x1 28x28 1x1 3x3 225,792"
    assert lines[-1].startswith("421,834 parameters, 4,241,152 multiply-adds, last map 7x7")


@pytest.mark.parametrize(
    ("flags", "why"), [(["lenet", "--size=28"], "28x28"), (["resnet17"], "did you mean 'resnet18'")]
)
def test_what_cannot_be_is_told_in_a_line(flags, why, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["jaxdl.anatomy", *flags])
    assert command.main() == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ")
    assert why in line
