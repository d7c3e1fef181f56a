"""Answers that stand in a text: spans against all there are, figures against NumPy."""

import ast
import json

import jax
import numeric
import numpy as np
import pytest
from test_tagged_texts import CONTEXT, LION, NOBODY, refused, squad_file

from jaxdl import config, experiment, keys
from jaxdl.data import signatures, standard_library
from jaxdl.metrics import spans
from jaxdl.tasks import question_answering
from jaxdl.train.evaluate import Evaluator

KEY = keys.root(0)

ASKED = (
    LION,
    {"question": "How long?", "answers": [{"text": "20 hours", "answer_start": 33}]},
    NOBODY,
)


def settings(folder, *asked, **changed):
    """A config of a small reader of questions on one text, in windows of it."""
    folder = folder / "asked"
    folder.mkdir(exist_ok=True)
    for name in ("train.json", "dev.json"):
        squad_file(folder, *(asked or ASKED), name=name)
    made = config.default()
    made.steps, made.batch_size, made.parallel.data = 2, 4, 1
    made.model = dict(name="bert", depth=1, width=8, heads=2)
    made.task = dict(name="question_answering", longest=9)
    made.data.update(
        name="squad", path=str(folder), context=40, stride=12, question=16, tokenizer="",
        test_fraction=0.5,
    )  # fmt: skip
    made.eval.best, made.log.layers, made.optimizer.name = "f1", False, "sgd"
    with made.ignore_type():
        made.update_from_flattened_dict(changed)
    return made


@pytest.mark.parametrize("longest", [1, 3, 20])
def test_the_best_span_is_the_best_of_all(longest):
    rng = np.random.default_rng(longest)
    logits = rng.standard_normal((6, 12, 2)).astype(np.float32)
    allowed = rng.random((6, 12)) < 0.6
    allowed[0] = False
    found = question_answering.best(logits, allowed, longest)
    for row in range(1, 6):
        every = {
            (i, j): logits[row, i, 0] + logits[row, j, 1]
            for i in np.flatnonzero(allowed[row])
            for j in np.flatnonzero(allowed[row])
            if i <= j < i + longest
        }
        top = max(every, key=every.get)
        assert (int(found.first[row]), int(found.last[row])) == top
        assert float(found.score[row]) == pytest.approx(every[top], rel=1e-6)
        assert float(found.nowhere[row]) == pytest.approx(logits[row, 0].sum(), rel=1e-6)
    assert float(found.score[0]) < -1e8  # nothing is allowed


