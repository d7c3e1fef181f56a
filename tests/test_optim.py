"""Optimizers: PyTorch's numbers, clipping, decay, groups, and what a wrong setting is told."""

import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import traverse_util

from jaxdl import config, optim
from jaxdl.errors import UserError

GOLDEN = json.loads((Path(__file__).parent / "golden" / "optimizers.json").read_text())

RATE = 0.1

# Learning-rate-free methods: their rate is a factor on what they find out, and published as 1.
RATE_FREE = ("cocob", "dadapt_adamw", "dog", "dowg", "prodigy")


def settings_of(**changed):
    settings = config.default().optimizer
    with settings.unlocked(), settings.ignore_type():
        settings.update(changed)
    return settings


def make(rate=RATE, **changed):
    return optim.create(settings_of(**changed), optax.constant_schedule(rate))


def params():
    return {
        "block_0": {
            "kernel": jnp.array([[0.5, -0.25, 1.0], [1.5, 0.75, -2.0]]),
            "bias": jnp.array([0.5, -1.0, 2.0]),
        },
        "head": {"kernel": jnp.array([[3.0, 1.0], [-0.5, 0.25], [1.0, 2.0]])},
    }


def gradients():
    return {
        "block_0": {
            "kernel": jnp.array([[3.0, 0.0, 0.0], [0.0, -4.0, 0.0]]),
            "bias": jnp.array([0.5, 0.0, -0.25]),
        },
        "head": {"kernel": jnp.array([[12.0, 0.0], [0.0, 0.0], [0.0, 0.0]])},
    }


def update_once(optimizer, grads=None, at=None):
    at = params() if at is None else at
    grads = gradients() if grads is None else grads
    return optimizer.update(grads, optimizer.init(at), at)[0]


def train(optimizer, steps, gradient, at):
    """The parameters after each of ``steps`` updates."""

    # Not compiled: forty optimizers share their operations, and no two a program.
    state, all_params = optimizer.init(at), []
    for _ in range(steps):
        updates, state = optimizer.update(gradient(at), state, at)
        at = optax.apply_updates(at, updates)
        all_params.append(at)
    return all_params


def assert_trees_close(actual, expected, **tolerance):
    assert jax.tree.structure(actual) == jax.tree.structure(expected)
    jax.tree.map(lambda a, e: np.testing.assert_allclose(a, e, **tolerance), actual, expected)


@pytest.mark.parametrize("case", GOLDEN["optimizers"])
def test_ten_updates_are_those_of_pytorch(case):
    golden, problem = GOLDEN["optimizers"][case], GOLDEN["problem"]
    inputs, targets = jnp.array(problem["inputs"]), jnp.array(problem["targets"])
    at = {k: jnp.array(v, jnp.float32) for k, v in problem["params"].items()}

    def loss(p):
        hidden = jnp.tanh(inputs @ p["matrix_1"] + p["bias"])
        return jnp.mean(jnp.square(hidden @ p["matrix_2"] - targets))

    optimizer = make(golden["learning_rate"], **golden["settings"])
    after = train(optimizer, 10, jax.jit(jax.grad(loss)), at)
    for step, expected in golden["after"].items():
        for name, value in expected.items():
            np.testing.assert_allclose(
                after[int(step) - 1][name], value, rtol=1e-6, atol=1e-6, err_msg=f"{name} {step}"
            )


@pytest.mark.parametrize("name", optim.names())
def test_every_optimizer_trains_and_stays_finite(name):
    # A step or two may stand still by design (adopt's first); five never do.
    optimizer = make(1.0 if name in RATE_FREE else 1e-2, name=name)
    gradient = lambda p: jax.tree.map(lambda x: 0.3 * x + 0.01, p)
    after = train(optimizer, 5, gradient, params())[-1]
    assert all(bool(jnp.isfinite(x).all()) for x in jax.tree.leaves(after))
    changed = jax.tree.map(lambda new, old: bool((new != old).any()), after, params())
    assert all(jax.tree.leaves(changed)), changed


def with_and_without_decay(name, rate):
    """Parameters, the first update, and the first update with decay; nothing pulls at vectors."""
    at = {**params(), "position": jnp.array([[1.0, -2.0], [0.5, 3.0]])}
    push = {"block_0": {"kernel": 0.3, "bias": 0.0}, "head": {"kernel": 0.3}, "position": 0.0}
    grads = jax.tree.map(lambda x, scale: scale * x, at, push)
    plain = update_once(make(rate, name=name), grads, at)
    return at, plain, update_once(make(rate, name=name, weight_decay=0.5), grads, at)


