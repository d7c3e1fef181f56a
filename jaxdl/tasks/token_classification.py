"""Words to tags: which words of a sentence together are a name, and of what."""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from jaxdl import models, ops
from jaxdl.data import Arrays, Data, encoded_texts, lines, without_padding
from jaxdl.data.spread import evenly
from jaxdl.data.tag_schemes import entities
from jaxdl.data.tagged import IGNORED, Sentence, Tagged
from jaxdl.errors import note
from jaxdl.metrics import HIGH, Mean, Metrics
from jaxdl.metrics import entities as figures
from jaxdl.report import draw
from jaxdl.tasks import Description, Run, Task, learner, need_batches, over_split, register
from jaxdl.tasks.shared import classified, text_encoder
from jaxdl.tasks.shared.splits import EachFn

# Sentences that the report shows.
_SHOWN = 16

# Sentences whose words tell how sure answers may be, at most.
_SURE = 1024


@register(
    "token_classification",
    groups=("model", "pretrained"),
    derives=(*text_encoder.DERIVED, "num_classes"),
    any_length=True,
)
def token_classification(run: Run) -> Task:
    """A class for each word of ``tokens`` (batch, T), said at its first token.

    Args:
      run: the run's config and data, sentences with tags such as of data set "conll". The model is
        called as `jaxdl.models.bert.BERT` is with output "tagger".

    The metrics are ``loss`` (nats a word) and ``accuracy`` (of words, those outside of any entity
    among them). `score` gives ``f1``, ``precision`` and ``recall`` of whole entities
    (`jaxdl.metrics.entities`) over all words of the evaluation part; words that were cut off a
    sentence that is too long have no loss, and count there as said to be outside.
    """
    need_batches(run, "labels")
    data = run.data
    begin = text_encoder.start(run, "tagger", num_classes=len(data.class_names))
    module = begin.module
    start, update = learner.by_config(
        run, functools.partial(training_loss, learner.forward(module))
    )
    logits = functools.partial(_logits, module)
    each = jax.jit(functools.partial(_labels, logits, data.train.context))
    at_once = run.config.eval.batch_size
    found = functools.partial(_found, each, at_once, data.class_names)
    sure = functools.partial(_calibrated, jax.jit(functools.partial(_sure, logits)), at_once)
    seen = jax.ShapeDtypeStruct((1, data.train.context), jnp.int32)
    return Task(
        init=lambda key, batch: start(begin.variables(module.init(key, batch["tokens"][:1]))),
        train_step=update,
        eval_step=functools.partial(evaluate, logits),
        score=functools.partial(_score, found),
        artifacts=functools.partial(_artifacts, found, sure),
        parameters=lambda state: learner.parameters(state.params, models.call_order(module, seen)),
        answer=functools.partial(_answer, each, data),
        check=begin.check,
        directions=dict.fromkeys(("f1", "precision", "recall"), HIGH),
    )


def words(logits: jax.Array, batch: Mapping) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Nats, hits and weights, (batch, T) each, of logits (batch, T, classes).

    The weight is 1 at a word's first token, and 0 elsewhere.
    """
    counts = batch["labels"] != IGNORED
    labels = jnp.where(counts, batch["labels"], 0)
    weight = without_padding(batch, counts.astype(jnp.float32))
    return ops.cross_entropy(logits, labels), logits.argmax(-1) == labels, weight


def training_loss(
    forward: Callable[..., tuple[jax.Array, Any]],
    params: Any,
    model_state: Any,
    batch: Mapping,
    key: jax.Array,
) -> learner.Loss:
    """Nats a word, and ``accuracy``, of a pass of training; ``key`` is dropout's."""
    logits, model_state = forward(params, model_state, key, batch["tokens"], None, batch["mask"])
    nats, hits, weight = words(logits, batch)
    return learner.Loss(Mean.of(nats, weight), model_state, {"accuracy": Mean.of(hits, weight)})


def _logits(module: nn.Module, state: learner.Learner, batch: Mapping) -> jax.Array:
    return module.apply(state.best_variables, batch["tokens"], None, batch["mask"])


def _labels(
    logits: Callable[[learner.Learner, Mapping], jax.Array],
    context: int,
    state: learner.Learner,
    batch: Mapping,
    key: jax.Array,
) -> jax.Array:
    """(batch, context), whatever the batch's length: of the likeliest tags."""
    found = logits(state, batch).argmax(-1)
    return jnp.pad(found, ((0, 0), (0, context - found.shape[1])))


def evaluate(
    logits: Callable[[learner.Learner, Mapping], jax.Array],
    state: learner.Learner,
    batch: Mapping,
    key: jax.Array,
) -> Metrics:
    """``loss`` and ``accuracy`` of a batch that may be padded; ``key`` draws nothing."""
    nats, hits, weight = words(logits(state, batch), batch)
    return {"loss": Mean.of(nats, weight), "accuracy": Mean.of(hits, weight)}


