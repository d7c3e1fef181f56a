"""Layers on graphs against PyTorch Geometric's (golden/make_graphs.py): values and gradients."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from both_modes import direction, jitted
from launching import ROOT

from jaxdl import keys, layers, models, ops
from jaxdl.errors import UserError

GOLDEN = np.load(ROOT / "tests" / "golden" / "graphs.npz")

# By layer: ours, and whether PyTorch Geometric's makes loops: "exactly one" as ops.connect says it.
LAYERS = {
    "gat": (layers.GATConv(4, 2), True),
    "gat_averaged": (layers.GATConv(4, 3, joined=False), True),
    "gat_loopless": (layers.GATConv(4, 2), None),
    "gat_edges": (layers.GATConv(4, 2), True),
    "gatv2": (layers.GATConv(4, 2, dynamic=True), True),
    "gatv2_averaged": (layers.GATConv(4, 3, joined=False, dynamic=True), True),
    "gatv2_edges": (layers.GATConv(4, 2, dynamic=True), True),
    "sage_mean": (layers.SAGEConv(4), None),
    "sage_wide": (layers.SAGEConv(7), None),
    "sage_max": (layers.SAGEConv(4, "max"), None),
    "sage_sum": (layers.SAGEConv(4, "sum"), None),
    "sage_pooled": (layers.SAGEConv(4, "max", pooled=True), None),
    "sage_normalised": (layers.SAGEConv(4, normalised=True), None),
    "gin": (layers.GINConv(4, epsilon=0.3), None),
    "gin_learned": (layers.GINConv(4, learned=True), None),
    "gin_edges": (layers.GINConv(4), None),
    "weighted_sum": (layers.SAGEConv(4, "sum"), None),
    "weighted_mean": (layers.SAGEConv(4, "mean"), None),
    "weighted_max": (layers.SAGEConv(4, "max"), None),
}
# PyTorch Geometric's names of weights, which are the same in none of ours, and what ours call them.
NAMES = {
    "gat": {
        "lin.weight": "source/kernel", "lin_l.weight": "source/kernel", "lin_l.bias": "source/bias",
        "lin_r.weight": "target/kernel", "lin_r.bias": "target/bias", "att": "attention",
        "att_src": "attention_source", "att_dst": "attention_target", "bias": "bias",
        "lin_edge.weight": "edge/kernel", "att_edge": "attention_edge",
    },
    "sage": {
        "lin_l.weight": "neighbours/kernel", "lin_l.bias": "bias", "lin_r.weight": "root/kernel",
        "lin.weight": "pool/kernel", "lin.bias": "pool/bias",
    },
    "gin": {
        "nn.0.weight": "dense_0/kernel", "nn.0.bias": "dense_0/bias", "eps": "epsilon",
        "nn.2.weight": "dense_1/kernel", "nn.2.bias": "dense_1/bias",
        "lin.weight": "edge/kernel", "lin.bias": "edge/bias",
    },
    "weighted": {
        "lin_rel.weight": "neighbours/kernel", "lin_rel.bias": "bias",
        "lin_root.weight": "root/kernel",
    },
}  # fmt: skip


@pytest.fixture(autouse=True)
def _wide():
    with jax.enable_x64(True):
        yield


def names_of(layer):
    return next(names for kind, names in NAMES.items() if layer.startswith(kind))


def tree(where, kind, names):
    """Ours of PyTorch's weights, or of their gradients: ``kind`` is "w" or "d"."""
    found = {}
    for file in GOLDEN.files:
        if not file.startswith(f"{where}.{kind}."):
            continue
        value, name = GOLDEN[file], file.removeprefix(f"{where}.{kind}.")
        *above, last = names[name].split("/")
        value = value.T if last == "kernel" else value
        value = value[0] if last.startswith("attention") else value
        inside = found.setdefault(above[0], {}) if above else found
        inside[last] = value
    return found


def prepared(name, graph):
    """(call, weights): one of LAYERS as a function of weights and features, and PyTorch's."""
    module, loops = LAYERS[name]
    pairs, x = GOLDEN[f"{graph}.edges"].T, GOLDEN[f"{graph}.x"]
    more = {"features": GOLDEN[f"{graph}.features"]} if name.endswith("_edges") else {}
    more |= {"weight": GOLDEN[f"{graph}.weights"]} if name.startswith("weighted") else {}
    edges = ops.connect(pairs, len(x), loops=loops, **more)
    assert (np.diff(edges.target) >= 0).all()
    weights = tree(f"{graph}.{name}", "w", names_of(name))
    module = module.clone(dtype=jnp.float64)
    return lambda weights, x: module.apply({"params": weights}, x, edges), weights


def agrees(where, y, slopes, names):
    """Value and slopes (of the weights and x) with the golden ones."""
    np.testing.assert_allclose(y, GOLDEN[f"{where}.y"], rtol=1e-5, atol=1e-5, err_msg=where)
    expected = (tree(where, "d", names), GOLDEN[f"{where}.d_x"])
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5, err_msg=where),
        slopes,
        expected,
    )


# One of each kind, in which most of what it can is in use.
FEW = (
    "gat_edges",
    "gatv2_averaged",
    "sage_pooled",
    "sage_normalised",
    "gin_edges",
    "weighted_mean",
)