@pytest.mark.parametrize("name", optim.names())
def test_weight_decay_leaves_vectors_and_excepted_names_alone(name):
    _, plain, decayed = with_and_without_decay(name, 1.0 if name in RATE_FREE else 0.5)
    np.testing.assert_array_equal(decayed["block_0"]["bias"], plain["block_0"]["bias"])
    np.testing.assert_array_equal(decayed["position"], plain["position"])


# lamb and lars put decay inside their trust ratio, as published; the rate of the rate-free is not
# the schedule's.
@pytest.mark.parametrize("name", sorted({*optim.names()} - {"lamb", "lars", *RATE_FREE}))
def test_weight_decay_shrinks_matrices_by_rate_times_decay(name):
    at, plain, decayed = with_and_without_decay(name, 0.5)
    for layer in ("block_0", "head"):
        np.testing.assert_allclose(
            plain[layer]["kernel"] - decayed[layer]["kernel"],
            0.5 * 0.5 * at[layer]["kernel"],
            atol=2e-6,
        )


def test_adamw_is_adam_with_decoupled_decay():
    gradient = lambda p: jax.tree.map(lambda x: jnp.sin(3 * x), p)
    schedule = optax.linear_schedule(0.1, 0.01, 5)
    ours, native = (
        train(
            optim.create(settings_of(name=name, weight_decay=0.3), schedule), 5, gradient, params()
        )
        for name in ("adam", "adamw")
    )
    for a, b in zip(ours, native, strict=True):
        assert_trees_close(a, b, rtol=1e-6, atol=1e-6)
    plain = train(optim.create(settings_of(name="adam"), schedule), 5, gradient, params())
    moved = jnp.abs(ours[-1]["head"]["kernel"] - plain[-1]["head"]["kernel"]).max()
    assert moved > 1e-2


def test_l2_adds_to_the_gradient_before_the_optimizer():
    updates = update_once(make(name="sgd", l2=0.5))
    expected = -RATE * (gradients()["head"]["kernel"] + 0.5 * params()["head"]["kernel"])
    np.testing.assert_allclose(updates["head"]["kernel"], expected, rtol=1e-6)
    np.testing.assert_allclose(updates["block_0"]["bias"], -RATE * gradients()["block_0"]["bias"])


def test_clip_scales_the_whole_gradient_to_the_norm():
    # √(3² + 4² + .5² + .25² + 12²) = 13.011…
    norm = np.sqrt(9 + 16 + 0.25 + 0.0625 + 144)
    updates = update_once(make(name="sgd", clip=2.0))
    expected = jax.tree.map(lambda g: -RATE * g * 2 / norm, gradients())
    assert_trees_close(updates, expected, rtol=1e-6)


def test_clip_leaves_a_small_gradient_alone():
    updates = update_once(make(name="sgd", clip=13.1, clip_norm=12.1, clip_value=12.1))
    assert_trees_close(updates, jax.tree.map(lambda g: -RATE * g, gradients()), rtol=1e-6)


def test_clip_norm_limits_each_parameters_euclidean_norm():
    updates = update_once(make(name="sgd", clip_norm=2.5))
    grads = gradients()
    # Norms 5, .56 and 12: the bias is below the limit.
    expected = {
        "block_0": {
            "kernel": -RATE * grads["block_0"]["kernel"] / 2,
            "bias": -RATE * grads["block_0"]["bias"],
        },
        "head": {"kernel": -RATE * grads["head"]["kernel"] * 2.5 / 12},
    }
    assert_trees_close(updates, expected, rtol=1e-6)


def test_clip_value_limits_each_number():
    updates = update_once(make(name="sgd", clip_value=3.5))
    expected = jax.tree.map(lambda g: -RATE * np.clip(g, -3.5, 3.5), gradients())
    assert_trees_close(updates, expected, rtol=1e-6)


def test_clip_adaptive_limits_each_units_norm_by_its_weights():
    # A unit is a column of a kernel, or a whole bias.
    weights = jnp.array([[3.0, 0.6], [4.0, 0.8]])  # columns of norms 5 and 1
    grads = jnp.array([[0.3, 3.0], [0.4, 4.0]])  # columns of norms .5 and 5
    updates = update_once(make(name="sgd", clip_adaptive=0.2), {"w": grads}, {"w": weights})
    np.testing.assert_allclose(
        updates["w"], -RATE * np.array([[0.3, 0.12], [0.4, 0.16]]), rtol=1e-6
    )


