"""Texts to tokens and back: bytes, the vocabulary of a tokenizer.json, or one made of the data."""

import codecs
from collections.abc import Iterable
from typing import Any, Protocol

import numpy as np
from etils import epath

from jaxdl.data import files, fingerprint
from jaxdl.errors import UserError, one_line

# What data.tokenizer begins with where one is to be made of the data.
MADE = "bpe:"


class Tokenizer(Protocol):
    """What text models are told of their tokens, which are integers in [0, size)."""

    size: int

    def encode(self, text: str) -> np.ndarray:
        """The tokens of a text, (n,), in the smallest unsigned dtype that holds them all."""

    def encode_in_place(self, text: str) -> tuple[np.ndarray, np.ndarray]:
        """The same tokens, and where in the text each stands: (n, 2), first character and end."""

    def decode(self, tokens: np.ndarray) -> str:
        """The text of tokens (n,); bytes that are no UTF-8 become U+FFFD."""

    def pieces(self, tokens: np.ndarray) -> list[str]:
        """What each of the tokens (n,) adds to the text; "" for those that only begin a letter."""

    def id_of(self, name: str) -> int | None:
        """The token called ``name``, such as "[MASK]"; None where there is none."""

    def front(self) -> tuple[int, ...]:
        """The special tokens that models of this vocabulary have in front of a text."""

    def joins(self) -> tuple[np.ndarray, np.ndarray]:
        """Which tokens go on with a word that began before them, and which leave theirs open.

        Both (size,) bool: a token is of the same word as the one before it where it does the first
        and that one the second. Words are of letters, digits and underscores.
        """


class Bytes:
    """The 256 bytes of UTF-8."""

    size, fingerprint = 256, "bytes"

    def encode(self, text: str) -> np.ndarray:
        """(n,) uint8."""
        # A command line's broken bytes come as surrogates, and go back to what they were.
        return np.frombuffer(text.encode("utf-8", "surrogateescape"), np.uint8)

    def encode_in_place(self, text: str) -> tuple[np.ndarray, np.ndarray]:
        """The bytes of a letter stand where it does."""
        found = self.encode(text)
        letters = np.cumsum(found & 0xC0 != 0x80) - 1  # a byte of 10…… goes on with a letter
        if len(found) and letters[-1] + 1 != len(text):  # broken bytes are letters each
            sizes = [len(letter.encode("utf-8", "surrogateescape")) for letter in text]
            letters = np.repeat(np.arange(len(text)), sizes)
        return found, np.stack([letters, letters + 1], axis=1)

    def decode(self, tokens: np.ndarray) -> str:
        """The text of bytes (n,)."""
        return np.asarray(tokens, np.uint8).tobytes().decode("utf-8", "replace")

    def pieces(self, tokens: np.ndarray) -> list[str]:
        """A letter stands at its last byte."""
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        return [decoder.decode(bytes([token])) for token in np.asarray(tokens, np.uint8)]

    def id_of(self, name: str) -> None:
        """None: bytes have no names."""

    def front(self) -> tuple[int, ...]:
        """None."""
        return ()

    def joins(self) -> tuple[np.ndarray, np.ndarray]:
        """Of ASCII's letters, digits and underscore, and all bytes of other letters."""
        inside = np.array([byte > 127 or _in_word(chr(byte)) for byte in range(256)])
        return inside, inside


def _library(setting: str) -> Any:
    try:
        import tokenizers
    except ImportError:
        raise UserError(
            f"data.tokenizer={setting!r} needs the tokenizers library: pip install -e "
            "'.[tokenizers]'"
        ) from None
    return tokenizers


