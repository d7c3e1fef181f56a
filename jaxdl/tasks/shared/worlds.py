"""How far a policy is from the best one, where all answers and their rewards are known.

So it is of `jaxdl.data.answer_world`: a split with ``texts() -> (prompts, answers, T) int32``, of
which the first ``prompt_length`` tokens are a prompt, and ``reward(tokens (n, T)) -> (n,)``. Of
other data nothing is told.
"""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from jaxdl.metrics import HIGH, LOW
from jaxdl.report import draw
from jaxdl.tasks.shared import answering, speaking

DIRECTIONS = {"total_variation": LOW, "expected_reward": HIGH, "divergence": LOW}


class Found(NamedTuple):
    """Probabilities of all answers, (prompts, answers) each.

    Attributes:
      policy: what was learned.
      reference: what was said before.
      best: π₀ e^(r / β), over its sum.
      reward: of each answer, r.
    """

    policy: jax.Array
    reference: jax.Array
    best: jax.Array
    reward: jax.Array


@functools.partial(jax.jit, static_argnames=("module", "reads", "front"))
def _compared(
    module: nn.Module,
    reads: answering.Reads,
    front: int,
    beta: Any,
    variables: Any,
    reference: Any,
    texts: Any,
    reward: Any,
) -> Found:
    flat = texts.reshape(-1, texts.shape[-1])
    batch = speaking.parts(front, flat, jnp.ones(flat.shape, bool))

    def log_p(variables: Any) -> jax.Array:
        apply = functools.partial(module.apply, variables)
        found = answering.text_log_probabilities(apply, batch, False, reads)
        return found.reshape(reward.shape)

    own, before = log_p(variables), log_p(reference)
    return Found(jnp.exp(own), jnp.exp(before), jax.nn.softmax(before + reward / beta), reward)


def compared(
    module: nn.Module, reads: answering.Reads, beta: Any, state: Any, split: Any
) -> Found | None:
    """What the policy of a state with ``learner`` and ``reference`` says; None of other data."""
    if not hasattr(split, "texts"):
        return None
    texts = jnp.asarray(split.texts())
    reward = split.reward(texts.reshape(-1, texts.shape[-1])).reshape(texts.shape[:2])
    both = state.learner.best_variables, state.reference
    return _compared(module, reads, split.prompt_length, beta, *both, texts, reward)


def figures(found: Found) -> dict[str, float]:
    """Of a policy whose optimum is known.

    ``total_variation``, half the sum of all differences in probability from the best policy, of the
    prompt where it is largest; ``expected_reward``; ``divergence``, KL(π ‖ π₀) in nats; both means
    over prompts.
    """
    policy, reference, best, reward = (np.asarray(x, np.float64) for x in found)
    apart = 0.5 * np.abs(policy - best).sum(axis=1)
    known = np.where(policy > 0, policy, 1.0)
    divergence = (policy * np.log(known / np.maximum(reference, 1e-300))).sum(axis=1)
    return {
        "total_variation": float(apart.max()),
        "expected_reward": float((policy * reward).sum(axis=1).mean()),
        "divergence": float(divergence.mean()),
    }


def score(
    module: nn.Module, reads: answering.Reads, beta: Any, state: Any, split: Any, key: jax.Array
) -> dict[str, float]:
    """`Task.score`."""
    found = compared(module, reads, beta, state, split)
    return {} if found is None else figures(found)


def artifacts(
    module: nn.Module, reads: answering.Reads, beta: Any, state: Any, split: Any, key: jax.Array
) -> dict[str, draw.Picture]:
    """`Task.artifacts`: every answer's probability before, now, and as it were best."""
    found = compared(module, reads, beta, state, split)
    if found is None:
        return {}
    policy, reference, best = (np.asarray(x) for x in found[:3])
    place = np.arange(policy.shape[1])

    def paint(axes):
        for i, one in enumerate(axes):
            one.bar(place, policy[i], 0.7, label="learned", color="0.75")
            one.plot(place, best[i], "_", markersize=14, label="best", color="tab:red")
            one.plot(place, reference[i], ".", label="before", color="0.3")
            one.set_title(f"prompt {i}", loc="left")
            one.set_xlabel("answer")
        axes[-1].legend(fontsize=7)

    caption = "The probability of every answer to every prompt: before, learned, and at best."
    width = 2.3 * len(policy)
    return {"Policy": draw.figure(width, 2.0, paint, caption=caption, columns=len(policy))}
