"""Who answers prompts, with what it thinks of each token, and how its answers are judged."""

import functools
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import linen as nn

from jaxdl.data.source_target import Specials
from jaxdl.losses import preference
from jaxdl.metrics import Mean
from jaxdl.parallel import replicas
from jaxdl.tasks.shared import answering, apart
from jaxdl.tasks.shared.contract import Run

# Ziegler et al., section 2.2: the error that counts at most, and what of it moves β in an update.
_MOST, _GAIN = 0.2, 0.1


class Speaker(NamedTuple):
    """Who answers, and how answers are judged.

    Attributes:
      module: gives a pair, logits (n, T, tokens) and values (n, T).
      says: the same with logits alone.
      front: tokens of a prompt.
      tokens: of an answer at most.
      end: the token that ends one, or None.
      judge: (variables, text (n, T), mask (n, T)) -> rewards (n,).
      reads: how prompts and texts go through it.
    """

    module: nn.Module
    says: nn.Module
    front: int
    tokens: int
    end: int | None
    judge: Callable[[Any, jax.Array, jax.Array], jax.Array]
    reads: answering.Reads = answering.IN_FRONT

    def think(self, variables: Any, text: jax.Array, mask: jax.Array) -> tuple[Any, ...]:
        """Log p, values and entropies in nats, (n, tokens) each, of the tokens of answers."""
        given = self._asked(text, mask)
        logits, value = self.module.apply(variables, *given.inputs)
        logits, value = self.reads.heard(self._last(logits)), self._last(value)
        log_p = preference.token_log_probabilities(logits, self._last(given.target))
        every = jax.nn.log_softmax(logits)
        return log_p, value, -(jnp.exp(every) * every).sum(axis=-1)

    def reference(self, variables: Any, text: jax.Array, mask: jax.Array) -> jax.Array:
        """Log p (n, tokens) by the reference."""
        given = self._asked(text, mask)
        logits = self.reads.heard(self._last(self.says.apply(variables, *given.inputs)))
        return preference.token_log_probabilities(logits, self._last(given.target))

    def _asked(self, text: jax.Array, mask: jax.Array) -> answering.Asked:
        return self.reads.asked(parts(self.front, text, mask))

    def _last(self, x: jax.Array) -> jax.Array:
        """What is of an answer's tokens: these stand last, whatever is in front of them."""
        return x[:, -self.tokens :]


def parts(front: int, text: jax.Array, mask: jax.Array) -> dict[str, jax.Array]:
    """What `jaxdl.tasks.shared.answering.Reads` takes of texts whose prompts have ``front``."""
    return {"tokens": text, "mask": mask, "answer": mask & (jnp.arange(text.shape[1]) >= front)}


def judged(
    run: Run, module: nn.Module, special: Specials | None, variables: Any, text: Any, mask: Any
) -> jax.Array:
    """Rewards (n,) of texts (n, T), prompts with answers as they are drawn.

    Args:
      run: whose prompts they are.
      module: that gives scores.
      special: an encoder-decoder's special tokens; None of a language model.
      variables: its own.
      text: (n, T) int32.
      mask: (n, T) bool, False in padding.
    """
    train = run.data.train
    front, reads = train.prompt_length, answering.IN_FRONT
    if special is not None:
        reads = apart.reads(special, train.end, front, text.shape[1] - front)
    apply = functools.partial(module.apply, variables)
    return answering.rewards(apply, parts(front, text, mask), reads)


class Drawn(NamedTuple):
    """Answers, and how they were judged.

    Attributes:
      text: (n, T) int32, prompts with their answers.
      mask: (n, T) bool, False in padding.
      reward: (n,) float32.
    """

    text: jax.Array
    mask: jax.Array
    reward: jax.Array


def draw(speaker: Speaker, variables: Any, judge: Any, batch: Mapping, key: jax.Array) -> Drawn:
    """An answer to each prompt."""
    made = answering.written(
        speaker.says, variables, batch, key, speaker.tokens, speaker.end, speaker.reads
    )
    text = jnp.concatenate([batch["prompt"], jnp.where(made.mask, made.tokens, 0)], axis=1)
    mask = jnp.concatenate([batch["prompt_mask"], made.mask], axis=1)
    return Drawn(text, mask, speaker.judge(judge, text, mask))


def whitened(x: jax.Array, weight: jax.Array) -> jax.Array:
    """To mean 0 and deviation 1 over what ``weight`` has of all devices; 0 elsewhere."""
    count = replicas.total(weight.sum())
    centred = (x - replicas.total((x * weight).sum()) / count) * weight
    return centred / (jnp.sqrt(replicas.total(jnp.square(centred).sum()) / count) + 1e-8)


def moved(beta: jax.Array, kl: Mean, target: float) -> jax.Array:
    """``β (1 + .1 clip(KL / target - 1, ±.2))``, Ziegler et al., 2019, equation 5; 0 is none."""
    if not target:
        return beta
    total, weight = replicas.total((kl.total, kl.weight))
    error = jnp.clip(total / weight / target - 1, -_MOST, _MOST)
    return beta * (1 + _GAIN * error)
