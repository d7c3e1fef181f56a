"""Words with tags and questions with answers as data: files good and bad, labels, windows."""

import json

import numpy as np
import pytest
from test_text import trained

from jaxdl import config, data
from jaxdl.data import conll, encoded_texts, squad, tokens
from jaxdl.data.questions import Answer, Question, Reader, span
from jaxdl.data.tagged import IGNORED
from jaxdl.errors import UserError


def load(name, path, **changed):
    settings = {**config.default().data.to_dict(), "name": name, "path": str(path), **changed}
    return data.load({"test_fraction": 0.1, **settings})


def refused(said, load, *arguments, **changed):
    with pytest.raises(UserError) as caught:
        load(*arguments, **changed)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


# Words and tags

TEXT = """-DOCSTART- -X- O O

EU NNP I-NP S-ORG
rejects VBZ I-VP O
New NNP I-NP B-LOC
York NNP I-NP E-LOC

# a comment of five words
# SYM O O
Löwe NN I-NP S-ORG

-DOCSTART- -X- O O

Paris NNP I-NP S-LOC
"""


def column_file(folder, text=TEXT, name="train.txt"):
    file = folder / name
    file.write_text(text, encoding="utf-8")
    return file


def test_columns_are_read_as_sentences(tmp_path):
    first, second, third = conll.read(column_file(tmp_path))
    assert first.words == ["EU", "rejects", "New", "York"]
    assert first.tags == ["S-ORG", "O", "B-LOC", "E-LOC"]
    assert second.words == ["#", "Löwe"]  # as many columns as others, and a tag: no comment
    assert third.words == ["Paris"]
    assert [s.document for s in (first, second, third)] == [1, 1, 2]
    assert third.where == f"{tmp_path / 'train.txt'}, line 14"
    tabs = column_file(tmp_path, "\ufeffEU\tB-ORG\r\nrejects it\tO\r\n\t\r\nParis\tB-LOC\r\n")
    assert [(s.words, s.tags) for s in conll.read(tabs)] == [
        (["EU", "rejects it"], ["B-ORG", "O"]),
        (["Paris"], ["B-LOC"]),
    ]


@pytest.mark.parametrize("pieces", [False, True])
def test_labels_stand_at_the_first_token_of_each_word(tmp_path, pieces):
    path = trained(tmp_path) if pieces else ""
    found = load("conll", column_file(tmp_path), context=24, tokenizer=path, test_fraction=0.3)
    assert found.class_names == ("O", "B-LOC", "I-LOC", "B-ORG", "I-ORG")
    assert [s.words for s in found.test.sentences] == [["Paris"]]  # the second document
    made, batch = tokens.create(path), found.train.take(np.arange(2))
    for row, sentence in enumerate(found.train.sentences):
        labels, ids = batch["labels"][row], batch["tokens"][row]
        at = np.flatnonzero(labels != IGNORED)
        assert [found.class_names[i] for i in labels[at]] == sentence.tags
        # From one first token to before the next stands a word, with the space behind or before it.
        ends = [*at[1:], batch["mask"][row].sum() - 1]
        for word, start, end in zip(sentence.words, at, ends, strict=True):
            assert made.decode(ids[start:end]).strip() == word
    assert found.train.sentences[0].tags == ["B-ORG", "O", "B-LOC", "I-LOC"]
    assert found.train.tags_of(batch["labels"], found.class_names) == [
        sentence.tags for sentence in found.train.sentences
    ]
    assert found.notes == ()


def test_words_that_are_cut_off_are_outside(tmp_path):
    found = load("conll", column_file(tmp_path), context=12, test_fraction=0.3)
    assert found.notes == (
        "1 of 3 texts are longer than data.context=12 has room for, and were cut: 29.0% of all "
        "tokens",
    )
    batch = found.train.take(np.arange(2))
    assert (batch["labels"][0] != IGNORED).sum() == 2
    said = found.train.tags_of(np.where(batch["labels"] == IGNORED, 3, batch["labels"]), "OabcD")
    assert said[0][2:] == ["O", "O"]


def test_a_folder_has_a_file_a_part(tmp_path):
    for name in ("eng.train", "eng.testa", "eng.testb"):
        column_file(tmp_path, TEXT, name)
    found = load("conll", tmp_path)
    assert [len(part) for part in (found.train, found.validation, found.test)] == [3, 3, 3]
    chosen = load("conll", tmp_path, eval_on="validation")
    assert chosen.validation is None
    column_file(tmp_path, TEXT.replace("S-LOC", "S-LOK"), "eng.testb")
    refused("line 14: no entity of the training part is 'LOK': did you mean 'LOC'",
            load, "conll", tmp_path)  # fmt: skip


COLUMNS = {
    "": "has no words with tags",
    "EU\n": "line 1: 'EU' has no tag",
    "EU B-ORG\nrejects VBZ O\n": "line 2: 3 columns, but other lines have 2",
    "EU ORG\n": "line 1: 'ORG' is no tag such as O, B-PER",
    "EU B-ORG\n\trejects\tO\n": "line 2: 3 columns, but other lines have 2",
    "EU\tB-ORG\n\tO\n": "line 2: the first column, the word, is empty",
    "EU O\n\nParis O\n": "all words of the training part are outside: no tag to learn",
    "EU B-ORG\n": "1 example cannot be cut into two parts",
}


@pytest.mark.parametrize("text", COLUMNS)
def test_broken_columns_are_one_clear_line(tmp_path, text):
    refused(COLUMNS[text], load, "conll", column_file(tmp_path, text))


