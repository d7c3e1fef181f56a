"""Tags of words: figures against NumPy, and what does not fit."""

import json

import jax
import numeric
import numpy as np
import pytest
import tiny
from launching import run
from test_tagged_texts import TEXT, column_file, refused

from jaxdl import config, experiment, keys
from jaxdl.data import Arrays, source_names, standard_library
from jaxdl.data.tagged import IGNORED
from jaxdl.metrics import entities
from jaxdl.tasks import token_classification
from jaxdl.tasks.shared import classified
from jaxdl.train.evaluate import Evaluator

KEY = keys.root(0)


def settings(folder, **changed):
    """A config of a small tagger on a file of columns."""
    made = config.default()
    made.steps, made.batch_size, made.parallel.data = 2, 2, 1
    made.optimizer.name = "sgd"
    made.model = dict(name="bert", depth=1, width=8, heads=2)
    made.task = dict(name="token_classification")
    made.data.update(
        name="conll", path=str(column_file(folder)), context=12, test_fraction=0.5, tokenizer=""
    )
    made.eval.best, made.log.layers = "f1", False
    with made.ignore_type():
        made.update_from_flattened_dict(changed)
    return made


def test_figures_are_those_of_every_word(tmp_path):
    # The parts change places: the one that is measured on has a sentence that is cut.
    folder = tmp_path / "parts"
    folder.mkdir()
    column_file(folder)
    column_file(folder, TEXT.replace("York NNP I-NP E-LOC", "York NNP I-NP S-ORG"), "test.txt")
    made = experiment.create(settings(tmp_path, **{"data.path": str(folder), "eval.batch_size": 2}))
    state = made.init_state()
    # Of larger weights, so that it says different things.
    state = state._replace(params=jax.tree.map(lambda x: 30 * x, state.params))
    found = Evaluator(made)(state)
    split, names = made.run.data.test, made.run.data.class_names
    batch = split.take(np.arange(len(split)))
    logits = np.asarray(jax.jit(made.task.eval_step.__wrapped__.args[0])(state, batch), np.float64)
    counts = batch["labels"] != IGNORED
    assert counts.sum(axis=1).tolist() == [2, 2, 1]
    p = numeric.softmax(logits)[counts]
    labels = batch["labels"][counts]
    assert found["loss"] == pytest.approx(-np.log(p[np.arange(5), labels]).mean(), rel=1e-5)
    assert found["accuracy"] == pytest.approx((p.argmax(1) == labels).mean())
    # Words that are cut off are outside, and what is there counts.
    best = logits.argmax(-1)
    said = [[names[i] for i in best[row][counts[row]]] for row in range(3)]
    said[0] += ["O", "O"]
    true = [["B-ORG", "O", "B-LOC", "B-ORG"], ["O", "B-ORG"], ["B-LOC"]]
    total = entities.together(entities.counts(true, said))
    assert total.true == 5
    assert total.found > 0
    wanted = {"f1": total.f1, "precision": total.precision, "recall": total.recall}
    assert {name: found[name] for name in wanted} == wanted
    # As a user's texts the same sentences get the same tags.
    (tmp_path / "texts.txt").write_text("EU rejects New York\n# Löwe\n\nParis\n", "utf-8")
    answers = made.task.answer(state, str(tmp_path / "texts.txt"), 2)
    assert [answer.record["tags"] for answer in answers] == [*said[:2], [], said[2]]
    assert answers[2][:2] == ("-", {"words": [], "tags": []})
    pictures = made.task.artifacts(state, split, KEY)
    assert pictures["Entities"].splitlines()[-1].split()[-1] == "5"
    assert b"Paris" in pictures["Said and true"].data
    assert "Calibration" not in pictures  # of five words
    many = Arrays({name: np.tile(array, (9, 1)) for name, array in batch.items()})
    sure = made.task.artifacts.args[1](state, many)["Calibration"]
    counted = np.tile(logits, (9, 1, 1))[np.tile(counts, (9, 1))], np.tile(labels, 9)
    assert sure.caption == classified.calibrated(*counted)["Calibration"].caption


def test_a_description_names_the_entities():
    words, tags = ["EU", "in", "New", "York"], ["B-ORG", "O", "B-LOC", "I-LOC"]
    found = token_classification.describe(words, tags)
    assert found.text == "ORG: EU  LOC: New York"