def test_clip_adaptive_takes_all_that_goes_into_a_unit_of_three_axes():
    # Along time (k, c, features), out of heads (heads, head_dim, width): the last axis has the
    # units. Into heads (width, heads, head_dim): those behind the first. optax 0.2.8 takes the norm
    # over the first alone of any, against its own description.
    rng = np.random.default_rng(0)
    shapes = {"conv/kernel": (3, 4, 5), "out/kernel": (2, 3, 6), "query/kernel": (6, 2, 3)}
    draw = lambda: {name: rng.normal(size=shape) for name, shape in shapes.items()}
    nest = lambda flat: {n.split("/")[0]: {"kernel": x.astype(np.float32)} for n, x in flat.items()}
    weights, grads = draw(), draw()
    updates = update_once(make(name="sgd", clip_adaptive=0.2), nest(grads), nest(weights))
    for name, g in grads.items():
        axes = (0,) if name == "query/kernel" else (0, 1)
        norm = lambda x, axes=axes: np.sqrt((x**2).sum(axes, keepdims=True))
        expected = g * np.minimum(1, 0.2 * norm(weights[name]) / norm(g))
        found = updates[name.split("/")[0]]["kernel"]
        np.testing.assert_allclose(found, -RATE * expected, rtol=1e-5, err_msg=name)


def test_frozen_parameters_keep_every_bit_and_have_no_memory():
    at = params()
    optimizer = make(name="adam", groups=("^head=0", "bias=0"), weight_decay=0.1, l2=0.1, clip=1.0)
    gradient = lambda p: jax.tree.map(lambda x: 0.3 * x + 1.0, p)
    after = train(optimizer, 3, gradient, at)[-1]
    assert (
        np.asarray(after["head"]["kernel"]).tobytes() == np.asarray(at["head"]["kernel"]).tobytes()
    )
    assert (
        np.asarray(after["block_0"]["bias"]).tobytes()
        == np.asarray(at["block_0"]["bias"]).tobytes()
    )
    assert bool((after["block_0"]["kernel"] != at["block_0"]["kernel"]).all())
    arrays = [x for x in jax.tree.leaves(optimizer.init(at)) if jnp.ndim(x)]
    assert [x.shape for x in arrays] == [(2, 3), (2, 3)]  # adam's two, of the one that learns


def test_frozen_parameters_do_not_count_in_the_clipped_norm():
    updates = update_once(make(name="sgd", groups=("head=0", "bias=0"), clip=2.0))
    expected = -RATE * gradients()["block_0"]["kernel"] * 2 / 5
    np.testing.assert_allclose(updates["block_0"]["kernel"], expected, rtol=1e-6)
    assert not updates["head"]["kernel"].any()


@pytest.mark.parametrize("weight_decay", [0.0, 0.5])
def test_a_slowed_group_moves_by_the_factor(weight_decay):
    normal = update_once(make(name="sgd", momentum=0.9, weight_decay=weight_decay))
    slowed = update_once(
        make(name="sgd", momentum=0.9, weight_decay=weight_decay, groups=("head=0.25",))
    )
    np.testing.assert_allclose(slowed["head"]["kernel"], 0.25 * normal["head"]["kernel"], rtol=1e-6)
    assert_trees_close(slowed["block_0"], normal["block_0"], rtol=0, atol=0)


# What is frozen at first, and rates by layer


def numpy_adam(at, gradient, steps, rate, start=0, factor=1.0, decay=0.0):
    """Adam with decoupled decay from update ``start`` on, as published, in float64.

    ``gradient`` is of (step, parameters); ``rate`` of the step.
    """
    x, m, v = np.asarray(at, np.float64), 0.0, 0.0
    for t in range(start, steps):
        g = gradient(t, x)
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
        own = t - start + 1
        step = m / (1 - 0.9**own) / (np.sqrt(v / (1 - 0.999**own)) + 1e-8)
        x = x - factor * rate(t) * (step + decay * x)
    return x


RATE_OF = lambda t: 0.1 / (1 + t)


def unfreezing(frozen, layers=None, **changed):
    return optim.create(settings_of(**changed), RATE_OF, frozen=frozen, layers=layers)


