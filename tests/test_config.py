"""Settings and the command line: what is accepted, and what a wrong one is told."""

import math

import pytest
from ml_collections import ConfigDict

from jaxdl import config
from jaxdl.config import files as config_files
from jaxdl.errors import UserError
from jaxdl.launch import flags


def complete():
    made = config.default()
    made.model.name = "mlp"
    made.epochs = 2.0
    return made


def changed(key, value):
    """A valid config but for ``config.<key>``, whatever ConfigDict would say of the value."""
    made = complete()
    *groups, last = key.split(".")
    node = made
    for group in groups:
        node = node[group]
    with node.unlocked(), node.ignore_type():
        node[last] = value
    return made


def refused(words, fn, *args):
    """Asserts that ``fn(*args)`` fails with one line that has all ``words``."""
    with pytest.raises(UserError) as caught:
        fn(*args)
    message = str(caught.value)
    assert "\n" not in message
    for word in words:
        assert word in message, message


# Settings


def test_the_defaults_are_valid_once_model_and_length_are_set():
    config.validate(complete())
    by_steps = complete()
    by_steps.epochs, by_steps.steps = None, 10
    config.validate(by_steps)


@pytest.mark.parametrize(
    "key, value",
    [
        ("epochs", 3),
        ("optimizer.learning_rate", 1),
        ("optimizer.momentum", 0.9),
        ("optimizer.momentum", None),
        ("optimizer.nesterov", True),
        ("optimizer.boundaries", (1.0, 2.0)),
        ("optimizer.boundaries", [1.0, 2.0]),
        ("parallel.data", 1),
        ("model.depth", 3),
        ("data.examples", 100),
        ("task.label_smoothing", 0.1),
    ],
)
def test_possible_values_are_accepted(key, value):
    config.validate(changed(key, value))


WRONG_VALUES = [
    ("seed", -1, "at least 0"),
    ("seed", 1.0, "a whole number"),
    ("seed", True, "a whole number"),
    ("seed", None, "a whole number"),
    ("batch_size", 0, "at least 1"),
    ("batch_size", "64", "a whole number"),
    ("epochs", 0.0, "above 0"),
    ("epochs", math.inf, "above 0"),
    ("epochs", math.nan, "above 0"),
    ("epochs", "ten", "a number"),
    ("ema", 1.0, "below 1"),
    ("ema", math.nan, "below 1"),
    ("precision", "bf1", "did you mean 'bf16'"),
    ("precision", 16, "a text"),
    ("data.split", "half", "did you mean 'halves'"),
    ("data.test_fraction", 1.0, "between 0 and 1"),
    ("data.eval_on", "tests", "did you mean 'test'"),
    ("augment.flip", 1, "true or false"),
    ("augment.crop", 0.0, "above 0"),
    ("augment.mixup", -0.1, "at least 0"),
    ("model.name", 3, "a text"),
    ("optimizer.learning_rate", 0.0, "above 0"),
    ("optimizer.learning_rate", (0.1,), "a number"),
    ("optimizer.momentum", "high", "a number"),
    ("optimizer.nesterov", 1, "true or false"),
    ("optimizer.groups", "head=10", "a tuple"),
    ("parallel.data", 0, "-1 or above 0"),
    ("parallel.data", -2, "-1 or above 0"),
    ("eval.batch_size", 0, "at least 1"),
]


@pytest.mark.parametrize("key, value, says", WRONG_VALUES)
def test_a_wrong_value_is_named_with_what_is_possible(key, value, says):
    refused([f"config.{key}=", repr(value), says], config.validate, changed(key, value))


@pytest.mark.parametrize(
    "key, near",
    [
        ("batchsize", "'batch_size'"),
        ("optimizer.learning_rat", "'learning_rate'"),
        ("checkpoint.kep", "'keep'"),
    ],
)
def test_an_unknown_key_is_named_with_the_nearest(key, near):
    refused([repr(key.split(".")[-1]), f"did you mean {near}"], config.validate, changed(key, 1))


@pytest.mark.parametrize("key", ["seed", "optimizer", "optimizer.l2", "data.name", "model.name"])
def test_a_missing_key_is_named(key):
    made = complete()
    *groups, last = key.split(".")
    node = made
    for group in groups:
        node = node[group]
    with node.unlocked():
        del node[last]
    refused([f"config.{key} is missing"], config.validate, made)


