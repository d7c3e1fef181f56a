"""[MASK]s in texts filled in by a published encoder, as transformers' fill-mask does it."""

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from flax import linen as nn

from jaxdl import pretrained
from jaxdl.data import encoded_texts, tokens
from jaxdl.errors import UserError
from jaxdl.pretrained import encoders
from jaxdl.tasks.shared import filling


class Filler(NamedTuple):
    """What says what is hidden in texts.

    >>> fill = load("bert-base-uncased/")
    >>> fill(["Paris is the [MASK] of France."])[0]["text"]

    Attributes:
      module: of a masked language model.
      variables: its own.
      tokenizer: that the weights know.
    """

    module: nn.Module
    variables: Any
    tokenizer: tokens.Tokenizer

    def __call__(self, texts: Sequence[str], batch_size: int = 64) -> list[dict[str, Any]]:
        """Of each text ``text``, filled in, and ``masks`` (`jaxdl.tasks.shared.filling`).

        Each of these has ``token``, ``id`` and ``probability`` of what was filled in, and
        ``likeliest``: the same of the five likeliest tokens while all masks are hidden. The surest
        are filled in first, and seen when the others are. A text that is longer than the model's
        positions is read around its masks.

        Args:
          texts: with [MASK] for each hidden token, or as the tokenizer calls it; those without are
            given back as they are.
          batch_size: texts in a batch at most.
        """
        special = encoded_texts.specials(self.tokenizer)
        ordinary = np.setdiff1d(np.arange(self.tokenizer.size), special.ids)
        say = functools.partial(filling.likeliest, self.module, ordinary, special.mask)
        each = lambda most: jax.jit(functools.partial(say, most))
        found = filling.answers(
            each, texts, self.tokenizer, self.module.context, batch_size, self.variables
        )
        return [said.record for said in found] or [{"text": t, "masks": []} for t in texts]


def load(source: str | Path, **fields: Any) -> Filler:
    """A masked language model of a folder, as transformers writes it.

    Args:
      source: as of `jaxdl.pretrained.load`, with the tokenizer.json beside.
      **fields: of the module, such as dtype.

    Raises:
      UserError: it cannot be read, has no tokenizer.json or one of more tokens, or says nothing
        of masked tokens.
    """
    module, variables = pretrained.load(source, **fields)
    if getattr(module, "output", "") != "masked_lm":
        raise UserError(f"{source} is no masked language model: it says nothing of hidden tokens")
    return Filler(module, variables, encoders.tokenizer_of(source, module))
