"""Generation: what is drawn from, caches, beams, and what cannot be asked for."""

import itertools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numeric
import numpy as np
import pytest
from flax import linen as nn

from jaxdl import generate, keys, models
from jaxdl.errors import UserError

KEY = keys.root(0)


class Last(NamedTuple):
    """The last token of each text, batch axis second, as in caches of several layers."""

    token_1xB: jax.Array


class Uncached(nn.Module):
    """A chain in which the next token depends on the last two, by a table that a test knows."""

    vocab_size: int
    context: int | None = None

    def setup(self):
        shape = (self.vocab_size,) * 3
        self.table = self.param("table", nn.initializers.normal(2.0), shape)

    def __call__(self, tokens, *, train=False):
        return self.logits(jnp.zeros_like(tokens[:, :1]), tokens)

    def logits(self, before_Bx1, tokens):
        return self.table[jnp.concatenate([before_Bx1, tokens[:, :-1]], axis=1), tokens]


class Chain(Uncached):
    """The same with a cache."""

    def init_cache(self, batch, length):
        return Last(jnp.zeros((1, batch), jnp.int32))

    def __call__(self, tokens, *, train=False, cache=None):
        if cache is None:
            return super().__call__(tokens)
        return self.logits(cache.token_1xB.T, tokens), Last(tokens[None, :, -1])


def chain(vocab_size, kind=Chain, seed=0, **fields):
    """(module, variables, table (V, V, V) of log probabilities in float64)."""
    module = kind(vocab_size, **fields)
    variables = module.init(keys.root(seed), jnp.zeros((1, 1), jnp.int32))
    table = np.log(numeric.softmax(np.asarray(variables["params"]["table"], np.float64)))
    return module, variables, table


# What is drawn from


def reference(logits, temperature=1.0, top_k=0, top_p=1.0):
    """The distribution in NumPy float64, one row after the other, by sorting and counting."""
    rows = []
    for row in np.asarray(logits, np.float64):
        share = numeric.softmax(row / temperature)
        order = sorted(range(len(row)), key=lambda i: (-share[i], i))
        kept = order[: top_k or None]
        total, nucleus = sum(share[kept]), []
        for i in kept:
            if sum(share[nucleus]) / total >= top_p:
                break
            nucleus.append(i)
        rows.append([share[i] / sum(share[nucleus]) if i in nucleus else 0 for i in order])
        rows[-1] = [rows[-1][order.index(i)] for i in range(len(row))]
    return np.array(rows)


HOW = [
    dict(),
    dict(temperature=0.3),
    dict(temperature=2.5),
    dict(top_k=1),
    dict(top_k=4),
    dict(top_k=1000),
    dict(top_p=0.1),
    dict(top_p=0.8),
    dict(top_p=1e-9),
    dict(temperature=1.7, top_k=6, top_p=0.7),
]


@pytest.mark.parametrize("how", HOW, ids=str)
def test_distribution_is_its_definition(how):
    logits = np.random.default_rng(0).normal(size=(5, 9)) * 2
    found = np.exp(generate.log_probabilities(jnp.asarray(logits), **how))
    np.testing.assert_allclose(found, reference(logits, **how), atol=1e-6)
    assert ((found > 0) == (reference(logits, **how) > 0)).all()


def test_nucleus_is_the_smallest_that_has_enough():
    logits = jnp.log(jnp.array([0.125, 0.5, 0.25, 0.125]))
    kept = lambda p: np.isfinite(generate.log_probabilities(logits, top_p=p)).tolist()
    assert kept(0.5) == [False, True, False, False]
    assert kept(0.51) == [False, True, True, False]
    assert kept(0.75) == [False, True, True, False]
    assert kept(0.76) == [True, True, True, False]  # of two equals, the first
    assert kept(1.0) == [True] * 4


def test_temperature_0_is_the_likeliest():
    logits = jnp.array([[0.0, 3.0, 3.0, -1.0]])
    found = np.exp(generate.log_probabilities(logits, temperature=0.0))
    np.testing.assert_array_equal(found, [[0, 1, 0, 0]])


