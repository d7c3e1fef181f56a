"""What was said, from a recording: each moment tells a token or nothing (Graves et al., 2006)."""

import functools
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from jaxdl import generate, losses, models, ops
from jaxdl.data.source_target import Specials
from jaxdl.errors import UserError
from jaxdl.metrics import Mean, Metrics
from jaxdl.tasks import Run, Task, build_model, check_at_least, learner, register
from jaxdl.tasks.shared import recognising, transcripts
from jaxdl.tasks.shared.reading import Example
from jaxdl.tasks.shared.transcripts import Listener


@register(
    "ctc",
    groups=("model", "augment_sound"),
    derives=("vocab_size", "bands", "frames"),
    asks=("beams",),
)
def ctc(
    run: Run,
    bands: int = 80,
    window: float = 0.025,
    hop: float = 0.01,
    decoded: int = 1024,
    beams: int = 0,
) -> Task:
    """The tokens of ``target`` (batch, T) from ``samples`` (batch, N), by an encoder alone.

    Connectionist temporal classification (`jaxdl.losses.ctc`): all ways to say the target in time
    count together; spectrograms are made in the step. The blank is the token of padding.

    Args:
      run: the run's config and data, such as of data set "dial_tones". The model is called as
        `jaxdl.models.whisper_ctc`.
      bands: of the mel scale, from 0 Hz to half the rate.
      window: seconds of a frame of the spectrogram.
      hop: seconds from one frame to the next.
      decoded: recordings of the evaluation part, evenly spread, that texts are written for; 0
        leaves out all figures that need these.
      beams: prefixes that a search keeps; 0 reads the likeliest path.

    The metrics are ``loss`` (nats a recording) and those of what was written, as of
    `jaxdl.tasks.transcription`. A target that needs more moments than its recording has is refused.
    """
    check_at_least(0, decoded=decoded, beams=beams)
    if run.config.data.get("times"):
        raise UserError(
            "config.data.times=True: what is read off moments has no tokens of times: set "
            "config.data.times=False, or take task 'transcription'"
        )
    listener = transcripts.of_run(run, bands, window, hop)
    special = listener.special
    fields = {"vocab_size": special.size, **listener.reader.fields}
    module = build_model(run, fields, because="as the recordings and their texts have it")
    if not callable(getattr(module, "states", None)) or hasattr(module, "decode"):
        raise UserError(
            f"task 'ctc' needs a model that tells a token a moment, such as 'whisper_ctc', not "
            f"{run.config.model.name!r}"
        )
    for part, split in (("training", run.data.train), ("evaluation", run.data.test)):
        check_targets(split, part, listener, module.states)
    loss_fn = functools.partial(training_loss, learner.forward(module), listener, module.states)
    seen = jax.ShapeDtypeStruct((1, *listener.hears.shape), jnp.float32)
    order = functools.cache(lambda: models.call_order(module, seen))
    layers = lambda: models.outermost(order())
    start, update = learner.by_config(run, loss_fn, layers=layers)
    each = jax.jit(functools.partial(answers, module, listener, beams))
    text = functools.partial(special.decode, run.data.tokenizer)
    recogniser = recognising.Recogniser(
        listener.hears, each, text, decoded, run.config.eval.batch_size
    )
    initial = lambda key: module.init(key, jnp.zeros((1, 2, bands)))
    return Task(
        init=lambda key, batch: start(initial(key)),
        train_step=update,
        eval_step=functools.partial(evaluate, module, listener),
        artifacts=lambda state, split, key: recogniser.shown(state, split)[1],
        parameters=lambda state: learner.parameters(state.params, order()),
        predict=recogniser.predict,
        describe=recogniser.describe,
        sound=listener.hears.sound,
        tokens={"pad": special.pad, "end": special.end},
        directions=transcripts.directions(run),
        **({"score": recogniser.score} if decoded else {}),
    )