def test_words_of_a_file_are_tagged_in_columns(tmp_path, capsys):
    folder = tmp_path / "run"
    shortest = (*tiny.FLAGS["bert:tag"], "--config.steps=1", "--config.eval.every=1")
    assert run("bert:tag", folder, *shortest) == 0
    (tmp_path / "texts.txt").write_text("import os . path\n\nx = f ( 1 )\n")
    capsys.readouterr()
    flags = ("--mode=predict", f"--input={tmp_path / 'texts.txt'}")
    assert run("bert:tag", folder, *shortest, *flags) == 0
    assert f"predictions {folder / 'predictions.conll'}" in capsys.readouterr().out
    columns = (folder / "predictions.conll").read_text().split("\n")
    assert [line.split("\t")[0] for line in columns] == [
        *("import", "os", ".", "path", "", "", "x", "=", "f", "(", "1", ")", "", "")
    ]
    records = [json.loads(x) for x in (folder / "predictions.jsonl").read_text().splitlines()]
    assert [line.split("\t")[1] for line in columns if line] == [
        tag for record in records for tag in record["tags"]
    ]


MISFITS = {
    "gpt": (dict(model=dict(name="gpt")), "needs a model that reads whole texts, such as 'bert'"),
    "classes": ({"model.num_classes": 4}, "config.model.num_classes=4 must be 5"),
    "context": ({"model.context": 8}, "config.model.context=8 must be at least 12"),
    "tokens": ({"model.vocab_size": 256}, "config.model.vocab_size=256 must be at least 260"),
    "data": ({"data": dict(config.default().data, name="digits")}, "learns from 'labels', and"),
}


@pytest.mark.parametrize("case", MISFITS)
def test_parts_that_do_not_fit_are_one_clear_line(tmp_path, case):
    changed, said = MISFITS[case]
    refused(said, lambda: experiment.create(settings(tmp_path, **changed)))


SOURCE = """
import os.path, sys
from a.b import c
class Small(Base, other.Base):
    def get(self, key, *, best=None):
        raise errors.KeyError(key, far="a b")
        self.x, y = os.path.join(key, sep=1), lambda z: 0
        print(f"{key}")
"""

TAGS = {
    "import os . path , sys": "O B-MODULE I-MODULE I-MODULE O B-MODULE",
    "from a . b import c": "O B-MODULE I-MODULE I-MODULE O O",
    "class Small ( Base , other . Base ) :": "O B-CLASS O B-CLASS O B-CLASS I-CLASS I-CLASS O O",
    "def get ( self , key , * , best = None ) :": "O B-FUNCTION O B-PARAMETER O B-PARAMETER O O O "
    "B-PARAMETER O O O O",
    'raise errors . KeyError ( key , far = "" )': "O B-CLASS I-CLASS I-CLASS O O O B-PARAMETER O O "
    "O",
    "self . x , y = os . path . join ( key , sep = 1 ) , lambda z : 0": "B-VARIABLE I-VARIABLE "
    "I-VARIABLE O B-VARIABLE O B-FUNCTION I-FUNCTION I-FUNCTION I-FUNCTION I-FUNCTION O O O "
    "B-PARAMETER O O O O O B-PARAMETER O O",
}


def test_names_in_code_are_tagged_by_the_parser():
    import ast

    module = standard_library.Module("own", "own.py", SOURCE, ast.parse(SOURCE))
    found = {" ".join(s.words): " ".join(s.tags) for s in source_names.statements(module)}
    assert found == TAGS


def test_eight_devices_learn_and_evaluate_as_one_does(tmp_path):
    column_file(tmp_path, TEXT * 8, "many.txt")
    many = {"data.path": str(tmp_path / "many.txt"), "data.test_fraction": 0.3, "batch_size": 8}
    found = []
    for devices in (1, 8):
        made = experiment.create(settings(tmp_path, **many, **{"parallel.data": devices}))
        batch = made.layout.put(made.batch(0), 8)
        with jax.set_mesh(made.layout.mesh):
            state, _ = jax.jit(made.task.train_step)(made.init_state(), batch, KEY)
        assert len(jax.tree.leaves(state)[0].sharding.device_set) == devices
        found.append((state, Evaluator(made)(state)))
    (one, a), (eight, b) = found
    assert a == {name: pytest.approx(figure, rel=1e-5) for name, figure in b.items()}
    for x, y in zip(jax.tree.leaves(one), jax.tree.leaves(eight), strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-4, atol=1e-6)
