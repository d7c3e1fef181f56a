"""What the weights of a run mean is the run's own, and using it asks for what using needs."""

import json
import shutil

import jax
import numpy as np
import pytest
from etils import epath
from launching import ROOT, run
from PIL import Image

from jaxdl import config as settings
from jaxdl import data, experiment, launch
from jaxdl.data import facts
from jaxdl.errors import UserError
from jaxdl.experiment import use
from jaxdl.launch import flags
from jaxdl.runs import meaning, workdir
from jaxdl.tasks.shared import generation
from jaxdl.train import evaluate, single_out

COLOURS = {"apple": (200, 40, 40), "berry": (40, 40, 200)}


def picture(colour, draws):
    noise = draws.integers(-30, 30, (10, 10, 3))
    return Image.fromarray((np.array(colour) + noise).astype(np.uint8))


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder with the data of a run that tells apples from berries, the run, and a red picture.

    Its batch of 20 divides over 4 devices, and not over the 8 that there are.
    """
    root, draws = tmp_path_factory.mktemp("trained"), np.random.default_rng(0)
    for name, colour in COLOURS.items():
        (root / "data" / name).mkdir(parents=True)
        for i in range(20):
            picture(colour, draws).save(root / "data" / name / f"{i:02}.png")
    picture(COLOURS["apple"], draws).save(root / "red.png")
    assert run("mlp", root / "run", *overrides(root), "--config.parallel.data=4") == 0
    return root


def overrides(root):
    return (
        *("--config.data.name=folder", f"--config.data.path={root / 'data'}"),
        *("--config.data.image_size=8", "--config.model.hidden=(16,)", "--config.augment.shift=0"),
        *("--config.optimizer.learning_rate=.01", "--config.batch_size=20"),
    )


@pytest.fixture
def copied(trained, tmp_path):
    """`trained` as one's own: its data's path is that of the copy."""
    shutil.copytree(trained, tmp_path / "own")
    file = tmp_path / "own" / "run" / "config.json"
    file.write_text(file.read_text().replace(str(trained), str(tmp_path / "own")))
    return epath.Path(tmp_path / "own")


def config_of(folder, **changed):
    config = settings.default()
    workdir.adopt(epath.Path(folder), config)
    for name, value in changed.items():
        config[name].update(value)
    return config


def predicted(root):
    """The classes and shares of the red picture, by the command."""
    given = ["--mode=predict", f"--workdir={root / 'run'}", f"--input={root / 'red.png'}"]
    assert launch.main(given) == 0
    (line,) = (root / "run" / "predictions.jsonl").read_text().splitlines()
    return [(c["class"], c["share"]) for c in json.loads(line)["classes"]]


def rename(root):
    (root / "data" / "apple").rename(root / "data" / "cherry")


def add_white(root):
    for i in range(60):
        Image.new("RGB", (10, 10), "white").save(root / "data" / "berry" / f"white{i}.png")


def measured(root, accepted=False):
    """(figures, what was said) of an evaluation."""
    said, folder = [], epath.Path(root / "run")
    made = experiment.to_evaluate(config_of(folder), folder, accepted, said.append)
    return evaluate.evaluate(made, folder), said


def going_on(root, accepted=False):
    said = []
    config = config_of(root / "run")
    made, keep = experiment.to_train(config, epath.Path(root / "run"), accepted, said.append)
    return made, keep, said


# What a run keeps


def test_a_run_keeps_what_its_weights_mean(trained):
    content = json.loads((trained / "run" / "data.json").read_text())
    assert content["format"] == 1
    found = content["data"]
    assert found["class_names"] == ["apple", "berry"]
    assert found["parts"]["train"]["examples"] == 32
    assert found["parts"]["train"]["class_counts"] == [16, 16]
    assert found["parts"]["train"]["arrays"]["image"] == ["uint8", 8, 8, 3]
    assert found["parts"]["test"]["class_counts"] == [4, 4]
    made = data.load(config_of(trained / "run").data)
    pixels = made.train.take(np.arange(32))["image"].astype(np.float64) / 255
    np.testing.assert_allclose(found["mean"], pixels.mean((0, 1, 2)), rtol=1e-6)
    np.testing.assert_allclose(found["std"], pixels.std((0, 1, 2)), rtol=1e-6)


def test_pictures_are_called_as_before_whatever_became_of_the_data(copied, capsys):
    before = predicted(copied)
    assert before[0][0] == "apple"
    assert before[0][1] > 0.9
    rename(copied)
    assert predicted(copied) == before
    add_white(copied)
    assert predicted(copied) == before
    shutil.rmtree(copied / "data")
    assert predicted(copied) == before
    assert capsys.readouterr().err == ""


def test_an_evaluation_needs_nothing_to_learn_from(copied):
    (before, _), later = measured(copied), copied / "later"
    for name in ("berry", "apple"):
        (later / "val").mkdir(parents=True, exist_ok=True)
        shutil.move(copied / "data" / name, later / "val" / name)
    shutil.rmtree(copied / "data")
    (later / "val" / "apple").rename(later / "val" / "Apple")  # in another place by its name
    said, folder = [], epath.Path(copied / "run")
    config = config_of(folder, data={"path": str(later)})
    made = experiment.to_evaluate(config, folder, True, said.append)
    found = evaluate.evaluate(made, folder)
    assert len(made.run.data.test) == 40
    assert before["accuracy"] == found["accuracy"] == 1
    np.testing.assert_array_equal(made.run.data.mean, data_of(copied).mean)
    (line,) = said
    assert "no examples to learn from" in line
    with pytest.raises(UserError, match="has no training part: it can be measured on alone"):
        experiment.to_train(config, folder, True)


def test_what_is_made_is_held_against_examples_that_are_there(copied):
    with pytest.raises(UserError, match="learned from are not here"):
        generation.spread(data_of(copied).train, 10)


def data_of(root):
    """What the run keeps."""
    return meaning.read(epath.Path(root / "run")).restored()


def test_an_exported_program_needs_no_data_either(copied):
    shutil.rmtree(copied / "data")
    assert launch.main(["--mode=export", f"--workdir={copied / 'run'}"]) == 0
    about = json.loads((copied / "run" / "export" / "model.json").read_text())
    assert about["labels"]["shares"] == ["apple", "berry"]


def test_an_evaluation_says_what_changed_and_knows_classes_by_name(copied):
    figures, said = measured(copied)
    assert (figures["accuracy"], said) == (1.0, [])
    before = figures["loss"]
    rename(copied)
    figures, (line,) = measured(copied)
    assert figures["accuracy"] == 1.0
    for words in ("'apple' is gone", "'cherry' is new", "4 of 8 examples", "--accept_changes"):
        assert words in line
    figures, (line,) = measured(copied, accepted=True)
    assert figures["accuracy"] == 1.0
    assert figures["loss"] < 2 * before
    assert "'cherry' is taken for what 'apple' was" in line
    (copied / "data" / "berry").rename(copied / "data" / "damson")
    with pytest.raises(UserError, match="no example to be measured on is of a class"):
        measured(copied)


def test_the_command_tells_of_it_in_one_line(copied, capsys):
    add_white(copied)
    file = f"--config={ROOT / 'experiments' / 'mlp.py'}"
    given = [file, "--mode=evaluate", f"--workdir={copied / 'run'}"]
    assert launch.main(given) == 0
    said = capsys.readouterr()
    assert said.err.startswith("note: the data are not those that ")
    assert "32 → 80 examples to learn from; 8 → 20 examples to be measured on" in said.err
    assert said.err.count("\n") == 1
    assert said.out.startswith("step ")


def test_a_run_goes_on_with_other_data_only_if_told_so(copied):
    rename(copied)
    add_white(copied)
    with pytest.raises(UserError, match=r"--accept_changes takes 'cherry' for what 'apple' was"):
        going_on(copied)
    kept = json.loads((copied / "run" / "data.json").read_text())
    made, keep, said = going_on(copied, accepted=True)
    assert "'cherry' is taken for what 'apple' was" in said[0]
    labels = made.run.data.train.take(np.arange(80))
    red = labels["image"][..., 0].mean((1, 2)) > labels["image"][..., 2].mean((1, 2)) + 50
    np.testing.assert_array_equal(red, labels["label"] == 0)
    keep()
    now = json.loads((copied / "run" / "data.json").read_text())
    assert now["data"]["class_names"] == ["cherry", "berry"]
    assert now["data"]["parts"]["train"]["class_counts"] == [16, 64]
    assert (now["data"]["mean"], now["data"]["std"]) == (kept["data"]["mean"], kept["data"]["std"])
    assert going_on(copied)[2] == []
    assert predicted(copied)[0][0] == "cherry"


def test_a_refused_run_is_left_as_it_was(copied, capsys):
    add_white(copied)
    before = {p: p.read_bytes() for p in (copied / "run").glob("*.json*")}
    assert run("mlp", copied / "run", *overrides(copied), "--config.parallel.data=4") == 2
    told = capsys.readouterr().err
    assert told.startswith("error: the data are not those that this run learned from (32 → 80")
    assert told.count("\n") == 1
    assert {p: p.read_bytes() for p in (copied / "run").glob("*.json*")} == before


def test_class_names_may_be_corrected_by_hand(copied):
    file = copied / "run" / "data.json"
    file.write_text(file.read_text().replace('"apple"', '"cherry"'))
    assert predicted(copied)[0][0] == "cherry"
    rename(copied)
    figures, said = measured(copied)
    assert figures["accuracy"] == 1.0
    assert "new" not in said[0]


def test_images_that_keep_their_size_keep_the_one_that_was_learned(copied):
    given = config_of(copied / "run").data.to_dict() | {"image_size": 0}
    made = data.load(given)
    kept = meaning.Meaning(facts.of(made))
    assert facts.of(data.load(kept.settings(given))) == kept.facts
    Image.new("RGB", (16, 16)).save(copied / "data" / "apple" / "0-first.png")
    assert data.load(given).train.take(np.arange(1))["image"].shape == (1, 16, 16, 3)
    found = data.load(kept.settings(given))
    assert found.train.take(np.arange(1))["image"].shape == (1, 10, 10, 3)
    digits = settings.default().data.to_dict()
    kept_digits = meaning.Meaning(facts.of(data.load(digits)))
    assert kept_digits.settings(digits)["image_size"] == 8
    assert facts.of(data.load(kept_digits.settings(digits))) == kept_digits.facts
    for name in ("digits", "npz"):  # which takes a size, and which takes none
        own = meaning.Meaning(facts.of(made)).settings({"name": name, "image_size": 0})
        assert own["image_size"] == (10 if name == "digits" else 0)


# Runs that keep nothing, or what they kept is damaged


def test_an_older_run_takes_its_data_as_they_are_and_says_so(copied, capsys):
    before = predicted(copied)
    (copied / "run" / "data.json").unlink()
    capsys.readouterr()
    assert predicted(copied) == before
    told = capsys.readouterr().err
    assert "has no data.json, as runs of earlier versions have not" in told
    assert told.count("\n") == 1
    assert len(measured(copied)[1]) == 1
    _, keep, said = going_on(copied)
    assert len(said) == 1
    keep()
    assert going_on(copied)[2] == []


def test_before_the_first_checkpoint_nothing_has_a_meaning(copied):
    shutil.rmtree(copied / "run" / "checkpoints")
    rename(copied)
    made, keep, said = going_on(copied)
    assert made.run.data.class_names == ("berry", "cherry")
    keep()
    assert meaning.read(copied / "run").facts.class_names == ["berry", "cherry"]
    assert said == []


@pytest.mark.parametrize(
    "content, words",
    [
        ("{", "is damaged"),
        ("[]", "is damaged"),
        ('{"format": 1}', "is damaged"),
        ('{"format": 2, "data": {}}', "later version"),
    ],
)
def test_what_was_kept_and_cannot_be_read_is_one_line(content, words, tmp_path):
    (tmp_path / "data.json").write_text(content)
    with pytest.raises(UserError, match=words) as caught:
        meaning.read(epath.Path(tmp_path))
    assert "\n" not in str(caught.value)
    assert "data.json" in str(caught.value)


# Texts, populations, agents


def test_tokens_that_were_made_of_the_data_are_the_runs_own(tmp_path):
    run_of, file = epath.Path(tmp_path / "run"), tmp_path / "a.txt"
    run_of.mkdir()
    file.write_text("the cat sat on the mat and the hat " * 60)
    own = settings.default().data.to_dict() | dict(
        name="text", path=str(file), tokenizer="bpe:280", context=8
    )
    made = data.load(own)
    meaning.write(run_of, facts.of(made), own["tokenizer"], made.tokenizer.content)
    file.write_text("a dog dug and a hog hid " * 60)
    kept = meaning.read(run_of)
    assert kept.said() == []
    again = data.load(kept.settings(own))
    assert again.tokenizer.fingerprint == made.tokenizer.fingerprint
    assert data.load(own).tokenizer.fingerprint != made.tokenizer.fingerprint


def test_a_tokenizer_is_the_runs_own(tmp_path):
    from test_text import trained as tokenizer_of

    (tmp_path / "a.txt").write_text("the cat sat on the mat and the hat " * 60)
    file, run_of = tokenizer_of(tmp_path), epath.Path(tmp_path / "run")
    run_of.mkdir()
    own = settings.default().data.to_dict() | dict(
        name="text", path=str(tmp_path / "a.txt"), tokenizer=file, context=8
    )
    made = data.load(own)
    meaning.write(run_of, facts.of(made), file, made.tokenizer.content)
    kept = meaning.read(run_of)
    assert kept.said() == []
    (tmp_path / "other").mkdir()
    shutil.copy(tokenizer_of(tmp_path / "other", 270), file)
    assert "the run's own copy is used" in meaning.read(run_of).said()[0]
    again = data.load(kept.settings(own))
    assert facts.of(again) == kept.facts
    np.testing.assert_array_equal(again.train.tokens, made.train.tokens)
    assert facts.of(data.load(own)) != kept.facts
    (tmp_path / "tokenizer.json").unlink()
    assert meaning.read(run_of).said() == []
    text = kept.restored().tokenizer.encode("the cat")
    np.testing.assert_array_equal(text, made.tokenizer.encode("the cat"))
    # Of another file, that the user names, it is no copy.
    assert kept.settings(own | {"tokenizer": "b.json"})["tokenizer"] == "b.json"
    shutil.copy(tmp_path / "other" / "tokenizer.json", run_of / "tokenizer.json")
    with pytest.raises(UserError, match="not the tokenizer that the run began with"):
        meaning.read(run_of)


@pytest.mark.parametrize("name", ["gpt", "vae", "ddpm", "dcgan", "ppo"])
def test_what_generates_or_acts_needs_no_data_to_be_restored(name, finished, monkeypatch):
    folder = epath.Path(finished(name))
    config = config_of(folder)
    loaded = data.load
    monkeypatch.setattr(data, "load", lambda settings: pytest.fail("the data were loaded"))
    made = experiment.to_use(config, folder)
    monkeypatch.setattr(data, "load", loaded)
    usual = jax.tree.map(lambda x: (x.shape, x.dtype), experiment.create(config).abstract_state)
    assert jax.tree.map(lambda x: (x.shape, x.dtype), made.abstract_state) == usual


def test_a_member_keeps_what_its_population_does(finished, tmp_path):
    folder = tmp_path / "population"
    shutil.copytree(finished("optimizers"), folder)
    config = config_of(folder)
    config.member = 1
    own, config = single_out.single_out(epath.Path(folder), config)
    assert (own / "data.json").read_bytes() == (folder / "data.json").read_bytes()


# What only training needs


@pytest.fixture
def used(copied):
    """A function of settings by group to the run's state, restored with them to be used."""
    folder = epath.Path(copied / "run")

    def get(**changed):
        config = config_of(folder, **changed)
        if "parallel" not in changed:
            config.parallel.data = -1
        made = experiment.to_use(config, folder, pytest.fail)
        return made, evaluate.best_state(made, folder)[1]

    return get


