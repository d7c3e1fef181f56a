"""What hears recordings: a model, how it writes, and when it is to try again."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from jaxdl import pretrained
from jaxdl.data.tokens import Vocabulary
from jaxdl.errors import UserError
from jaxdl.generate import Settings, Speech


class Limits(NamedTuple):
    """When what is written of a window is drawn anew, or taken for silence.

    Attributes:
      temperatures: of one try after the other, each at least 0.
      compression: a text whose tokens' bytes zlib makes smaller by more than this factor repeats
        itself, and is tried again; None asks nothing, likewise the next two.
      log_p: so is one whose tokens have a mean log p below this.
      no_speech: but where nobody speaks by more than this probability, and log p is below its
        limit, there is silence.
    """

    temperatures: Sequence[float] = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
    compression: float | None = 1.35
    log_p: float | None = -1.0
    no_speech: float | None = 0.6


LIMITS = Limits()
# One greedy try whatever comes of it, as transformers has it by default.
UNLIMITED = Limits((0.0,), None, None, None)


class Transcriber(NamedTuple):
    """A model that hears, ready for recordings.

    Attributes:
      module: Whisper.
      variables: its own.
      settings: how it writes, of its folder.
      limits: when it is to try again.
      tokenizer: of its tokenizer.json; None gives no text.
      told: tokens of words that are told beforehand, names or how to spell.
    """

    module: nn.Module
    variables: Any
    settings: Settings
    limits: Limits = LIMITS
    tokenizer: Vocabulary | None = None
    told: tuple[int, ...] = ()


def load(
    source: str | Path, limits: Limits = LIMITS, *, dtype: Any = jnp.float32, **said: Any
) -> Transcriber:
    """A published Whisper: a folder of transformers', "owner/name" on the hub, or OpenAI's .pt.

    >>> whisper = load("whisper-tiny/", language="en")
    >>> transcribe(whisper, audio.read("talk.wav", RATE)).text

    Args:
      source: of the model, its generation_config.json and its tokenizer.json (extra tokenizers),
        which stands beside a .pt.
      limits: when it is to try again.
      dtype: of the computation.
      **said: settings in place of the folder's: language ("en" or "english"; by default it is
        detected), task ("transcribe" or "translate"), num_beams, max_new_tokens,
        condition_on_prev_tokens, return_token_timestamps, for the times of words, …; and
        initial_prompt, words that are told beforehand.

    Raises:
      UserError: something of this is missing, damaged, or not of Whisper's.
    """
    path, folder = pretrained.tensors.locate(source), pretrained.tensors.folder_of(source)
    settings, words = _asked(pretrained.generation(path), said)
    file = folder / "tokenizer.json"
    if not file.is_file():
        raise UserError(f"{folder} has no tokenizer.json, by which tokens become text: add it")
    tokenizer = Vocabulary(str(file))
    module, variables = pretrained.load(path, dtype=dtype)
    if getattr(module, "source_features", None) is None:
        raise UserError(f"{source} is a {type(module).__name__}, which hears nothing")
    _check_heads(module, settings)
    told = told_by(tokenizer, words, settings.eos_token_id) if words else ()
    return Transcriber(module, variables, settings, limits, tokenizer, told)


def of_weights(
    module: nn.Module,
    variables: Any,
    settings: Settings,
    tokenizer: Vocabulary,
    limits: Limits = LIMITS,
    **said: Any,
) -> Transcriber:
    """`load` of a model that is in memory; ``settings`` are what its folder would say.

    Raises:
      UserError: a setting is not of Whisper's, or asks for what the folder does not say.
    """
    settings, words = _asked(settings, said)
    _check_heads(module, settings)
    told = told_by(tokenizer, words, settings.eos_token_id) if words else ()
    return Transcriber(module, variables, settings, limits, tokenizer, told)


def _asked(settings: Settings, said: dict[str, Any]) -> tuple[Settings, Any]:
    """Settings with those of ``said`` in their place, and the words that are told beforehand."""
    words = said.pop("initial_prompt", None)
    settings = Settings.of({**settings.said(), **said})
    known = Speech.of(settings)
    known.timestamps  # noqa: B018, which complains
    if (words or known.conditions) and known.previous is None:
        raise UserError(
            "nothing says which token stands in front of a text before: generation_config.json "
            "needs prev_sot_token_id"
        )
    return settings, words


def _check_heads(module: nn.Module, settings: Settings) -> None:
    """Raises UserError for a head that the model has not, where heads tell the times of words."""
    known, depth, heads = Speech.of(settings), module.decoder_depth, module.heads
    for layer, head in known.alignment if known.tells_words else ():
        if not (0 <= layer < depth and 0 <= head < heads):
            raise UserError(
                f"alignment_heads: [{layer}, {head}] is no head of this model, which has {depth} "
                f"layers of {heads}"
            )


def told_by(tokenizer: Vocabulary, words: str, end: int) -> tuple[int, ...]:
    """The tokens of words that are told beforehand, as transformers' get_prompt_ids has them.

    Raises:
      UserError: they are no text, or special tokens from ``end`` on stand in them.
    """
    if not isinstance(words, str):
        raise UserError(f"initial_prompt={words!r} must be a text")
    found = tuple(tokenizer.encode(f" {words.strip()}").tolist())
    special = [token for token in found if token >= end]
    if special:
        name = tokenizer.decode(np.array(special[:1]))
        raise UserError(f"initial_prompt={words!r} has {name}, which is no text")
    return found
