"""Populations: a member equals the run with its seed and setting by itself."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny
from launching import (
    ROOT,
    figures,
    leaves,
    made,
    run,
    summary,
)

from jaxdl import keys, launch, metrics
from jaxdl.experiment import population
from jaxdl.train import advance

# Adam's first steps divide by the gradient's own size, and so magnify rounding where it is small.
SMOOTH = "--config.optimizer.eps=1e-3"

# What makes each kind of learning small; a setting that its step takes as a traced number, and two
# values of it; seeds.
KINDS = {
    "mlp": (
        ("--config.model.hidden=16", "--config.model.dropout=.1"),
        ("optimizer.learning_rate", 1e-3, 1e-2),
        2,
    ),
    "dcgan": (("--config.model.widths=8,4",), ("task.discriminator_rate", 1.0, 2.0), 0),
    "ddpm": (
        (
            *("--config.model.width=8", "--config.model.groups=2"),
            *("--config.model.multipliers=(1,)", "--config.task.timesteps=20"),
            *("--config.task.sampling_steps=2", "--config.task.ancestral_steps=0"),
        ),
        ("task.drop_label", 0.1, 0.3),
        0,
    ),
    "gat": ((), ("model.attention_dropout", 0.2, 0.5), 2),
    "gcn": ((), ("model.dropout", 0.2, 0.5), 2),
    "gin": (("--config.model.hidden=(4,)",), ("model.dropout", 0.2, 0.5), 2),
    "graphsage": ((), ("model.dropout", 0.2, 0.5), 2),
    "a2c": ((), ("task.entropy", 0.01, 0.1), 2),
    "ppo": (("--config.task.rollout=16",), ("task.clip_ratio", 0.1, 0.3), 2),
}


def after_steps(one, count=3):
    """The state after a few updates, and the last update's metrics."""
    state, step = one.init_state(), jax.jit(one.task.train_step)
    for i in range(count):
        state, found = step(state, one.batch(i), keys.at_step(one.key, i))
    return state, found


EXPERIMENTS = {path.stem for path in (ROOT / "experiments").glob("*.py")}


SLOW = ("dcgan", "ddpm")  # to compile


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=pytest.mark.slow(name)) if name in SLOW else name for name in KINDS],
)
def test_members_equal_runs_by_themselves(name):
    small, (setting, low, high), seeds = KINDS[name]
    sweep = f"--config.sweep={setting}={low},{high}"
    small = (*small, SMOOTH)
    whole = made(name, *small, f"--config.population={seeds}", sweep)
    last = whole.members[-1]
    assert (last.seed, last.settings) == (max(0, seeds - 1), {setting: high})
    own = (f"--config.seed={last.seed}", f"--config.{setting}={high}", "--config.log.layers=false")
    state, found = population.take(after_steps(whole), -1)
    assert_close(after_steps(made(name, *small, *own)), (state.own, found))


def assert_close(single, member):
    """Equal within float32 rounding, and exactly where they are no floats."""
    for a, b in zip(jax.tree.leaves(single), jax.tree.leaves(member), strict=True):
        if jnp.issubdtype(a.dtype, jax.dtypes.prng_key):
            a, b = jax.random.key_data(a), jax.random.key_data(b)
        if jnp.issubdtype(a.dtype, jnp.floating):
            np.testing.assert_allclose(b, a, rtol=2e-4, atol=2e-5)
        else:
            np.testing.assert_array_equal(b, a)


TINY = ("--config.model.hidden=16", "--config.log.every=2", "--config.eval.every=3", SMOOTH)
# A rate that learns, and one that overflows.
OVERFLOWING = "--config.sweep=optimizer.learning_rate=1e-2,1e38"
CONSTANT = "--config.optimizer.schedule=constant"


def test_on_eight_devices_it_is_what_it_is_on_one(tmp_path):
    flags = (*TINY, "--config.population=4", "--config.sweep=optimizer.learning_rate=1e-3,1e-2")
    for count in (1, 8):
        assert run("mlp", tmp_path / str(count), *flags, f"--config.parallel.data={count}") == 0
    for a, b in zip(leaves(tmp_path / "1"), leaves(tmp_path / "8"), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)
    assert summary(tmp_path / "8")["devices"] == 8


