"""Texts as vectors by a published encoder, as sentence-transformers has them."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxdl import pretrained
from jaxdl.data import encoded_texts, labelled_texts, tokens
from jaxdl.errors import UserError, note, one_line
from jaxdl.pretrained import config, encoders, tensors
from jaxdl.tasks.shared import packed_texts, text_encoder
from jaxdl.tasks.shared.splits import EachFn


class Encoder(NamedTuple):
    """What makes vectors of texts.

    >>> vectors = load("all-MiniLM-L6-v2/")(["One text.", "Another."])  # (2, 384) float32

    Attributes:
      variables: of the model.
      each: (variables, batch, key) -> (rows, texts, width), as of
        `jaxdl.tasks.shared.packed_texts`; compiled for each shape of a batch.
      tokenizer: that the weights know.
      longest: tokens of a text at most, special ones among them.
    """

    variables: Any
    each: EachFn
    tokenizer: tokens.Tokenizer
    longest: int

    def __call__(self, texts: Sequence[str], batch_size: int = 256) -> np.ndarray:
        """(n, width) float32, rows of length 1: the mean of a text's tokens, special ones too.

        Args:
          texts: n of any length; what is too long is cut, and counted in one line.
          batch_size: rows in a batch at most, of several short texts each, or of a long one.
        """
        if not len(texts):
            return np.zeros((0, self._width), np.float32)
        encoded = self.encoded(texts)
        for line in encoded_texts.cut_note(encoded, self.longest, "the encoder's context"):
            note(line)
        special = encoded_texts.specials(self.tokenizer)
        return packed_texts.over_texts(
            self.each, encoded, special, self.longest, batch_size, self.variables
        )

    def encoded(self, texts: Sequence[str]) -> list[encoded_texts.Encoded]:
        """The tokens of each, cut to ``longest``."""
        special = encoded_texts.specials(self.tokenizer)
        return [labelled_texts.encode((t,), self.tokenizer, special, self.longest) for t in texts]

    @property
    def _width(self) -> int:
        return self.variables["params"]["token"]["embedding"].shape[1]


def load(source: str | Path, **fields: Any) -> Encoder:
    """The encoder of a folder, as transformers or sentence-transformers write it.

    Args:
      source: as of `jaxdl.pretrained.load`, with the tokenizer.json beside.
      **fields: of the module, such as dtype.

    Raises:
      UserError: it cannot be read, has no tokenizer.json or one of more tokens, is no encoder
        of texts, or makes vectors of texts in another way than by the mean of their tokens.
    """
    folder = tensors.folder_of(source)
    _check_pooling(folder, source)
    module, variables = pretrained.load(source, **fields)
    if not text_encoder.reads_whole_texts(module):
        raise UserError(f"{source} is a {type(module).__name__}: only encoders such as BERT embed")
    said = config.settings(folder, "sentence_bert_config.json").get("max_seq_length")
    return Encoder(
        variables,
        jax.jit(lambda variables, batch, key: text_encoder.vectors(module, variables, batch)),
        encoders.tokenizer_of(source, module),
        min(module.context, said or module.context),
    )


def _check_pooling(folder: Path, source: str | Path) -> None:
    """Raises UserError where sentence-transformers' files say that vectors are made otherwise."""
    kinds = _modules(folder / "modules.json")
    if other := [kind for kind in kinds if kind not in ("Transformer", "Pooling", "Normalize")]:
        raise UserError(
            f"{source} has a module {other[0]} (modules.json): only the mean of all tokens, with "
            "length 1, is known"
        )
    said = config.settings(folder / "1_Pooling", "config.json")
    on = [name for name, value in said.items() if name.startswith("pooling_mode_") and value]
    if on and on != ["pooling_mode_mean_tokens"]:
        raise UserError(
            f"{source} pools by {', '.join(on)} (1_Pooling/config.json): only the mean of all "
            "tokens is known (pooling_mode_mean_tokens)"
        )


def _modules(file: Path) -> list[str]:
    """What a text goes through, the last part of each name; [] if nothing says it."""
    if not file.is_file():
        return []
    try:
        found = json.loads(file.read_text(encoding="utf-8-sig"))
        return [module["type"].rpartition(".")[2] for module in found]
    except (ValueError, RecursionError, TypeError, KeyError, AttributeError) as error:
        raise UserError(f"{file} lists no modules: {one_line(error)}") from None
