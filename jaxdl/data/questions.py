"""Questions with answers in a text, as a span reader takes them: in windows, where it is long.

An example is [CLS] question [SEP] part of the text [SEP] (Devlin et al., 2018, section 4.2). A long
text is read in several parts, which overlap; in those without the whole answer, and where there is
none, the answer is at [CLS].
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from jaxdl.data import Data, documents, encoded_texts, fingerprint, length_groups, tokens
from jaxdl.data.encoded_texts import Encoded
from jaxdl.data.split import Batch
from jaxdl.data.tokens import Tokenizer
from jaxdl.errors import UserError


class Answer(NamedTuple):
    """A piece of a text.

    Attributes:
      text: as it stands there.
      start: its first character.
    """

    text: str
    start: int


class Question(NamedTuple):
    """A question about a text.

    Attributes:
      question: one.
      context: the text.
      answers: any of which is right, the first to learn from; none where the text has none.
      where: it is from, for messages.
      name: by which an answer is known.
      document: that the text is of.
    """

    question: str
    context: str
    answers: tuple[Answer, ...]
    where: str = ""
    name: str = ""
    document: object = None


class Window(NamedTuple):
    """A question with a part of its text.

    Attributes:
      encoded: both between special tokens.
      places: (n, 2) where in the text each token of the part stands, first character and end.
      begin: the token of the text that the part begins with.
    """

    encoded: Encoded
    places: np.ndarray
    begin: int

    @property
    def offset(self) -> int:
        """The place of the part's first token in the example."""
        return self.encoded.starts[1]

    def text(self, context: str, first: int, last: int) -> str:
        """What stands from the example's token ``first`` to its token ``last``."""
        return context[self.places[first - self.offset, 0] : self.places[last - self.offset, 1]]


class Reader:
    """How questions and texts become examples.

    Args:
      tokenizer: of both.
      context: tokens of an example, special ones among them.
      stride: tokens of a text from the beginning of one part to that of the next.
      question: tokens of a question; longer ones are cut.

    Raises:
      UserError: settings that would leave gaps between parts.
    """

    def __init__(self, tokenizer: Tokenizer, context: int, stride: int, question: int):
        if question < 1 or stride < 1:
            raise UserError(f"data.question={question} and data.stride={stride} must be at least 1")
        if context < question + stride + 3:
            raise UserError(
                f"data.context={context} must be at least {question + stride + 3}: the tokens of "
                f"data.question={question}, three special ones and data.stride={stride} of the text"
            )
        self._tokenizer, self.special = tokenizer, encoded_texts.specials(tokenizer)
        self.context, self.stride, self.question = context, stride, question
        self._last: tuple[str, tuple[np.ndarray, np.ndarray]] | None = None

    def windows(self, question: str, context: str) -> tuple[list[Window], int]:
        """All parts of a text with the question, in order; and the tokens cut off the question."""
        if self._last is None or self._last[0] != context:  # a text has its questions together
            self._last = (context, self._tokenizer.encode_in_place(context))
        ids, places = self._last[1]
        asked = self._tokenizer.encode(question)
        lost = max(0, len(asked) - self.question)
        asked = asked[: self.question]
        room = self.context - 3 - len(asked)
        begins = range(0, max(1, len(ids) - room + self.stride), self.stride)
        cut = lambda begin: slice(begin, begin + room)
        wrap = lambda part: encoded_texts.wrapped([asked, ids[part]], self.special, self.context)
        return [Window(wrap(cut(b)), places[cut(b)], b) for b in begins], lost

    def arrays(self, windows: Sequence[Window]) -> dict[str, np.ndarray]:
        """``tokens``, ``segments``, ``mask`` and ``allowed`` (n, context): tokens of the text."""
        found = encoded_texts.stacked([w.encoded for w in windows], self.special, self.context)
        allowed = np.zeros((len(windows), self.context), bool)
        for row, window in zip(allowed, windows, strict=True):
            row[window.offset : window.offset + len(window.places)] = True
        return {**found, "allowed": allowed}


