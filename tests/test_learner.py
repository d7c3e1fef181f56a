"""The update: exact accumulation, one schedule step an update, averages, states and norms."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxdl import config, keys, losses, metrics, models, optim, tasks
from jaxdl.data import Data
from jaxdl.metrics import Mean
from jaxdl.parallel import replicas
from jaxdl.tasks import learner

KEY = keys.root(0)
SIZE = 8


def optimizer_of(name="sgd", rate=0.1, **changed):
    settings = config.default().optimizer
    with settings.unlocked():
        settings.update({"name": name, **changed})
    schedule = rate if callable(rate) else optax.constant_schedule(rate)
    return optim.create(settings, schedule)


def linear(params, model_state, batch, key):
    """Half the squared error of x·w + b, weighted by the mask."""
    error = batch["x"] @ params["dense"]["w"] + params["dense"]["b"] - batch["y"]
    loss = Mean.of(0.5 * jnp.square(error), batch["mask"])
    return learner.Loss(loss, model_state, {"offset": Mean.of(error, batch["mask"])})


def linear_params():
    return {"dense": {"w": jnp.array([0.5, -1.0, 2.0]), "b": jnp.array(0.25)}}


def linear_batch(mask):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(SIZE, 3)), rng.normal(size=SIZE)
    return {k: np.asarray(v, np.float32) for k, v in dict(x=x, y=y, mask=mask).items()}


def by_hand(params, batch):
    """(loss, gradient) of the weighted mean, in float64 and without jax."""
    x, y, m = (np.asarray(batch[k], np.float64) for k in ("x", "y", "mask"))
    w, b = (np.asarray(params["dense"][k], np.float64) for k in ("w", "b"))
    error = x @ w + b - y
    gradient = {"w": (m * error) @ x / m.sum(), "b": (m * error).sum() / m.sum()}
    return (m * error**2).sum() / 2 / m.sum(), gradient


MASKS = {
    "equal": np.ones(SIZE),
    # With 2 or 4 microbatches, each has another weight: every other, or every fourth, example.
    "unequal": np.array([1, 0, 1, 1, 1, 0, 0.5, 0]),
    "one microbatch empty": np.array([1, 0, 1, 1, 1, 0, 1, 1]),
}


@pytest.mark.parametrize("accumulate", [1, 2, 4])
@pytest.mark.parametrize("mask", MASKS)
def test_the_update_is_that_of_the_weighted_mean_over_the_whole_batch(mask, accumulate):
    optimizer = optimizer_of()
    batch = linear_batch(MASKS[mask])
    start = learner.create({"params": linear_params()}, optimizer)
    update = jax.jit(learner.make_update(linear, optimizer, accumulate=accumulate))
    after, found = update(start, batch, KEY)
    loss, gradient = by_hand(linear_params(), batch)
    for name in ("w", "b"):
        expected = np.asarray(linear_params()["dense"][name]) - 0.1 * gradient[name]
        np.testing.assert_allclose(after.params["dense"][name], expected, rtol=1e-6, atol=1e-6)
    assert float(found["loss"].weight) == MASKS[mask].sum()
    figures = metrics.divide(found)
    assert figures["loss"] == pytest.approx(loss, rel=1e-6)
    norm = np.sqrt(sum(np.sum(np.square(g)) for g in gradient.values()))
    assert figures["gradient_norm"] == pytest.approx(norm, rel=1e-6)
    assert figures["update_norm"] == pytest.approx(0.1 * norm, rel=1e-6)


@pytest.mark.parametrize("accumulate", [1, 2])
def test_a_sharpness_aware_gradient_is_that_of_a_step_uphill(accumulate):
    params, batch = linear_params(), linear_batch(MASKS["unequal"])
    optimizer = optimizer_of(rate=0.1)
    update = learner.make_update(linear, optimizer, accumulate=accumulate, sharpness=0.3)
    state, found = jax.jit(update)(learner.create({"params": params}, optimizer), batch, KEY)
    loss, first = by_hand(params, batch)
    norm = np.sqrt(np.square(first["w"]).sum() + first["b"] ** 2)
    uphill = {k: np.asarray(params["dense"][k]) + 0.3 * first[k] / norm for k in ("w", "b")}
    _, second = by_hand({"dense": uphill}, batch)
    for k in ("w", "b"):
        wanted = np.asarray(params["dense"][k]) - 0.1 * second[k]
        np.testing.assert_allclose(state.params["dense"][k], wanted, rtol=1e-5)
    found = metrics.divide(jax.device_get(found))
    assert found["loss"] == pytest.approx(loss, rel=1e-5)  # where the parameters are
    assert found["gradient_norm"] == pytest.approx(norm, rel=1e-5)


def test_where_there_is_no_gradient_nothing_goes_uphill():
    optimizer = optimizer_of(rate=0.1)
    batch = {**linear_batch(MASKS["equal"]), "x": np.zeros((SIZE, 3), np.float32)}
    batch["y"] = np.full(SIZE, 0.25, np.float32)
    update = learner.make_update(linear, optimizer, sharpness=0.3)
    state, _ = jax.jit(update)(learner.create({"params": linear_params()}, optimizer), batch, KEY)
    for k in ("w", "b"):
        np.testing.assert_array_equal(state.params["dense"][k], linear_params()["dense"][k])


def test_the_unequal_mask_tells_a_weighted_mean_from_a_mean_of_means():
    whole = by_hand(linear_params(), linear_batch(MASKS["unequal"]))[1]["b"]
    batch = linear_batch(MASKS["unequal"])
    halves = [{k: v[i::2] for k, v in batch.items()} for i in range(2)]
    of_means = np.mean([by_hand(linear_params(), half)[1]["b"] for half in halves])
    assert abs(whole - of_means) > 1e-2


def test_the_mean_is_over_all_devices_whatever_each_of_them_weighs():
    """Under `pmap`, here by its rules without the devices."""
    optimizer, batch = optimizer_of(), linear_batch(MASKS["unequal"])
    start = learner.create({"params": linear_params()}, optimizer)
    update = learner.make_update(linear, optimizer)

    def of_one(part):
        with replicas.mapped_over("replica"):
            return update(start, part, KEY)

    cut = {k: v.reshape(4, 2) if v.ndim == 1 else v.reshape(4, 2, -1) for k, v in batch.items()}
    after, found = jax.jit(jax.vmap(of_one, axis_name="replica"))(cut)
    loss, gradient = by_hand(linear_params(), batch)
    for name in ("w", "b"):
        expected = np.asarray(linear_params()["dense"][name]) - 0.1 * gradient[name]
        for device in after.params["dense"][name]:
            np.testing.assert_allclose(device, expected, rtol=1e-6, atol=1e-6)
    one = jax.tree.map(lambda x: x[0], found)
    assert metrics.divide(one)["loss"] == pytest.approx(loss, rel=1e-6)


def test_a_padded_example_with_an_infinite_loss_changes_nothing():
    optimizer = optimizer_of()
    batch = linear_batch(MASKS["unequal"])
    broken = {**batch, "y": np.where(batch["mask"] > 0, batch["y"], 1e30).astype(np.float32)}
    start = learner.create({"params": linear_params()}, optimizer)
    update = jax.jit(learner.make_update(linear, optimizer, accumulate=2))
    for a, b in zip(
        jax.tree.leaves(update(start, batch, KEY)[0].params),
        jax.tree.leaves(update(start, broken, KEY)[0].params),
        strict=True,
    ):
        np.testing.assert_array_equal(a, b)


def test_each_microbatch_gets_a_key_of_its_own():
    def noise(params, model_state, batch, key):
        draw = jax.random.uniform(key)
        n = len(batch["x"])
        return learner.Loss(Mean.of(jnp.zeros(n) + params["w"].sum()), {}, {"u": Mean.once(draw)})

    optimizer = optimizer_of()
    start = learner.create({"params": {"w": jnp.ones(2)}}, optimizer)
    batch = {"x": np.zeros((4, 1), np.float32)}
    _, found = jax.jit(learner.make_update(noise, optimizer, accumulate=4))(start, batch, KEY)
    draws = [float(jax.random.uniform(jax.random.fold_in(KEY, i))) for i in range(4)]
    assert metrics.divide(found)["u"] == pytest.approx(np.mean(draws), rel=1e-6)


@pytest.mark.parametrize("accumulate", [1, 4])
@pytest.mark.parametrize("name", ["sgd", "adamw"])
def test_the_schedule_takes_one_step_an_update(name, accumulate):
    schedule = optax.piecewise_constant_schedule(0.1, {2: 0.5})
    optimizer = optimizer_of(name, schedule)
    update = jax.jit(
        learner.make_update(linear, optimizer, accumulate=accumulate, schedule=schedule)
    )
    state = learner.create({"params": linear_params()}, optimizer)
    rates = []
    for _ in range(3):
        state, found = update(state, linear_batch(MASKS["equal"]), KEY)
        rates.append(metrics.divide(found)["learning_rate"])
    counts = [int(c) for _, c in optax.tree.get_all_with_path(state.opt_state, "count")]
    assert counts
    assert set(counts) == {3}
    np.testing.assert_allclose(rates, [0.1, 0.1, 0.05], rtol=1e-6)


def test_the_schedule_of_a_config_counts_updates_whatever_is_accumulated():
    settings = config.default()
    settings.accumulate = 4
    settings.optimizer.update(
        name="sgd", learning_rate=0.1, schedule="linear", warmup=0, schedule_unit="steps"
    )
    start, update = learner.by_config(tasks.Run(settings, Data(), 10, None), linear)
    state, rates = start({"params": linear_params()}), []
    for _ in range(3):
        before = state.params["dense"]["b"]
        state, found = jax.jit(update)(state, linear_batch(MASKS["equal"]), KEY)
        rates.append(metrics.divide(found)["learning_rate"])
        moved = float(jnp.abs(state.params["dense"]["b"] - before))
        slope = float(abs(found["offset"].total / found["offset"].weight))
        assert moved == pytest.approx(rates[-1] * slope, rel=1e-5)
    np.testing.assert_allclose(rates, [0.1, 0.09, 0.08], rtol=1e-5)


@pytest.mark.parametrize("name", optim.names())
def test_the_number_of_updates_is_known_for_every_optimizer(name):
    optimizer = optimizer_of(name, 1e-3, groups=("dense/b=0",), clip=1.0)
    params = linear_params()
    state = optimizer.init(params)
    for done in range(3):
        assert int(learner.updates_done(state)) == done
        _, state = optimizer.update(params, state, params)


@pytest.mark.parametrize("accumulate", [1, 2])
def test_the_average_is_that_of_a_hand_rolled_loop(accumulate):
    ema = 0.35
    optimizer = optimizer_of()
    update = jax.jit(learner.make_update(linear, optimizer, accumulate=accumulate, ema=ema))
    state = learner.create({"params": linear_params()}, optimizer, ema=ema)
    average = np.asarray(linear_params()["dense"]["w"], np.float64)
    decays = []
    for t in range(1, 7):
        state, _ = update(state, linear_batch(MASKS["unequal"]), KEY)
        decays.append(min(ema, (1 + t) / (10 + t)))
        average = decays[-1] * average + (1 - decays[-1]) * np.asarray(state.params["dense"]["w"])
        np.testing.assert_allclose(state.average[0]["dense"]["w"], average, rtol=2e-6)
    assert decays[0] < ema == decays[-1]  # the warm-up was on, and ended
    assert state.best_variables["params"] is state.average[0]
    assert (state.best_variables["params"]["dense"]["w"] != state.params["dense"]["w"]).all()


def test_an_even_average_is_the_mean_of_what_comes_behind():
    optimizer = optimizer_of(rate=0.1)
    update = jax.jit(learner.make_update(linear, optimizer, swa=3))
    state, seen = learner.create({"params": linear_params()}, optimizer, swa=3), []
    for _ in range(7):
        state, _ = update(state, linear_batch(MASKS["equal"]), KEY)
        seen.append(np.asarray(state.params["dense"]["w"], np.float64))
        wanted = seen[-1] if len(seen) < 3 else np.mean(seen[2:], axis=0)
        average = state.best_variables["params"]["dense"]["w"]
        np.testing.assert_allclose(average, wanted, rtol=1e-6)


def test_without_ema_there_is_no_average_and_evaluation_uses_the_parameters():
    state = learner.create({"params": linear_params(), "stats": {"n": 1}}, optimizer_of())
    assert state.average is None
    assert state.best_variables["params"] is state.params
    assert state.best_variables["stats"] == {"n": 1}


@pytest.mark.parametrize("layer_norms", [False, True])
def test_the_names_of_the_metrics(layer_norms):
    optimizer = optimizer_of()
    state = learner.create({"params": linear_params()}, optimizer)
    update = learner.make_update(linear, optimizer, layer_norms=layer_norms)
    _, found = jax.jit(update)(state, linear_batch(MASKS["equal"]), KEY)
    layers = {"layers/gradient_norm/dense", "layers/update_norm/dense"}
    assert set(metrics.names(found)) == {"loss", "offset", "gradient_norm", "update_norm"} | (
        layers if layer_norms else set()
    )
    figures = metrics.divide(found)
    assert list(figures) == metrics.names(found)
    if layer_norms:  # there is one layer, so its norm is that of all
        for kind in ("gradient_norm", "update_norm"):
            assert figures[f"layers/{kind}/dense"] == pytest.approx(figures[kind], rel=1e-6)


def test_the_gradient_norm_is_that_before_clipping():
    optimizer = optimizer_of(clip=1e-3)
    state = learner.create({"params": linear_params()}, optimizer)
    batch = linear_batch(MASKS["equal"])
    figures = metrics.divide(learner.make_update(linear, optimizer)(state, batch, KEY)[1])
    gradient = by_hand(linear_params(), batch)[1]
    norm = np.sqrt(sum(np.sum(np.square(g)) for g in gradient.values()))
    assert norm > 0.1
    assert figures["gradient_norm"] == pytest.approx(norm, rel=1e-6)
    assert figures["update_norm"] == pytest.approx(0.1 * 1e-3, rel=1e-5)


def test_batch_statistics_flow_from_microbatch_to_microbatch_and_are_averaged():
    module = models.create("deep_cnn", num_classes=3, channels=(2,), hidden=4, dropout=0.0)
    rng = np.random.default_rng(1)
    batch = {
        "image": rng.normal(2.0, 3.0, (4, 4, 4, 1)).astype(np.float32),
        "label": np.array([0, 1, 2, 0]),
    }

    def loss_fn(params, model_state, batch, key):
        logits, model_state = module.apply(
            {"params": params, **model_state}, batch["image"], train=True, mutable=["batch_stats"]
        )
        return learner.Loss(Mean.of(losses.cross_entropy(logits, batch["label"])), model_state, {})

    variables = module.init(KEY, batch["image"])
    optimizer = optimizer_of()
    start = learner.create(variables, optimizer, ema=0.5)
    assert set(start.model_state) == {"batch_stats"}
    update = jax.jit(learner.make_update(loss_fn, optimizer, accumulate=2, ema=0.5))
    after, _ = update(start, batch, KEY)

    # The first layer's statistics by hand: microbatch i is every second example, and the second
    # pass starts from what the first one left.
    convolved = np.asarray(
        module.apply(
            variables,
            batch["image"],
            capture_intermediates=lambda m, _: m.name == "conv_0",
            mutable=["intermediates"],
        )[1]["intermediates"]["conv_0"]["__call__"][0],
        np.float64,
    )
    mean, var = np.zeros(2), np.ones(2)
    for i in range(2):
        part = convolved[i::2]
        mean = 0.9 * mean + 0.1 * part.mean((0, 1, 2))
        var = 0.9 * var + 0.1 * part.var((0, 1, 2), ddof=1)  # as PyTorch's
    found = after.model_state["batch_stats"]["norm_0"]
    np.testing.assert_allclose(found["mean"], mean, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(found["var"], var, rtol=1e-5, atol=1e-6)

    decay = 2 / 11  # of the first update
    averaged = after.best_variables["batch_stats"]["norm_0"]["mean"]
    np.testing.assert_allclose(averaged, (1 - decay) * mean, rtol=1e-5, atol=1e-6)
    logits = module.apply(after.best_variables, batch["image"])
    assert logits.shape == (4, 3)
    assert bool(jnp.isfinite(logits).all())
