"""What the standard library says of itself: paragraphs of docstrings, by the part they are of."""

import ast
import functools
import inspect
import re
import zlib
from collections.abc import Iterator

from jaxdl.data import Data, labelled_texts, register, standard_library
from jaxdl.data.labelled_texts import Example
from jaxdl.data.parts import held_out as size_of_end

# Folders of packages that every Python brings, by what they are for.
_PARTS = {
    "asyncio": ("asyncio",),
    "email": ("email",),
    "importlib": ("importlib", "importlib/metadata", "importlib/resources"),
    "internet": ("http", "urllib", "wsgiref", "xmlrpc"),
    "logging": ("logging",),
    "processes": ("multiprocessing", "concurrent/futures"),
    "unittest": ("unittest",),
    "xml": ("xml/dom", "xml/etree", "xml/sax"),
}

# A shorter paragraph says little.
_LEAST = 40

_DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


@register("docstrings")
def docstrings(
    context: int = 128,
    tokenizer: str = "",
    lengths: int = 1,
    test_fraction: float = 0.2,
    eval_on: str = "test",
) -> Data:
    """Paragraphs of docstrings; the class is the part of the standard library.

    They differ from one version of Python to the next. What is held out are whole files, so that no
    paragraph of a file is on both sides.

    Args:
      context: tokens of a paragraph, special ones among them; what is longer is cut.
      tokenizer: of `jaxdl.data.tokens.create`: a tokenizer.json, "bpe:4000", or "" for bytes.
      lengths: that batches may have, at most; more leave less padding (`jaxdl.data.length_groups`).
      test_fraction: of the paragraphs of each part, that are held out, but for the last file.
      eval_on: "test", or "validation" for as large a share of what is then left.
    """
    train, test = _divided(_paragraphs(), test_fraction)
    if eval_on == "validation":
        train, test = _divided(train, test_fraction)
    return labelled_texts.data(
        train, test, None, context=context, tokenizer=tokenizer, lengths=lengths
    )


@functools.cache  # cutting them out takes a second
def _paragraphs() -> tuple[Example, ...]:
    """Those of all parts, each once, the files of a part in an order drawn from their names."""
    seen, found = set(), []
    for part, packages in _PARTS.items():
        files = list(standard_library.modules(packages))
        for module in sorted(files, key=lambda m: zlib.crc32(m.file.encode())):
            for text in paragraphs(module.tree):
                if text not in seen:
                    seen.add(text)
                    found.append(Example((text,), part, module.file))
    return tuple(found)


def paragraphs(tree: ast.Module) -> Iterator[str]:
    """The paragraphs of all docstrings in a file, on one line each, in order."""
    for node in ast.walk(tree):
        if not isinstance(node, _DOCUMENTED) or not (text := ast.get_docstring(node)):
            continue
        for paragraph in re.split(r"\n\s*\n", inspect.cleandoc(text)):
            line = " ".join(paragraph.split())
            if len(line) >= _LEAST:
                yield line


def _divided(
    examples: tuple[Example, ...] | list[Example], fraction: float
) -> tuple[list[Example], list[Example]]:
    """Of each part the last files are held out, while that is at most the fraction, and one."""
    train, test = [], []
    for part in _PARTS:
        own = [example for example in examples if example.label == part]
        files = list(dict.fromkeys(example.where for example in own))
        room, held_out = size_of_end(len(own), fraction), set()
        for file in reversed(files[1:]):
            size = sum(example.where == file for example in own)
            if size <= room or (file == files[1] and not held_out):
                held_out.add(file)
                room -= size
        train += [example for example in own if example.where not in held_out]
        test += [example for example in own if example.where in held_out]
    return train, test