@pytest.mark.parametrize("how", [dict(temperature=0.8), dict(top_k=2), dict(top_p=0.7)], ids=str)
def test_samples_have_the_distribution(how):
    module, variables, table = chain(4)
    prompt = np.tile([[1, 2]], (20_000, 1))
    made = np.asarray(generate.sample(module, variables, prompt, KEY, tokens=2, **how))
    first = reference(table[1, 2][None], **how)[0]
    np.testing.assert_allclose(np.bincount(made[:, 0], minlength=4) / 20_000, first, atol=0.015)
    for token in np.flatnonzero(first > 0.05):
        second = reference(table[2, token][None], **how)[0]
        after = made[made[:, 0] == token, 1]
        share = np.bincount(after, minlength=4) / len(after)
        np.testing.assert_allclose(share, second, atol=3 / np.sqrt(len(after)))


class Level(nn.Module):
    """After any text all tokens are as likely, in the dtype that a network computes in."""

    vocab_size: int
    context: int | None = None

    @nn.compact
    def __call__(self, tokens, *, train=False):
        level = self.param("level", nn.initializers.zeros, (self.vocab_size,), jnp.bfloat16)
        return jnp.broadcast_to(level, (*tokens.shape, self.vocab_size))


def test_samples_of_bfloat16_logits_are_of_the_whole_vocabulary():
    # jax.random.categorical of bfloat16 takes nearly all from the first hundreds (jax 0.12.0.1).
    variables = {"params": {"level": jnp.zeros(4096, jnp.bfloat16)}}
    made = np.asarray(generate.sample(Level(4096), variables, [[0]] * 200, KEY, tokens=1))
    np.testing.assert_allclose(np.percentile(made, [25, 50, 75]), [1024, 2048, 3072], atol=500)


def test_samples_follow_from_the_key():
    module, variables, _ = chain(5)
    draw = lambda key: generate.sample(module, variables, [[0], [0]], key, tokens=20)
    np.testing.assert_array_equal(draw(KEY), draw(KEY))
    assert (draw(KEY) != draw(keys.root(1))).any()
    assert (draw(KEY)[0] != draw(KEY)[1]).any()  # texts of one prompt differ


# The model


def test_generation_is_free_to_be_part_of_a_jitted_step():
    module, variables, _ = chain(5)
    prompt = np.array([[1, 2], [3, 4]])
    sample = lambda prompt, key: generate.sample(module, variables, prompt, key, tokens=6)
    np.testing.assert_array_equal(jax.jit(sample)(prompt, KEY), sample(prompt, KEY))


def test_greedy_follows_the_likeliest_token():
    module, variables, table = chain(6)
    made = np.asarray(generate.greedy(module, variables, [[3, 1], [0, 4]], tokens=12))
    for prompt, text in zip(([3, 1], [0, 4]), made, strict=True):
        text = [*prompt, *text]
        for i in range(2, 14):
            assert text[i] == table[text[i - 2], text[i - 1]].argmax()


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_a_model_without_a_cache_says_the_same(temperature):
    # The whole text again for each token: slower, and the same.
    found = []
    for kind in (Chain, Uncached):
        module, variables, _ = chain(6, kind)
        how = dict(tokens=9, temperature=temperature)
        found.append(generate.sample(module, variables, [[3, 1, 2], [0, 4, 4]], KEY, **how))
        texts, scores = generate.beam_search(module, variables, [[3, 1, 2]], tokens=5, beams=3)
        found.append((texts, scores))
    np.testing.assert_array_equal(found[0], found[2])
    np.testing.assert_array_equal(found[1][0], found[3][0])
    np.testing.assert_allclose(found[1][1], found[3][1], rtol=1e-6)


