"""Losses of metric learning, in float64 against loops over pairs and triples."""

import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl import losses
from jaxdl.losses import metric_learning
from jaxdl.losses.cosines import unit

# One class has a single example, and the last row is padding.
LABELS = np.array([0, 1, 0, 2, 1, 0, 1, 0])
REAL = np.array([1.0, 1, 1, 1, 1, 1, 1, 0])
RNG = np.random.default_rng(0)
FIRST, SECOND = RNG.normal(size=(2, 8, 3))
CENTRES = RNG.normal(size=(3, 3))


def mean(terms):
    return terms.total.sum() / terms.count.sum()


def distance(x, i, j):
    return math.sqrt(sum((a - b) ** 2 for a, b in zip(x[i], x[j], strict=True)))


def examples(real):
    return [i for i in range(len(LABELS)) if real[i]]


def contrastive(x, real):
    found = []
    for i, j in itertools.combinations(examples(real), 2):
        d = distance(x, i, j)
        found.append(d**2 / 2 if LABELS[i] == LABELS[j] else max(0, 1.7 - d) ** 2 / 2)
    return np.mean(found)


def triples(x, real, mining):
    """The triples that are mined, by a loop over all of them."""
    of = {}
    for a, p, n in itertools.product(examples(real), repeat=3):
        if a != p and LABELS[a] == LABELS[p] and LABELS[a] != LABELS[n]:
            of.setdefault((a, p), []).append(n)
    for (a, p), negatives in of.items():
        if mining == "all":
            yield from ((a, p, n) for n in negatives)
        elif mining == "semi_hard":
            beyond = [n for n in negatives if distance(x, a, n) > distance(x, a, p)]
            pick, among = (min, beyond) if beyond else (max, negatives)
            yield a, p, pick(among, key=lambda n: distance(x, a, n))
        elif p == max((q for b, q in of if b == a), key=lambda q: distance(x, a, q)):
            yield a, p, min(negatives, key=lambda n: distance(x, a, n))


def triplet(mining):
    return lambda x, real: np.mean(
        [
            max(0, distance(x, a, p) - distance(x, a, n) + 0.9)
            for a, p, n in triples(x, real, mining)
        ]
    )


def cosine(a, b):
    return sum(a * b) / math.sqrt(sum(a * a)) / math.sqrt(sum(b * b))


def among(anchor, right, others, temperature):
    shares = [math.exp(cosine(anchor, other) / temperature) for other in others]
    return -math.log(math.exp(cosine(anchor, right) / temperature) / sum(shares))


def info_nce(x, real):
    rows = examples(real)
    return np.mean([among(x[i], SECOND[i], SECOND[rows], 0.3) for i in rows])


def nt_xent(x, real):
    rows = examples(real)
    both, found = np.concatenate([x[rows], SECOND[rows]]), []
    for i in range(2 * len(rows)):
        others = np.delete(both, i, axis=0)
        found.append(among(both[i], both[(i + len(rows)) % (2 * len(rows))], others, 0.3))
    return np.mean(found)


def supervised(x, real):
    rows, found = examples(real), []
    for i in rows:
        others = [j for j in rows if j != i]
        positives = [j for j in others if LABELS[j] == LABELS[i]]
        if positives:
            found.append(np.mean([among(x[i], x[p], x[others], 0.3) for p in positives]))
    return np.mean(found)


def arcface(x, real):
    found = []
    for i in examples(real):
        angles = [math.acos(cosine(x[i], centre)) for centre in CENTRES]
        own = angles[LABELS[i]]
        wider = math.cos(own + 0.4)
        if own + 0.4 > math.pi:
            wider = math.cos(own) - 0.4 * math.sin(0.4)
        logits = [3 * math.cos(angle) for angle in angles]
        logits[LABELS[i]] = 3 * wider
        found.append(math.log(sum(map(math.exp, logits))) - logits[LABELS[i]])
    return np.mean(found)


