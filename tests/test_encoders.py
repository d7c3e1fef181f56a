"""Runs on texts that begin with an encoder's weights: of a run, of a published folder, or none."""

import shutil
from pathlib import Path

import jax
import numpy as np
import pytest
from launching import built
from test_encoded_texts import WORDS
from test_rows import written

from jaxdl import experiment, models, pretrained
from jaxdl.errors import UserError
from jaxdl.runs import checkpoint

TEXTS = [f"{word} {i}" for i in range(10) for word in ("red", "green")]
LABELS = ["red", "green"] * 10


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    path = written(tmp_path_factory.mktemp("texts") / "a.csv", TEXTS, LABELS)
    return ("--config.data.name=labelled_texts", f"--config.data.path={path}")


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """A folder of a small masked language model of bytes."""
    folder = tmp_path_factory.mktemp("published") / "bert"
    module = models.create("bert", vocab_size=260, context=20, width=16, depth=1, heads=2,
                           segment_types=1)  # fmt: skip
    tokens = np.zeros((1, 4), np.int32)
    variables = jax.jit(lambda key: module.init(key, tokens))(jax.random.key(5))
    pretrained.save(module, variables, folder)
    return folder, variables["params"]


def begun(source, table, *more, name="bert:classify"):
    """The parameters that a run begins with."""
    made = built(name, *table, f"--config.pretrained.source={source}", *more)
    made.task.check()
    return made, made.init_state().params


def same(found, wanted, head=("head", "pooler")):
    """All but the head is what it was."""
    assert set(wanted) - {*head} <= set(found)
    for name in set(wanted) - {*head}:
        jax.tree.map(np.testing.assert_array_equal, found[name], wanted[name])


def test_a_published_folder_gets_a_new_head(published, table):
    folder, params = published
    made, found = begun(folder, table, "--config.data.context=18")
    same(found, params)
    assert found["head"]["kernel"].shape == (16, 2)
    assert "pooler" in found
    assert made.config.model.vocab_size == 260
    assert made.config.model.context == 20


def test_masked_modelling_goes_on_with_the_head_that_is_there(published):
    folder, params = published
    _, found = begun(folder, (), "--config.data.context=16", name="bert")
    same(found, params, head=())


def test_a_run_gets_a_new_head(finished, table):
    folder = finished("bert")
    state = checkpoint.restore(folder)
    _, found = begun(folder, table, "--config.data.context=18")
    same(found, state["average"][0])
    assert found["head"]["kernel"].shape == (16, 2)


def test_a_source_that_is_gone_is_missed_by_who_begins_alone(published, table, tmp_path):
    folder = shutil.copytree(published[0], tmp_path / "bert")
    made, _ = begun(folder, table, "--config.data.context=18")
    shutil.rmtree(folder)
    # As config.json has it, and as the command had it.
    again = experiment.create(made.config)
    assert again.abstract_state.params["head"]["kernel"].shape == (16, 2)
    with pytest.raises(UserError, match="bert"):
        again.task.check()
    with pytest.raises(UserError, match="bert"):
        begun(folder, table, "--config.data.context=18")


def test_what_does_not_fit_is_one_line(published, table, tmp_path):
    folder, _ = published
    refused = {
        "--config.data.context=30": "has positions for 20 tokens, and examples have 30: lower",
        "--config.model.width=32": "config.model.width=32, but .* has 16",
    }
    for flag, message in refused.items():
        with pytest.raises(UserError, match=message) as caught:
            begun(folder, table, flag)
        assert "\n" not in str(caught.value)


def test_another_tokenizer_is_refused(published, table, tmp_path):
    from tokenizers import Tokenizer, models, pre_tokenizers

    folder = Path(shutil.copytree(published[0], tmp_path / "bert"))
    for name, size in (("own", 5), ("other", 6)):
        made = Tokenizer(models.WordLevel({w: i for i, w in enumerate(WORDS[:size])}, WORDS[0]))
        made.pre_tokenizer = pre_tokenizers.Whitespace()
        made.save(str(tmp_path / f"{name}.json"))
    shutil.copy(tmp_path / "own.json", folder / "tokenizer.json")
    with pytest.raises(UserError, match=r"data.tokenizer='' is not the tokenizer of"):
        begun(folder, table, "--config.data.context=18")
    with pytest.raises(UserError, match=r"other.json' is not the tokenizer of"):
        begun(
            folder, table, "--config.data.context=18",
            f"--config.data.tokenizer={tmp_path / 'other.json'}",
        )  # fmt: skip
    begun(
        folder, table, "--config.data.context=18",
        f"--config.data.tokenizer={tmp_path / 'own.json'}",
    )  # fmt: skip


def test_what_reads_no_whole_texts_is_refused_by_name(tmp_path, table):
    folder = tmp_path / "gpt"
    module = models.create("gpt", vocab_size=260, context=20, width=16, depth=1, heads=2)
    variables = jax.jit(module.init)(jax.random.key(0), np.zeros((1, 2), np.int32))
    pretrained.save(module, variables, folder)
    # The second's fields are GPT's too.
    for name, data in (("bert:classify", table), ("bert", ())):
        says = "needs a model that reads whole texts, such as 'bert', not the GPT of .*gpt$"
        with pytest.raises(UserError, match=says):
            begun(folder, data, "--config.data.context=16", name=name)