def test_number_of_members_that_devices_do_not_divide_is_refused(tmp_path, capsys):
    flags = ("--config.population=6", "--config.parallel.data=8")
    assert run("mlp", tmp_path / "run", *flags) == 2
    assert "=6 does not divide over 8 devices: use 8, or fewer" in capsys.readouterr().err


def test_member_that_stops_early_freezes_as_it_would_by_itself(tmp_path):
    early = (*TINY, "--config.early_stopping.metric=loss", "--config.early_stopping.patience=1",
             "--config.steps=30", CONSTANT)  # fmt: skip
    rates = "--config.sweep=optimizer.learning_rate=1e-3,1"
    assert run("mlp", tmp_path / "all", *early, rates) == 0
    going, stopped = summary(tmp_path / "all")["members"]
    assert (going["ended"], going["steps"]) == ("", 30)
    assert stopped["ended"] == "early"
    assert stopped["steps"] < 30
    assert run("mlp", tmp_path / "one", *early, "--config.optimizer.learning_rate=1") == 0
    alone = summary(tmp_path / "one")
    assert alone["steps"] == stopped["steps"]
    assert stopped["final"] == pytest.approx(alone["final"], rel=1e-3)
    lines = figures(tmp_path / "all", "train")
    assert [line["loss"][1] is None for line in lines] == [
        line["step"] > stopped["steps"] + 1 for line in lines
    ]
    assert all(line["loss"][0] is not None for line in lines)


def test_member_that_fails_leaves_the_others_as_they_are(tmp_path, capsys):
    assert run("mlp", tmp_path / "all", *TINY, OVERFLOWING) == 0
    sound, failed = summary(tmp_path / "all")["members"]
    assert (sound["ended"], failed["ended"]) == ("", "not finite")
    assert failed["steps"] < sound["steps"] == 12
    said = capsys.readouterr().out
    assert f"rate=1e+38) gave a non-finite number at step {failed['steps'] + 1}" in said
    assert run("mlp", tmp_path / "one", *TINY, "--config.optimizer.learning_rate=1e-2") == 0
    assert sound["final"] == pytest.approx(summary(tmp_path / "one")["final"], rel=1e-3)
    assert summary(tmp_path / "all")["best"]["member"] == 0


def test_a_population_all_of_which_fails_ends_with_the_code_of_a_run_that_does(tmp_path, capsys):
    overflowing = "--config.sweep=optimizer.learning_rate=1e37,1e38"
    assert run("mlp", tmp_path / "all", *TINY, overflowing) == 3
    assert "all 2 members gave a non-finite number" in capsys.readouterr().err


def test_a_member_goes_on_and_is_evaluated_as_a_run_of_its_own(tmp_path, capsys):
    flags = (*TINY, "--config.log.layers=false", CONSTANT)
    folder = tmp_path / "all"
    assert run("mlp", folder, *flags, "--config.population=3") == 0
    file = f"--config={ROOT / 'experiments' / 'mlp.py'}"
    capsys.readouterr()
    command = [file, f"--workdir={folder}", "--config.member=2"]
    assert launch.main([*command, "--mode=evaluate"]) == 0
    figure = summary(folder)["members"][2]["final"]["accuracy"]
    assert f"accuracy {figure:.4f}" in capsys.readouterr().out
    assert launch.main([*command, "--config.steps=18"]) == 0
    assert run("mlp", tmp_path / "one", *flags, "--config.seed=2", "--config.steps=18") == 0
    for a, b in zip(leaves(tmp_path / "one"), leaves(folder / "member-2"), strict=True):
        np.testing.assert_allclose(b, a, rtol=2e-4, atol=2e-5)
    own = json.loads((folder / "member-2" / "config.json").read_text())
    assert (own["seed"], own["population"], own["steps"]) == (2, 0, 18)
    assert launch.main([file, f"--workdir={folder}", "--config.member=3"]) == 2
    assert "is not one of the 3" in capsys.readouterr().err


