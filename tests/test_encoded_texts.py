"""Texts between special tokens: against the tokenizers library, and what bytes have instead."""

import numpy as np
import pytest

from jaxdl.data import encoded_texts, tokens
from jaxdl.errors import UserError

WORDS = [f"w{i}" for i in range(20)]


@pytest.fixture(scope="module")
def theirs(tmp_path_factory):
    """A tokenizer.json of whole words with BERT's special tokens, and the library's own object."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    names = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS]
    vocabulary = {name: i for i, name in enumerate(names)}
    made = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    made.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    file = tmp_path_factory.mktemp("tokenizer") / "tokenizer.json"
    made.save(str(file))
    return tokens.create(str(file)), made


def texts(*lengths):
    return [" ".join(WORDS[i % len(WORDS)] for i in range(n)) for n in lengths]


SIZES = [(0,), (5,), (30,), (6, 6), (2, 30), (30, 2), (7, 8), (9, 4)]
LENGTHS = [3, 4, 5, 8, 9, 16]


@pytest.mark.parametrize(
    "sizes, length", [(s, n) for s in SIZES for n in LENGTHS if n >= 1 + 2 * len(s)]
)
def test_as_the_tokenizers_library_wraps_cuts_and_pads(theirs, sizes, length):
    own, library = theirs
    library.enable_truncation(length, strategy="longest_first")
    library.enable_padding(length=length, pad_id=0)
    wanted = library.encode(*texts(*sizes))
    special = encoded_texts.specials(own)
    found = encoded_texts.wrapped([own.encode(t) for t in texts(*sizes)], special, length)
    batch = encoded_texts.stacked([found], special, length)
    np.testing.assert_array_equal(batch["tokens"][0], wanted.ids)
    np.testing.assert_array_equal(batch["segments"][0], wanted.type_ids)
    np.testing.assert_array_equal(batch["mask"][0], wanted.attention_mask)
    assert tuple(np.add(found.kept, found.lost)) == sizes
    for start, kept, text in zip(found.starts, found.kept, texts(*sizes), strict=True):
        whole = own.encode(text)
        np.testing.assert_array_equal(found.tokens[start : start + kept], whole[:kept])


def test_a_tokenizer_has_its_own_special_tokens(theirs):
    special = encoded_texts.specials(theirs[0])
    assert special == encoded_texts.Specials(0, 2, 3, 4, 5 + len(WORDS), ())


def test_bytes_get_ids_behind_their_own():
    special = encoded_texts.specials(tokens.create())
    assert special.ids == (256, 257, 258, 259)
    assert (special.size, special.appended) == (260, ("[PAD]", "[CLS]", "[SEP]", "[MASK]"))


def test_what_was_cut_is_counted():
    special = encoded_texts.specials(tokens.create())
    made = [encoded_texts.wrapped([np.arange(n)], special, 10) for n in (8, 9, 16)]
    assert encoded_texts.cut_note(made[:1], 10) == ()
    (line,) = encoded_texts.cut_note(made, 10)
    assert line.startswith("2 of 3 texts are longer than data.context=10 has room for")
    assert line.endswith("27.3% of all tokens")  # 1 and 8 of 33


def test_contexts_without_room():
    encoded_texts.check_context(3)
    encoded_texts.check_context(5, texts=2)
    with pytest.raises(UserError, match=r"data.context=2 must be at least 3"):
        encoded_texts.check_context(2)
    with pytest.raises(UserError, match=r"data.context=4 must be at least 5"):
        encoded_texts.check_context(4, texts=2)
