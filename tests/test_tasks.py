"""What tasks share: the model, the loop over a split, what they declare, and how long they are."""

import ast
import functools
import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny
from jax.sharding import NamedSharding, PartitionSpec
from launching import ROOT, figures, run, summary

from jaxdl import config as settings
from jaxdl import experiment, keys, metrics, models, parallel, tasks
from jaxdl.data import Arrays, Data
from jaxdl.errors import UserError
from jaxdl.experiment import history
from jaxdl.experiment.history import Goal, Watch
from jaxdl.launch import flags
from jaxdl.tasks import adversarial, classification, learner, variational

KINDS = {
    "adversarial": "wgan",
    "classification": "mlp",
    "ctc": "whisper:ctc",
    "detection": "yolo",
    "diffusion": "ddpm",
    "dqn": "dqn",
    "embedding": "embedding",
    "forecasting": "rnn:mackey_glass",
    "graph_classification": "gin",
    "image_to_image": "espcn",
    "image_translation": "pix2pix",
    "language_modelling": "lstm",
    "multi_label": "mlp:cancer",
    "link_prediction": "gcn:links",
    "masked_language_modelling": "bert",
    "node_anomaly": "gcn:anomaly",
    "node_classification": "gcn:digits",
    "policy_gradient": "a2c",
    "ppo": "ppo",
    "preference": "preferences",
    "q_learning": "q_learning",
    "question_answering": "bert:answer",
    "reconstruction": "autoencoder",
    "regression": "mlp:regression",
    "sampled_link_prediction": "graphsage:links",
    "reward_model": "preferences:reward",
    "rlhf": "preferences:rlhf",
    "sampled_node_classification": "graphsage:blocks",
    "segmentation": "unet",
    "sequence_to_sequence": "t5",
    "sound_classification": "keys",
    "stylegan2": "stylegan2",
    "style_optimisation": "style",
    "style_transfer": "style:feed_forward",
    "text_classification": "bert:classify",
    "token_classification": "bert:tag",
    "unpaired_translation": "cyclegan",
    "transcription": "whisper",
    "variational": "vae",
}

# Whose loss is another task's.
LOSS_OF = {
    "graph_classification": "text_classification",
    "transcription": "sequence_to_sequence",
}
FILES = {p.stem: p for p in (ROOT / "jaxdl" / "tasks").glob("*.py")}


def parsed(name, *given):
    name, colon, variant = name.partition(":")
    file = f"--config={ROOT / 'experiments' / name}.py{colon}{variant}"
    return flags.parse([file, *given]).config


# The house


@pytest.mark.parametrize("name", [n for n in tasks.names() if n in FILES])
def test_a_factory_checks_and_wires_and_the_rest_can_be_imported(name):
    module = ast.parse(FILES[name].read_text())
    functions = {n.name: n for n in module.body if isinstance(n, ast.FunctionDef)}
    factory = functions[name]
    assert factory.end_lineno - factory.body[1].lineno + 1 < 60  # but for its own description
    inner = [n for n in ast.walk(factory) if isinstance(n, ast.FunctionDef) and n is not factory]
    assert not inner
    loss_of = FILES[LOSS_OF.get(name, name)]
    found = {n.name for n in ast.parse(loss_of.read_text()).body if isinstance(n, ast.FunctionDef)}
    assert {"training_loss", "train_step", "discriminator_loss", "transition"} & found


def test_losses_are_pure_functions_that_research_code_imports():
    apply = lambda images: (images.reshape(len(images), -1)[:, :3],) * 2
    images, key = jnp.linspace(0, 1, 24).reshape(2, 2, 2, 3), keys.root(0)
    found = variational.bounds(apply, lambda codes: (images, 0 * images), 2.0, images, key)
    np.testing.assert_allclose(found["elbo"], found["log_likelihood"] - found["kl"], rtol=1e-6)
    np.testing.assert_allclose(-found["loss"], found["log_likelihood"] - 2 * found["kl"], rtol=1e-6)
    hits = classification.hits(jnp.eye(3), {"label": jnp.array([0, 1, 0])}, top_k=3)
    assert metrics.divide(hits) == {"accuracy": pytest.approx(2 / 3), "top_3_accuracy": 1}
    assert list(inspect.signature(adversarial.generator_loss).parameters)[-1] == "key"


# What they declare


@pytest.mark.parametrize("name", KINDS)
def test_what_names_the_best_checkpoint_of_each_kind_has_a_direction(name):
    # Scenes and large graphs are drawn as their data set is made.
    few = ("--config.data.examples=64",) if name in ("segmentation", "detection") else ()
    if name.startswith("sampled_"):
        few = tiny.FLAGS[KINDS[name]]
    made = experiment.create(parsed(KINDS[name], "--config.parallel.data=1", *few))
    assert made.best.direction in (metrics.LOW, metrics.HIGH)
    low = {"loss", "nats_per_byte", "two_sample_accuracy", "rmse", "distance_to_optimum"}
    low.add("total_variation")
    assert (made.best.direction == metrics.LOW) == (made.best.metric in low)


