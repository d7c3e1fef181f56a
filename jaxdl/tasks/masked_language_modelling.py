"""Texts some of whose tokens are hidden: what they are, given those on both sides."""

import functools
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from jaxdl import keys, models, ops
from jaxdl.data import Data, encoded_texts, lines, masking, without_padding
from jaxdl.errors import UserError
from jaxdl.metrics import HIGH, Mean, Metrics
from jaxdl.report import draw
from jaxdl.tasks import (
    Description,
    Run,
    Task,
    check_shares,
    learner,
    need_batches,
    over_split,
    register,
)
from jaxdl.tasks.shared import filling, text_encoder
from jaxdl.tasks.shared.splits import EachFn
from jaxdl.tasks.shared.texts import along, attention, pieces, printable

# Tokens that are no text, beside those that stand around one: nobody is to guess them.
_UNKNOWN = ("[UNK]", "<unk>")

# Tokens whose attention to one another is shown, and of passages that are, and how many of these.
_SEEN, _SHOWN, _PASSAGES = 48, 96, 8


@register("masked_language_modelling", groups=("model", "pretrained"), derives=text_encoder.DERIVED)
def masked_language_modelling(
    run: Run,
    rate: float = 0.15,
    train_rate: float = 0.0,
    random: float = 0.1,
    kept: float = 0.1,
    whole_words: bool = False,
) -> Task:
    """Hidden tokens of ``tokens`` (batch, T + 1), by a model that reads from both sides.

    A window is [CLS], its last T tokens, [SEP]: the one in front is there for models that predict
    the next. Special tokens are the tokenizer's, or stand behind its own: of bytes [PAD], [CLS],
    [SEP] and [MASK] are 256 to 259. How tokens are hidden is told by `jaxdl.data.masking`.

    Args:
      run: the run's config and data. The model is called as `jaxdl.models.bert.BERT` is with output
        "masked_lm", and has as many tokens and positions as the data need.
      rate: share of a window's tokens that are to be guessed, in (0, 1].
      train_rate: the same in training, where more teach more (Wettig et al., 2023, "Should You Mask
        15% in Masked Language Modeling?"); 0 is ``rate``.
      random: share of these that any token takes the place of.
      kept: share of these that are shown as they are; [MASK] stands for the others.
      whole_words: hides all tokens of a word, or none.

    The metrics are ``loss`` (nats a guessed token) and ``accuracy``, and ``masked_accuracy`` of
    those that [MASK] stands for. At evaluation a window's hidden tokens follow from the window
    alone, so that figures of any runs, batches and devices are of the same tokens.
    """
    need_batches(run, "tokens")
    check_shares(rate=rate, train_rate=train_rate, random=random, kept=kept)
    if rate == 0:
        raise UserError("config.task.rate=0 must be above 0: there would be nothing to guess")
    if random + kept > 1:
        raise UserError(
            f"config.task.random={random} and config.task.kept={kept} must be at most 1 together"
        )
    data = run.data
    hiding = Hiding.of(data.tokenizer, random, kept, whole_words)
    begin = text_encoder.start(run, "masked_lm", around=2)
    module = begin.module
    loss_fn = functools.partial(
        training_loss, learner.forward(module), functools.partial(hide, hiding, train_rate or rate)
    )
    start, update = learner.by_config(run, loss_fn)
    fixed = functools.partial(hide_alike, hiding, rate)
    each = jax.jit(lambda state, batch, key: guesses(module, fixed, state, batch))
    encode = functools.partial(filling.encode, data.tokenizer, hiding.special)
    return Task(
        init=functools.partial(_init, module, lambda fresh: start(begin.variables(fresh))),
        train_step=update,
        eval_step=functools.partial(evaluate, module, fixed),
        artifacts=functools.partial(_artifacts, module, each, data, run.config.eval.batch_size),
        parameters=functools.partial(_parameters, module, data.train.context + 2),
        directions={"masked_accuracy": HIGH},
        answer=functools.partial(_answer, module, data, hiding),
        embed=text_encoder.embed(module, data, 2, encode),
        check=begin.check,
    )