def test_evaluating_a_population_tells_of_each_member(finished, capsys):
    folder = finished("optimizers")
    capsys.readouterr()
    file = f"--config={ROOT / 'experiments' / 'optimizers.py'}"
    assert launch.main([file, f"--workdir={folder}", "--mode=evaluate"]) == 0
    lines = capsys.readouterr().out.splitlines()
    rates = [(seed, rate) for rate in ("0.001", "0.01", "1e-09") for seed in (0, 1)]
    assert [line.split(":")[0] for line in lines] == [
        f"member {i} (seed {seed}, optimizer.learning_rate={rate})"
        for i, (seed, rate) in enumerate(rates)
    ]
    for mode in ("sample", "plan", "lr_find"):
        assert launch.main([file, f"--workdir={folder}", f"--mode={mode}"]) == 2
        assert "of one" in capsys.readouterr().err


def test_parts_that_go_one_after_the_other_give_the_same():
    whole = made("mlp", *TINY, "--config.population=4")
    batches = jax.tree.map(lambda *x: np.stack(x), *[whole.batch(i) for i in range(3)])
    found = []
    for chunks in (1, 2, 4):
        window = metrics.zeros(whole.abstract_window)
        steps, active = jnp.zeros(4, jnp.int32), jnp.array([True, True, False, True])
        carry = advance.Carry(whole.init_state(), steps, window, active)
        compiled = jax.jit(advance.create(whole.task, chunks))
        found.append(compiled(carry, whole.key, batches, np.int32(3)))
    for other in found[1:]:
        assert_close(found[0], other)
    assert found[0][1].step.tolist() == [3, 3, 0, 3]


