"""Noise on the gradient: its size, its independence, and that all devices draw the same."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from launching import built
from test_learner import optimizer_of
from test_parallel import assert_close
from test_pmap import draws

from jaxdl import config, keys, metrics, parallel
from jaxdl.metrics import Mean
from jaxdl.tasks import Run, learner

KEY = keys.root(0)
RATE, NOISE, SIDE = 0.5, 0.3, 300
BATCH = {"x": np.ones((4, 1), np.float32)}


def loss_fn(params, model_state, batch, key):
    """Σ w² / 2 an example and a draw of the loss' own."""
    whole = sum(0.5 * jnp.sum(jnp.square(w)) for w in jax.tree.leaves(params))
    per_example = jnp.full(len(batch["x"]), whole)
    return learner.Loss(Mean.of(per_example), {}, {"u": Mean.once(jax.random.uniform(key))})


def params():
    """Two of one shape, near 0, so that differences are not rounded away."""
    values = np.random.default_rng(0).normal(0, 0.01, (2, SIDE, SIDE)).astype(np.float32)
    return {"a": {"w": jnp.asarray(values[0])}, "b": {"w": jnp.asarray(values[1])}}


def updated(noise, key=KEY, optimizer=None, **options):
    optimizer = optimizer or optimizer_of(rate=RATE)
    update = learner.make_update(loss_fn, optimizer, gradient_noise=noise, **options)
    state, found = jax.jit(update)(learner.create({"params": params()}, optimizer), BATCH, key)
    return state.params, metrics.divide(jax.device_get(found))


def drawn(key=KEY, **options):
    """The noise on the gradient of each parameter, (2, SIDE²), from what sgd made of it."""
    of = lambda tree: np.stack([tree[n]["w"].ravel() for n in "ab"]).astype(np.float64)
    noisy, clean = (of(updated(noise, key, **options)[0]) for noise in (NOISE, 0.0))
    return (noisy - clean) / -RATE


@pytest.mark.parametrize("accumulate", [1, 2])
def test_the_noise_is_gaussian_of_the_deviation_asked_for(accumulate):
    for found in drawn(accumulate=accumulate):
        size = found.size
        assert found.mean() == pytest.approx(0, abs=4 * NOISE / size**0.5)
        assert found.std() == pytest.approx(NOISE, rel=4 / (2 * size) ** 0.5)
        # 68.27 % and 95.45 % of a normal distribution are within one and two deviations.
        for far, share in ((1, 0.6827), (2, 0.9545)):
            within = (np.abs(found) < far * NOISE).mean()
            assert within == pytest.approx(share, abs=4 * (share * (1 - share) / size) ** 0.5)


def test_parameters_steps_and_elements_are_independent():
    found = np.concatenate([drawn(jax.random.fold_in(KEY, step)) for step in range(3)])
    found = np.concatenate([found, np.roll(found[:1], 1)])  # each element and the one before
    correlations = np.corrcoef(found) - np.eye(len(found))
    assert np.abs(correlations).max() < 4.5 / found.shape[1] ** 0.5