class Hiding(NamedTuple):
    """How tokens are hidden, whatever their share.

    Attributes:
      special: the special tokens.
      never: (n,) tokens that are not chosen beside these.
      ordinary: (n,) those that may be shown in the place of others.
      random: as of `jaxdl.data.masking.mask`.
      kept: as well.
      joins: of the tokenizer, to choose whole words; None for tokens.
    """

    special: encoded_texts.Specials
    never: np.ndarray
    ordinary: np.ndarray
    random: float
    kept: float
    joins: tuple[np.ndarray, np.ndarray] | None

    @classmethod
    def of(cls, tokenizer: Any, random: float, kept: float, whole_words: bool) -> "Hiding":
        """For the tokens of `jaxdl.data.tokens`."""
        special = encoded_texts.specials(tokenizer)
        unknown = {tokenizer.id_of(name) for name in _UNKNOWN} - {None}
        ordinary = np.setdiff1d(np.arange(tokenizer.size), [*special.ids, *unknown])
        never = np.array(sorted(unknown), np.int32)
        joins = tokenizer.joins() if whole_words else None
        return cls(special, never, ordinary, random, kept, joins)


# What a batch becomes: the mask of its padding, None without, and what is hidden of it.
Hidden = tuple[jax.Array | None, masking.Masked]
HideFn = Callable[[Mapping], Hidden]


def hide(hiding: Hiding, rate: float, batch: Mapping, key: jax.Array) -> Hidden:
    """A batch to learn from; ``key`` draws what is hidden, and how."""
    each = jax.random.split(keys.named(key, "masking"), len(batch["tokens"]))
    return _hidden(hiding, rate, batch, each)


def hide_alike(hiding: Hiding, rate: float, batch: Mapping) -> Hidden:
    """A batch to be measured on: of a window always the same is hidden."""
    each = masking.fixed_keys(keys.named(keys.root(0), "masking"), batch["tokens"][:, 1:])
    return _hidden(hiding, rate, batch, each)


def _hidden(hiding: Hiding, rate: float, batch: Mapping, each: jax.Array) -> Hidden:
    window, weight = batch["tokens"][:, 1:], batch.get("weight")
    counts = jnp.ones(window.shape, bool) if weight is None else weight > 0
    # What counts is the end of a text's window, and behind it there is nothing but padding.
    real = jnp.cumsum(counts[:, ::-1], axis=1)[:, ::-1] > 0
    text = masking.framed(window, real, hiding.special)
    allowed = jnp.pad(counts, ((0, 0), (1, 1))) & ~jnp.isin(text.tokens, hiding.never)
    word = None
    if hiding.joins is not None:
        word = masking.words(text.tokens, hiding.joins, hiding.special.size)
    masked = masking.mask(
        each, text.tokens, allowed, rate=rate, special=hiding.special, ordinary=hiding.ordinary,
        random=hiding.random, kept=hiding.kept, word=word,
    )  # fmt: skip
    masked = masked._replace(weight=without_padding(batch, masked.weight))
    return None if weight is None else text.mask, masked


def training_loss(
    forward: Callable[..., tuple[jax.Array, Any]],
    hide: Callable[[Mapping, jax.Array], Hidden],
    params: Any,
    model_state: Any,
    batch: Mapping,
    key: jax.Array,
) -> learner.Loss:
    """Nats a guessed token, and how many were right, of a pass of training."""
    mask, masked = hide(batch, key)
    logits, model_state = forward(
        params, model_state, key, masked.tokens, None, mask, places=masked.places
    )
    nats = ops.cross_entropy(logits, masked.targets)
    return learner.Loss(Mean.of(nats, masked.weight), model_state, hits(logits, masked))


def hits(logits: jax.Array, masked: masking.Masked) -> Metrics:
    """``accuracy``, and ``masked_accuracy`` where [MASK] stands, of logits (batch, K, tokens)."""
    right = ops.argmax(logits) == masked.targets
    return {
        "accuracy": Mean.of(right, masked.weight),
        "masked_accuracy": Mean.of(
            right, masked.weight * masked.hidden.astype(masked.weight.dtype)
        ),
    }


def evaluate(
    module: nn.Module, hide: HideFn, state: learner.Learner, batch: Mapping, key: jax.Array
) -> Metrics:
    """The figures of a batch that may be padded; ``key`` draws nothing."""
    logits, masked = _logits(module, hide, state, batch)
    nats = ops.cross_entropy(logits, masked.targets)
    return {"loss": Mean.of(nats, masked.weight), **hits(logits, masked)}


