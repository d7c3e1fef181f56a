"""What can be asked of a language model: settings and prompts, checked before all else."""

import math
from typing import Any

import jax
import numpy as np
from flax import linen as nn

from jaxdl.errors import UserError


def check_sampling(temperature: float, top_k: int, top_p: float, where: str = "") -> None:
    """Raises UserError for the first that is out of its range; ``where`` stands before its name."""
    if not 0 <= temperature < float("inf"):
        raise UserError(f"{where}temperature={temperature} must be at least 0")
    if top_k < 0:
        raise UserError(f"{where}top_k={top_k} must be at least 0")
    if not 0 < top_p <= 1:
        raise UserError(f"{where}top_p={top_p} must be above 0 and at most 1")


def check_beams(beams: int, where: str = "") -> None:
    """Raises UserError for fewer than one; ``where`` stands before the name."""
    if beams < 1:
        raise UserError(f"{where}beams={beams} must be at least 1")


def check_penalty(length_penalty: float, tokens: int) -> None:
    """Raises UserError where the longest text's score would be beyond float32.

    It is log p times a factor, which may be 1e30: that leaves room for log p itself.
    """
    most = math.log(1e30) / math.log((5 + max(tokens, 2)) / 6)
    if not abs(length_penalty) <= most:
        raise UserError(
            f"length_penalty={length_penalty} is not possible: with tokens={tokens} it must be "
            f"from {-most:.3g} to {most:.3g}"
        )


def check_prompt(module: nn.Module, prompt: Any, tokens: int, where: str = "") -> Any:
    """The prompt (batch, P) as int32, if the model can add ``tokens`` to it.

    What it holds is looked at unless it is traced, as inside a jitted function.

    Raises:
      UserError: it cannot; ``where`` stands before the names of what was asked for.
    """
    if not getattr(module, "is_language_model", True):
        raise UserError(
            f"{type(module).__name__} is no language model: of these every token sees those before "
            "it, and nothing else"
        )
    traced = isinstance(prompt, jax.core.Tracer)
    try:
        prompt = prompt if traced else np.asarray(prompt)
    except ValueError:
        raise UserError(f"{where}prompt must be rows of one length") from None
    if prompt.ndim != 2:
        raise UserError(f"{where}prompt must be (batch, tokens), got the shape {prompt.shape}")
    if not prompt.size:
        raise UserError(f"{where}prompt is empty: a text goes on from at least one token")
    if prompt.dtype.kind not in "iu":
        raise UserError(f"{where}prompt must be whole numbers, got {prompt.dtype}")
    if tokens < 1:
        raise UserError(f"{where}tokens={tokens} must be at least 1")
    vocabulary, context = (getattr(module, name, None) for name in ("vocab_size", "context"))
    if vocabulary and not traced:
        wrong = prompt[(prompt < 0) | (prompt >= vocabulary)]
        if wrong.size:
            raise UserError(
                f"{where}prompt has the token {wrong[0]}, but the model's go from 0 to "
                f"{vocabulary - 1}"
            )
    length = prompt.shape[1]
    if context and length + tokens > context:
        raise UserError(
            f"{where}prompt of {length} tokens and {where}tokens={tokens} more are longer than the "
            f"model's context of {context}"
        )
    return prompt.astype(np.int32)


def check_stop(module: nn.Module, stop: Any, where: str = "") -> tuple[int, ...]:
    """The tokens that end a text, as whole numbers; none of them is the empty tuple.

    Raises:
      UserError: it is no whole number and no row of them, or one is no token of the model's;
        ``where`` stands before the name.
    """
    if stop is None:
        return ()
    given = np.asarray(stop)
    if given.ndim > 1 or (given.size and given.dtype.kind not in "iu"):
        raise UserError(f"{where}stop={stop!r} must be a token or several, whole numbers")
    stops = tuple(dict.fromkeys(given.reshape(-1).tolist()))
    vocabulary = getattr(module, "vocab_size", None)
    wrong = [x for x in stops if x < 0 or (vocabulary and x >= vocabulary)]
    if wrong:
        last = f" to {vocabulary - 1}" if vocabulary else " on"
        raise UserError(f"{where}stop has the token {wrong[0]}, but the model's go from 0{last}")
    return stops