def test_the_same_key_draws_the_same():
    for ours, theirs in zip(*(jax.tree.leaves(updated(NOISE)[0]) for _ in range(2)), strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("accumulate", [1, 2])
def test_the_loss_draws_as_it_does_without_noise(accumulate):
    (_, with_noise), (_, without) = (updated(n, accumulate=accumulate) for n in (NOISE, 0.0))
    assert with_noise["u"] == without["u"]
    # What it drew before there was noise: from the update's key, folded in by microbatch.
    each = [KEY] if accumulate == 1 else [jax.random.fold_in(KEY, i) for i in range(accumulate)]
    assert without["u"] == pytest.approx(
        np.mean([float(jax.random.uniform(key)) for key in each]), rel=1e-6
    )


def test_nothing_is_drawn_at_0():
    optimizer = optimizer_of(rate=RATE)
    state = learner.create({"params": params()}, optimizer)
    counts = []
    for noise in (0.0, NOISE):
        update = learner.make_update(loss_fn, optimizer, gradient_noise=noise)
        counts.append(len(list(draws(jax.make_jaxpr(update)(state, BATCH, KEY).jaxpr))))
    assert counts == [1, 3]  # the loss' own, and one a parameter


def test_clipping_sees_the_noise_and_gradient_norms_do_not():
    settings = dict(optimizer=optimizer_of(rate=RATE, clip=0.01), layer_norms=True)
    (_, noisy), (_, clean) = (updated(noise, **settings) for noise in (NOISE, 0.0))
    norm = float(optax.tree.norm(params()))
    for name in ("gradient_norm", "layers/gradient_norm/a"):
        assert noisy[name] == clean[name]
    assert noisy["gradient_norm"] == pytest.approx(norm, rel=1e-5)
    assert norm > 0.01
    # What is left of the gradient among the noise is small, and clipped along with it.
    assert noisy["layers/update_norm/a"] == pytest.approx(RATE * 0.01 / 2**0.5, rel=0.02)
    assert noisy["update_norm"] == pytest.approx(RATE * 0.01, rel=1e-4)


MESHES = {
    "data": dict(data=8),
    "fsdp": dict(data=1, fsdp=8),
    "pmap": dict(data=8, strategy="pmap"),
}


def squares(params, model_state, batch, key):
    """The squared error of tanh(x · w) · v."""
    error = jnp.tanh(batch["x"] @ params["w"]) @ params["v"] - batch["y"]
    return learner.Loss(Mean.of(jnp.square(error)), model_state, {})


def after_two_updates(noise, mesh):
    """All arrays of the state."""
    rng = np.random.default_rng(0)
    draw = lambda *shape: rng.normal(0, 0.3, shape).astype(np.float32)
    optimizer = optimizer_of(rate=0.1, momentum=0.9)
    state = learner.create({"params": {"w": draw(6, 32), "v": draw(32)}}, optimizer)
    settings = dict(strategy="jit", data=1, fsdp=1, tensor=1, fsdp_min_size=16) | mesh
    layout = parallel.create(settings, 16)
    update = learner.make_update(squares, optimizer, gradient_noise=noise)

    def advance(state, key, batches, count):
        for i in range(2):
            batch = {name: x[i] for name, x in batches.items()}
            state, _ = update(state, batch, keys.at_step(key, count + i))
        return state, ()

    batches = layout.put({"x": draw(2, 16, 6), "y": draw(2, 16)}, 16, leading=1)
    place = lambda x, like: jax.device_put(x, like.sharding)
    state = jax.tree.map(place, state, layout.state(jax.eval_shape(lambda: state)))
    arguments = (state, jax.device_put(KEY, layout.replicated), batches, jnp.int32(0))
    return jax.tree.leaves(jax.device_get(layout.compile(advance, arguments)(*arguments)[0]))


@pytest.fixture(scope="module")
def on_one_device():
    return after_two_updates(NOISE, dict(data=1))


@pytest.mark.parametrize("name", MESHES)
def test_eight_devices_add_the_noise_that_one_does(name, on_one_device):
    assert_close(on_one_device, after_two_updates(NOISE, MESHES[name]))


def test_the_noise_that_devices_are_compared_by_is_no_rounding(on_one_device):
    without = after_two_updates(0.0, dict(data=1))
    apart = [np.abs(a - b).max() for a, b in zip(on_one_device, without, strict=True) if a.ndim]
    assert min(apart) > 0.05


def test_the_settings_noise_is_that_of_the_update():
    made = config.default()
    made.optimizer.update({"name": "sgd", "learning_rate": RATE, "schedule": "constant"})
    found = []
    for noise in (NOISE, 0.0):
        made.optimizer.noise = noise
        start, update = learner.by_config(Run(made, None, 1, None), loss_fn)
        found.append(jax.jit(update)(start({"params": params()}), BATCH, KEY)[0].params)
    noisy, clean = (np.concatenate([tree[n]["w"] for n in "ab"]) for tree in found)
    size = noisy.size
    assert (noisy - clean).std() == pytest.approx(RATE * NOISE, rel=4 / (2 * size) ** 0.5)


def test_both_adversaries_gradients_are_noisy():
    normal_draws, leaves = [], []
    for noise in (0.0, NOISE):
        made = built("dcgan", "--config.precision=float32", f"--config.optimizer.noise={noise}")
        state = made.abstract_state
        program = jax.make_jaxpr(made.task.train_step)(state, made.batch(0), made.key)
        normal_draws.append(len(list(draws(program.jaxpr))))
        leaves.append(len(jax.tree.leaves([network.params for network in state])))
    assert normal_draws[1] - normal_draws[0] == leaves[0]  # one a parameter of either network
