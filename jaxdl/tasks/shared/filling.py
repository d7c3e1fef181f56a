"""[MASK]s in texts filled in: what a masked language model says stands there."""

import re
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from jaxdl.data import encoded_texts
from jaxdl.data.tokens import Tokenizer
from jaxdl.errors import note
from jaxdl.tasks.shared import by_length
from jaxdl.tasks.shared.contract import Description
from jaxdl.tasks.shared.splits import EachFn
from jaxdl.tasks.shared.texts import printable

# How a hidden token is written in a text, whatever the tokenizer calls it.
NAME = encoded_texts.MASK

# Guesses that are told of each, and times that a text is read at most until all are filled in.
TOLD, READINGS = 5, 10

# What people write in its place.
_ALIKE = re.compile(r"[\[<(]mask[\])>]", re.IGNORECASE)


class Guess(NamedTuple):
    """What is said of a hidden token.

    Attributes:
      token: its number.
      probability: among all tokens.
    """

    token: int
    probability: float


class Filled(NamedTuple):
    """A text without its masks.

    Attributes:
      tokens: (n,) of the text, without special tokens around it.
      said: what was filled in, a guess a mask, in their order in the text.
      likeliest: of each mask the TOLD likeliest tokens while all the others are hidden, too.
    """

    tokens: np.ndarray
    said: tuple[Guess, ...]
    likeliest: tuple[tuple[Guess, ...], ...]


def encode(tokenizer: Tokenizer, special: encoded_texts.Specials, text: str) -> np.ndarray:
    """The tokens of a text (n,) int64, whose [MASK]s are the special token.

    A tokenizer that knows another name, such as <mask>, takes that one as well.
    """
    own = encoded_texts.mask_name(tokenizer)
    text = text.replace(NAME, own)
    found = tokenizer.encode(text).astype(np.int64)
    # Its own rules are best, as they know of the spaces around; bytes have none.
    if (found == special.mask).sum() == text.count(own):
        return found
    parts = [tokenizer.encode(part).astype(np.int64) for part in text.split(own)]
    for i in range(1, len(parts)):
        parts[i] = np.concatenate([[special.mask], parts[i]])
    return np.concatenate(parts)


def likeliest(
    module: nn.Module,
    ordinary: np.ndarray,
    mask: int,
    most: int,
    variables: Any,
    batch: Any,
    key: jax.Array,
) -> tuple[jax.Array, jax.Array]:
    """Tokens and probabilities, (batch, most, TOLD) each, of the masks of a batch, in their order.

    Args:
      module: called as `jaxdl.models.bert.BERT` is with output "masked_lm".
      ordinary: (n,) the tokens that may be said.
      mask: the special token that is looked for.
      most: masks of a text at most; what stands behind a text's last one means nothing.
      variables: of the module.
      batch: ``tokens`` and ``mask``, (batch, T) each.
      key: draws nothing.
    """
    tokens = batch["tokens"]
    places = jnp.argsort(tokens != mask, axis=1, stable=True)[:, :most]
    places = jnp.pad(places, ((0, 0), (0, most - places.shape[1])))
    logits = module.apply(variables, tokens, None, batch["mask"], places=places)
    shares = jax.nn.softmax(logits)[..., ordinary]
    told, which = jax.lax.top_k(shares, min(TOLD, len(ordinary)))
    return jnp.asarray(ordinary)[which], told


class Window(NamedTuple):
    """A part of a text that is read for some of its masks.

    Attributes:
      text: which one.
      start: its first token.
      stop: behind its last one.
      until: behind the last token that is read here: the masks of the rest are another's.
    """

    text: int
    start: int
    stop: int
    until: int


