"""Words with tags in columns, as the shared tasks of CoNLL have them: a word a line.

Columns are separated by tabs, or else by white space; the first is the word, the last its tag. An
empty line ends a sentence, -DOCSTART- begins a document (Tjong Kim Sang and De Meulder, 2003).
"""

from etils import epath

from jaxdl.data import Data, documents, files, register, tagged
from jaxdl.data.tag_schemes import parsed
from jaxdl.data.tagged import Sentence
from jaxdl.errors import UserError

_DOCUMENT = "-DOCSTART-"
_WHAT = "a file of words and tags in columns, or a folder with train.txt and test.txt"


@register("conll")
def conll(
    path: str = "",
    context: int = 128,
    tokenizer: str = "",
    lengths: int = 1,
    test_fraction: float = 0.1,
    eval_on: str = "test",
) -> Data:
    """Sentences from a file of columns, or from a folder with one such file a part.

    In a folder, a file's name says its part: train.txt, dev.conll, eng.testb.

    Args:
      path: the file or folder.
      context: tokens of a sentence, special ones among them; longer ones are cut.
      tokenizer: of `jaxdl.data.tokens.create`: a tokenizer.json, "bpe:4000", or "" for bytes.
      lengths: that batches may have, at most; more leave less padding (`jaxdl.data.length_groups`).
      test_fraction: the end of a file that is alone, which is held out: whole documents, or whole
        sentences where there are none.
      eval_on: "test", or "validation" for the part of that name, or as large a share of training.
    """
    found = documents.of_path(path, (), _WHAT)
    parts = {part: read(file) for part, file in found.items()}
    where = f"data.path={path!r}"
    how = dict(
        context=context, tokenizer=tokenizer, lengths=lengths,
        test_fraction=test_fraction, eval_on=eval_on,
    )  # fmt: skip
    return tagged.data(parts, where, **how)


def read(file: epath.Path) -> list[Sentence]:
    """The sentences of a file, their tags as they stand there.

    A line that begins with # is a comment, unless it has as many columns as other lines, and a tag
    in the last.

    Raises:
      UserError: it cannot be read, a line has another number of columns, a tag is none of IOB1,
        IOB2, IOBES or BILOU, or there are no sentences.
    """
    lines = files.text(epath.Path(file)).split("\n")
    rows = [(n, _columns(line)) for n, line in enumerate(lines, 1)]
    usual = next((len(row) for _, row in rows if row and not row[0].startswith("#")), 0)
    if not usual:
        raise UserError(f"{file} has no words with tags: it has to be {_WHAT.split(',')[0]}")
    found: list[Sentence] = []
    words: list[tuple[int, str, str]] = []
    document = 0

    def end() -> None:
        if words:
            lines, texts, tags = zip(*words, strict=True)
            found.append(Sentence([*texts], [*tags], f"{file}, line {lines[0]}", document))
            words.clear()

    for n, row in rows:
        if not row:
            end()
        elif row[0] == _DOCUMENT:
            end()
            document += 1
        elif row[0].startswith("#") and not (len(row) == usual and _is_tag(row[-1])):
            continue
        else:
            _check(file, n, row, usual)
            words.append((n, row[0], row[-1]))
    end()
    if not found:
        raise UserError(f"{file} has no words with tags: it has to be {_WHAT.split(',')[0]}")
    return found


def _columns(line: str) -> list[str]:
    if "\t" in line:
        cells = [cell.strip() for cell in line.split("\t")]
        return cells if any(cells) else []
    return line.split()


def _is_tag(text: str) -> bool:
    try:
        parsed(text)
    except ValueError:
        return False
    return True


def _check(file: epath.Path, n: int, row: list[str], usual: int) -> None:
    if len(row) < 2:
        raise UserError(
            f"{file}, line {n}: {row[0]!r} has no tag: a word and its tag are two columns"
        )
    if len(row) != usual:
        raise UserError(f"{file}, line {n}: {len(row)} columns, but other lines have {usual}")
    if not row[0]:
        raise UserError(f"{file}, line {n}: the first column, the word, is empty")
    if not _is_tag(row[-1]):
        raise UserError(
            f"{file}, line {n}: {row[-1]!r} is no tag such as O, B-PER, I-PER, E-PER or S-PER "
            "(IOB1, IOB2, IOBES, BILOU)"
        )