def _found(
    each: EachFn, batch_size: int, class_names: Sequence[str], state: learner.Learner, split: Any
) -> list[list[str]]:
    """The tags of every word of the split's sentences."""
    return split.tags_of(over_split(each, split, batch_size, state), class_names)


def _answer(
    each: EachFn, data: Data, state: learner.Learner, file: str, at_once: int
) -> list[Description]:
    """Of each line, whose words stand with white space between them, its entities and tags."""
    sentences = [text.split() for text in lines.texts(file, "text")]
    context = data.train.context
    split = Tagged(
        [Sentence(words, ["O"] * len(words), "") for words in sentences],
        data.class_names, data.tokenizer, context,
    )  # fmt: skip
    for said in encoded_texts.cut_note(split.encoded, context):
        note(said)
    tags = _found(each, at_once, data.class_names, state, split)
    return [describe(words, own) for words, own in zip(sentences, tags, strict=True)]


def describe(words: Sequence[str], tags: Sequence[str]) -> Description:
    """A sentence by its entities, and as JSON its words with their tags."""
    named = lambda entity: " ".join(words[entity.start : entity.stop])
    found = [f"{entity.kind or 'entity'}: {named(entity)}" for entity in entities(tags)]
    return Description("  ".join(found) or "-", {"words": [*words], "tags": [*tags]})


def _score(
    found: Callable[[learner.Learner, Any], list[list[str]]],
    state: learner.Learner,
    split: Any,
    key: jax.Array,
) -> dict[str, float]:
    true = [sentence.tags for sentence in split.sentences]
    total = figures.together(figures.counts(true, found(state, split)))
    return {"f1": total.f1, "precision": total.precision, "recall": total.recall}


def _artifacts(
    found: Callable[[learner.Learner, Any], list[list[str]]],
    sure: Callable[[learner.Learner, Any], dict[str, Any]],
    state: learner.Learner,
    split: Any,
    key: jax.Array,
) -> dict[str, Any]:
    said = found(state, split)
    true = [sentence.tags for sentence in split.sentences]
    by_kind = figures.counts(true, said)
    shown = {"Entities": _table(by_kind), "Said and true": _lines(split.sentences, said)}
    return shown | sure(state, split)


def _sure(
    logits: Callable[[learner.Learner, Mapping], jax.Array],
    state: learner.Learner,
    batch: Mapping,
    key: jax.Array,
) -> tuple[jax.Array, jax.Array]:
    return logits(state, batch), batch["labels"]


def _calibrated(
    each: EachFn, at_once: int, state: learner.Learner, split: Any
) -> dict[str, draw.Picture]:
    """`classified.calibrated` of the words of some sentences, evenly spread."""
    some = Arrays(split.take(evenly(len(split), _SURE)))
    found, labels = over_split(each, some, at_once, state)
    there = labels != IGNORED
    return classified.calibrated(np.asarray(found[there], np.float64), labels[there])


def _table(by_kind: Mapping[str, figures.Counts]) -> str:
    """Figures a kind and of all, as seqeval's report has them."""
    rows = [*by_kind.items(), ("all", figures.together(by_kind))]
    wide = max(len(kind) for kind, _ in rows)
    table = [f"{'':{wide}} precision recall    F1 entities"]
    for kind, n in rows:
        table.append(f"{kind:{wide}} {n.precision:9.3f} {n.recall:6.3f} {n.f1:5.3f} {n.true:8}")
    return "\n".join(table)


def _lines(sentences: Sequence[Any], said: Sequence[Sequence[str]]) -> draw.Picture:
    """Sentences with most mistakes, what is an entity marked, what is wrongly said darkest."""
    wrong = [
        len({*entities(sentence.tags)} ^ {*entities(tags)})
        for sentence, tags in zip(sentences, said, strict=True)
    ]
    shown = []
    for i in np.argsort(-np.array(wrong), kind="stable")[:_SHOWN]:
        for label, tags, other in (
            ("true", sentences[i].tags, said[i]),
            ("said", said[i], sentences[i].tags),
        ):
            shown.append((label, _marked(sentences[i].words, tags, other)))
    return draw.coloured_text(
        shown,
        "The sentences with most mistakes; grey is an entity, dark one that the other line lacks.",
    )


def _marked(
    words: Sequence[str], tags: Sequence[str], other: Sequence[str]
) -> list[tuple[str, float]]:
    shared, value = {*entities(other)}, [0.0] * len(words)
    pieces = []
    for entity in entities(tags):
        own = 1.0 if entity in shared else 3.0
        value[entity.start : entity.stop] = [own] * (entity.stop - entity.start)
    for word, weight in zip(words, value, strict=True):
        pieces += [(word, weight), (" ", 0.0)]
    return pieces
