"""Texts, one token after the other: how likely each is, given those before it."""

import functools
import inspect
import math
import operator
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from jaxdl import generate, models, ops
from jaxdl.data import Data, without_padding
from jaxdl.errors import UserError
from jaxdl.metrics import Mean, Metrics
from jaxdl.pretrained import encoders, transfer
from jaxdl.report import draw
from jaxdl.tasks import (
    Run,
    Task,
    build_model,
    check_counts,
    learner,
    need_batches,
    over_split,
    register,
)
from jaxdl.tasks.shared import completing
from jaxdl.tasks.shared.splits import EachFn
from jaxdl.tasks.shared.texts import along, attention, pieces, printable

# Tokens whose attention to one another is shown.
_SEEN = 48

# A line of the most surprising passages: about as many letters, and as many lines.
_LETTERS, _LINES = 96, 12


@register(
    "language_modelling",
    groups=("model", "pretrained", "lora"),
    derives=("vocab_size", "context", "output"),
    asks=("prompt", "tokens", "samples", "temperature", "top_k", "top_p", "beams"),
)
def language_modelling(
    run: Run,
    prompt: str = "The ",
    tokens: int = 0,
    samples: int = 4,
    temperature: float = 1.0,
    top_k: int = 0,
    top_p: float = 1.0,
    beams: int = 1,
) -> Task:
    """Next-token prediction in ``tokens`` (batch, T + 1), by any model of (batch, T) to logits.

    With ``weight`` (batch, T) only some are learned: so a model is fine-tuned on the answers of
    data set "completions", and begins with the weights of ``config.pretrained.source``. With
    ``segments`` (batch, T + 1) several texts stand in a row, which models such as "gpt" keep apart.

    Args:
      run: the run's config and data. The model has a field ``vocab_size`` and no position of its
        output depends on a later one of its input; the rest is as `jaxdl.generate` has it.
      prompt: what samples begin with; `--mode=predict` has prompts of its own.
      tokens: that are added at most; 0 is as many as the model's context has room for, 256 at most.
      samples: texts that are drawn.
      temperature: of sampling; 0 takes the likeliest token each time.
      top_k: tokens that are drawn from, the likeliest; 0 is all.
      top_p: what the tokens that are drawn from have together, in (0, 1].
      beams: above 1, samples are the likeliest texts by beam search, as many as these.

    The metrics are ``loss`` (nats a token) and ``accuracy``; at evaluation also ``nats_per_byte``
    and ``bits_per_byte``, which compare across tokenizers. Every token of the evaluation part
    counts once, predicted from those before it in its window.
    """
    need_batches(run, "tokens")
    data, begin = run.data, _begin(run)
    module, end = begin.module, getattr(data.train, "end", None)
    completer = completing.Completer(
        module, operator.attrgetter("best_variables"), data.tokenizer, end,
        completing.column(run), tokens, temperature, top_k, top_p, beams,
        template=completing.template(run),
    )  # fmt: skip
    prompt_1xP = data.tokenizer.encode(prompt)[None].astype(np.int32)
    tokens = tokens or _room(module, prompt_1xP.shape[1])
    check_counts(samples=samples)
    generate.check_sampling(temperature, top_k, top_p, "config.task.")
    generate.check_beams(beams, "config.task.")
    generate.check_prompt(module, prompt_1xP, tokens, "config.task.")
    draw_texts = functools.partial(
        _drawn, module, prompt_1xP, samples=samples, stop=end,
        tokens=tokens, temperature=temperature, top_k=top_k, top_p=top_p,
    )  # fmt: skip
    if beams > 1:
        draw_texts = functools.partial(
            _likeliest, module, prompt_1xP, tokens=tokens, beams=beams, stop=end
        )
    loss_fn = functools.partial(training_loss, learner.forward(module))
    start, update = learner.by_config(run, loss_fn)
    each = jax.jit(lambda state, batch, key: _predicted(module, state, batch))
    return Task(
        init=lambda key, batch: start(
            begin.variables(module.init(key, batch["tokens"][:1, :-1])), key
        ),
        train_step=update,
        eval_step=functools.partial(evaluate, module, data.test.bytes_per_token),
        artifacts=functools.partial(_artifacts, module, each, data, run.config.eval.batch_size),
        parameters=functools.partial(_parameters, module, data.train.context),
        sample=functools.partial(_sample, draw_texts, prompt_1xP, data.tokenizer, end),
        answer=functools.partial(completing.answer, completer),
        publish=functools.partial(completing.publish, completer),
        check=begin.check,
    )