def test_figures_are_those_of_the_best_window_of_each_question(tmp_path):
    made = experiment.create(settings(tmp_path, **{"eval.batch_size": 5}))
    state = made.init_state()
    state = state._replace(params=jax.tree.map(lambda x: 30 * x, state.params))
    found, split = Evaluator(made)(state), made.run.data.test
    assert len(split) > 2 * len(split.questions)
    batch = split.take(np.arange(len(split)))
    logits = np.asarray(jax.jit(made.task.eval_step.__wrapped__.args[0])(state, batch), np.float64)
    p = [numeric.softmax(np.where(batch["mask"], logits[..., i], -np.inf)) for i in range(2)]
    rows = np.arange(len(split))
    nats = -np.log([p[0][rows, batch["start"]], p[1][rows, batch["end"]]])
    assert found["loss"] == pytest.approx(nats.mean(), rel=1e-5)
    hits = (p[0].argmax(1) == batch["start"]) & (p[1].argmax(1) == batch["end"])
    assert found["accuracy"] == pytest.approx(hits.mean())
    exact, f1, answers = [], [], []
    for i, question in enumerate(split.questions):
        options = {"": min(logits[w, 0].sum() for w in np.flatnonzero(split.owner == i))}
        for w in np.flatnonzero(split.owner == i):
            for first in np.flatnonzero(batch["allowed"][w]):
                for last in range(first, min(first + 9, 40)):
                    if batch["allowed"][w, last]:
                        text = split.windows[w].text(question.context, first, last)
                        score = logits[w, first, 0] + logits[w, last, 1]
                        options[text] = max(score, options.get(text, -np.inf))
        said = max(options, key=options.get)
        answers.append(said)
        right = [answer.text for answer in question.answers]
        exact.append(spans.exact_match(said, right))
        f1.append(spans.f1(said, right))
    assert found["exact_match"] == pytest.approx(np.mean(exact))
    assert found["f1"] == pytest.approx(np.mean(f1))
    assert found["f1_answerable"] == pytest.approx(np.mean(f1[:2]))
    assert found["accuracy_unanswerable"] == exact[2]
    # As a user's questions the same get the same answers.
    rows = [{"question": q["question"], "context": CONTEXT, "id": i} for i, q in enumerate(ASKED)]
    (tmp_path / "asked.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    told = made.task.answer(state, str(tmp_path / "asked.jsonl"), 5)
    assert [said.record["answer"] for said in told] == answers
    assert told[1].record["id"] == 1
    assert b"sleeps" in made.task.artifacts(state, split, KEY)["Answered worst"].data


@pytest.mark.parametrize("asked, answers", [((LION,), True), (ASKED, False)])
def test_there_is_always_an_answer_where_none_was_missing_in_training(tmp_path, asked, answers):
    made = experiment.create(settings(tmp_path, *asked))
    state, split = made.init_state(), made.run.data.test
    # [CLS] is the likeliest place for everything.
    each = lambda state, batch, key: question_answering.Best(
        *(np.full(len(batch["start"]), x) for x in (1.0, split.windows[0].offset, 24, 5.0))
    )
    said = question_answering._said(each, 4, made.run.data.train.answerable, state, split)
    assert [bool(text) for text in said] == [answers] * len(asked)


def test_eight_devices_learn_and_evaluate_as_one_does(tmp_path):
    found = []
    for devices in (1, 8):
        made = experiment.create(
            settings(tmp_path, **{"batch_size": 8, "parallel.data": devices, "eval.batch_size": 3})
        )
        batch = made.layout.put(made.batch(0), 8)
        with jax.set_mesh(made.layout.mesh):
            state, _ = jax.jit(made.task.train_step)(made.init_state(), batch, KEY)
        found.append((state, Evaluator(made)(state)))
    (one, a), (eight, b) = found
    assert a == {name: pytest.approx(figure, rel=1e-5) for name, figure in b.items()}
    for x, y in zip(jax.tree.leaves(one), jax.tree.leaves(eight), strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-4, atol=1e-6)


MISFITS = {
    "gpt": (dict(model=dict(name="gpt")), "needs a model that reads whole texts, such as 'bert'"),
    "output": ({"model.output": "tagger"}, "config.model.output=tagger must be span"),
    "longest": ({"task.longest": 0}, "config.task.longest=0 must be at least 1"),
    "data": ({"data": dict(config.default().data, name="digits")}, "learns from 'allowed', and"),
}


@pytest.mark.parametrize("case", MISFITS)
def test_parts_that_do_not_fit_are_one_clear_line(tmp_path, case):
    changed, said = MISFITS[case]
    refused(said, lambda: experiment.create(settings(tmp_path, **changed)))


SOURCE = '''
def pop(self, index, *, default: int=-1):
    """Remove and return an item. Or raise.

    More.
    """
def clear(self):
    """Remove all items"""
def unsaid(a): pass
'''


def test_questions_on_functions_are_answered_by_the_parser():
    module = standard_library.Module("own", "own.py", SOURCE, ast.parse(SOURCE))
    found = list(signatures.of_module(module))
    pop = "pop(self, index, *, default: int=-1): Remove and return an item."
    assert {question.context for question in found} == {pop, "clear(self): Remove all items"}
    answers = {(q.context[:3], q.question): [a.text for a in q.answers] for q in found}
    assert answers == {
        ("pop", "What is it called?"): ["pop"],
        ("pop", "What does it do?"): ["Remove and return an item."],
        ("pop", "First parameter?"): ["index"],
        ("pop", "Last parameter?"): ["default"],
        ("pop", "Default value?"): ["-1"],
        ("cle", "What is it called?"): ["clear"],
        ("cle", "What does it do?"): ["Remove all items"],
        ("cle", "First parameter?"): [],
        ("cle", "Last parameter?"): [],
        ("cle", "Default value?"): [],
    }
    for question in found:
        for text, start in question.answers:
            assert question.context[start:].startswith(text)
    assert CONTEXT[LION["answers"][0]["answer_start"] :].startswith("A lion")
