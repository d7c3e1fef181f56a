"""One text from another: a source is read, a target is written, token after token."""

import functools
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from jaxdl import keys, models, ops
from jaxdl.data.source_target import Specials
from jaxdl.metrics import HIGH, LOW, Mean, Metrics, texts
from jaxdl.tasks import Run, Task, check_at_least, check_smoothing, learner, register
from jaxdl.tasks.shared import encoder_decoder, writing
from jaxdl.tasks.shared.reading import Example, Prepare, reader, shifted
from jaxdl.tasks.shared.writing import Writer

_DIRECTIONS = {
    "exact_match": HIGH,
    "hidden_accuracy": HIGH,
    "hidden_loss": LOW,
    **dict.fromkeys(texts.NAMES, HIGH),
}


@register(
    "sequence_to_sequence",
    groups=("model", "pretrained"),
    derives=("vocab_size", "context", "output"),
    any_length=True,
    asks=("beams",),
)
def sequence_to_sequence(
    run: Run,
    denoise: str = "",
    density: float = 0.0,
    span: float = 0.0,
    shuffle_sentences: bool = False,
    label_smoothing: float = 0.0,
    decoded: int = 256,
    scores: tuple[str, ...] = (),
    beams: int = 0,
    tokens: int = 0,
    generation: tuple[str, ...] = (),
    sources: tuple[str, ...] = (),
) -> Task:
    """The tokens of ``target`` (batch, T) from ``source`` (batch, S), by any encoder-decoder.

    Teacher forcing: each token of the target is predicted from the source and from those before it,
    a start token in front. Texts that are no pairs, ``tokens`` (batch, T + 1), are to be restored.

    Args:
      run: the run's config and data. The model is called as `jaxdl.models.t5` and has a field
        ``vocab_size``; `jaxdl.generate` writes with it.
      denoise: what is done to texts: "spans", named by sentinels, as T5 was trained, or
        "infilling", as BART. "" for pairs.
      density: of denoising, the share of tokens that is left out; 0 is .15 for spans, .3 for
        infilling.
      span: of denoising, the mean length of what is left out at a time; 0 is 3.
      shuffle_sentences: of infilling: the source's sentences stand in random order.
      label_smoothing: share of the target that is spread over all tokens, in [0, 1).
      decoded: examples of the evaluation part, evenly spread, that targets are written for; 0
        leaves out all figures that need these.
      scores: of what was written: "bleu", "rouge", or both; needs the extra text_scores.
      beams: 1 writes the likeliest token each time; more search as many texts side by side. 0 is
        what a published folder says that the run begins with, or 1.
      tokens: that are written at most; 0 is what the folder says, or as many as the longest target
        has.
      generation: further settings by transformers' names, in place of the folder's or of those by
        which the likeliest text is searched for: ("length_penalty=2", "no_repeat_ngram_size=3").
      sources: what samples are written for; () is some of the data's pairs. Sentinels are called
        <0>, <1> and so on, a mask <0>.

    The metrics are ``loss`` (nats a token of the target, its end among them; at evaluation without
    smoothing) and ``accuracy`` (of tokens); of denoising at evaluation also ``hidden_loss`` and
    ``hidden_accuracy``, of those tokens that the source does not show. Of what was written
    ``exact_match``, the share of texts that are the target, token for token, and the scores:
    ``bleu`` from 0 to 100, ``rouge1``, ``rouge2`` and ``rougeL`` (F1) from 0 to 1.
    """
    check_at_least(0, decoded=decoded, tokens=tokens, beams=beams)
    check_smoothing(label_smoothing)
    texts.check(scores)
    read = reader(run, denoise, density, span, shuffle_sentences)
    begin = encoder_decoder.begin(run, read, tokens, beams, generation)
    module, special = begin.start.module, begin.special
    forward = functools.partial(logits, learner.forward(module), special)
    loss_fn = functools.partial(training_loss, forward, read.prepare, special, label_smoothing)
    order = functools.cache(lambda: _call_order(module, read.lengths))
    layers = lambda: models.outermost(order())
    start, update = learner.by_config(run, loss_fn, layers=layers)
    writer = Writer(module, special, run.data.tokenizer, begin.settings)
    each = jax.jit(functools.partial(writing.answers, writer, read.prepare))
    writes = jax.jit(functools.partial(writing.writes, writer))
    shown = sources or getattr(run.data.test, "sources", ())
    column = run.config.data.get("source") or "source"
    at_once = run.config.eval.batch_size
    score = functools.partial(writing.score, writer, each, decoded, scores, at_once)
    return Task(
        init=lambda key, batch: start(begin.start.variables(_initial(module, key))),
        train_step=update,
        eval_step=functools.partial(evaluate, module, special, read.prepare),
        artifacts=functools.partial(writing.artifacts, writer, each, at_once),
        parameters=lambda state: learner.parameters(state.params, order()),
        sample=functools.partial(writing.sample, writer, writes, shown) if len(shown) else None,
        answer=functools.partial(writing.answer, writer, writes, column),
        publish=functools.partial(writing.publish, writer),
        directions=_DIRECTIONS,
        check=begin.start.check,
        **({"score": score} if decoded else {}),
    )