@pytest.mark.parametrize(
    "name, flag, says",
    [
        ("gpt", "augment.flip=true", "config.augment.flip=True: task 'language_modelling'"),
        ("vae", "pretrained.source=x", "config.pretrained.source='x': task 'variational'"),
        ("ppo", "augment.mixup=.5", "config.augment.mixup=0.5: task 'ppo' uses nothing of"),
        ("q_learning", "model.name=mlp", "config.model.name='mlp': task 'q_learning'"),
        ("ddpm", "sweep=augment.mixup=.1,.2", "config.sweep of augment.mixup: task 'diffusion'"),
        ("dcgan", "optimizer.sharpness=.1", "config.optimizer.sharpness=0.1: task 'adversarial'"),
        ("q_learning", "eval.best=optimum", "eval.best='optimum': neither Task.directions"),
        ("dqn", "eval.best=mean_retrun", "did you mean 'mean_return'"),
        ("dqn", "early_stopping.metric=speed", "config.early_stopping.metric='speed'"),
    ],
)
def test_what_a_task_does_not_use_is_refused_by_name(name, flag, says, tmp_path, capsys):
    assert run(name, tmp_path / "run", f"--config.{flag}") == 2
    message = capsys.readouterr().err
    assert says in message
    assert message.count("\n") == 1
    assert not (tmp_path / "run").exists()


def test_an_even_average_is_of_one_player_and_there_is_one_average(tmp_path, capsys):
    for ema, says in (("0", "config.swa=0.5: task 'adversarial' has two players"),
                      (".9", "config.ema=0.9 and config.swa=0.5 are both averages")):  # fmt: skip
        flags = (f"--config.ema={ema}", "--config.swa=.5")
        assert run("dcgan", tmp_path / "run", *flags) == 2
        assert says in capsys.readouterr().err


def test_groups_are_checked_before_any_device_is_touched(monkeypatch):
    monkeypatch.setattr(jax, "devices", lambda *_: pytest.fail("a device was touched"))
    with pytest.raises(UserError, match=r"uses nothing of config\.augment"):
        experiment.check(parsed("gpt", "--config.augment.rotate=5"))
    experiment.check(parsed("mlp", "--config.augment.rotate=5"))


@pytest.mark.parametrize("name", KINDS)
def test_fields_that_a_task_derives_stand_in_no_config(name):
    config = parsed(KINDS[name])
    derived = tasks.traits(name).derives
    assert not {*derived, "dtype"} & set(config.model)
    if config.model.name:
        assert set(models.settings(config.model.name)) & {*derived, "dtype"}


# What they share


def of(model, **data):
    config = settings.default()
    config.update(steps=1, model=model)
    config.precision = "float32"
    return tasks.Run(config, Data(**data), 1, None)


def test_the_model_takes_what_is_derived_and_keeps_what_is_given():
    mlp = dict(name="mlp", hidden=(4,))
    built = tasks.build_model(of(mlp), {"num_classes": 7, "vocab_size": 9})
    assert (built.hidden, built.num_classes, built.dtype) == ((4,), 7, jnp.float32)
    more = of({**mlp, "num_classes": 9})
    how = dict(at_least=("num_classes",))
    assert tasks.build_model(more, {"num_classes": 7}, **how).num_classes == 9
    with pytest.raises(UserError, match=r"config.model.num_classes=9 must be 7, as they are"):
        tasks.build_model(more, {"num_classes": 7}, because="as they are")
    with pytest.raises(UserError, match=r"num_classes=9 must be at least 12"):
        tasks.build_model(more, {"num_classes": 12}, **how)


def test_one_class_cannot_be_told_apart():
    run = of(dict(name="mlp"), class_names=("cat",), mean=None, std=None)
    with pytest.raises(UserError, match="one class, 'cat': there is nothing to tell apart"):
        classification._start(run)


@pytest.mark.parametrize("batch_size", [3, 100])
def test_over_split_has_every_example_once_in_order_and_compiles_once(batch_size):
    split = Arrays({"x": np.arange(10, dtype=np.float32)})
    traced = []

    @jax.jit
    def fn(state, batch, key):
        traced.append(batch["x"].shape)
        return {"twice": state * batch["x"], "drawn": jax.random.uniform(key, batch["x"].shape)}

    first, again = (
        tasks.over_split(fn, split, batch_size, jnp.float32(2), keys.root(1)) for _ in range(2)
    )
    assert traced == [(min(batch_size, 10),)]
    np.testing.assert_array_equal(first["twice"], 2 * split.arrays["x"])
    np.testing.assert_array_equal(first["drawn"], again["drawn"])
    assert len(set(first["drawn"].tolist())) == 10  # each batch has draws of its own