def predictions(logits: jax.Array, batch: Mapping) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Nats, hits and weights of all predictions, (batch, T) each, of logits (batch, T, tokens)."""
    targets = batch["tokens"][:, 1:]
    weight = batch.get("weight", jnp.ones(targets.shape, jnp.float32))
    weight = without_padding(batch, weight)
    return ops.cross_entropy(logits, targets), ops.argmax(logits) == targets, weight


def training_loss(
    forward: Callable[..., tuple[jax.Array, Any]],
    params: Any,
    model_state: Any,
    batch: Mapping,
    key: jax.Array,
) -> learner.Loss:
    """Nats a token, and ``accuracy``, of a pass of training; ``key`` is dropout's."""
    seen = batch["tokens"][:, :-1]
    logits, model_state = forward(params, model_state, key, seen, **_apart(batch))
    nats, hits, weight = predictions(logits, batch)
    return learner.Loss(Mean.of(nats, weight), model_state, {"accuracy": Mean.of(hits, weight)})


def _predicted(
    module: nn.Module, state: learner.Learner, batch: Mapping
) -> tuple[jax.Array, jax.Array, jax.Array]:
    seen = batch["tokens"][:, :-1]
    return predictions(module.apply(state.best_variables, seen, **_apart(batch)), batch)


def _apart(batch: Mapping) -> dict[str, jax.Array]:
    """What keeps the texts of a row apart, where several stand in one."""
    return {"segments": batch["segments"][:, :-1]} if "segments" in batch else {}


def evaluate(
    module: nn.Module,
    bytes_per_token: float,
    state: learner.Learner,
    batch: Mapping,
    key: jax.Array,
) -> Metrics:
    """The figures of a batch that may be padded; ``key`` draws nothing."""
    nats, hits, weight = _predicted(module, state, batch)
    loss = Mean.of(nats, weight)
    # The same for every token of the part: over all of it, the weights add up to its bytes.
    size = loss.weight * bytes_per_token
    return {
        "loss": loss,
        "accuracy": Mean.of(hits, weight),
        "nats_per_byte": Mean(loss.total, size),
        "bits_per_byte": Mean(loss.total / math.log(2), size),
    }


def _parameters(module: nn.Module, context: int, state: learner.Learner) -> dict[str, jax.Array]:
    seen = jax.ShapeDtypeStruct((1, context), jnp.int32)
    return learner.parameters(state.params, models.call_order(module, seen))


# Tokens (n, T) behind a prompt, and what to write above each.
Texts = tuple[np.ndarray, list[str]]


def _likeliest(
    module: nn.Module, prompt_1xP: np.ndarray, variables: Any, key: jax.Array, **how: Any
) -> Texts:
    made, scores = generate.beam_search(module, variables, prompt_1xP, **how)
    return made[0], [f"log p = {score:.2f}" for score in np.asarray(scores[0])]


def _drawn(
    module: nn.Module,
    prompt_1xP: np.ndarray,
    variables: Any,
    key: jax.Array,
    *,
    samples: int,
    **how: Any,
) -> Texts:
    prompts = np.repeat(prompt_1xP, samples, axis=0)
    made = generate.sample(module, variables, prompts, key, **how)
    return made, [f"sample {i + 1}" for i in range(samples)]


def _sample(
    draw_texts: Callable[[Any, jax.Array], Texts],
    prompt_1xP: np.ndarray,
    tokenizer: Any,
    end: int | None,
    state: learner.Learner,
    key: jax.Array,
) -> dict[str, Any]:
    made, heads = draw_texts(state.best_variables, key)
    texts = np.concatenate([np.repeat(prompt_1xP, len(made), axis=0), made], axis=1)
    shown = [printable(tokenizer.decode(text[text != end])) for text in texts]
    return {"samples": "\n\n".join(f"[{h}]\n{s}" for h, s in zip(heads, shown, strict=True))}