def test_a_batch_need_not_divide_over_the_devices(used):
    assert jax.device_count() == 8
    made, state = used()
    assert made.config.batch_size == 20
    assert made.layout.mesh.size == 8
    answer = made.task.predict(state, np.zeros((8, 8, 8, 3), np.uint8))
    assert answer["shares"].shape == (8, 2)


@pytest.mark.parametrize(
    "optimizer",
    [
        dict(warmup=1000.0, schedule_unit="steps"),
        dict(warmup=1000.0, schedule_unit="epochs"),
        dict(schedule="one_cycle", warmup=50.0),
        dict(schedule="exponential", end_factor=0.0),
        dict(schedule="step", boundaries=(1, 2), warmup=5.0),
    ],
)
def test_nobody_asks_how_long_a_warm_up_is(optimizer, used):
    _, state = used(optimizer=optimizer)
    assert np.isfinite(state.params["head"]["kernel"]).all()


def test_nor_how_long_only_the_head_learned(copied):
    config = config_of(copied / "run", optimizer=dict(unfreeze=1e6, schedule_unit="steps"))
    found = use.create(config, data.load(config.data))
    usual = config_of(copied / "run", optimizer=dict(unfreeze=6.0, schedule_unit="steps"))
    usual.parallel.data = 1
    usual = experiment.create(usual)
    shapes = lambda made: jax.tree.map(lambda x: x.shape, made.abstract_state)
    assert shapes(found) == shapes(usual)
    assert config.optimizer.unfreeze == 1e6  # the run's own


