"""What an encoder-decoder writes: for figures, for reports, and for sources of the user's."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from jaxdl import generate
from jaxdl.data.source_target import Specials
from jaxdl.data.split import Arrays
from jaxdl.data.spread import evenly
from jaxdl.data.tokens import Tokenizer
from jaxdl.metrics import texts
from jaxdl.report import attention_maps
from jaxdl.tasks import learner
from jaxdl.tasks.shared.reading import Prepare
from jaxdl.tasks.shared.splits import EachFn, over_split

# Examples that a report shows, and tokens of each side whose attention it shows.
_SHOWN, _SEEN = 8, 48


class Writer(NamedTuple):
    """A model that writes, and the language in which it does.

    Attributes:
      module: an encoder-decoder.
      special: its special tokens.
      tokenizer: of its texts.
      tokens: that are written at most, the end token among them.
      beams: 1 for the likeliest token each time.
    """

    module: nn.Module
    special: Specials
    tokenizer: Tokenizer
    tokens: int
    beams: int

    def write(self, variables: Any, source: jax.Array) -> jax.Array:
        """(batch, S) -> (batch, tokens) int32, ended and filled up; free to jit."""
        start = jnp.full((len(source), 1), self.special.start, jnp.int32)
        how = dict(source=source, source_mask=source != self.special.pad, tokens=self.tokens)
        how["stop"] = self.special.end
        if self.beams > 1:
            made, _ = generate.beam_search(self.module, variables, start, beams=self.beams, **how)
            made = made[:, 0]
        else:
            made = generate.greedy(self.module, variables, start, **how)
        return ended(made, self.special)

    def text(self, tokens: np.ndarray) -> str:
        """Of tokens (n,), up to their end."""
        return self.special.decode(self.tokenizer, tokens)

    def encoded(self, sources: Sequence[str]) -> list[np.ndarray]:
        """The tokens of texts, ended; cut to what the model has positions for."""
        most = getattr(self.module, "context", None) or None
        found = [self.special.encode(self.tokenizer, text) for text in sources]
        return [np.append(x[: most and most - 1], self.special.end).astype(np.int32) for x in found]


def ended(tokens: jax.Array, special: Specials) -> jax.Array:
    """(batch, T) with padding in place of whatever stands behind the first end token."""
    is_end = tokens == special.end
    behind = (jnp.cumsum(is_end, axis=1) - is_end) > 0
    return jnp.where(behind, special.pad, tokens)


def answers(
    writer: Writer, prepare: Prepare, state: learner.Learner, batch: Mapping, key: jax.Array
) -> dict[str, jax.Array]:
    """``source``, ``target`` and ``written``, (batch, …) each; ``key`` draws nothing."""
    example = prepare(batch, None)
    written = writer.write(state.best_variables, example.source)
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
    special = writer.special
    cut = lambda x: x[:1, : min(_SEEN, int((x[0] != special.pad).sum()))]
    source, target = cut(found["source"]), cut(found["written"])
    begun = np.concatenate([np.full((1, 1), special.start, np.int32), target[:, :-1]], axis=1)
    maps = attention_maps.collect(writer.module, state.best_variables, source, begun)
    maps = {name: array for name, array in maps.items() if name.endswith("cross_attention")}
    if maps:
        shown["Cross-attention"] = attention_maps.picture(
            maps,
            f"Of the tokens of {printable(writer.text(target[0]))!r} to those of "
            f"{printable(writer.text(source[0]))!r}.",
        )
    return shown


def _told(source: str, target: str, written: str) -> str:
    texts = {"source": source, "target": target, "written": written}
    if target == written:
        texts = {"source": source, "target, and written": target}
    return "\n".join(f"[{name}] {printable(text)}" for name, text in texts.items())


def sample(
    writer: Writer, sources: Sequence[str], state: learner.Learner, key: jax.Array
) -> dict[str, Any]:
    """`Task.sample`: what is written for ``sources``; ``key`` draws nothing."""
    made = written(writer, state, sources, len(sources))
    pairs = zip(sources, made, strict=True)
    told = (f"[source] {printable(s)}\n[written] {printable(w)}" for s, w in pairs)
    return {"samples": "\n\n".join(told)}


def written(
    writer: Writer, state: learner.Learner, sources: Sequence[str], at_once: int
) -> list[str]:
    """The texts that are written for ``sources``, in their order.

    Sources of about one length are written for together, so that few programs do and little is
    padding.

    Args:
      writer: of the run.
      state: the task's.
      sources: texts.
      at_once: of them at a time at most.
    """
    encoded, found = writer.encoded(sources), [""] * len(sources)
    for places, length in groups([len(tokens) for tokens in encoded], at_once):
        pad = lambda tokens, n=length: np.pad(
            tokens, (0, n - len(tokens)), constant_values=writer.special.pad
        )
        split = Arrays({"source": np.stack([pad(encoded[i]) for i in places])})
        made = over_split(_writes(writer), split, at_once, state)
        for i, tokens in zip(places, made, strict=True):
            found[i] = writer.text(tokens)
    return found


def _writes(writer: Writer) -> EachFn:
    return lambda state, batch, key: writer.write(state.best_variables, batch["source"])


def groups(lengths: Sequence[int], at_once: int) -> Iterator[tuple[list[int], int]]:
    """Places of texts of about one length, and the length that they are filled up to.

    That is 8, 12, 16, 24, 32, 48 and so on, whatever the texts are, so that few programs are
    compiled, and less than a third of it is padding but in the shortest.
    """
    sizes = np.array([_rounded(length) for length in lengths])
    for size in np.unique(sizes):
        yield np.flatnonzero(sizes == size).tolist(), int(size)


def _rounded(length: int) -> int:
    power = 8
    while power < length:
        if length <= power * 3 // 2:
            return power * 3 // 2
        power *= 2
    return power


def printable(text: str) -> str:
    """The text with U+FFFD for what no page can show."""
    return "".join(c if c.isprintable() or c in "\n\t" else "\ufffd" for c in text)