def check_targets(split: Any, part: str, listener: Listener, states: Callable[[int], int]) -> None:
    """Raises UserError where a recording is too short for what is said in it.

    Args:
      split: the recordings.
      part: what they are called.
      listener: how they are heard.
      states: frames -> moments that the model makes of them.
    """
    arrays = getattr(split, "arrays", {})
    if getattr(split, "lengths", None) is not None:  # of files that are read later
        arrays = {"length": split.lengths, **split.further}
    if not {"length", "target"} <= arrays.keys():
        return
    target, special = arrays["target"], listener.special
    said = ((target != special.pad) & (target != special.end)).sum(axis=1)
    needed = np.asarray(ops.needed_frames(target, said))
    there = states(np.minimum(-(-arrays["length"] // listener.hears.hop), listener.hears.shape[0]))
    short = np.flatnonzero(needed > there)
    if len(short):
        first = short[0]
        raise UserError(
            f"{len(short)} of {len(target)} recordings of the {part} part are too short for their "
            f"texts: number {first + 1} is {there[first]} moments long, and its text needs "
            f"{needed[first]}: set a smaller config.task.hop, or leave them out"
        )


def example_losses(
    logits: jax.Array, example: Example, special: Specials, states: Callable[[int], int]
) -> jax.Array:
    """(batch,) nats of logits (batch, moments, tokens); the target's end token is no part of it.

    Args:
      logits: of the model.
      example: whose mask says which frames there are.
      special: the special tokens.
      states: frames -> moments that the model makes of them.
    """
    target = example.target
    said = (target != special.pad) & (target != special.end)
    return losses.ctc(
        logits,
        target,
        frames=moments(example, states),
        lengths=said.sum(axis=1, dtype=jnp.int32),
        blank=special.pad,
    )


def moments(example: Example, states: Callable[[int], int]) -> jax.Array:
    """(batch,) int32: how many of the model's moments begin before a recording ends."""
    return states(example.source_mask.sum(axis=1, dtype=jnp.int32))


def training_loss(
    forward: Callable[..., tuple[jax.Array, Any]],
    listener: Listener,
    states: Callable[[int], int],
    params: Any,
    model_state: Any,
    batch: Mapping,
    key: jax.Array,
) -> learner.Loss:
    """Nats a recording, of a pass of training.

    Args:
      forward: (params, model_state, key, source, mask) -> (logits, model_state).
      listener: how recordings are heard.
      states: frames -> moments that the model makes of them.
      params: the module's; so is model_state.
      model_state: its other collections.
      batch: of recordings.
      key: of the step; it draws dropout, and the recordings where these are drawn.
    """
    example = listener.prepare(batch, key)
    logits, model_state = forward(params, model_state, key, example.source, example.source_mask)
    nats = example_losses(logits, example, listener.special, states)
    return learner.Loss(Mean.of(nats, example.weight), model_state, {})


def evaluate(
    module: nn.Module, listener: Listener, state: learner.Learner, batch: Mapping, key: jax.Array
) -> Metrics:
    """``loss`` of a batch that may be padded; ``key`` draws nothing."""
    example = listener.prepare(batch, None)
    logits = module.apply(state.best_variables, example.source, example.source_mask)
    nats = example_losses(logits, example, listener.special, module.states)
    return {"loss": Mean.of(nats, example.weight)}


def answers(
    module: nn.Module,
    listener: Listener,
    beams: int,
    state: learner.Learner,
    batch: Mapping,
    key: jax.Array,
) -> dict[str, jax.Array]:
    """``written`` (batch, moments) for a batch of recordings; ``key`` draws nothing."""
    example = listener.prepare(batch, None)
    logits = module.apply(state.best_variables, example.source, example.source_mask)
    count, blank = moments(example, module.states), listener.special.pad
    if not beams:
        return {"written": generate.ctc_greedy(logits, count, blank=blank)[0]}
    longest = listener.longest
    return {
        "written": generate.ctc_beams(logits, count, beams=beams, longest=longest, blank=blank)[0][
            :, 0
        ]
    }
