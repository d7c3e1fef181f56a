"""Questions on functions of Python's standard library, answered by what stands in their heads.

A text is a function's head with the first sentence of its documentation, ``pop(self, index=-1):
Remove and return an item.`` Asked is for what it is called, what it does, its first and its last
parameter, and the first value that one has by default; that and the parameters may not be there,
so that some questions have no answer. Which answers are right follows from Python's own parser.
"""

import ast
import functools
import itertools
from collections.abc import Iterator

from jaxdl.data import Data, questions, register, standard_library
from jaxdl.data.questions import Answer, Question
from jaxdl.data.standard_library import Module

_MODULES = (
    *("argparse", "bdb", "calendar", "codecs", "configparser", "contextlib", "csv", "difflib"),
    *("fractions", "functools", "gettext", "gzip", "heapq", "inspect", "ipaddress"),
    *("json", "locale", "mimetypes", "optparse", "pickle", "platform", "pprint", "queue"),
    *("random", "selectors", "shelve", "shlex", "shutil", "socketserver", "statistics", "string"),
    *("tarfile", "tempfile", "textwrap", "trace", "weakref", "zipfile"),
)

# Letters of a text.
_MOST = 110

# Which parameter a call fills in by itself.
_OWN = ("self", "cls")


@register("signatures")
def signatures(
    context: int = 160,
    stride: int = 64,
    question: int = 24,
    tokenizer: str = "",
    lengths: int = 1,
    test_fraction: float = 0.1,
    eval_on: str = "test",
) -> Data:
    """Questions on functions of 37 modules; they differ between versions of Python.

    Args:
      context: tokens of an example: question, special ones and a part of the text.
      stride: tokens of a text from the beginning of one part to that of the next.
      question: tokens of a question; longer ones are cut.
      tokenizer: of `jaxdl.data.tokens.create`: a tokenizer.json, "bpe:4000", or "" for bytes.
      lengths: that batches may have, at most; more leave less padding (`jaxdl.data.length_groups`).
      test_fraction: of the questions, that are held out: whole modules.
      eval_on: "test", or "validation" for as large a share of the other modules.
    """
    return questions.data(
        {"train": [*_questions()]}, "signatures", context=context, stride=stride, question=question,
        tokenizer=tokenizer, lengths=lengths, test_fraction=test_fraction, eval_on=eval_on,
    )  # fmt: skip


@functools.cache  # cutting them out takes a second
def _questions() -> tuple[Question, ...]:
    found = map(of_module, standard_library.modules(_MODULES))
    return tuple(itertools.chain.from_iterable(found))


def of_module(module: Module) -> Iterator[Question]:
    """The questions on a file's functions that have documentation, each text once."""
    seen = set()
    for node in ast.walk(module.tree):
        if not isinstance(node, ast.FunctionDef) or not (said := ast.get_docstring(node)):
            continue
        head = f"{node.name}({ast.unparse(node.args)})"
        purpose = _first_sentence(said)
        text = f"{head}: {purpose}"
        if not text.isascii() or len(text) > _MOST or text in seen or not purpose:
            continue
        seen.add(text)
        where = f"{module.file}, line {node.lineno}"
        for asked, answer in _asked(node, head, purpose):
            answers = () if answer is None else (answer,)
            yield Question(asked, text, answers, where, f"{where}: {asked}", module.name)


def _first_sentence(said: str) -> str:
    paragraph = " ".join(said.split("\n\n")[0].split())
    sentence, stop, _ = paragraph.partition(". ")
    return sentence + stop.strip()


def _asked(node: ast.FunctionDef, head: str, purpose: str) -> Iterator[tuple[str, Answer | None]]:
    yield "What is it called?", Answer(node.name, 0)
    yield "What does it do?", Answer(purpose, len(head) + 2)
    names = [a.arg for a in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)]
    names = [name for name in names if name not in _OWN]
    marks = _places(node, head)
    yield "First parameter?", Answer(names[0], marks[names[0]]) if names else None
    yield "Last parameter?", Answer(names[-1], marks[names[-1]]) if names else None
    values = [value for value in (*node.args.defaults, *node.args.kw_defaults) if value is not None]
    value = ast.unparse(values[0]) if values else ""
    yield "Default value?", Answer(value, head.index(f"={value}") + 1) if values else None


def _places(node: ast.FunctionDef, head: str) -> dict[str, int]:
    """Where each parameter stands in the head, which is parsed once more for that."""
    again = ast.parse(f"def {head}: pass").body[0]
    arguments = again.args
    return {
        argument.arg: argument.col_offset - len("def ")
        for argument in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)
    }
