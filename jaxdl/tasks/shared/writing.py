"""What an encoder-decoder writes: for figures, for reports, and for sources of the user's."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from jaxdl import generate, pretrained
from jaxdl.data import lines
from jaxdl.data.source_target import Specials
from jaxdl.data.split import Arrays
from jaxdl.data.spread import evenly
from jaxdl.data.tokens import Tokenizer
from jaxdl.errors import UserError, note
from jaxdl.metrics import texts
from jaxdl.report import attention_maps
from jaxdl.tasks import learner
from jaxdl.tasks.shared.contract import Description
from jaxdl.tasks.shared.reading import Prepare
from jaxdl.tasks.shared.splits import EachFn, over_split
from jaxdl.tasks.shared.texts import printable

# Examples that a report shows, and tokens of each side whose attention it shows.
_SHOWN, _SEEN = 8, 48


class Writer(NamedTuple):
    """A model that writes, and the language in which it does.

    Attributes:
      module: an encoder-decoder.
      special: its special tokens.
      tokenizer: of its texts.
      settings: how it writes, one text for each source.
      prompt: tokens that follow the start of every text, and are no part of it.
      times: the rules of the times that a text tells; None of texts that tell none.
    """

    module: nn.Module
    special: Specials
    tokenizer: Tokenizer
    settings: generate.Settings
    prompt: tuple[int, ...] = ()
    times: generate.Timestamps | None = None

    @property
    def begin(self) -> tuple[int, ...]:
        """What a decoder is given in front of a text."""
        return self.special.start, *self.prompt

    def write(self, variables: Any, source: jax.Array, mask: jax.Array | None) -> jax.Array:
        """(batch, S) and their mask -> (batch, tokens) int32, ended, filled up; free to jit."""
        prompt = None
        if self.prompt:
            prompt = np.tile(np.array([self.begin], np.int32), (len(source), 1))
        made = generate.by_settings(
            self.module, variables, self.settings, prompt, source=source, source_mask=mask,
            timestamps=self.times,
        )  # fmt: skip
        made, ends = made[:, 0], self.settings.eos_token_id
        if isinstance(ends, tuple):  # whichever of them ended a text
            made = jnp.where(jnp.isin(made, jnp.array(ends)), self.special.end, made)
        return made

    def text(self, tokens: np.ndarray) -> str:
        """Of tokens (n,), up to their end."""
        return self.special.decode(self.tokenizer, tokens)

    def encoded(self, sources: Sequence[str]) -> list[np.ndarray]:
        """The tokens of texts, ended; cut to what the model has positions for, which a note says.

        Raises:
          UserError: a text has a token that the model does not.
        """
        most, special = getattr(self.module, "context", None) or None, self.special
        found = [self.special.encode(self.tokenizer, text) for text in sources]
        for number, tokens in enumerate(found, 1):
            if tokens.max(initial=0) >= self.module.vocab_size:
                raise UserError(
                    f"text {number} has the token {tokens.max()}, but the model's go from 0 to "
                    f"{self.module.vocab_size - 1}: this tokenizer is not the model's"
                )
        cut = most and sum(len(tokens) + special.around > most for tokens in found)
        if cut and jax.process_index() == 0:
            note(
                f"{cut} of {len(found)} texts are longer than the model's {most} positions, and "
                "were cut"
            )
        return [special.ended(x, most) for x in found]


def answers(
    writer: Writer, prepare: Prepare, state: learner.Learner, batch: Mapping, key: jax.Array
) -> dict[str, jax.Array]:
    """``source``, ``target`` and ``written``, (batch, …) each; ``key`` draws nothing."""
    example = prepare(batch, None)
    written = writer.write(state.best_variables, example.source, example.source_mask)
    return {
        "source": example.source,
        "target": example.target,
        "written": written,
        "counts": example.weight,
    }


def _some(
    each: EachFn, most: int, at_once: int, state: learner.Learner, split: Any
) -> dict[str, np.ndarray]:
    """What ``each`` gives of up to ``most`` examples that count, evenly spread."""
    chosen = Arrays(split.take(evenly(len(split), most)))
    found = over_split(each, chosen, at_once, state)
    counts = found.pop("counts") > 0
    return {name: array[counts] for name, array in found.items()}


def score(
    writer: Writer,
    each: EachFn,
    decoded: int,
    scores: Sequence[str],
    at_once: int,
    state: learner.Learner,
    split: Any,
    key: jax.Array,
) -> dict[str, float]:
    """`Task.score`: ``exact_match``, and those of `jaxdl.metrics.texts` that were asked for.

    Args:
      writer: for the language of the texts.
      each: `answers`, compiled.
      decoded: examples, evenly spread over the split.
      scores: names of `jaxdl.metrics.texts`.
      at_once: examples that are written for side by side.
      state: the task's.
      split: the evaluation part.
      key: draws nothing.
    """
    found = _some(each, decoded, at_once, state, split)
    target, written = found["target"], found["written"]
    width = max(target.shape[1], written.shape[1])
    pad = lambda x: np.pad(x, ((0, 0), (0, width - x.shape[1])), constant_values=writer.special.pad)
    figures = {"exact_match": float((pad(target) == pad(written)).all(axis=1).mean())}
    if scores:
        wanted, made = ([writer.text(t) for t in found[name]] for name in ("target", "written"))
        figures |= texts.score(scores, made, wanted)
    return figures


def artifacts(
    writer: Writer, each: EachFn, at_once: int, state: learner.Learner, split: Any, key: jax.Array
) -> dict[str, Any]:
    """`Task.artifacts`: sources, targets and what was written, and where the decoder looked."""
    found = _some(each, _SHOWN, at_once, state, split)
    rows = zip(*(map(writer.text, found[n]) for n in ("source", "target", "written")), strict=True)
    shown = {"Written": "\n\n".join(_told(*row) for row in rows)}
    cut = lambda x: x[:1, : min(_SEEN, int((x[0] != writer.special.pad).sum()))]
    source, target = cut(found["source"]), cut(found["written"])
    read = f"those of {printable(writer.text(source[0]))!r}"
    return shown | cross_attention(writer, state, source, target, read)


def cross_attention(
    writer: Writer, state: learner.Learner, source: np.ndarray, written: np.ndarray, read: str
) -> dict[str, Any]:
    """{"Cross-attention": where the decoder looked}, or nothing where nothing attends.

    Args:
      writer: whose decoder it is.
      state: the task's.
      source: (1, S), what was read, or (1, S, features).
      written: (1, T), what was written.
      read: what the columns are, for people.
    """
    begun = np.concatenate([np.array([writer.begin], np.int32), written[:, :-1]], axis=1)
    maps = attention_maps.collect(writer.module, state.best_variables, source, begun)
    # A text's own tokens are told behind those that ask for it.
    asked = len(writer.prompt)
    maps = {n: array[..., asked:, :] for n, array in maps.items() if n.endswith("cross_attention")}
    if not maps:
        return {}
    caption = f"Of the tokens of {printable(writer.text(written[0]))!r} to {read}."
    return {"Cross-attention": attention_maps.picture(maps, caption)}


def _told(source: str, target: str, written: str) -> str:
    texts = {"source": source, "target": target, "written": written}
    if target == written:
        texts = {"source": source, "target, and written": target}
    return "\n".join(f"[{name}] {printable(text)}" for name, text in texts.items())


def writes(writer: Writer, state: learner.Learner, batch: Mapping, key: jax.Array) -> jax.Array:
    """What is written for ``source`` (batch, S), (batch, tokens); ``key`` draws nothing."""
    source = batch["source"]
    return writer.write(state.best_variables, source, source != writer.special.pad)


def sample(
    writer: Writer,
    each: EachFn,
    sources: Sequence[str],
    state: learner.Learner,
    key: jax.Array,
) -> dict[str, Any]:
    """`Task.sample`: what is written for ``sources``; ``each`` is `writes`, compiled."""
    made, _ = written(writer, each, state, sources, len(sources))
    pairs = zip(sources, made, strict=True)
    told = (f"[source] {printable(s)}\n[written] {printable(w)}" for s, w in pairs)
    return {"samples": "\n\n".join(told)}


def answer(
    writer: Writer, each: EachFn, column: str, state: learner.Learner, file: str, at_once: int
) -> list[Description]:
    """`Task.answer`: what is written for each text of a file; nothing for an empty one.

    Args:
      writer: of the run.
      each: `writes`, compiled.
      column: where a table has the texts.
      state: the task's.
      file: as of `jaxdl.data.lines`.
      at_once: texts that are written for side by side, at most.
    """
    sources = lines.texts(file, column)
    there = [i for i, text in enumerate(sources) if text]
    found, padding = written(writer, each, state, [sources[i] for i in there], at_once)
    if there and jax.process_index() == 0:
        note(f"padding is {padding:.0%} of what was read")
    made = dict(zip(there, found, strict=True))
    pairs = ((source, made.get(i, "")) for i, source in enumerate(sources))
    return [Description(w, {"source": s, "written": w}) for s, w in pairs]


def published(writer: Writer, state: learner.Learner) -> tuple[nn.Module, Any, generate.Settings]:
    """`Task.transcriber`: the model, its averages, and how it writes."""
    return writer.module, state.best_variables, writer.settings


def publish(writer: Writer, state: learner.Learner, folder: Path) -> None:
    """`Task.publish`: the same as files."""
    module, variables, settings = published(writer, state)
    pretrained.save(module, jax.device_get(variables), folder, generation=settings)


def written(
    writer: Writer,
    each: EachFn,
    state: learner.Learner,
    sources: Sequence[str],
    at_once: int,
) -> tuple[list[str], float]:
    """The texts that are written for ``sources``, in their order, and the share of padding.

    Sources of about one length are written for together, so that few programs do and little is
    padding.

    Args:
      writer: of the run.
      each: `writes`, compiled.
      state: the task's.
      sources: texts.
      at_once: of them at a time at most.
    """
    encoded, found, read = writer.encoded(sources), [""] * len(sources), 0
    lengths = np.array([len(tokens) for tokens in encoded], int)
    sizes = np.array([rounded(length) for length in lengths], int)
    most = getattr(writer.module, "context", None)
    sizes = np.minimum(sizes, most or sizes)
    for size in np.unique(sizes):
        places = np.flatnonzero(sizes == size)
        pad = lambda x, n=size: np.pad(x, (0, n - len(x)), constant_values=writer.special.pad)
        split = Arrays({"source": np.stack([pad(encoded[i]) for i in places])})
        for i, tokens in zip(places, over_split(each, split, at_once, state), strict=True):
            found[i] = writer.text(tokens)
        read += size * len(places)
    return found, 1 - lengths.sum() / max(1, read)


def rounded(length: int) -> int:
    """8, 12, 16, 24, 32, 48 and so on: the first that is no less than ``length``.

    Texts that are filled up to these, whatever they are, need few programs, and less than a third
    of what is read is padding but in the shortest.
    """
    power = 8
    while power < length:
        if length <= power * 3 // 2:
            return power * 3 // 2
        power *= 2
    return power


def shortest(filled: int) -> int:
    """The least length that is `rounded` to ``filled``."""
    before = (n for n in (filled * 2 // 3, filled * 3 // 4) if rounded(n) == n)
    return 1 + max(before, default=0)