def _artifacts(
    module: nn.Module,
    each: EachFn,
    data: Data,
    batch_size: int,
    state: learner.Learner,
    split: Any,
    key: jax.Array,
) -> dict[str, Any]:
    nats, _, weight = over_split(each, split, batch_size, state)
    pictures = {
        "Most surprising": _most_surprising(nats[weight > 0], split, data.tokenizer),
        "Surprise along the window": along(nats, weight, "tokens before it in the window"),
    }
    taken = split.take(np.array([len(split) // 2]))
    seen = taken["tokens"][:, : min(_SEEN, data.train.context)]
    if "segments" in taken:  # of several texts in a row the first
        seen = seen[:, taken["segments"][0, : seen.shape[1]] == 1]
    text = data.tokenizer.decode(seen[seen < data.tokenizer.size])
    return pictures | attention(module, state.best_variables, seen, text)


def _begin(run: Run) -> transfer.Start:
    """The model, for the data's tokens and windows, and its first weights; or UserError."""
    name, data = run.config.model.name, run.data
    if name and "vocab_size" not in models.settings(name):
        raise UserError(
            f"task {run.config.task.name!r} needs a model of tokens, such as 'gpt', not {name!r}"
        )
    size = getattr(data.train, "vocabulary", data.tokenizer.size)
    context = getattr(data.train, "room", data.train.context)
    if run.config.pretrained.source:
        wanted = encoders.Wanted(
            size, context, "config.data.context", check=functools.partial(_check_kind, run)
        )
        return encoders.create(run.config, data, wanted)
    module = build_model(
        run,
        {"vocab_size": size, "context": context, "output": "tokens"},
        at_least=("vocab_size", "context"),
        because=f"for windows of config.data.context={context} and {size} tokens",
    )
    _check_kind(run, module)
    return transfer.fresh(module)


def _check_kind(run: Run, module: nn.Module) -> None:
    if not getattr(module, "is_language_model", True):
        name = run.config.model.name or type(module).__name__
        raise UserError(
            f"task {run.config.task.name!r} needs a model whose tokens see only those before, "
            f"such as 'gpt': {name!r} would see what it is to say"
        )
    packed = "segments" in run.data.train.take(np.arange(1))
    if packed and "segments" not in inspect.signature(type(module).__call__).parameters:
        raise UserError(
            "config.data.packed=True needs a model that keeps the texts of a row apart, such as "
            f"'gpt', and not {run.config.model.name or type(module).__name__!r}"
        )


def _room(module: nn.Module, length: int) -> int:
    """The tokens that fit behind a prompt of ``length``, at least 1 and not very many."""
    context = getattr(module, "context", None)
    return max(1, min(completing.MANY, context - length)) if context else completing.MANY


def _most_surprising(nats: np.ndarray, split: Any, tokenizer: Any) -> draw.Picture:
    """The lines of a text with the most nats a token; ``nats``: of each of its tokens, (n,)."""
    size = max(1, round(_LETTERS / split.bytes_per_token))
    starts = np.arange(0, len(nats), size)
    mean = np.add.reduceat(nats, starts) / np.diff(np.append(starts, len(nats)))
    # The text's last line may be short, and short lines have extreme means.
    whole = max(1, len(nats) // size)
    worst = np.argsort(-mean[:whole], kind="stable")[:_LINES]
    lines = []
    for i in worst:
        part = slice(starts[i], starts[i] + size)
        letters = _letters(pieces(tokenizer, split.tokens[part]), nats[part])
        lines.append((f"{mean[i]:.2f}", letters))
    return draw.coloured_text(
        lines,
        f"The {len(worst)} most surprising of the {whole} lines that the evaluation text is cut "
        "into, in front the mean nats a token; the darker a letter, the less it was expected.",
    )


def _letters(pieces: list[str], nats: np.ndarray) -> list[tuple[str, float]]:
    """Each piece of text with its nats, and those of the tokens in front that only began it."""
    found, begun = [], 0.0
    for piece, value in zip(pieces, nats, strict=True):
        begun += float(value)
        if piece:
            found.append((piece, begun))
            begun = 0.0
    return found