def test_a_value_in_place_of_a_group_is_named():
    refused(["config.optimizer", "learning_rate"], config.validate, changed("optimizer", "adam"))


def test_the_length_is_given_once():
    both = complete()
    both.steps = 10
    refused(["config.steps", "config.epochs", "epochs=2", "steps=10"], config.validate, both)
    neither = complete()
    neither.epochs = None
    refused(["config.epochs", "config.steps"], config.validate, neither)


def test_accumulate_divides_the_batch():
    made = complete()
    made.accumulate = 3
    refused(["config.accumulate=3", "config.batch_size=64"], config.validate, made)
    made.accumulate = 4
    config.validate(made)


def test_a_target_is_of_a_metric():
    made = complete()
    made.early_stopping.target = 475.0
    refused(["config.early_stopping.target=475", "metric"], config.validate, made)


def test_early_stopping_needs_a_best_metric():
    made = complete()
    made.early_stopping.metric, made.eval.best = "loss", ""
    refused(["config.early_stopping.metric", "config.eval.best"], config.validate, made)


def test_defaults_are_not_shared_between_configs():
    one = config.default()
    one.optimizer.l2 = 0.5
    assert config.default().optimizer.l2 == 0.0


def test_flatten_names_every_key_and_turns_tuples_into_lists():
    made = complete()
    made.model.hidden = (3, 4)
    flat = config.flatten(made)
    assert flat["model.hidden"] == [3, 4]
    assert flat["optimizer.no_decay"] == ["position", "class_token"]
    assert flat["steps"] is None
    assert flat["epochs"] == 2.0
    assert flat["log.layers"] is True
    assert set(flat) == all_keys() | {"model.hidden"}


def all_keys():
    keys = set()
    for name, key in config.KEYS.items():
        keys |= {f"{name}.{k}" for k in key} if isinstance(key, dict) else {name}
    return keys


def test_differences_name_what_matters_and_only_that():
    old, new = config.flatten(complete()), config.flatten(complete())
    assert config.differences(old, new) == []
    harmless = {
        "log.every": 7,
        "log.layers": False,
        "checkpoint.keep": 9,
        "parallel.data": 1,
        "steps_per_call": 8,
        "eval.batch_size": 3,
    }
    for key in harmless:
        assert key in new
    new.update(harmless)
    assert config.differences(old, new) == []
    new.update({"seed": 3, "optimizer.no_decay": [], "model.width": 5, "eval.every": 2})
    del new["augment.flip"]
    assert config.differences(old, new) == [
        "augment.flip: False → 'not set'",
        "eval.every: 0 → 2",
        "model.width: 'not set' → 5",
        "optimizer.no_decay: ['position', 'class_token'] → []",
        "seed: 0 → 3",
    ]
    # What a model got after the run began is as it comes.
    old, new = dict(old), {**old, "model.pooling": "first", "model.depth": 3}
    usual = {"model.pooling": "first", "model.depth": 2}
    assert config.differences(old, new, usual) == ["model.depth: 'not set' → 3"]


def test_a_run_of_before_there_was_a_setting_goes_on():
    new, come = config.flatten(complete()), config.flatten(config.default())
    for key in (key for key in come if new[key] == come[key]):
        old = {name: value for name, value in new.items() if name != key}
        assert config.differences(old, new) == [], key


def test_the_table_for_help_has_every_key_with_its_default_and_meaning():
    rows = {line.split()[0]: line for line in config.describe().splitlines()}
    assert set(rows) == all_keys()
    assert "64" in rows["batch_size"]
    assert config.KEYS["batch_size"].help in rows["batch_size"]
    assert "(float)" in rows["epochs"]
    assert "'adamw'" in rows["optimizer.name"]
    assert "auto | float32 | bf16" in rows["precision"]


# The command line

EXPERIMENT = """
from jaxdl import config
from jaxdl.registry import choose

def get_config(variant="small"):
    width = choose("variant", variant, {"small": 3, "large": 30})
    made = config.default()
    made.epochs = 2.0
    made.model = dict(name="mlp", hidden=(width,))
    return made
"""


@pytest.fixture
def experiment(tmp_path):
    file = tmp_path / "experiment.py"
    file.write_text(EXPERIMENT)
    return str(file)


