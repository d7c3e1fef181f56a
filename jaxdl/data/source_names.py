"""What names in Python code are: statements of the standard library, tagged by their syntax.

A sentence is the first line of a statement without its layout, a word a token of Python. What is
called is a FUNCTION, with what stands before its dots; what is raised, caught, inherited from or
defined by class is a CLASS; what is imported from a MODULE; what def, lambda and keyword arguments
name a PARAMETER; what is assigned to a VARIABLE, with what stands before its dots. All other words
are outside. The tags come from Python's own parser, so that there is no doubt about them.
"""

import ast
import functools
import io
import itertools
import token
import tokenize
from collections.abc import Iterator

from jaxdl.data import Data, register, standard_library, tagged
from jaxdl.data.standard_library import Module
from jaxdl.data.tag_schemes import OUTSIDE
from jaxdl.data.tagged import Sentence

_MODULES = (
    *("bdb", "calendar", "cmd", "code", "configparser", "contextlib", "copy", "csv", "difflib"),
    *("filecmp", "fnmatch", "fractions", "ftplib", "getopt", "glob", "graphlib", "heapq", "json"),
    *("optparse", "pathlib", "pprint", "queue", "random", "sched", "selectors", "shelve", "shlex"),
    *("shutil", "socketserver", "statistics", "string", "tempfile", "textwrap", "threading"),
    *("timeit", "trace", "wave", "weakref", "zipapp"),
)

# A shorter one says little, a longer one is mostly a table.
_LEAST, _MOST = 4, 32

_SPACE = {token.NL, token.COMMENT, token.INDENT, token.DEDENT, token.ENCODING}


@register("source_names")
def source_names(
    context: int = 128,
    tokenizer: str = "",
    lengths: int = 1,
    test_fraction: float = 0.1,
    eval_on: str = "test",
) -> Data:
    """Statements of 39 modules of the standard library; they differ between versions of Python.

    Args:
      context: tokens of a statement, special ones among them; longer ones are cut.
      tokenizer: of `jaxdl.data.tokens.create`: a tokenizer.json, "bpe:4000", or "" for bytes.
      lengths: that batches may have, at most; more leave less padding (`jaxdl.data.length_groups`).
      test_fraction: of the statements, that are held out: whole modules.
      eval_on: "test", or "validation" for as large a share of the other modules.
    """
    how = dict(
        context=context, tokenizer=tokenizer, lengths=lengths,
        test_fraction=test_fraction, eval_on=eval_on,
    )  # fmt: skip
    return tagged.data({"train": [*_sentences()]}, "source_names", **how)


@functools.cache  # cutting them out takes a second
def _sentences() -> tuple[Sentence, ...]:
    found = map(statements, standard_library.modules(_MODULES))
    return tuple(itertools.chain.from_iterable(found))


def statements(module: Module) -> Iterator[Sentence]:
    """The first lines of a file's statements, each once."""
    marks = _Marks(module)
    seen = set()
    for line in _lines(module.source):
        words = ['""' if t.type == token.STRING else t.string for t in line]
        if not _LEAST <= len(words) <= _MOST or any(not word.isascii() for word in words):
            continue
        tags = marks.tags(line)
        if set(tags) != {OUTSIDE} and tuple(words) not in seen:
            seen.add(tuple(words))
            where = f"{module.file}, line {line[0].start[0]}"
            yield Sentence(words, tags, where, module.name)


def _lines(source: str) -> Iterator[list[tokenize.TokenInfo]]:
    """The tokens of each logical line; f-strings, which newer Pythons cut, are left out with it."""
    line: list[tokenize.TokenInfo] = []
    whole = True
    for found in tokenize.generate_tokens(io.StringIO(source).readline):
        if found.type in (token.NEWLINE, token.ENDMARKER):
            if line and whole:
                yield line
            line, whole = [], True
        elif found.type not in _SPACE:
            line.append(found)
            is_f = found.type == token.STRING and "f" in found.string[:2].lower()
            whole &= not is_f and not token.tok_name[found.type].startswith("FSTRING")


class _Marks:
    """What the parser says stands where in a file: spans of characters with their kinds."""

    def __init__(self, module: Module):
        self._lines = module.source.splitlines(keepends=True)
        self._at: dict[tuple[int, int], tuple[tuple[int, int], str]] = {}
        for node in ast.walk(module.tree):
            self._mark(node)

    def tags(self, line: list[tokenize.TokenInfo]) -> list[str]:
        """In IOB2, of the tokens of a logical line."""
        tags, stop, kind = [], (0, 0), ""
        for before, word in zip([None, *line], line, strict=False):
            keyword = before.string if before is not None else ""
            if word.start < stop:
                tags.append(f"I-{kind}")
                continue
            if keyword in ("def", "class"):
                stop, kind = word.end, "FUNCTION" if keyword == "def" else "CLASS"
            else:
                stop, kind = self._at.get(word.start, ((0, 0), ""))
            tags.append(f"B-{kind}" if word.start < stop else OUTSIDE)
        return tags

    def _mark(self, node: ast.AST) -> None:
        match node:
            case ast.arg():
                self._put(node, "PARAMETER", len(node.arg))
            case ast.keyword(arg=str(name)):
                self._put(node, "PARAMETER", len(name))
            case ast.alias():
                pass
            case ast.Import():
                for alias in node.names:
                    self._put(alias, "MODULE", len(alias.name))
            case ast.ImportFrom(module=str(name), level=0):
                self._put(node, "MODULE", len(name), len("from "))
            case ast.ClassDef():
                for base in node.bases:
                    self._chain(base, "CLASS")
            case ast.Raise(exc=raised) if raised is not None:
                self._chain(raised.func if isinstance(raised, ast.Call) else raised, "CLASS")
            case ast.ExceptHandler(type=caught) if caught is not None:
                for one in caught.elts if isinstance(caught, ast.Tuple) else [caught]:
                    self._chain(one, "CLASS")
            case ast.Call():
                self._chain(node.func, "FUNCTION")
            case ast.Name(ctx=ast.Store()) | ast.Attribute(ctx=ast.Store()):
                self._chain(node, "VARIABLE")

    def _chain(self, node: ast.AST, kind: str) -> None:
        """A name, or names with dots between them, all of which stands on one line."""
        root = node
        while isinstance(root, ast.Attribute):
            root = root.value
        if isinstance(root, ast.Name) and node.lineno == node.end_lineno:
            self._put(node, kind, node.end_col_offset - node.col_offset)

    def _put(self, node: ast.AST, kind: str, size: int, offset: int = 0) -> None:
        line = node.lineno
        if not self._lines[line - 1].isascii():  # the parser counts bytes, the tokenizer letters
            return
        start = node.col_offset + offset
        # What is raised is a call as well: what was told first, by what is around it, counts.
        self._at.setdefault((line, start), ((line, start + size), kind))