@pytest.mark.parametrize("dtype, tolerance", [("float32", 1e-4), ("bfloat16", 0.05)])
def test_gpt_with_its_cache_takes_what_it_finds_likeliest_without(dtype, tolerance):
    module = models.create(
        "gpt", vocab_size=11, context=12, width=16, depth=2, heads=2, dtype=jnp.dtype(dtype)
    )
    prompt = np.array([[1, 2, 3], [4, 5, 6]])
    variables = jax.jit(module.init)(KEY, prompt)
    # As it starts its logits are all but equal.
    variables = jax.tree.map(lambda x: 8 * x, variables)
    made = np.asarray(generate.greedy(module, variables, prompt, tokens=9))
    whole = np.concatenate([prompt, made], axis=1)
    logits = np.asarray(jax.jit(module.apply)(variables, whole)[:, 2:-1])
    taken = np.take_along_axis(logits, made[..., None], axis=2)[..., 0]
    assert (taken >= logits.max(-1) - tolerance * np.abs(logits).max()).all()
    assert logits.std() > 0.1
    if dtype == "float32":
        texts, _ = generate.beam_search(module, variables, prompt, tokens=9, beams=1)
        np.testing.assert_array_equal(texts[:, 0], made)


@pytest.mark.parametrize("stop", [2, [2], np.array([2, 0]), (0, 2, 2)], ids=str)
def test_a_stopped_text_is_filled_up(stop):
    module, variables, _ = chain(4)
    prompt = np.zeros((50, 1), np.int32)
    free = np.asarray(generate.sample(module, variables, prompt, KEY, tokens=8))
    stopped = np.asarray(generate.sample(module, variables, prompt, KEY, tokens=8, stop=stop))
    stops = set(np.ravel(stop).tolist())
    assert all((free == x).any(axis=1).sum() > 10 for x in stops)
    for a, b in zip(free, stopped, strict=True):
        end = next((i for i, x in enumerate(a) if x in stops), 7)
        np.testing.assert_array_equal(a[: end + 1], b[: end + 1])
        assert (b[end:] == a[end]).all()


# Beams


def exhaustive(table, prompt, tokens, stop=None, length_penalty=0.0):
    """All texts with their scores, best first, by trying every one."""
    vocabulary, found = len(table), {}
    stops = () if stop is None else tuple(np.ravel(stop))
    for text in itertools.product(range(vocabulary), repeat=tokens):
        length = next((i + 1 for i, token in enumerate(text) if token in stops), tokens)
        text = text[:length] + (text[length - 1],) * (tokens - length)
        seen, log_p = list(prompt), 0.0
        for token in text[:length]:
            log_p += table[seen[-2], seen[-1], token]
            seen.append(token)
        found[text] = log_p / length**length_penalty
    return sorted(found.items(), key=lambda item: -item[1])


@pytest.mark.parametrize(
    "stop, length_penalty", [(None, 0.0), (2, 0.0), (2, 0.6), (2, 3.0), ([2, 0], 0.6)]
)
def test_enough_beams_find_what_trying_everything_finds(stop, length_penalty):
    module, variables, table = chain(3)
    prompts = [[0, 1], [2, 2]]
    texts, scores = generate.beam_search(
        module, variables, prompts, tokens=4, beams=30, stop=stop, length_penalty=length_penalty
    )
    assert texts.shape == (2, 30, 4)
    for b, prompt in enumerate(prompts):
        wanted = exhaustive(table, prompt, 4, stop, length_penalty)[:30]
        n = len(wanted)
        assert [tuple(t) for t in texts[b, :n].tolist()] == [text for text, _ in wanted]
        np.testing.assert_allclose(scores[b, :n], [score for _, score in wanted], rtol=1e-5)
        assert (scores[b, n:] == -np.inf).all()