@pytest.mark.parametrize(
    "key, text, value",
    [
        ("batch_size", "32", 32),
        ("epochs", "3", 3.0),
        ("optimizer.learning_rate", "1e-4", 1e-4),
        ("optimizer.momentum", ".9", 0.9),
        ("optimizer.nesterov", "true", True),
        ("optimizer.nesterov", "False", False),
        ("augment.flip", "True", True),
        ("data.path", "true", "true"),
        ("data.path", "none", "none"),
        ("data.path", "a=b", "a=b"),
        ("data.path", "", ""),
        ("steps", "none", None),
        ("optimizer.momentum", "None", None),
        ("optimizer.boundaries", "1.5", (1.5,)),
        ("optimizer.boundaries", "1.5,3", (1.5, 3)),
        ("optimizer.boundaries", "(1.5, 3)", (1.5, 3)),
        ("optimizer.boundaries", "[1.5]", (1.5,)),
        ("optimizer.no_decay", "()", ()),
        ("optimizer.no_decay", "", ()),
        ("optimizer.no_decay", "bias", ("bias",)),
        ("optimizer.groups", "head=10,^block_0/=0", ("head=10", "^block_0/=0")),
        ("optimizer.groups", "('head=10',)", ("head=10",)),
        ("model.hidden", "5,6", (5, 6)),
    ],
)
def test_overrides_are_read_as_the_keys_type(experiment, key, text, value):
    options = flags.parse([f"--config={experiment}", f"--config.{key}={text}"])
    found = config.flatten(options.config)[key]
    found = tuple(found) if isinstance(found, list) else found
    assert found == value
    assert type(found) is type(value)
    # All else is as the file says.
    plain = config.flatten(flags.parse([f"--config={experiment}"]).config)
    given = config.flatten(options.config)
    assert {k: v for k, v in given.items() if k != key} == {
        k: v for k, v in plain.items() if k != key
    }


def test_flags_and_values_may_stand_apart(experiment):
    settings = "--config.parallel.data -1 --config.augment.flip --config.seed 5"
    others = "--workdir runs/a --mode evaluate --debug"
    options = flags.parse(["--config", experiment, *settings.split(), *others.split()])
    assert (options.file, options.workdir, options.mode) == (experiment, "runs/a", "evaluate")
    assert (options.debug, options.accept_changes) == (True, False)
    assert (options.help, options.list) == (False, False)
    assert options.config.parallel.data == -1
    assert options.config.augment.flip is True
    assert options.config.seed == 5


@pytest.mark.parametrize(
    "argument, expected", [("--debug", True), ("--debug=true", True), ("--debug=false", False)]
)
def test_a_switch_is_on_when_bare(experiment, argument, expected):
    assert flags.parse([f"--config={experiment}", argument]).debug is expected


def test_the_usual_mode_is_train_and_the_variant_is_chosen(experiment):
    assert flags.parse([f"--config={experiment}"]).mode == "train"
    assert flags.parse([f"--config={experiment}"]).config.model.hidden == (3,)
    assert flags.parse([f"--config={experiment}:large"]).config.model.hidden == (30,)


@pytest.mark.parametrize("argv", [[], ["--help"], ["-h"], ["--config=none.py", "--help"]])
def test_help_needs_no_config(argv):
    options = flags.parse(argv)
    assert options.help
    assert options.config is None


def test_list_needs_no_config():
    options = flags.parse(["--list"])
    assert options.list
    assert not options.help


@pytest.mark.parametrize(
    "arguments, words",
    [
        (["--wrokdir=x"], ["--wrokdir", "did you mean 'workdir'"]),
        (["--mode=evaluat"], ["--mode", "'evaluat'", "did you mean 'evaluate'"]),
        (["--config.epoch=3"], ["'epoch'", "did you mean 'epochs'"]),
        (
            ["--config.optimizer.learning_rte=3"],
            ["config.optimizer", "did you mean 'learning_rate'"],
        ),
        (["--config.optimiser.l2=3"], ["'optimiser'", "did you mean 'optimizer'"]),
        (["--config.seed.first=3"], ["config.seed is a single value", "'first'"]),
        (["--config.optimizer=sgd"], ["config.optimizer is a group", "learning_rate"]),
        (["--config.batch_size=3.5"], ["config.batch_size='3.5'", "a whole number"]),
        (["--config.batch_size=many"], ["config.batch_size='many'", "a whole number"]),
        (["--config.batch_size"], ["config.batch_size", "a whole number"]),
        (["--config.batch_size=true"], ["config.batch_size='true'", "a whole number"]),
        (["--config.batch_size={[]: 1}"], ["config.batch_size=", "a whole number"]),
        (["--config.optimizer.learning_rate=fast"], ["learning_rate='fast'", "a number"]),
        (["--config.augment.flip=1"], ["config.augment.flip='1'", "true or false"]),
        (["--config.="], ["''"]),
        (["stray"], ["'stray'", "--config.KEY=VALUE"]),
    ],
)
def test_a_wrong_argument_is_told_in_one_line(experiment, arguments, words):
    refused(words, flags.parse, [f"--config={experiment}", *arguments])


