"""Texts to model: Python's own documentation, or any folder of text files."""

from etils import epath

from jaxdl.data import Data, files, register, tokens
from jaxdl.data.parts import held_out as size_of_end
from jaxdl.data.windows import Passages, Windows
from jaxdl.errors import UserError

_SUFFIXES = (
    ".c", ".cc", ".cpp", ".css", ".csv", ".go", ".h", ".hpp", ".html", ".java", ".js", ".json",
    ".jsonl", ".md", ".org", ".py", ".rs", ".rst", ".sh", ".tex", ".toml", ".ts", ".tsv", ".txt",
    ".xml", ".yaml", ".yml",
)  # fmt: skip


@register("topics")
def topics(
    context: int = 128,
    stride: int = 0,
    tokenizer: str = "",
    test_fraction: float = 0.1,
    eval_on: str = "test",
) -> Data:
    """The texts behind Python's help(): 466 kB of English about Python, in every Python.

    They differ from one version of Python to the next. Sorted by name, with an empty line between.

    Args:
      context: tokens that a window predicts.
      stride: those of an evaluation window that count; 0 is all.
      tokenizer: of `jaxdl.data.tokens.create`: a tokenizer.json, "bpe:4000", or "" for bytes.
      test_fraction: the end of the text, which is held out.
      eval_on: "test", or "validation" for as large a share of what is then left.
    """
    from pydoc_data.topics import topics as by_name

    texts = [by_name[name] for name in sorted(by_name)]
    return _data("topics", texts, context, stride, tokenizer, test_fraction, eval_on)


@register("text")
def text(
    path: str = "",
    context: int = 128,
    stride: int = 0,
    tokenizer: str = "",
    test_fraction: float = 0.1,
    eval_on: str = "test",
) -> Data:
    """A file of text (`files.text`), or all such files below a folder, in the order of their paths.

    Below a folder, files are known by their suffix (.txt, .md, .py and so on); what is hidden, or
    left behind by systems and editors, is passed over.

    Args:
      path: the file or folder.
      context: tokens that a window predicts.
      stride: those of an evaluation window that count; 0 is all.
      tokenizer: of `jaxdl.data.tokens.create`: a tokenizer.json, "bpe:4000", or "" for bytes.
      test_fraction: the end of the text, which is held out.
      eval_on: "test", or "validation" for as large a share of what is then left.
    """
    root = epath.Path(path)
    if not path or not root.exists():
        raise UserError(f"data.path={path!r} is no file or folder: name one with text")
    texts = [text for file in _files(root) if (text := files.text(file))]
    if not texts:
        raise UserError(f"data.path={path!r}: the files there are empty")
    return _data(f"data.path={path!r}", texts, context, stride, tokenizer, test_fraction, eval_on)


def _files(root: epath.Path) -> list[epath.Path]:
    if not root.is_dir():
        return [root]
    found = [path for path in files.below(root) if files.of_kind(path, _SUFFIXES)]
    if not found:
        raise UserError(f"data.path={str(root)!r} holds no text files ({', '.join(_SUFFIXES)})")
    return found


def _data(
    where: str,
    texts: list[str],
    context: int,
    stride: int,
    tokenizer: str,
    test_fraction: float,
    eval_on: str,
) -> Data:
    if context < 1:
        raise UserError(f"data.context={context} must be at least 1")
    if not 0 <= stride <= context:
        raise UserError(
            f"data.stride={stride} must be at least 0 and at most data.context={context}"
        )
    learned, held_out = _cut("\n".join(texts).encode(), test_fraction)
    if eval_on == "validation":
        learned, held_out = _cut(learned, test_fraction)
    parts = [part.decode() for part in (learned, held_out)]
    made = tokens.create(tokenizer, parts[:1])
    train, test = map(made.encode, parts)
    if len(train) <= context or not len(test):
        raise UserError(
            f"{where}: {len(train)} tokens to learn from and {len(test)} held out are too few: "
            f"data.context={context} needs {context + 1} and 1"
        )
    notes = ()
    if tokenizer and (lost := tokens.lost("".join(parts), made.decode(train) + made.decode(test))):
        notes = (f"data.tokenizer={tokenizer!r} does not keep the text whole: {lost}",)
    return Data(
        Windows(train, context),
        Passages(test, int(train[-1]), context, stride or context, len(held_out)),
        tokenizer=made,
        notes=notes,
    )


def _cut(text: bytes, test_fraction: float) -> tuple[bytes, bytes]:
    """The text but its end, and its end; no letter is cut in two."""
    place = len(text) - size_of_end(len(text), test_fraction)
    while place < len(text) and text[place] & 0xC0 == 0x80:  # inside a letter of several bytes
        place += 1
    return text[:place], text[place:]
