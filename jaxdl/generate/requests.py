"""What can be asked of a model that writes: settings and texts, checked before all else."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, TypedDict

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from jaxdl.errors import UserError, nearest
from jaxdl.generate import decoding
from jaxdl.generate.processors import Processors
from jaxdl.generate.timestamps import Timestamps


class Rules(TypedDict, total=False):
    """What may be asked of a text besides, by `sample`, `greedy` and `beam_search` alike.

    The same as transformers' settings of these names, or of those in parentheses, and in the same
    order; beam search applies them to log p, the others to logits, before the temperature. None,
    or to leave it out, asks for nothing and costs nothing. The values are data: others run in the
    same compiled program, but for the size of n-grams.

    Attributes:
      repetition_penalty: above 0; above 1 the tokens of the text, its prompt included, become less
        likely (`jaxdl.generate.processors.penalise_repetition`).
      no_repeat_ngram_size: so many tokens stand in this order once only, the prompt included.
      min_tokens: so many are added before one that ends the text (min_new_tokens).
      max_tokens: so many are added at most, of those that there is room for: ``tokens`` makes
        another program, and this is data. An array (batch,) has a number for each prompt, 1 or
        more, which is not compared with its own room where it is traced; what stands behind so many
        of a text means nothing.
      forced_first: the first token that is added, to prompts of one token (forced_bos_token_id).
      forced_last: the token that ends a text for which there is no room else
        (forced_eos_token_id).
      bad_words: rows of tokens, of any lengths, that never stand in this order (bad_words_ids); one
        that ends a text is no such row.
      suppressed: tokens that are never added (suppress_tokens).
      suppressed_first: tokens that are not the first that is added, or, where that is forced, not
        the second (begin_suppress_tokens).
      timestamps: the rules of a vocabulary whose last tokens tell times (return_timestamps).
    """

    repetition_penalty: float | None
    no_repeat_ngram_size: int | None
    min_tokens: int | None
    max_tokens: int | jax.Array | None
    forced_first: int | None
    forced_last: int | None
    bad_words: Sequence[Sequence[int]] | None
    suppressed: Sequence[int] | None
    suppressed_first: Sequence[int] | None
    timestamps: Timestamps | None


def check_sampling(temperature: float, top_k: int, top_p: float, where: str = "") -> None:
    """Raises UserError for the first that is out of its range; ``where`` stands before its name."""
    if not 0 <= temperature < float("inf"):
        raise UserError(f"{where}temperature={temperature} must be at least 0")
    if top_k < 0:
        raise UserError(f"{where}top_k={top_k} must be at least 0")
    if not 0 < top_p <= 1:
        raise UserError(f"{where}top_p={top_p} must be above 0 and at most 1")


def check_beams(beams: int, where: str = "", *, returned: int | None = None) -> None:
    """Raises UserError for fewer than one, or more to be ``returned`` than there are.

    ``where`` stands before the names.
    """
    if beams < 1:
        raise UserError(f"{where}beams={beams} must be at least 1")
    if returned is not None and not 1 <= returned <= beams:
        raise UserError(f"{where}returned={returned} must be from 1 to beams={beams}")


def check_early_stopping(early_stopping: Any) -> tuple[bool, bool]:
    """Whether it is True, and whether it is "never"; UserError for what is neither, nor False."""
    never = isinstance(early_stopping, str) and early_stopping == "never"
    if not never and not isinstance(early_stopping, bool):
        raise UserError(f"early_stopping={early_stopping!r} must be True, False or 'never'")
    return early_stopping is True, never


def check_penalty(length_penalty: float, tokens: int) -> None:
    """Raises UserError where the longest text's score would be beyond float32.

    It is log p times a factor, which may be 1e30: that leaves room for log p itself.
    """
    most = math.log(1e30) / math.log(max(tokens, 2))
    if not abs(length_penalty) <= most:
        raise UserError(
            f"length_penalty={length_penalty} is not possible: with tokens={tokens} it must be "
            f"from {-most:.3g} to {most:.3g}"
        )


def most(tokens: int, rules: Mapping[str, Any]) -> Any:
    """How many of ``tokens`` are added at most, as the `Rules` say: a number, or (batch,)."""
    asked = rules.get("max_tokens")
    if asked is None:
        return tokens
    if np.ndim(asked) == 1:
        return asked
    _check_count(asked, "max_tokens", 1, tokens)
    return int(asked)


def check_prompt(
    module: nn.Module, prompt: Any, tokens: int, where: str = "", *, padding: int = 0
) -> Any:
    """The prompt (batch, P) as int32, if the model can add ``tokens`` to it.

    At least ``padding`` of each prompt's tokens need no position.

    What it holds is looked at unless it is traced, as inside a jitted function.

    Raises:
      UserError: it cannot; ``where`` stands before the names of what was asked for.
    """
    reads = decoding.reads_source(module)
    if not getattr(module, "is_language_model", True) and not reads:
        raise UserError(
            f"{type(module).__name__} is no language model: of these every token sees those before "
            "it, and nothing else"
        )
    if reads and not getattr(module, "decoder_depth", 1):
        raise UserError(f"{type(module).__name__} is an encoder alone: it writes nothing")
    prompt = _tokens(module, prompt, f"{where}prompt")
    if not prompt.size:
        raise UserError(f"{where}prompt is empty: a text goes on from at least one token")
    _check_count(tokens, f"{where}tokens")
    context, length = getattr(module, "context", None), prompt.shape[1] - padding
    if context and length + tokens > context:
        raise UserError(
            f"{where}prompt of {length} tokens and {where}tokens={tokens} more are longer than the "
            f"model's context of {context}"
        )
    return prompt.astype(np.int32)


def check_given(
    module: nn.Module,
    prompt: Any,
    tokens: Any,
    prompt_mask: Any,
    source: Any,
    source_mask: Any,
    encoded: Any = None,
) -> decoding.Given:
    """What a text goes on from, if the model can; as `jaxdl.generate.sample` takes it.

    ``tokens`` are those that are added at most, a number for all prompts, or (batch,).

    Raises:
      UserError: it cannot.
    """
    name, padding = type(module).__name__, 0
    if prompt_mask is not None and not getattr(module, "counts_padding", True):
        padding = int((~np.asarray(prompt_mask, bool)).sum(-1).min())
    if np.ndim(tokens):
        tokens, padding = _each(prompt, tokens, prompt_mask)
    prompt = check_prompt(module, prompt, tokens, padding=padding)
    if prompt_mask is not None:
        if not decoding.takes_mask(module):
            raise UserError(f"{name} takes no prompt_mask: its prompts must be of one length")
        prompt_mask = _mask(prompt_mask, prompt.shape, "prompt_mask", "prompt")
        if not isinstance(prompt_mask, jax.core.Tracer):
            if not prompt_mask.any(1).all():
                row = prompt_mask.any(1).argmin()
                raise UserError(f"prompt_mask: prompt {row} is all padding, of a text's begin none")
            if (np.diff(prompt_mask.astype(int)) < 0).any():
                raise UserError("prompt_mask: padding must stand in front of a prompt")
    if not decoding.reads_source(module):
        if source is not None or source_mask is not None or encoded is not None:
            raise UserError(f"{name} reads no source: what it is to go on from is its prompt")
        return decoding.Given(prompt, prompt_mask)
    if (source is None) == (encoded is None):
        raise UserError(
            f"{name} needs a source, (batch, tokens), beside the prompt"
            if source is None
            else "source and encoded are not together: encoded is what came of a source"
        )
    if encoded is not None:
        if source_mask is not None:
            raise UserError("source_mask goes with a source, not with encoded")
        if encoded.ndim != 3 or encoded.shape[0] != prompt.shape[0]:
            raise UserError(
                f"encoded must be ({prompt.shape[0]}, tokens, width), one to each prompt, got the "
                f"shape {encoded.shape}"
            )
        return decoding.Given(prompt, prompt_mask, encoded=encoded)
    features = getattr(module, "source_features", None)
    if features is None:
        source = _tokens(module, source, "source").astype(np.int32)
    else:
        source = _vectors(source, features)
    if source.shape[0] != prompt.shape[0] or not source.size:
        raise UserError(
            f"source must be ({prompt.shape[0]}, tokens), one to each prompt, got the shape "
            f"{source.shape}"
        )
    context = getattr(module, "context" if features is None else "frames", None)
    if context and source.shape[1] > context:
        what = "tokens" if features is None else "frames"
        raise UserError(
            f"source of {source.shape[1]} {what} is longer than the model's context of {context}"
        )
    if source_mask is not None:
        source_mask = _mask(source_mask, source.shape[:2], "source_mask", "source")
        if not isinstance(source_mask, jax.core.Tracer) and not source_mask.any(1).all():
            raise UserError(f"source_mask: source {source_mask.any(1).argmin()} is all padding")
    return decoding.Given(prompt, prompt_mask, source, source_mask)


def _each(prompt: Any, tokens: Any, mask: Any) -> tuple[int, int]:
    """Tokens and padding of the prompt that needs most room, each with its own ``tokens``."""
    shape = np.shape(prompt)
    if np.shape(tokens) != shape[:1]:
        raise UserError(f"max_tokens must be {shape[:1]}, one to each, got {np.shape(tokens)}")
    if any(isinstance(x, jax.core.Tracer) for x in (tokens, mask)):
        return 1, shape[1] - 1
    tokens = np.asarray(tokens)
    _check_count(int(tokens.min()), "max_tokens")
    padding = np.zeros_like(tokens) if mask is None else (~np.asarray(mask, bool)).sum(-1)
    fullest = np.argmax(tokens - padding)
    return int(tokens[fullest]), int(padding[fullest])


def check_rules(
    module: nn.Module, given: decoding.Given, tokens: int, stop: Any, rules: Mapping[str, Any]
) -> Processors:
    """What is asked of the texts.

    Raises:
      UserError: ``stop`` or one of the `Rules` is unknown, out of range, or would be ignored.
    """
    known = Rules.__annotations__
    for name in rules:
        if name not in known:
            raise UserError(f"there is no setting {name!r}: {nearest(name, known)}")
    asked = {name: rules.get(name) for name in known}
    stops = check_stop(module, stop)
    penalty = asked["repetition_penalty"]
    if penalty is not None and not 0 < penalty < math.inf:
        raise UserError(f"repetition_penalty={penalty} must be above 0")
    size, least = asked["no_repeat_ngram_size"], asked["min_tokens"]
    if size is not None:
        _check_count(size, "no_repeat_ngram_size")
        most = getattr(module, "vocab_size", math.inf)
        if given.prompt.shape[1] + tokens - size + 1 > most ** min(size, 64):
            raise UserError(
                f"no_repeat_ngram_size={size}: {most} tokens are too few for texts of "
                f"{given.prompt.shape[1] + tokens} that never repeat"
            )
    if least is not None:
        _check_count(least, "min_tokens", 0, tokens)
        if least and not stops:
            raise UserError(f"min_tokens={least} needs stop: without, every text is as long")
    for name in ("forced_first", "forced_last"):
        if asked[name] is not None:
            _check_token(module, asked[name], name)
    length = given.prompt.shape[1]
    if asked["forced_first"] is not None and length > 1:
        raise UserError(
            f"forced_first={asked['forced_first']} goes with prompts of one token, not {length}: "
            "write it behind the prompt"
        )
    whole = lambda x: None if x is None else jnp.int32(x)
    several = lambda x: jnp.array(x, jnp.int32) if x else None
    suppressed = [check_stop(module, asked[name], name=name) for name in _SUPPRESSED]
    words = _words(module, asked["bad_words"] or (), stops)
    return Processors(
        stops=several(stops),
        repetition_penalty=None if penalty is None else jnp.float32(penalty),
        min_tokens=whole(least),
        max_tokens=whole(asked["max_tokens"]),
        forced_first=whole(asked["forced_first"]),
        forced_last=whole(asked["forced_last"]),
        bad_words=tuple(jnp.array(rows, jnp.int32) for rows in words),
        suppressed=several(suppressed[0]),
        suppressed_first=several(suppressed[1]),
        timestamps=_timestamps(module, asked["timestamps"]),
        no_repeat_ngram_size=None if size is None else int(size),
    )


def check_pad(module: nn.Module, pad: Any, asked: Processors) -> jax.Array | None:
    """The token that is to follow one that ends a text.

    Raises:
      UserError: it is no token of the model's, or nothing ends a text.
    """
    if pad is None:
        return None
    _check_token(module, pad, "pad")
    if asked.stops is None:
        raise UserError(f"pad={pad} needs stop: it follows a token that ends a text")
    return jnp.int32(pad)


def _words(module: nn.Module, words: Any, stops: tuple[int, ...]) -> list[list[tuple[int, ...]]]:
    """Rows of tokens, those of each length together."""
    if isinstance(words, str) or not isinstance(words, Sequence | np.ndarray):
        raise UserError(f"bad_words={words!r} must be rows of tokens")
    found: dict[int, list[tuple[int, ...]]] = {}
    for word in words:
        if not isinstance(word, Sequence | np.ndarray) or not len(word):
            raise UserError(f"bad_words has {word!r}, which must be a row of tokens")
        for token in word:
            _check_token(module, token, "bad_words: token")
        row = tuple(int(token) for token in word)
        if len(row) > 1 or row[0] not in stops:
            found.setdefault(len(row), []).append(row)
    return [found[length] for length in sorted(found)]


def _timestamps(module: nn.Module, rules: Timestamps | None) -> Timestamps | None:
    if rules is None:
        return None
    for name in ("first", "end"):
        _check_token(module, getattr(rules, name), f"timestamps.{name}")
    if rules.end >= rules.first:
        raise UserError(
            f"timestamps.end={rules.end} must come before timestamps.first={rules.first}"
        )
    if rules.latest_start is not None:
        _check_count(rules.latest_start, "timestamps.latest_start", 0)
    return Timestamps(*(None if x is None else jnp.int32(x) for x in rules))


_SUPPRESSED = ("suppressed", "suppressed_first")


def check_stop(
    module: nn.Module, stop: Any, where: str = "", name: str = "stop"
) -> tuple[int, ...]:
    """Tokens, such as those that end a text, as whole numbers; none of them is the empty tuple.

    Raises:
      UserError: it is no whole number and no row of them, or one is no token of the model's;
        ``where`` stands before the ``name``.
    """
    if stop is None:
        return ()
    given = np.asarray(stop)
    if given.ndim > 1 or (given.size and given.dtype.kind not in "iu"):
        raise UserError(f"{where}{name}={stop!r} must be a token or several, whole numbers")
    stops = tuple(dict.fromkeys(given.reshape(-1).tolist()))
    vocabulary = getattr(module, "vocab_size", None)
    wrong = [x for x in stops if x < 0 or (vocabulary and x >= vocabulary)]
    if wrong:
        last = f" to {vocabulary - 1}" if vocabulary else " on"
        raise UserError(f"{where}{name} has the token {wrong[0]}, but the model's go from 0{last}")
    return stops


def _tokens(module: nn.Module, tokens: Any, name: str) -> Any:
    """(batch, T) whole numbers that the model knows, if they are that."""
    traced = isinstance(tokens, jax.core.Tracer)
    try:
        tokens = tokens if traced else np.asarray(tokens)
    except ValueError:
        raise UserError(f"{name} must be rows of one length") from None
    if tokens.ndim != 2:
        raise UserError(f"{name} must be (batch, tokens), got the shape {tokens.shape}")
    if tokens.size and tokens.dtype.kind not in "iu":
        raise UserError(f"{name} must be whole numbers, got {tokens.dtype}")
    vocabulary = getattr(module, "vocab_size", None)
    if vocabulary and not traced:
        wrong = tokens[(tokens < 0) | (tokens >= vocabulary)]
        if wrong.size:
            raise UserError(
                f"{name} has the token {wrong[0]}, but the model's go from 0 to {vocabulary - 1}"
            )
    return tokens


def _vectors(source: Any, features: int) -> Any:
    """(batch, T, features) float32, if a source is that."""
    source = source if isinstance(source, jax.Array) else np.asarray(source)
    if source.ndim != 3 or source.shape[-1] != features or source.dtype.kind != "f":
        raise UserError(
            f"source must be (batch, frames, {features}) floats, got {source.dtype} {source.shape}"
        )
    return source.astype(np.float32)


def _mask(mask: Any, shape: tuple[int, ...], name: str, of: str) -> Any:
    """Booleans of this shape."""
    traced = isinstance(mask, jax.core.Tracer)
    mask = mask if traced else np.asarray(mask)
    if mask.shape != shape or mask.dtype.kind not in "biu":
        raise UserError(
            f"{name} must be booleans or whole numbers shaped like the {of}, {shape}, got "
            f"{mask.dtype} {mask.shape}"
        )
    return mask.astype(bool)


def _check_count(count: Any, name: str, least: int = 1, most: int | None = None) -> None:
    whole = isinstance(count, int | np.integer) and not isinstance(count, bool)
    if not whole or count < least:
        raise UserError(f"{name}={count!r} must be at least {least}, a whole number")
    if most is not None and count > most:
        raise UserError(f"{name}={count} must be at most tokens={most}")


def _check_token(module: nn.Module, token: Any, name: str) -> None:
    whole = isinstance(token, int | np.integer) and not isinstance(token, bool)
    vocabulary = getattr(module, "vocab_size", None)
    if not whole or token < 0 or (vocabulary and token >= vocabulary):
        last = f" to {vocabulary - 1}" if vocabulary else " on"
        raise UserError(f"{name}={token!r} is no token: the model's go from 0{last}")