@pytest.mark.parametrize(
    "graph, names",
    [("some", FEW), ("some", tuple(LAYERS)), ("none", tuple(LAYERS))],
    ids=("few", "all", "without_edges"),
)
def test_values_and_gradients_are_those_of_pytorch_geometric(graph, names):
    made = {name: prepared(name, graph) for name in names}

    def everything(weights, x):
        found = {}
        for name, (call, _) in made.items():
            y, back = jax.vjp(call, weights[name], x)
            found[name] = y, back(jnp.asarray(GOLDEN[f"{graph}.{name}.g"]))
        return found

    weights = {name: weights for name, (_, weights) in made.items()}
    for name, (y, slopes) in jitted(everything)(weights, GOLDEN[f"{graph}.x"]).items():
        agrees(f"{graph}.{name}", y, slopes, names_of(name))


def test_graphs_are_pooled_and_normalised_as_by_pytorch_geometric():
    x, graphs = GOLDEN["some.x"], GOLDEN["graphs"]
    attention = layers.GraphAttentionPool(dtype=jnp.float64)
    norm = layers.GraphNorm(dtype=jnp.float64)
    calls = {
        f"pool_{how}": lambda p, x, how=how: ops.segment_reduction(how)(x, graphs, 3)
        for how in ("sum", "mean", "max")
    } | {
        "pool_attention": lambda p, x: attention.apply({"params": p}, x, graphs, 3),
        "norm": lambda p, x: norm.apply({"params": p}, x, graphs, 3),
        "norm_of_one": lambda p, x: norm.apply({"params": p}, x),
    }
    names = {"weight": "scale", "bias": "bias", "mean_scale": "shift"}
    names |= {"gate_nn.weight": "gate/kernel", "gate_nn.bias": "gate/bias"}
    weights = {name: tree(name, "w", names) for name in calls}

    def everything(weights, x):
        found = {}
        for name, call in calls.items():
            y, back = jax.vjp(call, weights[name], x)
            found[name] = y, back(jnp.asarray(GOLDEN[f"{name}.g"]))
        return found

    for name, (y, slopes) in jitted(everything)(weights, x).items():
        agrees(name, y, slopes, names)


COUNTS = {  # of Cora's 1433 features and 7 classes
    "gat": 92_373,
    "gatv2": 1433 * 128 + 2 * 64 + 64 + 64 + 64 * 14 + 2 * 7 + 7 + 7,
    "graphsage": 46_103,
    "gin": 23_423,
}


@pytest.mark.parametrize("name", COUNTS)
def test_models_have_the_number_of_parameters_that_they_state_for_cora(name):
    module = models.create(name)
    edges = module.adjacency(np.array([[0, 1]]), 2)
    shapes = jax.eval_shape(module.init, keys.root(0), np.zeros((2, 1433), np.float32), edges)
    assert sum(x.size for x in jax.tree.leaves(shapes["params"])) == COUNTS[name]


def test_layers_that_jump_or_are_residual_are_what_their_formulas_say():
    """Of mean aggregation, in NumPy: two hidden layers of 4 and of 4 features, read together."""
    pairs = np.array([[0, 1], [1, 2]])
    mean = np.array([[0, 1, 0], [0.5, 0, 0.5], [0, 1, 0]])
    x = np.random.default_rng(0).standard_normal((3, 5))
    for jump in ("concatenate", "max"):
        module = models.create(
            "graphsage", num_classes=2, hidden=(4, 4), residual=True, jump=jump, dtype=jnp.float64
        )
        edges = module.adjacency(pairs, 3)
        shapes = jax.eval_shape(module.init, keys.root(1), x, edges)["params"]
        p = direction(shapes, 1)
        layer = lambda h, i, p=p: (
            mean @ h @ p[f"conv_{i}"]["neighbours"]["kernel"]
            + h @ p[f"conv_{i}"]["root"]["kernel"]
            + p[f"conv_{i}"]["bias"]
        )
        first = np.maximum(layer(x, 0) + x @ p["residual_0"]["kernel"], 0)
        second = np.maximum(layer(first, 1) + first, 0)
        both = np.concatenate([first, second], 1) if jump != "max" else np.maximum(first, second)
        expected = both @ p["head"]["kernel"] + p["head"]["bias"]
        found = jitted(module.apply)({"params": p}, x, edges)
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


def test_attention_is_dropped_in_training_alone():
    module = layers.GATConv(4, 2, dropout=1.0)
    x, edges = np.ones((3, 2), np.float32), ops.connect([(0, 1), (1, 2)], 3, loops=True)
    weights = direction(jax.eval_shape(module.init, keys.root(0), x, edges), 1)
    weights["params"]["bias"] *= 0
    rngs = {"dropout": keys.root(1)}
    call = lambda weights, train: module.apply(weights, x, edges, train=train, rngs=rngs)
    kept, dropped = jitted(lambda weights: (call(weights, False), call(weights, True)))(weights)
    assert np.abs(kept).min() > 0
    np.testing.assert_array_equal(dropped, 0)


@pytest.mark.parametrize(
    "fields, message",
    [
        (dict(aggregation="min"), "unknown aggregation 'min'"),
        (dict(norm="bach"), "did you mean 'batch'"),
        (dict(jump="sum"), "unknown jump 'sum'"),
        (dict(jump="max", hidden=(3, 4)), "hidden layers of one width, not of 3, 4 features"),
    ],
)
def test_fields_that_cannot_be(fields, message):
    module = models.create("graphsage", **fields)
    edges = module.adjacency(np.array([[0, 1]]), 2)
    with pytest.raises(UserError, match=message) as caught:
        jax.eval_shape(module.init, keys.root(0), np.zeros((2, 3), np.float32), edges)
    assert "\n" not in str(caught.value)
