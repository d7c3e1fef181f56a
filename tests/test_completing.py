"""What language models answer to prompts of the user's."""

import functools
import operator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl import generate, keys, models, pretrained
from jaxdl.data import asked, tokens
from jaxdl.data.answered import Vocabulary
from jaxdl.errors import UserError
from jaxdl.tasks.shared import completing, writing


class State(NamedTuple):
    """A state of which the variables count."""

    variables: Any


@pytest.fixture(scope="module")
def own():
    """A tiny GPT of bytes with an end, and a state that has its variables."""
    module = models.create("gpt", vocab_size=257, context=12, width=16, depth=1, heads=2)
    variables = jax.jit(module.init)(keys.root(0), jnp.zeros((1, 1), jnp.int32))
    variables = jax.tree.map(lambda x: 20 * x, variables)  # so that few tokens are likely
    get = operator.attrgetter("variables")
    made = completing.Completer(module, get, tokens.create(""), 256, "ask", 4, temperature=0.0)
    return made, State(variables=variables)


def test_each_prompt_is_answered_as_if_it_were_alone_by_few_programs(own, tmp_path, monkeypatch):
    completer, state = own
    texts = ["abc", "", "z", "abcdefghijk", "abcdefghi"]
    file = tmp_path / "asked.txt"
    file.write_text("\n".join(texts) + "\n")
    write, traced = completing.Completer.write, []
    counted = lambda self, *given: traced.append(given[0]) or write(self, *given)
    monkeypatch.setattr(completing.Completer, "write", counted)
    found = completing.answer(completer, state, str(file), 2)
    # Of up to 8 tokens and of up to 12, in place of one of each length.
    assert traced == [4, 3]
    assert [said.record["prompt"] for said in found] == texts
    logits = jax.jit(completer.module.apply)
    for text, said in zip(texts, found, strict=True):
        assert said.text == said.record["completion"]
        whole = [*text.encode()]
        # As many as the context has room for, without a cache, and nothing in front.
        for _ in range(min(4, 12 - len(text)) if text else 0):
            padded = np.array([whole + [0] * (12 - len(whole))], np.int32)
            whole.append(int(logits(state.variables, padded)[0, len(whole) - 1].argmax()))
        assert said.text == completer.text(np.array(whole[len(text) :], np.int32))


def test_beams_leave_each_answer_its_own_room(own):
    completer, state = own
    prompts = [np.array([*text], np.int32) for text in (b"abcdefghijk", b"abcdefghi")]
    searched = completer._replace(beams=3)
    split = completing._padded(searched, prompts, 12, 3)
    assert split.arrays["most"].tolist() == [1, 3]
    every = np.arange(2)
    made = jax.jit(functools.partial(searched.write, 3))(state, split.take(every), keys.root(0))
    # One has no room behind its first token; the other goes on as it does alone.
    alone, _ = generate.beam_search(
        completer.module, state.variables, prompts[1][None], tokens=3, beams=3, stop=256
    )
    np.testing.assert_array_equal(made[1], alone[0, 0])
    assert (np.asarray(made[0]) == made[0, 0]).all()


def test_room_that_is_told_of_each_prompt_is_looked_at(own):
    completer, state = own
    given = completer.module, state.variables, np.zeros((2, 10), np.int32)
    for most, message in (
        (np.array([2, 3]), "prompt of 10 tokens and tokens=3 more are longer than"),
        (np.array([2, 0]), "max_tokens=0 must be at least 1"),
        (np.array([2]), r"max_tokens must be \(2,\)"),
    ):
        with pytest.raises(UserError, match=message):
            generate.greedy(*given, tokens=3, max_tokens=most)
    mask = np.arange(10) >= np.array([[0], [1]])
    made = np.array(
        generate.greedy(*given, tokens=3, max_tokens=np.array([2, 3]), prompt_mask=mask)
    )
    assert made.shape == (2, 3)
    assert made[0, 2] == made[0, 1]  # nothing behind the last


def test_lengths_that_prompts_are_filled_up_to():
    filled = [writing.rounded(n) for n in range(1, 100)]
    assert sorted(set(filled)) == [8, 12, 16, 24, 32, 48, 64, 96, 128]
    assert all(filled.index(n) + 1 == writing.shortest(n) for n in filled)


def test_what_is_asked_for_is_a_line_where_it_cannot_be(own, tmp_path):
    completer, state = own
    file = tmp_path / "asked.jsonl"
    file.write_text('{"ask": "ab"}\n{"ask": "abcdefghijkl"}\n')
    with pytest.raises(UserError, match=r"asked\.jsonl, line 2: the prompt has 12 tokens, and the"):
        completing.answer(completer, state, str(file), 2)
    judged = lambda: asked.answers(str(file), "ask", tokens.create(""), Vocabulary(257, 256), 8)
    with pytest.raises(UserError, match="line 1: no column 'completion'"):
        judged()
    file.write_text('{"ask": "ab", "completion": "abcdefghij"}\n')
    found = judged()
    assert found.notes == ("1 of 1 answers did not fit into config.data.context=8: cut",)
    np.testing.assert_array_equal(found.texts.text.tokens, [*b"ab", *b"abcdef"])


def test_what_goes_out_has_no_head_and_says_how_it_answers(own, tmp_path):
    completer, state = own
    params = {**state.variables["params"], "head": {"kernel": np.zeros((16, 1), np.float32)}}
    drawn = completer._replace(temperature=0.7, top_p=0.9)
    completing.publish(drawn, State(variables={"params": params}), tmp_path)
    module, variables = pretrained.load(tmp_path)
    jax.tree.map(np.testing.assert_array_equal, variables, state.variables)
    assert module.context == 12
    said = pretrained.generation(tmp_path)
    assert (said.do_sample, said.temperature, said.top_k, said.top_p) == (True, 0.7, 0, 0.9)
    assert (said.eos_token_id, said.max_new_tokens) == (256, 4)