class Vocabulary:
    """A trained tokenizer in the format of Hugging Face's tokenizers library.

    What its file says of how long texts may be, of filling them up and of drawing among several
    ways to cut them is set aside: all of a text is encoded, to the same tokens each time.

    Args:
      path: of its tokenizer.json.

    Attributes:
      content: of that file, byte by byte.
      unknown: the token of what the vocabulary lacks; None where it lacks nothing.

    Raises:
      UserError: the library is not installed, or there is no such file, or it is broken.
    """

    def __init__(self, path: str):
        _library(path)
        file = epath.Path(path)
        if (file / "tokenizer.json").is_file():
            raise UserError(f"data.tokenizer={path!r} is a folder: name the tokenizer.json in it")
        if not file.is_file():
            raise UserError(
                f"data.tokenizer={path!r} is no file: name a tokenizer.json, or {MADE}4000 to have "
                "one of so many tokens made of the data"
            )
        self._read(files.text(file), path)
        self.content = file.read_bytes()

    @classmethod
    def made(cls, setting: str, texts: Iterable[str]) -> "Vocabulary":
        """Byte pairs (Sennrich et al., 2016) as of GPT-2, which keep every text whole.

        The same texts give the same tokens, which are not so of the library's WordPiece.

        Args:
          setting: MADE and the number of tokens, those of the 256 bytes among them. Fewer come of
            texts that have no more pairs.
          texts: to make them of.

        Raises:
          UserError: the library is not installed, or no such number.
        """
        library, size = _library(setting), setting.removeprefix(MADE)
        if not (size.isascii() and size.isdecimal() and int(size) >= 256):
            raise UserError(
                f"data.tokenizer={setting!r}: behind {MADE} comes a number, 256 at least"
            )
        found = library.Tokenizer(library.models.BPE())
        found.pre_tokenizer = library.pre_tokenizers.ByteLevel(add_prefix_space=False)
        found.decoder = library.decoders.ByteLevel()
        alphabet = library.pre_tokenizers.ByteLevel.alphabet()
        trainer = library.trainers.BpeTrainer(
            vocab_size=int(size), initial_alphabet=alphabet, show_progress=False
        )
        found.train_from_iterator(texts, trainer)
        vocabulary = cls.__new__(cls)
        text = found.to_str(pretty=True)
        vocabulary._read(text, setting)
        vocabulary.content = text.encode()
        return vocabulary

    def _read(self, text: str, where: str) -> None:
        try:
            self._tokenizer = _library(where).Tokenizer.from_str(text)
        except Exception as error:  # the library raises nothing narrower
            raise UserError(f"{where} is not a tokenizer.json: {one_line(error)}") from None
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        if getattr(self._tokenizer.model, "dropout", None) is not None:  # of byte pairs
            self._tokenizer.model.dropout = None
        self.fingerprint = fingerprint.digest({"tokenizer.json": text})
        self.size = max(self._tokenizer.get_vocab(with_added_tokens=True).values()) + 1
        model = self._tokenizer.model
        name = getattr(model, "unk_token", None)
        self.unknown = self.id_of(name) if name else getattr(model, "unk_id", None)

    def encode(self, text: str) -> np.ndarray:
        """(n,); no special tokens are put around the text."""
        ids = self._tokenizer.encode(text, add_special_tokens=False).ids
        return np.array(ids, np.min_scalar_type(self.size - 1))

    def encode_in_place(self, text: str) -> tuple[np.ndarray, np.ndarray]:
        """As the file's own rules tell; some leave the space before a word out, some do not."""
        found = self._tokenizer.encode(text, add_special_tokens=False)
        places = np.array(found.offsets, np.int64).reshape(-1, 2)
        return np.array(found.ids, np.min_scalar_type(self.size - 1)), places

    def decode(self, tokens: np.ndarray) -> str:
        """The text of tokens (n,), special ones shown by their names."""
        return self._tokenizer.decode(np.asarray(tokens).tolist(), skip_special_tokens=False)

    def pieces(self, tokens: np.ndarray) -> list[str]:
        """A letter stands at its last token; decodes n times, so for a line of text."""
        pieces, before = [], 0
        for i in range(1, len(tokens) + 1):
            text = self.decode(tokens[:i])
            # Half a letter is shown by U+FFFD, until the rest has come.
            after = before if text.endswith("\ufffd") and i < len(tokens) else len(text)
            pieces.append(text[before:after])
            before = after
        return pieces

    def id_of(self, name: str) -> int | None:
        """By the vocabulary and what was added to it."""
        return self._tokenizer.token_to_id(name)

    def front(self) -> tuple[int, ...]:
        """As the file's own rules put them: <s> of BART's, none of T5's."""
        found = self._tokenizer.encode("a")
        mask = found.special_tokens_mask
        return tuple(found.ids[: mask.index(0)]) if 0 in mask else ()

    def joins(self) -> tuple[np.ndarray, np.ndarray]:
        """By the marks of WordPiece (##), where there are any, or else by a token's two ends.

        Byte pairs and SentencePiece put their mark of a space in front of a word's first token.
        """
        names = [self._tokenizer.id_to_token(i) or "" for i in range(self.size)]
        if any(name.startswith("##") for name in names):
            first = np.array([name.startswith("##") for name in names])
            return first, np.ones(self.size, bool)
        is_letter = _in_word
        if any("\u0120" in name for name in names):  # byte pairs' letter for a space
            is_letter = _byte_in_word
        first, last = ([is_letter(name[i:][:1]) for name in names] for i in (0, -1))
        return np.array(first), np.array(last)


def _in_word(letter: str) -> bool:
    return letter.isalnum() or letter == "_"


def _byte_in_word(letter: str) -> bool:
    """Of GPT-2's letters for bytes, of which those of the bytes up to the space begin at U+0100."""
    return _in_word(letter) if letter < "\x80" else not "\u0100" <= letter <= "\u0120"


def lost(text: str, back: str) -> str:
    """How much of a text is not what decoding its tokens gives back, in words; "" if all is."""
    if back == text:
        return ""
    if len(back) != len(text):
        return f"decoding gives {len(back)} characters in place of {len(text)}"
    wrong = sum(a != b for a, b in zip(back, text, strict=True))
    return f"decoding gives {wrong} of {len(text)} characters wrongly back"


def create(setting: str = "", texts: Iterable[str] | None = None) -> Tokenizer:
    """The tokenizer of ``config.data.tokenizer``: bytes if empty, or else a tokenizer.json.

    Args:
      setting: its path, or "bpe:4000" for so many byte pairs that are made of the texts.
      texts: of the part to learn from, which are looked at for that alone; None where there are
        none yet.
    """
    if setting.startswith(MADE):
        if texts is None:
            raise UserError(
                f"data.tokenizer={setting!r}: tokens are not made of these data: name a "
                "tokenizer.json"
            )
        return Vocabulary.made(setting, texts)
    return Vocabulary(setting) if setting else Bytes()
