"""Questions on texts in SQuAD's JSON, versions 1.1 and 2.0 (Rajpurkar et al., 2016, 2018)."""

import json
from collections.abc import Iterator
from typing import Any

from etils import epath

from jaxdl.data import Data, documents, files, questions, register
from jaxdl.data.questions import Answer, Question
from jaxdl.errors import UserError, one_line

_WHAT = "a .json file in SQuAD's format, or a folder with train-v1.1.json and dev-v1.1.json"


@register("squad")
def squad(
    path: str = "",
    context: int = 384,
    stride: int = 128,
    question: int = 64,
    tokenizer: str = "",
    lengths: int = 1,
    test_fraction: float = 0.1,
    eval_on: str = "test",
) -> Data:
    """Questions from a file, or from a folder with one such file a part, known by its name.

    Args:
      path: the file or folder.
      context: tokens of an example: question, special ones and a part of the text.
      stride: tokens of a text from the beginning of one part to that of the next.
      question: tokens of a question; longer ones are cut.
      tokenizer: of `jaxdl.data.tokens.create`: a tokenizer.json, "bpe:4000", or "" for bytes.
      lengths: that batches may have, at most; more leave less padding (`jaxdl.data.length_groups`).
      test_fraction: the end of a file that is alone, which is held out: whole articles.
      eval_on: "test", or "validation" for the part of that name, or as large a share of training.
    """
    found = documents.of_path(path, (".json",), _WHAT)
    parts = {part: read(file) for part, file in found.items()}
    return questions.data(
        parts, f"data.path={path!r}", context=context, stride=stride, question=question,
        tokenizer=tokenizer, lengths=lengths, test_fraction=test_fraction, eval_on=eval_on,
    )  # fmt: skip


def read(file: epath.Path) -> list[Question]:
    """The questions of a file, in order. Impossible ones have no answer; plausible ones are none.

    Raises:
      UserError: it cannot be read, is not in this format, or an answer does not stand in its text
        where the file says.
    """
    try:
        content = json.loads(files.text(epath.Path(file)))
    except (ValueError, RecursionError) as error:
        raise UserError(f"{file} is not JSON: {one_line(error)}") from None
    found = list(_questions(content, str(file)))
    if not found:
        raise UserError(f"{file} has no questions")
    return found


def _questions(content: Any, file: str) -> Iterator[Question]:
    for i, article in _items(content, "data", file):
        for j, paragraph in _items(article, "paragraphs", f"{file}, data[{i}]"):
            at = f"{file}, data[{i}].paragraphs[{j}]"
            context = _of(paragraph, "context", str, at)
            for k, asked in _items(paragraph, "qas", at):
                yield _question(asked, context, f"{at}.qas[{k}]", i)


def _question(asked: Any, context: str, at: str, document: int) -> Question:
    question = _of(asked, "question", str, at)
    name = str(asked.get("id", ""))
    where = f"{at} ({name})" if name else at
    answers = []
    if not asked.get("is_impossible", False):
        for n, answer in _items(asked, "answers", at):
            text = _of(answer, "text", str, f"{at}.answers[{n}]")
            start = _of(answer, "answer_start", int, f"{at}.answers[{n}]")
            answers.append(checked(Answer(text, start), context, where))
    return Question(question, context, tuple(answers), where, name, document)


def checked(answer: Answer, context: str, where: str) -> Answer:
    """The answer, if it stands in the text where it says.

    Raises:
      UserError: it does not.
    """
    text, start = answer
    there = context[max(start, 0) :][: len(text)]
    if not text:
        raise UserError(f"{where}: an answer is empty: leave it out, or say is_impossible")
    if start < 0 or there != text:
        at = context.find(text)
        right = f"it begins at {at}" if at >= 0 else "it does not stand there at all"
        raise UserError(
            f"{where}: answer {_short(text)} is not at answer_start={start} of its context, where "
            f"{_short(there)} is: {right}"
        )
    return answer


def _items(of: Any, name: str, at: str) -> Iterator[tuple[int, Any]]:
    return enumerate(_of(of, name, list, at))


def _of(of: Any, name: str, kind: type, at: str) -> Any:
    found = of.get(name) if isinstance(of, dict) else None
    if not isinstance(found, kind) or isinstance(found, bool):
        called = {list: "a list", str: "a text", int: "a whole number"}[kind]
        raise UserError(f"{at} is not in SQuAD's format: {name!r} must be {called}")
    if kind is str and any("\ud800" <= letter <= "\udfff" for letter in found):
        raise UserError(f"{at}: {name!r} is no Unicode text: it has half a letter")
    return found


def _short(text: str) -> str:
    return repr(text if len(text) <= 40 else text[:40] + "…")