def test_one_beam_is_greedy():
    module, variables, table = chain(6)
    texts, scores = generate.beam_search(module, variables, [[3, 1]], tokens=9, beams=1)
    greedy = np.asarray(generate.greedy(module, variables, [[3, 1]], tokens=9))
    np.testing.assert_array_equal(texts[0], greedy)
    seen = [3, 1, *greedy[0].tolist()]
    log_p = sum(table[a, b, c] for a, b, c in zip(seen, seen[1:], seen[2:], strict=False))
    assert float(scores[0, 0]) == pytest.approx(log_p, rel=1e-5)


def test_beams_find_likelier_texts_than_greed():
    def best(seed, beams):
        module, variables, _ = chain(6, seed=seed)
        _, scores = generate.beam_search(module, variables, [[3, 1]], tokens=9, beams=beams)
        return float(scores[0, 0])

    gained = [best(seed, 20) - best(seed, 1) for seed in range(5)]
    assert min(gained) > -1e-4
    assert max(gained) > 0.1


def test_fewer_texts_than_beams_are_marked():
    module, variables, _ = chain(3)
    _, scores = generate.beam_search(module, variables, [[0]], tokens=1, beams=5)
    assert np.isfinite(scores[0]).tolist() == [True] * 3 + [False] * 2


# Bad input

BAD = {
    "temperature=-0.1 must be at least 0": dict(temperature=-0.1),
    "temperature=nan must be at least 0": dict(temperature=float("nan")),
    "top_k=-1 must be at least 0": dict(top_k=-1),
    "top_p=0 must be above 0 and at most 1": dict(top_p=0),
    "top_p=1.5 must be above 0 and at most 1": dict(top_p=1.5),
    "prompt is empty": dict(prompt=np.zeros((1, 0), np.int32)),
    "must be (batch, tokens), got the shape (2,)": dict(prompt=[1, 2]),
    "prompt must be rows of one length": dict(prompt=[[1, 2], [3]]),
    "must be whole numbers, got float64": dict(prompt=[[1.0]]),
    "prompt has the token 5, but the model's go from 0 to 4": dict(prompt=[[1, 5]]),
    "prompt has the token -1": dict(prompt=[[1, -1]]),
    "tokens=0 must be at least 1": dict(tokens=0),
    "stop='.' must be a token or several, whole numbers": dict(stop="."),
    "stop=1.0 must be a token or several": dict(stop=1.0),
    "stop=[[1, 2]] must be a token or several": dict(stop=[[1, 2]]),
    "stop has the token 5, but the model's go from 0 to 4": dict(stop=[1, 5]),
    "stop has the token -1": dict(stop=-1),
    "prompt of 3 tokens and tokens=6 more are longer than the model's context of 8": dict(
        prompt=[[1, 2, 3]], tokens=6
    ),
}


@pytest.mark.parametrize("message", BAD)
def test_bad_request_is_one_clear_line(message):
    module, variables, _ = chain(5, context=8)
    asked = {"prompt": [[1]], "tokens": 3, **BAD[message]}
    with pytest.raises(UserError) as caught:
        generate.sample(module, variables, asked.pop("prompt"), KEY, **asked)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_beams_and_their_prompt_are_checked():
    module, variables, _ = chain(5, context=8)
    with pytest.raises(UserError, match="beams=0 must be at least 1"):
        generate.beam_search(module, variables, [[1]], tokens=3, beams=0)
    with pytest.raises(UserError, match="longer than the model's context of 8"):
        generate.beam_search(module, variables, [[1]], tokens=8)


def test_a_text_may_fill_the_context():
    module, variables, _ = chain(5, context=8)
    assert generate.greedy(module, variables, [[1, 2, 3]], tokens=5).shape == (1, 5)


def test_what_writes_no_text_is_refused():
    module = models.create("bert", vocab_size=5, width=4, heads=2)
    with pytest.raises(UserError, match="BERT is no language model"):
        generate.greedy(module, {}, [[1, 2]], tokens=2)
    module = models.create("t5", vocab_size=5, width=4, heads=2, decoder_depth=0)
    with pytest.raises(UserError, match="T5 is an encoder alone"):
        generate.greedy(module, {}, [[1, 2]], tokens=2)