class Guesses(NamedTuple):
    """Of each window's hidden tokens, (batch, K) each.

    Attributes:
      masked: what was hidden; its tokens are (batch, T + 2).
      said: the likeliest tokens.
      nats: of those that were hidden.
    """

    masked: masking.Masked
    said: jax.Array
    nats: jax.Array


def guesses(module: nn.Module, hide: HideFn, state: learner.Learner, batch: Mapping) -> Guesses:
    """What the model says of a batch's hidden tokens."""
    logits, masked = _logits(module, hide, state, batch)
    return Guesses(masked, ops.argmax(logits), ops.cross_entropy(logits, masked.targets))


def _logits(
    module: nn.Module, hide: HideFn, state: learner.Learner, batch: Mapping
) -> tuple[jax.Array, masking.Masked]:
    mask, masked = hide(batch)
    variables = state.best_variables
    return module.apply(variables, masked.tokens, None, mask, places=masked.places), masked


def _init(
    module: nn.Module, start: Callable[[Mapping], learner.Learner], key: jax.Array, batch: Mapping
) -> learner.Learner:
    return start(module.init(key, batch["tokens"][:1, 1:]))


def _parameters(module: nn.Module, length: int, state: learner.Learner) -> dict[str, jax.Array]:
    seen = jax.ShapeDtypeStruct((1, length), jnp.int32)
    return learner.parameters(state.params, models.call_order(module, seen))


def _answer(
    module: nn.Module, data: Data, hiding: Hiding, state: learner.Learner, file: str, at_once: int
) -> list[Description]:
    """What stands at the [MASK]s of a file's texts; [] where there are none."""
    say = functools.partial(filling.likeliest, module, hiding.ordinary, hiding.special.mask)
    each = lambda most: jax.jit(
        lambda state, batch, key: say(most, state.best_variables, batch, key)
    )
    texts, longest = lines.texts(file, "text"), data.train.context + 2
    return filling.answers(each, texts, data.tokenizer, longest, at_once, state)


def _artifacts(
    module: nn.Module,
    each: EachFn,
    data: Data,
    batch_size: int,
    state: learner.Learner,
    split: Any,
    key: jax.Array,
) -> dict[str, Any]:
    found = over_split(each, split, batch_size, state)
    masked, length = found.masked, split.context
    nats, weight = np.zeros((2, len(split), length + 2))
    np.put_along_axis(nats, masked.places, found.nats * masked.weight, axis=1)
    np.put_along_axis(weight, masked.places, masked.weight, axis=1)
    pictures = {
        "Hidden and said": _said(found, split, data.tokenizer),
        "Surprise along the window": along(nats[:, 1:-1], weight[:, 1:-1], "place in the window"),
    }
    seen = masked.tokens[len(split) // 2][None, : min(_SEEN, length + 2)]
    text = "".join(pieces(data.tokenizer, seen[0]))
    return pictures | attention(module, state.best_variables, seen, text)


def _said(found: Guesses, split: Any, tokenizer: Any) -> draw.Picture:
    """The middles of passages evenly spread: the text, and what was said in its place."""
    chosen = np.unique(np.linspace(0, len(split) - 1, _PASSAGES).astype(np.int64))
    text = split.take(chosen)["tokens"][:, 1:]
    masked = jax.tree.map(lambda x: x[chosen], found.masked)
    begin = max(0, (text.shape[1] - _SHOWN) // 2)
    lines = []
    for row, tokens in enumerate(text):
        said, value = tokens.copy(), np.zeros(len(tokens))
        counts = masked.weight[row] > 0
        places = masked.places[row][counts] - 1  # without [CLS]
        said[places] = found.said[chosen[row]][counts]
        value[places] = np.where(said[places] == tokens[places], 1.0, 3.0)
        part = slice(begin, begin + _SHOWN)
        for label, line in (("text", tokens), ("said", said)):
            shown = [printable(piece) for piece in pieces(tokenizer, line[part])]
            lines.append((label, list(zip(shown, value[part], strict=True))))
    return draw.coloured_text(
        lines,
        "Parts of evaluation windows, and below each what was said of its hidden tokens, which are "
        "light where it was right and dark where it was wrong.",
    )
