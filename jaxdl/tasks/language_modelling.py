"""Texts, one token after the other: how likely each is, given those before it."""

import math
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from jaxdl import generate, keys, models, ops, precision
from jaxdl.data import Data, padded_batches, without_padding
from jaxdl.errors import UserError
from jaxdl.metrics import Mean, Metrics
from jaxdl.report import attention_maps, draw
from jaxdl.tasks import Run, Task, check_counts, learner, need_batches, register

# Tokens that a sample adds where neither the settings nor the model's context say how many.
_MANY = 256

# Tokens whose attention to one another is shown.
_SEEN = 48

# A line of the most surprising passages: about as many letters, and as many lines.
_LETTERS, _LINES = 96, 12


@register("language_modelling")
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

    Args:
      run: the run's config and data. The model has a field ``vocab_size`` and no position of its
        output depends on a later one of its input; the rest is as `jaxdl.generate` has it.
      prompt: what samples begin with.
      tokens: that are added to it; 0 is as many as the model's context has room for, 256 at most.
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
    config, data = run.config, run.data
    module = _model(config, data)
    prompt_1xP = data.tokenizer.encode(prompt)[None].astype(np.int32)
    tokens = tokens or _room(module, prompt_1xP.shape[1])
    check_counts(samples=samples)
    generate.check_sampling(temperature, top_k, top_p, "config.task.")
    generate.check_beams(beams, "config.task.")
    generate.check_prompt(module, prompt_1xP, tokens, "config.task.")

    def predictions(logits: jax.Array, batch: Mapping) -> tuple[jax.Array, jax.Array, jax.Array]:
        """Nats, hits and weights of all predictions, (batch, T) each."""
        targets = batch["tokens"][:, 1:]
        weight = batch.get("weight", jnp.ones(targets.shape, jnp.float32))
        weight = without_padding(batch, weight)
        return ops.cross_entropy(logits, targets), logits.argmax(-1) == targets, weight

    def loss_fn(params: Any, model_state: Any, batch: Mapping, key: jax.Array) -> learner.Loss:
        logits, new_state = module.apply(
            {"params": params, **model_state},
            batch["tokens"][:, :-1],
            train=True,
            rngs={"dropout": keys.named(key, "dropout")},
            mutable=list(model_state),
        )
        nats, hits, weight = predictions(logits, batch)
        return learner.Loss(
            Mean.of(nats, weight),
            {**model_state, **new_state},
            {"accuracy": Mean.of(hits, weight)},
        )

    start, update = learner.by_config(run, loss_fn)

    def init(key: jax.Array, batch: Mapping) -> learner.Learner:
        variables = module.init(key, batch["tokens"][:1, :-1])
        return start(variables)

    def predict(state: learner.Learner, batch: Mapping) -> tuple[jax.Array, jax.Array, jax.Array]:
        logits = module.apply(state.best_variables, batch["tokens"][:, :-1])
        return predictions(logits, batch)

    def eval_step(state: learner.Learner, batch: Mapping, key: jax.Array) -> Metrics:
        nats, hits, weight = predict(state, batch)
        loss = Mean.of(nats, weight)
        # The same for every token of the part: over all of it, the weights add up to its bytes.
        size = loss.weight * data.test.bytes_per_token
        return {
            "loss": loss,
            "accuracy": Mean.of(hits, weight),
            "nats_per_byte": Mean(loss.total, size),
            "bits_per_byte": Mean(loss.total / math.log(2), size),
        }

    def sample(state: learner.Learner, key: jax.Array) -> dict[str, Any]:
        if beams > 1:
            made, scores = generate.beam_search(
                module, state.best_variables, prompt_1xP, tokens=tokens, beams=beams
            )
            made, heads = made[0], [f"log p = {score:.2f}" for score in np.asarray(scores[0])]
        else:
            made = generate.sample(
                module, state.best_variables, np.repeat(prompt_1xP, samples, axis=0), key,
                tokens=tokens, temperature=temperature, top_k=top_k, top_p=top_p,
            )  # fmt: skip
            heads = [f"sample {i + 1}" for i in range(samples)]
        texts = np.concatenate([np.repeat(prompt_1xP, len(made), axis=0), made], axis=1)
        shown = [_printable(data.tokenizer.decode(text)) for text in texts]
        return {"samples": "\n\n".join(f"[{h}]\n{s}" for h, s in zip(heads, shown, strict=True))}

    def artifacts(state: learner.Learner, split: Any, key: jax.Array) -> dict[str, Any]:
        batches = padded_batches(split, min(config.eval.batch_size, len(split)))
        predicted = jax.jit(predict)
        found = [jax.device_get(predicted(state, load())) for load in batches]
        nats, _, weight = (np.concatenate(parts) for parts in zip(*found, strict=True))
        pictures = {
            "Most surprising": _most_surprising(nats[weight > 0], split, data.tokenizer),
            "Surprise along the window": _along(nats, weight),
        }
        seen = split.take(np.array([len(split) // 2]))["tokens"]
        seen = seen[:, : min(_SEEN, data.train.context)]
        maps = attention_maps.collect(module, state.best_variables, seen)
        if maps:
            text = _printable(data.tokenizer.decode(seen[0]))
            pictures["Attention"] = attention_maps.picture(maps, f"In the text {text!r}.")
        return pictures

    def parameters(state: learner.Learner) -> dict[str, jax.Array]:
        seen = jax.ShapeDtypeStruct((1, data.train.context), jnp.int32)
        return learner.parameters(state.params, models.call_order(module, seen))

    return Task(
        init=init,
        train_step=update,
        eval_step=eval_step,
        artifacts=artifacts,
        parameters=parameters,
        sample=sample,
    )


def _model(config: Any, data: Data) -> nn.Module:
    """The model, for the data's tokens and windows; UserError if it is none for these."""
    name, context, size = config.model.name, data.train.context, data.tokenizer.size
    fields = {k: v for k, v in config.model.items() if k != "name"}
    allowed = models.settings(name) if name else {"vocab_size"}
    if "vocab_size" not in allowed:
        raise UserError(
            f"task {config.task.name!r} needs a model of tokens, such as 'gpt', not {name!r}"
        )
    fields.setdefault("vocab_size", size)
    if fields["vocab_size"] < size:
        raise UserError(
            f"config.model.vocab_size={fields['vocab_size']} but the data have {size} tokens"
        )
    if "context" in allowed:
        fields.setdefault("context", context)
        if fields["context"] < context:
            raise UserError(
                f"config.data.context={context} is longer than the model's: config.model.context="
                f"{fields['context']}"
            )
    return models.create(name, **fields, dtype=precision.compute_dtype(config.precision))


def _room(module: nn.Module, length: int) -> int:
    """The tokens that fit behind a prompt of ``length``, at least 1 and not very many."""
    context = getattr(module, "context", None)
    return max(1, min(_MANY, context - length)) if context else _MANY


def _printable(text: str) -> str:
    """The text with U+FFFD for what no page can show."""
    return "".join(c if c.isprintable() or c in "\n\t" else "\ufffd" for c in text)


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
        letters = _letters(tokenizer.pieces(split.tokens[part]), nats[part])
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


def _along(nats: np.ndarray, weight: np.ndarray) -> draw.Picture:
    """Mean nats of each place in the window; both (windows, T)."""
    count = weight.sum(axis=0)
    places = np.flatnonzero(count)
    mean = (nats * weight).sum(axis=0)[places] / count[places]
    return draw.curves(
        "nats a token", {"evaluation": (places + 1, mean)}, xlabel="tokens before it in the window"
    )