def predictions(
    logits: jax.Array, example: Example, special: Specials, label_smoothing: float = 0.0
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Nats, hits and weights of all predictions, (batch, T) each, of logits (batch, T, tokens)."""
    target = example.target
    weight = jnp.where(target != special.pad, example.weight[:, None], 0.0)
    nats = ops.cross_entropy(logits, target, label_smoothing)
    return nats, ops.argmax(logits) == target, weight


def logits(forward: Callable, special: Specials, *state: Any, example: Example) -> Any:
    """What ``forward`` gives of an example: the logits (batch, T, tokens) of its target.

    Padding behind a target is seen by nothing that counts.

    Args:
      forward: (*state, source, target, source_mask) -> logits, or logits and more.
      special: the special tokens.
      *state: what ``forward`` takes in front.
      example: of `jaxdl.tasks.shared.reading`.
    """
    if example.segments is None:
        target = shifted(example.target, special)
        return forward(*state, example.source, target, example.source_mask)
    target = shifted(example.target, special, example.segments[1])
    return forward(*state, example.source, target, segments=example.segments)


def training_loss(
    forward: Callable[..., tuple[jax.Array, Any]],
    prepare: Prepare,
    special: Specials,
    label_smoothing: float,
    params: Any,
    model_state: Any,
    batch: Mapping,
    key: jax.Array,
) -> learner.Loss:
    """Nats a token, and ``accuracy``, of a pass of training; ``key`` is dropout's and the noise's.

    Args:
      forward: (params, model_state, key, example=) -> (logits, model_state).
      prepare: of `jaxdl.tasks.shared.reading`.
      special: the special tokens.
      label_smoothing: in [0, 1).
      params: the module's; so is model_state.
      model_state: its other collections.
      batch: of pairs, or of texts.
      key: of the step.
    """
    example = prepare(batch, keys.named(key, "noise"))
    logits, model_state = forward(params, model_state, key, example=example)
    nats, hits, weight = predictions(logits, example, special, label_smoothing)
    return learner.Loss(Mean.of(nats, weight), model_state, {"accuracy": Mean.of(hits, weight)})


def evaluate(
    module: nn.Module,
    special: Specials,
    prepare: Prepare,
    state: learner.Learner,
    batch: Mapping,
    key: jax.Array,
) -> Metrics:
    """The figures of a batch that may be padded; ``key`` draws nothing: texts draw their own."""
    example = prepare(batch, None)
    found = logits(module.apply, special, state.best_variables, example=example)
    nats, hits, weight = predictions(found, example, special)
    found = {"loss": Mean.of(nats, weight), "accuracy": Mean.of(hits, weight)}
    if example.hidden is not None:
        weight = jnp.where(example.hidden, weight, 0.0)
        found |= {"hidden_loss": Mean.of(nats, weight), "hidden_accuracy": Mean.of(hits, weight)}
    return found


def _call_order(module: nn.Module, lengths: tuple[int, int]) -> dict[str, int]:
    seen = [jax.ShapeDtypeStruct((1, length), jnp.int32) for length in lengths]
    return models.call_order(module, *seen)


def _initial(module: nn.Module, key: jax.Array) -> Any:
    return module.init(key, *[jnp.zeros((1, 1), jnp.int32)] * 2)