def test_over_split_lies_on_the_devices_of_the_state():
    mesh = parallel.create(settings.default().parallel, 8).mesh
    state = jax.device_put(jnp.float32(2), NamedSharding(mesh, PartitionSpec()))
    split = Arrays({"x": np.arange(10, dtype=np.float32)})
    shards = []
    see = lambda x: jax.debug.inspect_array_sharding(x, callback=shards.append)

    def fn(state, batch, key):
        see(batch["x"])
        return state * batch["x"]

    found = tasks.over_split(jax.jit(fn), split, 4, state)
    np.testing.assert_array_equal(found, 2 * split.arrays["x"])
    assert len(shards) == 1
    assert shards[0].shard_shape((8,)) == (1,)  # 4 at a time were asked for, and 8 divide


def test_forward_draws_by_its_key_and_returns_the_collections_as_they_are_then():
    module = models.create("deep_cnn", num_classes=3, channels=(4,), hidden=4)
    images = jnp.ones((2, 4, 4, 1))
    variables = jax.jit(module.init)(keys.root(0), images)
    state = {k: v for k, v in variables.items() if k != "params"}
    run = functools.partial(learner.forward(module), variables["params"], state)
    first, new = run(keys.root(1), images)
    np.testing.assert_array_equal(first, run(keys.root(1), images)[0])
    assert (first != run(keys.root(2), images)[0]).any()
    assert jax.tree.structure(new) == jax.tree.structure(state)
    same, kept = run(keys.root(1), images, train=False)
    np.testing.assert_array_equal(same, module.apply(variables, images, train=False))
    assert all(map(np.array_equal, jax.tree.leaves(kept), jax.tree.leaves(state)))


# Scores that are dear


SCORED = ("--config.steps=12", "--config.eval.every=2", "--config.log.every=12")


def test_scores_have_a_cadence_of_their_own(tmp_path):
    assert run("q_learning", tmp_path, *SCORED, "--config.eval.score_every=5") == 0
    # At the first evaluation after each fifth update, and at the end.
    assert [line["step"] for line in figures(tmp_path, "eval")] == [6, 10, 12]
    found = summary(tmp_path)
    assert found["final"]["step"] == 12
    assert found["best"]["step"] in (6, 10, 12)


def test_between_scores_the_rest_is_evaluated_and_the_best_stays(tmp_path):
    tiny = ("--config.model.hidden=8", "--config.data.length=1000", "--config.data.window=32",
            "--config.data.stride=8", "--config.task.skip=8")  # fmt: skip
    flags = (*SCORED, "--config.eval.score_every=8", *tiny)
    assert run("rnn:mackey_glass", tmp_path, *flags) == 0
    lines = figures(tmp_path, "eval")
    assert [line["step"] for line in lines] == [2, 4, 6, 8, 10, 12]
    assert all("loss" in line for line in lines)
    assert [line["step"] for line in lines if "rmse" in line] == [8, 12]
    assert summary(tmp_path)["best"]["step"] in (8, 12)


def test_an_evaluation_without_a_goals_metric_says_nothing_of_it():
    best, patient = Goal("fid", metrics.LOW), Goal("fid", metrics.LOW)
    watch = history.after(Watch(), {"step": 1, "fid": 3.0}, best, patient)
    between = history.after(watch, {"step": 2, "loss": 1.0}, best, patient)
    assert (between.best, between.stalled, between.record) == (watch.best, 0, 3.0)
    assert history.rank_of_last([between], best) is None
    worse = history.after(between, {"step": 3, "fid": 4.0}, best, patient)
    assert (worse.best["step"], worse.stalled) == (1, 1)
    better = history.after(worse, {"step": 4, "fid": 2.0}, best, patient)
    assert (better.best["step"], better.stalled) == (4, 0)
    assert history.leader([watch, better, worse], best) == 1
    assert history.rank_of_last([better, worse], best) == -2.0


def test_a_fid_keeps_the_lowest_checkpoint(tmp_path, monkeypatch):
    # As a task of its own would have it: a figure that rises from evaluation to evaluation.
    factory = tasks._registry.get("q_learning")

    def rising(run, **given):
        task, values = factory(run, **given), iter(range(100))
        return task._replace(score=lambda *_: {"fid": float(next(values))})

    monkeypatch.setitem(tasks._registry._entries, "q_learning", rising)
    monkeypatch.setattr(tasks._registry, "settings", lambda name: {})
    config = tmp_path / "own.py"
    config.write_text(
        "from jaxdl import config as settings\n\n\ndef get_config():\n"
        "    config = settings.default()\n    config.update(steps=6)\n"
        "    config.data.name, config.task.name = 'none', 'q_learning'\n"
        "    config.eval.best, config.early_stopping.metric = 'fid', 'fid'\n"
        "    config.early_stopping.patience = 2\n    return config\n"
    )
    assert run(str(config), tmp_path / "run", *SCORED) == 0
    found = summary(tmp_path / "run")
    assert found["best"] == {"step": 2, "fid": 0.0}
    assert found["steps"] == 6  # two evaluations without improvement
    assert found["stopped_early"]
