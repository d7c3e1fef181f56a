"""A world of three prompts and eight answers whose best policy is known in closed form.

Texts are of the letters a and b. A prompt is one of three words of two letters, an answer any word
of three, and nothing else can be said: of what a language model of two tokens says, the eight
answers have all of the probability. Each has a reward, the number in `REWARDS`. The policy that has
the most reward, less β times its KL divergence from a reference π₀, is

    π(y | x) = π₀(y | x) e^(r(x, y) / β) / Σ_y' π₀(y' | x) e^(r(x, y') / β)

(Rafailov et al., 2023, equation 4), and it is what preferences by Bradley and Terry's model,
P(y preferred to y') = σ(r(x, y) - r(x, y')), lead to as well.
"""

import itertools

import jax
import jax.numpy as jnp
import numpy as np

from jaxdl.data import Data, register
from jaxdl.data.answered import Answered, Vocabulary
from jaxdl.data.preferences import Preferences
from jaxdl.errors import UserError

PROMPTS = np.array([[0, 0], [0, 1], [1, 0]], np.int32)
ANSWERS = np.array(list(itertools.product((0, 1), repeat=3)), np.int32)

# By prompts and answers, no two alike of one prompt: aaa, aab, aba, abb, baa, bab, bba, bbb.
REWARDS = np.array(
    [
        [0.9, -0.3, 0.1, -0.8, 0.4, 0.7, -0.6, -0.1],
        [-0.5, 0.2, 0.8, 0.5, -0.9, -0.2, 0.0, 0.6],
        [0.3, -0.7, -0.4, 0.6, 1.0, -0.1, 0.5, -1.0],
    ],
    np.float32,
)

_LENGTHS = PROMPTS.shape[1], PROMPTS.shape[1] + ANSWERS.shape[1]


class Letters:
    """The letters a and b, which are the tokens 0 and 1."""

    # Data read anew are the same: no file of the tokenizer's need be kept.
    size, fingerprint = 2, ""

    def encode(self, text: str) -> np.ndarray:
        """(n,) uint8; UserError for other letters."""
        if set(text) - set("ab"):
            raise UserError(f"{text!r}: texts of this world are of the letters a and b")
        return np.array([letter == "b" for letter in text], np.uint8)

    def decode(self, tokens: np.ndarray) -> str:
        """The text of tokens (n,)."""
        return "".join("ab"[token] for token in np.asarray(tokens))

    def pieces(self, tokens: np.ndarray) -> list[str]:
        """A letter each."""
        return [*self.decode(tokens)]

    def id_of(self, name: str) -> None:
        """None: there are no others."""

    def front(self) -> tuple[int, ...]:
        """Nothing stands in front of texts."""
        return ()


class World(Preferences):
    """`Preferences` of this world, which has a reward for every answer."""

    def reward(self, tokens: jax.Array) -> jax.Array:
        """Rewards (n,) float32 of texts (n, 5), a prompt and an answer each; free to jit."""
        prompt = 2 * tokens[:, 0] + tokens[:, 1]
        answer = tokens[:, 2:] @ jnp.array([4, 2, 1])
        return jnp.asarray(REWARDS)[prompt, answer]

    def texts(self) -> np.ndarray:
        """All texts there are, (prompts, answers, 5) int32."""
        whole = np.broadcast_to(PROMPTS[:, None], (len(PROMPTS), len(ANSWERS), 2))
        return np.concatenate([whole, np.broadcast_to(ANSWERS, (*whole.shape[:2], 3))], axis=2)


@register("answer_world")
def answer_world(
    labels: str = "expected", pairs: int = 4000, noise: float = 0.1, data_seed: int = 0
) -> Data:
    """Preferences between answers of the small world.

    Args:
      labels: "expected" has every pair both ways, each way weighed by its probability, so that a
        pass sees what endless draws of Bradley and Terry's model would show; "noisy" draws pairs,
        of which the answer with more reward is preferred, but for the share of ``noise``, and
        weighs each way by how often it was drawn.
      pairs: drawn to learn from, and half as many to be measured on.
      noise: in [0, 1): the share that is swapped. So no one can agree with more than 1 - noise.
      data_seed: of the draws.
    """
    if labels not in ("expected", "noisy"):
        raise UserError(f"data.labels={labels!r} must be 'expected' or 'noisy'")
    if labels == "expected":
        every = _expected()
        return Data(every, every, tokenizer=Letters())
    if not 0 <= noise < 1 or pairs < 2:
        raise UserError(
            f"data.noise={noise} must be at least 0 and below 1, and data.pairs={pairs} at least 2"
        )
    rng = np.random.default_rng(data_seed)
    train, test = (_drawn(rng, size, noise) for size in (pairs, pairs // 2))
    return Data(train, test, tokenizer=Letters())


def _pairs() -> np.ndarray:
    """(3, n): the numbers of prompt, chosen and rejected answer of every pair, both ways."""
    count = len(ANSWERS)
    every = np.indices((len(PROMPTS), count, count)).reshape(3, -1)
    return every[:, every[1] != every[2]]


def _world(weight: np.ndarray) -> World:
    """Every pair, weighed by (n,)."""
    prompt, *sides = _pairs()
    both = [Answered.of([*PROMPTS[prompt]], [*ANSWERS[side]], _LENGTHS[1]) for side in sides]
    return World(*both, (*_LENGTHS, _LENGTHS[1]), Vocabulary(2, None), weight.astype(np.float32))


def _expected() -> World:
    prompt, chosen, rejected = _pairs()
    return _world(1 / (1 + np.exp(REWARDS[prompt, rejected] - REWARDS[prompt, chosen])))


def _drawn(rng: np.random.Generator, size: int, noise: float) -> World:
    prompt, chosen, rejected = _pairs()
    right = np.flatnonzero(REWARDS[prompt, chosen] > REWARDS[prompt, rejected])
    wrong = np.flatnonzero(REWARDS[prompt, chosen] < REWARDS[prompt, rejected])
    swapped = round(noise * size)
    drawn = [rng.choice(right, size - swapped), rng.choice(wrong, swapped)]
    return _world(np.bincount(np.concatenate(drawn), minlength=len(prompt)))