@pytest.mark.parametrize(
    "parallel",
    [dict(data=64), dict(fsdp=16, data=1), dict(tensor=3), dict(data=4, strategy="pmap")],
)
def test_a_run_is_used_on_the_devices_at_hand(parallel, used):
    config = settings.default()
    config.parallel.update(parallel)
    experiment.fit_devices(config)
    made, state = used(parallel=config.parallel.to_dict())
    assert made.layout.strategy == "jit"
    assert made.layout.mesh.size == (4 if parallel.get("data") == 4 else 8)
    assert np.isfinite(state.params["head"]["kernel"]).all()


def test_devices_that_are_asked_for_now_must_be_there(copied, capsys):
    given = ["--mode=predict", f"--workdir={copied / 'run'}", f"--input={copied / 'red.png'}"]
    assert launch.main([*given, "--config.parallel.data=64"]) == 2
    assert "there are 8 cpu devices" in capsys.readouterr().err


def test_agents_that_do_not_divide_over_the_devices_are_measured(finished):
    folder = epath.Path(finished("ppo"))
    config = config_of(folder)
    config.parallel.data = -1
    made = use.create(config, data.load(config.data))
    # Sixteen environments divide over eight devices, and lie on them; twelve lie on each.
    is_split = lambda made: [
        not leaf.sharding.is_fully_replicated for leaf in jax.tree.leaves(made.abstract_state)
    ]
    assert any(is_split(made))
    config.batch_size, config.task.minibatches = 12, 2
    assert not any(is_split(use.create(config, data.load(config.data))))


def test_a_model_is_not_asked_for_a_best_metric(used, copied):
    config = config_of(copied / "run", eval=dict(best="no_such_metric"))
    assert experiment.to_use(config, epath.Path(copied / "run")).task.predict is not None


def test_flags_of_training_stay_strict(copied, capsys):
    config = flags.parse([f"--config={ROOT / 'experiments' / 'mlp.py'}", *overrides(copied)]).config
    with pytest.raises(UserError, match=r"batch_size=20 does not divide over 8 devices"):
        experiment.create(config)


def test_a_run_with_a_setting_that_is_no_more_goes_on_without_it(tmp_path):
    (tmp_path / "config.json").write_text('{"steps": 3, "task.dense": false}')
    assert workdir.stored(epath.Path(tmp_path)) == {"steps": 3}
