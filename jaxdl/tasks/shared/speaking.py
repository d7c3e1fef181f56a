"""Who answers prompts, with what it thinks of each token, and how its answers are judged."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import linen as nn

from jaxdl.losses import preference
from jaxdl.metrics import Mean
from jaxdl.parallel import replicas
from jaxdl.tasks.shared import answering

# Ziegler et al., section 2.2: the error that counts at most, and what of it moves β in an update.
_MOST, _GAIN = 0.2, 0.1


class Speaker(NamedTuple):
    """Who answers, and how answers are judged.

    Attributes:
      module: tokens and mask (n, T) -> (logits (n, T, tokens), values (n, T)).
      says: the same with logits alone.
      front: tokens of a prompt.
      tokens: of an answer at most.
      end: the token that ends one, or None.
      judge: (variables, text (n, T), mask (n, T)) -> rewards (n,).
    """

    module: nn.Module
    says: nn.Module
    front: int
    tokens: int
    end: int | None
    judge: Callable[[Any, jax.Array, jax.Array], jax.Array]

    def think(self, variables: Any, text: jax.Array, mask: jax.Array) -> tuple[Any, ...]:
        """Log p, values and entropies in nats, (n, tokens) each, of the tokens of answers."""
        logits, value = self.module.apply(variables, text[:, :-1], mask[:, :-1])
        logits, value = logits[:, self.front - 1 :], value[:, self.front - 1 :]
        log_p = preference.token_log_probabilities(logits, text[:, self.front :])
        every = jax.nn.log_softmax(logits)
        return log_p, value, -(jnp.exp(every) * every).sum(axis=-1)

    def reference(self, variables: Any, text: jax.Array, mask: jax.Array) -> jax.Array:
        """Log p (n, tokens) by the reference."""
        logits = self.says.apply(variables, text[:, :-1], mask[:, :-1])[:, self.front - 1 :]
        return preference.token_log_probabilities(logits, text[:, self.front :])


def create(module: nn.Module, train: Any, tokens: int, judge: Callable) -> Speaker:
    """Who answers the prompts of a split, by ``tokens`` at most; 0 is as many as its texts have."""
    tokens = tokens or train.context - train.prompt_length
    says = module.clone(output="tokens")
    return Speaker(module, says, train.prompt_length, tokens, train.end, judge)


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
    made = answering.written(speaker.says, variables, batch, key, speaker.tokens, speaker.end)
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