KNOWN = {
    "contrastive": (contrastive, lambda x, w: losses.contrastive(x, LABELS, w, margin=1.7)),
    **{
        f"triplet, {mining}": (
            triplet(mining),
            lambda x, w, mining=mining: losses.triplet(x, LABELS, w, margin=0.9, mining=mining),
        )
        for mining in metric_learning.MINING
    },
    "info_nce": (info_nce, lambda x, w: losses.info_nce(x, SECOND, w, temperature=0.3)),
    "nt_xent": (nt_xent, lambda x, w: losses.nt_xent(x, SECOND, w, temperature=0.3)),
    "supervised": (
        supervised, lambda x, w: losses.supervised_contrastive(x, LABELS, w, temperature=0.3),
    ),
    "arcface": (
        arcface, lambda x, w: losses.arcface(x, CENTRES, LABELS, w, margin=0.4, scale=3.0),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", KNOWN)
def test_values_and_gradients_are_those_of_a_loop(name):
    reference, loss = KNOWN[name]
    with jax.enable_x64(True):
        both = jax.jit(jax.value_and_grad(lambda x, w: mean(loss(x, w))))
        for real in (REAL, np.ones(8)):
            value, gradient = both(FIRST, real)
            np.testing.assert_allclose(value, reference(FIRST, real), rtol=1e-12)
            slopes, step = np.zeros_like(FIRST), 1e-6
            for place in np.ndindex(*FIRST.shape):
                moved = np.zeros_like(FIRST)
                moved[place] = step
                ahead, behind = (reference(FIRST + m, real) for m in (moved, -moved))
                slopes[place] = (ahead - behind) / (2 * step)
            np.testing.assert_allclose(gradient, slopes, atol=2e-9)


def test_semi_hard_mining_falls_back_to_the_farthest():
    # Of an anchor at 0 whose positive lies beyond all negatives; what else there is mines nothing.
    x = jnp.array([[0.0], [5.0], [1.0], [3.0]])
    found = losses.triplet(x, jnp.array([0, 0, 1, 2]), margin=1.0)
    # 0: 5 - 3 + 1; 5: 5 - 4 + 1, its negatives lie 4 and 2 away.
    np.testing.assert_allclose(found.total, [3, 2, 0, 0])
    np.testing.assert_array_equal(found.count, [1, 1, 0, 0])


@pytest.mark.parametrize("name", KNOWN)
def test_what_has_collapsed_or_has_no_pair_gives_finite_numbers(name):
    loss = KNOWN[name][1]
    both = jax.jit(jax.value_and_grad(lambda x, w: loss(x, w).total.sum()))
    for x in (np.ones((8, 3), np.float32), np.zeros((8, 3), np.float32), 1e30 * FIRST):
        for real in (REAL, np.eye(8)[0], np.zeros(8)):
            # The pairwise losses square: of 1e30 that is more than float32 holds.
            if x.max() > 1 and name.startswith(("contrastive", "triplet")):
                continue
            value, gradient = both(jnp.asarray(x, jnp.float32), jnp.asarray(real, jnp.float32))
            assert np.isfinite(value)
            assert np.isfinite(gradient).all()


@pytest.mark.parametrize("sign", [1, -1])
def test_arcface_at_its_angles_ends(sign):
    centres, labels = jnp.eye(3), np.arange(3)
    total = lambda x: losses.arcface(x, centres, labels, margin=0.5, scale=64.0).total.sum()
    value, gradient = jax.jit(jax.value_and_grad(total))(sign * centres)
    assert np.isfinite(value)
    assert np.isfinite(gradient).all()


def test_bf16_vectors_lose_nothing_more():
    x = jnp.asarray(FIRST, jnp.bfloat16)
    for _, loss in KNOWN.values():
        assert jax.eval_shape(loss, x, REAL).total.dtype == jnp.float32
    np.testing.assert_allclose(jnp.square(unit(x)).sum(axis=1), 1, rtol=1e-6)


def test_a_mining_that_is_none_is_told():
    with pytest.raises(ValueError, match="all, hard, semi_hard"):
        losses.triplet(FIRST, LABELS, mining="soft")