def test_a_key_that_may_not_be_unset_is_named(experiment):
    def parse_and_check():
        config.validate(flags.parse([f"--config={experiment}", "--config.batch_size=none"]).config)

    refused(["config.batch_size", "a whole number"], parse_and_check)


def test_the_experiment_is_named_when_it_is_missing(experiment, tmp_path):
    refused(["--config is missing"], flags.parse, ["--workdir=x"])
    wrong = str(tmp_path / "experimnt.py")
    refused([wrong, "no such file", repr(experiment)], flags.parse, [f"--config={wrong}"])
    refused(["'smal'", "did you mean 'small'"], flags.parse, [f"--config={experiment}:smal"])


MISTAKES = {
    "a name": ("x = 1\n\n\ny = oops + 1\n", ["NameError", "'oops'", "line 4"]),
    "syntax": ("x = 1\ndef get_config(:\n", ["SyntaxError", "line 2"]),
    "an import": ("\nimport no_such_module\n", ["no_such_module", "line 2"]),
    "within get_config": (
        "def get_config():\n    x = [1]\n    return x[3]\n",
        ["IndexError", "line 3"],
    ),
    "a misspelt key": (
        "from jaxdl import config\ndef get_config():\n    c = config.default()\n"
        "    c.optimizr.l2 = 1.0\n    return c\n",
        ["AttributeError", "optimizr", "optimizer", "line 4"],
    ),
    "a wrong type": (
        "from jaxdl import config\ndef get_config():\n    c = config.default()\n"
        "    c.batch_size = 'many'\n    return c\n",
        ["TypeError", "batch_size", "line 4"],
    ),
    "many lines": ("raise ValueError('first\\nsecond')\n", ["ValueError: first", "line 1"]),
    "no get_config": ("x = 1\n", ["get_config()"]),
    "no config": ("def get_config():\n    return {}\n", ["dict", "ConfigDict"]),
    "no variants": ("def get_config(variant):\n    return variant\n", ["TypeError", "variant"]),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_in_an_experiment_is_told_with_its_line(tmp_path, mistake):
    text, words = MISTAKES[mistake]
    file = tmp_path / "mistaken.py"
    file.write_text(text)
    refused([str(file), *words], flags.parse, [f"--config={file}"])


# Modules of ml_collections and jaxdl end in these names too.
@pytest.mark.parametrize("name", ["dict.py", "config.py"])
def test_the_line_is_the_experiments_own_whatever_its_name(tmp_path, name):
    file = tmp_path / name
    file.write_text(
        "from ml_collections import ConfigDict\n\n\ndef get_config():\n"
        "    return ConfigDict().missing\n"
    )
    refused([str(file), "line 5"], flags.parse, [f"--config={file}"])


def test_an_error_that_already_tells_the_user_is_passed_on(tmp_path):
    file = tmp_path / "strict.py"
    file.write_text("from jaxdl.errors import UserError\nraise UserError('too large for here')\n")
    with pytest.raises(UserError, match=r"^too large for here$"):
        flags.parse([f"--config={file}"])


def test_the_config_of_the_file_may_be_any_config_dict(tmp_path):
    file = tmp_path / "bare.py"
    file.write_text(
        "from ml_collections import ConfigDict\n\n\ndef get_config():\n"
        "    return ConfigDict({'seed': 1})\n"
    )
    assert isinstance(config_files.load(str(file)), ConfigDict)
    refused(["missing"], config.validate, config_files.load(str(file)))