def test_a_cpu_takes_as_many_members_at_once_as_its_cache_holds():
    state = lambda count, size: population.State(
        jax.ShapeDtypeStruct((count,), jnp.int32),
        {"w": jax.ShapeDtypeStruct((count, size), jnp.float32)},
    )
    cpu = jax.devices()[:1]
    most = population.CACHED // 4
    assert population.chunks(state(12, 10), cpu) == 1
    assert population.chunks(state(24, most // 4), cpu) == 6
    assert population.chunks(state(12, most * 2), cpu) == 12
    assert population.chunks(state(11, most // 2), cpu) == 11
    assert population.SHARED == 4 * population.CACHED
    assert population.chunks(state(16, most // 4), cpu) == 1
    assert population.chunks(state(17, most // 4), cpu) == 17
    assert population.chunks(state(12, most * 2), jax.devices()[:2]) == 1


@pytest.mark.parametrize("name", sorted(EXPERIMENTS))
def test_every_experiment_can_be_a_population(name):
    whole = made(name, *tiny.FLAGS.get(name, ()), "--config.population=2")
    count = len(whole.members)
    assert count % 2 == 0
    for tree in (whole.abstract_state, whole.abstract_window):
        assert all(x.shape[0] == count for x in jax.tree.leaves(tree))


SWEPT = [
    (
        "mlp",
        "optimizer.weight_decay=0,.1; optimizer.l2=0,.1; optimizer.noise=0,.1; optimizer.b1=.8,.9; "
        "optimizer.b2=.9,.99; optimizer.eps=1e-8,1e-6; task.label_smoothing=0,.1; ema=0,.9",
    ),
    (
        "mlp",
        "model.dropout=0,.1; optimizer.clip=.5,1; optimizer.clip_norm=.5,1; "
        "optimizer.clip_value=.5,1; optimizer.clip_adaptive=.5,1; optimizer.end_factor=0,.1",
    ),
    (
        "mlp",
        "augment.rotate=5,9; augment.shear=.1,.2; augment.zoom=.1,.2; augment.contrast=0,.1; "
        "augment.mixup=.1,.2; augment.cutmix=.1,.2; augment.crop=.5,.8",
    ),
    # The last rate is one times the other.
    (
        "mlp",
        "optimizer.learning_rate=.1,.2; optimizer.end_factor=.1,.2",
        "--config.optimizer.schedule=linear",
    ),
    ("mlp", "optimizer.momentum=0,.9", "--config.optimizer.name=sgd"),
    ("vit", "model.drop_path=0,.1; model.dropout=0,.1", "--config.model.depth=2"),
    ("vae", "task.beta=0,1"),
    ("autoencoder", "task.noise=.1,.3"),
    ("dcgan", "task.discriminator_rate=1,2"),
    ("pix2pix", "task.distance=10,100; ema=.9,.99"),
    ("cyclegan", "task.cycle=5,10; task.identity=.1,.5"),
    ("edsr", "task.tones=.1,.3"),
    ("ddpm", "task.drop_label=.1,.2; ema=.9,.99"),
    ("gcn", "model.dropout=0,.5; optimizer.weight_decay=0,.1"),
    (
        "dqn",
        "task.discount=.9,.99; task.target_rate=.01,.1; task.epsilon=.5,1; "
        "task.last_epsilon=0,.1; task.exploration=.1,.2; task.reward_scale=.1,1",
    ),
    (
        "ppo",
        "task.discount=.9,.99; task.gae_lambda=.9,1; task.clip_ratio=.1,.2; task.entropy=0,.1; "
        "task.value_weight=.5,1; task.reward_scale=.1,1; optimizer.clip=.5,1",
    ),
    (
        "a2c:a3c",
        "task.discount=.9,.99; task.gae_lambda=.9,1; task.entropy=0,.1; task.value_weight=.5,1; "
        "task.reward_scale=.1,1",
    ),
    ("q_learning", "task.discount=.9,.99; task.epsilon=.1,.2; task.last_epsilon=0,.1"),
]


@pytest.mark.parametrize("case", SWEPT, ids=lambda case: f"{case[0]}-{case[1][:30]}")
def test_what_the_step_can_take_as_a_traced_number_can_be_swept(case):
    name, sweep, *flags = case
    small = tiny.FLAGS.get(name, ())
    whole = made(name, *small, *flags, f"--config.sweep={sweep}")  # which traces its step
    assert len(whole.members) == 2 ** sweep.count("=")


@pytest.mark.parametrize(
    ("sweep", "words"),
    [
        ("model.hidden=16,32", "is a tuple, not a number; instead: for a in 16 32; do python"),
        ("optimizer.name=sgd,adam", "is a text, not a number"),
        ("batch_size=16,32", "is needed before there is a step"),
        ("task.top_k=1,2", "fixes the shapes or the structure"),
        ("optimizer.clip=0,1", "decides what is computed, and not in the same way for all"),
        ("optimizer.end_factor=.1,.2;optimizer.schedule=cosine", "optimizer.schedule is a text"),
        ("task.label_smoothing=.1,1.5", "label_smoothing=1.5 must be at least 0 and below 1"),
        ("optimizer.learning_rate=0,1", "optimizer.learning_rate=0.0 is not possible: above 0"),
        ("optimizer.learning_rate=1e-3:1", "is not low:high:count"),
        ("optimizer.learning_rate=0:1:3:log", "is not low:high:count"),
        ("optimizer.learning_rate=a,b", "must be a number"),
        ("optimizer.learning_rate=1,1", "has a value twice"),
        ("ema=.8,.9;ema=.7,.8", "has ema twice"),
        ("optimizer.learning_rat=1,2", "did you mean 'learning_rate'"),
        ("optimizer=1,2", "is a group"),
        ("optimizer.learning_rate", "is not 'setting=values'"),
        ("optimizer.decay_factor=.1,.2", "has no effect on the update"),
    ],
)
def test_a_sweep_that_cannot_be_is_told_in_a_line(sweep, words, tmp_path, capsys):
    assert run("mlp", tmp_path / "run", f"--config.sweep={sweep}") == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1
    assert not (tmp_path / "run").exists()
