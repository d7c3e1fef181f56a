"""The rules of Whisper's timestamps: when a token tells a time, and which.

Radford et al., 2022, section 3.8; as the code that OpenAI published has them, and transformers.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp


class Timestamps(NamedTuple):
    """What is to be known of a vocabulary whose last tokens tell times, each a step after another.

    Attributes:
      first: the token of the time 0; those from it on tell times, and the one before it, which
        says that there are none, is never added.
      end: the token that ends a text; those before it are words.
      latest_start: how many steps the first time may be away from 0; None for any number.
    """

    first: int | jax.Array
    end: int | jax.Array
    latest_start: int | jax.Array | None = None


def keep_times(
    scores: jax.Array, text: jax.Array, filled: jax.Array, added: jax.Array, rules: Timestamps
) -> jax.Array:
    """-inf for tokens that would break the rules.

    A text begins with a time. Behind a word and a time comes the same time or a later one, which
    begins what follows, or the end; behind two of them words; and no later time goes back. Where
    all times together are likelier than the likeliest other token, it is a time.

    Args:
      scores: (batch, vocabulary).
      text: (batch, length) int32, the prompt's tokens with those that were added, -1 behind them.
      filled: int32, how many tokens that are.
      added: int32, how many of them were added.
      rules: of the vocabulary.
    """
    token = jnp.arange(scores.shape[-1])
    is_time = token >= rules.first
    place = jnp.arange(text.shape[1])
    is_added = (place >= filled - added) & (place < filled)
    # -1, or any token: what is below the first is no time.
    latest = jnp.where(is_added, text, -1).max(1)
    at = lambda back: jax.lax.dynamic_index_in_dim(
        text, jnp.maximum(filled - back, 0), 1, keepdims=False
    )
    last_is_time = (added >= 1) & (at(1) >= rules.first)
    both_are = last_is_time & ((added < 2) | (at(2) >= rules.first))
    one_is = last_is_time & ~both_are
    # A pair may tell one time twice; otherwise times grow.
    least = jnp.where(latest < rules.first, rules.first, latest + ~one_is)
    wrong = is_time & (token < least[:, None])
    wrong |= both_are[:, None] & is_time
    wrong |= one_is[:, None] & (token < rules.end)
    wrong |= token == rules.first - 1
    begins = ~is_time
    if rules.latest_start is not None:
        begins |= token > rules.first + rules.latest_start
    wrong |= (added == 0) & begins
    scores = jnp.where(wrong, -jnp.inf, scores)
    # Of two sums over one softmax the larger is that of the larger logits: it need not be made.
    wide = scores.astype(jnp.float32)
    times = jax.nn.logsumexp(jnp.where(is_time, wide, -jnp.inf), axis=-1)
    likeliest = jnp.where(is_time, -jnp.inf, wide).max(-1)
    return jnp.where((times > likeliest)[:, None] & ~is_time, -jnp.inf, scores)