def span(answer: Answer, window: Window) -> tuple[int, int]:
    """The first and the last token of an answer in a window; (0, 0) where it is not there whole."""
    places, (text, start) = window.places, answer
    first = int(np.searchsorted(places[:, 1], start, side="right"))
    last = int(np.searchsorted(places[:, 0], start + len(text), side="left")) - 1
    if not 0 <= first <= last < len(places):
        return 0, 0
    is_whole = places[first, 0] <= start and places[last, 1] >= start + len(text)
    return (window.offset + first, window.offset + last) if is_whole else (0, 0)


class Questions:
    """Questions that a span reader learns from or is measured on, a window each example.

    Args:
      questions: those of a text one after the other.
      reader: makes the windows.
    """

    def __init__(self, questions: Sequence[Question], reader: Reader):
        self.questions = questions
        self.context, self.stride, self.question = reader.context, reader.stride, reader.question
        self.answerable = all(question.answers for question in questions)
        self.windows: list[Window] = []
        self.cut, owner, spans = 0, [], []
        for i, question in enumerate(questions):
            windows, lost = reader.windows(question.question, question.context)
            self.cut += lost > 0
            self.windows += windows
            owner += [i] * len(windows)
            none = (0, 0)
            spans += [span(question.answers[0], w) if question.answers else none for w in windows]
        # Which question each window is of.
        self.owner = np.array(owner)
        start, end = np.array(spans, np.int32).T
        self._arrays = {**reader.arrays(self.windows), "start": start, "end": end}
        self.sizes = encoded_texts.sizes(self._arrays)

    def __len__(self) -> int:
        """Windows."""
        return len(self.windows)

    def take(self, indices: np.ndarray) -> Batch:
        """As of `Reader.arrays`, and the places of the answer's ends: ``start``, ``end`` (n,)."""
        return {name: array[indices] for name, array in self._arrays.items()}

    @property
    def about(self) -> dict[str, int | bool]:
        """The reader's settings, and ``answerable``: whether every question has an answer."""
        names = ("context", "stride", "question", "answerable")
        return {name: getattr(self, name) for name in names}

    def fingerprint(self) -> str:
        """Of every question, text and answer, and how they are cut."""
        texts = [text for q in self.questions for text in (q.question, q.context)]
        answers = [answer.text for q in self.questions for answer in q.answers]
        return fingerprint.digest({"texts": texts, "answers": answers, **self._arrays})


def data(
    parts: Mapping[str, list[Question]],
    where: str,
    *,
    context: int,
    stride: int,
    question: int,
    tokenizer: str,
    lengths: int,
    test_fraction: float,
    eval_on: str,
) -> Data:
    """Questions by part as data for a span reader.

    Args:
      parts: "train", and "test" and "validation" where they are there.
      where: their name, for messages.
      context: as of `Reader`; so are stride and question.
      stride: of the parts of a text.
      question: its tokens.
      tokenizer: of `jaxdl.data.tokens.create`: a tokenizer.json, "bpe:4000", or "" for bytes.
      lengths: that batches may have, at most; more leave less padding (`jaxdl.data.length_groups`).
      test_fraction: the end, that is held out where there is no test part.
      eval_on: "test" or "validation".

    Raises:
      UserError: too few questions, no answer to learn from, or settings that cannot be.
    """
    found = documents.divided(parts, lambda q: q.document, test_fraction, eval_on, where)
    made = tokens.create(tokenizer, (text for q in found.train for text in (q.question, q.context)))
    reader = Reader(made, context, stride, question)
    if not any(q.answers for q in found.train):
        raise UserError(f"{where}: no question of the training part has an answer to learn from")
    splits = {
        part: Questions(questions, reader)
        for part, questions in found._asdict().items()
        if questions is not None
    }
    length_groups.divide(splits, lengths)
    cut = sum(split.cut for split in splits.values())
    count = sum(len(split.questions) for split in splits.values())
    notes = ()
    if cut:
        notes = (f"{cut} of {count} questions are longer than data.question={question}, and were "
                 "cut",)  # fmt: skip
    return Data(**splits, tokenizer=made, notes=notes)