def windows(texts: Sequence[np.ndarray], mask: int, room: int) -> list[Window]:
    """The windows of ``room`` tokens in which all masks of the texts have something around them.

    A text that fits is one. Others are read around their masks alone: the first of a window stands
    in its middle, and those in its last quarter are left to the next, but at the end of the text.
    """
    found = []
    for i, tokens in enumerate(texts):
        n, until = len(tokens), 0
        for place in np.flatnonzero(tokens == mask):
            if place < until:
                continue
            start = min(max(0, int(place) - room // 2), max(0, n - room))
            stop = min(n, start + room)
            until = stop if stop == n else max(int(place) + 1, stop - room // 4)
            found.append(Window(i, start, stop, until))
    return found


def fill(
    each: Callable[[int], EachFn],
    texts: Sequence[np.ndarray],
    special: encoded_texts.Specials,
    longest: int,
    at_once: int,
    state: Any,
) -> list[Filled]:
    """The texts with their masks filled in, the surest first.

    Those that are filled in are seen when the others are guessed, so that they fit together: a text
    is read anew up to READINGS times, and each time an equal share of its masks goes (Ghazvininejad
    et al., 2019, "Mask-Predict", whose first guesses may change later, as these may not).

    Args:
      each: of the most masks in a window, a function (state, batch, key) as of `likeliest`.
      texts: tokens (n,) of each, without special ones but for masks.
      special: of the tokenizer.
      longest: tokens of a window, [CLS] and [SEP] among them.
      at_once: windows in a batch at most.
      state: for ``each``.
    """
    texts = [tokens.copy() for tokens in texts]
    masks = [np.flatnonzero(tokens == special.mask) for tokens in texts]
    said: list[dict[int, Guess]] = [{} for _ in texts]
    first: list[dict[int, tuple[Guess, ...]]] = [{} for _ in texts]
    found = windows(texts, special.mask, longest - 2)
    hidden = lambda w: np.flatnonzero(texts[w.text][w.start : w.stop] == special.mask) + w.start
    most = max((len(hidden(w)) for w in found), default=0)
    fn = each(most) if found else None
    readings = min(READINGS, max(map(len, masks), default=0))
    for reading in range(readings):
        # All windows each time: batches of other shapes would be compiled anew.
        encoded = [
            encoded_texts.wrapped([texts[w.text][w.start : w.stop]], special, longest)
            for w in found
        ]
        tokens, shares = by_length.over_texts(fn, encoded, special, longest, at_once, state)
        guesses: list[dict[int, tuple[Guess, ...]]] = [{} for _ in texts]
        for w, own_tokens, own_shares in zip(found, tokens, shares, strict=True):
            for place, *guess in zip(hidden(w), own_tokens, own_shares, strict=False):
                if place < w.until and int(place) not in guesses[w.text]:
                    told = zip(*guess, strict=True)
                    guesses[w.text][int(place)] = tuple(Guess(int(t), float(p)) for t, p in told)
        first = first if reading else guesses
        for i, own in enumerate(guesses):
            surest = sorted(own, key=lambda place: -own[place][0].probability)
            for place in surest[: -(-len(own) // (readings - reading))]:
                said[i][place] = own[place][0]
                texts[i][place] = own[place][0].token
    return [
        Filled(tokens, tuple(s[int(p)] for p in own), tuple(f[int(p)] for p in own))
        for tokens, own, s, f in zip(texts, masks, said, first, strict=True)
    ]


def describe(filled: Filled, tokenizer: Tokenizer) -> Description:
    """The text, and behind it the guesses: of one mask all that are told, of several the said."""
    text = tokenizer.decode(filled.tokens)
    guess = lambda g: {
        "token": tokenizer.decode(np.array([g.token])),
        "id": g.token,
        "probability": g.probability,
    }
    masks = [
        {**guess(said), "likeliest": [*map(guess, told)]}
        for said, told in zip(filled.said, filled.likeliest, strict=True)
    ]
    shown = masks[0]["likeliest"] if len(masks) == 1 else masks
    parts = [f"{_visible(g['token'])} {g['probability']:.1%}" for g in shown]
    return Description("  ".join([text, *parts]), {"text": text, "masks": masks})


def _visible(piece: str) -> str:
    return printable(piece) if piece.strip() else repr(piece)


def answers(
    each: Callable[[int], EachFn],
    texts: Sequence[str],
    tokenizer: Tokenizer,
    longest: int,
    at_once: int,
    state: Any,
) -> list[Description]:
    """What is filled in for the [MASK]s of each text; [] where no text has any.

    Texts without are as they came, beside others that have some. The arguments are `fill`'s.
    """
    special = encoded_texts.specials(tokenizer)
    encoded = [encode(tokenizer, special, text) for text in texts]
    if not any((tokens == special.mask).any() for tokens in encoded):
        for found in filter(None, map(_ALIKE.search, texts)):
            note(f"nothing is filled in: a hidden token is written {NAME}, not {found[0]}")
            break
        return []
    filled = fill(each, encoded, special, longest, at_once, state)
    return [
        describe(f, tokenizer) if f.said else Description(text, {"text": text, "masks": []})
        for f, text in zip(filled, texts, strict=True)
    ]