@pytest.mark.parametrize("groups, factor", [((), 1.0), (("block_0=.25",), 0.25)])
def test_all_but_the_head_begins_as_new_when_it_is_unfrozen(groups, factor):
    # Adam's memory begins there too; the schedule goes on.
    at, frozen, steps = params(), 3, 7
    gradient = lambda p: jax.tree.map(lambda x: 0.3 * x + 0.1, p)
    optimizer = unfreezing(frozen, name="adam", weight_decay=0.1, groups=groups)
    after = train(optimizer, steps, gradient, at)
    for t in range(frozen):
        assert_trees_close(after[t]["block_0"], at["block_0"], rtol=0)
    by_hand = lambda x, **more: numpy_adam(x, lambda t, x: 0.3 * x + 0.1, steps, RATE_OF, **more)
    found = after[-1]
    tolerance = dict(rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(
        found["head"]["kernel"], by_hand(at["head"]["kernel"], decay=0.1), **tolerance
    )
    rest = dict(start=frozen, factor=factor)
    np.testing.assert_allclose(
        found["block_0"]["kernel"], by_hand(at["block_0"]["kernel"], decay=0.1, **rest), **tolerance
    )
    np.testing.assert_allclose(
        found["block_0"]["bias"], by_hand(at["block_0"]["bias"], **rest), **tolerance
    )


def test_what_is_not_yet_unfrozen_does_not_count_in_the_clipped_norm():
    optimizer = optim.create(
        settings_of(name="sgd", clip=2.0), optax.constant_schedule(RATE), frozen=1
    )
    first, second = train(optimizer, 2, lambda p: gradients(), params())
    moved = lambda new, old: jax.tree.map(lambda a, b: np.asarray(a - b), new, old)
    head = moved(first, params())
    np.testing.assert_allclose(head["head"]["kernel"][0, 0], -RATE * 2, rtol=1e-6)
    assert not any(x.any() for x in jax.tree.leaves(head["block_0"]))
    norm = np.sqrt(9 + 16 + 0.25 + 0.0625 + 144)
    expected = jax.tree.map(lambda g: -RATE * np.asarray(g) * 2 / norm, gradients())
    assert_trees_close(moved(second, first), expected, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("name", optim.names())
def test_every_optimizer_keeps_the_bits_of_what_is_frozen_and_then_moves_it(name):
    optimizer = unfreezing(2, name=name, weight_decay=0.1, l2=0.1)
    gradient = lambda p: jax.tree.map(lambda x: 0.3 * x + 0.01, p)
    after = train(optimizer, 6, gradient, params())
    assert_trees_close(after[1]["block_0"], params()["block_0"], rtol=0)
    moved = after[-1]["block_0"]["kernel"] - params()["block_0"]["kernel"]
    assert bool(jnp.isfinite(moved).all())
    assert bool(moved.any())


def test_unfreezing_is_one_program():
    traced = []
    optimizer = unfreezing(1, name="adam")

    @jax.jit
    def update(grads, state, at):
        traced.append(1)
        return optimizer.update(grads, state, at)

    state = optimizer.init(params())
    sizes = []
    for _ in range(3):
        updates, state = update(gradients(), state, params())
        sizes.append(float(jnp.abs(updates["block_0"]["kernel"]).max()))
    assert len(traced) == 1
    assert sizes[0] == 0 < sizes[1]


def layered():
    """Top-level names are in the order of the alphabet, layers in that of the pass."""
    matrix, vector = jnp.ones((2, 2)), jnp.ones(2)
    return {
        "block_0": {"dense": {"kernel": matrix, "bias": vector}},
        "block_1": {"kernel": matrix},
        "class_token": vector,
        "embed": {"kernel": matrix},
        "head": {"kernel": matrix, "bias": vector},
        "norm": {"scale": vector},
    }


ORDER = ("embed", "block_0", "block_1", "norm", "head")


def test_a_layers_factor_falls_from_the_head_down():
    # The norm is of the block in front of it; what stands by itself of the lowest layer.
    assert optim.layer_factors(layered(), 0.5, ORDER) == {
        "block_0": {"dense": {"kernel": 0.25, "bias": 0.25}},
        "block_1": {"kernel": 0.5},
        "class_token": 0.125,
        "embed": {"kernel": 0.125},
        "head": {"kernel": 1.0, "bias": 1.0},
        "norm": {"scale": 0.5},
    }


def test_layer_decay_scales_rate_and_weight_decay_and_composes_with_groups():
    at = layered()
    gradient = lambda p: jax.tree.map(lambda x: 0.3 * x + 0.1, p)
    own = dict(name="adam", weight_decay=0.2, layer_decay=0.5, groups=("block_1=10",))
    found = train(unfreezing(0, lambda: ORDER, **own), 4, gradient, at)[-1]
    by_hand = lambda factor, decay: numpy_adam(
        np.ones(()), lambda t, x: 0.3 * x + 0.1, 4, RATE_OF, factor=factor, decay=decay
    )
    for leaf, factor, decay in (
        (found["head"]["kernel"], 1, 0.2),
        (found["head"]["bias"], 1, 0.0),
        (found["norm"]["scale"], 0.5, 0.0),
        (found["block_1"]["kernel"], 5, 0.2),
        (found["block_0"]["dense"]["kernel"], 0.25, 0.2),
        (found["class_token"], 0.125, 0.0),
    ):
        np.testing.assert_allclose(leaf, by_hand(factor, decay), rtol=1e-4)


@pytest.mark.parametrize(
    "changed, words",
    [
        (dict(unfreeze=1.0), ("optimizer.unfreeze", "no head")),
        (dict(layer_decay=0.5), ("optimizer.layer_decay", "order")),
        (dict(layer_decay=0.5, groups=("a=1",)), ("optimizer.layer_decay", "order")),
    ],
)
def test_a_task_that_cannot_have_them_says_so_where_a_run_begins(changed, words):
    made = make(**changed)
    with pytest.raises(UserError) as caught:
        made.init(params())
    assert all(word in str(caught.value) for word in words)


@pytest.mark.parametrize(
    "head, words",
    [((), ("names nothing",)), (("^heads/",), ("matches no parameter", "'head/kernel'")),
     (("(",), ("'('", "no regular expression"))],
)  # fmt: skip
def test_a_head_that_is_none_is_refused(head, words):
    with pytest.raises(UserError) as caught:
        unfreezing(1, head=head).init(params())
    message = str(caught.value)
    assert "optimizer.head" in message
    assert "\n" not in message
    assert all(word in message for word in words)


def test_the_first_matching_group_counts():
    factors = optim.group_factors(params(), ("block_0/kernel=3", "kernel=2"))
    assert factors == {"block_0": {"kernel": 3.0, "bias": 1.0}, "head": {"kernel": 2.0}}


def test_decay_mask_excepts_vectors_and_names():
    at = {"position": jnp.ones((2, 2)), "class_token": jnp.ones((1, 1, 2)), **params()}
    assert optim.decay_mask(at, ("position", "class_token")) == {
        "position": False,
        "class_token": False,
        "block_0": {"kernel": True, "bias": False},
        "head": {"kernel": True},
    }
    assert optim.decay_mask(params(), ("^block_0/",))["block_0"]["kernel"] is False
    assert optim.decay_mask({"kernel": jnp.ones((2, 2))}, ("^block_0/",)) == {"kernel": True}


def test_options_reach_the_optimizer():
    assert_trees_close(
        update_once(make(name="lion", options=("b1=.5",))),
        update_once(make(name="lion", b1=0.5)),
        rtol=0,
    )
    grads = jax.tree.map(lambda g: 1e-3 * g, gradients())
    plain, option = (
        update_once(make(name="adam", options=options), grads) for options in ((), ("eps=1.0",))
    )
    assert float(jnp.abs(option["head"]["kernel"]).max()) < 0.1 * RATE
    assert float(jnp.abs(plain["head"]["kernel"]).max()) == pytest.approx(RATE, rel=1e-5)


def test_muon_takes_a_convolutions_kernel_for_the_matrix_it_multiplies_by():
    rng = np.random.default_rng(0)
    kernel, gradient = rng.normal(size=(2, 3, 3, 2, 4)).astype(np.float32)
    matrix = lambda x: x.reshape(18, 4) if x.ndim == 4 else x
    muon = make(name="muon")
    at = {"kernel": kernel, "bias": kernel[0, 0, 0]}
    of = {"kernel": gradient, "bias": gradient[0, 0, 0]}
    found, wanted = (
        update_once(muon, jax.tree.map(f, of), jax.tree.map(f, at)) for f in (lambda x: x, matrix)
    )
    np.testing.assert_allclose(matrix(found["kernel"]), wanted["kernel"], atol=1e-6)
    np.testing.assert_array_equal(found["bias"], wanted["bias"])
    # About an orthogonal matrix: five steps bring the factors of a gradient near to 1.
    factors = np.linalg.svd(matrix(found["kernel"]) / RATE, compute_uv=False)
    assert np.all((factors > 0.6) & (factors < 1.3))


def test_muon_takes_attention_for_matrices_and_leaves_to_adam_what_is_looked_up_or_added():
    # optax 0.2.8 would give kernels of three axes to Adam, and embeddings and split biases to Muon.
    rng = np.random.default_rng(0)
    split = {"query/kernel": (8, 2, 3), "out/kernel": (2, 3, 8), "conv/kernel": (3, 2, 4)}
    matrix = {"query/kernel": (8, 6), "out/kernel": (6, 8), "conv/kernel": (6, 4)}
    added = {"query/bias": (2, 3), "embed/embedding": (9, 4)}
    of = {name: rng.normal(size=shape) for name, shape in {**split, **added}.items()}
    nested = lambda flat: traverse_util.unflatten_dict(
        {name: jnp.asarray(x, jnp.float32) for name, x in flat.items()}, sep="/"
    )
    names = lambda tree: traverse_util.flatten_dict(tree, sep="/")
    muon = make(name="muon")
    found = names(update_once(muon, nested(of), nested(of)))
    flat = {name: of[name].reshape(shape) for name, shape in matrix.items()}
    for name, wanted in names(update_once(muon, nested(flat), nested(flat))).items():
        np.testing.assert_allclose(found[name].reshape(matrix[name]), wanted, atol=1e-6)
        factors = np.linalg.svd(wanted / RATE, compute_uv=False)
        assert np.all((factors > 0.6) & (factors < 1.3)), name
    for name in added:  # Adam's first step, with Nesterov's correction
        np.testing.assert_allclose(abs(found[name]), 1.4737 * RATE, rtol=1e-3, err_msg=name)


def test_muon_leaves_to_adam_what_is_named():
    own = dict(name="muon", options=("consistent_rms=.2",))
    all_, left = (update_once(make(adam_params=p, **own)) for p in ((), ("^head/", "bias")))
    np.testing.assert_array_equal(left["block_0"]["kernel"], all_["block_0"]["kernel"])
    wanted = update_once(make(name="adam", nesterov=True))["head"]["kernel"]
    np.testing.assert_allclose(left["head"]["kernel"], wanted, rtol=1e-5)
    assert float(jnp.abs(all_["head"]["kernel"] - wanted).max()) > 0.1 * RATE
    with pytest.raises(UserError, match=r"adam_params: .* matches no parameter"):
        make(name="muon", adam_params=("^heads/",)).init(params())


@pytest.mark.parametrize(
    "changed, words",
    [
        (dict(name="adamv"), ("'adamv'", "'adamw'")),
        (dict(name="Adam"), ("'Adam'", "'adam'")),
        (dict(name="sgd", b1=0.5), ("'sgd'", "'b1'", "momentum")),
        (dict(name="adam", momentum=0.5), ("'adam'", "'momentum'", "b1")),
        (dict(name="adam", options=("esp=1",)), ("'adam'", "'esp'", "did you mean 'eps'")),
        (dict(adam_params=("^head/",)), ("optimizer.adam_params", "'adamw'", "name=muon")),
        (dict(options=("eps",)), ("optimizer.options", "'eps'", "ns_steps=5")),
        (dict(options=("eps=[1",)), ("optimizer.options", "'eps=[1'")),
        (dict(options=("eps={[]:1}",)), ("optimizer.options", "'eps={[]:1}'")),
        (dict(options=(5,)), ("optimizer.options", "5")),
        (dict(groups=("head",)), ("optimizer.groups", "'head'", "head=10")),
        (dict(groups=("0.5",)), ("optimizer.groups", "'0.5'", "head=10")),
        (dict(groups=("head=fast",)), ("optimizer.groups", "'head=fast'")),
        (dict(groups=("(=2",)), ("optimizer.groups", "'(=2'")),
        (dict(groups=("head=nan",)), ("optimizer.groups", "'head=nan'")),
        (dict(groups=("head=-1",)), ("optimizer.groups", "'head=-1'")),
        (dict(groups=(5,)), ("optimizer.groups", "5")),
        (
            dict(groups=("head/kernal=2",)),
            ("optimizer.groups", "'head/kernal=2'", "'head/kernel'"),
        ),
        (dict(weight_decay=0.1, no_decay=("(",)), ("optimizer.no_decay", "'('")),
    ],
)
def test_a_wrong_setting_is_named_in_one_line(changed, words):
    with pytest.raises(UserError) as caught:
        make(**changed).init(params())
    message = str(caught.value)
    assert "\n" not in message
    for word in words:
        assert word in message
