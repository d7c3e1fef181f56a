"""What encoder-decoders learn from: pairs as they come, or texts to be restored."""

import functools
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxdl.data import denoising, without_padding
from jaxdl.data.absent import Absent
from jaxdl.data.source_target import Specials, specials
from jaxdl.errors import UserError
from jaxdl.registry import choose
from jaxdl.tasks.shared.contract import Run

# What is left out of texts where nothing is said: as in the papers.
_DENSITY, _SPAN = {"spans": 0.15, "infilling": 0.3}, 3.0


class Example(NamedTuple):
    """What is read, and what is to be written.

    Attributes:
      source: (batch, S) int32, ended and filled up; or whatever else the encoder reads.
      source_mask: (batch, S) booleans, False where a source is filled up; None: it is not.
      target: (batch, T) int32, ended and filled up.
      weight: float32, 0 of what does not count: (batch,), or (batch, T) where of a target only some
        tokens do, as in `jaxdl.tasks.shared.apart`.
      hidden: (batch, T), tokens of the target that the source does not show; None of pairs.
      segments: of rows of several pairs, which of these each token of the source and of the target
        is of, (batch, S) and (batch, T) int32, 0 of padding; None of one pair each.
    """

    source: jax.Array
    source_mask: jax.Array | None
    target: jax.Array
    weight: jax.Array
    hidden: jax.Array | None = None
    segments: tuple[jax.Array, jax.Array] | None = None


# (batch, key) -> example. Without a key, what is drawn follows from the tokens alone.
Prepare = Callable[[Mapping, jax.Array | None], Example]


def shifted(target: jax.Array, special: Specials, segments: jax.Array | None = None) -> jax.Array:
    """What the decoder is given for a target (batch, T): a start token, and all but its last.

    With ``segments`` (batch, T) for each of several targets in a row.
    """
    start = jnp.full((len(target), 1), special.start, target.dtype)
    found = jnp.concatenate([start, target[:, :-1]], axis=1)
    if segments is None:
        return found
    begins = segments[:, 1:] != segments[:, :-1]
    return found.at[:, 1:].set(jnp.where(begins, special.start, found[:, 1:]))


class Reader(NamedTuple):
    """How examples are made of batches.

    Attributes:
      prepare: (batch, key) -> `Example`.
      special: the special tokens.
      lengths: S and T.
      context: tokens that the model needs room for.
      fields: further fields of the model that follow from what is read.
    """

    prepare: Prepare
    special: Specials
    lengths: tuple[int, int]
    context: int
    fields: Mapping[str, Any] = {}


def reader(run: Run, denoise: str, density: float, span: float, shuffle_sentences: bool) -> Reader:
    """How a run's batches are read; the settings are those of the task.

    Raises:
      UserError: data that are neither pairs nor texts, or settings that do not fit them.
    """
    task, data = run.config.task.name, run.data
    found = {} if data.train is None else data.train.take(np.arange(1))
    if {"source", "target"} <= set(found):
        given = dict(denoise=denoise, density=density, span=span)
        given["shuffle_sentences"] = shuffle_sentences
        asked = {name: value for name, value in given.items() if value}
        for name, value in asked.items():
            off = " ".join(f"--config.task.{n}={type(x)()}" for n, x in asked.items())
            raise UserError(
                f"config.task.{name}={value!r} is for texts that are to be restored, and data "
                f"set {run.config.data.name!r} has pairs: set {off}"
            )
        # Of several pairs in a row only those that are learned from have as many tokens.
        alone = found if "source_segments" not in found else data.test.take(np.arange(1))
        lengths = alone["source"].shape[1], alone["target"].shape[1]
        most = max(found["source"].shape[1], found["target"].shape[1], *lengths)
        special = specials(data.tokenizer)
        return Reader(functools.partial(_pairs, special), special, lengths, most)
    if set(found) != {"tokens"}:
        had = ", ".join(found) or "no batches"
        raise UserError(
            f"task {task!r} learns from pairs, 'source' and 'target', or from texts, 'tokens': "
            f"data set {run.config.data.name!r} has {had}"
        )
    if not denoise:
        raise UserError(
            f"data set {run.config.data.name!r} has texts and no targets: set "
            "config.task.denoise='spans' or 'infilling' to restore them, or take data set 'pairs'"
        )
    density = density or choose("config.task.denoise", denoise, _DENSITY)
    span = span or _SPAN
    length = found["tokens"].shape[1] - 1
    _check(run, length, density, span)
    if denoise == "spans":
        if shuffle_sentences:
            raise UserError("config.task.shuffle_sentences=True is of denoise='infilling' alone")
        noise, spans = denoising.noise_counts(length, density, span)
        special = specials(data.tokenizer, spans)
        damage = functools.partial(denoising.span_corruption, special=special)
        lengths = length - noise + spans, noise + spans
    else:
        noise, room = denoising.infilling_counts(length, density, span)
        special = specials(data.tokenizer, 1)
        ends = denoising.sentence_ends(data.tokenizer, special.size) if shuffle_sentences else None
        damage = functools.partial(denoising.infilling, special=special, sentence_end=ends)
        lengths = length - noise + room, length
    damage = functools.partial(damage, density=density, span=span)
    source, target = (n + special.around for n in lengths)
    prepare = functools.partial(_damaged, damage, special)
    return Reader(prepare, special, (source, target), max(source, target))


def _check(run: Run, length: int, density: float, span: float) -> None:
    test = run.data.test
    if length < 2:
        raise UserError(f"data.context={length} must be at least 2: something left out, and kept")
    if not 0 < density < 1:
        raise UserError(f"config.task.density={density} must be above 0 and below 1")
    if not 1 <= span <= length:
        raise UserError(f"config.task.span={span} must be from 1 to data.context={length}")
    if test.stride != length:
        raise UserError(f"data.stride={test.stride} must be 0: texts to be restored do not overlap")
    if not isinstance(test, Absent) and not test.take(np.arange(1))["weight"].all():
        raise UserError(
            f"the evaluation part has fewer tokens than data.context={length}: hold out more of "
            "the text by data.test_fraction"
        )


def _pairs(special: Specials, batch: Mapping, key: jax.Array | None) -> Example:
    source, target = batch["source"], batch["target"]
    weight = without_padding(batch, jnp.ones(len(source), jnp.float32))
    if "source_segments" in batch:
        segments = batch["source_segments"], batch["target_segments"]
        return Example(source, segments[0] > 0, target, weight, segments=segments)
    return Example(source, source != special.pad, target, weight)


def _damaged(
    damage: Callable[..., denoising.Damaged],
    special: Specials,
    batch: Mapping,
    key: jax.Array | None,
) -> Example:
    """Of ``tokens`` (batch, L + 1) without the first; a window that is not full does not count."""
    text = batch["tokens"][:, 1:]
    weight = jnp.ones(len(text), jnp.float32)
    if "weight" in batch:
        weight = batch["weight"].min(axis=1)
    found = damage(text, denoising.key_of_text(text) if key is None else key)
    front = jnp.array(special.front, jnp.int32)
    first = jnp.broadcast_to(front, (len(text), len(front)))
    source, target = (jnp.concatenate([first, x], axis=1) for x in (found.source, found.target))
    hidden = jnp.concatenate([jnp.zeros(first.shape, bool), found.hidden], axis=1)
    weight = without_padding(batch, weight)
    return Example(source, source != special.pad, target, weight, hidden)