def test_paths_without_data_are_one_clear_line(tmp_path):
    refused("data.path='' is no file or folder", load, "conll", "")
    refused("has no file called train", load, "conll", tmp_path)
    (tmp_path / "a.txt").write_bytes(b"\xff O\n")
    refused("is not UTF-8 text", load, "conll", tmp_path / "a.txt")
    for name in ("train.txt", "train.bio"):
        column_file(tmp_path, TEXT, name)
    refused("more than one file of train: train.bio and train.txt", load, "conll", tmp_path)
    refused("data.context=2 must be at least 3", load, "conll", tmp_path / "train.txt", context=2)


# Questions and answers

CONTEXT = "Die Löwin schläft. A lion sleeps 20 hours a day, says Anna."
LION = {"question": "Who sleeps?", "id": "a",
        "answers": [{"text": "A lion", "answer_start": 19},
                    {"text": "lion", "answer_start": 21}]}  # fmt: skip
NOBODY = {"question": "Who eats?", "id": "b", "is_impossible": True, "answers": [],
          "plausible_answers": [{"text": "Anna", "answer_start": 54}]}  # fmt: skip


def squad_file(folder, *asked, name="train-v2.0.json", context=CONTEXT):
    articles = [{"title": "", "paragraphs": [{"context": context, "qas": [q]}]} for q in asked]
    file = folder / name
    file.write_text(json.dumps({"version": "v2.0", "data": articles}))
    return file


def test_squad_is_read(tmp_path):
    lion, nobody = squad.read(squad_file(tmp_path, LION, NOBODY))
    assert lion.answers == (Answer("A lion", 19), Answer("lion", 21))
    assert (lion.question, lion.context, lion.name) == ("Who sleeps?", CONTEXT, "a")
    assert nobody.answers == ()
    assert (lion.document, nobody.document) == (0, 1)
    found = load("squad", squad_file(tmp_path, LION, NOBODY), context=64, stride=8, question=16)
    assert (found.train.answerable, found.test.answerable) == (True, False)
    assert found.train.about == {**dict(context=64, stride=8, question=16, answerable=True)}


@pytest.mark.parametrize("pieces", [False, True])
@pytest.mark.parametrize("stride", [4, 11])
def test_windows_cover_the_text_and_have_the_answer_where_it_is_whole(tmp_path, pieces, stride):
    made = tokens.create(trained(tmp_path) if pieces else "")
    reader = Reader(made, context=28, stride=stride, question=9)
    question = Question("Who is asleep?", CONTEXT, (Answer("20 hours", 33),))
    windows, lost = reader.windows(question.question, CONTEXT)
    assert lost == len(made.encode(question.question)) - 9
    batch = reader.arrays(windows)
    whole, special = made.encode(CONTEXT), encoded_texts.specials(made)
    seen = np.zeros(len(whole), bool)
    for window, ids, allowed in zip(windows, batch["tokens"], batch["allowed"], strict=True):
        assert ids[0] == special.cls
        part = slice(window.begin, window.begin + allowed.sum())
        np.testing.assert_array_equal(ids[allowed], whole[part])
        seen[part] = True
        first, last = span(question.answers[0], window)
        text = made.decode(whole[part])
        if "20 hours" not in text:
            assert (first, last) == (0, 0)
        else:
            assert allowed[[first, last]].all()
            assert window.text(CONTEXT, first, last).strip() == "20 hours"
    assert seen.all()
    assert any(span(question.answers[0], window) != (0, 0) for window in windows)


def changed(**answer):
    return {**LION, "answers": [{**LION["answers"][0], **answer}]}


SQUAD = {
    "shifted": (changed(answer_start=20), "answer 'A lion' is not at answer_start=20 of its "
                "context, where ' lion ' is: it begins at 19"),
    "negative": (changed(answer_start=-1), "not at answer_start=-1"),
    "behind": (changed(answer_start=99), "not at answer_start=99 of its context, where '' is"),
    "another": (changed(text="a tiger"), "it does not stand there at all"),
    "empty": (changed(text=""), "an answer is empty"),
    "number": (changed(answer_start="19"), "data[0].paragraphs[0].qas[0].answers[0] is not in "
               "SQuAD's format: 'answer_start' must be a whole number"),
    "no question": ({"answers": []}, "'question' must be a text"),
    "half a letter": ({**LION, "question": "\ud800"}, "it has half a letter"),
    "none": (NOBODY, "no question of the training part has an answer"),
}  # fmt: skip


@pytest.mark.parametrize("case", SQUAD)
def test_broken_questions_are_one_clear_line(tmp_path, case):
    asked, said = SQUAD[case]
    file = squad_file(tmp_path, asked, NOBODY)
    refused(said, load, "squad", file, context=64, stride=8, question=16)


def test_files_that_are_no_squad_are_one_clear_line(tmp_path):
    file = tmp_path / "train.json"
    for text, said in (
        ("{", "is not JSON"),
        ("[" * 100_000, "is not JSON"),
        ("[]", "'data' must be a list"),
        ('{"data": []}', "has no questions"),
    ):
        file.write_text(text)
        refused(said, load, "squad", file)
    (tmp_path / "empty").mkdir()
    refused("has no file called train", load, "squad", tmp_path / "empty")
    file = squad_file(tmp_path, LION, NOBODY)
    refused("data.context=50 must be at least 51", load, "squad", file, context=50, stride=32,
            question=16)  # fmt: skip
    refused("must be at least 1", load, "squad", file, stride=0)
